"""The transition table, and `decide`: (session, event, now) -> session. What each event does is in
`session_rules` (people, branch), `pull_request_rules`, `task_rules` (task, worker, clock) and `turn_rules` (history).

An event with no cell in the row of the present status is an `IllegalTransition`; nothing changes then. The
diagram in docs/sessions.md is made from this table (`python -m slackbot.core.state_diagram`).
"""

from __future__ import annotations

from collections.abc import Callable

from slackbot.core import (
    editor_access,
    handing_over,
    joined_turns,
    listening,
    permission_rules,
    pull_request_rules,
    session_rules,
    spending_rules,
    staying,
    task_rules,
    turn_rules,
    undo_rules,
)
from slackbot.core import events as ev
from slackbot.core.errors import Fenced, IllegalTransition
from slackbot.core.session import MAX_HEARD, Session, Status
from slackbot.core.values import replace

_S, _R, _X, _E = Status.STARTING, Status.RUNNING, Status.STOPPED, Status.ERROR

_ANYWHERE: dict[type[ev.Event], None] = dict.fromkeys(
    (
        ev.PromptEdited,
        ev.PromptDeleted,
        ev.AsideSaid,
        ev.TalkChanged,
        ev.ListenRequested,
        ev.HandedOver,
        ev.PullRequestRequested,
        ev.PullRequestOpened,
        ev.PullRequestRefused,
        ev.PullRequestWatchEnded,
        ev.PullRequestActDone,
        ev.PullRequestActRefused,
        ev.PullRequestWorkPrepared,
        ev.PullRequestCardTold,
        ev.OldCardRemoved,
        ev.ReviewAnswered,
        ev.MergedBranchSeen,
        ev.AnswerPosted,
        ev.NoticePosted,
        ev.WarningPosted,
        ev.WarningRemoved,
        ev.CardTold,
        ev.ThreadLost,
        ev.ChannelShared,
        ev.ChannelUnshared,
        ev.TurnEnded,
        ev.ModelsUsed,
        ev.SpendingExtended,
        ev.PermissionAnswered,
        ev.PermissionShown,
        ev.PermissionTold,
        ev.FileShared,
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
            ev.BranchTidied: (_S,),
            ev.BranchNameTaken: (_S, _E),
            ev.TaskStarted: (_S,),
            ev.LaunchFailed: (_E,),
            ev.LaunchDelayed: (_S,),
            ev.TaskObserved: (_S, _E),
            ev.WorkerReady: (_R,),
            ev.WorkerHeard: (_S,),
            ev.WorkerLeft: (_S, _X, _E),
            ev.CancelRequested: (_S,),
            ev.PromptHurried: (_S,),
            ev.StopRequested: (_X,),
            ev.RetryRequested: (_S,),
            ev.UndoRequested: (_S,),
            ev.PullRequestObserved: (_S,),
            ev.PullRequestActRequested: (_S,),
            ev.ThreadLost: (_X,),
            ev.ChannelShared: (_X,),
            ev.RootDeleted: (_X,),
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
            ev.EditorLinkRedeemed: (_R,),
            ev.TurnClaimed: (_R,),
            ev.PermissionAsked: (_R,),
            ev.PushBegun: (_R,),
            ev.FileTaken: (_R,),
            ev.UndoRequested: (_R,),
            ev.CancelRequested: (_R,),
            ev.StayExtended: (_R,),
            ev.PromptHurried: (_R,),
            ev.StopRequested: (_X,),
            ev.RetryRequested: (_R,),
            ev.PullRequestObserved: (_R,),
            ev.PullRequestActRequested: (_R,),
            ev.ThreadLost: (_X,),
            ev.ChannelShared: (_X,),
            ev.RootDeleted: (_X,),
            ev.TimePassed: (_R, _X, _E),
        },
    ),
    _X: _row(
        _X,
        {
            ev.PromptReceived: (_X, _S),
            ev.BranchMade: (_X,),
            ev.ForgetRequested: (_X,),
            ev.TaskStarted: (_X,),
            ev.TaskObserved: (_X,),
            ev.WorkerLeft: (_X,),
            ev.BranchTidied: (_X,),
            ev.RetryRequested: (_X, _S),
            ev.UndoRequested: (_X, _S),
            ev.PullRequestObserved: (_X, _S),
            ev.PullRequestActRequested: (_X, _S),
            ev.TimePassed: (_X,),
        },
    ),
    _E: _row(
        _E,
        {
            ev.PromptReceived: (_E,),
            ev.BranchMade: (_E,),
            ev.ForgetRequested: (_E,),
            ev.TaskStarted: (_E,),
            ev.TaskObserved: (_E,),
            ev.WorkerLeft: (_E,),
            ev.BranchTidied: (_E,),
            ev.RetryRequested: (_E, _S),
            ev.UndoRequested: (_E, _S),
            ev.PullRequestObserved: (_E, _S),
            ev.PullRequestActRequested: (_E, _S),
            ev.TimePassed: (_E,),
        },
    ),
}


