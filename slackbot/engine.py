"""load -> decide -> save -> perform what is owed: the only place with that order.

Events come from listeners, gateway and reconciler; sessions go to the store; what is owed goes to the `Performer`,
whose outcomes come back as events. After a crash the reconciler visits what was due, on exactly this path.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Protocol, TypeVar
from weakref import WeakValueDictionary

import structlog

from slackbot.core import events as ev
from slackbot.core.card_key import card_key
from slackbot.core.deadlines import next_deadline
from slackbot.core.effects import Effect, ForgetSession, MakeBranch, RunTask, UpdateCard, is_lasting, owed
from slackbot.core.errors import DevflowError, IllegalTransition, NotFound, TemporaryError
from slackbot.core.history_budget import fit
from slackbot.core.item import BUDGET_BYTES, from_item, session_size_bytes, to_item
from slackbot.core.ports import Item, SessionStore
from slackbot.core.repository_policy import LimitsOf
from slackbot.core.session import TTL_SECONDS, Lease, Session
from slackbot.core.transitions import decide
from slackbot.core.values import replace
from slackbot.lanes import Lane, Lanes
from slackbot.outages import STORE, Outages, system_of
from slackbot.quiet_time import QuietTime
from slackbot.recollection import Recollection

log = structlog.get_logger()

LEASE_SECONDS = 30
"""How long one replica has what is owed to itself; another steps in after it."""

K = TypeVar("K")
V = TypeVar("V")

_MAX_RACES = 60
_MAX_TRIES = 3
"""An effect that is owed still after so many tries in one pass is left to the next one."""

_MAX_REMEMBERED = 20_000


class NotYet(Exception):
    """The effect was performed, and what it leads to is not to be seen yet: look again soon."""


class Overtaken(Exception):
    """The session is not as it was recalled, or nothing would change: load it, and decide on that."""


class PerformsEffects(Protocol):
    """What the engine needs of `performer.Performer`."""

    async def perform(self, effect: Effect, session: Session, *, first: bool) -> ev.Event | None:
        """Does it. `first`: nobody can have tried before, so nothing needs to be looked up."""
        ...

    def owes_marks(self, session: Session) -> bool:
        """Whether a prompt that waits or is in work has no mark yet, as far as this process knows."""
        ...

    async def mark(self, session: Session) -> frozenset[str]:
        """Puts the marks on prompts that wait or are in work, and says which turns these are; may be repeated."""
        ...

    async def mark_over(self, session: Session, turn_ids: frozenset[str]) -> None:
        """Puts the last mark on those of them that have ended since."""
        ...


class Engine:
    """The one place that changes sessions. `now` gives Unix seconds; `replica_id` names this process.

    `on_saved` is told of each write of this process, the session before (None: a new one) and after it.
    """

    def __init__(
        self,
        store: SessionStore,
        performer: PerformsEffects,
        *,
        replica_id: str,
        now: Callable[[], float],
        limits_of: LimitsOf,
        retry_seconds: float = 1.0,
        on_saved: Callable[[Session | None, Session], None] = lambda before, after: None,
    ) -> None:
        self._store = store
        self._performer = performer
        self._replica_id = replica_id
        self._now = now
        self.limits_of = limits_of
        """What may take how long in a repository's sessions."""
        self._on_saved = on_saved
        self._retry_seconds = retry_seconds
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._lanes = Lanes(self._perform_lane, retry_seconds=retry_seconds, on_begin=self._on_begin)
        self._outages = Outages()
        self._changed: dict[str, asyncio.Event] = {}
        self._fresh: OrderedDict[tuple[str, Effect], None] = OrderedDict()
        self._told_cards: OrderedDict[str, str] = OrderedDict()
        self._followed_up_soon: list[tuple[Session | None, Session]] = []
        self._recollection = Recollection()
        self._quiet = QuietTime(lambda session_id: self._lanes.kick(session_id, "thread"))

    # --------------------------------------------------------------------------------- sessions

    def now(self) -> int:
        return int(self._now())

    def now_milliseconds(self) -> int:
        return int(self._now() * 1000)

    async def load(self, session_id: str) -> Session | None:
        """The session as it is stored, or None when there is none (any more)."""
        item = await self._store.get(session_id, self.now())
        if item is None:
            self._recollection.drop(session_id)
            return None
        return from_item(item)

    def recalled(self, session_id: str) -> Session | None:
        """The live session as this process last wrote it, if it did so lately; it may have changed since."""
        return self._recollection.get(session_id, self.now())

    async def create(self, session: Session) -> bool:
        """Stores a new session and begins what it is owed; False when its thread has one already."""
        sealed, item, size_bytes = self._sealed(session)
        if not await self._store.create(item, self.now()):
            return False
        self._recollection.keep(sealed, size_bytes, self.now())
        self._saved(None, sealed)
        return True

    async def rescue(self, session_id: str, read_at: int) -> bool:
        """Keeps a session whose item outlived its `ttl` because no bot was there to write it; True when that was done.

        `read_at`: a moment (Unix seconds) at which the item had not expired. Only what is live, or still owes the world
        something, is kept; it is late, and `TimePassed` says what comes of that.
        """
        item = await self._store.get(session_id, read_at)
        session = from_item(item) if item is not None else None
        if session is None:
            return False
        if not session.status.is_live and not any(is_lasting(effect, session) for effect in owed(session)):
            return False
        if await self._save(session, session) is None:
            return False
        log.warning("session_rescued", session_id=session_id, status=str(session.status))
        return True

    async def handle(self, session_id: str, event: ev.Event, *, read: Session | None = None) -> Session:
        """Applies `event`, durable on return, and begins what follows from it.

        `read`: the session as the caller has just loaded it, which saves reading it again. The write is conditional
        on it, so one that changed meanwhile is read after all.
        Raises what `decide` raises, with nothing changed, and `NotFound` where there is no such session.
        """
        lock = self._lock(session_id)
        if lock.locked():
            read = None
        async with lock:
            for _ in range(_MAX_RACES):
                before = read or await self.load(session_id)
                read = None
                if before is None:
                    raise NotFound("This session is over and forgotten.", "Start a new one with `/devflow start`.")
                after = decide(before, event, self.now())
                if after is before and not self._must_touch(before, event):
                    return before
                saved = await self._save(before, after)
                if saved is not None:
                    return saved
                await asyncio.sleep(random.uniform(0, 0.02))  # noqa: S311  spreads replicas, guards nothing
        raise TemporaryError("This session is being changed by too many at once.", "Try again in a moment.")

    async def handle_recalled(self, session: Session, event: ev.Event) -> Session:
        """As `handle`, on a session as `recalled` gave it, and without reading it.

        `Overtaken` when it is not so any more, or when nothing would change: then what the store says decides. What
        `decide` raises may be due to the old state as well.
        """
        async with self._lock(session.session_id):
            if self.recalled(session.session_id) is not session:
                raise Overtaken
            after = decide(session, event, self.now())
            saved = await self._save(session, after) if after is not session else None
        if saved is None:
            raise Overtaken
        return saved

    def check_forgettable(self, session: Session) -> None:
        """`IllegalTransition` for a live session, `TemporaryError` for one that still owes something to the world."""
        if session.status.is_live:
            raise IllegalTransition("This session is live, so it is not forgotten.", "Stop it first.")
        if session.ecs_task_arn is not None or any(is_lasting(effect, session) for effect in owed(session)):
            raise TemporaryError("This session is still being brought to its end.", "Try again in a moment.")

    async def is_gone(self, session_id: str, *, within_seconds: float) -> bool:
        """Whether the session is removed from the store, now or in this time."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + within_seconds
        while await self.load(session_id) is not None:
            if loop.time() >= ends_at:
                return False
            # Or by another replica, which nobody here hears of.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.changed(session_id).wait(), 0.2)
        return True

    async def _remove(self, session: Session) -> None:
        """The last thing a session is owed is done; one that was written meanwhile is looked at again."""
        if await self._store.delete(session.session_id, session.write_version):
            self._told_cards.pop(session.session_id, None)
            self._recollection.drop(session.session_id)
            self._wake(session.session_id)
            log.info("session_forgotten", session_id=session.session_id, user_id=session.forgotten_by)

    def visit(self, session_id: str) -> None:
        """Somebody thinks the session is owed something: look, and perform it."""
        for lane in ("thread", "work"):
            self._lanes.kick(session_id, lane)

    def changed(self, session_id: str) -> asyncio.Event:
        """Set when this process next saves the session; for long polls."""
        return self._changed.setdefault(session_id, asyncio.Event())

    async def drain(self, seconds: float) -> bool:
        """Takes on nothing new and waits for what is being performed; True when all of it was done in time."""
        self._follow_up()
        self._quiet.begin_all()
        return await self._lanes.drain(seconds)

    @property
    def is_busy(self) -> bool:
        """Whether anything is being performed right now."""
        return bool(self._followed_up_soon or self._quiet) or self._lanes.is_busy

    # ----------------------------------------------------------------------------------- saving

    def _lock(self, session_id: str) -> asyncio.Lock:
        lock = self._locks.get(session_id)
        if lock is None:
            lock = self._locks[session_id] = asyncio.Lock()
        return lock

    async def _save(self, before: Session, after: Session) -> Session | None:
        """Writes `after` over `before` and begins what follows; None when another write came between."""
        sealed, item, size_bytes = self._sealed(after)
        if not await self._store.replace(item, before.write_version):
            self._recollection.drop(before.session_id)
            return None
        self._recollection.keep(sealed, size_bytes, self.now())
        if before.lease is not None and not self._is_mine(before.lease):
            self._forget_fresh(before)
        self._saved(before, sealed)
        return sealed

    def _sealed(self, after: Session) -> tuple[Session, Item, int]:
        """The session as it is to be written, and its item, which is small enough, with its size in bytes."""
        sealed = self._seal(after)
        item = to_item(sealed)
        size_bytes = session_size_bytes(sealed, item)
        if size_bytes > BUDGET_BYTES:
            # What had to leave the history may change what is owed, so it is sealed once more.
            sealed = self._seal(fit(after))
            item = to_item(sealed)
            size_bytes = session_size_bytes(sealed, item)
        return sealed, item, size_bytes

    def _seal(self, after: Session) -> Session:
        """What every write carries: version, times, the lease for what is owed, the card as last drawn."""
        now = self.now()
        after = replace(after, write_version=after.write_version + 1, updated_at=now, ttl=now + TTL_SECONDS)
        told = self._told_cards.get(after.session_id)
        if told is not None and after.thread.status_ts is not None and after.thread.card != told:
            after = replace(after, thread=replace(after.thread, card=told))
        lease = after.lease
        foreign = lease is not None and lease.owner != self._replica_id and lease.until > now
        if not any(is_lasting(effect, after) for effect in owed(after)):
            return replace(
                after, lease=lease if foreign else None, due_at=next_deadline(after, self.limits_of(after.repository))
            )
        if foreign and lease is not None:
            return replace(after, due_at=lease.until)
        until = now + LEASE_SECONDS
        return replace(after, lease=Lease(self._replica_id, until), due_at=until)

    def _saved(self, before: Session | None, after: Session) -> None:
        """Whoever waits for the write, and with them Slack, goes on first; what follows from it comes right behind."""
        if self._lanes.draining:
            # Nothing follows any more but what is noted of it, and there may be no later.
            self._begin_what_follows(before, after)
            return
        self._quiet.disturb()
        if not self._followed_up_soon:
            asyncio.get_running_loop().call_soon(self._follow_up)
        self._followed_up_soon.append((before, after))

    def _follow_up(self) -> None:
        saved, self._followed_up_soon = self._followed_up_soon, []
        for before, after in saved:
            try:
                self._begin_what_follows(before, after)
            except Exception:
                # What is owed is in the store; the reconciler comes by.
                log.exception("follow_up_failed", session_id=after.session_id)

    def _begin_what_follows(self, before: Session | None, after: Session) -> None:
        self._on_saved(before, after)
        effects = owed(after)
        lasting = [effect for effect in effects if is_lasting(effect, after)]
        known = owed(before) if before is not None and lasting else ()
        for effect in lasting:
            # Under another's lease it may be performed there before it is here: then it is not the first try.
            if effect not in known and self._is_mine(after.lease):
                _remember(self._fresh, (after.session_id, effect), None)
        self._wake(after.session_id)
        lanes = {effect.lane for effect in lasting}
        for lane in sorted(lanes):
            self._lanes.kick(after.session_id, lane)
        if not self._lanes.draining and "thread" not in lanes and self._may_wait_for_quiet(after, effects):
            self._quiet.add(after.session_id)

    def _wake(self, session_id: str) -> None:
        event = self._changed.pop(session_id, None)
        if event is not None:
            event.set()

    def _may_wait_for_quiet(self, session: Session, effects: tuple[Effect, ...]) -> bool:
        """Whether only what is drawn again and again is owed: the marks, the card of a live session."""
        cards = [effect for effect in effects if not is_lasting(effect, session)]
        return any(not self._is_told(session, card) for card in cards) or self._performer.owes_marks(session)

    def _must_touch(self, session: Session, event: ev.Event) -> bool:
        if not isinstance(event, ev.TimePassed):
            return False
        deadline = next_deadline(session, self.limits_of(session.repository))
        lease_ran_out = session.lease is None or session.lease.until <= self.now()
        return (deadline is not None and deadline <= self.now()) or (
            session.due_at is not None and session.due_at <= self.now() and lease_ran_out
        )

    # ------------------------------------------------------------------------------- performing

    def _on_begin(self, session_id: str, name: str) -> None:
        if name == "thread":
            self._quiet.discard(session_id)

    async def _perform_lane(self, session_id: str, name: str, lane: Lane) -> float | None:
        """As `_perform_owed`; a store that does not answer is no fault of the session's, and not told for each."""
        try:
            wait_seconds = await self._perform_owed(session_id, name, lane)
        except TemporaryError as error:
            self._outages.failed(STORE, error.summary)
            lane.must_wait = True
            delay = lane.back_off_seconds(self._retry_seconds, 64.0)
            log.info("session_postponed", session_id=session_id, why=error.summary, wait_seconds=round(delay, 1))
            return max(error.retry_after_seconds or 0.0, delay)
        self._outages.worked(STORE)
        return wait_seconds

    async def _perform_owed(self, session_id: str, name: str, lane: Lane) -> float | None:
        """One pass; the seconds after which to try again, or None when nothing is left to do."""
        tries: Counter[Effect] = Counter()
        look_again_seconds: float | None = None
        marked = False
        while True:
            session = await self.load(session_id)
            if session is None:
                return None
            if name == "thread" and not marked:
                marked = True
                session = await self._mark(session) or session
            effects = [
                effect
                for effect in owed(session)
                if effect.lane == name
                and tries[effect] < _MAX_TRIES
                and not self._is_told(session, effect)
                and not (isinstance(effect, UpdateCard) and _gives_way(session, lane))
            ]
            if not effects and name == "thread" and self._drew_over(session):
                # Another replica drew the card as it is now; what this one drew may have come after that.
                effects = [UpdateCard(card_key(session))]
            if not effects:
                picture_seconds = lane.no_picture_before - asyncio.get_running_loop().time()
                if picture_seconds > 0:
                    return min(picture_seconds, look_again_seconds or picture_seconds)
                lane.failures = 0 if look_again_seconds is None else lane.failures
                return look_again_seconds
            effect = effects[0]
            is_owed = effect in owed(session)
            if is_owed and is_lasting(effect, session) and not self._holds_lease(session):
                lease = session.lease
                if lease is not None and lease.owner != self._replica_id and lease.until > self.now():
                    return float(lease.until - self.now()) + 0.5
                if not self._is_mine(lease):
                    self._forget_fresh(session)
                await self._take_lease(session)
                continue
            tries[effect] += 1
            first = (session_id, effect) in self._fresh
            self._fresh.pop((session_id, effect), None)
            try:
                outcome = await self._performer.perform(effect, session, first=first)
            except NotYet:
                tries[effect] = _MAX_TRIES
                look_again_seconds = lane.back_off_seconds(self._retry_seconds * 0.2, 10.0, factor=1.9)
                continue
            except TemporaryError as error:
                self._outages.failed(system_of(effect), error.summary)
                delay = max(error.retry_after_seconds or 0.0, lane.back_off_seconds(self._retry_seconds, 64.0))
                log.info(
                    "effect_postponed",
                    session_id=session_id,
                    effect=type(effect).__name__,
                    why=error.summary,
                    wait_seconds=round(delay, 1),
                )
                if isinstance(effect, MakeBranch | RunTask):
                    # People look at the card and wonder.
                    await self._record(session, effect, ev.LaunchDelayed(session.launch, error.summary))
                if isinstance(effect, UpdateCard) and session.thread.status_ts is not None:
                    # A picture of how things are gives way; what people wait for does not wait for it.
                    lane.no_picture_before = asyncio.get_running_loop().time() + min(300.0, delay)
                    continue
                lane.must_wait = True
                return min(300.0, delay)
            self._outages.worked(system_of(effect))
            await self._record(session, effect, outcome)

    async def _record(self, session: Session, effect: Effect, outcome: ev.Event | None) -> None:
        if isinstance(effect, ForgetSession):
            await self._remove(session)
            return
        if isinstance(effect, UpdateCard):
            _remember(self._told_cards, session.session_id, effect.card)
            if not is_lasting(effect, session):
                return
        if outcome is None:
            return
        try:
            await self.handle(session.session_id, outcome)
        except DevflowError as error:
            # The session moved on while this was performed (stopped, forgotten): what it owes now says the rest.
            log.info("outcome_late", session_id=session.session_id, effect=type(effect).__name__, why=error.summary)

    async def _mark(self, session: Session) -> Session | None:
        """Marks what waits; the session as it is after that, or None where it was not read again."""
        try:
            turn_ids = await self._performer.mark(session)
            # Another replica may have brought one to its end between our reading of it and our mark.
            read_again = await self.load(session.session_id) if turn_ids else None
            if read_again is not None:
                await self._performer.mark_over(read_again, turn_ids)
        except DevflowError as error:
            log.info("mark_postponed", session_id=session.session_id, why=error.summary)
            return None
        return read_again

    def _drew_over(self, session: Session) -> bool:
        """Whether the store says that the card is as it should be, but this process last drew it otherwise."""
        drawn = self._told_cards.get(session.session_id)
        return drawn is not None and drawn != session.thread.card == card_key(session) and session.thread.lost is None

    def _is_told(self, session: Session, effect: Effect) -> bool:
        return (
            isinstance(effect, UpdateCard)
            and not is_lasting(effect, session)
            and self._told_cards.get(session.session_id) == effect.card
        )

    def _is_mine(self, lease: Lease | None) -> bool:
        return lease is not None and lease.owner == self._replica_id and lease.until > self.now()

    def _holds_lease(self, session: Session) -> bool:
        lease = session.lease
        return lease is not None and self._is_mine(lease) and lease.until > self.now() + LEASE_SECONDS // 3

    def _forget_fresh(self, session: Session) -> None:
        """Another process may have had the lease, and with it have tried anything that is owed."""
        for effect in owed(session):
            self._fresh.pop((session.session_id, effect), None)

    async def _take_lease(self, session: Session) -> None:
        """Takes or renews the lease for debts that another process left, or that took long."""
        mine = replace(session, lease=None)
        _, item, _ = self._sealed(mine)
        self._recollection.drop(session.session_id)
        if await self._store.replace(item, session.write_version):
            log.debug("lease_taken", session_id=session.session_id)


def _gives_way(session: Session, lane: Lane) -> bool:
    """Whether the card must wait after a failure, while everything else in the thread goes on."""
    return session.thread.status_ts is not None and asyncio.get_running_loop().time() < lane.no_picture_before


def _remember(memory: OrderedDict[K, V], key: K, value: V) -> None:
    """A bounded memory: the oldest leaves. Losing an entry costs a look-up, never correctness."""
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > _MAX_REMEMBERED:
        memory.popitem(last=False)
