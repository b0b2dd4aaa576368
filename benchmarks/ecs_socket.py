"""The least of an Amazon ECS that a bot can look at: every task it is asked about runs, and always has.

It keeps nothing but which tasks were asked about. https://docs.aws.amazon.com/AmazonECS/latest/APIReference/
"""

from __future__ import annotations

import json
import time
from typing import Any

from aiohttp import web

REGION, ACCOUNT, CLUSTER = "eu-central-1", "123456789012", "bench"
PREFIX = f"arn:aws:ecs:{REGION}:{ACCOUNT}"
CLUSTER_ARN = f"{PREFIX}:cluster/{CLUSTER}"
TASK_DEFINITION_ARN = f"{PREFIX}:task-definition/devflow-worker:1"


def task_arn(number: int) -> str:
    return f"{PREFIX}:task/{CLUSTER}/{number:032x}"


class EcsSocket:
    """`sessions`: task_arn -> (session_id, launch). On a free port of loopback."""

    def __init__(self, sessions: dict[str, tuple[str, int]]) -> None:
        self._sessions = sessions
        self._listed = sorted(sessions)
        self.described: set[str] = set()
        self.all_described_at: float | None = None
        """`time.perf_counter()` at which the last of them had been asked about."""
        application = web.Application()
        application.router.add_post("/", self._answer)
        self._runner = web.AppRunner(application, access_log=None)
        self.url = ""

    async def start(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        asked = json.loads(await request.read())
        operation = request.headers["X-Amz-Target"].rpartition(".")[2]
        answer = {
            "DescribeClusters": self._describe_clusters,
            "DescribeTasks": self._describe_tasks,
            "ListTasks": self._list_tasks,
            "DescribeTaskDefinition": self._describe_task_definition,
        }[operation](asked)
        return web.Response(body=json.dumps(answer).encode(), content_type="application/x-amz-json-1.1")

    def _describe_clusters(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"clusters": [{"clusterArn": CLUSTER_ARN, "clusterName": CLUSTER, "status": "ACTIVE"}], "failures": []}

    def _describe_tasks(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.described.update(asked["tasks"])
        if self.all_described_at is None and len(self.described) == len(self._sessions):
            self.all_described_at = time.perf_counter()
        return {"tasks": [self._task(arn) for arn in asked["tasks"]], "failures": []}

    def _list_tasks(self, asked: dict[str, Any]) -> dict[str, Any]:
        start = int(asked.get("nextToken", 0))
        page = self._listed[start : start + 100]
        more = {"nextToken": str(start + 100)} if start + 100 < len(self._listed) else {}
        return {"taskArns": page, **more}

    def _describe_task_definition(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"taskDefinition": {"taskDefinitionArn": asked["taskDefinition"], "containerDefinitions": []}}

    def _task(self, arn: str) -> dict[str, Any]:
        session_id, launch = self._sessions[arn]
        return {
            "taskArn": arn,
            "clusterArn": CLUSTER_ARN,
            "taskDefinitionArn": TASK_DEFINITION_ARN,
            "lastStatus": "RUNNING",
            "desiredStatus": "RUNNING",
            "healthStatus": "HEALTHY",
            "containers": [{"name": "worker", "lastStatus": "RUNNING"}],
            "tags": [
                {"key": "devflow:session_id", "value": session_id},
                {"key": "devflow:launch", "value": str(launch)},
            ],
        }
