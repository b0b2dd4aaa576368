"""A button of the question which repository is meant that somebody presses twice begins one session."""

from __future__ import annotations

import asyncio

from slackbot.core.start_ticket import StartTicket
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