def decide(session: Session, event: ev.Event, now: int) -> Session:
    """What `event` makes of `session`. The same object comes back when nothing changes.

    Raises `IllegalTransition` where the table has no cell, `Fenced` for a worker of an older launch, and
    `UsageError` for a request that has no sense now (nothing to cancel). Nothing is changed then.
    """
    request_id: str | None = getattr(event, "request_id", None)
    if request_id is not None and request_id in session.heard:
        return session
    allowed = TRANSITIONS[session.status].get(type(event))
    if allowed is None:
        raise IllegalTransition(
            f"{type(event).__name__} has no place in a session that is {session.status}.",
            "Nothing was changed.",
        )
    launch = getattr(event, "launch", session.launch)
    if launch != session.launch:
        if isinstance(event, ev.TaskStarted | ev.TaskObserved | ev.LaunchFailed | ev.LaunchDelayed):
            return session
        raise Fenced("This worker belongs to an earlier launch of the session.", "It must leave.")
    changed: Session = permission_rules.tidied(_HANDLERS[type(event)](session, event, now), now)
    if changed.status not in allowed:
        raise AssertionError(f"{type(event).__name__} led from {session.status} to {changed.status}, not in the table")
    if changed.forgotten_by is not None and changed.status.is_live:
        changed = session_rules.remembered_again(changed)
    # Remembered also where nothing was left to do: delivered again, it might find something.
    return changed if request_id is None else replace(changed, heard=(*changed.heard, request_id)[-MAX_HEARD:])


_HANDLERS: dict[type[ev.Event], Callable[..., Session]] = {
    ev.PromptReceived: session_rules.prompt_received,
    ev.PromptEdited: turn_rules.edit_prompt,
    ev.PromptDeleted: turn_rules.delete_prompt,
    ev.AsideSaid: session_rules.aside_said,
    ev.TalkChanged: listening.talk_changed,
    ev.HandedOver: handing_over.handed_over,
    ev.ListenRequested: listening.listen_requested,
    ev.CancelRequested: session_rules.cancel_requested,
    ev.PromptHurried: joined_turns.hurry,
    ev.StopRequested: session_rules.stop_requested,
    ev.ForgetRequested: session_rules.forget_requested,
    ev.RetryRequested: session_rules.retry_requested,
    ev.UndoRequested: undo_rules.undo_requested,
    ev.PermissionAsked: permission_rules.asked,
    ev.PermissionAnswered: permission_rules.answered,
    ev.PermissionShown: permission_rules.shown,
    ev.PermissionTold: permission_rules.told,
    ev.PushBegun: turn_rules.push_begun,
    ev.FileTaken: turn_rules.file_taken,
    ev.FileShared: turn_rules.file_shared,
    ev.PullRequestRequested: pull_request_rules.pull_request_requested,
    ev.PullRequestActRequested: pull_request_rules.act_requested,
    ev.BranchMade: session_rules.branch_made,
    ev.BranchNameTaken: session_rules.branch_name_taken,
    ev.BranchTidied: session_rules.branch_tidied,
    ev.PullRequestOpened: pull_request_rules.pull_request_opened,
    ev.PullRequestRefused: pull_request_rules.pull_request_refused,
    ev.PullRequestObserved: pull_request_rules.pull_request_observed,
    ev.PullRequestWatchEnded: pull_request_rules.pull_request_watch_ended,
    ev.PullRequestActDone: pull_request_rules.act_done,
    ev.PullRequestActRefused: pull_request_rules.act_refused,
    ev.PullRequestWorkPrepared: pull_request_rules.work_prepared,
    ev.PullRequestCardTold: pull_request_rules.card_told,
    ev.OldCardRemoved: pull_request_rules.old_card_removed,
    ev.ReviewAnswered: pull_request_rules.review_answered,
    ev.MergedBranchSeen: pull_request_rules.merged_branch_seen,
    ev.TaskStarted: task_rules.task_started,
    ev.LaunchFailed: task_rules.launch_failed,
    ev.LaunchDelayed: task_rules.launch_delayed,
    ev.TaskObserved: task_rules.task_observed,
    ev.WorkerReady: task_rules.worker_ready,
    ev.WorkerHeard: task_rules.worker_heard,
    ev.WorkerLeft: task_rules.worker_left,
    ev.EditorLinkRedeemed: editor_access.link_redeemed,
    ev.TurnClaimed: turn_rules.claim,
    ev.TurnEnded: turn_rules.end_turn,
    ev.ModelsUsed: spending_rules.models_used,
    ev.SpendingExtended: spending_rules.spending_extended,
    ev.AnswerPosted: turn_rules.answer_posted,
    ev.StayExtended: staying.extended,
    ev.WarningPosted: staying.warning_posted,
    ev.WarningRemoved: staying.warning_removed,
    ev.NoticePosted: session_rules.notice_posted,
    ev.CardTold: session_rules.card_told,
    ev.ThreadLost: session_rules.thread_lost,
    ev.ChannelShared: session_rules.channel_shared,
    ev.ChannelUnshared: session_rules.channel_unshared,
    ev.RootDeleted: session_rules.root_deleted,
    ev.TimePassed: task_rules.time_passed,
}
