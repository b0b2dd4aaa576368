"""An ACP agent that looks busy for as many seconds as the prompt says, telling of it several times a second."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from acp import (
    PROTOCOL_VERSION,
    Client,
    plan_entry,
    run_agent,
    start_tool_call,
    update_agent_message_text,
    update_plan,
    update_tool_call,
)
from acp.schema import (
    AgentCapabilities,
    Implementation,
    InitializeResponse,
    NewSessionResponse,
    PromptResponse,
    TextContentBlock,
)

EVERY_SECONDS = 0.3


class BusyAgent:
    """Implements acp.Agent as far as the benchmark has a use for it."""

    def on_connect(self, conn: Client) -> None:
        self._client = conn

    async def initialize(self, protocol_version: int, **_: Any) -> InitializeResponse:
        return InitializeResponse(
            protocol_version=PROTOCOL_VERSION,
            agent_capabilities=AgentCapabilities(),
            agent_info=Implementation(name="devflow-bench-busy", title="Busy", version="1"),
        )

    async def new_session(self, cwd: str, **_: Any) -> NewSessionResponse:
        return NewSessionResponse(session_id="busy")

    async def cancel(self, session_id: str, **_: Any) -> None:
        """Nobody cancels."""

    async def prompt(self, session_id: str, prompt: list[Any], **_: Any) -> PromptResponse:
        text = next(block.text for block in reversed(prompt) if isinstance(block, TextContentBlock))
        until = time.monotonic() + float(text.split()[0])
        number = 0
        while time.monotonic() < until:
            number += 1
            for update in (
                update_plan([plan_entry(f"Step {number}", status="in_progress")]),
                start_tool_call(f"call-{number}", f"Read file {number}"),
                update_tool_call(f"call-{number}", status="completed"),
                update_agent_message_text(f"Looked at file {number}. "),
            ):
                await self._client.session_update(session_id=session_id, update=update)
            await asyncio.sleep(EVERY_SECONDS)
        return PromptResponse(stop_reason="end_turn")


if __name__ == "__main__":
    sys.exit(asyncio.run(run_agent(BusyAgent())))
