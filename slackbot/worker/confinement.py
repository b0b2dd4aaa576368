"""As whom, and within which limits, everything runs that the repository or the agent may have a hand in.

In the container that is a user of its own (`DEVFLOW_AGENT_USER`), reached by setpriv(1): the worker is root, or may run
a copy of setpriv that has the capabilities to change users and nothing else (Dockerfile). Where there is no such user,
the agent is the worker's own user, and only the limits hold; `note` says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import pwd
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from slackbot.core.errors import ConfigError, DevflowError
from slackbot.worker.processes import kill_session, signal_group

LAUNCHER = Path("/usr/local/libexec/devflow-setpriv")
"""setpriv with cap_setuid and cap_setgid, executable by the worker's group alone."""
MAX_PROCESSES = 4096
"""Of the agent's user, threads included (RLIMIT_NPROC counts both, setrlimit(2))."""
KILLED_FIRST = 500
"""oom_score_adj: when memory ends, the kernel takes the agent's processes before the worker."""
LEAST_MEMORY_BYTES = 16 * 2**30
"""No process is held below this: some runtimes reserve gigabytes of addresses ahead of what they use."""
HELPER_SECONDS = 20.0
SCRIPT_SECONDS = 300.0


class ScriptFailed(DevflowError):
    """The agent left something behind that cannot be worked with."""


