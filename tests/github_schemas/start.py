"""Runs tests/github_schemas against what GitHub publishes: `make test-github-schemas`. Arguments go to pytest.

GitHub's OpenAPI description, webhook schemas, example events and GraphQL schema come in four npm packages, fetched
once into build/github-schemas and checked against their hashes; only the files that are needed are unpacked. Exit:
pytest's; 2 = cannot run.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "build" / "github-schemas"
VARIABLE = "GITHUB_SCHEMAS"


@dataclass(frozen=True)
class Package:
    """An npm package: `sha512` as the registry states it, `files` the members to unpack (a folder with its slash)."""

    name: str
    version: str
    sha512: str
    files: tuple[str, ...]

    @property
    def archive(self) -> Path:
        return CACHE / f"octokit-{self.name}-{self.version}.tgz"

    @property
    def unpacked(self) -> Path:
        return CACHE / f"{self.name}-{self.version}"


PACKAGES = (
    Package(
        "openapi",
        "23.0.2",
        "pV8M7L9GY23AybNvTmo2nyjmpmnt6+2sRE/tqr0ZLQcPS4lnw7u5eZGNmwRNkBC3D7gZXbFx5AHzLUVRBXGDhg==",
        ("generated/api.github.com.json", "generated/ghes-3.19.json"),
    ),
    Package(
        "webhooks-schemas",
        "7.6.1",
        "qW0Bwtb76r4m2WzVhKDyfEeEnt1GEQoRjkCqmq2ZeB0nNVDJ+Z2LBDS9FDPyduuMXf/ZTWiCJp9PFFHgRfBe3A==",
        ("schema.json",),
    ),
    Package(
        "webhooks-examples",
        "7.6.1",
        "De6U3XB6O3DtCa7bKgCMzTHdeopqqZ6SNivMYJnK65ierKL1AnNIA0tkRYCRS7lwGT792d+Ps1WbfHlso6MynQ==",
        ("api.github.com/index.json",),
    ),
    Package(
        "graphql-schema",
        "15.26.1",
        "RFDC2MpRBd4AxSRvUeBIVeBU7ojN/SxDfALUd7iVYOSeEK3gZaqR2MGOysj4Zh2xj2RY5fQAUT+Oqq7hWTraMA==",
        ("schema.graphql",),
    ),
)


class CannotRun(Exception):
    """What is missing, and what to do."""


def main(arguments: list[str]) -> int:
    """Fetches what is not there yet, runs pytest."""
    try:
        for package in PACKAGES:
            fetch(package)
    except CannotRun as problem:
        print(f"\nGitHub's schemas were NOT tested: {problem}\n", file=sys.stderr)
        return 2
    folders = {package.name: str(package.unpacked) for package in PACKAGES}
    environment = {**os.environ, VARIABLE: os.pathsep.join(folders.values())}
    command = [sys.executable, "-m", "pytest", "-q", "tests/github_schemas", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment).returncode


def fetch(package: Package) -> None:
    """Makes sure that the checked files are unpacked."""
    if all((package.unpacked / name).exists() for name in package.files):
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    if not package.archive.exists():
        if shutil.which("npm") is None:
            raise CannotRun(f"npm is not on PATH: install Node.js, or put {package.archive.name} into {CACHE}")
        wanted = f"@octokit/{package.name}@{package.version}"
        print(f"Fetching {wanted} into {CACHE} ...", flush=True)
        command = ["npm", "pack", wanted, "--silent", "--ignore-scripts", "--pack-destination", str(CACHE)]
        fetched = subprocess.run(command, capture_output=True, text=True, cwd=CACHE)
        if fetched.returncode != 0 or not package.archive.exists():
            raise CannotRun(f"npm could not fetch {wanted}: {fetched.stderr.strip()[-300:] or 'it did not say why'}")
    if base64.b64encode(hashlib.sha512(package.archive.read_bytes()).digest()).decode() != package.sha512:
        package.archive.unlink()
        raise CannotRun(f"{package.archive.name} is not what was pinned; it was removed, so run this again")
    with tarfile.open(package.archive) as archive:
        for name in package.files:
            member = archive.extractfile(f"package/{name}")
            if member is None:
                raise CannotRun(f"{package.archive.name} has no {name}")
            path = package.unpacked / name
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".part")
            with member, unfinished.open("wb") as file:
                shutil.copyfileobj(member, file)
            unfinished.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
