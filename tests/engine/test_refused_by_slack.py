"""What Slack refuses for good costs what was refused, and nothing else: no answer waits for it."""

from __future__ import annotations

from typing import Any

import pytest

from slackbot.core.errors import PermanentError, TemporaryError
from slackbot.core.item import to_item
from slackbot.core.ports import Blocks
from slackbot.core.session import Session
from slackbot.core.values import replace
from slackbot.engine import Engine
from slackbot.views.progress import progress_metadata
from tests.engine.engine_world import EngineWorld, until
from tests.fakes.chat import FakeChat

REFUSED = PermanentError("Slack refused it.")
METHODS = (
    "delete_message",
    "add_reaction",
    "remove_reaction",
    "find_messages",
    "update_message",
    "get_channel",
    "upload_file",
)


@pytest.mark.parametrize("again", [False, True], ids=["at once", "after a crash"])
@pytest.mark.parametrize("method", METHODS)
async def test_an_answer_is_told_whatever_else_is_refused(world: EngineWorld, method: str, again: bool) -> None:
    """A workspace may forbid that messages are deleted, an app may lack a scope; the next turn is told as well."""
    performer: Any = world.performer()
    engine = world.engine(performer)
    session_id = await world.begin(engine)
    session = await world.runs(engine, session_id)
    await world.quiet(engine)
    if again:
        await engine.drain(0)
    else:
        world.chat.fail(method, REFUSED, times=1_000)
    await _shows_progress(world, performer, session)
    await world.works(engine, session_id, response="first")
    if again:
        world.chat.fail(method, REFUSED, times=1_000)
        world.outlive_lease()
        engine = world.engine()
        engine.visit(session_id)
    await _told(world, engine, session_id, "first")
    await world.says(engine, session_id, "and this")
    await world.works(engine, session_id, response="second")
    await _told(world, engine, session_id, "second")


async def test_the_next_answer_does_not_wait_for_a_progress_message_to_go(world: EngineWorld) -> None:
    """Slack counts deletions for themselves, too; the message goes once it takes one."""
    performer: Any = world.performer()
    engine = world.engine(performer)
    session_id = await world.begin(engine)
    session = await world.runs(engine, session_id)
    ts = await _shows_progress(world, performer, session)
    world.chat.fail("delete_message", TemporaryError("Wait.", retry_after_seconds=60.0))
    await world.works(engine, session_id, response="first")
    await world.says(engine, session_id, "and this")
    await world.works(engine, session_id, response="second")
    await _told(world, engine, session_id, "second")

    async def is_gone() -> bool:
        return ("C1", ts) not in world.chat.messages and bool((await world.load(session_id)).history[0].response_ts)

    await until(is_gone, "the progress message went", 20.0)


async def test_a_progress_message_that_may_not_be_deleted_says_that_it_is_over(world: EngineWorld) -> None:
    """Else it would say for ever that DevFlow works on what stands answered below it."""
    performer: Any = world.performer()
    engine = world.engine(performer)
    session_id = await world.begin(engine)
    session = await world.runs(engine, session_id)
    ts = await _shows_progress(world, performer, session)
    world.chat.fail("delete_message", REFUSED)
    await world.works(engine, session_id)
    await _told(world, engine, session_id, "Done.")
    assert world.chat.messages["C1", ts].text.startswith("_Out of date")


class BlocksRefused(FakeChat):
    """Takes plain text alone in new messages."""

    async def post_message(self, channel_id: str, *, blocks: Blocks | None = None, **arguments: Any) -> str:
        if blocks:
            raise PermanentError("Slack cannot show the blocks (invalid_blocks).")
        return await super().post_message(channel_id, **arguments)


async def test_a_thread_goes_on_where_the_blocks_of_its_card_are_refused() -> None:
    """In a thread that people began the card is a reply, and the first that is owed: nothing may wait for it."""
    world = EngineWorld(chat=BlocksRefused())
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.quiet(engine)
    session = await world.load(session_id)
    await world.store.replace(
        to_item(replace(session, thread=replace(session.thread, status_ts=None, card=None), write_version=99)),
        session.write_version,
    )
    world.chat.messages["C1", session.thread.thread_ts].metadata = None
    await world.runs(engine, session_id)
    await world.works(engine, session_id)
    await _told(world, engine, session_id, "Done.")
    assert (await world.load(session_id)).thread.status_ts is not None
    await world.close()


async def _shows_progress(world: EngineWorld, performer: Any, session: Session) -> str:
    """The session's first turn shows a progress message, which its performer knows of; its `ts`."""
    turn = session.history[0]
    ts = await world.chat.post_message(
        "C1", text="Working", thread_ts=session.thread.thread_ts, metadata=progress_metadata(session, turn)
    )
    performer._writer._board.note_handle(session, turn.turn_id, ts, reports=1)
    return ts


async def _told(world: EngineWorld, engine: Engine, session_id: str, response: str) -> None:
    """The answer stands once, and the session knows it."""

    async def is_known() -> bool:
        session = await world.load(session_id)
        return session.history[-1].response_ts is not None

    await until(is_known, "the answer was told", 20.0)
    assert sum(response in post for post in world.posts("devflow_answer")) == 1
