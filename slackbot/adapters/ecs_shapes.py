"""The shapes of Amazon ECS: a launch -> parameters of RunTask, a task as DescribeTasks tells it -> `TaskObservation`.

Used by `adapters/ecs.py`; no call is made here.
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slackbot.core.errors import PermanentError
from slackbot.core.ports import TaskObservation, TaskRequest
from slackbot.core.task_report import task_log_url

SESSION_TAG = "devflow:session_id"
LAUNCH_TAG = "devflow:launch"

MAX_OVERRIDES = 8192
"""Characters of the overrides, the JSON around them included."""

_SESSION_VARIABLE = "DEVFLOW_SESSION_ID"
_TASK_ARN = re.compile(r"(arn:[\w-]+:ecs:[\w-]*:\d*):task/(?:([\w-]{1,255})/)?([\w-]{1,64})", re.ASCII)
_CLUSTER_ARN = re.compile(r"arn:[\w-]+:ecs:([\w-]+):(\d+):cluster/([\w-]{1,255})", re.ASCII)


@dataclass(frozen=True)
class Placement:
    """Where and how tasks run; the same for every launch of this bot.

    `task_definition` is a family, so that a new revision is used from its next launch on. Without
    `capacity_provider` (for example FARGATE_SPOT) tasks are of launch type FARGATE.
    """

    cluster: str
    task_definition: str
    container: str
    subnets: Sequence[str]
    security_groups: Sequence[str] = ()
    assign_public_ip: bool = False
    capacity_provider: str | None = None


@dataclass(frozen=True)
class LogConfiguration:
    """Where the awslogs driver of one task definition writes."""

    region: str
    log_group: str
    stream_prefix: str | None


def deployment_name(cluster_arn: str, table: str) -> str:
    """What `startedBy` says of the tasks of one table in one account and region: `devflow-` and 16 hex digits.

    Bots that share the table share the name; every other bot has another one, whatever cluster it uses.
    """
    match = _CLUSTER_ARN.fullmatch(cluster_arn)
    if match is None:
        raise PermanentError(f"`{cluster_arn[:200]}` is not the ARN of an ECS cluster.", "Check DEVFLOW_ECS_CLUSTER.")
    region, account = match.group(1), match.group(2)
    return "devflow-" + hashlib.sha256(f"{account}\0{region}\0{table}".encode()).hexdigest()[:16]


def is_cluster_arn(cluster: str) -> bool:
    return _CLUSTER_ARN.fullmatch(cluster) is not None


def task_place(task_arn: str) -> tuple[str | None, str] | None:
    """The cluster's ARN (None in the old short form) and the task's id; None when it is no task's ARN."""
    match = _TASK_ARN.fullmatch(task_arn)
    if match is None:
        return None
    prefix, cluster, task_id = match.groups()
    return (f"{prefix}:cluster/{cluster}" if cluster else None), task_id


def run_parameters(placement: Placement, request: TaskRequest, deployment: str) -> dict[str, Any]:
    """The parameters of RunTask: for the same launch always the same, for ECS compares them under one client token.

    `PermanentError` when the overrides are larger than ECS takes.
    """
    environment = [{"name": name, "value": value} for name, value in sorted(request.environment.items())]
    overrides: dict[str, Any] = {"containerOverrides": [{"name": placement.container, "environment": environment}]}
    if request.cpu:
        overrides["cpu"] = request.cpu
    if request.memory:
        overrides["memory"] = request.memory
    if len(json.dumps(overrides)) > MAX_OVERRIDES:
        raise PermanentError(
            f"What the worker must be told at its start is larger than the {MAX_OVERRIDES} characters that ECS takes.",
            "Shorten DEVFLOW_GATEWAY_URL; all else that a worker needs it asks the gateway for.",
        )
    network: dict[str, Any] = {"subnets": list(placement.subnets)}
    if placement.security_groups:
        network["securityGroups"] = list(placement.security_groups)
    network["assignPublicIp"] = "ENABLED" if placement.assign_public_ip else "DISABLED"
    parameters: dict[str, Any] = {
        "cluster": placement.cluster,
        "taskDefinition": request.task_definition or placement.task_definition,
        "count": 1,
        "clientToken": request.client_token,
        "startedBy": deployment,
        "networkConfiguration": {"awsvpcConfiguration": network},
        "overrides": overrides,
        "tags": [
            {"key": SESSION_TAG, "value": request.session_id},
            {"key": LAUNCH_TAG, "value": str(request.launch)},
        ],
    }
    if placement.capacity_provider:
        parameters["capacityProviderStrategy"] = [{"capacityProvider": placement.capacity_provider, "weight": 1}]
    else:
        parameters["launchType"] = "FARGATE"
    return parameters


