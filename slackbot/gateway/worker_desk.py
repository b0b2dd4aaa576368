"""What workers ask for and report: from the protocol's messages to events, and back.

Reads sessions through the engine; the code host mints tokens; the progress board shows what is being done.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakValueDictionary

import structlog

from slackbot import worker_protocol as wp
from slackbot.audit import AuditLog
from slackbot.core import events as ev
from slackbot.core.clipping import MAX_RESPONSE_BYTES, clip
from slackbot.core.editor_access import door_secret
from slackbot.core.errors import IllegalTransition, ThreadUnreachable
from slackbot.core.ports import AccessToken, Chat, CodeHost
from slackbot.core.public_address import PublicAddress
from slackbot.core.redaction import redact
from slackbot.core.repository_name import RepositoryName
from slackbot.core.repository_policy import LimitsOf
from slackbot.core.session import Session, Status, Turn, TurnState
from slackbot.core.staying import seconds_left
from slackbot.core.turn_rules import follows_closely
from slackbot.core.worker_token import WorkerIdentity
from slackbot.engine import Engine
from slackbot.gateway.assignment import Assignment
from slackbot.gateway.models_desk import ModelsDesk
from slackbot.gateway.worker_sessions import POLL_SECONDS, first_of, live_session, own_session
from slackbot.performer import Performer
from slackbot.progress_board import ProgressBoard
from slackbot.views.progress import ProgressPicture

log = structlog.get_logger()

SETTLE_SECONDS = 0.15
"""What was written within a second of what came before it may have overtaken another; so long it waits for that one."""

MAX_STEPS_BYTES = 4096


@dataclass(frozen=True)
class EditorTerms:
    """Where people reach editors, and what the secrets of the workers' doors are made of."""

    address: PublicAddress
    secret: str


@dataclass(frozen=True)
class WorkerTerms:
    """What a worker is told of its limits and of its name in git."""

    limits_of: LimitsOf
    permissions_of: Callable[[RepositoryName], str] = lambda name: "all"
    """What an agent may do unasked in a repository: `ask`, `edits`, `all`."""
    committer_name: str = "DevFlow"
    committer_email: str = "devflow[bot]@users.noreply.devflow.invalid"
    editors: EditorTerms | None = None
    """None = no public address, so no editor."""


