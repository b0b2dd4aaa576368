"""Workers as tasks of Amazon ECS: the port `Tasks` on boto3, in a thread pool of its own.

Launches come from the performer, looks and stops from the performer and the reconciler; both get plain observations
and the errors of `core.errors`. Facts about ECS: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from slackbot.adapters.ecs_errors import error_code, error_message, translate, translate_failures
from slackbot.adapters.ecs_shapes import (
    LogConfiguration,
    Placement,
    log_configuration,
    missing,
    observe,
    run_parameters,
    task_place,
)
from slackbot.core.errors import PermanentError
from slackbot.core.ports import TaskObservation, TaskRequest

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient

log = structlog.get_logger()

T = TypeVar("T")

MAX_DESCRIBED = 100
"""Tasks in one DescribeTasks call. https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html"""

MAX_REASON = 255
"""Characters of the reason of a stop."""

_LOG_RETRY_SECONDS = 600.0
"""A task definition that could not be read is asked for again after this; it only costs the link to the log."""

_MAX_DEFINITIONS = 200

_NOT_FOUND = re.compile(r"not found|invalid identifier|identifier is for|task ?id", re.IGNORECASE)


class EcsTasks:
    """`Tasks` on Amazon ECS.

    `deployment` goes into `startedBy` of every task and is how they are found again; see `ecs_shapes.deployment_name`.
    `threads` bounds the calls in flight. The adapter owns `client` and closes it.
    """

    def __init__(
        self,
        *,
        client: ECSClient,
        cluster: str,
        task_definition: str,
        container: str,
        subnets: Sequence[str],
        security_groups: Sequence[str] = (),
        assign_public_ip: bool = False,
        capacity_provider: str | None = None,
        deployment: str,
        threads: int = 8,
        now: Callable[[], float],
    ) -> None:
        self._client = client
        self._placement = Placement(
            cluster=cluster,
            task_definition=task_definition,
            container=container,
            subnets=tuple(subnets),
            security_groups=tuple(security_groups),
            assign_public_ip=assign_public_ip,
            capacity_provider=capacity_provider,
        )
        self._cluster_name = cluster.rsplit("/", 1)[-1]
        self._deployment = deployment
        self._now = now
        self._executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="ecs-tasks")
        self._logs: OrderedDict[str, tuple[LogConfiguration | None, float | None]] = OrderedDict()
        self._logs_lock = threading.Lock()

    # ------------------------------------------------------------------------------------------ the port

    async def run_task(self, request: TaskRequest) -> TaskObservation:
        """RunTask under the launch's client token: safe to repeat after any `TemporaryError`.

        A launch that ECS knows with other parameters (another revision of DevFlow asked first) is taken over.
        """
        return await self._off_loop(lambda: self._run(request))

    async def describe_tasks(self, task_arns: Sequence[str]) -> dict[str, TaskObservation]:
        """Each task by arn, a hundred in a call. MISSING is what ECS says so of, and what is no arn of a task.

        A task about which ECS gives any other reason is left out: nothing is known of it.
        """
        return await self._off_loop(lambda: self._describe(task_arns))

    async def stop_task(self, task_arn: str, reason: str) -> None:
        """StopTask: SIGTERM, the container's stop time-out, SIGKILL. Harmless when it is stopped or unknown."""
        await self._off_loop(lambda: self._stop(task_arn, reason))

    async def list_tasks(self) -> list[TaskObservation]:
        """Every task with our `startedBy` that has not stopped and was not asked to; whoever started it."""
        return await self._off_loop(self._list)

    async def close(self) -> None:
        """Closes the adapter only: tasks go on. Calls in flight end within their time-outs."""
        await asyncio.to_thread(self._executor.shutdown, cancel_futures=True)
        self._client.close()

    async def _off_loop(self, work: Callable[[], T]) -> T:
        try:
            future = self._executor.submit(work)
        except RuntimeError as error:
            raise PermanentError("DevFlow is stopping.", "Try again when it is back.") from error
        return await asyncio.wrap_future(future)

    # --------------------------------------------------------------------- launching, in a thread from here on

    def _run(self, request: TaskRequest) -> TaskObservation:
        parameters = run_parameters(self._placement, request, self._deployment)
        hidden = request.environment.values()
        try:
            answer: Mapping[str, Any] = self._client.run_task(**parameters)
        except (BotoCoreError, ClientError) as error:
            if error_code(error) == "ConflictException" and isinstance(error, ClientError):
                return self._adopt(request, error)
            raise translate(error, "start the worker's task", write=True, hidden=hidden) from error
        if not answer.get("tasks"):
            failure = translate_failures(answer.get("failures") or [])
            log.warning("task_not_placed", session_id=request.session_id, why=failure.summary)
            raise failure
        return self._observe(answer["tasks"][0])

    def _adopt(self, request: TaskRequest, conflict: ClientError) -> TaskObservation:
        """The task that was started under this client token by a request with other parameters."""
        response: Mapping[str, Any] = dict(conflict.response)
        named = [str(arn) for arn in response.get("resourceIds") or []]
        wanted = (request.session_id, request.launch)
        found = [self._describe([arn]).get(arn) or missing(arn) for arn in named[:1]] or [
            task for task in self._list() if (task.session_id, task.launch) == wanted
        ]
        if found:
            log.info("task_adopted", session_id=request.session_id, task_arn=found[0].task_arn)
            return found[0]
        raise PermanentError(
            f"Amazon ECS knows this launch already, and names no task of it: {error_message(conflict)}",
            "Press Retry: that is a new launch.",
        )

    # ------------------------------------------------------------------------------------ looking and stopping

    def _describe(self, task_arns: Sequence[str]) -> dict[str, TaskObservation]:
        found: dict[str, TaskObservation] = {}
        by_cluster: dict[str, list[str]] = {}
        for arn in dict.fromkeys(task_arns):
            place = task_place(arn)
            if place is None:
                found[arn] = missing(arn)
                continue
            by_cluster.setdefault(self._cluster_of(place[0]), []).append(arn)
        for cluster, arns in by_cluster.items():
            for start in range(0, len(arns), MAX_DESCRIBED):
                found |= self._describe_in(cluster, arns[start : start + MAX_DESCRIBED])
        return found

    def _cluster_of(self, cluster_arn: str | None) -> str:
        """The cluster to ask for a task: ours, or the one that its arn names, where the settings changed meanwhile."""
        if cluster_arn is None or cluster_arn.rsplit("/", 1)[-1] == self._cluster_name:
            return self._placement.cluster
        return cluster_arn

    def _describe_in(self, cluster: str, arns: list[str]) -> dict[str, TaskObservation]:
        try:
            answer = self._client.describe_tasks(cluster=cluster, tasks=arns, include=["TAGS"])
        except (BotoCoreError, ClientError) as error:
            if cluster != self._placement.cluster and isinstance(translate(error, ""), PermanentError):
                # Of a cluster that this bot used before its settings changed, and may no longer look into.
                log.warning("tasks_out_of_reach", cluster=cluster, tasks=len(arns), why=error_message(error))
                return {arn: missing(arn) for arn in arns}
            if error_code(error) == "InvalidParameterException" and _NOT_FOUND.search(error_message(error)):
                # One arn that ECS does not take spoils the whole call: halve until it stands alone.
                if len(arns) == 1:
                    return {arns[0]: missing(arns[0])}
                middle = len(arns) // 2
                return self._describe_in(cluster, arns[:middle]) | self._describe_in(cluster, arns[middle:])
            raise translate(error, "describe tasks") from error
        found = {task["taskArn"]: self._observe(task) for task in answer.get("tasks", [])}
        for failure in answer.get("failures", []):
            if failure.get("reason") != "MISSING":
                log.warning("task_not_described", task_arn=failure.get("arn"), why=failure.get("reason"))
                arns = [arn for arn in arns if arn != failure.get("arn")]
        return {arn: found.get(arn) or missing(arn) for arn in arns}

    def _stop(self, task_arn: str, reason: str) -> None:
        place = task_place(task_arn)
        if place is None:
            return
        cluster = self._cluster_of(place[0])
        try:
            self._client.stop_task(cluster=cluster, task=task_arn, reason=reason[:MAX_REASON])
        except (BotoCoreError, ClientError) as error:
            code = error_code(error)
            if code in ("InvalidParameterException", "ClientException") and _NOT_FOUND.search(error_message(error)):
                return
            if code == "ClusterNotFoundException" and cluster != self._placement.cluster:
                return  # a cluster that was deleted runs nothing
            raise translate(error, "stop a task") from error

    def _list(self) -> list[TaskObservation]:
        # `startedBy` must be the only filter; what ECS wants to run is listed by default.
        # https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListTasks.html
        arns: list[str] = []
        for page in self._pages():
            arns += page
        tasks = self._describe(arns).values()
        return [task for task in tasks if task.last_status not in ("STOPPED", "MISSING")]

    def _pages(self) -> Iterator[list[str]]:
        token: str | None = None
        while True:
            more: Any = {"nextToken": token} if token else {}
            try:
                answer = self._client.list_tasks(cluster=self._placement.cluster, startedBy=self._deployment, **more)
            except (BotoCoreError, ClientError) as error:
                raise translate(error, "list the workers' tasks") from error
            yield answer.get("taskArns", [])
            token = answer.get("nextToken")
            if not token:
                return

    # --------------------------------------------------------------------------------------------- the log

    def _observe(self, task: Mapping[str, Any]) -> TaskObservation:
        return observe(task, self._placement.container, self._logs_of(str(task.get("taskDefinitionArn") or "")))

    def _logs_of(self, definition_arn: str) -> LogConfiguration | None:
        """Where tasks of this definition write; a revision never changes, so it is asked for once."""
        if not definition_arn:
            return None
        with self._logs_lock:
            known = self._logs.get(definition_arn)
            if known is not None and (known[1] is None or known[1] > self._now()):
                return known[0]
            try:
                answer = self._client.describe_task_definition(taskDefinition=definition_arn)
                known = log_configuration(answer.get("taskDefinition", {}), self._placement.container), None
            except (BotoCoreError, ClientError) as error:
                log.warning("task_definition_unreadable", task_definition_arn=definition_arn, why=error_message(error))
                known = None, self._now() + _LOG_RETRY_SECONDS
            self._logs[definition_arn] = known
            while len(self._logs) > _MAX_DEFINITIONS:
                self._logs.popitem(last=False)
            return known[0]
