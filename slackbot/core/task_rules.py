"""What the task, the worker and the clock make of a session: handlers of `core.transitions`, one an event."""

from __future__ import annotations

from slackbot.core import events as ev
from slackbot.core import permission_rules, staying, turn_rules
from slackbot.core.deadlines import ends_as_merged_at
from slackbot.core.limits import Limits
from slackbot.core.session import EndedBy, Session, Status, TaskState
from slackbot.core.session_rules import end_session, fail_session, launch_again
from slackbot.core.task_report import is_unhealthy, report_task
from slackbot.core.values import replace

MAX_LAUNCHES = 3
"""A launch that a passing fault ended before anything was claimed is repeated until so many have failed."""


# ------------------------------------------------------------------------------------ task and worker


def task_started(session: Session, event: ev.TaskStarted, now: int) -> Session:
    task = event.task
    return replace(
        session,
        ecs_task_arn=task.task_arn,
        ecs_cluster_arn=task.cluster_arn or session.ecs_cluster_arn,
        ecs_task_definition_arn=task.task_definition_arn or session.ecs_task_definition_arn,
        task=replace(
            session.task,
            last_status=session.task.last_status or task.last_status,
            asked_at=session.task.asked_at or now,
            log_url=task.log_url or session.task.log_url,
            delayed_by=None,
        ),
    )


def task_observed(session: Session, event: ev.TaskObserved, now: int) -> Session:
    task = event.task
    if task.task_arn != session.ecs_task_arn:
        return session
    if task.last_status == "MISSING":
        # Making the branch may have taken long, so it is the answer of RunTask that counts.
        known_since = max(session.launched_at, session.task.asked_at or 0)
        if now - known_since < Limits.lost_task_seconds:
            return session
    seen = replace(
        session,
        task=replace(
            session.task,
            last_status=task.last_status,
            stop_code=task.stop_code,
            stopped_reason=task.stopped_reason,
            exit_code=task.exit_code,
            log_url=task.log_url or session.task.log_url,
        ),
    )
    report = report_task(task)
    if task.last_status not in ("STOPPED", "MISSING"):
        if is_unhealthy(task) and session.status.is_live:
            # It keeps its arn, so that it is owed a stop.
            return fail_session(seen, now, report.summary, report.remedy)
        # A bot that starts sees every task for the first time, and most of them as they were.
        return seen if seen.task != session.task else session
    seen = replace(seen, ecs_task_arn=None, ecs_cluster_arn=None, ecs_task_definition_arn=None, editor_url=None)
    if not session.status.is_live:
        return seen
    failed_launches = session.task.failed_launches + 1
    if session.status is Status.STARTING and report.is_transient and failed_launches < MAX_LAUNCHES:
        # No worker was ready, so nothing was claimed and nothing can be done twice.
        again = launch_again(seen, now)
        return replace(again, task=TaskState(failed_launches=failed_launches, launch_fault=report.summary))
    return fail_session(seen, now, report.summary, report.remedy)


def worker_ready(session: Session, event: ev.WorkerReady, now: int) -> Session:
    if session.status is Status.RUNNING:
        if not event.editor_url:
            return session
        moved = replace(session.task, editor_address=event.editor_address)
        return replace(session, editor_url=event.editor_url, task=moved)
    # A worker that speaks runs, whatever was last seen of its task.
    task = replace(
        session.task,
        last_status="RUNNING",
        ready_at=now,
        alive_at=now,
        editor_address=event.editor_address,
        failed_launches=0,
        launch_fault=None,
    )
    return replace(session, status=Status.RUNNING, task=task, editor_url=event.editor_url)


def worker_heard(session: Session, event: ev.WorkerHeard, now: int) -> Session:
    if event.unpushed_files is not None and (event.unpushed_files or None) != session.task.unpushed_files:
        session = replace(session, task=replace(session.task, unpushed_files=event.unpushed_files or None))
    if session.task.alive_at is not None and now - session.task.alive_at < 60:
        return session
    edited_at = now if event.in_editor else session.task.edited_at
    return replace(session, task=replace(session.task, alive_at=now, edited_at=edited_at))


def worker_left(session: Session, event: ev.WorkerLeft, now: int) -> Session:
    if not session.status.is_live:
        return session
    if event.reason in ("idle", "age"):
        by = EndedBy.IDLE if event.reason == "idle" else EndedBy.AGE
        if session.waiting_turns:
            # A prompt came in while the worker was packing: it is worked on by the next one.
            return launch_again(turn_rules.fail_working(session, now), now)
        return end_session(session, now, status=Status.STOPPED, by=by, user_id=None, kind="stopped")
    if event.reason == "signal":
        summary = event.detail or "The worker was told to stop by its machine."
        return fail_session(session, now, summary, "Press Retry to go on.")
    summary = event.detail or "The worker gave up without saying why."
    return fail_session(session, now, summary, "" if event.detail else "Look into the task's log, then press Retry.")


def launch_failed(session: Session, event: ev.LaunchFailed, now: int) -> Session:
    return fail_session(session, now, event.summary, event.remedy)


def launch_delayed(session: Session, event: ev.LaunchDelayed, now: int) -> Session:
    if session.ecs_task_arn is not None or session.task.delayed_by == event.summary:
        return session
    return replace(session, task=replace(session.task, delayed_by=event.summary))


# ---------------------------------------------------------------------------------------------- clock


def time_passed(session: Session, event: ev.TimePassed, now: int) -> Session:
    limits = event.limits
    # A bot that has only just come up has launched nothing before, nor heard whoever waits at its door.
    start_ends_at = max(session.launched_at + limits.start_seconds, event.listening_since + limits.silence_seconds)
    if session.status is Status.STARTING and now > start_ends_at:
        minutes = limits.start_seconds // 60
        if session.ecs_task_arn is None and session.task.delayed_by:
            summary = f"The worker's task could not be started within {minutes} minutes. {session.task.delayed_by}"
            return fail_session(session, now, summary, "Press Retry in some minutes.")
        return fail_session(
            session,
            now,
            f"The worker was not ready within {minutes} minutes.",
            "Press Retry; if it happens again, look into the task's log.",
        )
    if session.status is Status.RUNNING:
        heard_at = max(session.task.alive_at or 0, session.task.ready_at or 0, event.listening_since)
        if now - heard_at > limits.silence_seconds:
            return fail_session(
                session,
                now,
                f"The worker was not heard from for {(now - heard_at) // 60} minutes.",
                "Press Retry to go on with a new one.",
            )
        session = permission_rules.expire(session, now)
        timed = turn_rules.keep_time(session, limits, now)
        if timed is not session:
            return timed
        session = staying.warn(session, limits, now)
        if not session.is_busy:
            merged_at = ends_as_merged_at(session)
            if merged_at is not None and now >= merged_at:
                return end_session(session, now, status=Status.STOPPED, by=EndedBy.MERGED, user_id=None, kind=None)
            if now - staying.idle_ends_at(session, limits) > limits.grace_seconds:
                return end_session(session, now, status=Status.STOPPED, by=EndedBy.IDLE, user_id=None, kind="stopped")
            if now - staying.age_ends_at(session, limits) > limits.grace_seconds:
                return end_session(session, now, status=Status.STOPPED, by=EndedBy.AGE, user_id=None, kind="stopped")
    return session
