"""Slack took a post, said nothing, and shows it only after it was posted again: one stays, the recorded one."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

from slackbot import late_doubles
from slackbot.core import events as ev
from slackbot.core.errors import TemporaryError
from tests.engine.engine_world import EngineWorld, until


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
