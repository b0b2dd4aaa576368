"""Each real agent end to end: Slack's stand-in, the bot, a real worker process, real git, and a scripted model.

Nothing but loopback is needed. The steps follow each other in one session, as a team would use it.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from slackbot.adapters.local_tasks import LocalTasks
from slackbot.app_parts import Pace
from tests.agents.conftest import WRITTEN, Model, RealAgent
from tests.fakes.model_server import KEYS, ModelServer, model_server
from tests.wire.bot_world import BotWorld, SessionThread, bot_world, until

SECONDS = 120.0


def keys(agent: RealAgent, server: ModelServer) -> dict[str, str]:
    """The settings of the one provider that this agent is led to."""
    name = agent.provider.upper()
    path = "/v1" if agent.provider == "openai" else ""
    return {f"{name}_API_KEY": KEYS[agent.provider], f"{name}_BASE_URL": server.url + path}


@pytest.mark.timeout(400)
async def test_an_agent_at_work(agent: RealAgent, tmp_path: Path) -> None:
    """Edits a file and runs a command, goes on in a second turn, is cancelled in mid-stream, works after it; after
    a relaunch it is told what was said before; the key is the gateway's, the usage is counted."""
    async with model_server(Model(agent)) as server, bot_world(tmp_path) as world:
        tasks = LocalTasks(tmp_path / "tasks")
        # One look at the clock a second: this is about agents, and the machine is theirs.
        await world.start_bot(
            tasks=tasks,
            pace=Pace(retry=0.2, first_progress=0.0, drain=10.0),
            stop_sessions_at_end=True,
            DEVFLOW_RECONCILE_SECONDS="1",
            DEVFLOW_AGENT=agent.name,
            # Nobody is there to be asked (`edits` is what local tasks have else).
            DEVFLOW_PERMISSIONS="all",
            **keys(agent, server),
        )
        ada = world.someone("ada")
        repository = await world.repository()
        thread = await ada.starts(repository, f"model={agent.model} PLAY-1-WORK please")

        first = await answered(thread, 1)
        assert first["response"].endswith("The work is done."), first
        assert await branch_holds(world, thread, repository) == {"made.txt": WRITTEN, "ran.txt": "ran\n"}
        assert first["files_changed"] == 2
        assert first["usage"]["calls"] >= 3
        assert first["usage"]["output_tokens"] > 0
        assert server.refused == 0
        assert not [call for call in server.calls if "devflow-" in call.headers.get("authorization", "")]

        await ada.says(thread, "PLAY-2-TALK about it")
        second = await answered(thread, 2)
        assert second["response"] == "Still here, and I remember.", second
        assert "PLAY-1-WORK please" in server.calls[-1].text, "the second turn does not know of the first"

        await ada.says(thread, "PLAY-3-HOLD now")
        await asyncio.wait_for(server.holding.wait(), SECONDS)
        await thread.shows("I begin, and")
        await ada.says(thread, "!cancel")
        cancelled = await ended(thread, 3, "cancelled")
        assert "I begin, and" in cancelled["response"], cancelled
        await until(lambda: server.cut == 1, "the provider's answer cut", 30)

        await ada.says(thread, "PLAY-4-TALK again")
        assert (await answered(thread, 4))["response"] == "Still here, and I remember."

        await ada.says(thread, "!stop")
        await thread.is_("stopped")
        await ada.says(thread, "PLAY-5-TALK after a break")
        # The fifth turn is the prompt as it was kept, the sixth the one that Retry made of it.
        await ended(thread, 5, "cancelled")
        await ada.presses(thread, "Retry")
        assert (await answered(thread, 6))["response"] == "Still here, and I remember."
        assert "PLAY-1-WORK please" in server.calls[-1].text, "the agent was not told of the earlier turns"
        assert thread.item()["launch"] > 0
        await world.stop_bot()
        assert await LocalTasks(tmp_path / "tasks").list_tasks() == []


async def answered(thread: SessionThread, number: int) -> dict[str, Any]:
    return await ended(thread, number, "answered")


async def ended(thread: SessionThread, number: int, state: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        turns = thread.turns()
        turn = turns[number - 1] if len(turns) >= number else None
        return turn if turn and "response_ts" in turn else None

    turn = await until(look, f"the end of turn {number}", SECONDS)
    assert turn["state"] == state, turn
    return turn


async def branch_holds(world: BotWorld, thread: SessionThread, repository: str) -> dict[str, str]:
    """The files that the session's branch has more than its base."""
    clone = world.directory / "clone"
    url = f"{world.github.url}/{repository}.git"

    def read() -> dict[str, str]:
        run = ["git", "clone", "-q", "--branch", thread.item()["branch_name"], url, str(clone)]
        subprocess.run(run, check=True, capture_output=True, env={**os.environ, "GIT_TERMINAL_PROMPT": "0"})
        names = ["git", "-C", str(clone), "diff", "--name-only", "origin/main", "HEAD"]
        changed = subprocess.run(names, check=True, capture_output=True, text=True).stdout.split()
        return {name: (clone / name).read_text() for name in changed}

    return await asyncio.to_thread(read)
