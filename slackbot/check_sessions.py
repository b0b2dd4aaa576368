"""`devflow check --sessions`: do store, tasks, branches and threads agree? With `--fix`, the bot's rooms mend it.

Reads every session and every task of the deployment, and for live sessions branch and thread as well. What is wrong is
not mended here: engine and reconciler are told what was seen, exactly as a running bot tells them.
"""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import structlog

from slackbot.adapters.github import GithubCodeHost
from slackbot.adapters.slack import SlackChat
from slackbot.app_parts import build_store, build_tasks
from slackbot.audit import AuditLog, AuditStream
from slackbot.check import Finding, of_error, without_secrets
from slackbot.config import Settings
from slackbot.core import events as ev
from slackbot.core.effects import Effect, is_lasting, owed
from slackbot.core.errors import DevflowError, NotFound, ThreadUnreachable
from slackbot.core.limits import Limits
from slackbot.core.ports import Chat, CodeHost, IndexEntry, SessionStore, TaskObservation, Tasks
from slackbot.core.session import Session, Status
from slackbot.engine import Engine
from slackbot.performer import Performer, WorkerSettings
from slackbot.policy import load_policies
from slackbot.progress_board import ProgressBoard
from slackbot.reconciler import Reconciler

log = structlog.get_logger()

OVERDUE_SECONDS = 120
"""A debt is taken over by another replica after 30 s; one that is so old nobody pays."""

FIX_SECONDS = 60.0
"""How long `--fix` waits for what it set going: a worker that is stopped has 30 s to save what it has."""

AT_ONCE = 8
_BATCH = 100


@dataclass(frozen=True)
class World:
    """What is compared."""

    store: SessionStore
    tasks: Tasks
    chat: Chat
    code_host: CodeHost
    engine: Engine
    reconciler: Reconciler


@dataclass(frozen=True)
class Fault:
    """Something that does not agree. `lost`: why the session's thread cannot be posted in, where that is it."""

    subject: str
    summary: str
    remedy: str
    session_id: str | None = None
    lost: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.subject, self.summary.partition(" (")[0]


_BOT = "A running bot mends this within a minute or two; if none runs, start it, or use --fix"


async def check_sessions(settings: Settings, *, fix: bool = False) -> list[Finding]:
    """A line for each thing that does not agree, and one for all that does; with `fix`, what became of each."""
    try:
        async with open_world(settings) as world:
            found = await compare(world)
            mended = await mend(world, found) if fix and found.faults else None
    except DevflowError as error:
        return without_secrets([of_error("sessions", error)], settings)
    return without_secrets(findings(found, mended), settings)


@dataclass(frozen=True)
class Comparison:
    """How many were looked at, and what does not agree."""

    live: int
    over: int
    tasks: int
    faults: tuple[Fault, ...]


def findings(found: Comparison, mended: Comparison | None) -> list[Finding]:
    """Lines for what was found, and what is left of it after mending. Pure."""
    left = {fault.key for fault in mended.faults} if mended is not None else set()
    lines = []
    for fault in found.faults:
        if mended is not None and fault.key not in left:
            lines.append(Finding(fault.subject, True, f"{fault.summary}: mended"))
        else:
            lines.append(Finding(fault.subject, False, fault.summary, fault.remedy))
    if mended is not None:
        known = {fault.key for fault in found.faults}
        lines += [
            Finding(fault.subject, False, fault.summary, fault.remedy)
            for fault in mended.faults
            if fault.key not in known
        ]
    looked = f"{found.live} live and {found.over} ended sessions, {found.tasks} tasks"
    agreed = "all agree" if not found.faults else f"{len(found.faults)} things do not agree"
    return [*lines, Finding("sessions", True, f"looked at {looked}: {agreed}")]


async def compare(world: World) -> Comparison:
    """Looks at everything once. `DevflowError` when store or tasks cannot be read at all."""
    now = world.engine.now()
    entries = [entry async for entry in world.store.scan(now)]
    tasks = {task.task_arn: task for task in await world.tasks.list_tasks()}
    limit = asyncio.Semaphore(AT_ONCE)
    remedy = "Repair or delete it by hand; docs/table.md says what an item holds"
    faults = [
        Fault(f"session {session_id}", "its item in the table cannot be read", remedy)
        for session_id in sorted(getattr(world.store, "unreadable", ()))
    ]
    sessions: dict[str, Session | None] = {}

    async def load(session_id: str) -> Session | None:
        """Read strongly; what cannot be read is a fault, and is None in `sessions`."""
        async with limit:
            try:
                session = await world.engine.load(session_id)
            except DevflowError as error:
                faults.append(Fault(f"session {session_id}", f"it cannot be read: {error.summary}", error.remedy))
                sessions[session_id] = None
                return None
        if session is not None:
            sessions[session_id] = session
        return session

    owners = {task.session_id for task in tasks.values() if task.session_id}
    wanted = dict.fromkeys([*(entry.session_id for entry in entries if _is_worth_reading(entry, now)), *owners])
    loaded = [session for session in await asyncio.gather(*map(load, wanted)) if session is not None]
    described = await _describe(world.tasks, [session.ecs_task_arn for session in loaded if session.ecs_task_arn])
    for session in loaded:
        faults += [*_task_faults(session, described, now), *_debt_faults(session, now)]
    faults += [
        Fault(f"task {task.task_arn}", "no session owns it, and it runs", _BOT, task.session_id)
        for task in tasks.values()
        if _is_orphan(task, sessions)
    ]
    live = [session for session in loaded if session.status.is_live]
    for more in await asyncio.gather(*(_branch_and_thread(world, session, limit) for session in live)):
        faults += more
    live_count = sum(_is_live(entry) for entry in entries)
    return Comparison(live_count, len(entries) - live_count, len(tasks), tuple(faults))


