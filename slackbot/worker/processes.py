"""Starting and ending processes so that nothing of them is left, and hiding what the worker knows from them.

Used by agent, shell_agent, git and main; reads /proc where there is one, `ps` elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path

from slackbot.worker.logs import log

_PR_SET_DUMPABLE = 4


def dies_with_parent(command: tuple[str, ...]) -> tuple[str, ...]:
    """`command` so that the kernel kills it when its parent dies (Linux with util-linux; else unchanged).

    prctl(2) PR_SET_PDEATHSIG is set by setpriv(1) and not by a preexec_fn, which is unsafe with threads.
    """
    return (*_death_signal(), *command)


@functools.cache
def _death_signal() -> tuple[str, ...]:
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    prefix = (setpriv or "", "--pdeathsig", "KILL", "--")
    # BusyBox has a setpriv that does not know the option.
    if setpriv is None or subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode != 0:
        return ()
    return prefix


def take_secret(name: str) -> str | None:
    """The environment variable `name`, removed from this process so that no child and no reader of
    /proc/PID/environ finds it."""
    value = os.environ.get(name)
    if value is None:
        return None
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_void_p
    address = libc.getenv(name.encode())
    if address:
        # unsetenv only forgets the pointer; the text would stay where /proc/PID/environ reads it.
        ctypes.memset(address, 0, len(os.fsencode(value)))
    del os.environ[name]
    return value


def forbid_inspection() -> None:
    """Linux: other processes of this user can no longer read this one's memory, and it dumps no core."""
    if sys.platform == "linux" and ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        log.warning("process_stays_inspectable")


async def kill_session(
    leader: asyncio.subprocess.Process,
    *,
    kill: Callable[[list[int]], Awaitable[None]] | None = None,
    uid: int | None = None,
    spared: Iterable[int] = (),
) -> None:
    """SIGKILL to `leader` (started with start_new_session), its session and all its descendants; waits for it.

    With `uid` also to every other process of that user, wherever it got away to, but for those that descend from
    `spared`. `kill` does it where the worker may not.
    """
    for _ in range(5):  # a process may fork while we look
        rows = list(_processes())
        victims = _family(rows, {leader.pid})
        if uid is not None:
            victims |= _of_user(uid) - _family(rows, set(spared))
        victims.discard(os.getpid())
        if not victims:
            break
        if kill is not None:
            await kill(sorted(victims))
        else:
            for pid in victims:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.01)
    await exited(leader, 10.0)


async def exited(process: asyncio.subprocess.Process, seconds: float) -> bool:
    """Whether `process` ended within `seconds`.

    Not process.wait(): that also waits for the pipes, which a descendant that got away may hold open.
    """
    deadline = time.monotonic() + seconds
    while process.returncode is None and time.monotonic() < deadline:  # noqa: ASYNC110  asyncio offers no event for it
        await asyncio.sleep(0.01)
    return process.returncode is not None


def signal_group(group: int, number: signal.Signals) -> bool:
    """Sends `number` to a process group; False when nobody is in it any more."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS says so for a group that holds only zombies
        return False
    return True


def _family(rows: list[tuple[int, int, int]], leaders: set[int]) -> set[int]:
    """The leaders that run, their sessions, and all that descends from them."""
    victims = {pid for pid, _, session in rows if pid in leaders or session in leaders}
    grew = True
    while grew:
        more = {pid for pid, parent, _ in rows if parent in victims} - victims
        grew = bool(more)
        victims |= more
    return victims


def _of_user(uid: int) -> set[int]:
    """The processes that run as this user (Linux). From their status: /proc/PID itself may belong to root."""
    found = set()
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                lines = Path(entry.path, "status").read_text().splitlines()
                fields = dict(line.split(":", 1) for line in lines if ":" in line)
                if str(uid) in fields["Uid"].split() and not fields["State"].strip().startswith(("Z", "X")):
                    found.add(int(entry.name))
    return found


def _processes() -> Iterator[tuple[int, int, int]]:
    """(pid, parent, session; without /proc the process group) of every process that is not a zombie."""
    if Path("/proc/self/stat").exists():
        for entry in os.scandir("/proc"):
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    # The name in parentheses may hold anything, also spaces and parentheses (proc_pid_stat(5)).
                    stat = Path(entry.path, "stat").read_text().rpartition(")")[2]
                    state, parent, _group, session = stat.split()[:4]
                    if state not in "ZX":
                        yield int(entry.name), int(parent), int(session)
        return
    columns = ["ps", "-A", "-o", "pid=,ppid=,pgid=,state="]
    for line in subprocess.run(columns, capture_output=True, text=True, check=False).stdout.splitlines():
        pid, parent, group, state = line.split()[:4]
        if not state.startswith("Z"):
            yield int(pid), int(parent), int(group)
