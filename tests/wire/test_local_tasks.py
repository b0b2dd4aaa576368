"""Local tasks as whole processes: what is left, and what is told, whoever is killed.

Real supervisors and workers; `ps` is the witness, not the code under test.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog

from slackbot.adapters import local_supervisor, process_table
from slackbot.adapters.local_supervisor import LogFile
from slackbot.adapters.local_tasks import INHERITED_VARIABLES, LocalTasks
from slackbot.core.errors import PermanentError
from slackbot.core.ports import TaskObservation, TaskRequest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = [sys.executable, "-I", "-S", "-c"]
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="rests on a death signal or a subreaper")

REQUEST = TaskRequest("11111111-2222-4333-8444-555555555555", 1_700_000_000_000, "one-token")

# Says its pid in the directory given, then goes on. Each descendant does the same in its own way.
FAMILY = """
import os, signal, sys, time
def note(name):
    with open(sys.argv[1] + "/." + name, "w") as file: file.write(str(os.getpid()))
    os.rename(sys.argv[1] + "/." + name, sys.argv[1] + "/" + name)
def sleep(name, environment=None):
    code = "import os, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    code += "d, n = sys.argv[1:]; open(d + '/.' + n, 'w').write(str(os.getpid()));"
    code += "os.rename(d + '/.' + n, d + '/' + n); time.sleep(600)"
    command = [sys.executable, "-I", "-S", "-c", code, sys.argv[1], name]
    os.execve(sys.executable, command, environment or dict(os.environ))
for name in sys.argv[2].split(","):
    if os.fork() == 0:
        if name == "plain": sleep(name)
        os.setsid()
        if os.fork() == 0:
            if name == "cleared": sleep(name, {"PATH": "/bin"})
            sleep(name)
        os._exit(0)
note("worker")
while not os.path.exists(sys.argv[1] + "/go"): time.sleep(0.01)
"""

BOT = """
import asyncio, os, signal, sys
from pathlib import Path
from slackbot.adapters import local_tasks
from slackbot.core.ports import TaskRequest
if sys.argv[4] == "die before the supervisor":
    local_tasks.subprocess.Popen = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
async def main():
    tasks = local_tasks.LocalTasks(Path(sys.argv[1]), command=eval(sys.argv[2]))
    print("ready", flush=True)
    sys.stdin.readline()
    task = await tasks.run_task(TaskRequest("11111111-2222-4333-8444-555555555555", 1_700_000_000_000, sys.argv[3]))
    print(task.task_arn, flush=True)
    sys.stdin.readline()
