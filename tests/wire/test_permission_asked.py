"""What an agent asks leave for, end to end: a real worker with the shell agent, the bot, and people at the buttons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slackbot.adapters.local_tasks import LocalTasks
from slackbot.app_parts import Pace
from tests.wire.bot_world import SessionThread, bot_world, until

WORKER_SECONDS = 60.0
RUN, ALWAYS, REJECT = "Run it", "Always run such commands", "Do not run it"


@pytest.mark.timeout(300)
async def test_an_agent_asks_before_it_deletes(tmp_path: Path) -> None:
    """Under `edits`: run once, not run, nobody answers, always; each time the file tells whether it ran. While it
    waits the turn's own time stands still."""
    async with bot_world(tmp_path) as world:
        await world.start_bot(
            tasks=LocalTasks(tmp_path / "tasks"),
            pace=Pace(retry=0.05, drain=5.0),
            stop_sessions_at_end=True,
            DEVFLOW_PERMISSIONS="edits",
            DEVFLOW_PERMISSION_SECONDS="5",
        )
        ada = world.someone("ada")
        thread = await ada.starts(await world.repository(), deleting(1))
        assert offered(await question(thread, 1)) == [RUN, ALWAYS, REJECT]
        await ada.presses(thread, RUN)
        assert (await ended(thread, 1))["files_changed"] == 1
        await thread.shows(f"<@{ada.user_id}> answered *{RUN}*")

        await ada.says(thread, deleting(2))
        await question(thread, 2)
        await ada.presses(thread, REJECT)
        rejected = await ended(thread, 2)
        assert "nobody allowed it" in rejected["response"]
        assert "commit_sha" not in rejected

        await ada.says(thread, deleting(3))
        await question(thread, 3)
        late = await ended(thread, 3)
        assert "nobody allowed it" in late["response"]
        assert late["waited_seconds"] >= 4  # of whole seconds on both sides
        await thread.shows("Nobody answered in time")

        await ada.says(thread, deleting(4))
        await question(thread, 4)
        await ada.presses(thread, ALWAYS)
        assert (await ended(thread, 4))["files_changed"] == 1
        await ada.says(thread, deleting(5))
        assert (await ended(thread, 5))["files_changed"] == 1
        assert len(thread.of_type("devflow_permission")) == 4
        assert thread.button(RUN) is None


def deleting(number: int) -> str:
    """A command that the shell agent asks about."""
    return f"mkdir -p build && rm -rf build && echo gone > gone-{number}.txt"


async def question(thread: SessionThread, number: int) -> dict[str, Any]:
    """The newest question, once so many were asked."""

    def look() -> dict[str, Any] | None:
        asked = thread.of_type("devflow_permission")
        return asked[-1] if len(asked) == number else None

    return await until(look, f"question {number}", WORKER_SECONDS)


def offered(message: dict[str, Any]) -> list[str]:
    """The labels of its buttons."""
    rows = [block["elements"] for block in message["blocks"] if block["type"] == "actions"]
    return [element["text"]["text"] for row in rows for element in row]


async def ended(thread: SessionThread, number: int) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        turns = thread.turns()
        return turns[number - 1] if len(turns) >= number and "response_ts" in turns[number - 1] else None

    turn = await until(look, f"the end of turn {number}", WORKER_SECONDS)
    assert turn["state"] == "answered", turn
    return turn
