"""Keeps an item far from DynamoDB's 400 KB: old, delivered turns first lose their middle, then leave. Pure."""

from __future__ import annotations

from dataclasses import replace

from slackbot.core.clipping import clip
from slackbot.core.item import BUDGET_BYTES, item_size_bytes, to_item
from slackbot.core.session import Session, Turn

_SMALL_BYTES = 1024


def fit(session: Session, budget_bytes: int = BUDGET_BYTES) -> Session:
    """The session, small enough to be stored. What is not yet delivered is never shortened."""
    size = item_size_bytes(to_item(session))
    if size <= budget_bytes:
        return session
    for turn in session.history:
        if _is_delivered(turn) and not _is_small(turn):
            session = session.with_turn(_without_middle(turn))
            size = item_size_bytes(to_item(session))
            if size <= budget_bytes:
                return session
    for turn in session.history:
        # The last turn stays: Retry and the thread's buttons refer to it.
        if not _is_delivered(turn) or turn is session.history[-1]:
            continue
        dropped_ts = max((ts for ts in (session.dropped_ts, turn.prompt_ts) if ts), key=float, default=None)
        session = replace(
            session,
            history=tuple(kept for kept in session.history if kept is not turn),
            dropped_ts=dropped_ts,
        )
        if item_size_bytes(to_item(session)) <= budget_bytes:
            break
    return session


def _is_delivered(turn: Turn) -> bool:
    return turn.state.is_ended and (turn.response_ts is not None or turn.told_by is not None)


def _is_small(turn: Turn) -> bool:
    return len(turn.prompt.encode()) <= _SMALL_BYTES and len((turn.response or "").encode()) <= _SMALL_BYTES


def _without_middle(turn: Turn) -> Turn:
    prompt, _ = clip(turn.prompt, _SMALL_BYTES)
    response = clip(turn.response, _SMALL_BYTES)[0] if turn.response is not None else None
    return replace(turn, prompt=prompt, response=response, steps=(), shortened=True)
