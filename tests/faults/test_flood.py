"""The short form of the flood."""

from __future__ import annotations

from pathlib import Path

from tests.faults.flood import flood
from tests.wire.bot_world import bot_world


async def test_a_flood_of_replies_is_worked_off_in_order_thread_by_thread(tmp_path: Path) -> None:
    """All at once over several threads: each prompt is answered once, in its thread's order."""
    async with bot_world(tmp_path) as world:
        await world.start_bot()
        outcome = await flood(world, threads=5, replies=8, seconds=0.0)
    assert not outcome.faults, str(outcome)
