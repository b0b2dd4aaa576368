"""When the card must be drawn again: a fingerprint of all that `views.card` shows of a session."""

from __future__ import annotations

import hashlib

from slackbot.core.session import Session, TurnState


def card_key(session: Session) -> str:
    """A short fingerprint of all that the card shows; the card is owed an update when it differs."""
    working = session.working_turn
    facts = (
        session.status,
        session.repository.full_name,
        session.branch_name,
        session.branch.base_sha is not None,
        session.base_branch,
        session.user_id,
        session.agent,
        session.thread.listen,
        session.open_permission.permission_id if session.open_permission else None,
        session.model,
        session.mode,
        session.task.last_status,
        session.task.stop_code,
        session.task.stopped_reason,
        session.task.log_url,
        session.task.failed_launches,
        session.task.launch_fault,
        session.task.delayed_by,
        session.task.unpushed_files,
        session.pr_number,
        session.pr_url,
        session.pull_request.state,
        session.pull_request.requested_at,
        session.editor_url,
        session.error_message,
        session.error_remedy,
        session.ended.by if session.ended else None,
        session.ended.user_id if session.ended else None,
        working.turn_id if working else None,
        bool(working and working.cancelled_at),
        [(turn.turn_id, turn.prompt[:200]) for turn in session.waiting_turns],
        sum(turn.state is TurnState.WORKING for turn in session.history),
        session.retryable_turn() is not None,
        any(turn.commit_sha for turn in session.history),
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
