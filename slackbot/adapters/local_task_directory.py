"""A local task's directory: made whole and locked, named for its scratch, read for why the task was lost, and removed.

Called by `local_tasks`; the supervisor (`local_supervisor`) writes into the same directory while the task runs.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import tempfile
import uuid
from pathlib import Path

import structlog

from slackbot.adapters import local_supervisor as files
from slackbot.adapters.local_supervisor import Ending, TaskState
from slackbot.adapters.process_table import ProcessIdentity, boot_id
from slackbot.core.ports import TaskRequest

log = structlog.get_logger()

SALT_FILE = ".salt.json"


def salt_of(root: Path) -> str:
    """Makes task ids, by which processes are killed, different from those of every other state directory."""
    path = root / SALT_FILE
    if not path.exists():
        new = root / f".new-{uuid.uuid4().hex}"
        files.write_json(new, {"salt": uuid.uuid4().hex})
        with contextlib.suppress(FileExistsError):
            os.link(new, path)  # of several that try at once, the first is heard
        new.unlink()
        files.fsync_directory(root)
    salt = files.read_json(path)
    if salt is None:
        raise OSError(errno.EIO, "this file cannot be read", str(path))
    return str(salt["salt"])


def make_directory(directory: Path, request: TaskRequest, token_hash: str) -> int | None:
    """Makes the directory appear whole and locked; None when another was first. Returns the lock."""
    new = directory.parent / f".new-{uuid.uuid4().hex}"
    new.mkdir(mode=0o700)
    lock = None
    try:
        # Number 10 or above, so that no dup2 of a standard stream ever meets it.
        first = os.open(new / files.LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        lock = fcntl.fcntl(first, fcntl.F_DUPFD_CLOEXEC, 10)
        os.close(first)
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = {"session_id": request.session_id, "launch": request.launch}
        files.write_json(new / files.REQUEST_FILE, {**known, "client_token_sha256": token_hash})
        state = files.advance({"task_id": directory.name, **known}, "PROVISIONING")
        files.write_json(new / files.STATE_FILE, state)
        os.rename(new, directory)
        files.fsync_directory(directory.parent)
    except BaseException as error:
        if lock is not None:
            os.close(lock)
        files.remove_tree(new)
        if isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return None
        raise
    return lock


def identity_of(value: object) -> ProcessIdentity | None:
    if isinstance(value, dict) and isinstance(value.get("pid"), int) and isinstance(value.get("started"), str):
        return ProcessIdentity(value["pid"], value["started"])
    return None


def lost(state: TaskState) -> Ending:
    """Why a task without a supervisor has ended."""
    supervisor = identity_of(state.get("supervisor"))
    if supervisor is None:
        return Ending("TaskFailedToStart", "DevFlow ended while it was starting this task")
    boot = boot_id()
    if boot and not supervisor.started.startswith(boot):
        return Ending("EssentialContainerExited", "This machine was restarted while the task ran")
    return Ending("EssentialContainerExited", "The supervisor of this task was killed")


def scratch_of(directory: Path) -> Path:
    """Where the worker of this task works: named by the task, so that any bot finds it to remove it."""
    return Path(tempfile.gettempdir()) / f"devflow-worker-{directory.name}"


def task_ids_in(root: Path) -> list[str]:
    try:
        names = sorted(os.listdir(root))
    except FileNotFoundError:
        return []
    return [name for name in names if re.fullmatch(r"[0-9a-f]{32}", name)]


def prune(root: Path, *, oldest: float) -> None:
    """Removes tasks that stopped before `oldest` (Unix seconds), and what a bot left that died while it made one.

    What cannot be removed stays, and is said in the log; nothing else suffers by it.
    """
    left_over = [*root.glob(".new-*"), *root.glob(".old-*")]
    for path in (*(root / task_id for task_id in task_ids_in(root)), *left_over):
        try:
            if path in left_over:
                if path.name.startswith(".old-") or path.stat().st_mtime < oldest:
                    files.remove_tree(path)
            else:
                _remove_if_older(path, oldest)
        except FileNotFoundError:
            pass  # another bot was here
        except OSError as error:
            log.warning("task_not_removed", path=str(path), error=str(error))


def _remove_if_older(directory: Path, oldest: float) -> None:
    state = files.read_json(directory / files.STATE_FILE) or {}
    if state.get("last_status") != "STOPPED" or state.get("stopped_at", 0) > oldest:
        return
    lock = files.lock_task(directory)
    if lock is None:
        return
    try:
        # Renamed first, so that nobody meets half a directory.
        old = directory.parent / f".old-{uuid.uuid4().hex}"
        os.rename(directory, old)
    finally:
        os.close(lock)
    files.remove_tree(old)
