"""The marks on prompts, where a bot dies between two of them or two bots set them at once, on fakes."""

from __future__ import annotations

import asyncio

from slackbot.core import events as ev
from slackbot.core.errors import TemporaryError
from slackbot.core.session import TurnState
from slackbot.prompt_marks import MARKS, WAITS
from tests.engine.engine_world import LIMITS, EngineWorld, until
from tests.fakes.chat import FakeChat

CHECK = MARKS[TurnState.ANSWERED]


class Hanging(FakeChat):
    """The next call of `hangs_at` with the mark `name` stays where it is until `goes_on`."""

    hangs_at: tuple[str, str] | None = None
    hangs = False

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = asyncio.Event()

    async def add_reaction(self, channel_id: str, ts: str, name: str) -> None:
        await self._pass("add_reaction", name)
        await super().add_reaction(channel_id, ts, name)

    async def remove_reaction(self, channel_id: str, ts: str, name: str) -> None:
        await self._pass("remove_reaction", name)
        await super().remove_reaction(channel_id, ts, name)

    async def _pass(self, call: str, name: str) -> None:
        if self.hangs_at == (call, name):
            self.hangs_at, self.hangs = None, True
            await self.goes_on.wait()


async def one_in_work(world: EngineWorld) -> str:
    """A session whose first prompt is in work, by the world's first bot; its id."""
    engine = world.engine()
    session_id = await world.begin(engine)
    session = await world.runs(engine, session_id)
    await engine.handle(session_id, ev.TurnClaimed(session.launch, session.waiting_turns[0].turn_id))
    return session_id


async def ends(world: EngineWorld, session_id: str) -> None:
    """The worker answers what is in work, by way of the world's latest bot."""
    session = await world.load(session_id)
    assert session.working_turn is not None
    event = ev.TurnEnded(session.launch, session.working_turn.turn_id, state=TurnState.ANSWERED, response="Done.")
    await world.engines[-1].handle(session_id, event)


async def test_a_bot_that_dies_before_it_takes_the_hourglass_away_leaves_none() -> None:
    """All in one second, so that no time that is stored shows how long the prompt waited."""
    chat = Hanging()
    world = EngineWorld(chat=chat)
    session_id = await one_in_work(world)
    ts = await world.says(world.engines[0], session_id, "second")
    await until(lambda: chat.reactions("C1", ts) == {WAITS}, "the hourglass")
    chat.hangs_at = ("remove_reaction", WAITS)
    await ends(world, session_id)
    await until(lambda: chat.hangs, "a bot that is not heard of again")
    assert chat.reactions("C1", ts) > {WAITS}
    await world.works(world.engines[0], session_id)
    world.outlive_lease()
    next_bot = world.engine()
    await next_bot.handle(session_id, ev.TimePassed(LIMITS, int(world.clock)))
    next_bot.visit(session_id)
    await world.settled(session_id)
    assert chat.reactions("C1", ts) == {CHECK}
    await world.close()


async def test_a_mark_that_comes_late_does_not_stay_beside_that_of_another_bot() -> None:
    """One bot's hourglass is on its way while another one brings the prompt to its end."""
    chat = Hanging()
    world = EngineWorld(chat=chat)
    session_id = await one_in_work(world)
    await world.quiet(world.engines[0])
    chat.hangs_at = ("add_reaction", WAITS)
    ts = await world.says(world.engines[0], session_id, "second")
    await until(lambda: chat.hangs, "the hourglass on its way")
    world.engine()
    await ends(world, session_id)
    await world.works(world.engines[1], session_id)
    await world.settled(session_id)
    assert chat.reactions("C1", ts) == {CHECK}
    chat.goes_on.set()
    await world.quiet(world.engines[0])
    assert chat.reactions("C1", ts) == {CHECK}
    await world.close()


async def test_another_bots_hourglass_goes_though_this_one_had_shown_the_eyes_before() -> None:
    """Eyes, while nothing is in work; then the one before it is, and the other bot shows that this one waits."""
    world = EngineWorld(chat=FakeChat())
    chat, engine = world.chat, world.engine()
    session_id = await world.begin(engine)
    session = await world.runs(engine, session_id)
    ts = await world.says(engine, session_id, "second")
    await until(lambda: chat.reactions("C1", ts) == {MARKS[TurnState.QUEUED]}, "the eyes")
    await world.quiet(engine)
    other = world.engine()
    await other.handle(session_id, ev.TurnClaimed(session.launch, session.history[0].turn_id))
    other.visit(session_id)
    await until(lambda: WAITS in chat.reactions("C1", ts), "the hourglass")
    await world.quiet(other)
    world.engines.remove(other)  # it dies
    await ends(world, session_id)
    await world.works(engine, session_id)
    await world.settled(session_id)
    assert chat.reactions("C1", ts) == {CHECK}
    await world.close()


