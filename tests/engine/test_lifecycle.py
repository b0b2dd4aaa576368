"""Every way in which a session may come to nothing ends in a state its thread tells, with nothing left running.

What hangs or dies while a bot looks on is in `test_reconciler.py`; here nobody looked on, or the item itself went.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import structlog.testing

from slackbot.core import effects
from slackbot.core import events as ev
from slackbot.core.errors import PermanentError, TemporaryError
from slackbot.core.ports import Item
from slackbot.core.session import TTL_SECONDS, EndedBy, Status, TurnState
from slackbot.outages import FAILURES, system_of
from tests.engine.engine_world import LIMITS, EngineWorld, Mortal, until
from tests.fakes.session_store import FakeStore

DAY = 24 * 3600


@pytest.mark.parametrize("hours", [20, 30, 24 * 13], ids=lambda hours: f"{hours}h")
async def test_a_bot_that_was_down_for_long_tells_each_thread_what_came_of_it(world: EngineWorld, hours: int) -> None:
    """Also when the item's `ttl` passed meanwhile: the worker is gone, the prompt failed, the thread says so."""
    engine = world.engine()
    session_id = await world.begin(engine)
    session = await world.runs(engine, session_id)
    await engine.handle(session_id, ev.TurnClaimed(session.launch, session.history[0].turn_id))
    await world.says(engine, session_id, "and this")
    await world.quiet(engine)
    await engine.drain(0)
    world.clock += hours * 3600
    world.tasks.advance(session.ecs_task_arn or "", "STOPPED")
    again = world.engine()
    reconciler = world.reconciler(again)
    await reconciler.run_once()
    ended = await world.settled(session_id)
    assert ended.status is Status.ERROR
    assert [turn.state for turn in ended.history] == [TurnState.FAILED, TurnState.CANCELLED]
    (told,) = world.posts("devflow_notice")
    assert "ended with an error" in told
    assert ended.retryable_turn() is not None, "and what to do: Retry"


async def test_a_worker_that_outlived_a_day_without_a_bot_goes_on(world: EngineWorld) -> None:
    """Its session expired, and is kept all the same; its answer is taken."""
    engine = world.engine()
    session_id = await world.begin(engine)
    session = await world.runs(engine, session_id)
    await engine.handle(session_id, ev.TurnClaimed(session.launch, session.history[0].turn_id))
    await world.quiet(engine)
    await engine.drain(0)
    world.clock += TTL_SECONDS + 600
    again = world.engine()
    assert await again.load(session_id) is None
    reconciler = world.reconciler(again)
    await reconciler.run_once()
    turn_id = session.history[0].turn_id
    await again.handle(session_id, ev.TurnEnded(session.launch, turn_id, TurnState.ANSWERED, "at last"))
    await world.quiet(again)
    assert any("at last" in post for post in world.posts("devflow_answer"))
    assert (await world.load(session_id)).status is Status.RUNNING
    assert world.tasks.stops == []


async def test_an_expired_session_that_could_not_be_kept_at_first_is_kept_later(world: EngineWorld) -> None:
    """A store in trouble at the start is no reason to take a session for gone, and its task for nobody's."""
    engine = world.engine()
    session_id = await world.begin(engine)
    session = await world.runs(engine, session_id)
    await world.quiet(engine)
    await engine.drain(0)
    world.clock += TTL_SECONDS + 600
    again = world.engine()
    reconciler = world.reconciler(again)
    rescue, tried = again.rescue, 0

    async def rescue_at_second(session_id: str, read_at: int) -> bool:
        nonlocal tried
        tried += 1
        if tried == 1:
            raise TemporaryError("The store asks to wait.")
        return await rescue(session_id, read_at)

    again.rescue = rescue_at_second  # type: ignore[method-assign]
    await reconciler.run_once()
    assert await again.load(session_id) is None
    await reconciler.run_once()
    kept = await world.load(session_id)
    assert (kept.status, kept.ecs_task_arn) == (Status.RUNNING, session.ecs_task_arn)


