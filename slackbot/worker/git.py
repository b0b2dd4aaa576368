"""Runs git so that only what the worker wrote is obeyed, and so that a token reaches git alone.

Used by checkout and publish; as whom it speaks is in `git_identity`. What it says, and how long it takes, is bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from slackbot.core.errors import DevflowError
from slackbot.worker.confinement import Confinement
from slackbot.worker.git_identity import Credentials, Person, helper, token_pipe
from slackbot.worker.output import Bounded
from slackbot.worker.processes import exited, signal_group

LOCAL_SECONDS = 300.0
NETWORK_SECONDS = 1800.0
"""The longest a clone, fetch or push may take; a stalled one ends after LOW_SPEED_SECONDS."""
LOW_SPEED_SECONDS = 60

MAX_FILE_BYTES = 1024 * 2**20
"""The most that is taken over from a checkout at once; GitHub takes pushes up to 2 GiB.
https://docs.github.com/en/get-started/using-git/troubleshooting-the-2-gb-push-limit"""

MAX_OUTPUT_BYTES = 256 * 2**20
"""The most that a command may say: a listing of a million files fits."""

_FROM_THE_WORKER = (
    "PATH",
    "https_proxy",
    "HTTPS_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "GIT_EXEC_PATH",
)

_OVERRULED = (
    ("core.hooksPath", os.devnull),
    ("core.fsmonitor", "false"),
    ("core.untrackedCache", "false"),
    ("core.attributesFile", os.devnull),
    ("core.sshCommand", "false"),
    ("core.askPass", ""),
    ("core.pager", "cat"),
    ("core.quotePath", "false"),
    ("core.autocrlf", "false"),
    ("credential.helper", ""),
    ("commit.gpgSign", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("push.recurseSubmodules", "no"),
    ("diff.ignoreSubmodules", "dirty"),
    ("protocol.ext.allow", "never"),
    ("http.lowSpeedLimit", "1"),
    ("http.lowSpeedTime", str(LOW_SPEED_SECONDS)),
    ("advice.addEmbeddedRepo", "false"),
    ("advice.detachedHead", "false"),
)


class GitFailed(DevflowError):
    """git ended with an error; `status` is its exit status, `output` what it wrote (bounded)."""

    def __init__(self, command: str, status: int, output: str) -> None:
        last = [line for line in output.strip().splitlines() if line.strip()][-3:]
        super().__init__(f"git {command} failed (exit status {status}): {' / '.join(last)[:600]}")
        self.command = command
        self.status = status
        self.output = output


@dataclass(frozen=True)
class Git:
    """git on one repository directory, with an environment of its own.

    `git_dir` is given explicitly, so that no `.git` on the way is believed. `objects` and `index` replace
    those of `git_dir`. `protocols` are the transports that git may use, joined by colons; none by default.
    """

    git_dir: Path | None
    home: Path
    work_tree: Path | None = None
    objects: Path | None = None
    index: Path | None = None
    protocols: str = "none"
    person: Person | None = None
    cwd: Path | None = None
    confinement: Confinement | None = None
    """As whom it runs; None = as the worker itself."""
    seconds: float = LOCAL_SECONDS
    """The longest a command without a network may take."""

    async def __call__(
        self,
        *arguments: str,
        stdin: bytes | Path | None = None,
        settings: Sequence[tuple[str, str]] = (),
        credentials: Credentials | None = None,
        accept: tuple[int, ...] = (0,),
        stdout: Path | None = None,
    ) -> str:
        """Runs `git *arguments` and gives its standard output; GitFailed for an exit status not in `accept`.

        With `credentials` it is a network command: more time, and the token for exactly that host.
        """
        status, output, errors = await self.run(
            *arguments, stdin=stdin, settings=settings, credentials=credentials, stdout=stdout
        )
        if status not in accept:
            raise GitFailed(arguments[0], status, errors or output)
        return output

    async def run(
        self,
        *arguments: str,
        stdin: bytes | Path | None = None,
        settings: Sequence[tuple[str, str]] = (),
        credentials: Credentials | None = None,
        stdout: Path | None = None,
    ) -> tuple[int, str, str]:
        """As `__call__`, but gives (exit status, standard output, standard error) whatever the status.

        With `stdout` the output goes into that new file, MAX_FILE_BYTES at most, and "" is given.
        """
        all_settings = [*_OVERRULED, *settings]
        pipe: int | None = None
        if credentials is not None:
            pipe = token_pipe(credentials.token)
            all_settings += helper(credentials.url_prefix, pipe)
        command = ["git"]
        for name, value in all_settings:
            command += ["-c", f"{name}={value}"]
        try:
            return await self._start(
                [*command, *arguments], stdin, pipe, NETWORK_SECONDS if credentials else self.seconds, stdout
            )
        finally:
            if pipe is not None:
                with contextlib.suppress(OSError):
                    os.close(pipe)

    async def _start(
        self,
        command: list[str],
        stdin: bytes | Path | None,
        pipe: int | None,
        seconds: float,
        stdout: Path | None,
    ) -> tuple[int, str, str]:
        if self.confinement is not None:
            command = list(self.confinement.plain(tuple(command)))
        source = stdin.open("rb") if isinstance(stdin, Path) else None
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=source or (asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                # The worker itself may not be let into the agent's HOME.
                cwd=self.cwd or (self.home if self.confinement is None else "/"),
                env=self._environment(),
                process_group=0,
                pass_fds=() if pipe is None else (pipe,),
            )
        finally:
            if source is not None:
                source.close()
        output, errors = bytearray(), Bounded(4096, 12288)
        target = stdout.open("xb") if stdout is not None else None
        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(
                    _feed(process.stdin, stdin if isinstance(stdin, bytes) else b""),
                    _drain(
                        process.stdout,
                        _bounded(output.extend, MAX_OUTPUT_BYTES)
                        if target is None
                        else _bounded(target.write, MAX_FILE_BYTES),
                    ),
                    _drain(process.stderr, errors.add),
                )
                await process.wait()
        except TimeoutError:
            errors.add(f"fatal: it did not end within {seconds:.0f} seconds\n".encode())
            return 124, "", errors.text()
        except _TooLarge as large:
            errors.add(f"fatal: it is larger than {large.limit_bytes // 2**20} MiB\n".encode())
            return 125, "", errors.text()
        finally:
            if target is not None:
                target.close()
            if process.returncode is None:
                if self.confinement is not None:
                    await self.confinement.kill_group(process.pid)
                else:
                    signal_group(process.pid, signal.SIGKILL)
                # Not process.wait(): it waits for the pipes too, and nobody reads on what was too much.
                await exited(process, 10.0)
                process._transport.close()  # type: ignore[attr-defined]
        return process.returncode or 0, bytes(output).decode("utf-8", "surrogateescape"), errors.text()

    def _environment(self) -> dict[str, str]:
        environment = {name: os.environ[name] for name in _FROM_THE_WORKER if name in os.environ}
        environment |= {
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "",
            "GIT_ALLOW_PROTOCOL": self.protocols,
            "GIT_LFS_SKIP_SMUDGE": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_EDITOR": "true",
            "GIT_SEQUENCE_EDITOR": "true",
            "GIT_PAGER": "cat",
        }
        environment |= self._paths()
        if self.person is not None:
            environment |= {
                "GIT_AUTHOR_NAME": self.person.name,
                "GIT_AUTHOR_EMAIL": self.person.email,
                "GIT_COMMITTER_NAME": self.person.name,
                "GIT_COMMITTER_EMAIL": self.person.email,
            }
        return environment

    def _paths(self) -> Mapping[str, str]:
        paths = {
            "GIT_DIR": self.git_dir,
            "GIT_WORK_TREE": self.work_tree,
            "GIT_OBJECT_DIRECTORY": self.objects,
            "GIT_INDEX_FILE": self.index,
        }
        return {name: str(path) for name, path in paths.items() if path is not None}


class _TooLarge(Exception):
    def __init__(self, limit_bytes: int) -> None:
        super().__init__(limit_bytes)
        self.limit_bytes = limit_bytes


def _bounded(write: Callable[[bytes], object], limit_bytes: int) -> Callable[[bytes], None]:
    total = 0

    def take(data: bytes) -> None:
        nonlocal total
        total += len(data)
        if total > limit_bytes:
            raise _TooLarge(limit_bytes)
        write(data)

    return take


async def _feed(stdin: asyncio.StreamWriter | None, data: bytes) -> None:
    if stdin is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        stdin.write(data)
        await stdin.drain()
    stdin.close()


async def _drain(stream: asyncio.StreamReader | None, take: Callable[[bytes], None]) -> None:
    while stream is not None and (data := await stream.read(64 * 1024)):
        take(data)
