"""What people, the branch and Slack's answers make of a session; and the moves others share.

Handlers of `core.transitions`, one an event. The history is kept in `core.turn_rules`, the pull request in
`core.pull_request_rules`.
"""

from __future__ import annotations

from slackbot.core import events as ev
from slackbot.core import listening, turn_rules
from slackbot.core.notices import with_notice
from slackbot.core.session import Ended, EndedBy, Session, Status, TaskState
from slackbot.core.values import replace

# ------------------------------------------------------------------------------------------- people


def prompt_received(session: Session, event: ev.PromptReceived, now: int) -> Session:
    if turn_rules.is_known(session, event.turn_id, event.prompt_ts):
        return session
    if event.turn_id in session.heard and not event.mentioned:
        # Overheard before, and delivered again.
        return session
    session = listening.with_speaker(session, event.user_id, now)
    if not listening.is_prompt(session, event.user_id, mentioned=event.mentioned):
        return listening.overhear(session, event.user_id, event.prompt, event.turn_id, event.files)
    session = listening.not_overheard(session, event.user_id, event.prompt, event.files)
    session = _found_again(session)
    if session.status.is_live:
        return turn_rules.queue_prompt(session, event, now)
    if session.ended and session.ended.by.wakes_on_reply:
        return launch_again(turn_rules.queue_prompt(session, event, now), now)
    return turn_rules.keep_prompt(session, event, now)


def aside_said(session: Session, event: ev.AsideSaid, now: int) -> Session:
    """`!aside`, or words that begin by naming somebody else: never a prompt."""
    return listening.overhear(session, event.user_id, event.text, None, event.files)


def cancel_requested(session: Session, event: ev.CancelRequested, now: int) -> Session:
    return turn_rules.request_cancel(session, event, now)


def stop_requested(session: Session, event: ev.StopRequested, now: int) -> Session:
    return end_session(session, now, status=Status.STOPPED, by=event.by, user_id=event.user_id, kind="stopped")


def forget_requested(session: Session, event: ev.ForgetRequested, now: int) -> Session:
    return session if session.forgotten_by is not None else replace(session, forgotten_by=event.user_id)


def remembered_again(session: Session) -> Session:
    """It woke before it was removed; its card may say already that it is forgotten."""
    return replace(session, forgotten_by=None, thread=replace(session.thread, card=None))


def retry_requested(session: Session, event: ev.RetryRequested, now: int) -> Session:
    if turn_rules.is_known(session, event.turn_id, None):
        return session
    retried = turn_rules.retry(session, event, now)
    return retried if session.status.is_live else launch_again(retried, now)


# -------------------------------------------------------------------------------------------- branch


def branch_made(session: Session, event: ev.BranchMade, now: int) -> Session:
    made = replace(session.branch, base_sha=event.base_sha, tidied_launch=None, ref=event.ref, pushed=False)
    return replace(session, branch=made, branch_name=event.branch_name)


def branch_name_taken(session: Session, event: ev.BranchNameTaken, now: int) -> Session:
    if event.branch_name != session.branch_name:
        return session
    attempts = session.branch.attempts + 1
    if attempts > 8:
        return fail_session(
            session,
            now,
            f"Every branch name tried is taken in {session.repository}; the last one was `{session.branch_name}`.",
            "Delete old `devflow` branches, then press Retry.",
        )
    # A branch named `devflow` forbids every `devflow/...`, so the second name is flat.
    stem = event.branch_name.replace("/", "-") if attempts == 1 else event.branch_name.rsplit("-", 1)[0]
    name = f"{stem}-{attempts + 1}"
    return replace(session, branch_name=name, branch=replace(session.branch, attempts=attempts))


def branch_tidied(session: Session, event: ev.BranchTidied, now: int) -> Session:
    if event.deleted:
        # Also in a session that was started again meanwhile: it needs a new branch before its task.
        gone = replace(session.branch, base_sha=None, tidied_launch=session.launch)
        return replace(session, branch=gone)
    if session.status.is_live:
        return session
    return replace(session, branch=replace(session.branch, tidied_launch=session.launch))


