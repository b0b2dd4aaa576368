"""Slack may tell that a message was edited or deleted before it tells of the message itself, or tell of that again."""

from __future__ import annotations

import pytest

from slackbot.core.session import Session
from slackbot.front_desk import FrontDesk, Reply
from tests.engine.engine_world import EngineWorld
from tests.engine.test_matrix_at_the_desk import desk_of

TS = "1700000000.500000"


def reply(session: Session, text: str, user_id: str = "U1") -> Reply:
    return Reply("C1", session.thread.thread_ts, TS, user_id, text, root_is_ours=True)


async def prompts(world: EngineWorld, session: Session) -> list[str]:
    return [turn.prompt for turn in (await world.load(session.session_id)).history][1:]


async def at_the_desk(world: EngineWorld) -> tuple[FrontDesk, Session]:
    desks, session, _ = await desk_of(world)
    return desks.front, session


@pytest.mark.parametrize("tells_before", [True, False])
async def test_a_message_that_comes_behind_its_edit_says_what_it_says_now(
    world: EngineWorld, tells_before: bool
) -> None:
    """Whoever mended a slip does not see the slip carried out; delivered again it is still one prompt."""
    desk, session = await at_the_desk(world)
    await desk.edited(reply(session, "rm build"), reply(session, "rm -rf /") if tells_before else None)
    for _ in range(3):
        await desk.reply(reply(session, "rm -rf /"))
    assert await prompts(world, session) == ["rm build"]


async def test_a_message_that_comes_behind_its_deletion_is_no_prompt(world: EngineWorld) -> None:
    desk, session = await at_the_desk(world)
    await desk.deleted("C1", session.thread.thread_ts, TS, reply(session, "rm -rf /"))
    await desk.reply(reply(session, "rm -rf /"))
    assert await prompts(world, session) == []


async def test_what_somebody_else_is_said_to_have_edited_is_not_believed(world: EngineWorld) -> None:
    desk, session = await at_the_desk(world)
    await desk.edited(reply(session, "rm -rf /", "U2"), None)
    await desk.reply(reply(session, "mine"))
    assert await prompts(world, session) == ["mine"]
