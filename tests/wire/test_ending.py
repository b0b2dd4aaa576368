"""The end of the bot has one budget, whatever hangs: nothing stored is lost by it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from slackbot.adapters.ecs_shapes import Placement, run_parameters
from slackbot.core.ports import TaskRequest
from slackbot.ending import Ending
from slackbot.sandbox.slack.faults import Fault
from tests.wire.bot_world import PACE, bot_world, until


async def test_parts_that_hang_share_one_budget() -> None:
    """Twenty of them end as one would; what closes by itself is not cut off."""
    cut: list[str] = []

    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cut.append("cut")
            raise

    async def drains(seconds: float) -> None:
        assert seconds <= 0.2
        cut.append("drained")

    ending = Ending(0.2)
    async with asyncio.timeout(60):
        await ending.drain(drains, 5.0)
        for _ in range(20):
            await ending.close(hangs)
    assert cut == ["drained", *["cut"] * 20]


async def test_a_slack_that_hangs_does_not_hold_the_bot(tmp_path: Path) -> None:
    """The answer is stored and owed; the bot ends, and the next one posts it."""
    async with bot_world(tmp_path) as world:
        await world.start_bot(pace=replace(PACE, drain=0.2, stop=0.5))
        ada = world.someone("ada")
        thread = await ada.starts(await world.repository(), "echo hi")
        worker = await thread.worker()

        def silent(method: str, arguments: dict[str, Any]) -> Fault | None:
            asked.append(method)
            return Fault(delay_seconds=60.0)

        asked: list[str] = []
        world.slack.fault = silent
        await worker.works()
        await until(lambda: asked, "a call that hangs")
        async with asyncio.timeout(12):
            await world.stop_bot()
        assert thread.turns()[0]["state"] == "answered"
        assert "response_ts" not in thread.turns()[0]
        world.slack.fault = None


def test_a_rule_s_task_definition_and_size_reach_ecs() -> None:
    """The override of the family, and of the task's size; without a rule neither is sent."""
    placement = Placement("devflow", "devflow-worker", "worker", ("subnet-1",))
    plain = TaskRequest("s", 1, "token", {"A": "b"})
    bare = run_parameters(placement, plain, "devflow-0")
    assert bare["taskDefinition"] == "devflow-worker"
    assert set(bare["overrides"]) == {"containerOverrides"}
    large = run_parameters(placement, replace(plain, task_definition="big:3", cpu="4096", memory="16384"), "devflow-0")
    assert large["taskDefinition"] == "big:3"
    assert (large["overrides"]["cpu"], large["overrides"]["memory"]) == ("4096", "16384")
