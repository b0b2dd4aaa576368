"""What the agent asks leave for: allowed by the policy, or passed on to a person by way of the gateway.

ACP's session/request_permission in (https://agentclientprotocol.com/protocol/tool-calls#requesting-permission), the
id of one of the offered options out, or None for no. While somebody is asked the turn's clock stands still.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from acp.schema import PermissionOption, ToolCallUpdate

from slackbot.core.errors import DevflowError
from slackbot.worker.guarded_files import named
from slackbot.worker.logs import log
from slackbot.worker.output import cut
from slackbot.worker.progress import TurnView
from slackbot.worker.tool_calls import detail_of
from slackbot.worker_protocol import MAX_PERMISSION_DETAIL_BYTES, PermissionAsk, PermissionOffer, PermissionReply

Ask = Callable[[ToolCallUpdate, Sequence[PermissionOption]], Awaitable[str | None]]
"""Gives the id of the option that was chosen; None = no."""

_READING = frozenset({"read", "search", "think"})
_EDITING = _READING | {"edit", "move"}
_UNASKED: dict[str, frozenset[str]] = {"ask": frozenset(), "edits": _EDITING}
"""Kinds of tool calls (ACP's words) that a policy allows without asking; `all` allows every one."""


class TurnClock:
    """How long a turn has worked; it stands still while somebody is asked."""

    def __init__(self, limit_seconds: float) -> None:
        self._limit_seconds = limit_seconds
        self._began = time.monotonic()
        self._waited = 0.0
        self._waiting_since: float | None = None

    @property
    def seconds_left(self) -> float:
        now = self._waiting_since if self._waiting_since is not None else time.monotonic()
        return self._limit_seconds - (now - self._began - self._waited)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        self._waiting_since = time.monotonic()
        try:
            yield
        finally:
            self._waited += time.monotonic() - self._waiting_since
            self._waiting_since = None


class Asker:
    """Answers an agent's questions in one turn: by the policy (`ask`, `edits`, `all`), else by a person.

    `send` passes a question on and gives the answer, or None when there is none yet: then it is sent again.
    """

    def __init__(
        self,
        policy: str,
        view: TurnView,
        clock: TurnClock,
        send: Callable[[PermissionAsk], Awaitable[PermissionReply | None]],
        redact: Callable[[str], str],
    ) -> None:
        self._policy = policy
        self._view = view
        self._clock = clock
        self._send = send
        self._redact = redact
        self._one_at_a_time = asyncio.Lock()

    async def __call__(self, tool_call: ToolCallUpdate, options: Sequence[PermissionOption]) -> str | None:
        self._view.update(tool_call)
        kind = self._view.kind_of(tool_call.tool_call_id)
        if self._policy == "all" or kind in _UNASKED.get(self._policy, frozenset()):
            return _first(options, "allow_once")
        if not options:
            return None
        async with self._one_at_a_time:
            question = self._question(tool_call, kind, options)
            log.info("permission_asked", permission_id=question.permission_id, kind=kind, title=question.title[:100])
            with self._clock.stopped():
                reply = await self._answer_to(question)
        log.info("permission_settled", permission_id=question.permission_id, outcome=reply.outcome)
        if reply.outcome == "selected":
            return next((each.option_id for each in options if each.option_id == reply.option_id), None)
        return _first(options, "reject_once") if reply.outcome == "timed_out" else None

    async def leave_to_push(self, names: list[str], diff: str) -> bool:
        """Asks a person, whatever the policy: whether files that need a yes may be pushed."""
        detail = self._redact(diff)
        shown = cut(detail, MAX_PERMISSION_DETAIL_BYTES)
        question = PermissionAsk(
            permission_id=uuid.uuid4().hex,
            title=self._redact(f"Push changes of {named(names)}"),
            kind="push",
            detail=shown,
            is_diff=True,
            shortened=shown != detail,
            options=(
                PermissionOffer(option_id="push", name="Push them", kind="allow_once"),
                PermissionOffer(option_id="keep", name="Do not push", kind="reject_once"),
            ),
        )
        log.info("push_asked", permission_id=question.permission_id, files=len(names))
        async with self._one_at_a_time:
            with self._clock.stopped():
                reply = await self._answer_to(question)
        return reply.outcome == "selected" and reply.option_id == "push"

    async def _answer_to(self, question: PermissionAsk) -> PermissionReply:
        while True:
            try:
                reply = await self._send(question)
            except DevflowError as error:
                # Whoever takes the turn away hears of it elsewhere too; what nobody allowed is not allowed.
                log.info("permission_not_asked", why=error.summary)
                return PermissionReply(outcome="cancelled")
            if reply is not None:
                return reply

    def _question(self, tool_call: ToolCallUpdate, kind: str, options: Sequence[PermissionOption]) -> PermissionAsk:
        detail, is_diff = detail_of(tool_call)
        if not detail:
            detail, is_diff = self._view.detail_of(tool_call.tool_call_id)
        detail = self._redact(detail)
        shown = cut(detail, MAX_PERMISSION_DETAIL_BYTES)
        return PermissionAsk(
            permission_id=uuid.uuid4().hex,
            title=self._view.title_of(tool_call.tool_call_id),
            kind=kind,
            detail=shown,
            is_diff=is_diff,
            shortened=shown != detail,
            options=tuple(
                PermissionOffer(option_id=each.option_id, name=each.name[:200], kind=each.kind) for each in options[:8]
            ),
        )


def _first(options: Sequence[PermissionOption], kind: str) -> str | None:
    # Never `allow_always` unasked: that would change the agent's own rules.
    return next((option.option_id for option in options if option.kind == kind), None)
