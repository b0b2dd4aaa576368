"""When a session must be looked at again, though nothing happens to it. Pure."""

from __future__ import annotations

from slackbot.core.events import Limits
from slackbot.core.session import TTL_SECONDS, Session, Status

TOUCH_SECONDS = TTL_SECONDS // 4
"""An item that must stay is written again when its `ttl` is nearer than this."""


PULL_REQUEST_SECONDS = 14 * 24 * 3600
"""A session whose pull request is open is remembered for so long after its last launch."""


def must_stay(session: Session) -> bool:
    """Whether the item may not expire: its session is live, or its pull request is open (for up to 14 days)."""
    if session.status.is_live:
        return True
    return session.has_open_pull_request and session.updated_at - session.launched_at < PULL_REQUEST_SECONDS


def next_deadline(session: Session, limits: Limits) -> int | None:
    """Unix seconds of the next moment at which `TimePassed` or a touch may change something; None = never."""
    moments: list[int] = []
    if must_stay(session):
        moments.append(session.ttl - TOUCH_SECONDS)
    if session.status is Status.STARTING:
        moments.append(session.launched_at + limits.start_seconds + 1)
    if session.status is Status.RUNNING:
        heard_at = max(session.task.alive_at or 0, session.task.ready_at or 0)
        moments.append(heard_at + limits.silence_seconds + 1)
        working = session.working_turn
        if working is None and not session.waiting_turns:
            moments.append(session.last_activity_at + limits.idle_seconds + limits.grace_seconds + 1)
            moments.append(session.launched_at + limits.max_session_seconds + limits.grace_seconds + 1)
        elif working is not None and working.cancelled_at is not None:
            moments.append(working.cancelled_at + limits.cancel_seconds + 1)
        elif session.open_permission is not None:
            # The turn's clock stands still.
            moments.append(session.open_permission.expires_at)
        elif working is not None and working.claimed_at is not None:
            working_since = working.claimed_at + working.waited_seconds
            moments.append(working_since + limits.turn_seconds + limits.grace_seconds + 1)
    return min(moments, default=None)
