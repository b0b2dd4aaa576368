"""The reconciler with a fake clock: tasks it describes, and tasks that nobody owns."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from slackbot.core import events as ev
from slackbot.core.effects import Effect
from slackbot.core.errors import PermanentError, TemporaryError
from slackbot.core.item import from_item, to_item
from slackbot.core.limits import Limits
from slackbot.core.ports import Item, TaskObservation, TaskRequest
from slackbot.core.repository_name import RepositoryName
from slackbot.core.session import Session, Status, derive_session_id
from slackbot.engine import Engine
from slackbot.reconciler import Reconciler
from tests.core.builders import T0, running, starting
from tests.fakes.session_store import FakeStore
from tests.fakes.tasks import FakeTasks

RUNS = "RUNNING"


def limits_of(repository: RepositoryName) -> Limits:
    return Limits()


class DownStore(FakeStore):
    """A store whose reads of one item can be made to fail, as those of a table out of reach."""

    is_down = False

    async def get(self, session_id: str, now: int) -> Item | None:
        if self.is_down:
            raise TemporaryError("The table does not answer.")
        return await super().get(session_id, now)


class Idle:
    """Performs nothing: what is owed is not the reconciler's affair."""

    async def perform(self, effect: Effect, session: Session, *, first: bool) -> ev.Event | None:
        raise TemporaryError("Nothing is performed here.")

    def owes_marks(self, session: Session) -> bool:
        return False

    async def mark(self, session: Session) -> frozenset[str]:
        return frozenset()

    async def mark_over(self, session: Session, turn_ids: frozenset[str]) -> None: ...


class World:
    """Store, tasks, engine and reconciler; `clock` is moved by the test."""

    def __init__(self) -> None:
        self.clock = float(T0)
        self.store, self.tasks = DownStore(), FakeTasks()
        self.told: list[TaskObservation] = []
        self.engine = Engine(
            self.store, Idle(), replica_id="me", now=lambda: self.clock, limits_of=limits_of, retry_seconds=600
        )
        self.reconciler = Reconciler(
            engine=self.engine,
            store=self.store,
            tasks=self.tasks,
            limits_of=limits_of,
            now=lambda: self.clock,
            interval_seconds=10,
            on_orphan_stopped=self.told.append,
        )

    async def live(self, number: int = 1, begin: object = running) -> Session:
        """A live session with a task that runs."""
        session: Session = begin()  # type: ignore[operator]
        thread = replace(session.thread, thread_ts=f"1790000000.{number:06d}")
        session_id = derive_session_id(thread.team_id, thread.channel_id, thread.thread_ts)
        task = await self.tasks.run_task(TaskRequest(session_id, session.launch, f"{session_id}-{session.launch}"))
        self.tasks.advance(task.task_arn, RUNS, now=T0)
        session = replace(
            session, session_id=session_id, thread=thread, ecs_task_arn=task.task_arn, due_at=None, lease=None
        )
        self.store.items[session_id] = to_item(session)
        return session

    def session(self, session: Session) -> Session:
        return from_item(self.store.items[session.session_id])

    async def pass_at(self, seconds: float) -> None:
        """One whole pass, so many seconds after the beginning."""
        self.clock = T0 + seconds
        await self.reconciler.run_once()

    @property
    def stopped(self) -> list[str]:
        return [arn for arn, _ in self.tasks.stops]


@pytest.fixture
def world() -> World:
    return World()


# ---------------------------------------------------------------------------------------------- orphans


async def test_a_task_without_a_session_is_stopped_after_two_minutes(world: World) -> None:
    """Not at the first sight of it: its session may just be about to be stored. Its stop says why."""
    task = await world.tasks.run_task(TaskRequest("11111111-2222-4333-8444-555555555555", 1, "t"))
    for seconds in (0, 60, 119):
        await world.pass_at(seconds)
        assert world.tasks.stops == []
    await world.pass_at(120)
    assert world.tasks.stops == [(task.task_arn, "DevFlow: no session owns this task")]
    assert [told.task_arn for told in world.told] == [task.task_arn]


