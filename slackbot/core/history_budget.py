"""Keeps an item far from DynamoDB's 400 KB: old, delivered turns first lose their middle, then leave. Pure."""

from __future__ import annotations

from slackbot.core.clipping import clip
from slackbot.core.item import BUDGET_BYTES, item_size_bytes, to_item, turn_size_bytes
from slackbot.core.session import Session, Turn, TurnState
from slackbot.core.values import replace

MAX_UNTOLD_BYTES = 120 * 1024
"""Ended turns that the thread does not show yet; beside them stand those that wait, up to ten prompts of 16 KB."""

_SMALL_BYTES = 1024
_DROPPED_TS_BYTES = len("dropped_ts") + len("1790000000.000100")
_DROPPED_USER_IDS_BYTES = len("dropped_user_ids") + 3


def fit(session: Session, budget_bytes: int = BUDGET_BYTES) -> Session:
    """The session, small enough to be stored. What is not yet delivered is never shortened."""
    over = item_size_bytes(to_item(session)) - budget_bytes
    if over <= 0:
        return session
    history = list(session.history)
    for at, turn in enumerate(history):
        if over > 0 and _is_delivered(turn) and not _is_small(turn):
            history[at] = _without_middle(turn)
            over -= turn_size_bytes(turn) - turn_size_bytes(history[at])
    if over > 0 and session.dropped_ts is None:
        over += _DROPPED_TS_BYTES
    dropped_ts, kept = session.dropped_ts, []
    user_ids = list(session.dropped_user_ids)
    for at, turn in enumerate(history):
        # The last turn stays: Retry and the thread's buttons refer to it.
        if over <= 0 or not _is_delivered(turn) or at == len(history) - 1:
            kept.append(turn)
            continue
        over -= turn_size_bytes(turn)
        if turn.state is not TurnState.CANCELLED and turn.user_id not in user_ids:
            over += len(turn.user_id.encode()) + 1 + (0 if user_ids else _DROPPED_USER_IDS_BYTES)
            user_ids.append(turn.user_id)
        dropped_ts = max((ts for ts in (dropped_ts, turn.prompt_ts) if ts), key=float, default=None)
    return replace(session, history=tuple(kept), dropped_ts=dropped_ts, dropped_user_ids=tuple(user_ids))


def has_room(session: Session) -> bool:
    """Whether one more answer can be stored: those that Slack does not take, and so stay whole, leave room for it."""
    untold = [turn for turn in session.history if turn.state.is_ended and not _is_delivered(turn)]
    return not untold or sum(map(turn_size_bytes, untold)) <= MAX_UNTOLD_BYTES


def _is_delivered(turn: Turn) -> bool:
    return turn.state.is_ended and (turn.response_ts is not None or turn.told_by is not None)


def _is_small(turn: Turn) -> bool:
    return len(turn.prompt.encode()) <= _SMALL_BYTES and len((turn.response or "").encode()) <= _SMALL_BYTES


def _without_middle(turn: Turn) -> Turn:
    prompt, _ = clip(turn.prompt, _SMALL_BYTES)
    response = clip(turn.response, _SMALL_BYTES)[0] if turn.response is not None else None
    return replace(turn, prompt=prompt, response=response, steps=(), shortened=True)
