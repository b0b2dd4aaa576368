"""Looks at the pull requests of sessions, live or over, and hands each look to the engine.

Which ones: entries of the index that have a `pr_number`. Those of one installation are looked at together, a hundred
in one call, the more rarely the longer nothing moved; a webhook only makes the same look come sooner. Nothing here
is kept but what a new process finds out again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

import structlog

from slackbot.core import events as ev
from slackbot.core.code_host import CodeHost, PullRequestSnapshot
from slackbot.core.deadlines import PULL_REQUEST_SECONDS, is_watched, quiet_since
from slackbot.core.errors import DevflowError, IllegalTransition, NotFound, Refused, TemporaryError
from slackbot.core.limits import PullRequestTerms
from slackbot.core.ports import IndexEntry, SessionStore
from slackbot.core.repository_name import RepositoryName
from slackbot.core.session import Session
from slackbot.engine import Engine
from slackbot.pull_request_acts import TermsOf

log = structlog.get_logger()

TICK_SECONDS = 30.0
"""The shortest time between two looks that nothing asked for: 120 calls an hour and installation at most."""

PACE = ((600, 1), (3_600, 2), (24 * 3_600, 4))
"""(quiet for less than so many seconds, ticks between two looks); beyond the last `SLOWEST_TICKS`."""
SLOWEST_TICKS = 10

GATHER_SECONDS = 2.0
"""A webhook is seldom alone: what comes within this time is one look."""
LEAST_SECONDS = 5.0
"""Between two looks at the same installation, however many webhooks come."""

MAX_BACK_OFF_SECONDS = 900.0
MISSED_LOOKS = 3
"""A pull request that so many looks did not find is gone."""

_BATCH = 100

TakePlace = Callable[[str, str], AbstractAsyncContextManager[None]]
"""(user_id, session_id) -> one of the places of live sessions, or `Refused`: `SessionLimits.taken`."""


@dataclass
class _Watched:
    """One session's pull request, as its item said at `updated_at`."""

    session_id: str
    updated_at: int
    installation_id: int = 0
    repository: str = ""
    number: int = 0
    node_id: str | None = None
    head_sha: str = ""
    moved_at: int = 0
    is_watched: bool = False
    is_live: bool = False
    user_id: str = ""
    quiet_since: int = 0
    last: PullRequestSnapshot | None = None
    missed: int = 0


@dataclass
class _Group:
    """The looks at one installation. Times are Unix seconds."""

    next_at: float = 0.0
    looked_at: float = 0.0
    failures: int = 0
    woken: set[str] = field(default_factory=set)


