"""The task line of the card: ECS's word for where a task is, and what that means; its log. For `card` and `notice`.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html
"""

from __future__ import annotations

from slackbot.core.ports import TaskObservation
from slackbot.core.session import EndedBy, Session, Status
from slackbot.core.task_report import report_task
from slackbot.core.task_rules import MAX_LAUNCHES
from slackbot.views.words import is_web_url, link, shown_line

_MEANING = {
    "PROVISIONING": "finding a machine",
    "PENDING": "waiting for the machine to make the container",
    "ACTIVATING": "being connected",
    "RUNNING": "the worker is up",
    "DEACTIVATING": "being disconnected",
    "STOPPING": "asked to end",
    "DEPROVISIONING": "giving the machine back",
    "MISSING": "its system no longer knows it",
}


def task_line(session: Session) -> str | None:
    """Where the task is; None when there was no task and will be none."""
    status = session.task.last_status
    if status is None:
        if session.status is not Status.STARTING:
            return None
        doing = "making the branch first" if session.branch.base_sha is None else "being asked for"
        why = f" – {shown_line(session.task.delayed_by, 400)}" if session.task.delayed_by else ""
        return f"Task: {doing}{why}"
    meaning = _why_stopped(session) if status == "STOPPED" else _MEANING.get(status)
    if status == "RUNNING" and session.status is Status.STARTING:
        meaning = "the worker is checking out the repository"
    word = f"Task *{shown_line(status, 40)}*"
    return f"{word} – {meaning}" if meaning else word


def attempt_line(session: Session) -> str | None:
    """Which launch this is, where passing faults ended the ones before it; None on the first."""
    task = session.task
    if session.status is not Status.STARTING or not task.failed_launches:
        return None
    attempt = f"Attempt {task.failed_launches + 1} of {MAX_LAUNCHES}"
    return f"{attempt} – the last one failed: {shown_line(task.launch_fault or 'no reason is known.', 400)}"


def log_link(url: str | None) -> str | None:
    """A link to what the worker wrote, for those who may read it there."""
    return link(url, "Task log") if is_web_url(url) else None


def _why_stopped(session: Session) -> str:
    if session.ended is None:
        return "over"
    if session.ended.by is not EndedBy.FAILURE:
        return "by DevFlow, as the session is over"
    task = session.task
    report = report_task(
        TaskObservation(
            task_arn=session.ecs_task_arn or "",
            last_status="STOPPED",
            stop_code=task.stop_code,
            stopped_reason=task.stopped_reason,
            exit_code=task.exit_code,
        )
    )
    if report.summary == session.error_message:
        return "for the reason above"
    if task.stop_code == "UserInitiated":
        return "by DevFlow, after the error above"
    return shown_line(report.summary, 400)