async def mend(world: World, found: Comparison) -> Comparison:
    """Tells the reconciler to look now and the engine what was seen, waits for what follows, and looks again."""
    for fault in found.faults:
        if fault.session_id is not None and fault.lost is not None:
            try:
                await world.engine.handle(fault.session_id, ev.ThreadLost(reason=fault.lost))
            except DevflowError as error:
                log.warning("session_not_told", session_id=fault.session_id, why=error.summary)
    await world.reconciler.run_once()
    for fault in found.faults:
        if fault.session_id is not None:
            world.engine.visit(fault.session_id)
    deadline = time.monotonic() + FIX_SECONDS
    before = {fault.key for fault in found.faults}
    while True:
        again = await compare(world)
        if not before & {fault.key for fault in again.faults if fault.remedy == _BOT}:
            return again
        if time.monotonic() > deadline:
            return again
        await asyncio.sleep(0.25)


@asynccontextmanager
async def open_world(
    settings: Settings, *, store: SessionStore | None = None, tasks: Tasks | None = None
) -> AsyncIterator[World]:
    """The same rooms and adapters as a bot's, without its ears: nothing listens to Slack or to workers.

    `store` and `tasks` are used (and closed) instead of those the settings name.
    """
    assert settings.SLACK_BOT_TOKEN is not None  # noqa: S101  load_settings saw to it
    async with AsyncExitStack() as closing:
        opened = store if store is not None else await asyncio.to_thread(build_store, settings)
        closing.push_async_callback(opened.close)
        workers = tasks or await build_tasks(settings)
        closing.push_async_callback(workers.close)
        code_host = GithubCodeHost(
            api_url=settings.GITHUB_API_URL,
            app_id=settings.GITHUB_APP_ID or "",
            private_key=settings.private_key_pem(),
        )
        closing.push_async_callback(code_host.close)
        chat = SlackChat(token=settings.SLACK_BOT_TOKEN.get_secret_value(), api_url=settings.SLACK_API_URL)
        closing.push_async_callback(chat.close)
        # The lines of `check` are on stdout, so acts go to stderr where no file is named.
        stream = AuditStream(settings.DEVFLOW_AUDIT_LOG, otherwise=2)
        closing.callback(stream.close)
        board = ProgressBoard(chat, clock=time.monotonic)
        closing.push_async_callback(board.close)
        engine, reconciler = _rooms(settings, opened, workers, chat, code_host, board, stream)
        closing.push_async_callback(engine.drain, 5.0)
        yield World(opened, workers, chat, code_host, engine, reconciler)


def _rooms(
    settings: Settings,
    store: SessionStore,
    tasks: Tasks,
    chat: Chat,
    code_host: CodeHost,
    board: ProgressBoard,
    stream: AuditStream,
) -> tuple[Engine, Reconciler]:
    assert settings.DEVFLOW_SECRET is not None  # noqa: S101
    audit = AuditLog(stream.write, now=time.time)
    policies = load_policies(settings.DEVFLOW_POLICY)
    limits_of = functools.partial(policies.limits_of, limits=settings.limits)
    worker = WorkerSettings(
        gateway_url=settings.gateway_url_on(settings.gateway_address[1]),
        secret=settings.DEVFLOW_SECRET.get_secret_value(),
    )
    performer = Performer(
        chat=chat,
        tasks=tasks,
        code_host=code_host,
        board=board,
        worker=worker,
        policies=policies,
        load=lambda session_id: engine.load(session_id),
    )
    engine = Engine(
        store,
        performer,
        replica_id=f"check-{socket.gethostname()[:40]}-{os.getpid()}-{uuid.uuid4().hex[:8]}",
        now=time.time,
        limits_of=limits_of,
        on_saved=audit.saved,
    )
    reconciler = Reconciler(
        engine=engine,
        store=store,
        tasks=tasks,
        limits_of=limits_of,
        now=time.time,
        interval_seconds=settings.DEVFLOW_RECONCILE_SECONDS,
        # `compare` was the first look, so the reconciler's is the second.
        orphan_seconds=0.0,
        on_orphan_stopped=audit.orphan_stopped,
    )
    return engine, reconciler


