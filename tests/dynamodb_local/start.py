"""Runs tests/dynamodb_local against Amazon's DynamoDB Local: `make test-dynamodb-local`. Arguments go to pytest.

The emulator comes in an npm package, fetched once into build/dynamodb-local and checked against its hash. It listens
on every address and has no option for less, so emulator and tests run in a network namespace that holds only loopback.
Where that cannot be had, set DYNAMODB_LOCAL_URL to a DynamoDB Local that runs already. Exit: pytest's; 2 = cannot run.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "build" / "dynamodb-local"

PACKAGE, VERSION = "amplify-dynamodb-simulator", "2.9.30"
SHA512 = "xTeeRLvzEfqyd5lh3bH4c0kHvSHHmmhD5ZDsHFKAQ5g2Zl6JqlFdutaQhCLHzxEp6Ry1o7TB6niIoXuQAnSewQ=="
"""Of the package's archive, as the registry states it. The package holds DynamoDB Local 1.25.1."""

START_SECONDS = 60.0
URL_VARIABLE = "DYNAMODB_LOCAL_URL"
INSIDE = "--inside-the-namespace"


class CannotRun(Exception):
    """What is missing, and what to do."""


def main(arguments: list[str]) -> int:
    """Fetches, enters the namespace, starts the emulator, runs pytest."""
    try:
        if os.environ.get(URL_VARIABLE):
            return run_pytest(arguments, os.environ[URL_VARIABLE])
        if arguments[:1] == [INSIDE]:
            return run_emulator_and_pytest(arguments[1:])
        check_tools()
        fetch()
        inside = [sys.executable, str(Path(__file__).resolve()), INSIDE, *arguments]
        return subprocess.run(["unshare", "--user", "--map-root-user", "--net", *inside]).returncode
    except CannotRun as problem:
        print(f"\nDynamoDB Local was NOT tested: {problem}\n", file=sys.stderr)
        return 2


def check_tools() -> None:
    """Raises `CannotRun` naming everything that is missing, not only the first of it."""
    missing = []
    if shutil.which("java") is None:
        missing.append("java (17 or newer) is not on PATH: install a Java runtime")
    elif subprocess.run(["java", "-version"], capture_output=True).returncode != 0:
        missing.append("java is on PATH, but `java -version` fails: install a Java runtime, 17 or newer")
    if not archive().exists() and shutil.which("npm") is None:
        missing.append(f"npm is not on PATH: install Node.js, or put {archive().name} into {CACHE}")
    elsewhere = f"; or start DynamoDB Local on 127.0.0.1 yourself and set {URL_VARIABLE} to its address"
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        missing.append(
            "unshare (util-linux) and ip (iproute2) are needed to keep it on loopback: install them" + elsewhere
        )
    else:
        namespace = ["unshare", "--user", "--map-root-user", "--net", "ip", "link", "set", "lo", "up"]
        tried = subprocess.run(namespace, capture_output=True, text=True)
        if tried.returncode != 0:
            missing.append(f"a network namespace cannot be made here ({tried.stderr.strip()})" + elsewhere)
    if missing:
        raise CannotRun("\n  - ".join(["", *missing]))


def archive() -> Path:
    """Where the package's archive is kept."""
    return CACHE / f"{PACKAGE}-{VERSION}.tgz"


def fetch() -> None:
    """Makes sure that the unpacked, checked package is in the cache."""
    if jar().exists():
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    if not archive().exists():
        print(f"Fetching {PACKAGE} {VERSION} (57 MB) into {CACHE} ...", flush=True)
        command = ["npm", "pack", f"{PACKAGE}@{VERSION}", "--silent", "--pack-destination", str(CACHE)]
        fetched = subprocess.run(command, capture_output=True, text=True, cwd=CACHE)
        if fetched.returncode != 0 or not archive().exists():
            raise CannotRun(f"npm could not fetch {PACKAGE} {VERSION}: {fetched.stderr.strip()[-600:]}")
    digest = base64.b64encode(hashlib.sha512(archive().read_bytes()).digest()).decode()
    if digest != SHA512:
        raise CannotRun(f"{archive()} is not the package expected (its SHA-512 differs): remove it and try again")
    # Unpacked beside, then moved: what stands at the final place is whole.
    unpacking = CACHE / f"unpacking-{os.getpid()}"
    with tarfile.open(archive()) as packed:
        packed.extractall(unpacking, filter="data")
    shutil.rmtree(home(), ignore_errors=True)
    (unpacking / "package" / "emulator").rename(home())
    shutil.rmtree(unpacking)


def home() -> Path:
    """The directory of the unpacked emulator."""
    return CACHE / VERSION


def jar() -> Path:
    """The emulator itself."""
    return home() / "DynamoDBLocal.jar"


def run_emulator_and_pytest(arguments: list[str]) -> int:
    """Inside the namespace: only loopback is there, and it is down."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    port = free_port()
    libraries = f"-Djava.library.path={home() / 'DynamoDBLocal_lib'}"
    command = ["java", "-Xmx512m", libraries, "-jar", str(jar()), "-inMemory", "-port", str(port), "-disableTelemetry"]
    log_path = CACHE / "emulator.log"
    with log_path.open("wb") as log:
        emulator = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=CACHE)
    try:
        wait_for(port, emulator, log_path)
        return run_pytest(arguments, f"http://127.0.0.1:{port}")
    finally:
        emulator.terminate()
        emulator.wait()


def free_port() -> int:
    """A port nobody listens on; nobody else lives in the namespace."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, emulator: subprocess.Popen[bytes], log_path: Path) -> None:
    """Until the emulator takes connections; `CannotRun` with the end of its log when it does not."""
    deadline = time.monotonic() + START_SECONDS
    while emulator.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise CannotRun(f"DynamoDB Local did not start:\n{log_path.read_text(errors='replace')[-2000:]}")


def run_pytest(arguments: list[str], url: str) -> int:
    """The tests beside this file, against the emulator at `url`."""
    command = [sys.executable, "-m", "pytest", str(Path(__file__).parent), *arguments]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, URL_VARIABLE: url}).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
