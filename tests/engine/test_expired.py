"""A reply in the thread of a session that expired while no bot was there, before anybody looked at the store."""

from __future__ import annotations

from slackbot.core.session import TTL_SECONDS, Status
from slackbot.front_desk import Reply
from tests.engine.engine_world import EngineWorld
from tests.engine.test_matrix_at_the_desk import desk_of


async def test_a_reply_to_a_live_session_that_expired_finds_it_as_it_was(world: EngineWorld) -> None:
    """Slack delivers what waits the moment a bot is there: a new session in its place would forget what was asked."""
    desks, session, _ = await desk_of(world)
    engine = world.engines[-1]
    await world.says(engine, session.session_id, "waits")
    await world.quiet(engine)
    world.clock += TTL_SECONDS + 600
    assert await engine.load(session.session_id) is None
    thread = session.thread
    ts = world.chat.say("U1", "C1", "and this", thread.thread_ts)
    await desks.front.reply(Reply("C1", thread.thread_ts, ts, "U1", "and this", root_is_ours=True))
    found = await world.load(session.session_id)
    assert [turn.prompt for turn in found.history] == ["echo hi", "waits", "and this"]
    assert (found.status, found.ecs_task_arn) == (Status.RUNNING, session.ecs_task_arn)
