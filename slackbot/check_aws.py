"""What `devflow check` asks of AWS: the table in DynamoDB; cluster and task definitions in ECS.

Called by `check_probes`. boto3 is imported where it is needed, so that a bot without AWS does not wait for it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from slackbot.check import Finding, of_error
from slackbot.config import Settings
from slackbot.core.errors import DevflowError
from slackbot.policy import load_policies

if TYPE_CHECKING:
    from slackbot.adapters.ecs_setup import Cluster, TaskDefinition


def table(table: str) -> list[Finding]:
    """In what the table differs from the expected one. Blocks."""
    from slackbot.adapters.dynamodb_calls import make_client
    from slackbot.adapters.dynamodb_create import describe
    from slackbot.adapters.dynamodb_table import differences

    client = make_client()
    try:
        state = describe(client, table)
    finally:
        client.close()
    if state is None:
        remedy = "Run `devflow create-table`, or correct DEVFLOW_TABLE or AWS_REGION"
        return [Finding("store", False, f"there is no table {table} in {client.meta.region_name}", remedy)]
    status = state.table.get("TableStatus")
    if status not in ("ACTIVE", "UPDATING"):
        return [Finding("store", False, f"the table {table} is {status}", "Wait until it is ACTIVE")]
    wrong = [
        Finding("store", False, f"table {table}: {difference.summary}", difference.remedy)
        for difference in differences(state)
    ]
    return wrong or [Finding("store", True, f"table {table} with its index, TTL and billing on demand")]


async def ecs(settings: Settings) -> list[Finding]:
    """Cluster, task definitions (also those of the rules), permission to list tasks."""
    families = {settings.DEVFLOW_ECS_TASK_DEFINITION or "": "DEVFLOW_ECS_TASK_DEFINITION"}
    for rule in load_policies(settings.DEVFLOW_POLICY).rules:
        if rule.task_definition is not None:
            families.setdefault(rule.task_definition, f"the rule for {rule.match}")
    return await asyncio.to_thread(_ecs, settings, families)


def _ecs(settings: Settings, families: dict[str, str]) -> list[Finding]:
    from slackbot.adapters import ecs_setup
    from slackbot.adapters.ecs_client import ecs_client
    from slackbot.adapters.ecs_shapes import deployment_name

    client = ecs_client(attempts=1)
    name = settings.DEVFLOW_ECS_CLUSTER or "default"
    found: list[Finding] = []
    try:
        try:
            cluster = ecs_setup.describe_cluster(client, name)
            found.append(_cluster(cluster, settings, str(client.meta.region_name)))
            if cluster is not None and cluster.status == "ACTIVE":
                deployment = deployment_name(cluster.cluster_arn, settings.store_name)
                ecs_setup.may_list_tasks(client, name, deployment)
                found.append(Finding("tasks", True, f"tasks of this deployment ({deployment}) can be listed"))
        except DevflowError as error:
            found.append(of_error("tasks", error))
        for family, source in families.items():
            try:
                found.append(_definition(ecs_setup.describe_definition(client, family), family, source, settings))
            except DevflowError as error:
                found.append(of_error("tasks", error))
    finally:
        client.close()
    groups = ", ".join(settings.ecs_security_groups) or "the network's default security group"
    where = f"{', '.join(settings.ecs_subnets)} with {groups}"
    return [*found, Finding("tasks", True, f"workers run in {where} (that these are there shows at a launch)")]


def _cluster(cluster: Cluster | None, settings: Settings, region: str) -> Finding:
    name = settings.DEVFLOW_ECS_CLUSTER or "default"
    if cluster is None:
        return Finding(
            "tasks", False, f"there is no ECS cluster {name} in {region}", "Check DEVFLOW_ECS_CLUSTER and AWS_REGION"
        )
    if cluster.status != "ACTIVE":
        return Finding("tasks", False, f"the ECS cluster {name} is {cluster.status}", "Check DEVFLOW_ECS_CLUSTER")
    provider = settings.DEVFLOW_ECS_CAPACITY_PROVIDER
    if provider and provider not in cluster.capacity_providers:
        has = ", ".join(cluster.capacity_providers) or "none"
        remedy = "Give it to the cluster, or unset DEVFLOW_ECS_CAPACITY_PROVIDER"
        return Finding(
            "tasks", False, f"the ECS cluster {name} has no capacity provider {provider} (it has: {has})", remedy
        )
    return Finding("tasks", True, f"ECS cluster {name} is active; {cluster.running_tasks} tasks run in it")


def _definition(definition: TaskDefinition, family: str, source: str, settings: Settings) -> Finding:
    container = settings.DEVFLOW_ECS_CONTAINER
    what = f"task definition {definition.task_definition_arn.rsplit('/', 1)[-1]} ({source})"
    if container not in definition.log_drivers:
        names = ", ".join(sorted(definition.log_drivers)) or "none"
        remedy = "Set DEVFLOW_ECS_CONTAINER to the worker's container, or give the task definition one of that name"
        return Finding("tasks", False, f"{what} has no container {container} (it has: {names})", remedy)
    if definition.launch_types and "FARGATE" not in definition.launch_types:
        return Finding("tasks", False, f"{what} does not fit Fargate", "Register a revision that requires FARGATE")
    if definition.network_mode not in ("", "awsvpc"):
        return Finding(
            "tasks", False, f"{what} has the network mode {definition.network_mode}", "Register one with awsvpc"
        )
    if definition.log_drivers[container] != "awslogs":
        remedy = "Give the container the log driver awslogs, so that a failed session can link to its log"
        return Finding("tasks", False, f"{what} writes its log nowhere that DevFlow can link to", remedy)
    return Finding("tasks", True, f"{what} has the container {container} and a log")
