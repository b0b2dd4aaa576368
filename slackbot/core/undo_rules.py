"""Undo: a turn of its own kind, in which the worker takes back what another turn pushed, by a commit. Pure."""

from __future__ import annotations

from dataclasses import replace

from slackbot.core import events as ev
from slackbot.core import turn_rules
from slackbot.core.errors import Refused, UsageError
from slackbot.core.session import MAX_WAITING_TURNS, Session, Turn, TurnState
from slackbot.core.session_rules import launch_again


def undo_requested(session: Session, event: ev.UndoRequested, now: int) -> Session:
    """Queues the undoing of a turn; wakes a session that is over."""
    if turn_rules.is_known(session, event.turn_id, None):
        return session
    target = session.turn(event.undoes)
    if target is None or not target.commit_sha:
        raise UsageError("This prompt pushed no commit, so there is nothing to undo.", "Name the commit to the agent.")
    before = undoing(session, target)
    if before is not None and before.state is TurnState.ANSWERED:
        raise UsageError("This was undone already.", "To have it back, undo the undoing.")
    if before is not None:
        return session
    if len(session.waiting_turns) >= MAX_WAITING_TURNS:
        raise Refused(f"{MAX_WAITING_TURNS} prompts wait in this session already.", "Try again when some are done.")
    turn = Turn(
        turn_id=event.turn_id,
        user_id=event.user_id,
        prompt=f"Undo commit {(target.commit_sha or '')[:10]}",
        state=TurnState.QUEUED,
        prompted_at=now,
        undoes=target.turn_id,
    )
    queued = replace(session, history=(*session.history, turn))
    return queued if session.status.is_live else launch_again(queued, now)


def undoing(session: Session, target: Turn) -> Turn | None:
    """The turn that undoes `target`, or has undone it; one that failed or was cancelled does not count."""
    for turn in reversed(session.history):
        if turn.undoes == target.turn_id and (not turn.state.is_ended or turn.state is TurnState.ANSWERED):
            return turn
    return None


def range_of(session: Session, turn: Turn) -> tuple[str, str] | None:
    """(base_sha, commit_sha): what `turn` put on the branch; None when it pushed nothing, or nobody knows after what.

    Turns of older versions do not say what the branch stood at before; then it is what the turn before them pushed.
    """
    if not turn.commit_sha:
        return None
    base_sha = turn.base_sha
    if base_sha is None:
        earlier = [each for each in session.history[: session.history.index(turn)] if each.commit_sha]
        base_sha = earlier[-1].commit_sha if earlier else None if session.dropped_ts else session.branch.base_sha
    return (base_sha, turn.commit_sha) if base_sha else None
