"""Slack took a post, said nothing, and shows it only after it was posted again: one stays, the recorded one."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import replace
from typing import Any

import pytest

from slackbot import late_doubles
from slackbot.core import events as ev
from slackbot.core.errors import TemporaryError
from slackbot.core.ports import Metadata
from slackbot.core.session import Session, TurnState
from slackbot.late_doubles import LateDoubles
from slackbot.views.answer import answer_metadata
from tests.core.builders import running
from tests.engine.engine_world import EngineWorld, until
from tests.fakes.chat import FakeChat


@pytest.mark.parametrize("kind", ["devflow_answer", "devflow_notice"])
async def test_a_double_that_appears_late_is_deleted(
    world: EngineWorld, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Not the one that the session knows of; and a look that fails is followed by another."""
    monkeypatch.setattr(late_doubles, "LOOKS_AFTER_SECONDS", (0.05, 0.1, 0.15, 0.2))
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.runs(engine, session_id)
    await world.quiet(engine)
    world.chat.fail("post_message", TemporaryError("No answer.", outcome_unknown=True))
    if kind == "devflow_answer":
        await world.works(engine, session_id)
    else:
        await engine.handle(session_id, ev.StopRequested("U1"))
    await until(lambda: len(world.posts(kind)) == 1, "posted at the second try")
    (stands,) = [m for m in world.chat.messages.values() if m.metadata and m.metadata["event_type"] == kind]
    late = replace(copy.deepcopy(stands), ts="1600000000.000001")
    world.chat.messages["C1", late.ts] = late
    world.chat.fail("find_messages", TemporaryError("Slack is busy."))
    await until(lambda: ("C1", late.ts) not in world.chat.messages, "the late one goes")
    assert ("C1", stands.ts) in world.chat.messages


async def test_a_post_that_was_never_in_doubt_is_not_looked_for(world: EngineWorld) -> None:
    """Most are; they cost no call more."""
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.runs(engine, session_id)
    await world.works(engine, session_id)
    await world.settled(session_id)
    assert world.chat.called("find_messages") == []


class AnotherWasFirst(FakeChat):
    """Right before an answer is posted, another replica's copy of it appears."""

    first_ts = ""

    async def post_message(self, channel_id: str, **arguments: Any) -> str:
        if arguments["metadata"].event_type == "devflow_answer" and not self.first_ts:
            self.first_ts = await super().post_message(channel_id, **arguments)
        return await super().post_message(channel_id, **arguments)


async def test_of_an_answer_that_two_replicas_post_at_once_the_first_counts() -> None:
    """One that its worker brings and that is stored as well may go out by both; the second takes its own away."""
    chat = AnotherWasFirst()
    world = EngineWorld(chat=chat)
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.runs(engine, session_id)
    turn = replace((await world.load(session_id)).history[0], state=TurnState.ANSWERED, response="Done.", held=True)
    session = replace(await world.load(session_id), history=(turn,))
    ts = await world.performer().post_answer(session, turn, full_text=None, look_first=False)
    assert ts == chat.first_ts
    assert len(world.posts("devflow_answer")) == 1
    await world.close()


class Posted:
    """An answer that two replicas posted, each of which looks for doubles of its own."""

    def __init__(self, chat: FakeChat, session: Session, posts: list[str], metadata: Metadata) -> None:
        self.chat, self.session, self.posts, self.metadata = chat, session, posts, metadata

    async def stand(self, stored: Session | None) -> list[str]:
        """Which posts stand after both replicas looked at once, where the item is `stored`."""

        async def load(session_id: str) -> Session | None:
            await asyncio.sleep(0)
            return stored

        replicas = [LateDoubles(self.chat, load) for _ in self.posts]
        for replica, ts in zip(replicas, self.posts, strict=True):
            replica.watch(self.session, self.metadata, ts)
        await asyncio.gather(*(task for replica in replicas for task in replica._tasks))
        return [ts for ts in self.posts if (self.session.thread.channel_id, ts) in self.chat.messages]


@pytest.fixture
async def posted(monkeypatch: pytest.MonkeyPatch) -> Posted:
    monkeypatch.setattr(late_doubles, "LOOKS_AFTER_SECONDS", (0.01, 0.02))
    chat, session = FakeChat(), running()
    turn = replace(session.history[0], state=TurnState.ANSWERED, response="Done.", responded_at=session.updated_at)
    session = session.with_turn(turn)
    channel_id = "C1"
    root = await chat.post_message(channel_id, text="root")
    session = replace(session, thread=replace(session.thread, channel_id=channel_id, thread_ts=root))
    metadata = answer_metadata(session, turn)
    posts = [
        await chat.post_message(channel_id, text="Done.", thread_ts=root, metadata=metadata) for _ in ("one", "two")
    ]
    return Posted(chat, session, posts, metadata)


@pytest.mark.parametrize("number", [0, 1])
async def test_of_two_replicas_posts_the_one_that_the_item_names_stays(posted: Posted, number: int) -> None:
    """Whichever of them looks; buttons and links lead to that one."""
    turn = replace(posted.session.history[0], response_ts=posted.posts[number])
    assert await posted.stand(posted.session.with_turn(turn)) == [posted.posts[number]]


async def test_nothing_is_deleted_while_the_item_may_yet_name_either(posted: Posted) -> None:
    """The answer is owed still, as far as is recorded."""
    assert await posted.stand(posted.session) == posted.posts


async def test_where_nothing_names_one_the_first_stays(posted: Posted) -> None:
    """The session is forgotten; two that look at once leave one."""
    assert await posted.stand(None) == posted.posts[:1]
