"""What nobody reports: tasks that go, workers that fall silent, time that passes, tasks and debts without an owner."""

from __future__ import annotations

import asyncio

import structlog

from slackbot.core import events as ev
from slackbot.core.errors import TemporaryError
from slackbot.core.session import EndedBy, Status, TurnState
from tests.engine.engine_world import LIMITS, REPOSITORY, EngineWorld, Mortal, observation, until


async def test_a_task_that_is_gone_is_an_error_with_a_reason_and_retry_runs_its_prompt(world: EngineWorld) -> None:
    """The turn in work fails ("may have done part of it"), the thread is told, and Retry launches again."""
    engine = world.engine()
    reconciler = world.reconciler(engine)
    session_id = await world.begin(engine)
    session = await world.runs(engine, session_id)
    await engine.handle(session_id, ev.TurnClaimed(session.launch, session.history[0].turn_id))
    await reconciler.run_once()
    world.tasks.exit(session.ecs_task_arn or "", 137, stopped_reason="OutOfMemoryError: killed")
    await reconciler.run_once()
    session = await world.settled(session_id)
    assert (session.status, session.history[0].state) == (Status.ERROR, TurnState.FAILED)
    assert "memory" in (session.error_message or "")
    assert "may have done part of it" in (session.history[0].response or "")
    (told,) = world.posts("devflow_notice")
    assert "memory" in told
    await engine.handle(session_id, ev.RetryRequested("C1:press", "U1"))
    await world.quiet(engine)
    assert [task.launch for task in world.tasks.tasks] == [session.launch, (await world.load(session_id)).launch]


async def test_a_task_its_system_does_not_know_yet_is_given_time(world: EngineWorld) -> None:
    """MISSING right after the launch is no end; a minute later it is."""
    engine = world.engine()
    reconciler = world.reconciler(engine)
    session_id = await world.begin(engine)
    await world.quiet(engine)
    world.tasks.forget((await world.load(session_id)).ecs_task_arn or "")
    await reconciler.run_once()
    assert (await world.load(session_id)).status is Status.STARTING
    world.clock += LIMITS.lost_task_seconds + 1
    await reconciler.run_once()
    assert (await world.load(session_id)).ecs_task_arn is None
    assert (await world.settled(session_id)).status is Status.ERROR


async def test_a_task_nobody_owns_is_stopped_after_two_looks(world: EngineWorld) -> None:
    """Seen twice, some minutes apart: of no session, of an older launch, of none at all. Owned ones run on."""
    engine = world.engine()
    reconciler = world.reconciler(engine, orphan_seconds=120.0)
    session_id = await world.begin(engine)
    session = await world.runs(engine, session_id)
    for task in (
        observation("00000000-0000-4000-8000-000000000000", 1, "arn:of-nobody"),
        observation(session_id, session.launch - 1, "arn:older-launch"),
        observation(None, None, "arn:nameless"),  # type: ignore[arg-type]
    ):
        world.tasks.adopt(task)
    await reconciler.run_once()
    await reconciler.run_once()
    assert world.tasks.stops == []
    world.clock += 121
    await engine.handle(session_id, ev.WorkerHeard(session.launch))
    await reconciler.run_once()
    assert {arn for arn, _ in world.tasks.stops} == {"arn:of-nobody", "arn:older-launch", "arn:nameless"}
    assert all("no session owns" in reason for _, reason in world.tasks.stops)


async def test_a_task_whose_session_appears_in_time_is_left_alone(world: EngineWorld) -> None:
    """Between the two looks its item was stored (or read again): it is no orphan any more."""
    engine = world.engine()
    reconciler = world.reconciler(engine, orphan_seconds=120.0)
    session_id = await world.begin(engine)
    session = await world.runs(engine, session_id)
    item = world.store.items.pop(session_id)
    await reconciler.run_once()
    world.store.items[session_id] = item
    world.clock += 60
    await engine.handle(session_id, ev.WorkerHeard(session.launch))
    await reconciler.run_once()
    world.clock += 61
    await engine.handle(session_id, ev.WorkerHeard(session.launch))
    del world.store.items[session_id]
    await reconciler.run_once()
    assert world.tasks.stops == [], "the first look counts anew"


async def test_a_start_that_hangs_ends(world: EngineWorld) -> None:
    """Not ready within ten minutes: an error that says so, and its task is stopped."""
    engine = world.engine()
    reconciler = world.reconciler(engine)
    session_id = await world.begin(engine)
    await world.quiet(engine)
    world.clock += LIMITS.start_seconds
    await reconciler.run_once()
    assert (await world.load(session_id)).status is Status.STARTING
    world.clock += 2
    await reconciler.run_once()
    session = await world.settled(session_id)
    assert session.status is Status.ERROR
    assert "not ready within 10 minutes" in (session.error_message or "")
    assert world.tasks.tasks[0].last_status == "STOPPED"


async def test_a_worker_that_falls_silent_is_given_up(world: EngineWorld) -> None:
    """Three minutes without a word; but not while the bot itself was not there to hear it."""
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.runs(engine, session_id)
    await world.works(engine, session_id)
    await world.quiet(engine)
    world.clock += 900
    reconciler = world.reconciler(engine)
    await reconciler.run_once()
    assert (await world.load(session_id)).status is Status.RUNNING, "the bot has only just begun to listen"
    world.clock += LIMITS.silence_seconds + 1
    await reconciler.run_once()
    session = await world.settled(session_id)
    assert session.status is Status.ERROR
    assert "not heard from for" in (session.error_message or "")
    assert world.tasks.tasks[0].last_status == "STOPPED"


