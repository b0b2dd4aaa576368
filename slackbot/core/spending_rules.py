"""What the use of models makes of a session: counts, and the notices about limits. Called by `core.transitions`."""

from __future__ import annotations

from dataclasses import replace

from slackbot.core import events as ev
from slackbot.core.notices import with_notice
from slackbot.core.session import Session
from slackbot.core.spending import Reached, Scope, Spending, SpendingLimits, add, add_model, reached

MAX_TOLD = 24
"""Limits that a thread was told of, remembered; more than these are those of turns long past."""


def models_used(session: Session, event: ev.ModelsUsed, now: int) -> Session:
    """Adds to the session and its turns, then tells the thread what of the limits is used to 80 % or up."""
    spending = session.spending
    touched: list[str] = []
    for turn_id, model, counted in event.used:
        spending = replace(
            spending,
            counted=add(spending.counted, counted),
            models=add_model(spending.models, model, counted),
        )
        turn = session.turn(turn_id)
        if turn is not None:
            # What the agent itself told of the turn gives way to the provider's figures.
            before = turn.usage if turn.usage and "calls" in turn.usage else {}
            session = session.with_turn(replace(turn, usage=add(before, counted)))
            touched.append(turn_id)
    session = replace(session, spending=spending)
    return _tell(session, [*_own_limits(session, event, touched), *event.reached], now)


def _own_limits(session: Session, event: ev.ModelsUsed, touched: list[str]) -> list[Reached]:
    spending = session.spending
    found = reached(event.limits, Scope.SESSION, spending.counted, extended=spending.extended)
    for turn_id in dict.fromkeys(touched):
        turn = session.turn(turn_id)
        counted = (turn.usage if turn is not None else None) or {}
        found += reached(event.limits, Scope.TURN, counted, extended=spending.extended, of=turn_id)
    return found


def _tell(session: Session, found: list[Reached], now: int) -> Session:
    for one in found:
        if one.key in session.spending.told:
            continue
        told = (*session.spending.told, one.key)[-MAX_TOLD:]
        session = replace(session, spending=replace(session.spending, told=told))
        values = {"scope": str(one.scope), "unit": one.unit, "used": str(one.used), "limit": str(one.limit)}
        kind = "spending_reached" if one.is_over else "spending_near"
        session = with_notice(session, kind, now, values, key=one.key)
    return session


def spending_extended(session: Session, event: ev.SpendingExtended, now: int) -> Session:
    """The session's limits once more. Those of the month are kept in the ledger; here the thread only is told."""
    scopes = [*((str(Scope.SESSION),) if event.session_too else ()), *event.scopes]
    if not scopes:
        return session
    spending: Spending = session.spending
    if event.session_too:
        session = replace(session, spending=replace(spending, extended=spending.extended + 1))
    values = {"scopes": ",".join(scopes), "user_id": event.user_id}
    return with_notice(session, "spending_extended", now, values)


def session_reached(session: Session, limits: SpendingLimits) -> list[Reached]:
    """What of the session's own limits, and of those of its turns, is used to 80 % or up."""
    extended = session.spending.extended
    found = reached(limits, Scope.SESSION, session.spending.counted, extended=extended)
    for turn in session.history:
        if turn.usage and "calls" in turn.usage:
            found += reached(limits, Scope.TURN, turn.usage, extended=extended, of=turn.turn_id)
    return found
