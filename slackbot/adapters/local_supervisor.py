"""The small process above one local task: starts the worker, notes its states durably, leaves nothing behind.

Started by local_tasks with its orders (command, environment with the worker's token) on stdin; writes the
state and the worker's log in the task's directory; obeys stop.json there. Standard library, one thread.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import selectors
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, NoReturn

if __name__ == "__main__":  # run by its path under `python -I -S`, where the package is not found by itself
    sys.path.append(str(Path(__file__).resolve().parents[2]))

from slackbot.adapters.process_table import (
    MARKER_VARIABLE,
    become_subreaper,
    death_signal_setter,
    find_task_processes,
    identify,
    send_signal,
)

STATE_FILE, REQUEST_FILE, STOP_FILE, LOCK_FILE = "state.json", "request.json", "stop.json", "lock"
LOG_FILE, WORK_DIRECTORY = "worker.log", "work"

LOG_BYTES = 5_000_000
"""At least the last so many bytes of the worker's output are kept, and never more than twice as many."""

STOP_POLL_SECONDS = 1.0
"""How often stop.json is looked for without a signal, in case its writer died before it could send one."""

TaskState = dict[str, Any]
"""The content of state.json; `transitions` lists [status, Unix time in seconds] in the order they came."""


class Ending(NamedTuple):
    """Why a task stops, in ECS's words.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html
    """

    stop_code: str
    stopped_reason: str


WORKER_EXITED = Ending("EssentialContainerExited", "Essential container in task exited")
MACHINE_STOPS = Ending("TerminationNotice", "This machine asked its processes to end")


# ------------------------------------------------------------------------- the files of a task's directory


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Replaces the file as a whole or not at all; durable on return, the name included."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(value, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_directory(path.parent)


def fsync_directory(directory: Path) -> None:
    """Makes the names in `directory` durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in the file; None when there is no such file or no such object in it."""
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def lock_task(directory: Path) -> int | None:
    """Takes the task's lock and returns its descriptor; None when someone has it or the directory is gone.

    The bot that starts a task takes it, the supervisor inherits it and keeps it while it lives. So "free"
    means: nobody starts or supervises this task. The kernel frees it however the holder dies. Only the holder
    writes state.json.
    """
    try:
        descriptor = os.open(directory / LOCK_FILE, os.O_RDWR)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.stat(directory / LOCK_FILE).st_ino == os.fstat(descriptor).st_ino:
            return descriptor
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.ENOENT):
            os.close(descriptor)
            raise
    os.close(descriptor)
    return None


def advance(state: TaskState, last_status: str, **fields: object) -> TaskState:
    """`state` as it is after the task has come to `last_status`."""
    now = time.time()
    transitions = [*state.get("transitions", []), [last_status, round(now, 3)]]
    if last_status == "STOPPED":
        fields["stopped_at"] = int(now)
    return {**state, **fields, "last_status": last_status, "transitions": transitions}


def stop_ending(directory: Path) -> Ending | None:
    """How the task ends when someone has asked it to stop; None when nobody has."""
    if not (directory / STOP_FILE).exists():
        return None
    request = read_json(directory / STOP_FILE) or {}
    return Ending("UserInitiated", str(request.get("reason") or "Task stopped by user"))


def remove_tree(path: Path) -> None:
    """Removes a directory (or file) as far as this user can; read-only directories in it are no hindrance."""
    import shutil

    if path.is_file():
        path.unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)
    if path.exists():
        for parent, _directories, _files in os.walk(path):
            with contextlib.suppress(OSError):
                os.chmod(parent, 0o700)
        shutil.rmtree(path, ignore_errors=True)


class LogFile:
    """Appends to a file and starts it anew when it is full, keeping the one before as `.1`."""

    def __init__(self, path: Path, limit_bytes: int = LOG_BYTES) -> None:
        self._path = path
        self._limit_bytes = limit_bytes
        self._descriptor = self._open()
        self._size_bytes = os.fstat(self._descriptor).st_size

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, data: bytes) -> None:
        # A full disk costs lines of the log, never the task.
        with contextlib.suppress(OSError):
            if self._size_bytes and self._size_bytes + len(data) > self._limit_bytes:
                os.replace(self._path, self._path.with_name(self._path.name + ".1"))
                os.close(self._descriptor)
                self._descriptor = self._open()
                self._size_bytes = 0
            self._size_bytes += os.write(self._descriptor, data)


# ------------------------------------------------------------------------------------------ the supervisor


