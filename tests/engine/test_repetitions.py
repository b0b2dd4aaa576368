"""What is a repetition of Slack's, and what is somebody's next wish: told apart by the names that Slack gives."""

from __future__ import annotations

from slackbot.core.session import Status
from slackbot.listeners.commands import command_id
from slackbot.listeners.payloads import Press
from tests.engine.engine_world import EngineWorld
from tests.engine.test_matrix_at_the_desk import desk_of

TRIGGERS = ("1.2.3", "")
"""One that is the same for all, and none: not Slack's, but what answers at its address may give such."""


async def test_the_next_command_is_no_repetition_of_the_last_one(world: EngineWorld) -> None:
    for trigger_id in TRIGGERS:
        desks, session, _ = await desk_of(world)
        for text in (f"pr {session.session_id}", f"stop {session.session_id}"):
            await desks.commands.command("U1", "C1", text, command_id("C1", trigger_id, text), trigger_id)
        assert (await world.load(session.session_id)).status is Status.STOPPED, trigger_id


def test_a_command_that_is_delivered_again_has_the_same_name() -> None:
    assert command_id("C1", "1.2.3", "stop \ud800") == command_id("C1", "1.2.3", "stop \ud800")


def test_presses_without_a_time_of_their_own() -> None:
    """Two buttons of one trigger are two wishes; a press that names nothing repeats none."""

    def press_id(action_id: str, **body: str) -> str:
        return Press({"channel": {"id": "C1"}, **body}, {"action_id": action_id}).press_id

    assert press_id("stop", trigger_id="1.2.3") == press_id("stop", trigger_id="1.2.3")
    assert press_id("stop", trigger_id="1.2.3") != press_id("retry", trigger_id="1.2.3")
    assert press_id("stop") != press_id("stop")
