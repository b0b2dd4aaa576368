"""The transition table, and `decide`: (session, event, now) -> session. Everything that moves a session is here
or in `turn_rules`, which keeps the history.

An event with no cell in the row of the present status is an `IllegalTransition`; nothing changes then. The
diagram in docs/sessions.md is made from this table (`python -m slackbot.core.state_diagram`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from slackbot.core import events as ev
from slackbot.core import turn_rules
from slackbot.core.errors import Fenced, IllegalTransition, UsageError
from slackbot.core.notices import with_notice
from slackbot.core.session import Ended, EndedBy, PullRequestState, Session, Status, TaskState
from slackbot.core.task_report import is_unhealthy, report_task

MAX_LAUNCHES = 3
"""A launch that a passing fault ended before anything was claimed is repeated until so many have failed."""

_S, _R, _X, _E = Status.STARTING, Status.RUNNING, Status.STOPPED, Status.ERROR

_ANYWHERE: dict[type[ev.Event], None] = dict.fromkeys(
    (
        ev.PromptEdited,
        ev.PromptDeleted,
        ev.AsideSaid,
        ev.PullRequestRequested,
        ev.PullRequestOpened,
        ev.PullRequestRefused,
        ev.AnswerPosted,
        ev.NoticePosted,
        ev.CardTold,
        ev.ThreadLost,
        ev.TurnEnded,
    )
)


def _row(status: Status, moves: dict[type[ev.Event], tuple[Status, ...]]) -> dict[type[ev.Event], tuple[Status, ...]]:
    return {**dict.fromkeys(_ANYWHERE, (status,)), **moves}


TRANSITIONS: dict[Status, dict[type[ev.Event], tuple[Status, ...]]] = {
    _S: _row(
        _S,
        {
            ev.PromptReceived: (_S,),
            ev.BranchMade: (_S,),
            ev.BranchNameTaken: (_S, _E),
            ev.TaskStarted: (_S,),
            ev.LaunchFailed: (_E,),
            ev.TaskObserved: (_S, _E),
            ev.WorkerReady: (_R,),
            ev.WorkerHeard: (_S,),
            ev.WorkerLeft: (_S, _X, _E),
            ev.CancelRequested: (_S,),
            ev.StopRequested: (_X,),
            ev.RetryRequested: (_S,),
            ev.ThreadLost: (_X,),
            ev.TimePassed: (_S, _E),
        },
    ),
    _R: _row(
        _R,
        {
            ev.PromptReceived: (_R,),
            ev.TaskStarted: (_R,),
            ev.TaskObserved: (_R, _E),
            ev.WorkerReady: (_R,),
            ev.WorkerHeard: (_R,),
            ev.WorkerLeft: (_S, _X, _E),
            ev.TurnClaimed: (_R,),
            ev.CancelRequested: (_R,),
            ev.StopRequested: (_X,),
            ev.RetryRequested: (_R,),
            ev.ThreadLost: (_X,),
            ev.TimePassed: (_R, _X, _E),
        },
    ),
    _X: _row(
        _X,
        {
            ev.PromptReceived: (_X, _S),
            ev.BranchMade: (_X,),
            ev.TaskStarted: (_X,),
            ev.TaskObserved: (_X,),
            ev.WorkerLeft: (_X,),
            ev.BranchTidied: (_X,),
            ev.RetryRequested: (_X, _S),
            ev.TimePassed: (_X,),
        },
    ),
    _E: _row(
        _E,
        {
            ev.PromptReceived: (_E,),
            ev.BranchMade: (_E,),
            ev.TaskStarted: (_E,),
            ev.TaskObserved: (_E,),
            ev.WorkerLeft: (_E,),
            ev.BranchTidied: (_E,),
            ev.RetryRequested: (_E, _S),
            ev.TimePassed: (_E,),
        },
    ),
}


def decide(session: Session, event: ev.Event, now: int) -> Session:
    """What `event` makes of `session`. The same object comes back when nothing changes.

    Raises `IllegalTransition` where the table has no cell, `Fenced` for a worker of an older launch, and
    `UsageError` for a request that has no sense now (nothing to cancel). Nothing is changed then.
    """
    allowed = TRANSITIONS[session.status].get(type(event))
    if allowed is None:
        raise IllegalTransition(
            f"{type(event).__name__} has no place in a session that is {session.status}.",
            "Nothing was changed.",
        )
    launch = getattr(event, "launch", session.launch)
    if launch != session.launch:
        if isinstance(event, ev.TaskStarted | ev.TaskObserved | ev.LaunchFailed):
            return session
        raise Fenced("This worker belongs to an earlier launch of the session.", "It must leave.")
    changed = _HANDLERS[type(event)](session, event, now)
    if changed.status not in allowed:
        raise AssertionError(f"{type(event).__name__} led from {session.status} to {changed.status}, not in the table")
    return changed


# ------------------------------------------------------------------------------------------- people


def _prompt_received(session: Session, event: ev.PromptReceived, now: int) -> Session:
    if turn_rules.is_known(session, event.turn_id, event.prompt_ts):
        return session
    session = _found_again(session)
    if session.status.is_live:
        return turn_rules.queue_prompt(session, event, now)
    if session.ended and session.ended.by.wakes_on_reply:
        return launch_again(turn_rules.queue_prompt(session, event, now), now)
    return turn_rules.keep_prompt(session, event, now)


def _cancel_requested(session: Session, event: ev.CancelRequested, now: int) -> Session:
    return turn_rules.request_cancel(session, event.user_id, now)


def _stop_requested(session: Session, event: ev.StopRequested, now: int) -> Session:
    return end_session(session, now, status=_X, by=event.by, user_id=event.user_id, kind="stopped")


def _retry_requested(session: Session, event: ev.RetryRequested, now: int) -> Session:
    if turn_rules.is_known(session, event.turn_id, None):
        return session
    retried = turn_rules.retry(session, event, now)
    return retried if session.status.is_live else launch_again(retried, now)


def _pull_request_requested(session: Session, event: ev.PullRequestRequested, now: int) -> Session:
    if session.branch.base_sha is None:
        raise UsageError("There is no branch yet to open a pull request from.", "Wait until the worker is ready.")
    if session.pull_request.requested_at is not None:
        return session
    asked = replace(session.pull_request, requested_by=event.user_id, requested_at=now)
    return replace(session, pull_request=asked)


# --------------------------------------------------------------------------- branch and pull request


def _branch_made(session: Session, event: ev.BranchMade, now: int) -> Session:
    made = replace(session.branch, base_sha=event.base_sha, tidied_launch=None)
    return replace(session, branch=made, branch_name=event.branch_name)


def _branch_name_taken(session: Session, event: ev.BranchNameTaken, now: int) -> Session:
    if event.branch_name != session.branch_name:
        return session
    attempts = session.branch.attempts + 1
    if attempts > 8:
        return _failed(
            session,
            now,
            f"Every branch name tried is taken in {session.repository}; the last one was `{session.branch_name}`.",
            "Delete old `devflow` branches, then press Retry.",
        )
    # A branch named `devflow` forbids every `devflow/...`, so the second name is flat.
    stem = event.branch_name.replace("/", "-") if attempts == 1 else event.branch_name.rsplit("-", 1)[0]
    name = f"{stem}-{attempts + 1}"
    return replace(session, branch_name=name, branch=replace(session.branch, attempts=attempts))


def _branch_tidied(session: Session, event: ev.BranchTidied, now: int) -> Session:
    if event.deleted:
        gone = replace(session.branch, base_sha=None, tidied_launch=session.launch)
        return replace(session, branch=gone)
    return replace(session, branch=replace(session.branch, tidied_launch=session.launch))


def _pull_request_opened(session: Session, event: ev.PullRequestOpened, now: int) -> Session:
    asked = session.pull_request
    opened = PullRequestState(state="open", extra=asked.extra)
    told = replace(session, pr_number=event.number, pr_url=event.url, pull_request=opened)
    values = {"number": str(event.number), "url": event.url, "user_id": asked.requested_by or session.user_id}
    kind = "pull_request_opened" if session.pr_number != event.number else "pull_request_shown"
    return with_notice(told, kind, now, values)


def _pull_request_refused(session: Session, event: ev.PullRequestRefused, now: int) -> Session:
    asked = replace(session.pull_request, requested_at=None, requested_by=None)
    values = {"summary": event.summary, "remedy": event.remedy}
    return with_notice(replace(session, pull_request=asked), "pull_request_refused", now, values)


# ------------------------------------------------------------------------------------ task and worker


def _task_started(session: Session, event: ev.TaskStarted, now: int) -> Session:
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
        ),
    )


def _task_observed(session: Session, event: ev.TaskObserved, now: int) -> Session:
    task = event.task
    if task.task_arn != session.ecs_task_arn:
        return session
    if task.last_status == "MISSING":
        # Making the branch may have taken long, so it is the answer of RunTask that counts.
        known_since = max(session.launched_at, session.task.asked_at or 0)
        if now - known_since < ev.Limits.lost_task_seconds:
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
            return _failed(seen, now, report.summary, report.remedy)
        return seen
    seen = replace(seen, ecs_task_arn=None, ecs_cluster_arn=None, ecs_task_definition_arn=None, editor_url=None)
    if not session.status.is_live:
        return seen
    failed_launches = session.task.failed_launches + 1
    if session.status is _S and report.is_transient and failed_launches < MAX_LAUNCHES:
        # No worker was ready, so nothing was claimed and nothing can be done twice.
        again = launch_again(seen, now)
        return replace(again, task=TaskState(failed_launches=failed_launches, launch_fault=report.summary))
    return _failed(seen, now, report.summary, report.remedy)


def _worker_ready(session: Session, event: ev.WorkerReady, now: int) -> Session:
    if session.status is _R:
        return replace(session, editor_url=event.editor_url) if event.editor_url else session
    # A worker that speaks runs, whatever was last seen of its task.
    task = replace(
        session.task, last_status="RUNNING", ready_at=now, alive_at=now, failed_launches=0, launch_fault=None
    )
    return replace(session, status=_R, task=task, editor_url=event.editor_url)


def _worker_heard(session: Session, event: ev.WorkerHeard, now: int) -> Session:
    if session.task.alive_at is not None and now - session.task.alive_at < 60:
        return session
    return replace(session, task=replace(session.task, alive_at=now))


def _worker_left(session: Session, event: ev.WorkerLeft, now: int) -> Session:
    if not session.status.is_live:
        return session
    if event.reason in ("idle", "age"):
        by = EndedBy.IDLE if event.reason == "idle" else EndedBy.AGE
        if session.waiting_turns:
            # A prompt came in while the worker was packing: it is worked on by the next one.
            return launch_again(turn_rules.fail_working(session, now), now)
        return end_session(session, now, status=_X, by=by, user_id=None, kind="stopped")
    if event.reason == "signal":
        summary = "The worker was told to stop by its machine; what was unsaved is pushed."
        return _failed(session, now, summary, "Press Retry to go on.")
    summary = event.detail or "The worker gave up without saying why."
    return _failed(session, now, summary, "" if event.detail else "Look into the task's log, then press Retry.")


def _turn_claimed(session: Session, event: ev.TurnClaimed, now: int) -> Session:
    return turn_rules.claim(session, event, now)


def _turn_ended(session: Session, event: ev.TurnEnded, now: int) -> Session:
    return turn_rules.end_turn(session, event, now)


def _launch_failed(session: Session, event: ev.LaunchFailed, now: int) -> Session:
    return _failed(session, now, event.summary, event.remedy)


# ---------------------------------------------------------------------------------------------- clock


def _time_passed(session: Session, event: ev.TimePassed, now: int) -> Session:
    limits = event.limits
    if session.status is _S and now - session.launched_at > limits.start_seconds:
        minutes = limits.start_seconds // 60
        return _failed(
            session,
            now,
            f"The worker was not ready within {minutes} minutes.",
            "Press Retry; if it happens again, look into the task's log.",
        )
    if session.status is _R:
        heard_at = max(session.task.alive_at or 0, session.task.ready_at or 0, event.listening_since)
        if now - heard_at > limits.silence_seconds:
            return _failed(
                session,
                now,
                f"The worker was not heard from for {(now - heard_at) // 60} minutes.",
                "What it pushed is on the branch. Press Retry to go on with a new one.",
            )
        timed = turn_rules.keep_time(session, limits, now)
        if timed is not session:
            return timed
        if session.working_turn is None and not session.waiting_turns:
            if now - session.last_activity_at > limits.idle_seconds + limits.grace_seconds:
                return end_session(session, now, status=_X, by=EndedBy.IDLE, user_id=None, kind="stopped")
            if now - session.launched_at > limits.max_session_seconds + limits.grace_seconds:
                return end_session(session, now, status=_X, by=EndedBy.AGE, user_id=None, kind="stopped")
    return session


# --------------------------------------------------------------------------------------------- Slack


def _notice_posted(session: Session, event: ev.NoticePosted, now: int) -> Session:
    left = tuple(notice for notice in session.thread.notices if notice.notice_id != event.notice_id)
    history = tuple(
        replace(turn, response_ts=event.ts) if turn.told_by == event.notice_id and turn.response_ts is None else turn
        for turn in session.history
    )
    return replace(session, thread=replace(session.thread, notices=left), history=history)


def _card_told(session: Session, event: ev.CardTold, now: int) -> Session:
    return replace(session, thread=replace(session.thread, card=event.card, status_ts=event.status_ts))


def _thread_lost(session: Session, event: ev.ThreadLost, now: int) -> Session:
    lost = replace(session, thread=replace(session.thread, lost=event.reason, notices=()))
    if not session.status.is_live:
        return lost
    return end_session(lost, now, status=_X, by=EndedBy.FAILURE, user_id=None, kind=None)


# ------------------------------------------------------------------------------------- common moves


def end_session(
    session: Session, now: int, *, status: Status, by: EndedBy, user_id: str | None, kind: str | None
) -> Session:
    """Over: turns end, the thread is owed one notice of `kind` that also tells the turns it ended."""
    ended = replace(session, status=status, ended=Ended(by=by, at=now, user_id=user_id), editor_url=None)
    values = {"by": str(by), **({"user_id": user_id} if user_id else {})}
    waiting, working = len(session.waiting_turns), session.working_turn
    if waiting:
        values["waiting"] = str(waiting)
    if working:
        values["working"] = working.turn_id
    if status is _E:
        # The notice may be posted when the session has long been started again, and its error forgotten.
        values |= {"summary": session.error_message or "", "remedy": session.error_remedy or ""}
        values |= {"log_url": session.task.log_url or ""}
    if kind is None or session.thread.lost is not None:
        return turn_rules.end_all(ended, now, told_by="-")
    noticed = with_notice(ended, kind, now, values)
    return turn_rules.end_all(noticed, now, told_by=noticed.thread.notices[-1].notice_id)


def _failed(session: Session, now: int, summary: str, remedy: str) -> Session:
    blamed = replace(session, error_message=summary, error_remedy=remedy or None)
    return end_session(blamed, now, status=_E, by=EndedBy.FAILURE, user_id=None, kind="failed")


def _found_again(session: Session) -> Session:
    """A thread that people write in can be posted in; if not, that will show again."""
    return replace(session, thread=replace(session.thread, lost=None)) if session.thread.lost else session


def launch_again(session: Session, now: int) -> Session:
    """A new launch: a greater number, a clean task, and no memory of the end or the error."""
    return replace(
        _found_again(session),
        status=_S,
        launch=max(now * 1000, session.launch + 1),
        ended=None,
        error_message=None,
        error_remedy=None,
        ecs_task_arn=None,
        ecs_cluster_arn=None,
        ecs_task_definition_arn=None,
        editor_url=None,
        task=TaskState(),
    )


_HANDLERS: dict[type[ev.Event], Callable[..., Session]] = {
    ev.PromptReceived: _prompt_received,
    ev.PromptEdited: turn_rules.edit_prompt,
    ev.PromptDeleted: turn_rules.delete_prompt,
    ev.AsideSaid: turn_rules.add_aside,
    ev.CancelRequested: _cancel_requested,
    ev.StopRequested: _stop_requested,
    ev.RetryRequested: _retry_requested,
    ev.PullRequestRequested: _pull_request_requested,
    ev.BranchMade: _branch_made,
    ev.BranchNameTaken: _branch_name_taken,
    ev.BranchTidied: _branch_tidied,
    ev.PullRequestOpened: _pull_request_opened,
    ev.PullRequestRefused: _pull_request_refused,
    ev.TaskStarted: _task_started,
    ev.LaunchFailed: _launch_failed,
    ev.TaskObserved: _task_observed,
    ev.WorkerReady: _worker_ready,
    ev.WorkerHeard: _worker_heard,
    ev.WorkerLeft: _worker_left,
    ev.TurnClaimed: _turn_claimed,
    ev.TurnEnded: _turn_ended,
    ev.AnswerPosted: turn_rules.answer_posted,
    ev.NoticePosted: _notice_posted,
    ev.CardTold: _card_told,
    ev.ThreadLost: _thread_lost,
    ev.TimePassed: _time_passed,
}