@dataclass(frozen=True)
class Confinement:
    """`uid` None = the worker's own user. `prefix` goes before a command that shall run confined."""

    uid: int | None = None
    gid: int | None = None
    launcher: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    spared: set[int] = field(default_factory=set, compare=False)
    """Leaders that are the agent's user's and yet not the agent's: the editor. They outlive a cancel."""

    @property
    def is_separate(self) -> bool:
        """Whether the agent is another user than the worker."""
        return self.uid is not None

    @property
    def note(self) -> str:
        """What a person must know; "" when there is nothing."""
        if self.is_separate:
            return ""
        return "The agent runs as the same user as its worker: nothing keeps it from what that user can reach."

    def wrap(self, command: tuple[str, ...], *, dies_with_parent: bool = False) -> tuple[str, ...]:
        """`command`, run as the agent, without new privileges, within the limits."""
        return (*self.limits, *self._as_agent(dies_with_parent), *command)

    def plain(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """`command` run as the agent, without limits of its own: what the worker does in the agent's name."""
        return (*self._as_agent(False), *command)

    def _as_agent(self, dies_with_parent: bool) -> tuple[str, ...]:
        if self.is_separate:
            death = ("--pdeathsig", "KILL") if dies_with_parent and os.geteuid() == 0 else ()
            return (*self.launcher, *death, "--")
        return _no_new_privileges(dies_with_parent)

    def give(self, path: Path) -> None:
        """Lets the agent make things in `path`, a directory of the worker's."""
        if self.uid is None or self.gid is None:
            return
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid)
            return
        os.chown(path, -1, self.gid)  # a member of the agent's group may do that
        path.chmod(0o770)

    def script(self, script: str, *arguments: str, stdin: str = "") -> str:
        """Runs a small script of the worker's as the agent, and gives what it says; `ScriptFailed` when it fails."""
        with subprocess.Popen(
            self.plain(("/bin/sh", "-c", script, "sh", *arguments)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
            process_group=0,
        ) as process:
            try:
                output, errors = process.communicate(stdin.encode("utf-8", "surrogateescape"), SCRIPT_SECONDS)
            except BaseException as error:
                # Not process.kill(): it belongs to the agent's user, and is not alone.
                if self._needs_help_to_kill:
                    subprocess.run(self._killing("KILL", -process.pid), check=False, stderr=subprocess.DEVNULL)
                else:
                    signal_group(process.pid, signal.SIGKILL)
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                raise ScriptFailed(f"The agent's files did not answer within {SCRIPT_SECONDS:.0f} seconds.") from error
        if process.returncode != 0:
            said = errors.decode("utf-8", "replace").strip()[-300:]
            raise ScriptFailed(f"The agent's files could not be handled: {said or process.returncode}.")
        return output.decode("utf-8", "surrogateescape")

    async def end(self, leader: asyncio.subprocess.Process) -> None:
        """Ends a process that was started confined (with start_new_session), and all that came of it."""
        spared = self.spared - {leader.pid}
        if self.is_separate:
            # One signal to all of the user's processes at once (kill(2), -1): what forks and ends faster than anybody
            # can look through /proc would get away. What is spared only stands still meanwhile.
            await self._kill("STOP" if spared else "KILL", -1)
        try:
            await kill_session(leader, kill=self.kill, uid=self.uid, spared=spared)
        finally:
            if self.is_separate and spared:
                await self._kill("CONT", -1)

    async def kill_group(self, group: int) -> None:
        """SIGKILL to a process group that was started confined."""
        if self._needs_help_to_kill:
            await self._kill("KILL", -group)
        else:
            signal_group(group, signal.SIGKILL)

    async def kill(self, pids: Iterable[int]) -> None:
        """SIGKILL, also to processes of the agent's user."""
        numbers = list(pids)
        if numbers and self._needs_help_to_kill:
            await self._kill("KILL", *numbers)
            return
        for number in numbers:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(number, signal.SIGKILL)

    @property
    def _needs_help_to_kill(self) -> bool:
        return self.is_separate and os.geteuid() != 0

    def _killing(self, signal_name: str, *numbers: int) -> tuple[str, ...]:
        """kill(1) as the agent's user, which spares itself."""
        return self.plain(("/bin/kill", f"-{signal_name}", "--", *map(str, numbers)))

    async def _kill(self, signal_name: str, *numbers: int) -> None:
        process = await asyncio.create_subprocess_exec(
            *self._killing(signal_name, *numbers),
            stderr=asyncio.subprocess.DEVNULL,
            env={"PATH": os.defpath},
        )
        await asyncio.wait_for(process.wait(), HELPER_SECONDS)


def find_confinement(user: str | None) -> Confinement:
    """How to confine to `user` (a name, or UID:GID); None = no user of its own.

    `ConfigError` when a user is named and cannot be changed to: then nothing may start.
    """
    if not user:
        return Confinement(limits=_limits(own_user=False))
    uid, gid = _ids(user)
    if uid == os.geteuid() or uid == 0:
        raise ConfigError([f"DEVFLOW_AGENT_USER: {user} must be another user than the worker's, and not root"])
    program = "setpriv" if os.geteuid() == 0 else str(LAUNCHER)
    found = shutil.which(program)
    if found is None:
        raise ConfigError([f"DEVFLOW_AGENT_USER: there is no {program}, so nothing can run as {user}"])
    launcher = (
        found, "--reuid", str(uid), "--regid", str(gid), "--clear-groups", "--no-new-privs", "--inh-caps=-all",
    )  # fmt: skip
    tried = subprocess.run(
        [*launcher, "--", "id", "-u"], capture_output=True, text=True, check=False, env={"PATH": os.defpath}
    )
    if tried.returncode != 0 or tried.stdout.strip() != str(uid):
        said = tried.stderr.strip().splitlines()[-1:] or [f"exit status {tried.returncode}"]
        raise ConfigError([f"DEVFLOW_AGENT_USER: nothing can be run as {user} here: {said[0]}"])
    return Confinement(uid, gid, launcher, _limits(own_user=True))


def _ids(user: str) -> tuple[int, int]:
    name, _, group = user.partition(":")
    if name.isdigit() and group.isdigit():
        return int(name), int(group)
    try:
        entry = pwd.getpwnam(user)
    except KeyError as error:
        raise ConfigError([f"DEVFLOW_AGENT_USER: there is no user {user}; name one, or UID:GID"]) from error
    return entry.pw_uid, entry.pw_gid


@functools.cache
def _limits(*, own_user: bool) -> tuple[str, ...]:
    """A command's prefix: no core dumps, bounded memory and processes, killed before the worker."""
    if sys.platform != "linux":
        return ()
    prefix: tuple[str, ...] = ()
    prlimit, choom = shutil.which("prlimit"), shutil.which("choom")
    if prlimit is not None:
        asked = [prlimit, "--core=0:0", f"--data={_memory_bytes()}"]
        # Of a user that others work as, too, the number of processes says nothing.
        if own_user:
            asked.append(f"--nproc={_at_most(resource.RLIMIT_NPROC, MAX_PROCESSES)}")
        prefix = _that_works((*asked, "--"))
    if choom is not None:
        prefix += _that_works((choom, "-n", str(KILLED_FIRST), "--"))
    return prefix


def _that_works(prefix: tuple[str, ...]) -> tuple[str, ...]:
    works = subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    return prefix if works else ()


def _memory_bytes() -> int:
    """What one process may write to: nine tenths of the task's memory, but no less than LEAST_MEMORY_BYTES."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            whole = min(whole, int(Path(path).read_text()))
        except (OSError, ValueError):
            continue
    return _at_most(resource.RLIMIT_DATA, max(whole * 9 // 10, LEAST_MEMORY_BYTES))


def _at_most(kind: int, wanted: int) -> int:
    hard = resource.getrlimit(kind)[1]
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


@functools.cache
def _no_new_privileges(dies_with_parent: bool) -> tuple[str, ...]:
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    if setpriv is None:
        return ()
    death = ("--pdeathsig", "KILL") if dies_with_parent else ()
    # BusyBox has a setpriv that does not know every option.
    return _that_works((setpriv, "--no-new-privs", *death, "--"))