# ------------------------------------------------------------------------------------------- parts


async def _describe(tasks: Tasks, arns: Sequence[str]) -> dict[str, TaskObservation]:
    found: dict[str, TaskObservation] = {}
    for start in range(0, len(arns), _BATCH):
        found |= await tasks.describe_tasks(arns[start : start + _BATCH])
    return found


def _is_live(entry: IndexEntry) -> bool:
    return entry.status in (Status.STARTING, Status.RUNNING)


def _is_worth_reading(entry: IndexEntry, now: int) -> bool:
    """Live sessions, and those that are over and owe something that is overdue."""
    return _is_live(entry) or (entry.due_at is not None and now - entry.due_at > OVERDUE_SECONDS)


def _name(session: Session) -> str:
    return f"session {session.session_id}"


def _task_faults(session: Session, described: dict[str, TaskObservation], now: int) -> Iterable[Fault]:
    arn = session.ecs_task_arn
    if not session.status.is_live:
        return
    if arn is None:
        if session.status is Status.RUNNING:
            yield Fault(_name(session), "it runs, and has no task", _BOT, session.session_id)
        return
    task = described.get(arn)
    if task is None:
        return
    asked_at = max(session.launched_at, session.task.asked_at or 0)
    is_new = task.last_status == "MISSING" and now - asked_at < Limits.lost_task_seconds
    if task.last_status in ("STOPPED", "MISSING") and not is_new:
        said = f" ({task.stop_code})" if task.stop_code else ""
        yield Fault(_name(session), f"it is {session.status}, and its task is {task.last_status}{said}", _BOT,
                    session.session_id)  # fmt: skip


def _debt_faults(session: Session, now: int) -> Iterable[Fault]:
    lasting = [effect for effect in owed(session) if is_lasting(effect, session)]
    late_seconds = now - session.due_at if session.due_at is not None else 0
    if late_seconds <= OVERDUE_SECONDS:
        return
    what = ", ".join(dict.fromkeys(_words(effect) for effect in lasting)) or "a look at its limits"
    yield Fault(_name(session), f"it is owed {what} (for {late_seconds // 60} minutes)", _BOT, session.session_id)


def _words(effect: Effect) -> str:
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in type(effect).__name__)
    return words.strip()


def _is_orphan(task: TaskObservation, sessions: dict[str, Session | None]) -> bool:
    """As the reconciler sees it: a session that cannot be read may own its task. One that ends already is none."""
    if task.stop_code is not None or task.last_status in ("DEACTIVATING", "STOPPING", "DEPROVISIONING"):
        return False
    if task.session_id is None:
        return True
    if task.session_id in sessions and sessions[task.session_id] is None:
        return False
    session = sessions.get(task.session_id)
    if session is None or session.launch != task.launch:
        return True
    return not session.status.is_live and session.ecs_task_arn != task.task_arn


async def _branch_and_thread(world: World, session: Session, limit: asyncio.Semaphore) -> list[Fault]:
    async with limit:
        return [*await _branch(world.code_host, session), *await _thread(world.chat, session)]


async def _branch(code_host: CodeHost, session: Session) -> list[Fault]:
    if session.branch.base_sha is None:
        return []
    # Where turns are kept apart it is a ref of the session's own.
    name = f"`{session.push_ref.removeprefix('refs/heads/')}` of {session.repository}"
    try:
        repository = await code_host.find_repository(session.repository)
        if await code_host.get_ref(repository, session.push_ref) is not None:
            return []
    except DevflowError as error:
        return [Fault(_name(session), f"its branch {name} cannot be seen: {error.summary}", error.remedy)]
    remedy = "The worker's next push makes it anew; if nobody wants that, stop the session in its thread"
    return [Fault(_name(session), f"its branch {name} is gone", remedy)]


async def _thread(chat: Chat, session: Session) -> list[Fault]:
    thread = session.thread
    where = f"its thread {thread.thread_ts} in {thread.channel_id}"
    try:
        if await chat.get_message(thread.channel_id, thread.thread_ts, thread.thread_ts) is not None:
            return []
    except (ThreadUnreachable, NotFound) as error:
        summary = f"{where} cannot be reached: {error.summary}"
        return [Fault(_name(session), summary, f"{error.remedy} --fix ends the session".strip(), session.session_id,
                      lost=error.summary)]  # fmt: skip
    except DevflowError as error:
        return [Fault(_name(session), f"{where} cannot be read: {error.summary}", error.remedy)]
    remedy = "People may go on in it; to end the session, an administrator writes `/devflow stop` with its id"
    return [Fault(_name(session), f"the first message of {where} was deleted", remedy)]