async def test_idleness_ends_a_session_whose_worker_does_not_end_itself(world: EngineWorld) -> None:
    """The worker keeps the limit; some time later the bot does. A reply wakes it."""
    engine = world.engine()
    reconciler = world.reconciler(engine)
    session_id = await world.begin(engine)
    session = await world.runs(engine, session_id)
    await world.works(engine, session_id)
    await world.quiet(engine)
    for _ in range((LIMITS.idle_seconds + LIMITS.grace_seconds) // 60 + 2):
        world.clock += 60
        if (await world.load(session_id)).status is Status.RUNNING:
            await engine.handle(session_id, ev.WorkerHeard(session.launch))
        await reconciler.run_once()
        await world.quiet(engine)
    ended = await world.settled(session_id)
    assert ended.status is Status.STOPPED
    assert ended.ended is not None
    assert ended.ended.by is EndedBy.IDLE
    assert ended.stay.warned is None
    thread = ended.thread
    assert "stops itself soon" not in world.chat.thread_text(thread.channel_id, thread.thread_ts)
    await world.says(engine, session_id, "good morning")
    await world.quiet(engine)
    assert (await world.load(session_id)).status is Status.STARTING
    assert len(world.tasks.tasks) == 2


async def test_a_turn_without_end_is_cancelled_and_then_ended_without_its_worker(world: EngineWorld) -> None:
    """Past its hour it is asked to stop; a minute later it is over, whatever the worker does."""
    engine = world.engine()
    reconciler = world.reconciler(engine)
    session_id = await world.begin(engine)
    session = await world.runs(engine, session_id)
    await engine.handle(session_id, ev.TurnClaimed(session.launch, session.history[0].turn_id))
    await world.quiet(engine)

    async def minutes(count: int) -> None:
        for _ in range(count):
            world.clock += 60
            await engine.handle(session_id, ev.WorkerHeard(session.launch))
            await reconciler.run_once()

    await minutes((LIMITS.turn_seconds + LIMITS.grace_seconds) // 60)
    assert (await world.load(session_id)).history[0].cancelled_at is None
    await minutes(1)
    turn = (await world.load(session_id)).history[0]
    assert (turn.state, turn.cancelled_at is not None) == (TurnState.WORKING, True)
    await minutes(2)
    turn = (await world.settled(session_id)).history[0]
    assert turn.state is TurnState.FAILED
    assert "limit for one prompt" in (turn.response or "")
    assert (await world.load(session_id)).status is Status.RUNNING


async def test_the_debts_of_a_dead_replica_are_picked_up_after_its_lease(world: EngineWorld) -> None:
    """Its session is due when the lease runs out, not before; then branch and task are made."""
    dead = world.engine(Mortal(world.performer(), 1, after=False))
    session_id = await world.begin(dead)
    await dead.drain(0)
    living = world.engine()
    reconciler = world.reconciler(living)
    world.clock += 29
    await reconciler.run_once()
    await world.quiet(living)
    assert world.tasks.tasks == []
    world.clock += 2
    await reconciler.run_once()
    await until(lambda: len(world.tasks.tasks) == 1, "the task")
    await world.quiet(living)
    assert (await world.load(session_id)).task.last_status == "PROVISIONING"


async def test_one_broken_item_and_an_outage_do_not_end_the_pass(world: EngineWorld) -> None:
    """An unreadable session is passed over; a tasks system that is down is logged once, and then once more."""
    engine = world.engine()
    reconciler = world.reconciler(engine)
    broken_id = await world.begin(engine, "one")
    session_id = await world.begin(engine, "two")
    await world.quiet(engine)
    del world.store.items[broken_id]["repository_owner"]
    world.store.items[broken_id]["repository_owner"] = 5
    with structlog.testing.capture_logs() as logged:
        for _ in range(3):
            world.tasks.fail_next("describe_tasks", TemporaryError("ECS does not answer."))
            await reconciler.run_once()
        world.tasks.settle()
        await reconciler.run_once()
    assert (await world.load(session_id)).task.last_status == "RUNNING"
    told = [line["event"] for line in logged]
    assert told.count("outage_began") == 1
    assert told.count("outage_ended") == 1


async def test_what_must_stay_is_touched_before_it_may_be_removed(world: EngineWorld) -> None:
    """A stopped session with an open pull request lives on beyond its day; one without is forgotten."""
    engine = world.engine()
    reconciler = world.reconciler(engine)
    kept, forgotten = await world.begin(engine, "one"), await world.begin(engine, "two")
    for session_id in (kept, forgotten):
        session = await world.runs(engine, session_id)
        sha = world.code_host.push(REPOSITORY, session.branch_name, {session_id: "x\n"})
        await world.works(engine, session_id, commit_sha=sha)
    await engine.handle(kept, ev.PullRequestRequested("U1"))
    await world.quiet(engine)
    for session_id in (kept, forgotten):
        await engine.handle(session_id, ev.StopRequested("U1"))
        await world.settled(session_id)
    for _ in range(50):
        world.clock += 3600
        await reconciler.run_once()
        await world.quiet(engine)
    assert (await world.load(kept)).pr_number == 1
    assert await engine.load(forgotten) is None


async def test_it_goes_on_by_itself_and_ends_when_told(world: EngineWorld) -> None:
    """`run` passes for ever, more often while a session starts."""
    engine = world.engine()
    running = asyncio.create_task(world.reconciler(engine).run())
    session_id = await world.begin(engine)
    await until(lambda: world.tasks.tasks, "a task")
    world.tasks.settle()

    async def runs() -> bool:
        return (await world.load(session_id)).task.last_status == "RUNNING"

    await until(lambda: runs(), "the task seen running")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert running.cancelled()
