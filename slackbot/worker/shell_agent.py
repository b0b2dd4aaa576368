"""The shell agent: an ACP agent that is no AI. It runs a prompt as a shell command in the checkout.

Speaks ACP over stdin and stdout (https://agentclientprotocol.com); the prompt is the last text block of
session/prompt, all before it is context and is not run. Its answer goes out as session/update.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import slackbot.worker.acp_import  # noqa: F401

# isort: split
from acp import (
    PROTOCOL_VERSION,
    Client,
    RequestError,
    run_agent,
    start_tool_call,
    text_block,
    tool_content,
    update_agent_message_text,
    update_tool_call,
)
from acp.schema import (
    AgentCapabilities,
    Implementation,
    InitializeResponse,
    NewSessionResponse,
    PermissionOption,
    PromptResponse,
    TextContentBlock,
    ToolCallUpdate,
)

from slackbot.worker.danger import danger_of
from slackbot.worker.output import Bounded, fenced
from slackbot.worker.processes import dies_with_parent, signal_group
from slackbot.worker.prose import looks_like_prose, unwrap
from slackbot.worker.shell_words import NOT_ALLOWED, explain, is_runnable, report

SHELL = "/bin/bash" if Path("/bin/bash").exists() else "/bin/sh"
HEAD_BYTES = 128 * 1024
TAIL_BYTES = 384 * 1024
SHOWN_LIVE_CHARACTERS = 2000
LIVE_SECONDS = 0.25
"""At most this often the output so far is sent while a command runs."""
TERM_SECONDS = 3.0
"""How long a cancelled command may clean up after SIGTERM."""

OPTIONS = [
    PermissionOption(option_id="allow_once", name="Run it", kind="allow_once"),
    PermissionOption(option_id="allow_always", name="Always run such commands", kind="allow_always"),
    PermissionOption(option_id="reject_once", name="Do not run it", kind="reject_once"),
]


@dataclass
class _Session:
    cwd: str
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    allowed: set[str] = field(default_factory=set)
    """Kinds of danger that somebody has allowed for the whole session."""


@dataclass(frozen=True)
class _Ended:
    """How a command ended: `status` as subprocess gives it (negative = signal), `seconds` it took."""

    status: int
    seconds: float
    left_behind: bool


class ShellAgent:
    """Implements acp.Agent as far as a shell has a use for it."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}

    def on_connect(self, conn: Client) -> None:
        """Called by the SDK before anything else."""
        self._client: Client = conn

    async def initialize(self, protocol_version: int, **_: Any) -> InitializeResponse:
        return InitializeResponse(
            protocol_version=PROTOCOL_VERSION,
            agent_capabilities=AgentCapabilities(),
            agent_info=Implementation(name="devflow-shell", title="Shell (no AI)", version="1"),
        )

    async def new_session(self, cwd: str, **_: Any) -> NewSessionResponse:
        session_id = uuid.uuid4().hex
        self._sessions[session_id] = _Session(cwd=cwd)
        return NewSessionResponse(session_id=session_id)

    async def cancel(self, session_id: str, **_: Any) -> None:
        if session_id in self._sessions:
            self._sessions[session_id].cancelled.set()

    async def prompt(self, session_id: str, prompt: list[Any], **_: Any) -> PromptResponse:
        session = self._sessions.get(session_id)
        if session is None:
            raise RequestError.resource_not_found(session_id)
        session.cancelled.clear()
        texts = [block.text for block in prompt if isinstance(block, TextContentBlock)]
        command, insists = unwrap(texts[-1] if texts else "")
        if not insists and looks_like_prose(command, lambda word: is_runnable(word, session.cwd)):
            await self._say(session_id, explain(command, session.cwd))
            return PromptResponse(stop_reason="end_turn")
        if not await self._may_run(session_id, session, command):
            if session.cancelled.is_set():
                return PromptResponse(stop_reason="cancelled")
            await self._say(session_id, f"{fenced(command, 'sh')}\n{NOT_ALLOWED}")
            return PromptResponse(stop_reason="end_turn")
        output = Bounded(HEAD_BYTES, TAIL_BYTES)
        try:
            ended = await self._run(session_id, session, command, output)
        except OSError as error:  # above all: longer than an argument may be (128 KB on Linux)
            await self._say(session_id, f"The shell agent (no AI) could not start this command: {error.strerror}.")
            return PromptResponse(stop_reason="end_turn")
        await self._say(
            session_id, report(command, output.text(), ended.status, ended.seconds, left_behind=ended.left_behind)
        )
        return PromptResponse(stop_reason="cancelled" if session.cancelled.is_set() else "end_turn")

    async def _may_run(self, session_id: str, session: _Session, command: str) -> bool:
        """Asks leave for what looks dangerous. https://agentclientprotocol.com/protocol/tool-calls#requesting-permission"""
        danger = danger_of(command)
        if danger is None or danger in session.allowed:
            return True
        call = ToolCallUpdate(
            tool_call_id=uuid.uuid4().hex,
            title=" ".join(command.split())[:200],
            kind="delete" if danger == "delete" else "execute",
            status="pending",
            raw_input={"command": command},
        )
        reply = await self._client.request_permission(session_id=session_id, tool_call=call, options=OPTIONS)
        chosen = getattr(reply.outcome, "option_id", None)
        if chosen == "allow_always":
            session.allowed.add(danger)
        return chosen in ("allow_once", "allow_always")

    async def _say(self, session_id: str, text: str) -> None:
        await self._client.session_update(session_id=session_id, update=update_agent_message_text(text))

    async def _run(self, session_id: str, session: _Session, command: str, output: Bounded) -> _Ended:
        call_id = uuid.uuid4().hex
        title = " ".join(command.split())[:200]
        await self._client.session_update(
            session_id=session_id,
            update=start_tool_call(
                call_id, title, kind="execute", status="in_progress", raw_input={"command": command}
            ),
        )
        began = time.monotonic()
        # A pipe of our own: asyncio's would make process.wait() wait for all who hold it, not for the shell.
        reading_end, writing_end = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *dies_with_parent((SHELL, "-c", command)),
                cwd=session.cwd,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing_end,
                stderr=writing_end,
                process_group=0,
            )
        except BaseException:
            os.close(reading_end)
            raise
        finally:
            os.close(writing_end)
        reading = asyncio.create_task(self._read(session_id, call_id, reading_end, output))
        ending = asyncio.create_task(process.wait())
        cancelling = asyncio.create_task(session.cancelled.wait())
        left_behind = False
        try:
            await asyncio.wait({ending, cancelling}, return_when=asyncio.FIRST_COMPLETED)
            if not ending.done():
                signal_group(process.pid, signal.SIGTERM)
                await asyncio.wait({ending}, timeout=TERM_SECONDS)
            if ending.done():
                # What it put into the background ends with it: nothing is left running unseen.
                await asyncio.wait({reading}, timeout=0.2)
                left_behind = signal_group(process.pid, signal.SIGTERM)
                if left_behind:
                    await asyncio.wait({reading}, timeout=1.0)
        finally:
            signal_group(process.pid, signal.SIGKILL)
            await ending
            await asyncio.wait({reading}, timeout=1.0)
            for task in (reading, cancelling):
                task.cancel()
            await asyncio.gather(reading, cancelling, return_exceptions=True)
        status = ending.result()
        await self._client.session_update(
            session_id=session_id,
            update=update_tool_call(
                call_id,
                status="completed" if status == 0 else "failed",
                content=[tool_content(text_block(output.last(SHOWN_LIVE_CHARACTERS)))],
                raw_output={"exit_status": status},
            ),
        )
        return _Ended(status, time.monotonic() - began, left_behind and not session.cancelled.is_set())

    async def _read(self, session_id: str, call_id: str, reading_end: int, output: Bounded) -> None:
        """Reads to the end of the output; shows what is new at most every LIVE_SECONDS."""
        stream = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reading_end, "rb", 0)
        )
        shown_at, shown_bytes = 0.0, 0
        pending: asyncio.Task[bytes] | None = None
        try:
            while True:
                pending = pending or asyncio.create_task(stream.read(64 * 1024))
                await asyncio.wait({pending}, timeout=LIVE_SECONDS if output.total_bytes > shown_bytes else None)
                if pending.done():
                    data, pending = pending.result(), None
                    if not data:
                        return
                    output.add(data)
                if output.total_bytes > shown_bytes and time.monotonic() - shown_at >= LIVE_SECONDS:
                    shown_at, shown_bytes = time.monotonic(), output.total_bytes
                    live = [tool_content(text_block(output.last(SHOWN_LIVE_CHARACTERS)))]
                    await self._client.session_update(
                        session_id=session_id, update=update_tool_call(call_id, status="in_progress", content=live)
                    )
        finally:
            transport.close()
            if pending is not None:
                pending.cancel()
                await asyncio.gather(pending, return_exceptions=True)


def main() -> int:
    """Serves one ACP client on stdin and stdout until it closes them."""

    async def serve() -> None:
        # SIGTERM ends like a closed stdin does: the connection's close cancels what runs, and that kills it.
        task = asyncio.ensure_future(run_agent(ShellAgent()))  # type: ignore[arg-type]  # the SDK's Protocol also asks for what a shell cannot do
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await task

    # The worker points PYTHONPATH at this package; the commands of people shall not inherit that.
    os.environ.pop("PYTHONPATH", None)
    asyncio.run(serve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