async def test_a_session_that_was_starting_when_the_bot_went_down_gets_the_time_to_start(world: EngineWorld) -> None:
    """Its worker waits at a closed door, or was never launched: either way nobody can say that it failed."""
    engine = world.engine()
    waiting = await world.begin(engine)
    await world.quiet(engine)
    await engine.drain(0)
    asked = await world.begin(engine, "echo two")
    world.clock += LIMITS.start_seconds + 60
    again = world.engine()
    reconciler = world.reconciler(again)
    await reconciler.run_once()
    session = await world.load(waiting)
    assert (await again.handle(waiting, ev.WorkerReady(session.launch))).status is Status.RUNNING
    await until(lambda: len(world.tasks.tasks) == 2, "the other one's task")
    assert (await world.load(asked)).status is Status.STARTING
    world.clock += LIMITS.silence_seconds + 1
    await reconciler.run_once()
    assert (await world.load(asked)).status is Status.ERROR


async def test_what_is_over_and_told_expires_for_good(world: EngineWorld) -> None:
    """Nothing is rescued that owes nobody anything."""
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.runs(engine, session_id)
    await world.works(engine, session_id)
    await engine.handle(session_id, ev.StopRequested("U1"))
    await world.settled(session_id)
    world.clock += TTL_SECONDS + 600
    await world.reconciler(engine).run_once()
    assert await engine.load(session_id) is None


async def test_an_end_that_nobody_told_is_told_after_a_day(world: EngineWorld) -> None:
    """The bot died between a stop and the word of it."""
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.runs(engine, session_id)
    await world.quiet(engine)
    world.chat.fail("post_message", TemporaryError("Slack is down.", retry_after_seconds=300.0))
    await engine.handle(session_id, ev.StopRequested("U1"))
    await until(lambda: world.chat.calls[-1][0] == "post_message", "the first try")
    await engine.drain(0)
    world.clock += TTL_SECONDS + 600
    again = world.engine()
    await world.reconciler(again).run_once()
    await world.settled(session_id)
    assert len(world.posts("devflow_notice")) == 1


async def test_an_item_that_was_deleted_by_hand_leaves_no_task(world: EngineWorld) -> None:
    """Seen twice without a session, the task is stopped."""
    engine = world.engine()
    reconciler = world.reconciler(engine, orphan_seconds=120)
    session_id = await world.begin(engine)
    await world.runs(engine, session_id)
    await world.quiet(engine)
    del world.store.items[session_id]
    await reconciler.run_once()
    assert world.tasks.stops == []
    world.clock += 121
    await reconciler.run_once()
    assert len(world.tasks.stops) == 1


