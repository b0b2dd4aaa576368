"""Has one agent at a time: starts it with the session's choices, and a new one when the last is gone.

Data: the agent's name and the session's settings in; an `Agent` with an open session out. The protocol's library is
loaded while the agent's process starts, which takes about as long.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from slackbot.worker.agent_process import AgentProcess
from slackbot.worker.agent_setup import ModelAccess
from slackbot.worker.agents import FORGETFUL, NO_CHOICE, Choice, launch_of
from slackbot.worker.confinement import Confinement

if TYPE_CHECKING:
    from slackbot.worker.agent import Agent


class AgentHost:
    """Has one agent at a time, and starts a new one when the last is gone."""

    def __init__(
        self,
        name: str,
        checkout: Path,
        home: Path,
        redact: Callable[[str], str],
        permissions: str = "all",
        *,
        choice: Choice = NO_CHOICE,
        access: ModelAccess | None = None,
        confinement: Confinement | None = None,
    ) -> None:
        self._confinement = confinement or Confinement()
        self._permissions = permissions
        self._name = name
        self._checkout = checkout
        self._home = home
        self._redact = redact
        self._choice = choice
        self._access = access
        self._agent: Agent | None = None
        self._earlier: str | None = None

    async def ensure(self) -> Agent:
        """The running agent, or a new one that goes on where the last was; AgentFailed when it cannot be started."""
        if self._agent is not None and not self._agent.alive:
            await self.discard()
        if self._agent is None:
            launch = launch_of(self._name, self._home, self._permissions, access=self._access, model=self._choice.model)
            self._write(launch.setup.files)
            process = await AgentProcess.start(launch, self._checkout, self._confinement)
            try:
                await load_protocol()
                from slackbot.worker.agent import Agent
            except BaseException:
                await process.close()
                raise
            self._agent = await Agent.open(
                process, self._checkout, self._redact, choice=self._choice, earlier=self._earlier
            )
        return self._agent

    def _write(self, files: Mapping[str, str]) -> None:
        """Files below HOME, which are the agent's user's: written as that user, readable by it alone."""
        for name, text in files.items():
            script = 'umask 077; mkdir -p -- "$(dirname -- "$1")" && cat > "$1"'
            self._confinement.script(script, str(self._home / name), stdin=text)

    async def discard(self) -> None:
        """Kills the agent, if there is one; the next turn gets a new one."""
        agent, self._agent = self._agent, None
        if agent is not None:
            # Of a session that was never prompted there is nothing to go on with.
            self._earlier = None if agent.fresh or self._name in FORGETFUL else agent.session_id
            await agent.close()


async def load_protocol() -> None:
    """Imports what speaks ACP (half a second of work, most of it models of the protocol) beside the loop."""
    for name in ("slackbot.worker.acp_import", "slackbot.worker.agent"):
        await asyncio.to_thread(importlib.import_module, name)
