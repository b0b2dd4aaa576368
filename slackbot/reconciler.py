"""Looks at what nobody reports: the clock, the tasks, and tasks without sessions. Hands it all to the engine.

Every pass: (1) sessions that are due get `TimePassed` and whatever they are owed; (2) the tasks of live sessions are
described, by the hundred, and changes become `TaskObserved`; (3) tasks of ours that no live session owns are stopped,
after they were seen so twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from slackbot.core import events as ev
from slackbot.core.errors import DevflowError, IllegalTransition, NotFound, PermanentError, TemporaryError
from slackbot.core.ports import SessionStore, TaskObservation, Tasks
from slackbot.core.repository_name import RepositoryName
from slackbot.core.repository_policy import LimitsOf
from slackbot.core.session import Session, Status
from slackbot.engine import Engine

log = structlog.get_logger()

STARTING_SECONDS = 1.0
"""Between two looks at the tasks while any session is starting."""

AWAY_SECONDS = 14 * 24 * 3600
"""How long ago an item may have expired that a bot which was away still looks for. DynamoDB removes them some day.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/howitworks-ttl.html"""

_BATCH = 100

_FAILURES = 3
"""So many batches on end that cannot be described end a look."""


class Reconciler:
    """`interval_seconds` between passes; `orphan_seconds` between the two looks at a task without a session."""

    def __init__(
        self,
        *,
        engine: Engine,
        store: SessionStore,
        tasks: Tasks,
        limits_of: LimitsOf,
        now: Callable[[], float],
        interval_seconds: float,
        orphan_seconds: float = 120.0,
        on_orphan_stopped: Callable[[TaskObservation], None] = lambda task: None,
    ) -> None:
        self._engine = engine
        self._store = store
        self._tasks = tasks
        self._on_orphan_stopped = on_orphan_stopped
        self._limits_of = limits_of
        self._now = now
        self._interval_seconds = interval_seconds
        self._orphan_seconds = orphan_seconds
        self._listening_since = int(now())
        self._launches: dict[str, tuple[int, str | None]] = {}
        self._last_seen: dict[str, TaskObservation] = {}
        self._orphans: dict[str, float] = {}
        self._outages: set[str] = set()
        self._next_batch = 0
        self._starting: set[str] = set()
        self._is_rescued = False

    async def rescue(self) -> None:
        """What expired while no bot was there, and is not over: once, before anything is taken for an orphan."""
        now = int(self._now())
        late = [entry async for entry in self._store.scan(now - AWAY_SECONDS, due_by=now) if entry.ttl <= now]
        put_off: TemporaryError | None = None
        for entry in late:
            try:
                await self._engine.rescue(entry.session_id, entry.ttl - 1)
            except TemporaryError as error:
                put_off = error
            except DevflowError as error:
                log.warning("session_unreadable", session_id=entry.session_id, why=error.summary)
        if put_off is not None:
            raise put_off
        self._is_rescued = True

    async def run(self) -> None:
        """Passes for ever. One session's trouble, or one system's outage, never ends it.

        While a session starts, its task is looked at more often: people watch the card.
        """
        while True:
            await self.run_once()
            waited = 0.0
            while waited < self._interval_seconds:
                pause = min(STARTING_SECONDS if self._starting else self._interval_seconds, self._interval_seconds)
                await asyncio.sleep(pause)
                waited += pause
                if self._starting and waited < self._interval_seconds:
                    await self._run_parts(("tasks", self._observe_starting))

    async def run_once(self) -> None:
        """One whole pass."""
        if not self._is_rescued:
            await self._run_parts(("rescue", self.rescue))
        await self._run_parts(("due", self._visit_due), ("tasks", self._observe_tasks))
        if self._is_rescued:
            await self._run_parts(("orphans", self._stop_orphans))

    async def _run_parts(self, *parts: tuple[str, Callable[[], Awaitable[None]]]) -> None:
        for name, part in parts:
            try:
                await part()
            except DevflowError as error:
                self._outage(name, error.summary)
            except Exception:
                log.exception("reconcile_failed", part=name)
            else:
                self._outage(name, None)

    async def _visit_due(self) -> None:
        now = int(self._now())
        due = [entry async for entry in self._store.scan(now, due_by=now)]
        for entry in due:
            try:
                repository = RepositoryName(entry.repository_owner, entry.repository_name)
            except DevflowError as error:
                log.warning("session_unreadable", session_id=entry.session_id, why=error.summary)
                continue
            event = ev.TimePassed(limits=self._limits_of(repository), listening_since=self._listening_since)
            await self._tell(entry.session_id, event)
            self._engine.visit(entry.session_id)

    async def _observe_tasks(self) -> None:
        arns: dict[str, tuple[str, int]] = {}
        live: set[str] = set()
        starting: set[str] = set()
        async for entry in self._store.scan(int(self._now()), live=True):
            live.add(entry.session_id)
            if entry.status == Status.STARTING:
                starting.add(entry.session_id)
            known = self._launches.get(entry.session_id)
            if known is None or known[0] != entry.launch or known[1] is None:
                session = await self._load(entry.session_id)
                if session is None:
                    continue
                known = self._launches[entry.session_id] = (session.launch, session.ecs_task_arn)
            if known[1] is not None:
                arns[known[1]] = (entry.session_id, known[0])
        self._starting = starting
        for session_id in self._launches.keys() - live:
            del self._launches[session_id]
        for arn in self._last_seen.keys() - arns.keys():
            del self._last_seen[arn]
        await self._describe(arns)

    async def _observe_starting(self) -> None:
        """The tasks of those sessions alone that the last whole pass saw starting."""
        arns: dict[str, tuple[str, int]] = {}
        for session_id in sorted(self._starting):
            session = await self._load(session_id)
            if session is None or session.status is not Status.STARTING:
                self._starting.discard(session_id)
            elif session.ecs_task_arn is not None:
                arns[session.ecs_task_arn] = (session_id, session.launch)
        await self._describe(arns)

    async def _describe(self, arns: dict[str, tuple[str, int]]) -> None:
        """Tells sessions what is new of their tasks; `arns`: task_arn -> session_id and launch.

        Raises the last failure, after the other batches were looked at all the same. Several failures on end are an
        outage: each would cost its time-outs, so the next look goes on behind them.
        """
        listed = list(arns)
        batches = [listed[start : start + _BATCH] for start in range(0, len(listed), _BATCH)]
        failure: DevflowError | None = None
        failures = 0
        begin = self._next_batch if self._next_batch < len(batches) else 0
        self._next_batch = 0
        for number, batch in enumerate(batches[begin:] + batches[:begin], begin):
            try:
                described = await self._tasks.describe_tasks(batch)
            except DevflowError as error:
                failure, failures = error, failures + 1
                if failures == _FAILURES:
                    self._next_batch = (number + 1) % len(batches)
                    break
                continue
            failures = 0
            for arn, task in described.items():
                session_id, launch = arns[arn]
                # MISSING is told again each time: whether it counts depends on how long ago the launch was.
                is_news = self._last_seen.get(arn) != task or task.last_status == "MISSING"
                if is_news and await self._tell(session_id, ev.TaskObserved(launch=launch, task=task)):
                    self._last_seen[arn] = task
        if failure is not None:
            raise failure

    async def _stop_orphans(self) -> None:
        """A task whose session is gone, is over, or has a newer launch must not run on."""
        seen: set[str] = set()
        for task in await self._tasks.list_tasks():
            if not await self._is_orphan(task):
                continue
            seen.add(task.task_arn)
            first_seen = self._orphans.setdefault(task.task_arn, self._now())
            if self._now() - first_seen >= self._orphan_seconds:
                await self._stop_orphan(task)
        self._orphans = {arn: at for arn, at in self._orphans.items() if arn in seen}

    async def _stop_orphan(self, task: TaskObservation) -> None:
        log.warning("orphan_stopped", task_arn=task.task_arn, session_id=task.session_id)
        try:
            await self._tasks.stop_task(task.task_arn, "DevFlow: no session owns this task")
            self._on_orphan_stopped(task)
        except PermanentError as error:
            # One that may not be stopped must not keep the others from it.
            log.warning("orphan_not_stopped", task_arn=task.task_arn, why=error.summary)

    async def _is_orphan(self, task: TaskObservation) -> bool:
        if task.session_id is None:
            return True
        if self._launches.get(task.session_id) == (task.launch, task.task_arn):
            return False  # its session was live a moment ago, so the table need not be asked for each task
        try:
            session = await self._engine.load(task.session_id)
        except PermanentError as error:
            # A session that cannot be read may well be alive. A store that cannot be asked ends the whole look.
            log.warning("session_unreadable", session_id=task.session_id, why=error.summary)
            return False
        if session is None or session.launch != task.launch:
            return True
        # A session that is over stops its own task, with the reason; only one it never heard of is an orphan.
        return not session.status.is_live and session.ecs_task_arn != task.task_arn

    async def _load(self, session_id: str) -> Session | None:
        try:
            return await self._engine.load(session_id)
        except DevflowError as error:
            log.warning("session_unreadable", session_id=session_id, why=error.summary)
            return None

    async def _tell(self, session_id: str, event: ev.Event) -> bool:
        try:
            await self._engine.handle(session_id, event)
        except (IllegalTransition, NotFound):
            return True
        except DevflowError as error:
            log.warning("session_not_told", session_id=session_id, why=error.summary)
            return False
        return True

    def _outage(self, part: str, why: str | None) -> None:
        """Logged once when it begins and once when it ends."""
        if why is not None and part not in self._outages:
            self._outages.add(part)
            log.warning("outage_began", part=part, why=why)
        elif why is None and part in self._outages:
            self._outages.discard(part)
            log.info("outage_ended", part=part)