class WorkerDesk:
    """One method for each call of the protocol. `Fenced` and `IllegalTransition` mean: stop now (409)."""

    def __init__(
        self,
        *,
        engine: Engine,
        performer: Performer,
        chat: Chat,
        code_host: CodeHost,
        board: ProgressBoard,
        terms: WorkerTerms,
        audit: AuditLog,
        models: ModelsDesk,
        secrets: tuple[str, ...],
        long_poll_seconds: float = wp.LONG_POLL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._performer = performer
        self._assignment = Assignment(chat)
        self._code_host = code_host
        self._board = board
        self._terms = terms
        self._audit = audit
        self._models = models
        self._secrets = secrets
        self._long_poll_seconds = long_poll_seconds
        self._clock = clock
        self._stopping = asyncio.Event()
        self._tokens: dict[tuple[str, int], AccessToken] = {}
        self._answering: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    def stop_polls(self) -> None:
        """The gateway goes down: every long poll ends with "nothing yet"."""
        self._stopping.set()

    async def session_info(self, identity: WorkerIdentity) -> wp.SessionInfo:
        session = await live_session(self._engine, identity)
        repository = await self._code_host.find_repository(session.repository)
        limits = self._terms.limits_of(session.repository)
        editors = self._terms.editors
        return wp.SessionInfo(
            session_id=session.session_id,
            repository_owner=session.repository.owner,
            repository_name=session.repository.name,
            clone_url=repository.clone_url,
            branch_name=session.branch_name,
            push_ref=session.push_ref if session.branch.ref is not None else None,
            base_branch=session.base_branch,
            agent=session.agent,
            model=session.model,
            mode=session.mode,
            model_providers=self._models.names,
            committer_name=self._terms.committer_name,
            committer_email=self._terms.committer_email,
            earlier_turns=tuple(
                wp.EarlierTurn(prompt=turn.prompt, response=turn.response or "")
                for turn in session.history
                if turn.state is TurnState.ANSWERED
            )[-20:],
            idle_seconds=limits.idle_seconds,
            turn_seconds=limits.turn_seconds,
            max_session_seconds=limits.max_session_seconds,
            editor_secret=door_secret(editors.secret, session.session_id, session.launch) if editors else None,
            permissions=self._terms.permissions_of(session.repository),
        )

    async def ready(self, identity: WorkerIdentity, body: wp.Ready, *, peer: str) -> None:
        """`peer`: the address the call came from. A worker cannot name another host for the gateway to dial."""
        editors, url, door = self._terms.editors, None, None
        if editors is not None and body.editor_port is not None and peer:
            url = editors.address.editor_url(identity.session_id)
            door = f"[{peer}]:{body.editor_port}" if ":" in peer else f"{peer}:{body.editor_port}"
        await self._engine.handle(identity.session_id, ev.WorkerReady(identity.launch, url, door))
        log.info("worker_ready", session_id=identity.session_id, launch=identity.launch)

    async def next_turn(self, identity: WorkerIdentity, body: wp.NextTurn = wp.NOTHING_SEEN) -> wp.TurnWork | None:
        """The turn this launch has already, else the next one; None after the long poll's time."""
        until = self._clock() + self._long_poll_seconds
        settled: set[str] = set()
        await self._engine.handle(
            identity.session_id, ev.WorkerHeard(identity.launch, body.in_editor, body.unpushed_files)
        )
        while True:
            changed = self._engine.changed(identity.session_id)
            session = await live_session(self._engine, identity)
            turn = session.working_turn or next(iter(session.waiting_turns), None)
            if turn is not None and turn.turn_id not in settled and follows_closely(session, turn):
                # Two sockets, or two bots, may bring what was written in one breath in another order.
                settled.add(turn.turn_id)
                await first_of((self._stopping,), SETTLE_SECONDS)
                continue
            if turn is not None and session.status is Status.RUNNING:
                claimed = await self._claimed(identity, turn)
                if claimed is not None:
                    return await self._assignment.work(claimed, turn)
            left = until - self._clock()
            if left <= 0 or self._stopping.is_set():
                return None
            await first_of((changed, self._stopping), min(left, POLL_SECONDS))

    async def stay(self, identity: WorkerIdentity, body: wp.Stay) -> wp.StayReply:
        """How long the worker is to stay though a limit it was told is reached: somebody may have extended it."""
        session = await live_session(self._engine, identity)
        limits = self._terms.limits_of(session.repository)
        return wp.StayReply(seconds=seconds_left(session, body.reason, limits, self._engine.now()))

    async def _claimed(self, identity: WorkerIdentity, turn: Turn) -> Session | None:
        """The session with the turn taken; None when it was cancelled or overtaken between the look and the claim."""
        try:
            return await self._engine.handle(identity.session_id, ev.TurnClaimed(identity.launch, turn.turn_id))
        except IllegalTransition:
            return None

    async def progress(self, identity: WorkerIdentity, turn_id: str, body: wp.Progress) -> wp.ProgressReply:
        await self._engine.handle(identity.session_id, ev.WorkerHeard(identity.launch))
        session = await live_session(self._engine, identity)
        turn = session.turn(turn_id)
        if turn is None or turn.state is not TurnState.WORKING:
            return wp.ProgressReply(cancel=True, handle=body.handle)
        picture = ProgressPicture(
            text=redact(body.text, self._secrets),
            plan=tuple((redact(entry.content, self._secrets), entry.status) for entry in body.plan),
            tool_calls=tuple((redact(call.title, self._secrets), call.status) for call in body.tool_calls),
            elapsed_seconds=body.elapsed_seconds,
        )
        handle = self._board.report(session, turn, picture, body.handle)
        return wp.ProgressReply(cancel=turn.cancelled_at is not None, handle=handle)

    async def cancel_wished(self, identity: WorkerIdentity, turn_id: str) -> wp.ProgressReply | None:
        """Waits for somebody to cancel the turn; None after the long poll's time."""
        until = self._clock() + self._long_poll_seconds
        while True:
            changed = self._engine.changed(identity.session_id)
            turn = (await live_session(self._engine, identity)).turn(turn_id)
            if turn is None or turn.state is not TurnState.WORKING or turn.cancelled_at is not None:
                return wp.ProgressReply(cancel=True)
            left = until - self._clock()
            if left <= 0 or self._stopping.is_set():
                return None
            await first_of((changed, self._stopping), min(left, POLL_SECONDS))

    async def answer(self, identity: WorkerIdentity, turn_id: str, body: wp.Answer) -> None:
        """Stores the answer; it is posted then. One too long to store whole is taken over only once it is posted."""
        # A worker repeats what took long; the second report finds the first one's outcome.
        async with self._answering.setdefault((identity.session_id, turn_id), asyncio.Lock()):
            await self._answer(identity, turn_id, body)

    async def _answer(self, identity: WorkerIdentity, turn_id: str, body: wp.Answer) -> None:
        # First what its models used, so that the answer's line of facts can tell it.
        await self._models.settle(identity.session_id)
        session = await own_session(self._engine, identity)
        turn = session.turn(turn_id)
        if turn is None or (turn.state.is_ended and not turn.held):
            return
        self._board.note_handle(session, turn_id, body.handle, reports=body.reports)
        response = redact(body.response, self._secrets)
        if turn.held:
            await self._bring(session, turn, response, look_first=True)
            return
        stored, shortened = clip(response, MAX_RESPONSE_BYTES)
        event = ev.TurnEnded(
            launch=identity.launch,
            turn_id=turn_id,
            state=TurnState(body.outcome),
            response=stored,
            shortened=shortened,
            held=shortened and session.thread.lost is None,
            commit_sha=body.commit_sha,
            base_sha=body.base_sha,
            files_changed=body.files_changed,
            additions=body.additions,
            deletions=body.deletions,
            usage=body.usage,
            steps=self._steps(body),
        )
        session = await self._engine.handle(identity.session_id, event)
        log.info("turn_ended", session_id=identity.session_id, turn_id=turn_id, outcome=body.outcome)
        ended = session.turn(turn_id)
        if ended is not None and ended.held:
            await self._bring(session, ended, response, look_first=False)

    async def _bring(self, session: Session, turn: Turn, response: str, *, look_first: bool) -> None:
        """Posts an answer of which the store holds head and tail alone. What fails here the worker tries again."""
        session_id = session.session_id
        if await self._performer.strangers_read(session):
            session = await self._engine.handle(session_id, ev.ChannelShared())
        if session.thread.frozen_at is not None:
            # What is stored of it is told when the channel is the workspace's own again.
            return
        try:
            ts = await self._performer.post_answer(session, turn, full_text=response, look_first=look_first)
        except ThreadUnreachable as error:
            # Nobody will read it there; what can be stored is, and the session learns that its thread is lost.
            log.warning("answer_only_stored", session_id=session_id, why=error.summary)
            await self._engine.handle(session_id, ev.ThreadLost(reason=error.summary))
            return
        await self._engine.handle(session_id, ev.AnswerPosted(turn_id=turn.turn_id, response_ts=ts))

    async def github_token(self, identity: WorkerIdentity, body: wp.GithubTokenAsk = wp.ANY_TOKEN) -> wp.GithubToken:
        """A token for the session's repository; also for a worker that packs up after its session was stopped."""
        session = await own_session(self._engine, identity)
        if not session.status.is_live and session.ecs_task_arn is None:
            raise IllegalTransition("The session is over, and so is its task.", "The worker must leave.")
        key = (identity.session_id, identity.launch)
        token = self._tokens.get(key)
        if token is None or body.renew or token.expires_at - self._engine.now() < 600:
            repository = await self._code_host.find_repository(session.repository)
            token = await self._code_host.mint_token(repository)
            self._tokens[key] = token
            self._audit.record(
                "token_minted",
                actor=f"worker:{identity.launch}",
                session_id=identity.session_id,
                repository=session.repository.full_name,
                details={"expires_at": token.expires_at},
            )
            while len(self._tokens) > 2_000:
                self._tokens.pop(next(iter(self._tokens)))
        return wp.GithubToken(token=token.token, expires_at=token.expires_at)

    async def leaving(self, identity: WorkerIdentity, body: wp.Leaving) -> None:
        detail = redact(body.detail, self._secrets)
        self._tokens.pop((identity.session_id, identity.launch), None)
        await self._engine.handle(identity.session_id, ev.WorkerLeft(identity.launch, body.reason, detail))
        log.info("worker_left", session_id=identity.session_id, reason=body.reason)

    # ------------------------------------------------------------------------------------ parts

    def _steps(self, body: wp.Answer) -> tuple[dict[str, str], ...]:
        steps: list[dict[str, str]] = []
        room = MAX_STEPS_BYTES
        for step in body.steps:
            title, _ = clip(redact(step.title, self._secrets), 200)
            room -= len(title.encode()) + len(step.status) + 32
            if room < 0:
                break
            steps.append({"title": title or "…", "status": step.status or "completed"})
        return tuple(steps)