asyncio.run(main())
"""


def ps_lines(*, environment: bool) -> list[str]:
    """Every process as `ps` tells it: pid, arguments, and if asked the environment too."""
    flag = "-ax" if not environment else "axe" if sys.platform == "linux" else "-axE"
    command = ["ps", flag + "ww", "-o", "pid=,command="]
    return subprocess.run(command, capture_output=True, check=True).stdout.decode(errors="replace").splitlines()


class Machine:
    """One state directory, the adapters opened on it and the bots started beside."""

    def __init__(self, tmp_path: Path) -> None:
        self.state_dir = tmp_path / "tasks"
        self.notes = tmp_path / "notes"
        self.notes.mkdir()
        self.state_dir.mkdir()
        self.bots: list[subprocess.Popen[bytes]] = []
        self._opened: list[LocalTasks] = []

    def open(self, command: Sequence[str] = ("/bin/sleep", "600"), **options: Any) -> LocalTasks:
        self._opened.append(LocalTasks(self.state_dir, command=command, **{"stop_grace_seconds": 5, **options}))
        return self._opened[-1]

    def family(self, *names: str, **options: Any) -> LocalTasks:
        return self.open([*PYTHON, FAMILY, str(self.notes), ",".join(names)], **options)

    def start_bot(self, command: Sequence[str], *, token: str = "one-token", fate: str = "") -> subprocess.Popen[bytes]:
        arguments = [str(self.state_dir), repr(list(command)), token, fate]
        environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
        bot = subprocess.Popen(
            [sys.executable, "-c", BOT, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        self.bots.append(bot)
        assert bot.stdout is not None
        assert bot.stdout.readline() == b"ready\n"
        return bot

    def state(self, task_arn: str) -> dict[str, Any]:
        state: dict[str, Any] = json.loads((self.directory(task_arn) / "state.json").read_text())
        return state

    def directory(self, task_arn: str) -> Path:
        return self.state_dir / task_arn.rsplit("/", 1)[1]

    def statuses(self, task_arn: str) -> list[str]:
        return [status for status, _at in self.state(task_arn)["transitions"]]

    async def pids(self, *names: str) -> dict[str, int]:
        """The numbers that processes of the task write down, their pids mostly."""

        def said(name: str) -> str:
            # The file is there a moment before what it holds.
            return (self.notes / name).read_text() if (self.notes / name).exists() else ""

        await until(lambda: all(said(name) for name in names), f"{names} to say their pids")
        return {name: int(said(name)) for name in names}

    def task_ids(self) -> list[str]:
        return [name for name in os.listdir(self.state_dir) if not name.startswith(".")]

    def processes(self) -> list[str]:
        """Every process that belongs to a task of this state directory, supervisors included."""
        signs = [*(f"DEVFLOW_TASK_ID={task_id}" for task_id in self.task_ids()), str(self.state_dir), str(self.notes)]
        return [line for line in ps_lines(environment=True) if any(sign in line for sign in signs)]

    async def close(self) -> None:
        for bot in self.bots:
            bot.kill()
            bot.communicate()
        try:
            await self.open().stop_all("the test is over")
            for tasks in self._opened:
                await tasks.close()
            with contextlib.suppress(AssertionError):
                await until(lambda: not self.processes(), "nothing to be left", seconds=10)
        finally:
            left = self.processes()
            for line in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(line.split()[0]), signal.SIGKILL)
        assert left == []


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    """A state directory; at the end everything on it is stopped, and nothing may be left running."""
    machine = Machine(tmp_path)
    yield machine
    await machine.close()


def release(bot: subprocess.Popen[bytes]) -> None:
    """Lets a bot that is ready run its task."""
    assert bot.stdin is not None
    bot.stdin.write(b"\n")
    bot.stdin.flush()


def told_arn(bot: subprocess.Popen[bytes]) -> str:
    """The arn that a released bot prints, among its logs."""
    assert bot.stdout is not None
    return next(line.decode().strip() for line in bot.stdout if line.startswith(b"arn:"))


async def until(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        await asyncio.sleep(0.01)


async def wait_for(tasks: LocalTasks, task_arn: str, status: str) -> TaskObservation:
    deadline = time.monotonic() + 20
    while (task := (await tasks.describe_tasks([task_arn]))[task_arn]).last_status != status:
        assert time.monotonic() < deadline, f"still {task}"
        await asyncio.sleep(0.01)
    return task


def runs(pid: int) -> bool:
    """Whether the pid is that of a living process (a zombie lives no more)."""
    done = subprocess.run(["ps", "-p", str(pid), "-o", "stat="], capture_output=True, check=False)
    return bool(done.stdout.strip()) and not done.stdout.startswith(b"Z")


async def locked(directory: Path) -> int:
    """The task's lock, as soon as its supervisor is gone; who has it passes for a living supervisor."""
    await until(lambda: str(directory) not in "\n".join(ps_lines(environment=False)), "the supervisor to go")
    # A dying process loses its command line a moment before its files.
    locks: list[int] = []

    def lock() -> bool:
        taken = local_supervisor.lock_task(directory)
        locks.extend(() if taken is None else (taken,))
        return bool(locks)

    await until(lock, "the lock to be free")
    return locks[0]


