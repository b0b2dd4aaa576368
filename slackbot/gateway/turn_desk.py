"""What a worker needs while it works on a turn: an answer to what its agent asks leave for, and files both ways.

Reads sessions through the engine; files come from Slack and go there through the chat port, so that no worker has
a Slack token.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from weakref import WeakValueDictionary

import structlog

from slackbot import worker_protocol as wp
from slackbot.core import events as ev
from slackbot.core.attachments import safe_name
from slackbot.core.errors import IllegalTransition, NotFound, PermanentError
from slackbot.core.joined_turns import files_of
from slackbot.core.ports import Chat
from slackbot.core.redaction import redact
from slackbot.core.repository_policy import LimitsOf
from slackbot.core.session import Permission, Session, Turn, TurnState
from slackbot.core.worker_token import WorkerIdentity
from slackbot.engine import Engine
from slackbot.gateway.worker_sessions import POLL_SECONDS, first_of, live_session

log = structlog.get_logger()

_NO = wp.PermissionReply(outcome="cancelled")


class TurnDesk:
    """One method for each call. `Fenced` and `IllegalTransition` mean: stop now (409)."""

    def __init__(
        self,
        *,
        engine: Engine,
        chat: Chat,
        limits_of: LimitsOf,
        secrets: tuple[str, ...],
        long_poll_seconds: float = wp.LONG_POLL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._chat = chat
        self._limits_of = limits_of
        self._secrets = secrets
        self._long_poll_seconds = long_poll_seconds
        self._clock = clock
        self._stopping = asyncio.Event()
        self._taking: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    def stop_polls(self) -> None:
        """The gateway goes down: every long poll ends with "nothing yet"."""
        self._stopping.set()

    async def ask_permission(
        self, identity: WorkerIdentity, turn_id: str, body: wp.PermissionAsk
    ) -> wp.PermissionReply | None:
        """Stores the question, which shows it in the thread, and waits for its answer; None after the long poll's
        time. The question is in the session, so the answer may be given on any replica, and before or after a restart.
        """
        until = self._clock() + self._long_poll_seconds
        while True:
            changed = self._engine.changed(identity.session_id)
            session = await live_session(self._engine, identity)
            turn = session.turn(turn_id)
            if turn is None or turn.state is not TurnState.WORKING or turn.cancelled_at is not None:
                return _NO
            question = session.permission(body.permission_id)
            if question is None:
                session = await self._engine.handle(identity.session_id, self._asked(identity, session, turn_id, body))
                question = session.permission(body.permission_id)
                continue
            if question.outcome is None and self._engine.now() >= question.expires_at:
                limits = self._limits_of(session.repository)
                await self._engine.handle(identity.session_id, ev.TimePassed(limits))
                continue
            if question.outcome is not None:
                return _reply(question)
            left = min(until - self._clock(), POLL_SECONDS, max(0.05, question.expires_at - self._engine.now()))
            if until <= self._clock() or self._stopping.is_set():
                return None
            await first_of((changed, self._stopping), left)

    def _asked(
        self, identity: WorkerIdentity, session: Session, turn_id: str, body: wp.PermissionAsk
    ) -> ev.PermissionAsked:
        options = tuple(
            {"option_id": offer.option_id, "name": redact(offer.name, self._secrets)[:200] or "?", "kind": offer.kind}
            for offer in body.options
        )
        return ev.PermissionAsked(
            launch=identity.launch,
            turn_id=turn_id,
            permission_id=body.permission_id,
            title=redact(body.title, self._secrets) or "?",
            kind=body.kind,
            detail=redact(body.detail, self._secrets),
            is_diff=body.is_diff,
            shortened=body.shortened,
            options=options,
            wait_seconds=self._limits_of(session.repository).permission_seconds,
        )

    async def push_begun(self, identity: WorkerIdentity, turn_id: str, body: wp.Push) -> None:
        """Stores what a turn is about to push, for the worker of another launch to find should this one die."""
        event = ev.PushBegun(identity.launch, turn_id, body.head_sha, body.base_sha)
        await self._engine.handle(identity.session_id, event)

    async def attached_file(self, identity: WorkerIdentity, turn_id: str, number: int) -> AsyncIterator[bytes]:
        """The bytes of the file `number` (from 0) that came with the prompt in work."""
        session, turn = await self._turn(identity, turn_id)
        files = files_of(session, turn)
        if not 0 <= number < len(files):
            raise PermanentError(f"The prompt has no file {number}.")
        return self._chat.stream_file(str(files[number]["file_id"]), wp.MAX_FILE_BYTES)

    async def take_shown(self, identity: WorkerIdentity, turn_id: str, name: str, content: bytes) -> None:
        """Shows a file of the agent's in the thread, once however often it comes."""
        digest = hashlib.sha256(content).hexdigest()[:32]
        name = safe_name(redact(name, self._secrets))
        async with self._taking.setdefault((identity.session_id, digest), asyncio.Lock()):
            _, turn = await self._turn(identity, turn_id)
            known = next((file for file in turn.shown if file["digest"] == digest), None)
            if known is not None and "shared_at" in known:
                return
            file_id = str(known["file_id"]) if known is not None else await self._chat.upload_bytes(name, content)
            event = ev.FileTaken(identity.launch, turn_id, digest, name, file_id)
            session = await self._engine.handle(identity.session_id, event)
            thread = session.thread
            await self._chat.share_file(
                thread.channel_id, thread.thread_ts, file_id, title=name, look_first=known is not None
            )
            await self._engine.handle(identity.session_id, ev.FileShared(identity.launch, turn_id, digest))
            log.info("file_shown", session_id=identity.session_id, turn_id=turn_id, size_bytes=len(content))

    async def _turn(self, identity: WorkerIdentity, turn_id: str) -> tuple[Session, Turn]:
        session = await live_session(self._engine, identity)
        turn = session.turn(turn_id)
        if turn is None:
            raise NotFound("There is no such turn.", "Ask for the next one.")
        if turn.state is not TurnState.WORKING or turn.claimed_launch != identity.launch:
            raise IllegalTransition("This turn is not in work here.", "Ask for the next one.")
        return session, turn


def _reply(question: Permission) -> wp.PermissionReply:
    if question.outcome == "selected" and question.option_id is not None:
        return wp.PermissionReply(outcome="selected", option_id=question.option_id)
    return wp.PermissionReply(outcome="timed_out") if question.outcome == "timed_out" else _NO
