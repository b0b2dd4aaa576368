"""Processes of this machine: who they are, which belong to a task, and how to signal them without mistake.

Reads /proc on Linux and `ps` elsewhere; used by local_tasks and local_supervisor. Standard library only
and light to import, because each supervisor pays for it at its start.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

MARKER_VARIABLE = "DEVFLOW_TASK_ID"
"""Stands in the environment of every process of a task, so that strays are found; holds no secret."""

USE_PROC = sys.platform == "linux"

_PS = "ps" if USE_PROC else "/bin/ps"
_PS_WITH_ENVIRONMENT = "axeww" if USE_PROC else "-axEww"

# https://man7.org/linux/man-pages/man2/prctl.2.html
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class ProcessIdentity(NamedTuple):
    """A process that cannot be confused with a later one of the same pid.

    `started` is the boot id and the start in clock ticks on Linux, elsewhere the start time as `ps` has it.
    """

    pid: int
    started: str


class _Entry(NamedTuple):
    parent_pid: int
    started: str
    is_zombie: bool


def boot_id() -> str:
    """The id of this run of the machine; empty where the system has none."""
    if not USE_PROC:
        return ""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def identify(pid: int) -> ProcessIdentity | None:
    """Who runs under `pid` now; None when nobody does (a zombie runs no more)."""
    entry = _read_stat(pid, boot_id()) if USE_PROC else _ps_table(["-p", str(pid)]).get(pid)
    if entry is None or entry.is_zombie:
        return None
    return ProcessIdentity(pid, entry.started)


def is_running(identity: ProcessIdentity) -> bool:
    """Whether exactly this process still runs."""
    return identify(identity.pid) == identity


def send_signal(identity: ProcessIdentity, signal_number: int) -> bool:
    """Signals exactly this process; False when it is gone, whoever has its pid now.

    On Linux a pidfd is opened first and the identity checked after: the pid cannot change hands in between.
    https://man7.org/linux/man-pages/man2/pidfd_open.2.html
    """
    try:
        if not USE_PROC:
            if not is_running(identity):
                return False
            os.kill(identity.pid, signal_number)
            return True
        pidfd = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return False
    try:
        if not is_running(identity):
            return False
        signal.pidfd_send_signal(pidfd, signal_number)
    except ProcessLookupError:
        return False
    finally:
        os.close(pidfd)
    return True


def find_task_processes(task_id: str, *, root_pid: int | None = None) -> list[ProcessIdentity]:
    """Every living process that carries the task's marker or descends from one that does, or from `root_pid`.

    `root_pid` and the caller itself are never among them.
    """
    table = _proc_table() if USE_PROC else _ps_table(["-ax"])
    children: dict[int, list[int]] = {}
    for pid, entry in table.items():
        children.setdefault(entry.parent_pid, []).append(pid)
    waiting = _marked_pids(task_id, table)
    if root_pid is not None:
        waiting += children.get(root_pid, [])
    found: dict[int, _Entry] = {}
    spared = {root_pid, os.getpid()}
    while waiting:
        pid = waiting.pop()
        if pid in found or pid in spared or pid not in table:
            continue
        found[pid] = table[pid]
        waiting += children.get(pid, [])
    return [ProcessIdentity(pid, entry.started) for pid, entry in found.items() if not entry.is_zombie]


def become_subreaper() -> None:
    """Makes orphaned descendants children of this process: none can hide by double forking (Linux only)."""
    if USE_PROC:
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def death_signal_setter() -> Callable[[], None] | None:
    """What a child runs between fork and exec to be killed when its parent, the caller, dies; Linux only.

    For a caller with one thread: then Python code after a fork is safe, and the kernel's "parent", which is
    the thread that forked, is the process. Everything is loaded here, before the fork.
    """
    if not USE_PROC:
        return None
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    parent_pid = os.getpid()

    def set_death_signal() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent_pid:  # the parent died before the line above took effect
            os.kill(os.getpid(), signal.SIGKILL)

    return set_death_signal


def _read_stat(pid: int, boot: str) -> _Entry | None:
    """Fields 3, 4 and 22 of /proc/PID/stat. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html"""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            line = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = line[line.rindex(b")") + 2 :].split()  # the name before it may hold spaces and brackets
    return _Entry(
        parent_pid=int(fields[1]),
        started=f"{boot}/{int(fields[19])}",
        is_zombie=fields[0] in (b"Z", b"X"),
    )


def _proc_pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _proc_table() -> dict[int, _Entry]:
    boot = boot_id()
    table = {}
    for pid in _proc_pids():
        entry = _read_stat(pid, boot)
        if entry is not None:
            table[pid] = entry
    return table


def _ps_table(selection: list[str]) -> dict[int, _Entry]:
    table = {}
    for line in _ps_lines([*selection, "-o", "pid=,ppid=,stat=,lstart="]):
        words = line.split()
        if len(words) >= 8:
            table[int(words[0])] = _Entry(int(words[1]), " ".join(words[3:8]), words[2].startswith("Z"))
    return table


def _marked_pids(task_id: str, table: dict[int, _Entry]) -> list[int]:
    if not USE_PROC:
        marker = f"{MARKER_VARIABLE}={task_id}"
        lines = (line.split() for line in _ps_lines([_PS_WITH_ENVIRONMENT, "-o", "pid=,command="]))
        return [int(words[0]) for words in lines if marker in words[2:]]
    wanted = f"\0{MARKER_VARIABLE}={task_id}\0".encode()
    found = []
    for pid in table:
        # Processes of other people may not be read, and are none of ours.
        with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
            if wanted in b"\0" + file.read() + b"\0":
                found.append(pid)
    return found


def _ps_lines(arguments: list[str]) -> list[str]:
    done = subprocess.run(
        [_PS, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
        check=False,
    )
    return done.stdout.decode(errors="replace").splitlines()