async def start(tasks: LocalTasks, request: TaskRequest = REQUEST) -> TaskObservation:
    task = await tasks.run_task(request)
    return await wait_for(tasks, task.task_arn, "RUNNING")


# ---------------------------------------------------------------------------------- states, ends, stopping


async def test_the_states_of_a_task_that_is_stopped(machine: Machine) -> None:
    """Every state in ECS's order, each recorded when it came."""
    tasks = machine.open()
    task = await start(tasks)
    ended = await tasks.stop_all("enough")
    assert [(end.stop_code, end.stopped_reason) for end in ended] == [("UserInitiated", "enough")]
    life = "PROVISIONING PENDING RUNNING DEACTIVATING STOPPING DEPROVISIONING STOPPED"
    assert machine.statuses(task.task_arn) == life.split()


async def test_the_states_of_a_task_that_never_starts(machine: Machine) -> None:
    """It is never said to run, and the reason names the command and what is wrong with it."""
    tasks = machine.open(["/nowhere/devflow-worker"])
    task = await tasks.run_task(REQUEST)
    task = await wait_for(tasks, task.task_arn, "STOPPED")
    assert "RUNNING" not in machine.statuses(task.task_arn)
    expected = "CannotStartContainerError: the command /nowhere/devflow-worker was not found on this machine"
    assert task.stopped_reason == expected


async def test_a_command_that_may_not_be_executed(machine: Machine, tmp_path: Path) -> None:
    """A file without the x bit is a failed start that says so."""
    script = tmp_path / "worker.txt"
    script.write_text("#!/bin/sh\n")
    tasks = machine.open([str(script)])
    task = await tasks.run_task(REQUEST)
    task = await wait_for(tasks, task.task_arn, "STOPPED")
    assert task.stop_code == "TaskFailedToStart"
    assert "may not be executed" in str(task.stopped_reason)


async def test_sigterm_gives_the_worker_time_to_save(machine: Machine) -> None:
    """A worker that handles SIGTERM ends in its own way, and its own exit code counts."""
    code = "import pathlib, signal, sys, time; n = pathlib.Path(sys.argv[1])\n"
    code += "signal.signal(signal.SIGTERM, lambda *_: ((n / 'saved').write_text('yes'), sys.exit(0)))\n"
    code += "(n / 'worker').write_text('1')\ntime.sleep(600)"
    tasks = machine.open([*PYTHON, code, str(machine.notes)])
    task = await start(tasks)
    await machine.pids("worker")
    await tasks.stop_task(task.task_arn, "save it")
    task = await wait_for(tasks, task.task_arn, "STOPPED")
    assert (machine.notes / "saved").read_text() == "yes"
    assert (task.stop_code, task.exit_code) == ("UserInitiated", 0)


async def test_a_worker_deaf_to_sigterm_is_killed(machine: Machine) -> None:
    """After the grace comes SIGKILL, and 137."""
    tasks = machine.open(["/bin/sh", "-c", f"trap '' TERM; echo 1 > {machine.notes}/worker; sleep 600; sleep 600"],
                         stop_grace_seconds=0.2)  # fmt: skip
    task = await start(tasks)
    await machine.pids("worker")
    await tasks.stop_task(task.task_arn, "now")
    task = await wait_for(tasks, task.task_arn, "STOPPED")
    assert (task.stop_code, task.exit_code) == ("UserInitiated", 137)


async def test_a_stop_whose_signal_was_lost_is_obeyed(machine: Machine) -> None:
    """A bot that dies between writing the request and signalling has still stopped the task."""
    tasks = machine.open()
    task = await start(tasks)
    (machine.directory(task.task_arn) / "stop.json").write_text(json.dumps({"reason": "last will"}))
    task = await wait_for(tasks, task.task_arn, "STOPPED")
    assert (task.stop_code, task.stopped_reason) == ("UserInitiated", "last will")


