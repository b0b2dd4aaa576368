"""The sandbox's state directory: its lock, its ports and its secrets. Everything in it can be deleted together.

`main` opens it; nobody else writes `sandbox.json`.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from slackbot.core.errors import DevflowError

DEFAULT_PORT = 8400
_LASTING_PORTS = range(20_000, 32_000)
_ROLES = ("the Slack page", "GitHub's stand-in", "the gateway that workers dial", "the gateway that browsers dial")


@dataclass(frozen=True)
class Ports:
    """Where the servers of a sandbox listen, on loopback."""

    slack: int
    github: int
    gateway: int
    public: int

    def in_order(self) -> list[int]:
        return [self.slack, self.github, self.gateway, self.public]


@dataclass(frozen=True)
class Secrets:
    """Made at the first start and kept, so that workers of the last run are still known."""

    devflow_secret: str
    bot_token: str
    app_token: str

    @property
    def webhook_secret(self) -> str:
        """What GitHub's stand-in signs its webhooks with; follows from the one that is kept."""
        return hmac.new(self.devflow_secret.encode(), b"github webhook", hashlib.sha256).hexdigest()


class SandboxState:
    """One directory, one sandbox at a time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.expanduser().resolve()
        self._lock_file: int | None = None

    @property
    def store_path(self) -> Path:
        return self.directory / "sessions.sqlite3"

    @property
    def bot_log(self) -> Path:
        return self.directory / "bot.log"

    def open(self) -> None:
        """Makes the directory and takes its lock; a `DevflowError` when another sandbox has it."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock_file = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DevflowError(
                f"The state directory {self.directory} cannot be used: {error.strerror}.",
                "Name another one with --state.",
            ) from error
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = os.read(self._lock_file, 32).decode(errors="replace").strip()
            self.close()
            raise DevflowError(
                f"A sandbox already runs on {self.directory}" + (f" (process {pid})." if pid else "."),
                "Use its page, stop it with Ctrl-C, or start another one with --state OTHER_DIR.",
            ) from error
        os.ftruncate(self._lock_file, 0)
        os.pwrite(self._lock_file, str(os.getpid()).encode(), 0)

    def close(self) -> None:
        """Gives the lock back."""
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def ports(self, asked: int | None) -> Ports:
        """The ports of this state: `asked` and the three after it, else those used before, else 8400 to 8403.

        0 asks for any free ones at the first start, and for the same again later. `DevflowError` names the
        one that is taken.
        """
        kept = self._kept_ports()
        if kept is not None and asked in (None, 0):
            ports = kept
        elif asked == 0:
            ports = Ports(*_free_ports(4))
        else:
            first = DEFAULT_PORT if asked is None else asked
            ports = Ports(*range(first, first + 4))
        for role, port in zip(_ROLES, ports.in_order(), strict=True):
            _check_free(port, role)
        self._write({**self._read(), "ports": ports.in_order()})
        return ports

    def _kept_ports(self) -> Ports | None:
        kept = self._read().get("ports")
        if not isinstance(kept, list) or not all(isinstance(port, int) for port in kept):
            return None
        if len(kept) == 3:
            # An older sandbox had no public listener.
            kept = [*kept, *_free_ports(1)]
        return Ports(*kept) if len(kept) == 4 else None

    def secrets(self) -> Secrets:
        """This state's secrets, made when they are not there yet."""
        kept = self._read().get("secrets")
        if isinstance(kept, dict):
            try:
                return Secrets(**{name: str(value) for name, value in kept.items()})
            except TypeError:
                pass  # an older sandbox kept others; new ones cut off nothing but its workers
        made = Secrets(secrets.token_hex(32), f"xoxb-sandbox-{secrets.token_hex(16)}", f"xapp-{secrets.token_hex(16)}")
        self._write({**self._read(), "secrets": made.__dict__})
        return made

    def _read(self) -> dict[str, object]:
        try:
            content = json.loads((self.directory / "sandbox.json").read_text())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _write(self, content: dict[str, object]) -> None:
        path = self.directory / "sandbox.json"
        fresh = path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(content, file, indent=1)
        os.replace(fresh, path)


def _check_free(port: int, role: str) -> None:
    if not 1 <= port <= 65535:
        raise DevflowError(f"{port} is not a port number.", "Choose one from 1024 to 65532 with --port.")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            why = "is in use by another program" if error.errno == errno.EADDRINUSE else f"cannot be used ({error})"
            raise DevflowError(
                f"Port {port}, for {role}, {why}.",
                "Stop what uses it, or choose others: `devflow sandbox --port 8500` (it takes four in a row); "
                "with make: `make sandbox PORT=8500`.",
            ) from error


def _free_ports(count: int) -> list[int]:
    """Free ports below those that systems lend to outgoing connections, so that they are free next time, too."""
    found: list[int] = []
    while len(found) < count:
        port = secrets.choice(_LASTING_PORTS)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found
