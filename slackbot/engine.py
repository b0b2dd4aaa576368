"""load -> decide -> save -> perform what is owed: the only place with that order.

Events come from listeners, gateway and reconciler; sessions go to the store; what is owed goes to the `Performer`,
whose outcomes come back as events. After a crash the reconciler visits what was due, on exactly this path.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from weakref import WeakValueDictionary

import structlog

from slackbot.core import events as ev
from slackbot.core.deadlines import next_deadline
from slackbot.core.effects import is_lasting, owed
from slackbot.core.errors import IllegalTransition, NotFound, TemporaryError
from slackbot.core.item import from_item
from slackbot.core.ports import SessionStore
from slackbot.core.repository_policy import LimitsOf
from slackbot.core.session import Session
from slackbot.core.transitions import decide
from slackbot.core.values import replace
from slackbot.one_at_a_time import OneAtATime
from slackbot.performing import Performing, PerformsEffects
from slackbot.recollection import Recollection
from slackbot.sealing import Sealer

log = structlog.get_logger()

_MAX_RACES = 60


class Overtaken(Exception):
    """The session is not as it was recalled, or nothing would change: load it, and decide on that."""


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
        self._now = now
        self.limits_of = limits_of
        """What may take how long in a repository's sessions."""
        self._on_saved = on_saved
        self._writing = OneAtATime()
        self._changed: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()
        self._recollection = Recollection()
        self._sealer = Sealer(replica_id=replica_id, now=self.now, limits_of=limits_of)
        self._performing = Performing(self, performer, self._sealer, retry_seconds=retry_seconds, noted=self._noted)

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
        sealed, item, size_bytes = self._sealer.sealed(session)
        if not await self._store.create(item, self.now()):
            return False
        self._recollection.keep(sealed, size_bytes, self.now())
        self._performing.saved(None, sealed)
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
        if self._writing.is_held(session_id):
            read = None
        async with self._writing.of(session_id):
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
        async with self._writing.of(session.session_id):
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
                async with asyncio.timeout(0.2):
                    await self.changed(session_id).wait()
        return True

    async def remove(self, session: Session) -> None:
        """The last thing a session is owed is done; one that was written meanwhile is looked at again."""
        if await self._store.delete(session.session_id, session.write_version):
            self._sealer.forget(session.session_id)
            self._recollection.drop(session.session_id)
            self._wake(session.session_id)
            log.info("session_forgotten", session_id=session.session_id, user_id=session.forgotten_by)

    def afterwards(self, follow: Callable[[], None]) -> None:
        """Has `follow` happen behind what follows from the writes so far, once nobody waits for a write."""
        self._performing.afterwards.do(follow)

    def visit(self, session_id: str) -> None:
        """Somebody thinks the session is owed something: look, and perform it."""
        self._performing.visit(session_id)

    def changed(self, session_id: str) -> asyncio.Event:
        """Set when this process next saves the session; for long polls. Kept only while somebody holds it."""
        return self._changed.setdefault(session_id, asyncio.Event())

    async def drain(self, seconds: float) -> bool:
        """Takes on nothing new and waits for what is being performed; True when all of it was done in time."""
        return await self._performing.drain(seconds)

    @property
    def is_busy(self) -> bool:
        """Whether anything is being performed right now."""
        return self._performing.is_busy

    # ----------------------------------------------------------------------------------- saving

    async def _save(self, before: Session, after: Session) -> Session | None:
        """Writes `after` over `before` and begins what follows; None when another write came between."""
        sealed, item, size_bytes = self._sealer.sealed(after)
        if not await self._store.replace(item, before.write_version):
            self._recollection.drop(before.session_id)
            return None
        self._recollection.keep(sealed, size_bytes, self.now())
        self._performing.saved(before, sealed)
        return sealed

    def _noted(self, before: Session | None, after: Session) -> None:
        self._on_saved(before, after)
        self._wake(after.session_id)

    def _wake(self, session_id: str) -> None:
        event = self._changed.pop(session_id, None)
        if event is not None:
            event.set()

    def _must_touch(self, session: Session, event: ev.Event) -> bool:
        if not isinstance(event, ev.TimePassed):
            return False
        deadline = next_deadline(session, self.limits_of(session.repository))
        lease_ran_out = session.lease is None or session.lease.until <= self.now()
        return (deadline is not None and deadline <= self.now()) or (
            session.due_at is not None and session.due_at <= self.now() and lease_ran_out
        )

    async def take_lease(self, session: Session) -> None:
        """Takes or renews the lease for debts that another process left, or that took long."""
        mine = replace(session, lease=None)
        _, item, _ = self._sealer.sealed(mine)
        self._recollection.drop(session.session_id)
        if await self._store.replace(item, session.write_version):
            log.debug("lease_taken", session_id=session.session_id)
