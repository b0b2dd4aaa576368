"""A scripted Amazon ECS: speaks the real protocol (JSON 1.1, X-Amz-Target) over HTTP on loopback to the real boto3.

Nothing moves by itself: tests move tasks (`advance`, `exit`, `fail_to_start`), hide or forget them, and say which calls
fail and how. Shapes, limits and sentences are those of botocore's model and of ECS's documentation:
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from slackbot.adapters.ecs import EcsTasks
from slackbot.adapters.ecs_client import ecs_client

TARGET = "AmazonEC2ContainerServiceV20141113."
REGION, ACCOUNT = "eu-central-1", "123456789012"
LIFE = (
    "PROVISIONING",
    "PENDING",
    "ACTIVATING",
    "RUNNING",
    "DEACTIVATING",
    "STOPPING",
    "DEPROVISIONING",
    "STOPPED",
)

Task = dict[str, Any]
Parameters = dict[str, Any]


class Refusal(Exception):
    """An error answer: ECS's code and sentence, the HTTP status, and what else the body holds."""

    def __init__(self, code: str, message: str, status: int = 400, **body: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status, self.body = code, message, status, body


@dataclass
class Fault:
    """What happens to one call instead of, or after, its work.

    `refusal` is answered; with `hang` nothing is answered until the endpoint stops; with `drop` the connection is
    closed. `after_effect`: the call does its work first, and only its answer is lost.
    """

    refusal: Refusal | None = None
    hang: bool = False
    drop: bool = False
    after_effect: bool = False
    answer: Parameters | None = None


@dataclass
class EcsEndpoint:
    """One cluster and its tasks. `calls` are (operation, parameters) in the order in which they came."""

    cluster: str = "devflow"
    families: dict[str, int] = field(default_factory=lambda: {"devflow-worker": 3})
    page_size: int = 100
    calls: list[tuple[str, Parameters]] = field(default_factory=list)
    tasks: dict[str, Task] = field(default_factory=dict)
    log_options: dict[str, str] | None = field(
        default_factory=lambda: {
            "awslogs-group": "/devflow/worker",
            "awslogs-region": REGION,
            "awslogs-stream-prefix": "worker",
        }
    )

    def __post_init__(self) -> None:
        self._faults: dict[str, list[Fault]] = {}
        self._tokens: dict[str, tuple[str, Parameters]] = {}
        self._hidden: dict[str, int] = {}
        self._start_failures: list[str] = []
        self._released = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._credentials = pytest.MonkeyPatch()
        self.url = ""
        self.prefix = f"arn:aws:ecs:{REGION}:{ACCOUNT}"

    async def start(self) -> None:
        """Listens on loopback; until `stop`, boto3 finds credentials that are good for nothing else."""
        self._credentials.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        self._credentials.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
        app = web.Application()
        app.router.add_post("/", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def stop(self) -> None:
        self._released.set()
        self._credentials.undo()
        if self._runner is not None:
            await self._runner.cleanup()

    def open(self, **changes: Any) -> EcsTasks:
        """An adapter onto this cluster. `client` settings (attempts, time-outs) are given as `client_...`."""
        options = {name.removeprefix("client_"): changes.pop(name) for name in list(changes) if name[:7] == "client_"}
        given: dict[str, Any] = {
            "client": ecs_client(region=REGION, endpoint_url=self.url, **{"attempts": 1, **options}),
            "cluster": self.cluster,
            "task_definition": "devflow-worker",
            "container": "worker",
            "subnets": ["subnet-1", "subnet-2"],
            "security_groups": ["sg-1"],
            "deployment": "devflow-0123456789abcdef",
            "now": time.time,
            **changes,
        }
        return EcsTasks(**given)

    # ------------------------------------------------------------------------------- what a test scripts

    def fail_next(self, operation: str, code: str, message: str = "No.", status: int = 400, **body: Any) -> None:
        """The next call of `operation` is refused so. Several wait their turn."""
        self.upset_next(operation, Fault(refusal=Refusal(code, message, status, **body)))

    def upset_next(self, operation: str, fault: Fault) -> None:
        self._faults.setdefault(operation, []).append(fault)

    def fail_next_start(self, reason: str) -> None:
        """The next new task will never run: its first `advance` stops it with TaskFailedToStart."""
        self._start_failures.append(reason)

    def hide(self, task_arn: str, looks: int) -> None:
        """DescribeTasks does not know the task for so many calls: ECS is eventually consistent."""
        self._hidden[task_arn] = looks

    def forget(self, task_arn: str) -> None:
        """As an hour after the task stopped."""
        del self.tasks[task_arn]

    def advance(self, task_arn: str, last_status: str | None = None) -> Task:
        """Moves the task on by one state, or to `last_status`; by one state it does not leave RUNNING by itself."""
        task = self.tasks[task_arn]
        if "start_failure" in task:
            return self.fail_to_start(task_arn, task.pop("start_failure"))
        if last_status is None:
            if task["lastStatus"] == "STOPPED" or (task["lastStatus"], task["desiredStatus"]) == ("RUNNING", "RUNNING"):
                return task
            last_status = LIFE[LIFE.index(task["lastStatus"]) + 1]
            if task["desiredStatus"] == "STOPPED" and last_status == "RUNNING":
                last_status = "DEACTIVATING"
        assert LIFE.index(last_status) >= LIFE.index(task["lastStatus"]), "a task never goes back"
        task["lastStatus"] = last_status
        if last_status == "RUNNING":
            task["startedAt"] = time.time()
            task["containers"][0]["lastStatus"] = "RUNNING"
        if last_status == "STOPPED":
            task["stoppedAt"] = time.time()
            if "startedAt" in task:
                task["containers"][0].setdefault("exitCode", 143)
            task["containers"][0]["lastStatus"] = "STOPPED"
        return task

    def exit(
        self,
        task_arn: str,
        exit_code: int | None = 0,
        *,
        stop_code: str = "EssentialContainerExited",
        stopped_reason: str = "Essential container in task exited",
        container_reason: str | None = None,
    ) -> Task:
        """The worker ends, or its machine ends it: STOPPED at once."""
        task = self.tasks[task_arn]
        task.update(lastStatus="STOPPED", desiredStatus="STOPPED", stopCode=stop_code, stoppedReason=stopped_reason)
        task["stoppedAt"] = time.time()
        container = task["containers"][0]
        container["lastStatus"] = "STOPPED"
        if exit_code is not None:
            container["exitCode"] = exit_code
        if container_reason is not None:
            container["reason"] = container_reason
        return task

    def fail_to_start(self, task_arn: str, reason: str) -> Task:
        """As Fargate tells it: the task says that it failed, its container says why."""
        return self.exit(
            task_arn,
            None,
            stop_code="TaskFailedToStart",
            stopped_reason="Task failed to start",
            container_reason=reason,
        )

    def called(self, operation: str) -> list[Parameters]:
        return [parameters for name, parameters in self.calls if name == operation]

    # ---------------------------------------------------------------------------------------- the wire

    async def _answer(self, request: web.Request) -> web.Response:
        target = request.headers.get("X-Amz-Target", "")
        assert request.headers.get("Content-Type") == "application/x-amz-json-1.1"
        assert "Credential=" in request.headers.get("Authorization", "")
        assert target.startswith(TARGET)
        operation = target.removeprefix(TARGET)
        parameters: Parameters = await request.json()
        self.calls.append((operation, parameters))
        faults = self._faults.get(operation)
        fault = faults.pop(0) if faults else Fault()
        try:
            body: Any = None
            if fault.refusal is None and (fault.after_effect or not (fault.hang or fault.drop or fault.answer)):
                body = self._operations()[operation](parameters)
            if fault.hang:
                await self._released.wait()
            if fault.hang or fault.drop:
                assert request.transport is not None
                request.transport.abort()
                return web.Response(status=500)
            if fault.refusal is not None:
                if fault.after_effect:
                    self._operations()[operation](parameters)
                raise fault.refusal
            return self._json(200, fault.answer if fault.answer is not None else body)
        except Refusal as refusal:
            return self._json(
                refusal.status, {"__type": refusal.code, "message": refusal.message, **refusal.body}, refusal.code
            )

    @staticmethod
    def _json(status: int, body: Any, code: str | None = None) -> web.Response:
        headers = {"x-amzn-requestid": str(uuid.uuid4()), **({"x-amzn-errortype": code} if code else {})}
        return web.Response(
            status=status,
            body=json.dumps(body).encode(),
            content_type="application/x-amz-json-1.1",
            headers=headers,
        )

    def _operations(self) -> dict[str, Callable[[Parameters], Any]]:
        return {
            "RunTask": self._run_task,
            "StopTask": self._stop_task,
            "DescribeTasks": self._describe_tasks,
            "ListTasks": self._list_tasks,
            "DescribeTaskDefinition": self._describe_task_definition,
            "DescribeClusters": self._describe_clusters,
            "TagResource": self._tag_resource,
        }

    # ---------------------------------------------------------------------------------- the operations

    def _run_task(self, asked: Parameters) -> Parameters:
        self._check_cluster(asked)
        _check(asked.get("count", 1) <= 10, "InvalidParameterException", "count cannot be more than 10.")
        token = asked.get("clientToken") or str(uuid.uuid4())
        _check(bool(re.fullmatch(r"[!-~]{1,64}", token)), "InvalidParameterException", "clientToken is invalid.")
        started_by = asked.get("startedBy", "")
        well_formed = bool(re.fullmatch(r"[A-Za-z0-9/_-]{0,128}", started_by))
        _check(well_formed, "InvalidParameterException", "startedBy is invalid.")
        overrides = asked.get("overrides", {})
        small = len(json.dumps(overrides, separators=(",", ":"))) <= 8192
        _check(small, "InvalidParameterException", "Container Overrides length must be at most 8192")
        for override in overrides.get("containerOverrides", []):
            known = override.get("name") == "worker"
            wrong = f"Override for container named {override.get('name')} is not a container in the TaskDefinition."
            _check(known, "InvalidParameterException", wrong)
        _check(
            "awsvpcConfiguration" in asked.get("networkConfiguration", {}),
            "InvalidParameterException",
            "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
        )
        both = "launchType" in asked and "capacityProviderStrategy" in asked
        _check(not both, "InvalidParameterException", "Specify either launchType or capacityProviderStrategy.")
        family = asked["taskDefinition"].rsplit("/", 1)[-1].split(":")[0]
        _check(family in self.families, "ClientException", "Unable to describe task definition.")
        if token in self._tokens:
            task_arn, first = self._tokens[token]
            if first != asked:
                raise Refusal("ConflictException", "The clientToken is already in use.", resourceIds=[task_arn])
            return {"tasks": [self._shown(self.tasks[task_arn], tags=True)], "failures": []}
        task_arn = f"{self.prefix}:task/{self.cluster}/{uuid.uuid4().hex}"
        self._tokens[token] = (task_arn, asked)
        self.tasks[task_arn] = {
            "taskArn": task_arn,
            "clusterArn": f"{self.prefix}:cluster/{self.cluster}",
            "taskDefinitionArn": f"{self.prefix}:task-definition/{family}:{self.families[family]}",
            "lastStatus": "PROVISIONING",
            "desiredStatus": "RUNNING",
            "healthStatus": "UNKNOWN",
            "createdAt": time.time(),
            "startedBy": started_by,
            "overrides": overrides,
            "tags": asked.get("tags", []),
            "containers": [{"name": "worker", "lastStatus": "PENDING"}, {"name": "proxy", "lastStatus": "PENDING"}],
            **({"start_failure": self._start_failures.pop(0)} if self._start_failures else {}),
        }
        return {"tasks": [self._shown(self.tasks[task_arn], tags=True)], "failures": []}

    def _stop_task(self, asked: Parameters) -> Parameters:
        self._check_cluster(asked)
        _check(len(asked.get("reason", "")) <= 1024, "InvalidParameterException", "reason is too long.")
        task = self.tasks.get(self._arn(asked["task"]))
        if task is None:
            raise Refusal("InvalidParameterException", "The referenced task was not found.")
        if task["desiredStatus"] == "RUNNING":
            task.update(desiredStatus="STOPPED", stopCode="UserInitiated", stoppingAt=time.time(), tags=[])
            task["stoppedReason"] = asked.get("reason", "Task stopped by user")
        return {"task": self._shown(task)}

    def _describe_tasks(self, asked: Parameters) -> Parameters:
        self._check_cluster(asked)
        _check(len(asked["tasks"]) <= 100, "InvalidParameterException", "Tasks cannot have more than 100 elements.")
        tasks, failures = [], []
        for arn in map(self._arn, asked["tasks"]):
            hidden = self._hidden.get(arn, 0)
            self._hidden[arn] = hidden - 1
            if arn in self.tasks and hidden <= 0:
                tasks.append(self._shown(self.tasks[arn], tags="TAGS" in asked.get("include", [])))
            else:
                failures.append({"arn": arn, "reason": "MISSING"})
        return {"tasks": tasks, "failures": failures}

    def _list_tasks(self, asked: Parameters) -> Parameters:
        self._check_cluster(asked)
        filters = asked.keys() & {"containerInstance", "family", "serviceName", "desiredStatus", "launchType"}
        if "startedBy" in asked and filters:
            raise Refusal("InvalidParameterException", "startedBy must be the only filter.")
        wanted = asked.get("desiredStatus", "RUNNING")
        found = [
            arn
            for arn, task in self.tasks.items()
            if task["desiredStatus"] == wanted and asked.get("startedBy", task["startedBy"]) == task["startedBy"]
        ]
        start = int(base64.b64decode(asked["nextToken"])) if "nextToken" in asked else 0
        end = start + min(asked.get("maxResults", 100), self.page_size)
        more = {"nextToken": base64.b64encode(str(end).encode()).decode()} if end < len(found) else {}
        return {"taskArns": found[start:end], **more}

    def _describe_task_definition(self, asked: Parameters) -> Parameters:
        family, _, revision = asked["taskDefinition"].rsplit("/", 1)[-1].partition(":")
        _check(family in self.families, "ClientException", "Unable to describe task definition.")
        logs = {"logConfiguration": {"logDriver": "awslogs", "options": self.log_options}} if self.log_options else {}
        arn = f"{self.prefix}:task-definition/{family}:{revision or self.families[family]}"
        containers = [{"name": "proxy", "image": "proxy:1"}, {"name": "worker", "image": "worker:1", **logs}]
        return {"taskDefinition": {"taskDefinitionArn": arn, "family": family, "containerDefinitions": containers}}

    def _describe_clusters(self, asked: Parameters) -> Parameters:
        names = [name.rsplit("/", 1)[-1] for name in asked.get("clusters", ["default"])]
        found = [
            {"clusterArn": f"{self.prefix}:cluster/{name}", "clusterName": name, "status": "ACTIVE"}
            for name in names
            if name == self.cluster
        ]
        lost = [{"arn": f"{self.prefix}:cluster/{name}", "reason": "MISSING"} for name in names if name != self.cluster]
        return {"clusters": found, "failures": lost}

    def _tag_resource(self, asked: Parameters) -> Parameters:
        task = self.tasks.get(self._arn(asked["resourceArn"]))
        if task is None:
            raise Refusal("InvalidParameterException", "The specified resource was not found.")
        keys = {tag["key"] for tag in asked["tags"]}
        task["tags"] = [tag for tag in task["tags"] if tag["key"] not in keys] + asked["tags"]
        return {}

    # -------------------------------------------------------------------------------------- small parts

    def _check_cluster(self, asked: Parameters) -> None:
        if asked.get("cluster", "default").rsplit("/", 1)[-1] != self.cluster:
            raise Refusal("ClusterNotFoundException", "Cluster not found.")

    def _arn(self, task: str) -> str:
        arn = task if task.startswith("arn:") else f"{self.prefix}:task/{self.cluster}/{task}"
        cluster, _, task_id = arn.partition(":task/")[2].rpartition("/")
        _check(len(task_id) in (32, 36), "InvalidParameterException", "taskId length should be one of [32,36]")
        foreign = f"Invalid identifier: Identifier is for {cluster}. Your cluster is {self.cluster}"
        _check(cluster == self.cluster, "InvalidParameterException", foreign)
        return arn

    @staticmethod
    def _shown(task: Task, *, tags: bool = False) -> Task:
        hidden = {"start_failure"} | (set() if tags else {"tags"})
        return {name: value for name, value in task.items() if name not in hidden}


def _check(holds: bool, code: str, message: str) -> None:
    if not holds:
        raise Refusal(code, message)
