"""The main job with tasks on a scripted ECS: what the thread shows when the cluster does well, and when it does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from slackbot.adapters.ecs import EcsTasks
from tests.fakes.ecs_endpoint import EcsEndpoint, Fault
from tests.wire.bot_world import BotWorld, SessionThread, bot_world, until
from tests.wire.worker import ScriptedWorker

pytestmark = pytest.mark.asyncio(loop_scope="module")

NO_ROOM = {"tasks": [], "failures": [{"reason": "Capacity is unavailable at this time. Please try again later"}]}
SPOT = {"stop_code": "SpotInterruption", "stopped_reason": "Your Spot Task was interrupted."}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def endpoint() -> AsyncIterator[EcsEndpoint]:
    endpoint = EcsEndpoint()
    await endpoint.start()
    yield endpoint
    await endpoint.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory, endpoint: EcsEndpoint) -> AsyncIterator[BotWorld]:
    """A bot whose workers are tasks of the endpoint; each test acts as persons of its own."""
    tasks: EcsTasks = endpoint.open()
    async with bot_world(tmp_path_factory.mktemp("world")) as running:
        await running.start_bot(tasks=tasks)
        yield running
        await running.stop_bot()


def asked_for(endpoint: EcsEndpoint, thread: SessionThread) -> list[dict[str, Any]]:
    """Each RunTask for this session."""
    return [
        asked
        for asked in endpoint.called("RunTask")
        if {"key": "devflow:session_id", "value": thread.session_id} in asked["tags"]
    ]


async def task_of(endpoint: EcsEndpoint, thread: SessionThread, number: int = 1) -> str:
    """The arn of the n-th task of this session, once the session knows it."""

    def look() -> str | None:
        arns = [
            arn
            for arn, task in endpoint.tasks.items()
            if thread.session_id in str(task["overrides"]) and task["startedBy"].startswith("devflow-")
        ]
        known = len(arns) >= number and thread.item().get("ecs_task_arn") == arns[number - 1]
        return arns[number - 1] if known else None

    return await until(look, f"task {number}")


async def worker_of(
    world: BotWorld, endpoint: EcsEndpoint, thread: SessionThread, number: int = 1
) -> tuple[str, ScriptedWorker]:
    """The task and its worker, which says that it is ready."""
    arn = await task_of(endpoint, thread, number)
    endpoint.advance(arn, "RUNNING")
    (container,) = endpoint.tasks[arn]["overrides"]["containerOverrides"]
    worker = ScriptedWorker(world.http, {each["name"]: each["value"] for each in container["environment"]})
    await worker.ready()
    return arn, worker


async def test_a_task_from_its_launch_to_its_stop(world: BotWorld, endpoint: EcsEndpoint) -> None:
    """The card follows ECS's states, links to the task's log; the item names cluster, task and definition."""
    ada = world.someone("ada")
    thread = await ada.starts(await world.repository(), "echo hi")
    arn = await task_of(endpoint, thread)
    item = thread.item()
    assert item["ecs_cluster_arn"] == f"{endpoint.prefix}:cluster/devflow"
    assert item["ecs_task_definition_arn"] == f"{endpoint.prefix}:task-definition/devflow-worker:3"
    for status in ("PROVISIONING", "PENDING", "ACTIVATING"):
        endpoint.advance(arn, status)
        await thread.shows(f"Task *{status}*")
    await thread.shows("|Task log>")
    _, worker = await worker_of(world, endpoint, thread)
    assert (await worker.works("All done."))["prompt"] == "echo hi"
    await thread.turn(1, "answered")
    await ada.presses(thread, "Stop")
    await until(lambda: endpoint.tasks[arn]["desiredStatus"] == "STOPPED", "a StopTask")
    assert thread.session_id in endpoint.tasks[arn]["stoppedReason"]
    for status in ("DEACTIVATING", "STOPPED"):
        endpoint.advance(arn, status)
    await until(lambda: "lease" not in thread.item(), "nothing owed")
    assert "ecs_task_arn" not in thread.item()
    assert len(asked_for(endpoint, thread)) == 1


async def test_passing_faults_and_then_a_worker(world: BotWorld, endpoint: EcsEndpoint) -> None:
    """Two tasks are lost before their workers were ready; the third does the job, and nobody had to press anything."""
    ada = world.someone("ada")
    thread = await ada.starts(await world.repository(), "echo hi")
    for number in (1, 2):
        endpoint.exit(await task_of(endpoint, thread, number), None, **SPOT)
        await thread.shows(f"Attempt {number + 1} of 3 – the last one failed: Amazon took the Spot capacity back.")
    _, worker = await worker_of(world, endpoint, thread, 3)
    await worker.works("All done.")
    await thread.turn(1, "answered")
    assert "Attempt" not in thread.card()
    assert len({asked["clientToken"] for asked in asked_for(endpoint, thread)}) == 3
    await ada.presses(thread, "Stop")


async def test_a_fault_that_goes_on(world: BotWorld, endpoint: EcsEndpoint) -> None:
    """After three attempts the thread says what happened, why and what to do, with log and Retry, which works."""
    ada = world.someone("ada")
    thread = await ada.starts(await world.repository(), "echo hi")
    for number in (1, 2, 3):
        arn = await task_of(endpoint, thread, number)
        endpoint.fail_to_start(arn, "CannotPullContainerError: dial tcp 10.0.0.1:443: i/o timeout")
    await thread.is_("error")
    notice = (await until(lambda: thread.of_type("devflow_notice"), "a notice"))[-1]
    told = str(notice["blocks"])
    assert "could not be fetched: the registry did not answer" in told
    assert "i/o timeout" in told
    assert "|Task log>" in told
    assert thread.turns()[0]["state"] == "cancelled"
    await ada.presses(thread, "Retry")
    _, worker = await worker_of(world, endpoint, thread, 4)
    await worker.works("All done.")
    await thread.turn(2, "answered")
    await ada.presses(thread, "Stop")


async def test_what_does_not_pass_is_told_at_once(world: BotWorld, endpoint: EcsEndpoint) -> None:
    """A program that cannot be started, and a bot that may not start tasks: no second attempt."""
    ada = world.someone("ada")
    thread = await ada.starts(await world.repository(), "echo hi")
    reason = "CannotStartContainerError: devflow: executable file not found"
    endpoint.fail_to_start(await task_of(endpoint, thread), reason)
    await thread.is_("error")
    await thread.shows("The worker's program could not be started.")
    assert len(asked_for(endpoint, thread)) == 1

    denied = "User is not authorized to perform: iam:PassRole"
    endpoint.fail_next("RunTask", "AccessDeniedException", denied)
    thread = await ada.starts(await world.repository(), "echo hi")
    await thread.is_("error")
    await thread.shows(denied)
    assert len(asked_for(endpoint, thread)) == 1


async def test_no_room_is_waited_for(world: BotWorld, endpoint: EcsEndpoint) -> None:
    """The card says why nothing happens; when there is room the same launch goes on, under the same token."""
    ada = world.someone("ada")
    endpoint.fail_next("RunTask", "ThrottlingException", "Rate exceeded")
    endpoint.fail_next("RunTask", "ServerException", "Oops", 500)
    thread = await ada.starts(await world.repository(), "echo hi")
    await thread.shows("Task: being asked for – Amazon ECS")
    arn = await task_of(endpoint, thread)
    assert len({asked["clientToken"] for asked in asked_for(endpoint, thread)}) == 1
    assert len(asked_for(endpoint, thread)) == 3
    endpoint.advance(arn, "RUNNING")
    await thread.shows("Task *RUNNING*")
    assert "being asked for" not in thread.card()
    await ada.presses(thread, "Stop")

    endpoint.upset_next("RunTask", Fault(answer=NO_ROOM))
    thread = await ada.starts(await world.repository(), "echo hi")
    await thread.shows("Capacity is unavailable at this time")
    await ada.presses(thread, "Stop")
    await thread.is_("stopped")


async def test_a_lost_answer_starts_no_second_task(world: BotWorld, endpoint: EcsEndpoint) -> None:
    """RunTask took effect and nobody heard: the repeat finds the one task."""
    ada = world.someone("ada")
    endpoint.upset_next("RunTask", Fault(drop=True, after_effect=True))
    thread = await ada.starts(await world.repository(), "echo hi")
    arn = await task_of(endpoint, thread)
    assert len(asked_for(endpoint, thread)) == 2
    assert [a for a, task in endpoint.tasks.items() if thread.session_id in str(task["overrides"])] == [arn]
    await ada.presses(thread, "Stop")


async def test_a_worker_that_falls_ill(world: BotWorld, endpoint: EcsEndpoint) -> None:
    """UNHEALTHY: the turn in work is told as failed, the task is stopped, and Retry is there."""
    ada = world.someone("ada")
    thread = await ada.starts(await world.repository(), "echo hi")
    arn, worker = await worker_of(world, endpoint, thread)
    await worker.next()
    endpoint.tasks[arn]["healthStatus"] = "UNHEALTHY"
    await thread.is_("error")
    await thread.shows("The worker's task is unhealthy")
    assert thread.turns()[0]["state"] == "failed"
    await until(lambda: endpoint.tasks[arn]["desiredStatus"] == "STOPPED", "a StopTask")
    await until(lambda: thread.button("Retry"), "a Retry")


async def test_a_task_not_known_yet_is_stopped_all_the_same(world: BotWorld, endpoint: EcsEndpoint) -> None:
    """Stop is pressed while DescribeTasks still says MISSING: StopTask is asked for at once."""
    ada = world.someone("ada")
    thread = await ada.starts(await world.repository(), "echo hi")
    arn = await task_of(endpoint, thread)
    endpoint.hide(arn, looks=10_000)
    assert (await thread.is_("starting"))["ecs_task_arn"] == arn
    await ada.presses(thread, "Stop")
    await until(lambda: endpoint.tasks[arn]["desiredStatus"] == "STOPPED", "a StopTask")
    assert (await thread.is_("stopped"))["ecs_task_arn"] == arn, "not known yet is not gone"
