"""When the card must be drawn again: a fingerprint of all that `views.card` shows of a session."""

from __future__ import annotations

import hashlib

from slackbot.core.session import Session, TurnState


def card_key(session: Session) -> str:
    """A short fingerprint of all that the card shows; the card is owed an update when it differs."""
    # One walk along the history: this is asked with every write.
    working, at_work, waiting, has_commit = None, 0, [], False
    for turn in session.history:
        if turn.state is TurnState.WORKING:
            at_work += 1
            if working is None and turn.joined_to is None:
                working = turn
        elif turn.state is TurnState.QUEUED:
            waiting.append((turn.turn_id, turn.prompt[:200]))
        has_commit = has_commit or bool(turn.commit_sha)
    asked, task, ended = session.open_permission, session.task, session.ended
    facts = (
        session.status,
        session.repository.full_name,
        session.branch_name,
        session.branch.base_sha is not None,
        session.base_branch,
        session.user_id,
        session.agent,
        session.thread.listen,
        asked.permission_id if asked else None,
        session.model,
        session.mode,
        task.last_status,
        task.stop_code,
        task.stopped_reason,
        task.log_url,
        task.failed_launches,
        task.launch_fault,
        task.delayed_by,
        task.unpushed_files,
        session.pr_number,
        session.pr_url,
        session.pull_request.state,
        session.pull_request.requested_at,
        session.editor_url,
        session.error_message,
        session.error_remedy,
        ended.by if ended else None,
        ended.user_id if ended else None,
        working.turn_id if working else None,
        bool(working and working.cancelled_at),
        waiting,
        at_work,
        session.retryable_turn() is not None,
        has_commit,
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
