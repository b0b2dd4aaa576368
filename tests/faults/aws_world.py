"""DynamoDB and ECS for the crash harness, as one world: moto behind a lock, and a scripted ECS whose tasks run.

Bots reach both over HTTP with the real boto3. What ECS is asked to run becomes a process of this machine, by the
adapter for local tasks, so that workers are found and killed as in any other run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from slackbot.adapters.dynamodb_create import create_table
from slackbot.adapters.dynamodb_values import from_wire
from slackbot.adapters.local_tasks import LocalTasks
from slackbot.core.ports import TaskRequest
from tests.fakes.ecs_endpoint import LIFE, EcsEndpoint
from tests.fakes.moto_dynamodb import REGION, moto_client, new_table_name
from tests.fakes.scripted_dynamodb import ScriptedDynamo, scripted_dynamodb

REST = 5.0
"""After a look at the table it is left alone for so many times as long: moto serves one at a time, and bots wait."""


class AwsWorld:
    """`settings` are what a bot needs to work with it."""

    def __init__(self, dynamo: ScriptedDynamo, table: str, endpoint: EcsEndpoint, tasks: LocalTasks) -> None:
        self._endpoint = endpoint
        self._tasks = tasks
        self._table = table
        self._items: list[dict[str, Any]] = []
        self._read_again_at = 0.0
        self._local: dict[str, str] = {}
        self._told_to_stop: set[str] = set()
        self.settings: Mapping[str, str] = {
            "DEVFLOW_STORE": "dynamodb",
            "DEVFLOW_TABLE": table,
            "DEVFLOW_TASKS": "ecs",
            "DEVFLOW_ECS_CLUSTER": endpoint.cluster,
            "DEVFLOW_ECS_TASK_DEFINITION": "devflow-worker",
            "DEVFLOW_ECS_SUBNETS": "subnet-1",
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL_DYNAMODB": dynamo.url,
            "AWS_ENDPOINT_URL_ECS": endpoint.url,
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "not-a-secret",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def items(self) -> list[dict[str, Any]]:
        """Every item of the table, as it was a moment ago."""
        began = time.monotonic()
        if began >= self._read_again_at:
            found: list[dict[str, Any]] = []
            for page in moto_client().get_paginator("scan").paginate(TableName=self._table, ConsistentRead=True):
                found += [dict(from_wire(item)) for item in page["Items"]]
            now = time.monotonic()
            self._items, self._read_again_at = found, now + REST * (now - began)
        return self._items

    async def move_tasks(self) -> None:
        """What was asked of ECS happens, until this is cancelled."""
        while True:
            for task_arn, task in list(self._endpoint.tasks.items()):
                if task["lastStatus"] != "STOPPED":
                    await self._move(task_arn, task)
            await asyncio.sleep(0.1)

    async def _move(self, task_arn: str, task: dict[str, Any]) -> None:
        is_wanted = task["desiredStatus"] != "STOPPED"
        local_arn = self._local.get(task_arn)
        if local_arn is None and not is_wanted:
            self._endpoint.exit(task_arn, None, stop_code="UserInitiated", stopped_reason="Stopped before it began")
            return
        if local_arn is None:
            self._local[task_arn] = await self._begin(task_arn, task)
            return
        if not is_wanted and task_arn not in self._told_to_stop:
            self._told_to_stop.add(task_arn)
            await self._tasks.stop_task(local_arn, "StopTask")
        seen = (await self._tasks.describe_tasks([local_arn]))[local_arn]
        if seen.last_status in ("STOPPED", "MISSING"):
            how = {} if is_wanted else {"stop_code": "UserInitiated", "stopped_reason": "StopTask"}
            self._endpoint.exit(task_arn, seen.exit_code, **how)
        elif seen.last_status == "RUNNING" and LIFE.index(task["lastStatus"]) < LIFE.index("RUNNING"):
            self._endpoint.advance(task_arn, "RUNNING")

    async def _begin(self, task_arn: str, task: dict[str, Any]) -> str:
        (container,) = task["overrides"]["containerOverrides"]
        environment = {each["name"]: each["value"] for each in container["environment"]}
        _, launch, _ = environment["DEVFLOW_WORKER_TOKEN"].split(".")
        request = TaskRequest(
            session_id=environment["DEVFLOW_SESSION_ID"],
            launch=int(launch),
            client_token=task_arn.rsplit("/", 1)[1],
            environment=environment,
        )
        self._endpoint.advance(task_arn, "PENDING")
        return (await self._tasks.run_task(request)).task_arn


@asynccontextmanager
async def aws_world(directory: Path) -> AsyncIterator[AwsWorld]:
    """A new table, and a cluster whose tasks run below `directory`."""
    table = new_table_name()
    create_table(moto_client(), table)
    endpoint = EcsEndpoint()
    await endpoint.start()
    tasks = LocalTasks(directory / "tasks")
    with scripted_dynamodb() as dynamo:
        made = AwsWorld(dynamo, table, endpoint, tasks)
        moving = asyncio.create_task(made.move_tasks())
        try:
            yield made
        finally:
            moving.cancel()
            await asyncio.gather(moving, return_exceptions=True)
            await tasks.close()
            await endpoint.stop()
