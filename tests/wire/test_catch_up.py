"""A bot that was away for longer than Slack keeps events: what people wrote meanwhile is worked on, once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wire.bot_world import bot_world, until


async def test_what_slack_gave_up_delivering_becomes_a_prompt(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Replies while no bot was there, whose events were lost."""
    async with bot_world(tmp_path_factory.mktemp("world")) as world:
        await world.start_bot()
        ada = world.someone("ada")
        thread = await ada.starts("demo/hello", "echo one")
        worker = await thread.worker()
        await worker.works()
        await thread.turn(1, "answered")
        await world.stop_bot()

        workspace, deliver = world.slack.workspace, world.slack.workspace._deliver
        lost: list[dict[str, Any]] = []
        workspace._deliver = lambda event_id, payload: lost.append(payload)
        await ada.says(thread, "echo two")
        await ada.says(thread, "!status")
        await ada.says(thread, "echo three")
        assert [event["event"]["text"] for event in lost] == ["echo two", "!status", "echo three"]
        workspace._deliver = deliver
        await world.start_bot()
        await until(lambda: len(thread.turns()) == 3, "both prompts")
        assert [turn["prompt"] for turn in thread.turns()] == ["echo one", "echo two", "echo three"]
        assert ada.told_in(thread) == ""

        # The next bot reads the thread again from the last prompt on, and finds nothing that is new.
        await world.stop_bot()
        await world.start_bot()
        await ada.says(thread, "echo four")
        await until(lambda: len(thread.turns()) == 4, "the new one alone")