async def test_the_end_of_a_first_try_that_is_told_late_does_not_mark_the_prompt_again() -> None:
    """The prompt's message carries the mark of its latest turn."""
    chat = Hanging()
    world = EngineWorld(chat=chat)
    session_id = await one_in_work(world)
    engine = world.engines[0]
    await ends(world, session_id)
    ts = await world.says(engine, session_id, "second")
    session = await world.load(session_id)
    await engine.handle(session_id, ev.TurnClaimed(session.launch, session.waiting_turns[0].turn_id))
    event = ev.TurnEnded(session.launch, f"C1:{ts}", state=TurnState.FAILED, response="No.")
    failed = await engine.handle(session_id, event)
    await world.settled(session_id)
    assert chat.reactions("C1", ts) == {MARKS[TurnState.FAILED]}
    await engine.handle(session_id, ev.RetryRequested("U1", "C1:press", message_ts=None))
    await world.works(engine, session_id)
    await world.settled(session_id)
    assert chat.reactions("C1", ts) == {CHECK}
    session = await world.load(session_id)
    first_try = failed.history[-1]
    await world.performer().post_answer(session, first_try, full_text=None, look_first=True)
    assert chat.reactions("C1", ts) == {CHECK}
    await world.close()


class Failing(FakeChat):
    """The second check mark is refused once."""

    checks = 0

    async def add_reaction(self, channel_id: str, ts: str, name: str) -> None:
        self.checks += name == CHECK
        if (self.checks, name) == (2, CHECK):
            raise TemporaryError("Slack is down.")
        await super().add_reaction(channel_id, ts, name)


async def test_what_is_marked_is_not_marked_again_when_the_rest_of_an_answer_failed() -> None:
    """Two prompts that are one piece of work; so each try goes on where the last one ended, on however bad a day."""
    chat = Failing()
    world = EngineWorld(chat=chat)
    session_id = await one_in_work(world)
    engine = world.engines[0]
    first, second = [await world.says(engine, session_id, text) for text in ("one", "two")]
    await ends(world, session_id)
    await world.quiet(engine)
    await world.works(engine, session_id)
    await world.settled(session_id)
    assert chat.reactions("C1", first) == chat.reactions("C1", second) == {CHECK}
    marked = [each["ts"] for each in chat.called("add_reaction") if each["name"] == CHECK]
    assert sorted(marked) == sorted([first, second])
    assert chat.checks == 3
    await world.close()


async def test_answers_do_not_wait_for_marks_that_slack_puts_off(world: EngineWorld) -> None:
    """Reactions have a limit of their own. Both answers stand at once; the marks follow when Slack takes them."""
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.runs(engine, session_id)
    await world.works(engine, session_id)
    await world.quiet(engine)
    world.chat.fail("add_reaction", TemporaryError("Wait.", retry_after_seconds=0.05), times=10**6)
    asked = []
    for answer in ("first", "second"):
        asked.append(await world.says(engine, session_id, answer))
        await world.works(engine, session_id, response=answer)
    await until(lambda: len(world.posts("devflow_answer")) == 3, "both answers", 20.0)
    world.chat._failures.clear()

    async def are_told() -> bool:
        return all(turn.response_ts for turn in (await world.load(session_id)).history)

    await until(are_told, "both are recorded", 20.0)
    assert [world.chat.reactions("C1", ts) for ts in asked] == [{"white_check_mark"}] * 2
    assert len(world.posts("devflow_answer")) == 3
    # Known from the first try on: the thread need not be read for it at each of the others.
    assert [each for each in world.chat.called("find_messages") if each["event_type"] == "devflow_answer"] == []


async def test_a_notice_does_not_keep_others_waiting_for_marks_that_slack_puts_off(world: EngineWorld) -> None:
    """It tells that a prompt was stopped; what is to be told next stands at once, and nothing stands twice."""
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.runs(engine, session_id)
    await world.works(engine, session_id)
    asked = await world.says(engine, session_id, "second")
    await until(lambda: world.chat.reactions("C1", asked), "the eyes")
    await world.quiet(engine)
    world.chat.fail("add_reaction", TemporaryError("Wait.", retry_after_seconds=0.05), times=10**6)
    await engine.handle(session_id, ev.StopRequested("U1"))
    await until(lambda: len(world.posts("devflow_notice")) == 1, "that it was stopped", 20.0)
    await engine.handle(session_id, ev.ListenRequested("U1", "mentions"))
    await until(lambda: len(world.posts("devflow_notice")) == 2, "the next notice", 20.0)
    world.chat._failures.clear()
    await world.settled(session_id)
    assert world.chat.reactions("C1", asked) == {MARKS[TurnState.CANCELLED]}
    assert len(world.posts("devflow_notice")) == 2