async def test_a_supervisor_told_to_end_stops_its_task(machine: Machine) -> None:
    """SIGTERM to the supervisor, as at a shutdown, ends the worker with SIGTERM and says why."""
    tasks = machine.open()
    task = await start(tasks)
    os.kill(machine.state(task.task_arn)["supervisor"]["pid"], signal.SIGTERM)
    task = await wait_for(tasks, task.task_arn, "STOPPED")
    assert (task.stop_code, task.exit_code) == ("TerminationNotice", 143)


# --------------------------------------------------------------------------------------- nothing is left over


@pytest.mark.parametrize("end", ["exits", "is stopped", "is killed"])
async def test_no_descendant_outlives_the_worker(machine: Machine, end: str) -> None:
    """However the worker ends, a plain child and a daemon, both deaf to SIGTERM, end with it."""
    tasks = machine.family("plain", "daemon", stop_grace_seconds=0.2)
    task = await start(tasks)
    pids = await machine.pids("worker", "plain", "daemon")
    if end == "exits":
        (machine.notes / "go").touch()
    elif end == "is stopped":
        await tasks.stop_task(task.task_arn, "enough")
    else:
        os.kill(pids["worker"], signal.SIGKILL)
    task = await wait_for(tasks, task.task_arn, "STOPPED")
    assert [name for name, pid in pids.items() if runs(pid)] == []
    expected = {
        "exits": ("EssentialContainerExited", 0),
        "is stopped": ("UserInitiated", 143),
        "is killed": ("EssentialContainerExited", 137),
    }
    assert (task.stop_code, task.exit_code) == expected[end]


@linux_only
async def test_a_daemon_that_cleared_its_environment_is_killed_too(machine: Machine) -> None:
    """It carries no marker, but still descends from the supervisor."""
    tasks = machine.family("cleared")
    task = await start(tasks)
    pids = await machine.pids("worker", "cleared")
    (machine.notes / "go").touch()
    await wait_for(tasks, task.task_arn, "STOPPED")
    assert not runs(pids["cleared"])


@linux_only
async def test_the_worker_dies_with_its_supervisor(machine: Machine) -> None:
    """Also while no bot is there to see it."""
    tasks = machine.family("plain")
    task = await start(tasks)
    pids = await machine.pids("worker", "plain")
    os.kill(machine.state(task.task_arn)["supervisor"]["pid"], signal.SIGKILL)
    await until(lambda: not runs(pids["worker"]), "the worker's death")


async def test_a_killed_supervisor_is_noticed(machine: Machine) -> None:
    """The next look, by any bot, kills what the task left and records the end for good."""
    tasks, other = machine.family("plain", "daemon"), machine.open()
    task = await start(tasks)
    pids = await machine.pids("worker", "plain", "daemon")
    os.kill(machine.state(task.task_arn)["supervisor"]["pid"], signal.SIGKILL)
    task = await wait_for(other, task.task_arn, "STOPPED")
    assert (task.stop_code, task.exit_code) == ("EssentialContainerExited", None)
    assert task.stopped_reason == "The supervisor of this task was killed"
    assert [name for name, pid in pids.items() if runs(pid)] == []
    assert (await tasks.describe_tasks([task.task_arn]))[task.task_arn] == task
    assert machine.state(task.task_arn)["last_status"] == "STOPPED"


async def test_stopping_a_task_whose_supervisor_was_killed(machine: Machine) -> None:
    """It ends at once, and nothing of it is left."""
    tasks = machine.family("daemon")
    task = await start(tasks)
    pids = await machine.pids("worker", "daemon")
    os.kill(machine.state(task.task_arn)["supervisor"]["pid"], signal.SIGKILL)
    await until(lambda: not runs(machine.state(task.task_arn)["supervisor"]["pid"]), "its death")
    await tasks.stop_task(task.task_arn, "enough")
    assert machine.state(task.task_arn)["last_status"] == "STOPPED"
    assert [name for name, pid in pids.items() if runs(pid)] == []


# --------------------------------------------------------------------------------------- bots come and go