async def test_a_session_past_its_longest_time_stops_itself(world: EngineWorld) -> None:
    """Once nothing is in work; the thread says why, and a reply goes on."""
    engine = world.engine()
    reconciler = world.reconciler(engine)
    session_id = await world.begin(engine)
    session = await world.runs(engine, session_id)
    await world.works(engine, session_id)
    for _ in range(LIMITS.max_session_seconds // 900 + 2):
        world.clock += 900
        if (await world.load(session_id)).status is Status.RUNNING:
            await engine.handle(session_id, ev.WorkerHeard(session.launch))
            await world.says(engine, session_id, "more")
            await world.works(engine, session_id)
            await world.quiet(engine)
        await reconciler.run_once()
    ended = await world.settled(session_id)
    assert ended.ended is not None
    assert ended.ended.by is EndedBy.AGE
    assert any("longest time" in post for post in world.posts("devflow_notice"))


async def test_a_live_session_without_a_task_asks_for_it_again(world: EngineWorld) -> None:
    """A crash kept from the item which task it is: the same request finds it."""
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.runs(engine, session_id)
    await world.quiet(engine)
    item = world.store.items[session_id]
    arn = item.pop("ecs_task_arn")
    item["due_at"] = int(world.clock)
    await world.reconciler(engine).run_once()
    await until(lambda: world.store.items[session_id].get("ecs_task_arn") == arn, "the same task")
    assert len(world.tasks.tasks) == 1


async def running_ones(world: EngineWorld, count: int) -> list[str]:
    """Sessions whose workers are ready, each with a prompt."""
    engine = world.engines[-1]
    ids = [await world.begin(engine, f"echo {number}") for number in range(count)]
    for session_id in ids:
        await world.runs(engine, session_id)
        await world.quiet(engine)
    return ids


def outages(logged: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    assert not [line for line in logged if line["log_level"] == "error"], logged
    return [(line["event"], line["part"]) for line in logged if str(line["event"]).startswith("outage")]


async def test_an_outage_of_slack_is_logged_once_when_it_begins_and_once_when_it_ends(world: EngineWorld) -> None:
    """However many sessions meet it; every answer stands in the end, once."""
    engine = world.engine()
    ids = await running_ones(world, 5)
    with structlog.testing.capture_logs() as logged:
        for method in ("post_message", "update_message"):
            world.chat.fail(method, TemporaryError("Slack is down."), times=12)
        for session_id in ids:
            await world.works(engine, session_id, response=f"answer of {session_id}")
        await until(lambda: len(world.posts("devflow_answer")) == 5, "all answers")
        await until(lambda: len(outages(logged)) == 2, "told")
    assert outages(logged) == [("outage_began", "chat"), ("outage_ended", "chat")]


@pytest.mark.parametrize(
    ("effect", "system"),
    [
        (effects.RunTask(1), "tasks"),
        (effects.StopTask("arn", "over"), "tasks"),
        (effects.MakeBranch("b"), "code_host"),
        (effects.OpenPullRequest(1), "code_host"),
        (effects.ActOnPullRequest("merge", "press"), "code_host"),
        (effects.AnswerReview("C1:1.1"), "code_host"),
        (effects.LookForMergedBranch("b"), "code_host"),
        (effects.DeliverAnswer("C1:1.1"), "chat"),
        (effects.UpdateCard("key"), "chat"),
    ],
)
def test_an_outage_is_said_of_the_system_that_does_not_answer(effect: effects.Effect, system: str) -> None:
    assert system_of(effect) == system


async def test_an_outage_of_the_store_is_no_fault_of_any_session(world: EngineWorld) -> None:
    """Told once, not with a traceback for each; what was owed is done when it answers again."""
    world.store = store = AwayStore()
    engine = world.engine()
    ids = await running_ones(world, 5)
    for session_id in ids:
        await world.works(engine, session_id)
        await world.quiet(engine)
    with structlog.testing.capture_logs() as logged:
        for session_id in ids:
            await engine.handle(session_id, ev.StopRequested("U1"))
        store.is_away = True
        await until(lambda: len(outages(logged)) == 1, "its beginning")
        store.is_away = False
        for session_id in ids:
            await world.settled(session_id)
    assert outages(logged) == [("outage_began", "store"), ("outage_ended", "store")]
    assert len(world.posts("devflow_notice")) == 5


class AwayStore(FakeStore):
    """Does not answer while it is away."""

    is_away = False

    async def get(self, session_id: str, now: int) -> Item | None:
        if self.is_away:
            raise TemporaryError("The table does not answer.")
        return await super().get(session_id, now)


async def test_one_session_s_trouble_is_no_outage_and_slows_nobody(world: EngineWorld) -> None:
    """What is refused for one thread alone; the other's answer stands while that is still tried."""
    engine = world.engine()
    troubled, other = await world.begin(engine), await world.begin(engine, "echo two")
    for session_id in (troubled, other):
        await world.runs(engine, session_id)
        await world.quiet(engine)
    with structlog.testing.capture_logs() as logged:
        world.chat.fail("post_message", TemporaryError("Not now.", retry_after_seconds=3600.0))
        await world.works(engine, troubled, response="late")
        await until(lambda: any(line["event"] == "effect_postponed" for line in logged), "the first try")
        await world.works(engine, other, response="in time")
        await until(lambda: any("in time" in post for post in world.posts("devflow_answer")), "the other's answer")
    assert not any("late" in post for post in world.posts("devflow_answer"))
    assert not any(line["event"].startswith("outage") for line in logged)
    assert FAILURES > 1


@pytest.mark.parametrize("retry_after_seconds", [3600.0, None])
async def test_a_card_that_cannot_be_drawn_holds_up_no_answer(
    world: EngineWorld, retry_after_seconds: float | None
) -> None:
    """Progress gives way first, answers never: neither this answer waits for the card, nor the next one."""
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.runs(engine, session_id)
    await world.quiet(engine)
    down = TemporaryError("Slack asks to wait.", retry_after_seconds=retry_after_seconds)
    world.chat.fail("update_message", down, times=1000)
    for number in range(3):
        if number:
            await world.says(engine, session_id, f"prompt {number}")
        await world.works(engine, session_id, response=f"answer {number}")
        await until(lambda count=number + 1: len(world.posts("devflow_answer")) == count, "the answer")
    asked = [call for call in world.chat.calls if call[0] == "update_message"]
    assert len(asked) < 20, "after Retry-After nothing is tried before its time"
    assert retry_after_seconds is None or sum(1 for _ in asked) <= 8


async def test_a_repository_that_is_gone_or_renamed_in_mid_session(world: EngineWorld) -> None:
    """What is asked of it is refused in words; the session itself can be stopped, and leaves nothing."""
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.runs(engine, session_id)
    await world.works(engine, session_id, commit_sha="c" * 40)
    for _ in range(3):
        gone = PermanentError("There is no repository any more.", "Check its name.")
        world.code_host.fail_next("find_repository", gone)
    await engine.handle(session_id, ev.PullRequestRequested("U1"))
    await until(lambda: any("no repository any more" in post for post in world.posts("devflow_notice")), "a sentence")
    await engine.handle(session_id, ev.StopRequested("U1"))
    assert (await world.settled(session_id)).status is Status.STOPPED
    assert len(world.tasks.stops) == 1


@pytest.mark.parametrize("after", [False, True], ids=["before the card says so", "after it"])
async def test_what_is_to_be_forgotten_is_also_after_a_crash(after: bool) -> None:
    """The wish is stored first, so that no card speaks of a session that is still there."""
    world = EngineWorld()
    mortal = Mortal(world.performer(), 1_000, after=after)
    first = world.engine(mortal)
    session_id = await world.begin(first)
    await world.runs(first, session_id)
    await first.handle(session_id, ev.StopRequested("U1"))
    await world.settled(session_id)
    mortal.die_now()
    await first.handle(session_id, ev.ForgetRequested("U1"))
    await until(lambda: mortal.died_of == "ForgetSession", "a death")
    assert not await first.is_gone(session_id, within_seconds=0.0)
    world.outlive_lease()
    second = world.engine()
    await second.handle(session_id, ev.TimePassed(LIMITS, int(world.clock)))
    second.visit(session_id)
    assert await second.is_gone(session_id, within_seconds=10.0)
    (root, *_) = world.chat.messages.values()
    assert "was forgotten" in root.text
    await world.close()


async def test_a_session_that_wakes_before_it_is_forgotten_stays_and_its_card_says_so(world: EngineWorld) -> None:
    """The card may be taken back already when somebody presses Retry."""
    mortal = Mortal(world.performer(), 1_000, after=True)
    first = world.engine(mortal)
    session_id = await world.begin(first)
    await world.runs(first, session_id)
    await first.handle(session_id, ev.StopRequested("U1"))
    await world.settled(session_id)
    mortal.die_now()
    await first.handle(session_id, ev.ForgetRequested("U1"))
    await until(lambda: mortal.died_of, "a death")
    world.outlive_lease()
    second = world.engine()
    woken = await second.handle(session_id, ev.RetryRequested("U1", "C1:press"))
    assert woken.status is Status.STARTING
    assert woken.forgotten_by is None
    await until(lambda: "was forgotten" not in next(iter(world.chat.messages.values())).text, "the card again")
    await second.handle(session_id, ev.StopRequested("U1"))
    assert (await world.settled(session_id)).status is Status.STOPPED
