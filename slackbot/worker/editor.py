"""The web editor of one worker: code-server on a private socket, and the door to it that the gateway alone can open.

The door listens on TCP, wants to see the secret of the launch on the first request of each connection, takes it out and
passes all that follows to code-server, which it starts for the first one. code-server runs as the agent does, with
nothing of what the worker holds. Its command line: https://coder.com/docs/code-server/FAQ
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from slackbot.core.errors import DevflowError, TemporaryError
from slackbot.worker.confinement import Confinement
from slackbot.worker.logs import log
from slackbot.worker.outbound import proxy_variables
from slackbot.worker.output import Bounded
from slackbot.worker.processes import kill_session

DOOR_HEADER = b"x-devflow-door"
HEAD_SECONDS = 10.0
START_SECONDS = 30.0
"""code-server answers half a second after its start on an idle machine."""
MAX_HEAD_BYTES = 64 * 1024
MAX_CONNECTIONS = 400
ACTIVE_BYTES = 2048
"""A page that is merely open sends less than this in WINDOW_SECONDS to keep its connections; one that is used, more."""
WINDOW_SECONDS = 60.0

_PROJECT = Path(__file__).resolve().parents[2]


def find_editor(path: str | None = None) -> str | None:
    """The program code-server: from PATH, or where `make editor` put it; None when it is not installed."""
    found = shutil.which("code-server", path=path)
    if found is not None:
        return found
    built = _PROJECT / ".tools" / "editor" / "bin" / "code-server"
    return str(built) if built.is_file() else None


def own_address(gateway_url: str) -> str:
    """The address of this machine that the gateway sees: the door listens there and nowhere else."""
    parts = urlsplit(gateway_url)
    at = (parts.hostname or "127.0.0.1", parts.port or 80)
    with contextlib.suppress(OSError):
        family, kind, _, _, address = socket.getaddrinfo(*at, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(address)  # nothing is sent: the kernel only chooses the way
            name: str = probe.getsockname()[0]
            return name
    return "0.0.0.0"  # noqa: S104  the door wants the secret of the launch wherever it is knocked at


def editor_environment(home: Path) -> dict[str, str]:
    """Made from nothing, as an agent's: no variable of the worker's gets in that is not named here."""
    names = ("PATH", "LANG", "LC_ALL", "TZ", "USER", "LOGNAME", "DEVFLOW_TASK_ID")
    environment = {name: os.environ[name] for name in names if name in os.environ}
    environment.setdefault("LANG", "C.UTF-8")
    return {**environment, **proxy_variables(os.environ), "HOME": str(home), "TERM": "xterm-256color"}


class Editor:
    """One worker's editor. `open_door` lets the gateway in, `close` ends all of it."""

    def __init__(
        self,
        program: str,
        *,
        checkout: Path,
        home: Path,
        environment: Mapping[str, str],
        secret: str,
        confinement: Confinement | None = None,
    ) -> None:
        """`confinement`: as whom code-server runs, which is as the agent does."""
        self._confinement = confinement or Confinement()
        self._program = program
        self._checkout = checkout
        self._home = home
        self._environment = dict(environment)
        self._secret = secret.encode()
        self._server: asyncio.Server | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._draining: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._connections: set[asyncio.Task[None]] = set()
        self._room: Path | None = None
        self._window: tuple[float, int] = (0.0, 0)
        self.active_at: float | None = None
        """time.monotonic() when somebody last worked in it."""

    async def open_door(self, host: str, port: int = 0) -> int:
        """Listens on `host` and gives the port; 0 = any free one."""
        self._server = await asyncio.start_server(self._accept, host, port, limit=MAX_HEAD_BYTES)
        listening_on: int = self._server.sockets[0].getsockname()[1]
        return listening_on

    async def close(self) -> None:
        """Closes the door, ends code-server and all that was started in it."""
        if self._server is not None:
            self._server.close()
        for task in set(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._end_process()
        if self._room is not None:
            shutil.rmtree(self._room, ignore_errors=True)

    # -- the door -----------------------------------------------------------------------------------

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= MAX_CONNECTIONS:
            writer.close()
            return
        task = asyncio.create_task(self._connection(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            passed = self._checked(head)
            if passed is None:
                log.warning("editor_door_refused")
                writer.write(_answer("403 Forbidden"))
                return
            try:
                inner_reader, inner_writer = await self._code_server()
            except DevflowError as error:
                log.warning("editor_not_started", why=error.summary)
                writer.write(_answer("503 Service Unavailable"))
                return
            self._used(len(head) if b"\r\nupgrade:" not in head.lower() else 0)
            inner_writer.write(passed)
            await _splice(reader, writer, inner_reader, inner_writer, self._used)
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass  # who does not say what they want is left
        finally:
            writer.close()
            with contextlib.suppress(Exception):
                await writer.wait_closed()

    def _checked(self, head: bytes) -> bytes | None:
        """The head without the secret; None when it is not there, or not right."""
        lines = head.split(b"\r\n")
        shown = [line for line in lines[1:] if line.partition(b":")[0].strip().lower() == DOOR_HEADER]
        if len(shown) != 1 or not hmac.compare_digest(shown[0].partition(b":")[2].strip(), self._secret):
            return None
        return b"\r\n".join(line for line in lines if line is not shown[0])

    def _used(self, count: int) -> None:
        """Somebody sent `count` bytes to the editor."""
        now = time.monotonic()
        began, total = self._window
        if now - began > WINDOW_SECONDS:
            began, total = now, 0
        total += count
        self._window = (began, total)
        if total > ACTIVE_BYTES:
            self.active_at = now

    # -- code-server --------------------------------------------------------------------------------

    async def _code_server(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to code-server, which is started when it does not run."""
        async with self._starting:
            if self._process is None or self._process.returncode is not None:
                await self._end_process()
                await self._start()
        assert self._room is not None  # noqa: S101  _start made it
        return await asyncio.open_unix_connection(self._room / "socket")

    async def _start(self) -> None:
        # Not below the work directory: the path of a socket may have 107 characters at most (unix(7)).
        if self._room is None:
            self._room = Path(tempfile.mkdtemp(prefix="devflow-editor-"))
            self._confinement.give(self._room)
        listening, kept = self._room / "socket", self._home / ".devflow-editor"
        command = (
            self._program, "--auth", "none", "--socket", str(listening), "--socket-mode", "660", "--disable-proxy",
            "--disable-telemetry", "--disable-update-check", "--disable-workspace-trust",
            "--disable-getting-started-override", "--app-name", "DevFlow", "--config", str(kept / "config.yaml"),
            "--user-data-dir", str(kept / "data"), "--extensions-dir", str(kept / "extensions"), str(self._checkout),
        )  # fmt: skip
        began = time.monotonic()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._confinement.wrap(command, dies_with_parent=True),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                cwd=self._checkout,
                env={**self._environment, "PWD": str(self._checkout), "SHELL": shutil.which("bash") or "/bin/sh"},
                start_new_session=True,
            )
        except OSError as error:
            raise TemporaryError(f"code-server could not be started: {error.strerror}.") from error
        self._confinement.spared.add(self._process.pid)
        said = Bounded(2048, 2048)
        self._draining = asyncio.create_task(_drain(self._process.stdout, said))
        while time.monotonic() - began < START_SECONDS and self._process.returncode is None:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_unix_connection(listening)
                writer.close()
                log.info("editor_started", seconds=round(time.monotonic() - began, 2))
                return
            await asyncio.sleep(0.05)
        await self._end_process()
        raise TemporaryError(f"code-server did not start: {said.text()[-500:]}")

    async def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            self._confinement.spared.discard(process.pid)
            await kill_session(process, kill=self._confinement.kill)
            process._transport.close()  # type: ignore[attr-defined]
        if self._draining is not None:
            self._draining.cancel()
            await asyncio.gather(self._draining, return_exceptions=True)
            self._draining = None
        if self._room is not None:
            (self._room / "socket").unlink(missing_ok=True)


async def _splice(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    inner_reader: asyncio.StreamReader,
    inner_writer: asyncio.StreamWriter,
    used: Callable[[int], None],
) -> None:
    """Bytes both ways until both have ended; `used` is told how many go in."""
    ways = [
        asyncio.create_task(_pass_on(reader, inner_writer, used)),
        asyncio.create_task(_pass_on(inner_reader, writer, None)),
    ]
    try:
        # The editor's end ends both: an answer is over, whatever the browser still holds open.
        await ways[1]
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        inner_writer.close()


async def _pass_on(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, used: Callable[[int], None] | None
) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(64 * 1024):
            if used is not None:
                used(len(data))
            target.write(data)
            await target.drain()
    with contextlib.suppress(OSError, RuntimeError):
        target.write_eof()


async def _drain(stream: asyncio.StreamReader | None, said: Bounded) -> None:
    while stream is not None and (data := await stream.read(16 * 1024)):
        said.add(data)


def _answer(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
