"""Channels whose change nobody told of, and one for which Slack could not be asked."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from slackbot.channel_watch import ChannelWatch
from slackbot.core import events as ev
from slackbot.core.errors import TemporaryError
from slackbot.core.session import EndedBy, Status
from tests.engine.engine_world import EngineWorld


@pytest_asyncio.fixture
async def world() -> AsyncIterator[EngineWorld]:
    running = EngineWorld()
    yield running
    await running.close()


async def test_an_answer_is_held_back_from_a_channel_that_nobody_knew_to_be_shared(world: EngineWorld) -> None:
    """Slack's news of it was lost: the post looks first, and the session freezes. Later it is told all the same."""
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.runs(engine, session_id)
    world.chat.add_channel("C1", is_shared_outside=True)
    await world.works(engine, session_id, response="a secret plan")
    session = await world.settled(session_id)
    assert (session.status, session.ended and session.ended.by) == (Status.STOPPED, EndedBy.SHARED)
    assert world.posts("devflow_answer") == []
    (told,) = world.posts("devflow_notice")
    assert "shared with another organisation" in told
    world.chat.add_channel("C1")
    watch = ChannelWatch(engine=engine, store=world.store, chat=world.chat)
    await watch.changed("C1")
    session = await world.settled(session_id)
    assert [("a secret plan" in post) for post in world.posts("devflow_answer")] == [True]
    assert len(world.posts("devflow_notice")) == 2
    await watch.changed("C1")
    assert await world.load(session_id) == session, "told again, nothing changes"


async def test_a_session_ends_with_its_root_only_where_that_is_gone(world: EngineWorld) -> None:
    """What an event says of a deletion is looked at; who cannot ask hears of it again."""
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.runs(engine, session_id)
    watch = ChannelWatch(engine=engine, store=world.store, chat=world.chat)
    await watch.root_deleted(session_id)
    assert (await world.load(session_id)).status is Status.RUNNING
    world.chat.remove("C1", (await world.load(session_id)).thread.thread_ts)
    world.chat.fail("get_message", TemporaryError("Slack is down."))
    with pytest.raises(TemporaryError):
        await watch.root_deleted(session_id)
    await watch.root_deleted(session_id)
    assert (await world.load(session_id)).status is Status.STOPPED


async def test_who_cannot_ask_slack_tells_nothing_and_tries_again(world: EngineWorld) -> None:
    """The listener raises, so that Slack delivers the event again; another channel's sessions are let alone."""
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.runs(engine, session_id)
    watch = ChannelWatch(engine=engine, store=world.store, chat=world.chat)
    world.chat.fail("get_channel", TemporaryError("Slack is down."))
    with pytest.raises(TemporaryError):
        await watch.changed("C1")
    world.chat.add_channel("C2", is_archived=True)
    await watch.changed("C2")
    assert (await world.load(session_id)).status is Status.RUNNING
    await watch.changed("C3")
    await watch.root_deleted("00000000-0000-4000-8000-000000000000")
    await watch.look(await world.load(session_id))
    assert (await world.load(session_id)).status is Status.RUNNING
    await watch.uninstalled()
    assert (await world.load(session_id)).status is Status.STOPPED
    with pytest.raises(Exception, match="no place"):
        await engine.handle(session_id, ev.RootDeleted())