async def test_a_task_outlives_its_killed_bot(machine: Machine) -> None:
    """The next bot finds the task running, by list and by client token, and can stop it."""
    bot = machine.start_bot(["/bin/sleep", "600"])
    release(bot)
    task_arn = told_arn(bot)
    bot.kill()
    bot.wait()
    tasks = machine.open()
    await wait_for(tasks, task_arn, "RUNNING")
    assert [task.task_arn for task in await tasks.list_tasks()] == [task_arn]
    assert (await tasks.run_task(REQUEST)).task_arn == task_arn
    await tasks.stop_task(task_arn, "by its heir")
    task = await wait_for(tasks, task_arn, "STOPPED")
    assert (task.stopped_reason, task.exit_code) == ("by its heir", 143)


async def test_bot_supervisor_and_worker_killed_at_once(machine: Machine) -> None:
    """What the worker left is killed when the next bot looks."""
    command = [*PYTHON, FAMILY, str(machine.notes), "daemon"]
    bot = machine.start_bot(command)
    release(bot)
    task_arn = told_arn(bot)
    pids = await machine.pids("worker", "daemon")
    for pid in (bot.pid, machine.state(task_arn)["supervisor"]["pid"], pids["worker"]):
        os.kill(pid, signal.SIGKILL)
    bot.wait()
    tasks = machine.open()
    task = await wait_for(tasks, task_arn, "STOPPED")
    assert task.stop_code == "EssentialContainerExited"
    assert not runs(pids["daemon"])
    assert await tasks.list_tasks() == []


@pytest.mark.parametrize("then", ["is asked again", "is looked at"])
async def test_a_bot_killed_in_the_middle_of_a_start(machine: Machine, then: str) -> None:
    """With its directory made and no supervisor yet, a task is finished, or is known to have failed."""
    bot = machine.start_bot(["/bin/sleep", "600"], fate="die before the supervisor")
    bot.communicate(b"\n")
    assert bot.returncode == -signal.SIGKILL
    (task_id,) = machine.task_ids()
    tasks = machine.open()
    if then == "is asked again":
        task = await start(tasks)
        assert task.task_arn.endswith(task_id)
        return
    assert await tasks.list_tasks() == []
    task = await tasks.run_task(REQUEST)
    assert (task.last_status, task.stop_code) == ("STOPPED", "TaskFailedToStart")
    assert task.stopped_reason == "DevFlow ended while it was starting this task"


async def test_a_stop_that_comes_before_the_supervisor_is_kept(machine: Machine) -> None:
    """Its worker is never started, not for an instant."""
    bot = machine.start_bot(["/bin/sleep", "600"], fate="die before the supervisor")
    bot.communicate(b"\n")
    (task_id,) = machine.task_ids()
    (machine.state_dir / task_id / "stop.json").write_text(json.dumps({"reason": "changed my mind"}))
    tasks = machine.open()
    task = await tasks.run_task(REQUEST)
    task = await wait_for(tasks, task.task_arn, "STOPPED")
    assert (task.stop_code, task.stopped_reason, task.exit_code) == ("UserInitiated", "changed my mind", None)
    assert "RUNNING" not in machine.statuses(task.task_arn)


async def test_bots_that_race_start_one_worker(machine: Machine) -> None:
    """Four processes with the same client token: one worker ever begins."""
    command = ["/bin/sh", "-c", f"echo begun >> {machine.notes}/begun; exec sleep 600"]
    bots = [machine.start_bot(command) for _ in range(4)]
    for bot in bots:
        release(bot)
    (task_arn,) = {told_arn(bot) for bot in bots}
    await wait_for(machine.open(), task_arn, "RUNNING")
    await until(lambda: (machine.notes / "begun").exists(), "the worker to begin")
    assert (machine.notes / "begun").read_text() == "begun\n"
    assert len([line for line in ps_lines(environment=False) if f"{machine.state_dir}/" in line]) == 1


