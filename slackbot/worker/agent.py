"""The client side of ACP: opens a session with an agent that was started, and prompts it.

Speaks https://agentclientprotocol.com over the stdin and stdout of an `AgentProcess`; what the agent does goes into a
TurnView. The agent gets no file or terminal service.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from acp import PROTOCOL_VERSION, RequestError, connect_to_agent
from acp.client.connection import ClientSideConnection
from acp.schema import (
    AllowedOutcome,
    ClientCapabilities,
    DeniedOutcome,
    Implementation,
    PermissionOption,
    RequestPermissionResponse,
    ToolCallUpdate,
)
from pydantic import ValidationError

from slackbot.worker.acp_session import choose_mode, choose_model, open_session
from slackbot.worker.agent_process import AgentProcess
from slackbot.worker.agents import NO_CHOICE, AgentFailed, Choice, mode_preference
from slackbot.worker.files import Attachment, prompt_blocks
from slackbot.worker.logs import log
from slackbot.worker.permission import Ask
from slackbot.worker.progress import TurnView

START_SECONDS = 120.0
LAST_WORDS_CHARACTERS = 800
BROKE_OFF = "broke off"


@dataclass(frozen=True)
class PromptResult:
    """How the agent ended a turn: an ACP stop reason, and the tokens it counted (when it did)."""

    stop_reason: str
    usage: dict[str, int] | None


class _Client:
    """What the agent may call. It is offered neither files nor terminals: it has its own."""

    def __init__(self) -> None:
        self.view: TurnView | None = None
        self.ask: Ask | None = None
        self.cancelled = asyncio.Event()

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        if self.view is not None:
            self.view.update(update)

    async def request_permission(
        self, session_id: str, tool_call: ToolCallUpdate, options: list[PermissionOption], **_: Any
    ) -> RequestPermissionResponse:
        choice = None
        if self.ask is not None and not self.cancelled.is_set():
            # A client that cancels the turn must answer every open question with `cancelled`.
            asking = asyncio.ensure_future(self.ask(tool_call, options))
            cancelling = asyncio.ensure_future(self.cancelled.wait())
            try:
                await asyncio.wait({asking, cancelling}, return_when=asyncio.FIRST_COMPLETED)
                choice = asking.result() if asking.done() else None
            finally:
                asking.cancel()
                cancelling.cancel()
                await asyncio.gather(asking, cancelling, return_exceptions=True)
        if choice is None:
            return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
        return RequestPermissionResponse(outcome=AllowedOutcome(outcome="selected", option_id=choice))


class Agent:
    """One running agent with one ACP session. Make it with `open`, end it with `close`."""

    def __init__(self, process: AgentProcess, redact: Callable[[str], str]) -> None:
        self._process = process
        self._launch = process.launch
        self._redact = redact
        self._client = _Client()
        self._connection: ClientSideConnection = connect_to_agent(
            self._client,  # type: ignore[arg-type]  # the SDK's Protocol also names the services not offered
            process.stdin,
            process.stdout,
        )
        self.session_id = ""
        self._takes_images = False
        self.fresh = True
        """No prompt yet: what was said before must be told."""

    @classmethod
    async def open(
        cls,
        process: AgentProcess,
        checkout: Path,
        redact: Callable[[str], str],
        *,
        choice: Choice = NO_CHOICE,
        earlier: str | None = None,
    ) -> Agent:
        """Opens a session with an agent that was started in `checkout`; AgentFailed says why it did not come to that,
        and then nothing of the agent is left.

        `earlier`: the session of an agent that ended, to go on with where the agent can.
        """
        agent = cls(process, redact)
        try:
            async with asyncio.timeout(START_SECONDS):
                await agent._open_session(checkout, choice, earlier)
        except BaseException as error:
            failure = await agent._failure(error, "did not start")
            await agent.close()
            if isinstance(error, asyncio.CancelledError):
                raise
            raise failure from error
        seconds = round(time.monotonic() - process.began, 2)
        log.info("agent_started", agent=process.launch.name, pid=process.pid, seconds=seconds)
        return agent

    async def _open_session(self, checkout: Path, choice: Choice, earlier: str | None) -> None:
        hello = await self._connection.initialize(
            protocol_version=PROTOCOL_VERSION,
            client_capabilities=ClientCapabilities(),
            client_info=Implementation(name="devflow", title="DevFlow", version="1"),
        )
        abilities = hello.agent_capabilities
        prompt_abilities = abilities.prompt_capabilities if abilities is not None else None
        self._takes_images = bool(prompt_abilities and prompt_abilities.image)
        if hello.protocol_version != PROTOCOL_VERSION:
            raise AgentFailed(
                f"The agent {self._launch.name!r} speaks version {hello.protocol_version} of the agent protocol, "
                f"DevFlow speaks {PROTOCOL_VERSION}.",
                "Install a version of the agent that fits.",
            )
        self.session_id, opened, resumed = await open_session(self._connection, hello, checkout, earlier)
        self.fresh = not resumed
        prefer = partial(mode_preference, permissions=self._launch.permissions)
        await choose_mode(self._connection, self.session_id, opened, choice.mode, prefer)
        is_set_up = bool(self._launch.setup.environment or self._launch.setup.files)
        await choose_model(self._connection, self.session_id, opened, choice.model, is_set_up=is_set_up)

    async def prompt(
        self, texts: list[str], view: TurnView, ask: Ask | None = None, attachments: Sequence[Attachment] = ()
    ) -> PromptResult:
        """Prompts the agent with `texts` (the prompt is the last one) and returns when its turn ends.

        `ask` answers what it asks leave for; without it the answer is no. AgentFailed when it broke off. Has no time
        limit: the caller cancels.
        """
        self._client.view = view
        self._client.ask = ask
        self._client.cancelled.clear()
        self.fresh = False
        try:
            blocks = prompt_blocks(texts, attachments, images=self._takes_images)
            reply = await self._connection.prompt(session_id=self.session_id, prompt=blocks)
        except (ConnectionError, RequestError, ValidationError, OSError) as error:
            raise await self._failure(error, BROKE_OFF) from error
        finally:
            self._client.view = self._client.ask = None
        usage = reply.usage.model_dump(exclude={"field_meta"}, exclude_none=True) if reply.usage else None
        return PromptResult(reply.stop_reason, usage)

    async def cancel(self) -> None:
        """Asks the agent to end its turn; `prompt` then returns soon, or never with an agent that is stuck."""
        self._client.cancelled.set()
        try:
            async with asyncio.timeout(2.0):
                await self._connection.cancel(session_id=self.session_id)
        except (ConnectionError, OSError, TimeoutError) as error:
            log.info("agent_cancel_not_sent", why=type(error).__name__)

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.status is None

    async def close(self) -> None:
        """Kills the agent and all it started."""
        await self._process.close()
        await self._connection.close()

    async def _failure(self, error: BaseException, verb: str) -> AgentFailed:
        """A sentence about `error`: which agent, how it ended, the last of what it wrote to stderr."""
        if isinstance(error, AgentFailed):
            return error
        if isinstance(error, ConnectionError):  # it has gone or is going: its last words and status are near
            await self._process.gone()
        name = self._launch.name
        status = self._process.status
        remedy = "Check its installation and its settings where the task runs, then retry."
        if verb == BROKE_OFF:
            remedy = "Write again: the agent is started anew for the next turn."
        if isinstance(error, TimeoutError):
            how = f"it did not answer within {START_SECONDS:.0f} seconds"
        elif isinstance(error, RequestError) and error.code == -32000:
            how = "it wants to be signed in"
            remedy = "Ask whoever runs DevFlow to set the API key of its model provider."
        elif isinstance(error, RequestError):
            how = f"it answered with the error {str(error)!r} {error.data or ''}".strip()
        elif isinstance(error, ValidationError):
            how = "it sent what is not the agent protocol"
        elif status is None:
            how = "it closed its connection"
        elif status < 0:
            how = f"it was ended by signal {-status}"
        else:
            how = f"it ended with exit status {status}"
        said = self._redact(self._process.last_words())[-LAST_WORDS_CHARACTERS:]
        last_words = f" Its last words: {said}" if said else " It wrote nothing to its error output."
        return AgentFailed(f"The agent {name!r} {verb}: {self._redact(how)[:500]}.{last_words}", remedy)
