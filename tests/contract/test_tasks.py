"""What every adapter of the port `Tasks` must do, run against each of them.

A `World` is one system that runs tasks; `open` gives adapters onto it. Another adapter joins by one more world.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Literal, Protocol

import pytest

from slackbot.adapters.ecs import EcsTasks
from slackbot.adapters.local_tasks import LocalTasks
from slackbot.core.ports import TaskObservation, TaskRequest, Tasks
from tests.fakes.ecs_endpoint import EcsEndpoint
from tests.fakes.tasks import FakeTasks

Behaviour = Literal["sleeps", "exits 3", "is missing"]

STARTING = ("PROVISIONING", "PENDING", "ACTIVATING")
LIFE = (*STARTING, "RUNNING", "DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED")

_launches = itertools.count(1_700_000_000_000)


def request(token: str | None = None) -> TaskRequest:
    """A launch unlike every other, or the one of `token`."""
    launch = next(_launches)
    return TaskRequest("11111111-2222-4333-8444-555555555555", launch, token or f"token-{launch}", {"COLOUR": "red"})


class World(Protocol):
    """One system that runs tasks. `step` lets it go on where it does not do so by itself."""

    async def open(self, behaviour: Behaviour = "sleeps") -> Tasks: ...

    async def step(self) -> None: ...

    async def close(self) -> None: ...


LOCAL_COMMANDS: dict[Behaviour, list[str]] = {
    "sleeps": ["/bin/sleep", "600"],
    "exits 3": ["/bin/sh", "-c", "exit 3"],
    "is missing": ["/nowhere/devflow-worker"],
}


class LocalWorld:
    """Processes of this machine, under one state directory."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._opened: list[LocalTasks] = []

    async def open(self, behaviour: Behaviour = "sleeps") -> Tasks:
        self._opened.append(LocalTasks(self._state_dir, command=LOCAL_COMMANDS[behaviour], stop_grace_seconds=5))
        return self._opened[-1]

    async def step(self) -> None:
        await asyncio.sleep(0.01)

    async def close(self) -> None:
        last = LocalTasks(self._state_dir)
        await last.stop_all("the test is over")
        for tasks in [*self._opened, last]:
            await tasks.close()


class _FakeAdapter:
    """One of several adapters onto the same FakeTasks, whose tasks all have one behaviour."""

    def __init__(self, fake: FakeTasks, behaviour: Behaviour, exiting: set[str]) -> None:
        self._fake, self._behaviour, self._exiting = fake, behaviour, exiting
        self.describe_tasks, self.stop_task = fake.describe_tasks, fake.stop_task
        self.list_tasks, self.close = fake.list_tasks, fake.close

    async def run_task(self, request: TaskRequest) -> TaskObservation:
        if self._behaviour == "is missing":
            self._fake.fail_next_start()
        task = await self._fake.run_task(request)
        if self._behaviour == "exits 3":
            self._exiting.add(task.task_arn)
        return task


class FakeWorld:
    """The in-memory fake, moved on by one state each step."""

    def __init__(self) -> None:
        self._fake = FakeTasks()
        self._exiting: set[str] = set()

    async def open(self, behaviour: Behaviour = "sleeps") -> Tasks:
        return _FakeAdapter(self._fake, behaviour, self._exiting)

    async def step(self) -> None:
        for task in self._fake.tasks:
            if task.last_status == "RUNNING" and task.task_arn in self._exiting:
                self._fake.exit(task.task_arn, 3)
            else:
                self._fake.advance(task.task_arn, now=int(time.time()))

    async def close(self) -> None: ...


class _EcsAdapter:
    """One of several EcsTasks onto the same endpoint, whose tasks all have one behaviour."""

    def __init__(self, tasks: EcsTasks, endpoint: EcsEndpoint, behaviour: Behaviour, exiting: set[str]) -> None:
        self._tasks, self._endpoint, self._behaviour, self._exiting = tasks, endpoint, behaviour, exiting
        self.describe_tasks, self.stop_task = tasks.describe_tasks, tasks.stop_task
        self.list_tasks, self.close = tasks.list_tasks, tasks.close

    async def run_task(self, request: TaskRequest) -> TaskObservation:
        if self._behaviour == "is missing":
            self._endpoint.fail_next_start("CannotStartContainerError: no such file")
        task = await self._tasks.run_task(request)
        if self._behaviour == "exits 3":
            self._exiting.add(task.task_arn)
        return task


class EcsWorld:
    """The real boto3 against a scripted ECS, moved on by one state each step."""

    def __init__(self) -> None:
        self._endpoint = EcsEndpoint()
        self._exiting: set[str] = set()
        self._opened: list[EcsTasks] = []

    async def open(self, behaviour: Behaviour = "sleeps") -> Tasks:
        if not self._endpoint.url:
            await self._endpoint.start()
        self._opened.append(self._endpoint.open())
        return _EcsAdapter(self._opened[-1], self._endpoint, behaviour, self._exiting)

    async def step(self) -> None:
        for arn, task in self._endpoint.tasks.items():
            if task["lastStatus"] == "RUNNING" and arn in self._exiting:
                self._endpoint.exit(arn, 3)
            else:
                self._endpoint.advance(arn)

    async def close(self) -> None:
        for tasks in self._opened:
            await tasks.close()
        await self._endpoint.stop()