# ------------------------------------------------------------------------------------- whom a signal may meet


@pytest.mark.parametrize("supervised", [True, False])
async def test_a_pid_that_was_reused_is_not_signalled(machine: Machine, supervised: bool) -> None:
    """A process with the supervisor's pid and another start is someone else's."""
    tasks = machine.open()
    task = await start(tasks)
    await tasks.stop_all("make room")
    state = machine.state(task.task_arn)
    with subprocess.Popen(["/bin/sleep", "600"]) as stranger:
        state |= {"last_status": "RUNNING", "supervisor": {**state["supervisor"], "pid": stranger.pid}}
        directory = machine.directory(task.task_arn)
        (directory / "state.json").write_text(json.dumps(state))
        (directory / "stop.json").unlink()
        another = machine.open()
        lock = await locked(directory)
        if not supervised:
            os.close(lock)
        await another.stop_task(task.task_arn, "enough")
        assert stranger.poll() is None
        if supervised:
            os.close(lock)
        end = await wait_for(another, task.task_arn, "STOPPED")
        assert end.stop_code == ("UserInitiated" if supervised else "EssentialContainerExited")
        assert stranger.poll() is None
        stranger.kill()


def test_a_signal_needs_the_whole_identity() -> None:
    """The right pid with the wrong start is not running and not signalled; the right one is."""
    with subprocess.Popen(["/bin/sleep", "600"]) as process:
        identity = process_table.identify(process.pid)
        assert identity is not None
        wrong = identity._replace(started=identity.started + "0")
        assert not process_table.is_running(wrong)
        assert not process_table.send_signal(wrong, signal.SIGKILL)
        assert process.poll() is None
        assert process_table.send_signal(identity, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert not process_table.send_signal(identity, signal.SIGKILL)


async def test_ps_tells_the_same_as_proc(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no /proc, `ps` finds the same processes of a task."""
    tasks = machine.family("plain", "daemon")
    task = await start(tasks)
    pids = await machine.pids("worker", "plain", "daemon")
    monkeypatch.setattr(process_table, "USE_PROC", False)
    found = process_table.find_task_processes(machine.directory(task.task_arn).name)
    assert {process.pid for process in found} == set(pids.values())
    assert process_table.identify(os.getpid()) is not None
    assert process_table.identify(2**22 + 1) is None


# --------------------------------------------------------------------------------- what a worker gets and leaves


async def test_the_token_is_in_no_argument_and_no_file(machine: Machine) -> None:
    """The worker has it; `ps`, the supervisor's environment and the disk do not."""
    token = "t0ken-" + os.urandom(16).hex()
    code = f"import os; open({str(machine.notes / 'length')!r}, 'w').write(str(len(os.environ['WORKER_TOKEN'])))"
    tasks = machine.open([*PYTHON, code + "; import time; time.sleep(600)"])
    request = TaskRequest(REQUEST.session_id, REQUEST.launch, "client-" + token, {"WORKER_TOKEN": token})
    task = await start(tasks, request)
    assert await machine.pids("length") == {"length": len(token)}
    supervisor = machine.state(task.task_arn)["supervisor"]["pid"]
    assert [line for line in ps_lines(environment=False) if token in line] == []
    holders = [int(line.split()[0]) for line in ps_lines(environment=True) if token in line]
    assert holders == [machine.state(task.task_arn)["worker"]["pid"]]
    assert supervisor not in holders
    await tasks.stop_all("enough")
    texts = {path: path.read_bytes() for path in machine.state_dir.rglob("*") if path.is_file()}
    assert len(texts) >= 4
    assert [path for path, text in texts.items() if token.encode() in text] == []


async def test_the_environment_of_a_worker_is_clean(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the bot's but the names listed, then what was asked for, then the marker."""
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-not-for-workers")
    monkeypatch.setenv("DEVFLOW_SECRET", "not for workers")
    monkeypatch.setenv("LANG", "C.UTF-8")
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    tasks = machine.open([*PYTHON, code])
    asked = {"DEVFLOW_GATEWAY_URL": "http://127.0.0.1:1", "DEVFLOW_TASK_ID": "forged"}
    task = await tasks.run_task(TaskRequest(REQUEST.session_id, 1, "clean", asked))
    await wait_for(tasks, task.task_arn, "STOPPED")
    directory = machine.directory(task.task_arn)
    environment = json.loads((directory / "worker.log").read_text())
    environment.pop("LC_CTYPE", None)  # the worker's own Python may set it
    environment.pop("__CF_USER_TEXT_ENCODING", None)  # macOS adds it
    assert set(environment) - set(INHERITED_VARIABLES) == {
        "DEVFLOW_GATEWAY_URL",
        "DEVFLOW_TASK_ID",
        "DEVFLOW_WORK_DIR",
    }
    assert environment["DEVFLOW_TASK_ID"] == directory.name
    assert environment["LANG"] == "C.UTF-8"


@pytest.mark.parametrize("killed", ["worker", "supervisor"])
async def test_the_checkout_of_a_killed_task_goes(machine: Machine, killed: str) -> None:
    """A worker that is killed cleans nothing up; its clone must not stay in the temporary directory."""
    code = (
        "import os, pathlib, time; root = pathlib.Path(os.environ['DEVFLOW_WORK_DIR']); root.mkdir();"
        " (root / 'clone').write_text('x'); print(root, flush=True); time.sleep(600)"
    )
    tasks = machine.open([*PYTHON, code])
    task = await tasks.run_task(REQUEST)
    log = machine.directory(task.task_arn) / "worker.log"
    await until(lambda: log.exists() and bool(log.read_text().strip()), "the worker's directory")
    root = Path(log.read_text().strip())
    assert (root / "clone").exists()
    os.kill(machine.state(task.task_arn)[killed]["pid"], signal.SIGKILL)
    await wait_for(tasks, task.task_arn, "STOPPED")
    assert not root.exists()


async def test_the_output_is_kept_and_the_work_directory_is_not(machine: Machine) -> None:
    """All that a worker wrote before it died is in its log; its files go with the task, read-only ones too."""
    script = "mkdir -p deep/er; echo x > deep/er/file; chmod 500 deep/er deep; pwd; head -c 300000 /dev/zero; exit 7"
    tasks = machine.open(["/bin/sh", "-c", script])
    task = await tasks.run_task(REQUEST)
    task = await wait_for(tasks, task.task_arn, "STOPPED")
    directory = machine.directory(task.task_arn)
    assert task.exit_code == 7
    where, _newline, rest = (directory / "worker.log").read_bytes().partition(b"\n")
    assert os.path.realpath(where.decode()) == os.path.realpath(directory / "work")
    assert rest == bytes(300_000)
    assert not (directory / "work").exists()
    assert oct((directory / "worker.log").stat().st_mode & 0o777) == "0o600"


def test_the_log_is_bounded_and_keeps_the_end(tmp_path: Path) -> None:
    """Never more than twice the limit on disk, never less than the limit of the latest lines."""
    log = LogFile(tmp_path / "worker.log", limit_bytes=1000)
    written = b"".join(b"line %05d\n" % number for number in range(1000))
    for number in range(1000):
        log.write(b"line %05d\n" % number)
    kept = (tmp_path / "worker.log.1").read_bytes() + (tmp_path / "worker.log").read_bytes()
    assert 1000 - 11 <= len(kept) <= 2000
    assert written.endswith(kept)


async def test_state_directories_share_no_task(machine: Machine, tmp_path: Path) -> None:
    """The same client token in two state directories is two tasks: neither's processes are the other's."""
    other = LocalTasks(tmp_path / "other", command=["/bin/sleep", "600"])
    mine, theirs = await start(machine.open()), await start(other)
    assert mine.task_arn.rsplit("/", 1)[1] != theirs.task_arn.rsplit("/", 1)[1]
    await other.stop_all("the other only")
    await other.close()
    assert [task.task_arn for task in await machine.open().list_tasks()] == [mine.task_arn]


async def test_old_tasks_are_removed(machine: Machine) -> None:
    """A bot that starts forgets tasks that stopped a day ago, and no others."""
    tasks = machine.open(["/bin/sh", "-c", "exit 0"])
    old, young = [await tasks.run_task(TaskRequest("s", 1, token)) for token in ("old", "young")]
    for task in (old, young):
        await wait_for(tasks, task.task_arn, "STOPPED")
    state = machine.state(old.task_arn)
    aged = state | {"stopped_at": state["stopped_at"] - 25 * 3600}
    (machine.directory(old.task_arn) / "state.json").write_text(json.dumps(aged))
    heir = machine.open()

    async def removed() -> bool:
        # The supervisor may hold its lock for an instant after it wrote STOPPED.
        fresh = machine.open()
        await fresh.list_tasks()
        return not machine.directory(old.task_arn).exists()

    deadline = time.monotonic() + 20
    while not await removed():
        assert time.monotonic() < deadline
    found = await heir.describe_tasks([old.task_arn, young.task_arn])
    assert [task.last_status for task in found.values()] == ["MISSING", "STOPPED"]
    assert machine.task_ids() == [machine.directory(young.task_arn).name]
    assert not list(machine.state_dir.glob(".old-*"))


# ---------------------------------------------------------------------------------------------- bad ground


async def test_a_supervisor_that_cannot_start(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a task that failed to start, and says where to look."""
    monkeypatch.setattr(local_supervisor, "__file__", "/nowhere/local_supervisor.py")
    tasks = machine.open()
    task = await tasks.run_task(REQUEST)
    assert (task.last_status, task.stop_code) == ("STOPPED", "TaskFailedToStart")
    log = machine.directory(task.task_arn) / "supervisor.log"
    assert str(log) in str(task.stopped_reason)
    assert "/nowhere/local_supervisor.py" in log.read_text()


async def test_one_task_whose_directory_cannot_be_read_is_left_out(machine: Machine) -> None:
    """The others are listed and described as ever; of it alone the reason is told, and in the log once."""
    tasks = machine.open()
    good, broken = [await tasks.run_task(TaskRequest("s", 1, token)) for token in ("good", "broken")]
    for task in (good, broken):
        await wait_for(tasks, task.task_arn, "RUNNING")
    state = machine.directory(broken.task_arn) / "state.json"
    aside = state.with_name("aside.json")
    state.rename(aside)
    state.mkdir()
    with structlog.testing.capture_logs() as logged:
        fresh = machine.open()
        for _ in range(2):
            assert [task.task_arn for task in await fresh.list_tasks()] == [good.task_arn]
        assert list(await fresh.describe_tasks([broken.task_arn, good.task_arn])) == [good.task_arn]
        with pytest.raises(PermanentError, match=re.escape(str(state))):
            await fresh.describe_tasks([broken.task_arn])
    state.rmdir()
    aside.rename(state)
    assert len(await fresh.list_tasks()) == 2
    assert [line["event"] for line in logged] == ["task_not_removed", "task_not_described"]


async def test_a_state_directory_that_cannot_be_used(tmp_path: Path) -> None:
    """A file in its place is an error that names it, not a traceback of the system's."""
    (tmp_path / "tasks").write_text("in the way")
    tasks = LocalTasks(tmp_path / "tasks")
    with pytest.raises(PermanentError) as caught:
        await tasks.run_task(REQUEST)
    assert str(tmp_path / "tasks") in caught.value.summary
    assert caught.value.remedy
    await tasks.close()


def test_a_cluster_name_is_a_name(tmp_path: Path) -> None:
    """It becomes part of every arn."""
    with pytest.raises(ValueError, match="not a cluster name"):
        LocalTasks(tmp_path, cluster="../up")
