"""The task line of the card: ECS's word for where a task is, and what that means; its log. For `card` and `notice`.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html
"""

from __future__ import annotations

from slackbot.core.ports import TaskObservation
from slackbot.core.session import EndedBy, Session, Status
from slackbot.core.task_report import report_task
from slackbot.core.task_rules import MAX_LAUNCHES
from slackbot.views.language import DEFAULT, say, translated
from slackbot.views.words import is_web_url, link, shown_line

_MEANING = {
    "PROVISIONING": "task.PROVISIONING",
    "PENDING": "task.PENDING",
    "ACTIVATING": "task.ACTIVATING",
    "RUNNING": "task.RUNNING",
    "DEACTIVATING": "task.DEACTIVATING",
    "STOPPING": "task.STOPPING",
    "DEPROVISIONING": "task.DEPROVISIONING",
    "MISSING": "task.MISSING",
}


def task_line(session: Session, language: str | None = None) -> str | None:
    """Where the task is; None when there was no task and will be none. `language`: the reader's, else the thread's."""
    language = language or session.language
    status = session.task.last_status
    if status is None:
        if session.status is not Status.STARTING:
            return None
        doing = say(language, "task.branch_first" if session.branch.base_sha is None else "task.asked_for")
        if session.task.delayed_by:
            return say(
                language,
                "task.line_delayed",
                doing=doing,
                why=shown_line(translated(language, session.task.delayed_by), 400),
            )
        return say(language, "task.line", doing=doing)
    if status == "STOPPED":
        meaning = _why_stopped(session, language)
    elif status == "RUNNING" and session.status is Status.STARTING:
        meaning = say(language, "task.checking_out")
    else:
        meaning = say(language, _MEANING[status]) if status in _MEANING else ""
    word = shown_line(status, 40)
    if not meaning:
        return say(language, "task.status", status=word)
    return say(language, "task.status_meaning", status=word, meaning=meaning)


def attempt_line(session: Session) -> str | None:
    """Which launch this is, where passing faults ended the ones before it; None on the first."""
    task, language = session.task, session.language
    if session.status is not Status.STARTING or not task.failed_launches:
        return None
    why = shown_line(translated(language, task.launch_fault or "") or say(language, "task.no_reason"), 400)
    return say(language, "task.attempt", number=task.failed_launches + 1, of=MAX_LAUNCHES, why=why)


def log_link(url: str | None, language: str = DEFAULT) -> str | None:
    """A link to what the worker wrote, for those who may read it there."""
    return link(url, say(language, "task.log")) if is_web_url(url) else None


def _why_stopped(session: Session, language: str) -> str:
    if session.ended is None:
        return say(language, "task.over")
    if session.ended.by is not EndedBy.FAILURE:
        return say(language, "task.session_over")
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
        return say(language, "task.reason_above")
    if task.stop_code == "UserInitiated":
        return say(language, "task.after_error")
    return shown_line(translated(language, report.summary), 400)