async def test_a_task_that_names_no_session_is_an_orphan(world: World) -> None:
    """It bears our mark, so it is ours to stop."""
    world.tasks.adopt(TaskObservation("arn:task/unnamed", RUNS))
    for seconds in (0, 120):
        await world.pass_at(seconds)
    assert world.stopped == ["arn:task/unnamed"]


async def test_the_task_of_an_older_launch_is_an_orphan(world: World) -> None:
    """Its session has another one now, which goes on."""
    session = await world.live()
    old = await world.tasks.run_task(TaskRequest(session.session_id, session.launch - 1, "old"))
    for seconds in (0, 60, 120):
        await world.pass_at(seconds)
    assert world.stopped == [old.task_arn]


async def test_a_task_that_its_ended_session_knows_is_left_to_it(world: World) -> None:
    """The session stops it itself, with the reason; one it never heard of is an orphan."""
    session = await world.live()
    ended = replace(session, status=Status.STOPPED)
    world.store.items[session.session_id] = to_item(ended)
    unheard = await world.live(2)
    world.store.items[unheard.session_id] = to_item(replace(unheard, status=Status.ERROR, ecs_task_arn=None))
    for seconds in (0, 120):
        await world.pass_at(seconds)
    assert world.stopped == [unheard.ecs_task_arn]


async def test_two_minutes_begin_anew_when_a_session_was_seen_between(world: World) -> None:
    """Only a task that nobody owns for the whole time is stopped."""
    session = await world.live()
    item = world.store.items.pop(session.session_id)
    await world.pass_at(0)
    world.store.items[session.session_id] = item
    await world.pass_at(60)
    del world.store.items[session.session_id]
    await world.pass_at(121)
    assert world.stopped == []
    await world.pass_at(241)
    assert world.stopped == [session.ecs_task_arn]


async def test_a_store_that_is_down_makes_no_orphans(world: World) -> None:
    """Not being able to look is not having looked: however long the table is away, workers go on."""
    session = await world.live()
    world.store.is_down = True
    for seconds in (0, 120, 600):
        await world.pass_at(seconds)
    assert world.stopped == []
    world.store.is_down = False
    await world.pass_at(700)
    assert world.stopped == []
    assert world.session(session).status is Status.RUNNING


async def test_a_session_that_cannot_be_read_makes_no_orphan(world: World) -> None:
    """An item that is damaged, or of a version to come, may well be a live session's."""
    session = await world.live()
    del world.store.items[session.session_id]["slack"]
    for seconds in (0, 120, 600):
        await world.pass_at(seconds)
    assert world.stopped == []


async def test_one_that_may_not_be_stopped_keeps_nobody_else(world: World) -> None:
    """The others are stopped; it is tried again at the next pass."""
    first, second = [await world.tasks.run_task(TaskRequest("none", n, f"t{n}")) for n in (1, 2)]
    await world.pass_at(0)
    world.tasks.fail_next("stop_task", PermanentError("ecs:StopTask is not allowed."))
    await world.pass_at(120)
    assert world.stopped == [second.task_arn]
    assert [told.task_arn for told in world.told] == [second.task_arn]
    await world.pass_at(130)
    assert world.stopped[1] == first.task_arn


async def test_a_live_session_is_not_read_for_each_look(world: World) -> None:
    """At a thousand sessions that would be a thousand strong reads every ten seconds."""
    session = await world.live()
    await world.pass_at(0)
    reads: list[str] = []
    get = world.store.get

    async def counted(session_id: str, now: int) -> Item | None:
        reads.append(session_id)
        return await get(session_id, now)

    world.store.get = counted  # type: ignore[method-assign]
    await world.pass_at(10)
    assert reads == []
    assert world.session(session).status is Status.RUNNING


