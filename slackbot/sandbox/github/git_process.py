"""git as a process: argument lists, no shell, no configuration of the machine or the user, bounded output and time."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

OUTPUT_LIMIT_BYTES = 64 * 1024 * 1024
_TIMEOUT_SECONDS = 120.0


class GitError(Exception):
    """git ended with an error; `stderr` is what it said."""

    def __init__(self, stderr: str, returncode: int) -> None:
        super().__init__(stderr.strip()[-500:] or f"git ended with {returncode}")
        self.stderr = stderr
        self.returncode = returncode


def git_environment(**more: str) -> dict[str, str]:
    """PATH and little else: no configuration of the machine or the user, no prompt, no other protocol."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "LD_LIBRARY_PATH") if name in os.environ}
    return kept | {
        "HOME": os.devnull,
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "file",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        **more,
    }


async def run_git(
    *arguments: str,
    stdin: bytes | None = None,
    limit_bytes: int = OUTPUT_LIMIT_BYTES,
    timeout: float = _TIMEOUT_SECONDS,
) -> bytes:
    """Its standard output, cut at `limit_bytes`. `GitError` when it fails, TimeoutError when it takes too long."""
    process = await asyncio.create_subprocess_exec(
        "git",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=git_environment(),
        start_new_session=True,
    )

    async def feed() -> None:
        if process.stdin is not None and stdin is not None:
            with suppress(BrokenPipeError, ConnectionResetError):
                process.stdin.write(stdin)
                await process.stdin.drain()
            process.stdin.close()

    async def take(stream: asyncio.StreamReader | None) -> tuple[bytes, bool]:
        chunks: list[bytes] = []
        size = 0
        while stream is not None and (chunk := await stream.read(65_536)):
            chunks.append(chunk)
            size += len(chunk)
            if size > limit_bytes:
                _kill_group(process)
                return b"".join(chunks)[:limit_bytes], True
        return b"".join(chunks), False

    try:
        async with asyncio.timeout(timeout):
            _, (output, cut), (said, _) = await asyncio.gather(feed(), take(process.stdout), take(process.stderr))
            returncode = await process.wait()
    finally:
        if process.returncode is None:
            _kill_group(process)
            await process.wait()
    if returncode != 0 and not cut:
        raise GitError(said.decode(errors="replace"), returncode)
    return output


def _kill_group(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
