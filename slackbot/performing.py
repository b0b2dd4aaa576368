"""What a session owes is performed: at once behind its write, again after a failure, and when somebody visits it.

The engine says what it stored (`saved`); `owed(session)` says what to do, the `Performer` does it, and what came of it
goes back to the engine as an event. Nothing is kept here that a crash may not take: the reconciler visits what is due.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Protocol

import structlog

from slackbot.afterwards import Afterwards
from slackbot.core import events as ev
from slackbot.core.card_key import card_key
from slackbot.core.effects import Effect, ForgetSession, MakeBranch, RunTask, UpdateCard, is_lasting, owed
from slackbot.core.errors import DevflowError, TemporaryError
from slackbot.core.session import Session
from slackbot.lanes import Lane, Lanes
from slackbot.outages import STORE, Outages, system_of
from slackbot.quiet_time import QuietTime
from slackbot.sealing import Sealer, keep_in

log = structlog.get_logger()

_MAX_TRIES = 3
"""An effect that is owed still after so many tries in one pass is left to the next one."""

RENEW_SECONDS = 5.0
"""Between two looks at the lease under which an effect is performed."""


class NotYet(Exception):
    """The effect was performed, and what it leads to is not to be seen yet: look again soon."""


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


class KeepsSessions(Protocol):
    """What performing needs of the engine."""

    async def load(self, session_id: str) -> Session | None:
        """The session as it is stored."""
        ...

    async def handle(self, session_id: str, event: ev.Event) -> Session:
        """Applies what came of an effect."""
        ...

    async def take_lease(self, session: Session) -> None:
        """Takes or renews the lease for what the session owes; a failure shows when it is loaded again."""
        ...

    async def remove(self, session: Session) -> None:
        """The last thing the session is owed is done."""
        ...


class Performing:
    """Belongs to one engine and one event loop. `noted` is told of each write before anything follows from it."""

    def __init__(
        self,
        sessions: KeepsSessions,
        performer: PerformsEffects,
        sealer: Sealer,
        *,
        retry_seconds: float,
        noted: Callable[[Session | None, Session], None],
    ) -> None:
        self._sessions = sessions
        self._performer = performer
        self._sealer = sealer
        self._retry_seconds = retry_seconds
        self._noted = noted
        self._lanes = Lanes(self._perform_lane, retry_seconds=retry_seconds, on_begin=self._on_begin)
        self._outages = Outages()
        self._fresh: OrderedDict[tuple[str, Effect], None] = OrderedDict()
        self.afterwards = Afterwards()
        """What follows from the engine's writes, and from what a desk did with them."""
        self._quiet = QuietTime(lambda session_id: self._lanes.kick(session_id, "thread"))

    # ------------------------------------------------------------------------------- when

    def visit(self, session_id: str) -> None:
        """Somebody thinks the session is owed something: look, and perform it."""
        for lane in ("thread", "work"):
            self._lanes.kick(session_id, lane)

    async def drain(self, seconds: float) -> bool:
        """Takes on nothing new and waits for what is being performed; True when all of it was done in time."""
        self.afterwards.do_all()
        self._quiet.begin_all()
        return await self._lanes.drain(seconds)

    @property
    def is_busy(self) -> bool:
        """Whether anything is being performed right now."""
        return bool(self.afterwards or self._quiet) or self._lanes.is_busy

    def saved(self, before: Session | None, after: Session) -> None:
        """Whoever waits for the write, and with them Slack, goes on first; what follows from it comes right behind."""
        if before is not None and before.lease is not None and not self._sealer.is_mine(before.lease):
            self._forget_fresh(before)
        if self._lanes.draining:
            # Nothing follows any more but what is noted of it, and there may be no later.
            self._begin_what_follows(before, after)
            return
        self._quiet.disturb()
        self.afterwards.do(partial(self._begin_what_follows, before, after))

    def _begin_what_follows(self, before: Session | None, after: Session) -> None:
        self._noted(before, after)
        effects = owed(after)
        lasting = [effect for effect in effects if is_lasting(effect, after)]
        known = owed(before) if before is not None and lasting else ()
        for effect in lasting:
            # Under another's lease it may be performed there before it is here: then it is not the first try.
            if effect not in known and self._sealer.is_mine(after.lease):
                keep_in(self._fresh, (after.session_id, effect), None)
        lanes = {effect.lane for effect in lasting}
        for lane in sorted(lanes):
            self._lanes.kick(after.session_id, lane)
        if not self._lanes.draining and "thread" not in lanes and self._may_wait_for_quiet(after, effects):
            self._quiet.add(after.session_id)

    def _may_wait_for_quiet(self, session: Session, effects: tuple[Effect, ...]) -> bool:
        """Whether only what is drawn again and again is owed: the marks, the card of a live session."""
        cards = [effect for effect in effects if not is_lasting(effect, session)]
        return any(not self._is_told(session, card) for card in cards) or self._performer.owes_marks(session)

    def _on_begin(self, session_id: str, name: str) -> None:
        if name == "thread":
            self._quiet.discard(session_id)

    # ------------------------------------------------------------------------------- what

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
            session = await self._sessions.load(session_id)
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
            if is_owed and is_lasting(effect, session) and not self._sealer.holds_lease(session):
                another_seconds = self._sealer.seconds_of_another(session.lease)
                if another_seconds:
                    return float(another_seconds) + 0.5
                if not self._sealer.is_mine(session.lease):
                    self._forget_fresh(session)
                await self._sessions.take_lease(session)
                continue
            tries[effect] += 1
            first = (session_id, effect) in self._fresh
            self._fresh.pop((session_id, effect), None)
            try:
                outcome = await self._perform(effect, session, first=first)
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

    async def _perform(self, effect: Effect, session: Session, *, first: bool) -> ev.Event | None:
        if not is_lasting(effect, session):
            return await self._performer.perform(effect, session, first=first)
        renewing = asyncio.create_task(self._renew(session.session_id), name=f"lease:{session.session_id}")
        try:
            return await self._performer.perform(effect, session, first=first)
        finally:
            renewing.cancel()

    async def _renew(self, session_id: str) -> None:
        """While an effect takes long (a busy channel, a system that does not answer) no other replica steps in."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                session = await self._sessions.load(session_id)
                if session is None or not self._sealer.is_mine(session.lease):
                    return
                if not self._sealer.holds_lease(session):
                    await self._sessions.take_lease(session)
            except DevflowError as error:
                log.info("lease_not_renewed", session_id=session_id, why=error.summary)

    async def _record(self, session: Session, effect: Effect, outcome: ev.Event | None) -> None:
        if isinstance(effect, ForgetSession):
            await self._sessions.remove(session)
            return
        if isinstance(effect, UpdateCard):
            self._sealer.drew(session.session_id, effect.card)
            if not is_lasting(effect, session):
                return
        if outcome is None:
            return
        try:
            await self._sessions.handle(session.session_id, outcome)
        except DevflowError as error:
            # The session moved on while this was performed (stopped, forgotten): what it owes now says the rest.
            log.info("outcome_late", session_id=session.session_id, effect=type(effect).__name__, why=error.summary)

    async def _mark(self, session: Session) -> Session | None:
        """Marks what waits; the session as it is after that, or None where it was not read again."""
        try:
            turn_ids = await self._performer.mark(session)
            # Another replica may have brought one to its end between our reading of it and our mark.
            read_again = await self._sessions.load(session.session_id) if turn_ids else None
            if read_again is not None:
                await self._performer.mark_over(read_again, turn_ids)
        except DevflowError as error:
            log.info("mark_postponed", session_id=session.session_id, why=error.summary)
            return None
        return read_again

    def _drew_over(self, session: Session) -> bool:
        """Whether the store says that the card is as it should be, but this process last drew it otherwise."""
        drawn = self._sealer.drawn(session.session_id)
        return drawn is not None and drawn != session.thread.card == card_key(session) and session.thread.lost is None

    def _is_told(self, session: Session, effect: Effect) -> bool:
        return (
            isinstance(effect, UpdateCard)
            and not is_lasting(effect, session)
            and self._sealer.drawn(session.session_id) == effect.card
        )

    def _forget_fresh(self, session: Session) -> None:
        """Another process may have had the lease, and with it have tried anything that is owed."""
        for effect in owed(session):
            self._fresh.pop((session.session_id, effect), None)


def _gives_way(session: Session, lane: Lane) -> bool:
    """Whether the card must wait after a failure, while everything else in the thread goes on."""
    return session.thread.status_ts is not None and asyncio.get_running_loop().time() < lane.no_picture_before