# ---------------------------------------------------------------------------------------------- looking


async def test_tasks_are_described_by_the_hundred(world: World) -> None:
    """Whatever their number, a call for each hundred."""
    for number in range(101):
        await world.live(number)
    await world.pass_at(0)
    assert world.tasks.calls["describe_tasks"] == 2


async def test_a_batch_that_fails_does_not_keep_the_others_from_being_looked_at(world: World) -> None:
    """Once, or in each pass; where nothing works a pass asks three times, and the next one goes on behind them."""
    for number in range(401):
        await world.live(number)
    asked: list[str] = []
    fails: set[int] = {0, 2}

    async def describe(task_arns: Sequence[str]) -> dict[str, TaskObservation]:
        asked.append(task_arns[0])
        if len(asked) - 1 in fails:
            raise TemporaryError("ECS does not answer.")
        return await real(task_arns)

    real, world.tasks.describe_tasks = world.tasks.describe_tasks, describe  # type: ignore[method-assign]
    await world.pass_at(0)
    batches = asked[:]
    assert len(set(batches)) == 5
    assert len(world.reconciler._last_seen) == 201
    fails = set(range(5, 8))
    await world.pass_at(10)
    assert asked[5:] == batches[:3]
    await world.pass_at(20)
    assert asked[8:] == batches[3:] + batches[:3]
    assert len(world.reconciler._last_seen) == 401


async def test_an_unhealthy_task_ends_its_session(world: World) -> None:
    """Seen by the pass; the session says so and owes the stop."""
    session = await world.live()
    task = next(iter(world.tasks.tasks))
    world.tasks.adopt(replace(task, health_status="UNHEALTHY"))
    await world.pass_at(30)
    ended = world.session(session)
    assert ended.status is Status.ERROR
    assert "unhealthy" in (ended.error_message or "")
    assert ended.ecs_task_arn == task.task_arn


async def test_missing_counts_after_a_minute(world: World) -> None:
    """Also when nothing else changes: it is told again at each pass."""
    session = await world.live()
    world.tasks.forget(session.ecs_task_arn or "")
    for seconds in (1, 30, 59):
        await world.pass_at(seconds)
        assert world.session(session).status is Status.RUNNING
    await world.pass_at(60)
    assert world.session(session).status is Status.ERROR
    assert "is gone" in (world.session(session).error_message or "")


async def test_a_passing_fault_while_starting_is_another_launch(world: World) -> None:
    """The pass that sees it begins the next one; the old task's news change nothing any more."""
    session = await world.live(begin=starting)
    world.tasks.exit(session.ecs_task_arn or "", None, stop_code="SpotInterruption", stopped_reason="Spot")
    await world.pass_at(20)
    again = world.session(session)
    assert (again.status, again.task.failed_launches) == (Status.STARTING, 1)
    assert again.launch > session.launch
    await world.pass_at(30)
    assert world.session(session).launch == again.launch


async def test_between_passes_only_tasks_of_starting_sessions_are_looked_at(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that starts must not cost a look at every other one, each second."""
    monkeypatch.setattr("slackbot.reconciler.STARTING_SECONDS", 0.01)
    await world.live(1)
    beginning = await world.live(2, begin=starting)
    asked: list[set[str]] = []
    describe = world.tasks.describe_tasks
    enough = asyncio.Event()

    async def noted(task_arns: Sequence[str]) -> dict[str, TaskObservation]:
        asked.append(set(task_arns))
        if len(asked) == 4:
            enough.set()
        return await describe(task_arns)

    monkeypatch.setattr(world.tasks, "describe_tasks", noted)
    running_reconciler = asyncio.create_task(world.reconciler.run())
    await asyncio.wait_for(enough.wait(), 60)
    running_reconciler.cancel()
    assert len(asked[0]) == 2
    assert asked[1:4] == [{beginning.ecs_task_arn}] * 3
