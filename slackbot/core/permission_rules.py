"""What an agent asks leave for: stored in the session, shown to its owner, answered by a press or by the clock. Pure.

Handlers of `core.transitions` and what other rules ask about. While a question stands, the turn's clock stands still.
"""

from __future__ import annotations

from dataclasses import replace

from slackbot.core import events as ev
from slackbot.core.clipping import clip
from slackbot.core.errors import IllegalTransition, Refused, UsageError
from slackbot.core.session import Permission, Session, Turn, TurnState

MAX_PERMISSIONS = 4
"""Questions that may stand in one session at once; a worker asks one after the other."""
MAX_OPTIONS = 8
MAX_DETAIL_BYTES = 4 * 1024
MAX_TITLE_BYTES = 300

SELECTED, TIMED_OUT, CANCELLED = "selected", "timed_out", "cancelled"
"""`outcome` of a permission."""


def asked(session: Session, event: ev.PermissionAsked, now: int) -> Session:
    """The worker passes a question on. The same one again changes nothing."""
    if session.permission(event.permission_id) is not None:
        return session
    turn = session.turn(event.turn_id)
    if turn is None or turn.state is not TurnState.WORKING or turn.claimed_launch != event.launch:
        raise IllegalTransition("This turn was never given to this worker, or is over.", "Ask for the next turn.")
    if turn.cancelled_at is not None:
        return session
    # A worker asks the next question when it has the answer to the last one.
    kept = tuple(each for each in session.permissions if not (each.outcome and each.told))
    if len(kept) >= MAX_PERMISSIONS:
        raise Refused(f"{MAX_PERMISSIONS} questions of the agent wait for an answer already.", "Answer those first.")
    title, _ = clip(event.title, MAX_TITLE_BYTES)
    detail, shortened = clip(event.detail, MAX_DETAIL_BYTES)
    question = Permission(
        permission_id=event.permission_id,
        turn_id=event.turn_id,
        title=title,
        kind=event.kind or None,
        detail=detail or None,
        shortened=shortened or event.shortened,
        is_diff=event.is_diff,
        options=event.options[:MAX_OPTIONS],
        asked_at=now,
        expires_at=now + event.wait_seconds,
    )
    return replace(session, permissions=(*kept, question))


def answered(session: Session, event: ev.PermissionAnswered, now: int) -> Session:
    """Somebody pressed one of the offered buttons. The first answer counts."""
    question = session.permission(event.permission_id)
    if question is None or question.outcome == CANCELLED:
        raise UsageError("The agent no longer waits for this answer.", "Nothing was allowed.")
    if question.outcome == SELECTED:
        raise UsageError("This was answered already; the message shows by whom.")
    if question.outcome == TIMED_OUT or now >= question.expires_at:
        raise UsageError("The time for this answer is over, and that meant no.", "Ask the agent again.")
    if not any(option.get("option_id") == event.option_id for option in question.options):
        raise UsageError("The agent did not offer this.", "Press one of the buttons of the message.")
    return _settled(session, question, SELECTED, now, option_id=event.option_id, answered_by=event.user_id)


def shown(session: Session, event: ev.PermissionShown, now: int) -> Session:
    question = session.permission(event.permission_id)
    if question is None or question.message_ts is not None:
        return session
    return _with(session, replace(question, message_ts=event.message_ts))


def told(session: Session, event: ev.PermissionTold, now: int) -> Session:
    """The message says how the question ended."""
    question = session.permission(event.permission_id)
    return session if question is None or question.told else _with(session, replace(question, told=True))


def expire(session: Session, now: int) -> Session:
    """No answer in time means no."""
    for question in session.permissions:
        if question.outcome is None and now >= question.expires_at:
            session = _settled(session, question, TIMED_OUT, now)
    return session


def tidied(session: Session, now: int) -> Session:
    """After every event: what nobody waits for any more is settled, and leaves once the thread says so."""
    if not session.permissions:
        return session
    for question in session.permissions:
        if question.outcome is None and not _is_waited_for(session, question):
            session = _settled(session, question, CANCELLED, now)
    can_tell = session.thread.lost is None
    kept = tuple(
        question
        for question in session.permissions
        if _is_waited_for(session, question) or (can_tell and not question.told)
    )
    return session if kept == session.permissions else replace(session, permissions=kept)


def waiting_since(session: Session, turn: Turn) -> int | None:
    """When the question that `turn` waits for was asked; None when it waits for none."""
    moments = [each.asked_at for each in session.permissions if each.turn_id == turn.turn_id and each.outcome is None]
    return min(moments, default=None)


def _is_waited_for(session: Session, question: Permission) -> bool:
    turn = session.turn(question.turn_id)
    return turn is not None and turn.state is TurnState.WORKING and turn.cancelled_at is None


def _settled(
    session: Session,
    question: Permission,
    outcome: str,
    now: int,
    *,
    option_id: str | None = None,
    answered_by: str | None = None,
) -> Session:
    turn = session.turn(question.turn_id)
    if turn is not None:
        session = session.with_turn(replace(turn, waited_seconds=turn.waited_seconds + max(0, now - question.asked_at)))
    settled = replace(question, outcome=outcome, option_id=option_id, answered_by=answered_by, settled_at=now)
    return _with(session, settled)


def _with(session: Session, changed: Permission) -> Session:
    return replace(
        session,
        permissions=tuple(
            changed if each.permission_id == changed.permission_id else each for each in session.permissions
        ),
    )