class Supervisor:
    """Runs one task from PENDING to STOPPED. `orders`: command, environment, scratch, stop_grace_seconds."""

    def __init__(self, directory: Path, orders: dict[str, Any]) -> None:
        self._directory = directory
        self._command: list[str] = orders["command"]
        self._environment: dict[str, str] = orders["environment"]
        self._scratch = Path(orders["scratch"])
        self._stop_grace_seconds: float = orders["stop_grace_seconds"]
        self._state: TaskState = read_json(directory / STATE_FILE) or {}
        self._log = LogFile(directory / LOG_FILE)
        self._worker: subprocess.Popen[bytes] | None = None
        self._exit_code: int | None = None
        self._signalled = False
        self._wakeup = -1
        self._selector: selectors.BaseSelector

    @property
    def last_status(self) -> str:
        return str(self._state.get("last_status"))

    def run(self) -> None:
        """Returns when the task is STOPPED, which is when no process of it is left."""
        self._listen_to_signals()
        become_subreaper()
        myself = identify(os.getpid())
        self._become("PENDING", supervisor=myself._asdict() if myself else None)
        # Looked at after the identity is written: who asks for a stop later can signal it.
        ending = self._asked_to_stop() or self._start_worker()
        if ending is None:
            ending = self._watch()
        self.end(ending)

    def end(self, ending: Ending) -> None:
        """Kills what is left, removes the work directory, and records STOPPED."""
        self._become("STOPPING", **ending._asdict())
        self._kill_everything()
        self._become("DEPROVISIONING", exit_code=self._exit_code)
        remove_tree(self._directory / WORK_DIRECTORY)
        remove_tree(self._scratch)
        self._become("STOPPED")

    def _become(self, last_status: str, **fields: object) -> None:
        if self._state.get("last_status") == last_status:
            return
        self._state = advance(self._state, last_status, **fields)
        try:
            write_json(self._directory / STATE_FILE, self._state)
        except OSError:
            # The worker matters more than its record. The end of it is recorded by the next bot if not by us.
            traceback.print_exc()
            if last_status == "STOPPED":
                raise

    def _listen_to_signals(self) -> None:
        self._selector = selectors.DefaultSelector()  # here, not earlier: a kqueue does not survive a fork
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._note_signal)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        self._selector.register(reader, selectors.EVENT_READ)
        self._wakeup = reader

    def _note_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._signalled = True

    def _asked_to_stop(self) -> Ending | None:
        return stop_ending(self._directory) or (MACHINE_STOPS if self._signalled else None)

    def _start_worker(self) -> Ending | None:
        work = self._directory / WORK_DIRECTORY
        try:
            work.mkdir(mode=0o700, exist_ok=True)
            self._worker = subprocess.Popen(
                self._command,
                cwd=work,
                env=self._environment,
                stdin=subprocess.PIPE,  # closes when this process dies: the sign where no death signal is
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=death_signal_setter(),
            )
        except (OSError, ValueError) as error:
            return Ending("TaskFailedToStart", f"CannotStartContainerError: {self._why_not_started(error)}")
        assert self._worker.stdout is not None  # noqa: S101  a PIPE was asked for
        os.set_blocking(self._worker.stdout.fileno(), False)
        self._selector.register(self._worker.stdout, selectors.EVENT_READ)
        worker = identify(self._worker.pid)
        self._become("RUNNING", worker=worker._asdict() if worker else None, started_at=int(time.time()))
        return None

    def _why_not_started(self, error: Exception) -> str:
        name = self._command[0]
        if isinstance(error, FileNotFoundError):
            return f"the command {name} was not found on this machine"
        if isinstance(error, PermissionError):
            return f"the command {name} may not be executed (is it a program with the x bit set?)"
        return f"the command {name} could not be executed: {getattr(error, 'strerror', None) or error}"

    def _watch(self) -> Ending:
        while self._exit_code is None:
            asked = self._asked_to_stop()
            if asked is not None:
                self._stop_worker(asked)
                return asked
            self._wait(STOP_POLL_SECONDS)
        return WORKER_EXITED

    def _stop_worker(self, ending: Ending) -> None:
        """SIGTERM, so that unsaved work is pushed; what still runs after the grace is killed by `end`."""
        self._become("DEACTIVATING", **ending._asdict())
        self._become("STOPPING")
        self._reap()
        if self._worker is not None and self._exit_code is None:
            os.kill(self._worker.pid, signal.SIGTERM)  # ours and not yet reaped, so the pid is its own
        deadline = time.monotonic() + self._stop_grace_seconds
        while self._exit_code is None and (left := deadline - time.monotonic()) > 0:
            self._wait(left)

    def _wait(self, timeout_seconds: float) -> None:
        """Until a signal (also SIGCHLD) or output of the worker, or the time is up."""
        for key, _events in self._selector.select(timeout_seconds):
            if not self._pump(key.fd):
                self._selector.unregister(key.fileobj)
        self._reap()

    def _pump(self, descriptor: int) -> bool:
        """Moves what is there to the log; False at the end of the stream."""
        try:
            data = os.read(descriptor, 65_536)
        except BlockingIOError:
            return True
        if descriptor != self._wakeup:
            self._log.write(data)
        return bool(data)

    def _reap(self) -> bool:
        """Collects the children that ended, adopted ones too; False when this process has none left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if self._worker is not None and pid == self._worker.pid:
                code = os.waitstatus_to_exitcode(status)
                self._exit_code = code if code >= 0 else 128 - code
                self._worker.returncode = code

    def _kill_everything(self) -> None:
        """SIGKILL until nothing is left. As a subreaper, having no child means that no descendant lives."""
        task_id = self._environment[MARKER_VARIABLE]
        pause_seconds = 0.01
        while True:
            some_children = self._reap()
            left = find_task_processes(task_id, root_pid=os.getpid())
            if not some_children and not left:
                break
            for process in left:
                send_signal(process, signal.SIGKILL)
            self._wait(pause_seconds)
            pause_seconds = min(pause_seconds * 1.5, 1.0)
        while self._worker is not None and self._worker.stdout is not None and self._selector.select(0):
            # Every writer is gone: what is still in the pipe is the worker's last words.
            self._wait(0)


def main(arguments: list[str]) -> NoReturn:
    """`local_supervisor.py TASK_DIRECTORY LOCK_DESCRIPTOR`, orders on stdin as JSON.

    Returns to the bot at once (status 0: the orders were understood) and goes on as a process of its own.
    """
    directory, lock = Path(arguments[0]), int(arguments[1])
    os.set_inheritable(lock, False)
    supervisor = Supervisor(directory, json.load(sys.stdin))
    if os.fork() != 0:
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    try:
        supervisor.run()
    except Exception as error:
        traceback.print_exc()
        if supervisor.last_status == "STOPPED":  # which could not be written; the next bot records it
            sys.exit(1)
        supervisor.end(
            Ending("EssentialContainerExited", f"The supervisor of this task failed: {type(error).__name__}")
        )
        sys.exit(1)
    sys.exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