class PullRequestWatch:
    """`now` gives Unix seconds; `take_place` bounds what automatic fixes may wake."""

    def __init__(
        self,
        *,
        engine: Engine,
        store: SessionStore,
        code_host: CodeHost,
        terms_of: TermsOf,
        now: Callable[[], float],
        take_place: TakePlace = lambda user_id, session_id: nullcontext(),
        tick_seconds: float = TICK_SECONDS,
        gather_seconds: float = GATHER_SECONDS,
    ) -> None:
        self._engine = engine
        self._store = store
        self._code_host = code_host
        self._terms_of = terms_of
        self._now = now
        self._take_place = take_place
        self._tick_seconds = tick_seconds
        self._gather_seconds = gather_seconds
        self._watched: dict[str, _Watched] = {}
        self._groups: dict[int, _Group] = {}
        self._wake = asyncio.Event()
        self._is_out = False

    # ------------------------------------------------------------------------------------ waking

    async def on_pull_request_event(
        self, repository_full_name: str, numbers: Iterable[int], head_sha: str | None
    ) -> None:
        """GitHub's webhook: something happened to these pull requests, or to this commit."""
        wanted, repository = set(numbers), repository_full_name.lower()
        for watched in self._watched.values():
            if watched.repository == repository and (
                watched.number in wanted or (head_sha and head_sha == watched.head_sha)
            ):
                self.look_soon(watched.session_id)

    def look_soon(self, session_id: str) -> None:
        """Look at this session's pull request at the next opportunity, whatever its state."""
        watched = self._watched.get(session_id)
        if watched is not None:
            group = self._groups.setdefault(watched.installation_id, _Group())
            group.woken.add(session_id)
            if not group.failures:
                group.next_at = min(group.next_at, max(self._now(), group.looked_at + LEAST_SECONDS))
        self._wake.set()

    def saved(self, before: Session | None, after: Session) -> None:
        """A session was written by this process: one that is opened, or whose card is asked for, is looked at now."""
        if before is not None and before.pull_request.card_number != after.pull_request.card_number:
            self.look_soon(after.session_id)

    async def run(self) -> None:
        """Passes for ever. One pull request's trouble, or an outage, never ends it."""
        while True:
            self._wake.clear()
            await self.run_once()
            try:
                async with asyncio.timeout(self._pause_seconds()):
                    await self._wake.wait()
                await asyncio.sleep(self._gather_seconds)
            except TimeoutError:
                continue

    def _pause_seconds(self) -> float:
        woken = [group.next_at for group in self._groups.values() if group.woken]
        return max(0.0, min([self._tick_seconds, *(at - self._now() for at in woken)]))

    # ----------------------------------------------------------------------------------- looking

    async def run_once(self) -> None:
        """One pass: finds what is to be watched, looks where it is time to."""
        try:
            await self._find_watched()
            members: dict[int, list[_Watched]] = {}
            for watched in self._watched.values():
                group = self._groups.setdefault(watched.installation_id, _Group())
                if watched.is_watched or watched.session_id in group.woken:
                    members.setdefault(watched.installation_id, []).append(watched)
            for installation_id in self._groups.keys() - members.keys():
                del self._groups[installation_id]
            for installation_id, group_members in members.items():
                await self._look_at_group(installation_id, group_members)
        except DevflowError as error:
            if not self._is_out:
                log.warning("outage_began", part="pull_requests", why=error.summary)
            self._is_out = True
        except Exception:
            log.exception("pull_request_watch_failed")
        else:
            if self._is_out:
                log.info("outage_ended", part="pull_requests")
            self._is_out = False

    async def _find_watched(self) -> None:
        seen: set[str] = set()
        async for entry in self._store.scan(int(self._now())):
            if entry.pr_number is None:
                continue
            seen.add(entry.session_id)
            known = self._watched.get(entry.session_id)
            if known is None or known.updated_at != entry.updated_at:
                await self._read(entry, known)
        for session_id in self._watched.keys() - seen:
            del self._watched[session_id]

    async def _read(self, entry: IndexEntry, known: _Watched | None) -> None:
        try:
            session = await self._engine.load(entry.session_id)
        except DevflowError as error:
            log.warning("session_unreadable", session_id=entry.session_id, why=error.summary)
            return
        if session is None:
            return
        # The index may be behind the table; what is told of it is asked of the item at the next change.
        watched = known or _Watched(entry.session_id, entry.updated_at)
        watched.updated_at = entry.updated_at
        self._take_in(watched, session)
        self._watched[entry.session_id] = watched

    def _take_in(self, watched: _Watched, session: Session) -> None:
        state = session.pull_request
        if watched.number != session.pr_number:
            watched.last, watched.missed = None, 0
        picture = state.seen
        is_new = watched.number == 0
        watched.installation_id = session.github_installation_id
        watched.repository = session.repository.full_name.lower()
        watched.number = session.pr_number or 0
        watched.node_id = state.node_id
        watched.head_sha = picture.head_sha if picture is not None else ""
        answered = [turn.responded_at or 0 for turn in session.history[-3:]]
        watched.moved_at = max(
            state.changed_at or 0, session.launched_at if session.status.is_live else 0, *answered, 0
        )
        # An older item says nothing of its state: then it is looked at.
        watched.is_watched = is_watched(session) or (session.pr_number is not None and state.state is None)
        watched.is_live = session.status.is_live
        watched.user_id = session.user_id
        watched.quiet_since = quiet_since(session)
        if is_new:
            self._groups.setdefault(watched.installation_id, _Group()).next_at = 0.0

    def _interval_seconds(self, members: Sequence[_Watched]) -> float:
        quiet_seconds = self._now() - max(watched.moved_at for watched in members)
        ticks = next((ticks for bound, ticks in PACE if quiet_seconds < bound), SLOWEST_TICKS)
        # More than a hundred take more than one call for each look.
        return ticks * self._tick_seconds * ((len(members) + _BATCH - 1) // _BATCH)

    async def _look_at_group(self, installation_id: int, members: list[_Watched]) -> None:
        group, now = self._groups[installation_id], self._now()
        # Half a tick early is on time: a pass takes a moment, and the next one would be late by a whole.
        if now < group.next_at - (0.0 if group.woken else self._tick_seconds / 2):
            moved = now + self._interval_seconds(members)
            group.next_at = group.next_at if group.failures else min(group.next_at, moved)
            return
        group.looked_at = now
        group.woken.clear()
        try:
            await self._look(installation_id, members)
        except TemporaryError as error:
            group.failures += 1
            wait = min(MAX_BACK_OFF_SECONDS, self._tick_seconds * 2**group.failures)
            group.next_at = now + max(error.retry_after_seconds or 0.0, wait)
            log.info("pull_requests_not_seen", installation_id=installation_id, why=error.summary)
            return
        except DevflowError as error:
            if not group.failures:
                log.warning("pull_requests_not_seen", installation_id=installation_id, why=error.summary)
            group.failures += 1
            group.next_at = now + MAX_BACK_OFF_SECONDS
            return
        group.failures = 0
        group.next_at = now + self._interval_seconds(members)

    async def _look(self, installation_id: int, members: list[_Watched]) -> None:
        by_number = [watched for watched in members if watched.node_id is None]
        by_node = [watched for watched in members if watched.node_id is not None]
        for start in range(0, len(by_node), _BATCH):
            batch = by_node[start : start + _BATCH]
            looked_at = int(self._now() * 1000)
            node_ids = list(dict.fromkeys(watched.node_id or "" for watched in batch))
            found = await self._code_host.look_at_pull_requests(installation_id, node_ids)
            for watched in batch:
                if watched.node_id in found:
                    with _alone(watched):
                        await self._tell(watched, found[watched.node_id or ""], looked_at)
        for watched in by_number:
            with _alone(watched):
                await self._look_by_number(watched)

    async def _look_by_number(self, watched: _Watched) -> None:
        """The first look at one whose node id is not known yet."""
        session = await self._engine.load(watched.session_id)
        if session is None:
            return
        looked_at = int(self._now() * 1000)
        snapshot: PullRequestSnapshot | None = None
        try:
            repository = await self._code_host.find_repository(session.repository)
            snapshot = await self._code_host.get_pull_request_snapshot(repository, watched.number)
        except NotFound:
            snapshot = None
        await self._tell(watched, snapshot, looked_at)

    # ----------------------------------------------------------------------------------- telling

    async def _tell(self, watched: _Watched, snapshot: PullRequestSnapshot | None, looked_at: int) -> None:
        """Hands one look to the engine, where it may say something new."""
        if snapshot is None:
            watched.missed += 1
            if watched.missed >= MISSED_LOOKS:
                await self._handle(watched, ev.PullRequestWatchEnded("gone"))
            return
        watched.missed = 0
        if watched.node_id is None:
            watched.node_id = snapshot.node_id or None
        session = await self._engine.load(watched.session_id) if watched.last is None else None
        if session is not None:
            self._take_in(watched, session)
        terms = self._terms(watched)
        unasked = terms.auto_fixes > 0 and any(check.state == "failed" for check in snapshot.checks)
        if snapshot != watched.last or unasked:
            event = ev.PullRequestObserved(snapshot, looked_at, terms)
            is_told = await self._observed(watched, event, may_wake=unasked and not watched.is_live)
            watched.last = snapshot if is_told else None
        is_quiet = self._now() - watched.quiet_since >= PULL_REQUEST_SECONDS
        if snapshot.state == "open" and is_quiet and watched.is_watched:
            await self._handle(watched, ev.PullRequestWatchEnded("quiet"))

    def _terms(self, watched: _Watched) -> PullRequestTerms:
        owner, _, name = watched.repository.partition("/")
        return self._terms_of(RepositoryName(owner, name))

    async def _observed(self, watched: _Watched, event: ev.PullRequestObserved, *, may_wake: bool) -> bool:
        if not may_wake:
            return await self._handle(watched, event)
        try:
            async with self._take_place(watched.user_id, watched.session_id):
                return await self._handle(watched, event)
        except Refused as error:
            # As many sessions are live as may be: nothing is mended unasked just now.
            log.info("not_fixed_unasked", session_id=watched.session_id, why=error.summary)
            terms = PullRequestTerms(may_merge=event.terms.may_merge)
            return await self._handle(watched, ev.PullRequestObserved(event.snapshot, event.looked_at, terms))

    async def _handle(self, watched: _Watched, event: ev.Event) -> bool:
        try:
            session = await self._engine.handle(watched.session_id, event)
        except (IllegalTransition, NotFound):
            return True
        except DevflowError as error:
            log.warning("session_not_told", session_id=watched.session_id, why=error.summary)
            return False
        self._take_in(watched, session)
        watched.updated_at = session.updated_at
        return True


@contextmanager
def _alone(watched: _Watched) -> Iterator[None]:
    """What is wrong with one pull request, or with its session, hinders no other. An outage does."""
    try:
        yield
    except TemporaryError:
        raise
    except DevflowError as error:
        log.warning("pull_request_not_seen", session_id=watched.session_id, why=error.summary)
    except Exception:
        log.exception("pull_request_watch_failed", session_id=watched.session_id)
