"""When a session must be looked at again, though nothing happens to it. Pure."""

from __future__ import annotations

from slackbot.core.limits import Limits
from slackbot.core.session import TTL_SECONDS, Session, Status
from slackbot.core.staying import ends

TOUCH_SECONDS = TTL_SECONDS // 4
"""An item that must stay is written again when its `ttl` is nearer than this."""


PULL_REQUEST_SECONDS = 14 * 24 * 3600
"""A session whose pull request is open is remembered for so long after anything last happened to either."""

MERGED_SECONDS = 60
"""After the merge: time to go on with the session, for who is about to."""


def must_stay(session: Session) -> bool:
    """Whether the item may not expire: its session is live, or its pull request is open (for up to 14 days)."""
    if session.status.is_live:
        return True
    return is_watched(session) and session.updated_at - quiet_since(session) < PULL_REQUEST_SECONDS


def is_watched(session: Session) -> bool:
    """Whether the pull request is looked at: it is open, and was not quiet for too long."""
    return session.has_open_pull_request and session.pull_request.watch_ended_at is None


def quiet_since(session: Session) -> int:
    """When something last happened to the pull request, or to the session it belongs to."""
    return max(session.pull_request.changed_at or 0, session.launched_at)


def ends_as_merged_at(session: Session) -> int | None:
    """When a session whose pull request is merged ends, unless somebody has gone on with it; None = not for that."""
    merged_at = session.pull_request.ended_at
    if session.pull_request.state != "merged" or merged_at is None or session.last_prompt_at > merged_at:
        return None
    return merged_at + MERGED_SECONDS


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
        ends_of_it = ends(session, limits)
        if session.stay.warned is None:
            moments += [warn_at for _, _, warn_at in ends_of_it if warn_at]
        working = session.working_turn
        if not session.is_busy:
            moments += [at + limits.grace_seconds + 1 for _, at, _ in ends_of_it]
            merged_at = ends_as_merged_at(session)
            if merged_at is not None:
                moments.append(merged_at)
        elif working is not None and working.cancelled_at is not None:
            moments.append(working.cancelled_at + limits.cancel_seconds + 1)
        elif session.open_permission is not None:
            # The turn's clock stands still.
            moments.append(session.open_permission.expires_at)
        elif working is not None and working.claimed_at is not None:
            working_since = working.claimed_at + working.waited_seconds
            moments.append(working_since + limits.turn_seconds + limits.grace_seconds + 1)
    return min(moments, default=None)
