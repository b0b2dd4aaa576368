"""An in-memory `Tasks` whose tasks go through ECS's states when a test says so.

Tests of the engine and the reconciler make it; it passes the same contract suite as the real adapters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from slackbot.core.errors import DevflowError
from slackbot.core.ports import TaskObservation, TaskRequest

LIFE = ("PROVISIONING", "PENDING", "RUNNING", "DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED")


class FakeTasks:
    """Nothing moves by itself: `advance`, `exit` and `settle` move tasks.

    `requests` and `stops` tell what was asked for; `calls` counts each method's calls by name.
    """

    def __init__(self, cluster: str = "fake") -> None:
        self.cluster_arn = f"arn:devflow:ecs:fake:000000000000:cluster/{cluster}"
        self._task_prefix = f"arn:devflow:ecs:fake:000000000000:task/{cluster}/"
        self.requests: list[TaskRequest] = []
        self.stops: list[tuple[str, str]] = []
        self.calls: dict[str, int] = {}
        self.closed = False
        self._tasks: dict[str, TaskObservation] = {}
        self._arn_by_token: dict[str, str] = {}
        self._errors: dict[str, list[DevflowError]] = {}
        self._start_failures: list[str] = []
        self._failing: dict[str, str] = {}

    # ------------------------------------------------------------------------------- what a test scripts

    def fail_next(self, method: str, error: DevflowError) -> None:
        """The next call of `method` raises `error` and does nothing."""
        self._errors.setdefault(method, []).append(error)

    def fail_next_start(self, reason: str = "CannotStartContainerError: no such command") -> None:
        """The next new task will never run: the first `advance` stops it with TaskFailedToStart."""
        self._start_failures.append(reason)

    def advance(self, task_arn: str, last_status: str | None = None, *, now: int = 0) -> TaskObservation:
        """Moves the task on to `last_status`, or by one state; never back. Returns it as it is then.

        A task runs until it is stopped or `exit` is called: by one state, it does not leave RUNNING by itself.
        """
        task = self._tasks[task_arn]
        if last_status is None:
            if task.last_status in ("RUNNING", "STOPPED") and task.stop_code is None:
                return task
            last_status = LIFE[min(LIFE.index(task.last_status) + 1, len(LIFE) - 1)]
        if LIFE.index(last_status) < LIFE.index(task.last_status):
            raise AssertionError(f"a task never goes back from {task.last_status} to {last_status}")
        if task_arn in self._failing:
            return self.exit(task_arn, None, stop_code="TaskFailedToStart", stopped_reason=self._failing.pop(task_arn))
        if last_status == "RUNNING" and task.started_at is None:
            task = replace(task, started_at=now)
        if last_status == "STOPPED" and task.stop_code is None:
            task = replace(
                task,
                stop_code="EssentialContainerExited",
                stopped_reason="Essential container in task exited",
                exit_code=0,
            )
        self._tasks[task_arn] = replace(task, last_status=last_status)
        return self._tasks[task_arn]

    def exit(
        self,
        task_arn: str,
        exit_code: int | None = 0,
        *,
        stop_code: str = "EssentialContainerExited",
        stopped_reason: str = "Essential container in task exited",
    ) -> TaskObservation:
        """The worker ends, or the system ends it: the task is STOPPED at once."""
        task = self._tasks[task_arn]
        self._tasks[task_arn] = replace(
            task,
            last_status="STOPPED",
            stop_code=stop_code,
            stopped_reason=stopped_reason,
            exit_code=exit_code,
        )
        return self._tasks[task_arn]

    def settle(self) -> None:
        """Moves every task on until it runs, or has stopped."""
        for task_arn in self._tasks:
            for _state in LIFE:
                self.advance(task_arn)

    def forget(self, task_arn: str) -> None:
        """The system no longer knows the task, as ECS does an hour after it stopped."""
        del self._tasks[task_arn]

    def adopt(self, task: TaskObservation) -> None:
        """A task that something else started."""
        self._tasks[task.task_arn] = task

    @property
    def tasks(self) -> list[TaskObservation]:
        """Every task there has been and that is not forgotten, in the order of their start."""
        return list(self._tasks.values())

    # ---------------------------------------------------------------------------------------- the port

    async def run_task(self, request: TaskRequest) -> TaskObservation:
        """Starts a task in PROVISIONING, or finds the one of this `client_token`."""
        self._enter("run_task")
        self.requests.append(request)
        task_arn = self._arn_by_token.get(request.client_token)
        if task_arn is not None:
            return self._tasks.get(task_arn) or TaskObservation(task_arn=task_arn, last_status="MISSING")
        task_arn = f"{self._task_prefix}{len(self._arn_by_token):032x}"
        self._arn_by_token[request.client_token] = task_arn
        if self._start_failures:
            self._failing[task_arn] = self._start_failures.pop(0)
        self._tasks[task_arn] = TaskObservation(
            task_arn=task_arn,
            last_status="PROVISIONING",
            session_id=request.session_id,
            launch=request.launch,
            cluster_arn=self.cluster_arn,
            task_definition_arn="arn:devflow:ecs:fake:000000000000:task-definition/worker:1",
        )
        return self._tasks[task_arn]

    async def describe_tasks(self, task_arns: Sequence[str]) -> dict[str, TaskObservation]:
        """Each task as the test left it."""
        self._enter("describe_tasks")
        missing = {arn: TaskObservation(task_arn=arn, last_status="MISSING") for arn in task_arns}
        return {arn: self._tasks.get(arn, missing[arn]) for arn in task_arns}

    async def stop_task(self, task_arn: str, reason: str) -> None:
        """Notes the wish and makes the task leave RUNNING; `advance` or `settle` brings it to its end."""
        self._enter("stop_task")
        self.stops.append((task_arn, reason))
        task = self._tasks.get(task_arn)
        if task is None or task.stop_code is not None:
            return
        self._tasks[task_arn] = replace(
            task,
            last_status="DEACTIVATING",
            stop_code="UserInitiated",
            stopped_reason=reason,
            exit_code=143 if task.last_status == "RUNNING" else None,
        )

    async def list_tasks(self) -> list[TaskObservation]:
        """Every task that has not stopped."""
        self._enter("list_tasks")
        return [task for task in self._tasks.values() if task.last_status != "STOPPED"]

    async def close(self) -> None:
        """Notes that it was called; tasks stay."""
        self.closed = True

    def _enter(self, method: str) -> None:
        self.calls[method] = self.calls.get(method, 0) + 1
        errors = self._errors.get(method)
        if errors:
            raise errors.pop(0)
