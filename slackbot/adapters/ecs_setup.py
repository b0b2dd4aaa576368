"""What ECS tells of the cluster and the task definitions that workers run with; asked by `devflow check` alone.

Every function blocks for one call and raises the errors of `core.errors`.
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from slackbot.adapters.ecs_errors import translate
from slackbot.core.errors import PermanentError

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient


@dataclass(frozen=True)
class Cluster:
    """A cluster as DescribeClusters tells it; `status` is ACTIVE where tasks can run."""

    cluster_arn: str
    status: str
    running_tasks: int
    capacity_providers: tuple[str, ...]


@dataclass(frozen=True)
class TaskDefinition:
    """The newest active revision of a family. `log_drivers` by container name; "" = none."""

    task_definition_arn: str
    log_drivers: Mapping[str, str]
    network_mode: str
    launch_types: tuple[str, ...]
    """What it is compatible with: EC2, FARGATE, EXTERNAL."""
    cpu: str | None = None
    memory: str | None = None


def describe_cluster(client: ECSClient, cluster: str) -> Cluster | None:
    """The cluster, or None when the region has none of that name or ARN."""
    try:
        answer: Mapping[str, Any] = client.describe_clusters(clusters=[cluster])
    except (BotoCoreError, ClientError) as error:
        raise translate(error, f"describe the cluster `{cluster}`") from error
    for found in answer.get("clusters") or []:
        return Cluster(
            cluster_arn=str(found.get("clusterArn") or ""),
            status=str(found.get("status") or "?"),
            running_tasks=int(found.get("runningTasksCount") or 0),
            capacity_providers=tuple(found.get("capacityProviders") or ()),
        )
    return None


def describe_definition(client: ECSClient, family: str) -> TaskDefinition:
    """The revision a launch would use. `PermanentError` when the family has no active one."""
    try:
        answer: Mapping[str, Any] = client.describe_task_definition(taskDefinition=family)
    except (BotoCoreError, ClientError) as error:
        raise translate(error, f"describe the task definition `{family}`") from error
    found = answer.get("taskDefinition") or {}
    if found.get("status", "ACTIVE") != "ACTIVE":
        raise PermanentError(f"The task definition `{family}` is {found['status']}.", "Register a new revision.")
    return TaskDefinition(
        task_definition_arn=str(found.get("taskDefinitionArn") or family),
        log_drivers={
            str(container.get("name")): str((container.get("logConfiguration") or {}).get("logDriver") or "")
            for container in found.get("containerDefinitions") or []
        },
        network_mode=str(found.get("networkMode") or ""),
        launch_types=tuple(found.get("compatibilities") or ()),
        cpu=found.get("cpu"),
        memory=found.get("memory"),
    )


def may_list_tasks(client: ECSClient, cluster: str, deployment: str) -> int:
    """Lists one page of this deployment's tasks: the number on it. `PermanentError` where that is not allowed."""
    try:
        return len(client.list_tasks(cluster=cluster, startedBy=deployment).get("taskArns", []))
    except (BotoCoreError, ClientError) as error:
        raise translate(error, "list the workers' tasks") from error
