"""What a session is owed: plain data, performed by `performer`, derived from the stored session alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from slackbot.core.card_key import card_key
from slackbot.core.pull_request_rules import pull_request_card_key
from slackbot.core.session import Notice, Session, Status, Turn, TurnState
from slackbot.core.staying import is_untrue
from slackbot.core.values import remember, remembered


class Effect:
    """The root of all effects. Each may be performed again after a crash.

    `lane`: what people read is performed in order in the lane `thread`, all else in the lane `work`, so that a slow
    Slack delays no task and a slow launch delays no answer.
    """

    lane: ClassVar[str] = "work"


@dataclass(frozen=True)
class MakeBranch(Effect):
    branch_name: str


@dataclass(frozen=True)
class RunTask(Effect):
    launch: int


@dataclass(frozen=True)
class StopTask(Effect):
    task_arn: str
    reason: str


@dataclass(frozen=True)
class TidyBranch(Effect):
    """Delete the working branch if nothing was ever pushed to it."""

    branch_name: str


@dataclass(frozen=True)
class OpenPullRequest(Effect):
    requested_at: int


@dataclass(frozen=True)
class DeliverAnswer(Effect):
    lane: ClassVar[str] = "thread"
    turn_id: str


@dataclass(frozen=True)
class PostNotice(Effect):
    lane: ClassVar[str] = "thread"
    notice_id: str


@dataclass(frozen=True)
class PostWarning(Effect):
    """Tell the thread that the session ends soon, at `until`."""

    lane: ClassVar[str] = "thread"
    until: int


@dataclass(frozen=True)
class RemoveWarning(Effect):
    """What was told of the end at `until` is no longer so."""

    lane: ClassVar[str] = "thread"
    until: int


@dataclass(frozen=True)
class ShowPermission(Effect):
    """Post what the agent asks leave for."""

    lane: ClassVar[str] = "thread"
    permission_id: str


@dataclass(frozen=True)
class ClosePermission(Effect):
    """Let the message of a question say how it ended."""

    lane: ClassVar[str] = "thread"
    permission_id: str


@dataclass(frozen=True)
class UpdateCard(Effect):
    lane: ClassVar[str] = "thread"
    card: str


@dataclass(frozen=True)
class UpdatePullRequestCard(Effect):
    lane: ClassVar[str] = "thread"
    card: str
    card_number: int


@dataclass(frozen=True)
class RemoveOldCard(Effect):
    lane: ClassVar[str] = "thread"
    card_ts: str


@dataclass(frozen=True)
class ForgetSession(Effect):
    """Let the card say so, and remove the item: the last thing that a session is owed."""

    lane: ClassVar[str] = "thread"
    user_id: str


@dataclass(frozen=True)
class ActOnPullRequest(Effect):
    """Do what was asked for with the pull request; `action` as in `core.pull_request_rules`."""

    action: str
    act_id: str


@dataclass(frozen=True)
class AnswerReview(Effect):
    """Tell in the threads of the review what the turn did."""

    turn_id: str


@dataclass(frozen=True)
class LookForMergedBranch(Effect):
    """See whether the branch is left, now that the pull request is over."""

    branch_name: str


def owed(session: Session) -> tuple[Effect, ...]:
    """Everything the stored session still owes the world, in the order in which people should see it."""
    known: tuple[Effect, ...] | None = remembered(session, "_owed")
    return known if known is not None else remember(session, "_owed", _owed(session))


def owes_lasting(session: Session) -> bool:
    """Whether `owed` has anything that `is_lasting`, found without drawing up the card where that does not matter."""
    if _card_gives_way(session) and session.forgotten_by is None:
        return bool(_beside_card(session))
    return any(is_lasting(effect, session) for effect in owed(session))


def owing_the_same(of: Session, session: Session) -> Session:
    """`session`, which differs from `of` in nothing that changes what is owed; so that is not found out once more."""
    for note in ("_owed", "_beside_card"):
        known = remembered(of, note)
        if known is not None:
            remember(session, note, known)
    return session


def _owed(session: Session) -> tuple[Effect, ...]:
    effects: list[Effect] = []
    if session.thread.lost is None:
        card = card_key(session)
        if session.thread.card != card:
            effects.append(UpdateCard(card))
    effects += _beside_card(session)
    if session.forgotten_by is not None and not effects:
        effects.append(ForgetSession(session.forgotten_by))
    return tuple(effects)


def _beside_card(session: Session) -> tuple[Effect, ...]:
    """All that is owed but the card, and the end of a session that is to be forgotten."""
    known: tuple[Effect, ...] | None = remembered(session, "_beside_card")
    return known if known is not None else remember(session, "_beside_card", _found_beside_card(session))


def _found_beside_card(session: Session) -> tuple[Effect, ...]:
    effects: list[Effect] = []
    if session.thread.lost is None:
        for turn in session.history if session.thread.frozen_at is None else ():
            if (
                turn.state.is_ended
                and turn.response_ts is None
                and turn.told_by is None
                and turn.joined_to is None
                and not _is_brought(session, turn)
            ):
                effects.append(DeliverAnswer(turn.turn_id))
        for permission in session.permissions if session.thread.frozen_at is None else ():
            if permission.outcome is None and permission.message_ts is None:
                effects.append(ShowPermission(permission.permission_id))
            elif permission.outcome is not None and not permission.told:
                effects.append(ClosePermission(permission.permission_id))
        effects += _cards_of_pull_request(session)
        stay = session.stay
        if stay.warned_until is not None and is_untrue(session):
            effects.append(RemoveWarning(stay.warned_until))
        elif stay.warned_until is not None and stay.warning_ts is None and session.thread.frozen_at is None:
            effects.append(PostWarning(stay.warned_until))
        effects.extend(PostNotice(notice.notice_id) for notice in session.thread.notices if may_tell(session, notice))
    if session.status is Status.STARTING and session.branch.base_sha is None:
        effects.append(MakeBranch(session.branch_name))
    elif session.status.is_live and session.ecs_task_arn is None:
        # Also of a running one: a crash kept from us which task it is, and the same request finds it again.
        effects.append(RunTask(session.launch))
    if not session.status.is_live:
        if session.ecs_task_arn is not None:
            effects.append(StopTask(session.ecs_task_arn, stop_reason(session)))
        elif (
            session.branch.base_sha is not None
            and session.pr_number is None
            and session.pull_request.requested_at is None
            and session.branch.tidied_launch != session.launch
        ):
            effects.append(TidyBranch(session.branch_name))
    effects += _work_on_pull_request(session)
    return tuple(effects)


def may_tell(session: Session, notice: Notice) -> bool:
    """In a frozen thread only that it is frozen, which strangers may read too."""
    return session.thread.frozen_at is None or notice.kind == "frozen"


def _cards_of_pull_request(session: Session) -> list[Effect]:
    state = session.pull_request
    effects: list[Effect] = []
    if session.pr_number is not None and state.state is not None and session.thread.frozen_at is None:
        card = pull_request_card_key(session)
        if state.card != card:
            effects.append(UpdatePullRequestCard(card, state.card_number))
    effects.extend(RemoveOldCard(ts) for ts in state.old_cards)
    return effects


def _work_on_pull_request(session: Session) -> list[Effect]:
    state = session.pull_request
    effects: list[Effect] = []
    if state.requested_at is not None:
        effects.append(OpenPullRequest(state.requested_at))
    effects.extend(ActOnPullRequest(str(one.get("action")), str(one.get("request_id"))) for one in state.asked)
    for turn_id in dict.fromkeys(str(one.get("turn_id")) for one in state.replies):
        turn = session.turn(turn_id)
        if turn is not None and turn.state is TurnState.ANSWERED:
            effects.append(AnswerReview(turn_id))
    is_over = state.state in ("merged", "closed")
    if is_over and state.branch_seen_at is None and session.branch.base_sha is not None:
        effects.append(LookForMergedBranch(session.branch_name))
    return effects


def _is_brought(session: Session, turn: Turn) -> bool:
    """Whether a worker that is still there brings the whole answer; when it is gone, what is stored must do."""
    return turn.held and turn.claimed_launch == session.launch and session.ecs_task_arn is not None


def is_lasting(effect: Effect, session: Session) -> bool:
    """Whether performing `effect` must be recorded, and so is done under the lease.

    A live session's card is drawn again by whoever changes it; only the last picture must be known to stand.
    """
    return not isinstance(effect, UpdateCard) or not _card_gives_way(session)


def _card_gives_way(session: Session) -> bool:
    return session.status.is_live and session.thread.status_ts is not None


def stop_reason(session: Session) -> str:
    """What StopTask tells the task's system; shown in its console, so it names no person."""
    by = session.ended.by if session.ended else "failure"
    return f"DevFlow session {session.session_id} is over ({by})"