# --------------------------------------------------------------------------------------------- Slack


def notice_posted(session: Session, event: ev.NoticePosted, now: int) -> Session:
    left = tuple(notice for notice in session.thread.notices if notice.notice_id != event.notice_id)
    history = tuple(
        replace(turn, response_ts=event.ts) if turn.told_by == event.notice_id and turn.response_ts is None else turn
        for turn in session.history
    )
    return replace(session, thread=replace(session.thread, notices=left), history=history)


def card_told(session: Session, event: ev.CardTold, now: int) -> Session:
    if (session.thread.card, session.thread.status_ts) == (event.card, event.status_ts):
        return session
    return replace(session, thread=replace(session.thread, card=event.card, status_ts=event.status_ts))


def thread_lost(session: Session, event: ev.ThreadLost, now: int) -> Session:
    lost = replace(session, thread=replace(session.thread, lost=event.reason, notices=()))
    if not session.status.is_live:
        return lost
    return end_session(lost, now, status=Status.STOPPED, by=EndedBy.FAILURE, user_id=None, kind=None)


def channel_shared(session: Session, event: ev.ChannelShared, now: int) -> Session:
    """Frozen: the worker is stopped, and nothing but the word of it is told while strangers read along."""
    if session.thread.frozen_at is not None:
        return session
    frozen = replace(session, thread=replace(session.thread, frozen_at=now))
    if not session.status.is_live:
        return frozen
    return end_session(frozen, now, status=Status.STOPPED, by=EndedBy.SHARED, user_id=None, kind="frozen")


def channel_unshared(session: Session, event: ev.ChannelUnshared, now: int) -> Session:
    """Thawed: what is owed to the thread is told now, and a reply wakes what was frozen."""
    if session.thread.frozen_at is None:
        return session
    thawed = replace(session, thread=replace(session.thread, frozen_at=None))
    if session.ended is None or session.ended.by is not EndedBy.SHARED:
        return thawed
    return with_notice(thawed, "thawed", now)


def root_deleted(session: Session, event: ev.RootDeleted, now: int) -> Session:
    """Without its first message nobody finds the thread again, so the session ends with it."""
    return end_session(session, now, status=Status.STOPPED, by=EndedBy.ROOT_DELETED, user_id=None, kind="stopped")


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
    if status is Status.ERROR:
        # The notice may be posted when the session has long been started again, and its error forgotten.
        values |= {"summary": session.error_message or "", "remedy": session.error_remedy or ""}
        values |= {"log_url": session.task.log_url or ""}
    if kind is None or session.thread.lost is not None:
        return turn_rules.end_all(ended, now, told_by="-")
    noticed = with_notice(ended, kind, now, values)
    return turn_rules.end_all(noticed, now, told_by=noticed.thread.notices[-1].notice_id)


def fail_session(session: Session, now: int, summary: str, remedy: str) -> Session:
    blamed = replace(session, error_message=summary, error_remedy=remedy or None)
    return end_session(blamed, now, status=Status.ERROR, by=EndedBy.FAILURE, user_id=None, kind="failed")


def _found_again(session: Session) -> Session:
    """A thread that people write in, and are let in for, can be posted in; if not, that will show again."""
    thread = session.thread
    if thread.lost is None and thread.frozen_at is None:
        return session
    return replace(session, thread=replace(thread, lost=None, frozen_at=None))


def launch_again(session: Session, now: int) -> Session:
    """A new launch: a greater number, a clean task, and no memory of the end or the error."""
    if session.pull_request.branch_gone:
        # It went with its pull request: the session needs a new one.
        session = replace(
            session,
            branch=replace(session.branch, base_sha=None),
            pull_request=replace(session.pull_request, branch_gone=False),
        )
    return replace(
        _found_again(session),
        status=Status.STARTING,
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