def observe(task: Mapping[str, Any], container_name: str, logs: LogConfiguration | None) -> TaskObservation:
    """A task as ECS describes it. The exit code and its reason are those of the worker's container."""
    arn = str(task["taskArn"])
    containers = task.get("containers") or []
    worker: Mapping[str, Any] = next((each for each in containers if each.get("name") == container_name), {})
    # A sidecar that cannot be started keeps the worker from starting, and has the only reason there is.
    reasons = [each["reason"] for each in (worker, *containers) if each.get("reason")]
    place = task_place(arn)
    tags = {tag.get("key"): tag.get("value") for tag in task.get("tags") or []}
    launch = tags.get(LAUNCH_TAG) or ""
    started_at = task.get("startedAt")
    return TaskObservation(
        task_arn=arn,
        last_status=_status(task),
        session_id=tags.get(SESSION_TAG) or _session_of(task),
        launch=int(launch) if launch.isdecimal() else None,
        cluster_arn=task.get("clusterArn"),
        task_definition_arn=task.get("taskDefinitionArn"),
        stop_code=task.get("stopCode"),
        stopped_reason=_reason(task.get("stoppedReason"), reasons[0] if reasons else None),
        exit_code=worker.get("exitCode"),
        health_status=task.get("healthStatus"),
        started_at=int(started_at.timestamp()) if started_at is not None else None,
        log_url=(
            task_log_url(logs.region, logs.log_group, logs.stream_prefix, container_name, place[1])
            if logs is not None and place is not None
            else None
        ),
    )


def missing(task_arn: str) -> TaskObservation:
    """A task that ECS does not know (yet, or any more)."""
    return TaskObservation(task_arn=task_arn, last_status="MISSING")


def log_configuration(definition: Mapping[str, Any], container_name: str) -> LogConfiguration | None:
    """Where the worker's container writes its log; None where that is not CloudWatch."""
    for container in definition.get("containerDefinitions") or []:
        logs = container.get("logConfiguration") or {}
        options = logs.get("options") or {}
        if container.get("name") == container_name and logs.get("logDriver") == "awslogs":
            group, arn = options.get("awslogs-group"), str(definition.get("taskDefinitionArn") or "")
            region = options.get("awslogs-region") or (arn.split(":") + [""] * 4)[3]
            return LogConfiguration(region, group, options.get("awslogs-stream-prefix")) if group and region else None
    return None


def _status(task: Mapping[str, Any]) -> str:
    """DELETED, which no console shows, comes behind STOPPED: the task is over either way.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html
    """
    status = str(task.get("lastStatus") or "PROVISIONING")
    return "STOPPED" if status == "DELETED" else status


def _session_of(task: Mapping[str, Any]) -> str | None:
    """The session as the worker itself was told: ECS drops the tags of a task that is asked to stop."""
    for container in (task.get("overrides") or {}).get("containerOverrides") or []:
        for variable in container.get("environment") or []:
            if variable.get("name") == _SESSION_VARIABLE:
                return variable.get("value") or None
    return None


def _reason(stopped_reason: str | None, container_reason: str | None) -> str | None:
    if not stopped_reason or not container_reason:
        return stopped_reason or container_reason
    if container_reason in stopped_reason:
        return stopped_reason
    if stopped_reason == "Task failed to start":
        return container_reason
    return f"{stopped_reason}; {container_reason}"
