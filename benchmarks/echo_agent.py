"""An ACP agent that answers at once with the prompt, and writes down when the prompt came.

`echo_agent.py FILE [--slow]`: appends a line of JSON for each session/prompt, `at` (time.monotonic(), one clock for all
processes of a machine) and `prompt`. With --slow it says what it works on, and ends a second later.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from acp import PROTOCOL_VERSION, Client, run_agent, update_agent_message_text
from acp.schema import (
    AgentCapabilities,
    Implementation,
    InitializeResponse,
    NewSessionResponse,
    PromptResponse,
    TextContentBlock,
)


class EchoAgent:
    """Implements acp.Agent as far as the benchmark has a use for it."""

    def __init__(self, path: str, *, slow: bool = False) -> None:
        self._path = path
        self._slow = slow

    def on_connect(self, conn: Client) -> None:
        self._client = conn

    async def initialize(self, protocol_version: int, **_: Any) -> InitializeResponse:
        return InitializeResponse(
            protocol_version=PROTOCOL_VERSION,
            agent_capabilities=AgentCapabilities(),
            agent_info=Implementation(name="devflow-bench-echo", title="Echo", version="1"),
        )

    async def new_session(self, cwd: str, **_: Any) -> NewSessionResponse:
        return NewSessionResponse(session_id="echo")

    async def cancel(self, session_id: str, **_: Any) -> None:
        """Nothing takes long enough."""

    async def prompt(self, session_id: str, prompt: list[Any], **_: Any) -> PromptResponse:
        at = time.monotonic()
        text = next(block.text for block in reversed(prompt) if isinstance(block, TextContentBlock))
        with open(self._path, "a") as file:
            file.write(json.dumps({"at": at, "prompt": text}) + "\n")
        said = f"working on {text}" if self._slow else text
        await self._client.session_update(session_id=session_id, update=update_agent_message_text(said))
        if self._slow:
            await asyncio.sleep(1.0)
        return PromptResponse(stop_reason="end_turn")


if __name__ == "__main__":
    asyncio.run(run_agent(EchoAgent(sys.argv[1], slow="--slow" in sys.argv[2:])))
