"""Every cell of the table: what is legal leads where it says, what is not changes nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from slackbot.core import events as ev
from slackbot.core.errors import Fenced, IllegalTransition, UsageError
from slackbot.core.limits import PullRequestTerms
from slackbot.core.ports import TaskObservation
from slackbot.core.pull_request_rules import ACTIONS
from slackbot.core.session import EndedBy, Session, Status, TurnState
from slackbot.core.transitions import TRANSITIONS, decide
from tests.core.builders import BY_STATUS, FAILING, T0, TASK_ARN, a_session, a_snapshot, answered, prompt, running

_MAKE: dict[type[ev.Event], Callable[[Session], list[ev.Event]]] = {
    ev.PromptReceived: lambda s: [prompt(7), prompt(1)],
    ev.PromptEdited: lambda s: [ev.PromptEdited(f"{T0}.000001", "something else"), ev.PromptEdited("9.9", "x")],
    ev.PromptDeleted: lambda s: [ev.PromptDeleted(f"{T0}.000001"), ev.PromptDeleted("9.9")],
    ev.AsideSaid: lambda s: [ev.AsideSaid("what do you think?"), ev.AsideSaid("")],
    ev.TalkChanged: lambda s: [ev.TalkChanged(s.user_id, "hm", "hm!"), ev.TalkChanged("", "", None)],
    ev.ListenRequested: lambda s: [ev.ListenRequested("U1", listen) for listen in ("all", "mentions", "?")],
    ev.HandedOver: lambda s: [ev.HandedOver("U1", "U2", "ja"), ev.HandedOver("U1", s.user_id)],
    ev.StayExtended: lambda s: [ev.StayExtended("U1")],
    ev.WarningPosted: lambda s: [ev.WarningPosted(T0, "1.1")],
    ev.WarningRemoved: lambda s: [ev.WarningRemoved(T0)],
    ev.CancelRequested: lambda s: [ev.CancelRequested("U1"), ev.CancelRequested("U1", turn_id="none")],
    ev.PromptHurried: lambda s: [ev.PromptHurried(turn_id, "U1") for turn_id in ("none", s.history[-1].turn_id)],
    ev.ForgetRequested: lambda s: [ev.ForgetRequested("U1")],
    ev.StopRequested: lambda s: [ev.StopRequested("U1"), ev.StopRequested(None, EndedBy.SHUTDOWN)],
    ev.RetryRequested: lambda s: [ev.RetryRequested("press:1", "U1"), ev.RetryRequested(f"C0000001:{T0}.000001", "U1")],
    ev.UndoRequested: lambda s: [ev.UndoRequested("press:9", "U1", s.history[0].turn_id)],
    ev.PermissionAsked: lambda s: [
        ev.PermissionAsked(s.launch, turn_id, "p1", "rm -rf x", ({"option_id": "a", "name": "A", "kind": "x"},), 60)
        for turn_id in ("none", *(turn.turn_id for turn in s.history))
    ],
    ev.PermissionAnswered: lambda s: [ev.PermissionAnswered("p1", "a", "U1")],
    ev.PermissionShown: lambda s: [ev.PermissionShown("p1", "1.1")],
    ev.PermissionTold: lambda s: [ev.PermissionTold("p1")],
    ev.PushBegun: lambda s: [ev.PushBegun(s.launch, turn.turn_id, "b" * 40, "a" * 40) for turn in s.history],
    ev.FileTaken: lambda s: [ev.FileTaken(s.launch, turn.turn_id, "d1", "a.png", "F1") for turn in s.history],
    ev.FileShared: lambda s: [ev.FileShared(s.launch, turn.turn_id, "d1") for turn in s.history],
    ev.PullRequestRequested: lambda s: [ev.PullRequestRequested("U1")],
    ev.BranchMade: lambda s: [ev.BranchMade("devflow/x", "a" * 40)],
    ev.BranchNameTaken: lambda s: [ev.BranchNameTaken(s.branch_name), ev.BranchNameTaken("other")],
    ev.BranchTidied: lambda s: [ev.BranchTidied(True), ev.BranchTidied(False)],
    ev.PullRequestOpened: lambda s: [ev.PullRequestOpened(3, "https://github.com/acme/shop/pull/3")],
    ev.PullRequestActRequested: lambda s: [
        ev.PullRequestActRequested(action, "U1", f"press:{action}") for action in (*ACTIONS, "?")
    ],
    ev.PullRequestObserved: lambda s: [
        ev.PullRequestObserved(a_snapshot(state=state, checks=FAILING), 1, PullRequestTerms(True, 1))
        for state in ("open", "closed", "merged", "?")
    ],
    ev.PullRequestWatchEnded: lambda s: [ev.PullRequestWatchEnded("quiet"), ev.PullRequestWatchEnded("gone")],
    ev.PullRequestActDone: lambda s: [ev.PullRequestActDone("none", "merge")],
    ev.PullRequestActRefused: lambda s: [ev.PullRequestActRefused("none", "merge", "No.")],
    ev.PullRequestWorkPrepared: lambda s: [ev.PullRequestWorkPrepared("none", "Fix it.")],
    ev.PullRequestCardTold: lambda s: [
        ev.PullRequestCardTold("abc", "1.1", 0),
        ev.PullRequestCardTold("abc", "1.1", 9),
    ],
    ev.OldCardRemoved: lambda s: [ev.OldCardRemoved("1.1")],
    ev.ReviewAnswered: lambda s: [ev.ReviewAnswered("none")],
    ev.MergedBranchSeen: lambda s: [ev.MergedBranchSeen(True), ev.MergedBranchSeen(False)],
    ev.PullRequestRefused: lambda s: [ev.PullRequestRefused("No commits yet.", "Ask for a change first.")],
    ev.TaskStarted: lambda s: [
        ev.TaskStarted(s.launch, TaskObservation(TASK_ARN, "PENDING")),
        ev.TaskStarted(s.launch - 1, TaskObservation("arn:old", "PENDING")),
    ],
    ev.LaunchFailed: lambda s: [ev.LaunchFailed(s.launch, "No.", ""), ev.LaunchFailed(s.launch - 1, "No.", "")],
    ev.LaunchDelayed: lambda s: [ev.LaunchDelayed(s.launch, "No room."), ev.LaunchDelayed(s.launch - 1, "No room.")],
    ev.TaskObserved: lambda s: [
        ev.TaskObserved(launch, TaskObservation(arn, status))
        for launch in (s.launch, s.launch - 1)
        for arn in (s.ecs_task_arn or "arn:x", "arn:y")
        for status in ("PENDING", "RUNNING", "STOPPED", "MISSING", "NEW_WORD")
    ],
    ev.WorkerReady: lambda s: [ev.WorkerReady(s.launch), ev.WorkerReady(s.launch, "https://editor.example")],
    ev.WorkerHeard: lambda s: [ev.WorkerHeard(s.launch)],
    ev.WorkerLeft: lambda s: [ev.WorkerLeft(s.launch, reason) for reason in ("idle", "age", "signal", "failure", "?")],
    ev.EditorLinkRedeemed: lambda _: [ev.EditorLinkRedeemed("U0000001", "nonce", T0 + 60)],
    ev.TurnClaimed: lambda s: [ev.TurnClaimed(s.launch, turn.turn_id) for turn in s.history],
    ev.TurnEnded: lambda s: [
        ev.TurnEnded(s.launch, turn_id, TurnState.ANSWERED, "Done.")
        for turn_id in ("none", *(turn.turn_id for turn in s.history))
    ],
    ev.AnswerPosted: lambda s: [ev.AnswerPosted(s.history[0].turn_id, "1.1"), ev.AnswerPosted("none", "1.1")],
    ev.ModelsUsed: lambda s: [
        ev.ModelsUsed(((turn_id, "anthropic/m", {"calls": 1, "input_tokens": 5}),))
        for turn_id in ("", "none", *(turn.turn_id for turn in s.history))
    ],
    ev.SpendingExtended: lambda s: [ev.SpendingExtended("U9"), ev.SpendingExtended("U9", session_too=False)],
    ev.NoticePosted: lambda s: [ev.NoticePosted("none", "1.1")],
    ev.CardTold: lambda s: [ev.CardTold("abc", "1.1")],
    ev.ThreadLost: lambda s: [ev.ThreadLost("is_archived")],
    ev.ChannelShared: lambda s: [ev.ChannelShared()],
    ev.ChannelUnshared: lambda s: [ev.ChannelUnshared()],
    ev.RootDeleted: lambda s: [ev.RootDeleted()],
    ev.TimePassed: lambda s: [ev.TimePassed(), ev.TimePassed(listening_since=T0 + 200_000)],
}
_ALL = sorted(_MAKE, key=lambda kind: kind.__name__)


def test_every_event_is_in_the_tables() -> None:
    """An event nobody may tell, or that these tests forget, shows here."""
    kinds = {kind for kind in vars(ev).values() if isinstance(kind, type) and issubclass(kind, ev.Event)}
    assert kinds - {ev.Event} == set(_MAKE)
    assert set(_MAKE) == {kind for row in TRANSITIONS.values() for kind in row}
    assert set(TRANSITIONS) == set(Status)


@pytest.mark.parametrize("kind", _ALL, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("now", [T0 + 130, T0 + 100_000])
def test_a_cell(status: Status, kind: type[ev.Event], now: int) -> None:
    """A legal event ends in a status of its cell or is refused in words; an illegal one raises. Nothing is mutated."""
    session = BY_STATUS[status]()
    before = repr(session)
    allowed = TRANSITIONS[status].get(kind)
    for event in _MAKE[kind](session):
        if allowed is None:
            with pytest.raises(IllegalTransition) as caught:
                decide(session, event, now)
            assert kind.__name__ in caught.value.summary
            assert status in caught.value.summary
        else:
            with contextlib.suppress(UsageError, IllegalTransition):
                changed = decide(session, event, now)
                assert changed is session or changed.status in allowed
        assert repr(session) == before


@pytest.mark.parametrize("kind", [k for k in _ALL if "launch" in k.__dataclass_fields__], ids=lambda k: k.__name__)
@pytest.mark.parametrize("status", Status)
def test_an_older_launch(status: Status, kind: type[ev.Event]) -> None:
    """What an older launch says changes nothing: its worker is fenced, its task is passed over."""
    session = BY_STATUS[status]()
    old = a_session(launch=session.launch - 1, history=session.history, ecs_task_arn=session.ecs_task_arn)
    for event in _MAKE[kind](old):
        if kind not in TRANSITIONS[status]:
            with pytest.raises(IllegalTransition):
                decide(session, event, T0 + 130)
        elif kind in (ev.TaskStarted, ev.TaskObserved, ev.LaunchFailed, ev.LaunchDelayed):
            assert decide(session, event, T0 + 130) is session
        else:
            with pytest.raises(Fenced, match="earlier launch"):
                decide(session, event, T0 + 130)


def test_a_handler_that_leaves_the_table_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """A status that the table does not foresee stops at once, before anything is stored."""
    monkeypatch.setitem(TRANSITIONS[Status.RUNNING], ev.StopRequested, (Status.RUNNING,))
    with pytest.raises(AssertionError, match="not in the table"):
        decide(running(), ev.StopRequested("U1"), T0)


def test_repeating_an_event_changes_nothing_more() -> None:
    """What is told twice is as if told once: redelivery is harmless."""
    session = answered(commit_sha="c" * 40)
    turn = session.history[0]
    for event in (
        prompt(1),
        ev.TurnEnded(session.launch, turn.turn_id, TurnState.FAILED, "another story"),
        ev.AnswerPosted(turn.turn_id, "9.9"),
        ev.PromptEdited(turn.prompt_ts or "", "another text"),
        ev.PromptDeleted(turn.prompt_ts or ""),
        ev.WorkerReady(session.launch),
    ):
        assert decide(session, event, T0 + 70) is session
