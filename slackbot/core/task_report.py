"""What a task's system says -> what happened, why, and what to do. Pure; the words for the thread.

States and stop codes: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html
"""

from __future__ import annotations

from dataclasses import dataclass

from slackbot.core.clipping import one_line
from slackbot.core.ports import TaskObservation


@dataclass(frozen=True)
class TaskReport:
    """`summary`: what happened and why. `remedy`: what to do. `is_transient`: likely to work when tried again."""

    summary: str
    remedy: str
    is_transient: bool = False


_BY_REASON: tuple[tuple[tuple[str, ...], TaskReport], ...] = (
    (
        ("CannotPullContainer",),
        TaskReport(
            "The task's image could not be fetched.",
            "Check that the image exists and that the task may reach the registry; then press Retry.",
            is_transient=True,
        ),
    ),
    (
        ("OutOfMemory", "OOM"),
        TaskReport(
            "The worker ran out of memory and was ended by its machine.",
            "Give the task more memory, or ask for less at once; then press Retry.",
        ),
    ),
    (
        ("Capacity is unavailable", "RESOURCE:"),
        TaskReport("There was no room for the task just now.", "Press Retry in a minute or two.", is_transient=True),
    ),
    (
        ("network interface", "ENI", "ResourceInitializationError"),
        TaskReport(
            "The task could not be connected to its network or its secrets.",
            "Press Retry; if it happens again, check subnets, routes and the execution role.",
            is_transient=True,
        ),
    ),
    (
        ("CannotStartContainer",),
        TaskReport(
            "The worker's program could not be started.",
            "Check the task definition's command; then press Retry.",
        ),
    ),
)

_BY_STOP_CODE = {
    "SpotInterruption": TaskReport(
        "Amazon took the Spot capacity back.", "Press Retry to go on with a new task.", is_transient=True
    ),
    "TerminationNotice": TaskReport(
        "The machine under the task is being taken down.",
        "Press Retry to go on with a new task.",
        is_transient=True,
    ),
    "UserInitiated": TaskReport("The task was stopped from outside DevFlow.", "Press Retry to go on with a new task."),
    "TaskFailedToStart": TaskReport(
        "The task failed to start.", "Press Retry; if it happens again, look into the task's stopped reason."
    ),
}


def report_task(task: TaskObservation) -> TaskReport:
    """A stopped or missing task in plain words; its own reason is quoted, for those who administer."""
    if task.last_status == "MISSING":
        return TaskReport(
            "The session's task is gone, and its system no longer knows why.",
            "It may have done part of the work. Press Retry to go on with a new task.",
        )
    reason = task.stopped_reason or ""
    report = next(
        (known for words, known in _BY_REASON if any(word.lower() in reason.lower() for word in words)),
        _BY_STOP_CODE.get(task.stop_code or "") or _by_exit_code(task.exit_code),
    )
    if not reason or task.stop_code == "EssentialContainerExited":
        return report
    return TaskReport(f"{report.summary} ({one_line(reason, 200)})", report.remedy, report.is_transient)


def _by_exit_code(exit_code: int | None) -> TaskReport:
    retry = "What it pushed is on the branch. Press Retry to go on with a new one."
    if exit_code is None:
        return TaskReport("The worker ended without an exit code.", retry)
    if exit_code == 137:
        return TaskReport("The worker was killed (exit code 137), often for want of memory.", retry)
    if exit_code > 128:
        return TaskReport(f"The worker was ended by signal {exit_code - 128}.", retry)
    if exit_code == 0:
        return TaskReport("The worker ended before its session did.", retry)
    return TaskReport(f"The worker ended with exit code {exit_code}.", retry + " Its log says more.")
