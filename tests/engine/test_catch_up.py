"""What people wrote while nobody listened becomes prompts, once each, and only that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from slackbot.catch_up import CatchUp, read_until
from slackbot.channel_watch import ChannelWatch
from slackbot.core import events as ev
from slackbot.core.errors import PermanentError, TemporaryError
from slackbot.core.session import Status
from slackbot.engine import Engine
from slackbot.front_desk import Reply
from tests.engine.engine_world import EngineWorld, until
from tests.fakes.chat import BOT_USER_ID


class Heard:
    """Takes replies as the front desk does, and notes them."""

    def __init__(self, world: EngineWorld, engine: Engine) -> None:
        self.world, self.engine = world, engine
        self.texts: list[str] = []

    async def __call__(self, reply: Reply) -> None:
        self.texts.append(reply.text)
        session = next(s for s in [await self.world.load(i) for i in self.world.store.items] if s)
        turn_id = f"{reply.channel_id}:{reply.message_ts}"
        await self.engine.handle(
            session.session_id, ev.PromptReceived(turn_id, reply.user_id, reply.text, reply.message_ts)
        )


@pytest_asyncio.fixture
async def world() -> AsyncIterator[EngineWorld]:
    running = EngineWorld()
    yield running
    await running.close()


def catch_up(world: EngineWorld, engine: Engine, hear: Heard) -> CatchUp:
    return CatchUp(
        engine=engine,
        store=world.store,
        chat=world.chat,
        watch=ChannelWatch(engine=engine, store=world.store, chat=world.chat),
        hear=hear,
        bot_user_id=BOT_USER_ID,
        started_at=int(world.clock),
        pause_seconds=0.0,
    )


async def test_what_was_written_meanwhile_is_heard_once(world: EngineWorld) -> None:
    """Also before a reply that Slack did deliver; not the bot's own words, nor what nobody waits for any more."""
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.runs(engine, session_id)
    await world.says(engine, session_id, "before")
    thread_ts = (await world.load(session_id)).thread.thread_ts
    world.clock += 600
    missed = world.chat.say("U1", "C1", "missed", thread_ts)
    world.chat.say("U1", "C1", "!status", thread_ts)
    await world.chat.post_message("C1", text="mine", thread_ts=thread_ts)
    hear = Heard(world, engine)
    catching = catch_up(world, engine, hear)
    await world.says(engine, session_id, "delivered after the start")
    assert await catching.run_once(0) is None
    assert hear.texts == ["missed"]
    session = await world.load(session_id)
    assert [turn.prompt for turn in session.history] == ["echo hi", "before", "missed", "delivered after the start"]
    await catching.run_once(0)
    assert hear.texts == ["missed"]
    assert float(read_until(session, int(world.clock))) < float(missed)


async def test_a_known_silence_is_read_from_its_beginning(world: EngineWorld) -> None:
    """What is older was heard, or refused, when it was said."""
    engine = world.engine()
    session_id = await world.begin(engine)
    session = await world.runs(engine, session_id)
    hear = Heard(world, engine)
    catching = catch_up(world, engine, hear)
    await catching.run_once(2_000_000_000)
    (_, asked) = next(call for call in world.chat.calls if call[0] == "list_replies")
    assert asked["oldest"] == "1999999940.000000"
    await catching.run_once(10)
    assert world.chat.calls[-1][1]["oldest"] == session.thread.thread_ts


class Unsteady(Heard):
    """Fails with `faults` first, as the front desk does while the store or Slack has trouble."""

    def __init__(self, world: EngineWorld, engine: Engine, faults: list[Exception]) -> None:
        super().__init__(world, engine)
        self.faults = faults

    async def __call__(self, reply: Reply) -> None:
        if self.faults:
            raise self.faults.pop(0)
        await super().__call__(reply)


async def test_what_could_not_be_stored_when_it_was_found_is_found_again(world: EngineWorld) -> None:
    """Slack may have given up on it, so nobody else brings it; and no fault of one thread's ends the bot."""
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.runs(engine, session_id)
    world.clock += 600
    thread_ts = (await world.load(session_id)).thread.thread_ts
    for text in ("one", "two"):
        world.chat.say("U1", "C1", text, thread_ts)
    hear = Unsteady(world, engine, [TemporaryError("The store is away."), ValueError("A fault.")])
    catching = catch_up(world, engine, hear)
    running = asyncio.create_task(catching.run())
    catching.want(0)
    await until(lambda: running.done() or hear.texts == ["one", "two"], "both were heard", 20.0)
    assert not running.done()
    running.cancel()


async def test_slack_in_trouble_and_threads_that_are_gone(world: EngineWorld) -> None:
    """A read is repeated; one thread that cannot be read keeps nobody else from being heard; what is over is let be."""
    engine = world.engine()
    lost, other = await world.begin(engine), await world.begin(engine, "echo two")
    for session_id in (lost, other):
        await world.runs(engine, session_id)
    hear = Heard(world, engine)
    catching = catch_up(world, engine, hear)
    world.chat.fail("list_replies", PermanentError("No."))
    world.chat.fail("list_replies", TemporaryError("Wait.", retry_after_seconds=0.01), times=2)
    running = asyncio.create_task(catching.run())
    catching.want(0)
    await until(lambda: sum(call[0] == "list_replies" for call in world.chat.calls) == 4, "both threads were read")
    running.cancel()
    await engine.handle(lost, ev.StopRequested("U1"))
    world.chat.add_channel("C1", is_archived=True)
    await catching.run_once(0)
    assert {(await world.load(i)).status for i in (lost, other)} == {Status.STOPPED}
    assert (await world.load(other)).thread.lost == "The channel is archived."
