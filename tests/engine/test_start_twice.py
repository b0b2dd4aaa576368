"""A button of the question which repository is meant that somebody presses twice begins one session."""

from __future__ import annotations

import asyncio

from slackbot.core.start_ticket import StartTicket
from slackbot.views.start_form import FormFields
from tests.engine.engine_world import EngineWorld
from tests.engine.test_matrix_at_the_desk import desk_of


def roots(world: EngineWorld) -> int:
    return sum("echo once" in post for post in world.posts("devflow_session"))


async def test_a_button_of_the_question_that_is_pressed_twice_begins_one_session(world: EngineWorld) -> None:
    desks, _, _ = await desk_of(world)
    ticket = StartTicket(prompt="echo once", repository="demo/hello")
    views = await asyncio.gather(*(desks.start.press("U1", "C1", ticket) for _ in range(2)))
    assert (roots(world), len(world.store.items)) == (1, 2)
    assert views[0] == views[1]


async def test_a_form_whose_prompt_has_no_character_that_counts_begins_nothing(world: EngineWorld) -> None:
    """DynamoDB keeps no session without a prompt, and no agent knows what to do with none."""
    desks, _, _ = await desk_of(world)
    fields = FormFields("demo/hello", None, None, "\x00\x01 \x7f", None)
    errors = await desks.start.form.submit("V1", "U1", StartTicket(channel_id="C1"), fields)
    assert list(errors) == ["form_prompt"]
    assert len(world.store.items) == 1
