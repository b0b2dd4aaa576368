"""Each real agent in the worker's hands: it asks a person, and after its process was killed it goes on where it was."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from acp.schema import PermissionOption, ToolCallUpdate

from slackbot.worker.agent import Agent
from slackbot.worker.agent_host import AgentHost
from slackbot.worker.agent_setup import ModelAccess
from slackbot.worker.agents import AgentFailed, Choice
from slackbot.worker.progress import TurnView
from tests.agents.conftest import WRITTEN, Model, RealAgent
from tests.fakes.model_server import KEYS, ModelServer, model_server
from tests.wire.bot_world import until

SECONDS = 120.0


@asynccontextmanager
async def hosted(
    agent: RealAgent, root: Path, permissions: str, mode: str | None = None
) -> AsyncIterator[tuple[AgentHost, ModelServer, Path]]:
    """An agent in a checkout of its own, led straight to the scripted provider."""
    checkout, home = root / "checkout", root / "home"
    checkout.mkdir()
    home.mkdir()
    subprocess.run(["git", "init", "-q", str(checkout)], check=True)
    async with model_server(Model(agent)) as server:
        access = ModelAccess(lambda provider: server.url, KEYS[agent.provider], (agent.provider,))
        choice = Choice(agent.model, mode)
        host = AgentHost(
            agent.name,
            checkout,
            home,
            lambda text: text,
            permissions,
            choice=choice,
            access=access,
        )
        try:
            yield host, server, checkout
        finally:
            await host.discard()


def wrote(home: Path, words: bytes) -> bool:
    """Whether any file of the agent's own holds `words`; files may go while one looks."""
    for path in home.rglob("*"):
        with suppress(OSError):
            if path.is_file() and words in path.read_bytes():
                return True
    return False


class Person:
    """Answers what the agent asks, always with the option of the kind `wants`."""

    def __init__(self, wants: str) -> None:
        self.wants = wants
        self.asked: list[str] = []

    async def __call__(self, tool_call: ToolCallUpdate, options: Sequence[PermissionOption]) -> str | None:
        self.asked.append(tool_call.title or "")
        return next((option.option_id for option in options if option.kind == self.wants), None)


async def prompted(agent: Agent, text: str, person: Person | None = None) -> str:
    view = TurnView(lambda said: said)
    await asyncio.wait_for(agent.prompt([text], view, person), SECONDS)
    return view.response()


@pytest.mark.timeout(300)
async def test_it_asks_and_does_only_what_is_allowed(agent: RealAgent, tmp_path: Path) -> None:
    """Under the policy `ask`: an edit waits for the answer; a no leaves the file unwritten, a yes writes it."""
    async with hosted(agent, tmp_path, "ask") as (host, _, checkout):
        running = await host.ensure()
        no = Person("reject_once")
        await prompted(running, "PLAY-1-ASK", no)
        assert len(no.asked) == 1, no.asked
        assert not (checkout / "made.txt").exists()
        yes = Person("allow_once")
        assert (await prompted(running, "PLAY-2-ASK", yes)).endswith("Asked and answered.")
        assert len(yes.asked) == 1, yes.asked
        assert (checkout / "made.txt").read_text() == WRITTEN


@pytest.mark.timeout(300)
async def test_it_goes_on_after_its_process_was_killed(agent: RealAgent, tmp_path: Path) -> None:
    """The next prompt finds the earlier session in its state, resumed or loaded and not told all again, with the
    mode set anew; its model sees the first prompt. Who cannot do that begins anew, to be told of it."""
    async with hosted(agent, tmp_path, "all") as (host, server, _):
        first = await host.ensure()
        await prompted(first, "PLAY-1-TALK: the word is heliotrope")
        if agent.loads:
            # It writes its state behind its answer; killed before that, it has nothing to go on with.
            await until(lambda: wrote(tmp_path / "home", b"heliotrope"), "the agent to keep the session")
        os.killpg(os.getpgid(first._process.pid), signal.SIGKILL)
        await asyncio.wait_for(first._process.gone(), SECONDS)
        assert not first.alive
        second = await host.ensure()
        assert second is not first
        # Where it is fresh the next turn tells it what was said before.
        assert second.fresh is not agent.loads
        assert await prompted(second, "PLAY-2-TALK: which word?") == "Still here, and I remember."
        assert ("heliotrope" in server.calls[-1].text) is agent.loads


@pytest.mark.timeout(300)
async def test_a_mode_that_it_does_not_have_is_refused_in_words(agent: RealAgent, tmp_path: Path) -> None:
    """The sentence names those it has."""
    async with hosted(agent, tmp_path, "all", "no-such-mode") as (host, _, _checkout):
        with pytest.raises(AgentFailed, match=r"has no mode 'no-such-mode'; it has \w+"):
            await host.ensure()
