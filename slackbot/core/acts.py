"""What a write of a session says that somebody did: the session before and after it -> lines of the audit log. Pure.

The engine's writes are conditional, so each act shows in exactly one of them, whichever replica made it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from slackbot.core.session import Session, Turn
from slackbot.core.spending import subtract
from slackbot.core.turn_rules import BY_CLOCK

DEVFLOW = "devflow"
"""The actor of what no person asked for: limits, failures, tasks."""

Details = Mapping[str, str | int | bool | None]


@dataclass(frozen=True)
class Act:
    """`actor`: a Slack user id, or `devflow`. `details` never hold a secret, a prompt or an answer."""

    action: str
    actor: str
    details: Details = field(default_factory=dict)


def acts_of(before: Session | None, after: Session) -> list[Act]:
    """In the order in which they are told; empty for a write that only keeps the books."""
    if before is None:
        return [_requested(after)]
    acts: list[Act] = []
    # What is the same object in both says nothing: most writes change one or two of these.
    if after.history is not before.history:
        acts += _of_turns(before, after)
    if after.permissions is not before.permissions:
        acts += _of_permissions(before, after)
    if after.spending is not before.spending:
        acts += _of_models(before, after)
    acts += _of_owner(before, after)
    if after.stay is not before.stay:
        acts += _of_stay(before, after)
    if after.pull_request is not before.pull_request or after.pr_number != before.pr_number:
        acts += _of_pull_request(before, after)
    if after.ecs_task_arn != before.ecs_task_arn:
        acts += _of_task(before, after)
    if after.status is not before.status:
        acts += _end(before, after)
    return acts


def _requested(session: Session) -> Act:
    details: dict[str, str | int | bool | None] = {
        "channel_id": session.thread.channel_id,
        "thread_ts": session.thread.thread_ts,
        "base_branch": session.base_branch,
        "branch_name": session.branch_name,
        "agent": session.agent,
    }
    if session.history:
        details["turn_id"] = session.history[0].turn_id
    return Act("session_requested", session.user_id, details)


def _of_turns(before: Session, after: Session) -> Iterator[Act]:
    known = {turn.turn_id: turn for turn in before.history}
    for turn in after.history:
        earlier = known.get(turn.turn_id)
        if earlier is None:
            # A prompt's turn is named after its message; a retry's after the press, with the prompt of another one.
            is_prompt = turn.prompt_ts is not None and turn.turn_id.endswith(f":{turn.prompt_ts}")
            details: dict[str, str | int | bool | None] = {"turn_id": turn.turn_id}
            if turn.state.is_ended:
                details["kept"] = True
            if turn.undoes is not None:
                details["undoes"] = turn.undoes
            if turn.files:
                details["files"] = len(turn.files)
            what = "prompt_accepted" if is_prompt else "undo_requested" if turn.undoes else "retried"
            yield Act(what, turn.user_id, details)
        if turn.cancelled_by is not None and (earlier is None or earlier.cancelled_by is None):
            yield Act("cancelled", _canceller(turn), {"turn_id": turn.turn_id})


def _of_permissions(before: Session, after: Session) -> Iterator[Act]:
    """What the agent asked leave for, and who gave it; not the command itself, which may hold anything."""
    for question in after.permissions:
        earlier = before.permission(question.permission_id)
        about: dict[str, str | int | bool | None] = {
            "permission_id": question.permission_id,
            "turn_id": question.turn_id,
            "kind": question.kind,
        }
        if earlier is None:
            yield Act("permission_asked", DEVFLOW, about)
        if question.outcome is not None and (earlier is None or earlier.outcome is None):
            chosen = next((each for each in question.options if each.get("option_id") == question.option_id), {})
            about |= {"outcome": question.outcome, "answer": chosen.get("kind")}
            yield Act("permission_settled", question.answered_by or DEVFLOW, about)


def _of_models(before: Session, after: Session) -> Iterator[Act]:
    """Which models were used and how much, for whoever's prompt was in work."""
    if after.spending.counted != before.spending.counted:
        turn = after.working_turn
        for model, counted in after.spending.models.items():
            used = subtract(counted, before.spending.models.get(model, {}))
            if used:
                details: dict[str, str | int | bool | None] = {"model": model, **used}
                if turn is not None:
                    details["turn_id"] = turn.turn_id
                yield Act("models_used", turn.user_id if turn is not None else after.user_id, details)


def _canceller(turn: Turn) -> str:
    return DEVFLOW if turn.cancelled_by in (None, BY_CLOCK) else str(turn.cancelled_by)


def _of_owner(before: Session, after: Session) -> Iterator[Act]:
    if after.user_id != before.user_id:
        handed = [notice for notice in after.thread.notices if notice.kind == "handed_over"]
        by = handed[-1].values.get("user_id", before.user_id) if handed else before.user_id
        yield Act("handed_over", by, {"from": before.user_id, "to": after.user_id})


def _of_stay(before: Session, after: Session) -> Iterator[Act]:
    if (after.stay.idle_until, after.stay.age_until) != (before.stay.idle_until, before.stay.age_until):
        details = {"idle_until": after.stay.idle_until, "age_until": after.stay.age_until}
        yield Act("extended", after.stay.extended_by or DEVFLOW, details)


def _of_pull_request(before: Session, after: Session) -> Iterator[Act]:
    asked = after.pull_request
    if asked.requested_at is not None and before.pull_request.requested_at is None:
        yield Act("pull_request_requested", asked.requested_by or DEVFLOW, {"branch_name": after.branch_name})
    if after.pr_number is not None and after.pr_number != before.pr_number:
        actor = before.pull_request.requested_by or DEVFLOW
        yield Act("pull_request_opened", actor, {"pr_number": after.pr_number, "pr_url": after.pr_url})
    known = {one.get("request_id") for one in before.pull_request.asked}
    for one in asked.asked:
        if one.get("request_id") not in known:
            details = {"act": str(one.get("action")), "pr_number": after.pr_number, "unasked": bool(one.get("unasked"))}
            actor = DEVFLOW if one.get("unasked") else str(one.get("user_id") or DEVFLOW)
            yield Act("pull_request_act_requested", actor, details)
    if asked.state != before.pull_request.state and asked.state in ("merged", "closed"):
        yield Act("pull_request_over", DEVFLOW, {"pr_number": after.pr_number, "state": asked.state})


def _of_task(before: Session, after: Session) -> Iterator[Act]:
    if before.ecs_task_arn is not None and after.ecs_task_arn != before.ecs_task_arn:
        details: dict[str, str | int | bool | None] = {"task_arn": before.ecs_task_arn, "launch": before.launch}
        if after.launch == before.launch:
            details |= {"stop_code": after.task.stop_code, "exit_code": after.task.exit_code}
        yield Act("task_stopped", DEVFLOW, details)
    if after.ecs_task_arn is not None and after.ecs_task_arn != before.ecs_task_arn:
        details = {"task_arn": after.ecs_task_arn, "launch": after.launch}
        details["task_definition_arn"] = after.ecs_task_definition_arn
        yield Act("task_started", DEVFLOW, details)


def _end(before: Session, after: Session) -> Iterator[Act]:
    if before.status.is_live and not after.status.is_live and after.ended is not None:
        details = {"by": str(after.ended.by), "status": str(after.status)}
        yield Act("stopped", after.ended.user_id or DEVFLOW, details)
