"""How long a session stays: its ends by idleness and by age, the warning before, and Extend. Pure.

The end that is near is stored as a warning (`Stay.warned`), so that the thread is told once, also over a crash; what
makes it untrue (a prompt, Extend, the end itself) makes the message owed to go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from slackbot.core.limits import Limits
from slackbot.core.values import replace

if TYPE_CHECKING:
    from slackbot.core import events as ev
    from slackbot.core.session import Session

IDLE, AGE = "idle", "age"

WARNING_SECONDS = 300
"""How long before its end a session warns; half of the limit where that is less."""

SHORTEST_WARNING_SECONDS = 30
"""Nobody could read and press in less: then there is no warning."""

AGE_EXTENSION_SECONDS = 3600
"""What an administrator adds to the longest age with one press."""


@dataclass(frozen=True)
class Stay:
    """Beyond its limits, and the warning that stands in the thread: attribute `stay`. Times are Unix seconds."""

    idle_until: int | None = None
    """Not stopped for idleness before this."""
    age_until: int | None = None
    extended_by: str | None = None
    warned: str | None = None
    """The end that is near: `idle` or `age`; absent = none, or the message about it is gone again."""
    warned_at: int | None = None
    warned_until: int | None = None
    """When it will come."""
    warning_ts: str | None = None
    """The message that says so; absent = still owed."""
    extra: dict[str, Any] = field(default_factory=dict)


def idle_ends_at(session: Session, limits: Limits) -> int:
    return max(session.last_activity_at + limits.idle_seconds, session.stay.idle_until or 0)


def age_ends_at(session: Session, limits: Limits) -> int:
    return max(session.launched_at + limits.max_session_seconds, session.stay.age_until or 0)


def seconds_left(session: Session, reason: str, limits: Limits, now: int) -> int:
    """How long the worker, which keeps the limits as it was told them, is to stay after all; 0 = it may leave."""
    if reason not in (IDLE, AGE):
        return 0
    ends_at = idle_ends_at(session, limits) if reason == IDLE else age_ends_at(session, limits)
    return max(0, ends_at - now)


def ends(session: Session, limits: Limits) -> list[tuple[str, int, int]]:
    """The ends that may come to a running session: (`idle` or `age`, when, when to warn; the last 0 = not at all)."""
    found = []
    if not session.is_busy:
        found.append((IDLE, idle_ends_at(session, limits), limits.idle_seconds))
    found.append((AGE, age_ends_at(session, limits), limits.max_session_seconds))
    return [(kind, at, _warn_at(at, limit_seconds)) for kind, at, limit_seconds in found]


def warn(session: Session, limits: Limits, now: int) -> Session:
    """With a warning, where an end is near and nothing is said of one yet."""
    if session.stay.warned is not None:
        return session
    near = [(at, kind) for kind, at, warn_at in ends(session, limits) if warn_at and warn_at <= now < at]
    if not near:
        return session
    at, kind = min(near)
    return replace(session, stay=replace(session.stay, warned=kind, warned_at=now, warned_until=at))


def is_untrue(session: Session) -> bool:
    """Whether the warning must go: the end came, or will not come then."""
    stay = session.stay
    if not session.status.is_live or session.task.ready_at is None:
        return True
    if stay.warned == AGE:
        return (stay.age_until or 0) > (stay.warned_until or 0)
    acted = session.last_activity_at > (stay.warned_at or 0)
    return session.is_busy or acted or (stay.idle_until or 0) > (stay.warned_until or 0)


def extended(session: Session, event: ev.StayExtended, now: int) -> Session:
    """The end that was warned of comes later; where none was, that of idleness."""
    stay = session.stay
    if stay.warned == AGE:
        later = replace(stay, age_until=max(now, age_ends_at(session, event.limits)) + AGE_EXTENSION_SECONDS)
    else:
        later = replace(stay, idle_until=max(now, idle_ends_at(session, event.limits)) + event.limits.idle_seconds)
    return replace(session, stay=replace(later, extended_by=event.user_id))


def warning_posted(session: Session, event: ev.WarningPosted, now: int) -> Session:
    if session.stay.warned_until != event.until or session.stay.warning_ts is not None:
        return session
    return replace(session, stay=replace(session.stay, warning_ts=event.ts))


def warning_removed(session: Session, event: ev.WarningRemoved, now: int) -> Session:
    if session.stay.warned_until != event.until:
        return session
    gone = replace(session.stay, warned=None, warned_at=None, warned_until=None, warning_ts=None)
    return replace(session, stay=gone)


def _warn_at(at: int, limit_seconds: int) -> int:
    before = min(WARNING_SECONDS, limit_seconds // 2)
    return at - before if before >= SHORTEST_WARNING_SECONDS else 0