@pytest.fixture(params=["fake", "local", "ecs"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """Each system in turn; its tasks are stopped at the end."""
    worlds: dict[str, Callable[[], World]] = {
        "fake": FakeWorld,
        "local": lambda: LocalWorld(tmp_path / "tasks"),
        "ecs": EcsWorld,
    }
    world = worlds[request.param]()
    yield world
    await world.close()


async def wait_for(world: World, tasks: Tasks, task_arn: str, *statuses: str) -> TaskObservation:
    """The task once it has one of `statuses`; an assertion error when it has not within 20 s."""
    deadline = time.monotonic() + 60
    while True:
        task = (await tasks.describe_tasks([task_arn]))[task_arn]
        if task.last_status in statuses:
            return task
        assert time.monotonic() < deadline, f"still {task}"
        await world.step()


async def test_a_launch_is_described_as_asked(world: World) -> None:
    """The first answer names the task, its session and its launch, in an early state."""
    tasks = await world.open()
    asked = request()
    task = await tasks.run_task(asked)
    assert task.task_arn.startswith("arn:")
    assert (task.session_id, task.launch) == (asked.session_id, asked.launch)
    assert task.last_status in (*STARTING, "RUNNING")
    assert task.cluster_arn is not None
    assert task.task_definition_arn is not None
    assert (task.stop_code, task.exit_code) == (None, None)


async def test_a_task_comes_to_run(world: World) -> None:
    """A worker that goes on is RUNNING, with the time of its start, and keeps what it was asked for."""
    tasks = await world.open()
    asked = request()
    before = int(time.time())
    task = await tasks.run_task(asked)
    task = await wait_for(world, tasks, task.task_arn, "RUNNING")
    assert (task.session_id, task.launch) == (asked.session_id, asked.launch)
    assert task.started_at is not None
    assert before <= task.started_at <= int(time.time())


async def test_states_never_go_back(world: World) -> None:
    """From its start to its end a task is only ever seen further on in ECS's order."""
    tasks = await world.open()
    task = await tasks.run_task(request())
    seen = [task.last_status]
    while seen[-1] != "STOPPED":
        task = (await tasks.describe_tasks([task.task_arn]))[task.task_arn]
        seen.append(task.last_status)
        if task.last_status == "RUNNING":
            await tasks.stop_task(task.task_arn, "seen enough")
        await world.step()
    places = [LIFE.index(status) for status in seen]
    assert places == sorted(places)
    assert "RUNNING" in seen


async def test_the_same_client_token_is_one_task(world: World) -> None:
    """Asked again, by this adapter or another, the same task is found."""
    tasks, other = await world.open(), await world.open()
    asked = request()
    first = await tasks.run_task(asked)
    assert (await tasks.run_task(asked)).task_arn == first.task_arn
    assert (await other.run_task(asked)).task_arn == first.task_arn
    assert [task.task_arn for task in await other.list_tasks()] == [first.task_arn]


async def test_the_same_client_token_at_once_is_one_task(world: World) -> None:
    """Two adapters that ask at the same moment start one task."""
    tasks, other = await world.open(), await world.open()
    asked = request()
    found = await asyncio.gather(*(each.run_task(asked) for each in (tasks, other) * 8))
    assert len({task.task_arn for task in found}) == 1
    task = await wait_for(world, tasks, found[0].task_arn, "RUNNING", "STOPPED")
    assert task.last_status == "RUNNING"
    assert len(await tasks.list_tasks()) == 1


async def test_another_client_token_is_another_task(world: World) -> None:
    """Two launches of one session are two tasks."""
    tasks = await world.open()
    first, second = await tasks.run_task(request()), await tasks.run_task(request())
    assert first.task_arn != second.task_arn
    assert {task.task_arn for task in await tasks.list_tasks()} == {first.task_arn, second.task_arn}


async def test_a_stopped_task_is_not_started_again(world: World) -> None:
    """The client token of a task that ended finds its end, not a second run."""
    tasks = await world.open("exits 3")
    asked = request()
    task = await tasks.run_task(asked)
    ended = await wait_for(world, tasks, task.task_arn, "STOPPED")
    assert await tasks.run_task(asked) == ended


async def test_the_exit_code_of_a_worker_that_ends(world: World) -> None:
    """A worker that exits with 3 stops its task, in ECS's words."""
    tasks = await world.open("exits 3")
    task = await tasks.run_task(request())
    task = await wait_for(world, tasks, task.task_arn, "STOPPED")
    assert (task.stop_code, task.exit_code) == ("EssentialContainerExited", 3)
    assert task.stopped_reason == "Essential container in task exited"


async def test_a_worker_that_cannot_be_started(world: World) -> None:
    """A missing program is a task that failed to start: a reason, no exit code, no start."""
    tasks = await world.open("is missing")
    task = await tasks.run_task(request())
    task = await wait_for(world, tasks, task.task_arn, "STOPPED")
    assert (task.stop_code, task.exit_code, task.started_at) == ("TaskFailedToStart", None, None)
    assert task.stopped_reason is not None
    assert task.stopped_reason.startswith("CannotStartContainerError: ")


async def test_stopping_a_running_task(world: World) -> None:
    """A task asked to stop does so, with the reason given and the exit code of SIGTERM."""
    tasks = await world.open()
    task = await tasks.run_task(request())
    await wait_for(world, tasks, task.task_arn, "RUNNING")
    await tasks.stop_task(task.task_arn, "U1 pressed Stop")
    task = await wait_for(world, tasks, task.task_arn, "STOPPED")
    assert (task.stop_code, task.stopped_reason, task.exit_code) == ("UserInitiated", "U1 pressed Stop", 143)


async def test_stopping_a_task_that_just_starts(world: World) -> None:
    """A stop that comes before the worker runs is kept, and the task stops."""
    tasks = await world.open()
    task = await tasks.run_task(request())
    await tasks.stop_task(task.task_arn, "changed my mind")
    task = await wait_for(world, tasks, task.task_arn, "STOPPED")
    assert (task.stop_code, task.stopped_reason) == ("UserInitiated", "changed my mind")


async def test_stopping_twice_keeps_the_first_reason(world: World) -> None:
    """Also from another adapter, and after the task has stopped."""
    tasks, other = await world.open(), await world.open()
    task = await tasks.run_task(request())
    await wait_for(world, tasks, task.task_arn, "RUNNING")
    await tasks.stop_task(task.task_arn, "first")
    await other.stop_task(task.task_arn, "second")
    ended = await wait_for(world, tasks, task.task_arn, "STOPPED")
    await tasks.stop_task(task.task_arn, "third")
    assert (await tasks.describe_tasks([task.task_arn]))[task.task_arn] == ended
    assert ended.stopped_reason == "first"


async def test_stopping_one_that_ended_by_itself_changes_nothing(world: World) -> None:
    """Its own end stays on record."""
    tasks = await world.open("exits 3")
    task = await tasks.run_task(request())
    ended = await wait_for(world, tasks, task.task_arn, "STOPPED")
    await tasks.stop_task(task.task_arn, "too late")
    assert (await tasks.describe_tasks([task.task_arn]))[task.task_arn] == ended


@pytest.mark.parametrize(
    "end",
    ["0123456789abcdef" * 2, "0123456789ABCDEF" * 2, "../../etc", "", "a" * 31, "0" * 32 + "\n", "0" * 32 + "/.."],
)
async def test_a_foreign_task_is_missing(world: World, end: str) -> None:
    """An arn that no task has is MISSING, and stopping it is harmless; so is one that is no arn."""
    tasks = await world.open()
    task = await tasks.run_task(request())
    arn = task.task_arn.rsplit("/", 1)[0] + "/" + end
    await tasks.stop_task(arn, "whatever")
    found = await tasks.describe_tasks([arn, end, task.task_arn])
    assert (found[arn].task_arn, found[arn].last_status) == (arn, "MISSING")
    assert found[end].last_status == "MISSING"
    assert found[task.task_arn].last_status in (*STARTING, "RUNNING")


async def test_describing_nothing(world: World) -> None:
    """No arns, no tasks."""
    tasks = await world.open()
    assert await tasks.describe_tasks([]) == {}
    assert await tasks.list_tasks() == []


async def test_the_list_holds_what_has_not_stopped(world: World) -> None:
    """Whoever started it; what has stopped is gone from it."""
    tasks, other = await world.open(), await world.open("exits 3")
    lasting, short = await tasks.run_task(request()), await other.run_task(request())
    await wait_for(world, tasks, short.task_arn, "STOPPED")
    for each in (tasks, other):
        assert [task.task_arn for task in await each.list_tasks()] == [lasting.task_arn]
    (listed,) = await tasks.list_tasks()
    assert (listed.session_id, listed.launch) == (lasting.session_id, lasting.launch)


async def test_tasks_outlive_their_adapter(world: World) -> None:
    """Closing an adapter leaves its tasks running for the next one."""
    tasks = await world.open()
    task = await tasks.run_task(request())
    await wait_for(world, tasks, task.task_arn, "RUNNING")
    await tasks.close()
    other = await world.open()
    assert [each.last_status for each in await other.list_tasks()] == ["RUNNING"]
    await other.stop_task(task.task_arn, "by the next one")
    task = await wait_for(world, other, task.task_arn, "STOPPED")
    assert task.stopped_reason == "by the next one"
