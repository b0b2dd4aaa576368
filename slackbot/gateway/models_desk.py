"""The airlock to the models: which agent's request goes to which provider, counted, and refused beyond the limits.

Sessions come from the engine, providers are adapters with the keys; what was used goes to the engine (`ModelsUsed`)
and to the ledger of the month. `models_api` brings the requests in and carries the answers back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from slackbot.audit import AuditLog
from slackbot.core import events as ev
from slackbot.core.errors import DevflowError, Fenced, IllegalTransition, NotFound, Refused, UsageError
from slackbot.core.model_port import ModelAnswer, ModelCall, ModelProvider
from slackbot.core.model_prices import Prices, with_cost
from slackbot.core.session import Session
from slackbot.core.spending import Counted, Reached, Scope, SpendingLimits, add, over, reached, refusal
from slackbot.core.spending_rules import session_reached
from slackbot.core.worker_token import WorkerIdentity
from slackbot.engine import Engine
from slackbot.ledger import Ledger

log = structlog.get_logger()

LOOK_SECONDS = 2.0
"""How often a call in progress looks whether its session goes on: a stop on another replica is seen so soon."""

SETTLE_SECONDS = 1.0
"""What was used is written together with what follows so soon."""


@dataclass
class _Pending:
    """What calls of one session used and nobody has written yet: by (person, turn id, provider/model)."""

    used: dict[tuple[str, str, str], Counted] = field(default_factory=dict)
    timer: asyncio.TimerHandle | None = None

    def sum(self, *, person: str | None = None, turn_id: str | None = None) -> Counted:
        total: Counted = {}
        for (who, turn, _), counted in self.used.items():
            if person in (None, who) and turn_id in (None, turn):
                total = add(total, counted)
        return total


@dataclass(frozen=True)
class Admitted:
    """A call that may go on: who it is counted for."""

    session_id: str
    launch: int
    user_id: str
    turn_id: str
    changed: asyncio.Event
    """Set when the session is next saved after it was found to be live."""


class ModelsDesk:
    """`providers` by name. Raises `Fenced`, `IllegalTransition`, `NotFound` for workers that are not wanted, and
    `Refused` beyond a limit."""

    def __init__(
        self,
        providers: Mapping[str, ModelProvider],
        *,
        engine: Engine,
        ledger: Ledger,
        limits: SpendingLimits,
        prices: Prices,
        audit: AuditLog,
    ) -> None:
        self._providers = providers
        self._engine = engine
        self._ledger = ledger
        self._limits = limits
        self._prices = prices
        self._audit = audit
        self._pending: dict[str, _Pending] = {}
        self._settling: set[asyncio.Task[None]] = set()
        self._locks: dict[str, asyncio.Lock] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The providers that there is a key for."""
        return tuple(self._providers)

    def provider(self, name: str) -> ModelProvider | None:
        return self._providers.get(name)

    async def admit(self, identity: WorkerIdentity) -> Admitted:
        """Whether this worker may call a model now."""
        changed = self._engine.changed(identity.session_id)
        session = await self._wanted(identity)
        turn = session.working_turn
        user_id = turn.user_id if turn is not None else session.user_id
        turn_id = turn.turn_id if turn is not None else ""
        used_up = over(await self._reached(session, user_id, turn_id))
        if used_up is not None:
            await self._tell(session, used_up)
            raise Refused(refusal(used_up))
        return Admitted(session.session_id, identity.launch, user_id, turn_id, changed)

    async def call(self, provider: ModelProvider, call: ModelCall) -> ModelAnswer:
        """The provider's answer, whose body is still to come."""
        return await provider.call(call)

    def count(self, admitted: Admitted, provider: ModelProvider, answer: ModelAnswer) -> None:
        """The answer came to its end or was cut off: what it used is noted, and written soon."""
        counted = answer.meter.counted() if answer.status < 400 else {}
        if not counted:
            return
        model = answer.meter.model or "unknown"
        counted = with_cost(counted, model, self._prices)
        pending = self._pending.setdefault(admitted.session_id, _Pending())
        key = (admitted.user_id, admitted.turn_id, f"{provider.name}/{model}"[:120])
        pending.used[key] = add(pending.used.get(key, {}), counted)
        log.debug("model_used", session_id=admitted.session_id, model=model, **counted)
        if pending.timer is None:
            loop = asyncio.get_running_loop()
            pending.timer = loop.call_later(SETTLE_SECONDS, self._settle_soon, admitted.session_id)

    async def until_unwanted(self, identity: WorkerIdentity, admitted: Admitted) -> None:
        """Returns when the session has ended or another launch has taken this one's place."""
        changed = admitted.changed
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await changed.wait()
            changed = self._engine.changed(identity.session_id)
            try:
                await self._wanted(identity)
            except (Fenced, IllegalTransition, NotFound):
                return
            except DevflowError as error:
                log.info("model_call_not_watched", session_id=identity.session_id, why=error.summary)

    async def extend(self, session: Session, user_id: str, press_id: str) -> None:
        """An administrator grants once more what is used to 80 % or up: of the session, of its people, of the month.

        `UsageError` when nothing is.
        """
        if press_id in session.heard:
            return
        await self.settle(session.session_id)
        session = await self._engine.load(session.session_id) or session
        found = session_reached(session, self._limits)
        monthly: set[Scope] = set()
        for person in dict.fromkeys([session.user_id, *(turn.user_id for turn in session.history)]):
            for one in await self._ledger.reached(self._limits, person, pending={}):
                if one.scope is Scope.PERSON or Scope.MONTH not in monthly:
                    await self._ledger.extend(one.scope, person)
                    monthly.add(one.scope)
        if not found and not monthly:
            raise UsageError("No limit of this session is near, so there is nothing to extend.")
        event = ev.SpendingExtended(
            user_id, session_too=bool(found), scopes=tuple(str(scope) for scope in sorted(monthly)), request_id=press_id
        )
        await self._engine.handle(session.session_id, event)
        scopes = [*(["session"] if found else []), *event.scopes]
        self._audit.record(
            "limit_extended",
            actor=user_id,
            session_id=session.session_id,
            repository=session.repository.full_name,
            details={"scopes": ",".join(scopes)},
        )

    # ---------------------------------------------------------------------------------- settling

    async def settle(self, session_id: str) -> None:
        """Writes what calls of this session used, to the session and to the ledger; what fails stays to be written."""
        lock = self._locks.setdefault(session_id, asyncio.Lock())
        async with lock:
            pending = self._pending.pop(session_id, None)
            if pending is None:
                return
            if pending.timer is not None:
                pending.timer.cancel()
            try:
                await self._write(session_id, pending)
            except DevflowError as error:
                log.warning("model_use_not_written", session_id=session_id, why=error.summary)
                self._put_back(session_id, pending)
        if not lock.locked():
            self._locks.pop(session_id, None)

    async def settle_all(self) -> None:
        """At the end: all that is noted is written."""
        for task in list(self._settling):
            await asyncio.gather(task, return_exceptions=True)
        for session_id in list(self._pending):
            await self.settle(session_id)

    async def close(self) -> None:
        await self.settle_all()
        for pending in self._pending.values():
            if pending.timer is not None:
                pending.timer.cancel()
        for provider in self._providers.values():
            await provider.close()

    def _settle_soon(self, session_id: str) -> None:
        task = asyncio.get_running_loop().create_task(self.settle(session_id))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _write(self, session_id: str, pending: _Pending) -> None:
        """The ledger first: it knows whether the month's limits are reached. Written parts leave `pending`."""
        found: list[Reached] = []
        for person in dict.fromkeys(who for who, _, _ in pending.used):
            mine = {key: counted for key, counted in pending.used.items() if key[0] == person}
            await self._ledger.add(person, [(model, counted) for (_, _, model), counted in mine.items()])
            found += await self._ledger.reached(self._limits, person, pending={})
            used = tuple((turn_id, model, counted) for (_, turn_id, model), counted in mine.items())
            for key in mine:
                # From here on the ledger has it; the session's own count is not worth counting the money twice.
                del pending.used[key]
            try:
                await self._engine.handle(session_id, ev.ModelsUsed(used, self._limits, tuple(found)))
            except NotFound:
                log.info("model_use_of_no_session", session_id=session_id)

    def _put_back(self, session_id: str, pending: _Pending) -> None:
        if not pending.used:
            return
        again = self._pending.setdefault(session_id, _Pending())
        for key, counted in pending.used.items():
            again.used[key] = add(again.used.get(key, {}), counted)
        if again.timer is None:
            loop = asyncio.get_running_loop()
            again.timer = loop.call_later(10 * SETTLE_SECONDS, self._settle_soon, session_id)

    # ------------------------------------------------------------------------------------ parts

    async def _wanted(self, identity: WorkerIdentity) -> Session:
        session = await self._engine.load(identity.session_id)
        if session is None:
            raise NotFound("This session is over and forgotten.")
        if session.launch != identity.launch:
            raise Fenced("This worker belongs to an earlier launch of the session.")
        if not session.status.is_live:
            raise IllegalTransition(f"The session is {session.status}.")
        return session

    async def _reached(self, session: Session, user_id: str, turn_id: str) -> list[Reached]:
        """All limits that are used to 80 % or more, with what is not written yet."""
        pending = self._pending.get(session.session_id) or _Pending()
        spending = session.spending
        counted = add(spending.counted, pending.sum())
        found = reached(self._limits, Scope.SESSION, counted, extended=spending.extended)
        turn = session.turn(turn_id)
        if turn is not None:
            before = turn.usage if turn.usage and "calls" in turn.usage else {}
            counted = add(before, pending.sum(turn_id=turn_id))
            found += reached(self._limits, Scope.TURN, counted, extended=spending.extended, of=turn_id)
        return [*found, *await self._ledger.reached(self._limits, user_id, pending=pending.sum(person=user_id))]

    async def _tell(self, session: Session, used_up: Reached) -> None:
        """The thread learns why its agent is refused, also where another session used the limit up."""
        await self.settle(session.session_id)
        if used_up.key not in session.spending.told:
            await self._engine.handle(session.session_id, ev.ModelsUsed((), self._limits, (used_up,)))
