"""Tasks as processes of this machine, with the states, stop codes and exit codes of Amazon ECS.

The engine and the reconciler call it; it starts one local_supervisor for each task and reads what that one
writes under `state_dir`. It keeps nothing in memory that another bot could not read there.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import structlog

from slackbot.adapters import local_supervisor as files
from slackbot.adapters.local_supervisor import Ending, TaskState
from slackbot.adapters.local_task_directory import (
    identity_of,
    lost,
    make_directory,
    prune,
    salt_of,
    scratch_of,
    task_ids_in,
)
from slackbot.adapters.process_table import (
    MARKER_VARIABLE,
    find_task_processes,
    send_signal,
)
from slackbot.core.errors import PermanentError, TemporaryError
from slackbot.core.ports import TaskObservation, TaskRequest

log = structlog.get_logger()

T = TypeVar("T")

KEPT_SECONDS = 24 * 3600
"""How long a stopped task can still be described, and its log be read; ECS promises one hour."""

PRUNE_SECONDS = 3600.0
"""How often what is older than that is looked for."""

STOP_SLACK_SECONDS = 15.0
"""What `stop_all` waits beyond the grace, for the killing and the cleaning up of a loaded machine."""

KILL_SECONDS = 5.0
"""How long the processes of a lost supervisor are killed before the rest is left to the next look."""

INHERITED_VARIABLES = (
    "PATH", "HOME", "LANG", "LC_ALL", "TERM", "TMPDIR", "USER", "LOGNAME", "SHELL", "VIRTUAL_ENV",
    "DEVFLOW_OWN_LOGIN", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY",
)  # fmt: skip
"""All that a worker gets of the bot's environment: the rest of it holds Slack's tokens."""

OWN_LOGIN_VARIABLE = "DEVFLOW_OWN_LOGIN"
"""Tells the worker that an agent for which there is no key may use the login of whoever runs this."""

WORK_DIR_VARIABLE = "DEVFLOW_WORK_DIR"
"""Tells the worker where to put the checkout; it goes with the task, however that ends."""

_ARN_PREFIX = "arn:devflow:ecs:local:000000000000"
_PASSING_ERRORS = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT}
_MAX_REASON_CHARACTERS = 1024


class LocalTasks:
    """The port `Tasks` on this machine. Several instances, also of several bots, may share a `state_dir`.

    `command` is run for each task, in an empty directory that ends with the task, with `base_environment`
    (default: `INHERITED_VARIABLES` of this process), the request's environment and DEVFLOW_TASK_ID. To stop, it
    gets SIGTERM, and `stop_grace_seconds` later SIGKILL with all its descendants.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        command: Sequence[str] = (sys.executable, "-m", "slackbot", "worker"),
        cluster: str = "local",
        stop_grace_seconds: float = 30.0,
        base_environment: Mapping[str, str] | None = None,
    ) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", cluster):
            raise ValueError(f"not a cluster name: {cluster!r}")
        self._root = Path(os.path.abspath(state_dir))
        self._command = list(command)
        self._cluster = cluster
        self._stop_grace_seconds = stop_grace_seconds
        if base_environment is None:
            base_environment = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
        self._base_environment = dict(base_environment)
        self._task_arn = re.compile(re.escape(f"{_ARN_PREFIX}:task/{cluster}/") + "([0-9a-f]{32})")
        self._executor = ThreadPoolExecutor(max_workers=4, thread_name_prefix="local-tasks")
        self._stopped: set[str] = set()  # ids whose STOPPED was read: final, so not read again to list
        self._unreadable: set[str] = set()  # said in the log
        self._prune_at = 0.0

    # ------------------------------------------------------------------------------------------ the port

    async def run_task(self, request: TaskRequest) -> TaskObservation:
        """Starts the task, or finds (and finishes) the start that this `client_token` made before."""
        return await self._off_loop(lambda: self._run(request))

    async def describe_tasks(self, task_arns: Sequence[str]) -> dict[str, TaskObservation]:
        """Each task by arn, as it is now; MISSING also for an arn that is not of this adapter's making.

        A task whose directory cannot be read is left out: nothing is known of it.
        """
        return await self._off_loop(lambda: self._describe_all(task_arns))

    async def stop_task(self, task_arn: str, reason: str) -> None:
        """Writes down that the task is to stop, then tells its supervisor. The first reason stays."""
        await self._off_loop(lambda: self._stop(task_arn, reason))

    async def list_tasks(self) -> list[TaskObservation]:
        """Every task under `state_dir` that has not stopped."""
        return await self._off_loop(self._list)

    async def check_writable(self) -> Path:
        """Makes the directory of tasks and a file in it, as a launch would; for `devflow check`."""

        def write() -> Path:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            probe = self._root / f".new-{uuid.uuid4().hex}"
            probe.touch(0o600)
            probe.unlink()
            return self._root

        return await self._off_loop(write)

    async def close(self) -> None:
        """Closes the adapter only: tasks go on and the next bot finds them."""
        await asyncio.to_thread(self._executor.shutdown)

    async def stop_all(self, reason: str) -> list[TaskObservation]:
        """Stops every task and waits until each is STOPPED; returns how they ended.

        `TemporaryError` when one has not stopped in its grace and `STOP_SLACK_SECONDS` more.
        """
        arns = [task.task_arn for task in await self.list_tasks()]
        for arn in arns:
            await self.stop_task(arn, reason)
        deadline = time.monotonic() + self._stop_grace_seconds + STOP_SLACK_SECONDS
        while True:
            ends = await self.describe_tasks(arns)
            left = [arn for arn in arns if arn not in ends or ends[arn].last_status not in ("STOPPED", "MISSING")]
            if not left:
                return list(ends.values())
            if time.monotonic() > deadline:
                raise TemporaryError(
                    f"{len(left)} tasks did not stop: {', '.join(left)}.",
                    "Their processes cannot be killed just now; look at them with ps.",
                )
            await asyncio.sleep(0.05)

    async def _off_loop(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except OSError as error:
            what = f"Local tasks: {error.strerror or type(error).__name__} ({error.filename or self._root})."
            if error.errno in _PASSING_ERRORS:
                raise TemporaryError(what, "This machine is short of something; free it and wait.") from error
            raise PermanentError(what, "Give DevFlow a state directory that it may write.") from error

    # ------------------------------------------------------------------- starting, in a thread from here on

    def _run(self, request: TaskRequest) -> TaskObservation:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._prune_when_due()
        named = f"{salt_of(self._root)}\0{self._cluster}\0{request.client_token}"
        token_hash = hashlib.sha256(named.encode()).hexdigest()
        task_id = token_hash[:32]
        directory = self._root / task_id
        lock = None if directory.exists() else make_directory(directory, request, token_hash)
        if lock is None:
            lock = files.lock_task(directory)
        if lock is not None:
            try:
                self._start(directory, request, lock)
            finally:
                os.close(lock)
        return self._observe(task_id, files.read_json(directory / files.STATE_FILE))

    def _start(self, directory: Path, request: TaskRequest, lock: int) -> None:
        """Starts the supervisor of a task whose lock is held, unless it is too late for that."""
        state = files.read_json(directory / files.STATE_FILE) or {}
        if state.get("last_status") != "PROVISIONING":
            self._finish(directory, state)
            return
        # Outside the state directory, whose parents may hold settings that the tools of a checkout would find.
        scratch = str(scratch_of(directory))
        environment = {WORK_DIR_VARIABLE: scratch, **self._base_environment, **request.environment}
        orders = {
            "command": self._command,
            "environment": {**environment, MARKER_VARIABLE: directory.name},
            "scratch": scratch,
            "stop_grace_seconds": self._stop_grace_seconds,
        }
        with open(directory / "supervisor.log", "ab") as output:
            launcher = subprocess.Popen(
                [sys.executable, "-I", "-S", files.__file__, str(directory), str(lock)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=(lock,),
                start_new_session=True,
                cwd="/",
                env={"PATH": os.environ.get("PATH", os.defpath)},
            )
        launcher.communicate(json.dumps(orders).encode())
        if launcher.returncode == 0:
            log.info("local_task_started", task_id=directory.name, session_id=request.session_id)
            return
        log.error("local_supervisor_failed", task_id=directory.name, exit_code=launcher.returncode)
        reason = f"its supervisor did not start; {directory / 'supervisor.log'} says why"
        self._finish(directory, state, Ending("TaskFailedToStart", f"CannotStartContainerError: {reason}"))

    # ------------------------------------------------------------------------------- looking and stopping

    def _prune_when_due(self) -> None:
        if time.monotonic() >= self._prune_at:
            self._prune_at = time.monotonic() + PRUNE_SECONDS
            prune(self._root, oldest=time.time() - KEPT_SECONDS)

    def _list(self) -> list[TaskObservation]:
        self._prune_when_due()
        task_ids = task_ids_in(self._root)
        self._stopped.intersection_update(task_ids)
        arns = [self._arn("task", task_id) for task_id in task_ids if task_id not in self._stopped]
        found, _ = self._look(arns)
        return [task for task in found.values() if task.last_status not in ("STOPPED", "MISSING")]

    def _describe_all(self, task_arns: Sequence[str]) -> dict[str, TaskObservation]:
        found, failed = self._look(task_arns)
        if failed is not None and not found:
            raise failed
        return found

    def _look(self, task_arns: Sequence[str]) -> tuple[dict[str, TaskObservation], OSError | None]:
        """Each task by arn, but those whose directories cannot be read; and what the last of those said."""
        found: dict[str, TaskObservation] = {}
        failed: OSError | None = None
        for arn in task_arns:
            try:
                found[arn] = self._describe(arn)
                self._unreadable.discard(arn)
            except OSError as error:
                if error.errno in _PASSING_ERRORS:
                    raise  # it is the machine's, and the next would fare no better
                failed = error
                if arn not in self._unreadable:
                    self._unreadable.add(arn)
                    log.warning("task_not_described", task_arn=arn, error=str(error))
        return found, failed

    def _describe(self, task_arn: str) -> TaskObservation:
        directory = self._directory(task_arn)
        state = None if directory is None else self._settled_state(directory)
        if directory is None or state is None:
            return TaskObservation(task_arn=task_arn, last_status="MISSING")
        return self._observe(directory.name, state)

    def _settled_state(self, directory: Path) -> TaskState | None:
        """The state on disk, after a task that lost its supervisor has been finished; None when unknown."""
        state = files.read_json(directory / files.STATE_FILE)
        if state is None or state.get("last_status") == "STOPPED":
            return state
        lock = files.lock_task(directory)
        if lock is None:
            return state
        try:
            state = files.read_json(directory / files.STATE_FILE)
            if state is not None and state.get("last_status") != "STOPPED":
                state = self._finish(directory, state)
        finally:
            os.close(lock)
        return state

    def _finish(self, directory: Path, state: TaskState, ending: Ending | None = None) -> TaskState:
        """Kills what an unsupervised task left and records STOPPED. The caller holds the task's lock."""
        if state.get("last_status") == "STOPPED":
            return state
        deadline = time.monotonic() + KILL_SECONDS
        while left := find_task_processes(directory.name):
            for process in left:
                send_signal(process, signal.SIGKILL)
            if time.monotonic() > deadline:
                log.warning("local_task_will_not_die", task_id=directory.name, processes=len(left))
                return files.advance(state, "STOPPING")  # not written: the next look tries again
            time.sleep(0.01)
        files.remove_tree(directory / files.WORK_DIRECTORY)
        files.remove_tree(scratch_of(directory))
        ending = ending or files.stop_ending(directory) or lost(state)
        state = files.advance(state, "STOPPED", **ending._asdict())
        files.write_json(directory / files.STATE_FILE, state)
        log.warning("local_task_finished_for_its_supervisor", task_id=directory.name, **ending._asdict())
        return state

    def _stop(self, task_arn: str, reason: str) -> None:
        directory = self._directory(task_arn)
        state = None if directory is None else self._settled_state(directory)
        if directory is None or state is None or state.get("last_status") == "STOPPED":
            return
        if not (directory / files.STOP_FILE).exists():
            request = {"reason": reason[:_MAX_REASON_CHARACTERS], "requested_at": int(time.time())}
            # Pruned or removed meanwhile: then there is nothing to stop.
            with contextlib.suppress(FileNotFoundError):
                files.write_json(directory / files.STOP_FILE, request)
        # Read again: a supervisor that wrote its identity before now may not have seen the request, one that
        # has not written it yet will look.
        supervisor = identity_of((files.read_json(directory / files.STATE_FILE) or {}).get("supervisor"))
        if supervisor is not None and send_signal(supervisor, signal.SIGTERM):
            return
        self._settled_state(directory)

    # ----------------------------------------------------------------------------------- names and old ones

    def _arn(self, kind: str, name: str) -> str:
        return f"{_ARN_PREFIX}:{kind}/{self._cluster}/{name}"

    def _directory(self, task_arn: str) -> Path | None:
        match = self._task_arn.fullmatch(task_arn)
        return None if match is None else self._root / match.group(1)

    def _observe(self, task_id: str, state: TaskState | None) -> TaskObservation:
        arn = self._arn("task", task_id)
        if state is None or "last_status" not in state:
            return TaskObservation(task_arn=arn, last_status="MISSING")
        if state["last_status"] == "STOPPED":
            self._stopped.add(task_id)
        return TaskObservation(
            task_arn=arn,
            last_status=state["last_status"],
            session_id=state.get("session_id"),
            launch=state.get("launch"),
            cluster_arn=f"{_ARN_PREFIX}:cluster/{self._cluster}",
            task_definition_arn=f"{_ARN_PREFIX}:task-definition/worker:1",
            stop_code=state.get("stop_code"),
            stopped_reason=state.get("stopped_reason"),
            exit_code=state.get("exit_code"),
            started_at=state.get("started_at"),
        )
