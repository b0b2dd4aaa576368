"""Any legal course of events, in any order, keeps the invariants of the design."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from slackbot.core import events as ev
from slackbot.core.card_key import card_key
from slackbot.core.deadlines import next_deadline
from slackbot.core.effects import (
    ActOnPullRequest,
    AnswerReview,
    ClosePermission,
    DeliverAnswer,
    LookForMergedBranch,
    PostNotice,
    RemoveOldCard,
    ShowPermission,
    StopTask,
    UpdateCard,
    UpdatePullRequestCard,
    is_lasting,
    owed,
    owes_lasting,
)
from slackbot.core.errors import DevflowError
from slackbot.core.item import from_item, item_size_bytes, sized_item, to_item
from slackbot.core.limits import Limits, PullRequestTerms
from slackbot.core.notices import MAX_NOTICES
from slackbot.core.ports import TaskObservation
from slackbot.core.pull_request_rules import ACTIONS, AGENT_ACTIONS
from slackbot.core.session import WITHDRAWN, EndedBy, Session, Status, Turn, TurnState
from slackbot.core.transitions import decide
from tests.core.builders import CHANNEL, FAILING, T0, a_session, a_snapshot, tell

_ENDS = [TurnState.ANSWERED, TurnState.FAILED, TurnState.CANCELLED]


class AnyCourse(RuleBasedStateMachine):
    """People, a worker, a task's system, Slack and a clock, each doing what it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.session: Session = a_session()
        self.now = T0
        self.number = 0
        self.told: list[str] = []
        """Turns whose end somebody was told, once an entry."""
        self.forgetful = False
        """Whether a notice was given up: the thread was lost, or more waited than are kept."""

    def tell(self, event: ev.Event) -> None:
        before = self.session
        try:
            after = decide(before, event, self.now)
        except DevflowError:
            return
        assert after.launch >= before.launch
        assert after.launch > before.launch or after.status is not Status.STARTING or before.status.is_live
        for turn in before.history:
            now = after.turn(turn.turn_id)
            assert now is not None, "a turn left the history"
            self.check_turn(turn, now)
        if after is not before:
            after = replace(after, write_version=after.write_version + 1, updated_at=self.now)
        self.session = after
        self.forgetful |= after.thread.lost is not None or len(after.thread.notices) == MAX_NOTICES

    def check_turn(self, before: Turn, after: Turn) -> None:
        if before.state.is_ended:
            assert (after.state, after.prompt, after.response) == (before.state, before.prompt, before.response)
        if before.state is TurnState.WORKING:
            assert after.state is not TurnState.QUEUED, "a turn would be run a second time"
        if before.response_ts is not None:
            assert after.response_ts == before.response_ts

    # ------------------------------------------------------------------------------------ who does what

    @rule(seconds=st.sampled_from([0, 1, 30, 61, 100, 700, 4000, 30_000]))
    def time(self, seconds: int) -> None:
        self.now += seconds
        self.tell(ev.TimePassed())

    @rule(again=st.booleans())
    def prompt(self, again: bool) -> None:
        self.number += 0 if again else 1
        ts = f"{T0}.{self.number:06d}"
        self.tell(ev.PromptReceived(f"{CHANNEL}:{ts}", "U1", f"prompt {self.number}", prompt_ts=ts))

    @rule(deleted=st.booleans(), back=st.integers(0, 3))
    def edit(self, deleted: bool, back: int) -> None:
        ts = f"{T0}.{max(0, self.number - back):06d}"
        self.tell(ev.PromptDeleted(ts) if deleted else ev.PromptEdited(ts, "edited"))

    @rule(what=st.sampled_from(["cancel", "stop", "shutdown", "retry", "pr", "aside"]))
    def person(self, what: str) -> None:
        self.number += 1
        self.tell(
            {
                "cancel": ev.CancelRequested("U2"),
                "stop": ev.StopRequested("U2"),
                "shutdown": ev.StopRequested(None, EndedBy.SHUTDOWN),
                "retry": ev.RetryRequested(f"press:{self.number}", "U2"),
                "pr": ev.PullRequestRequested("U2"),
                "aside": ev.AsideSaid("hm"),
            }[what]
        )

    @rule(old=st.booleans(), what=st.sampled_from(["ready", "heard", "claim", "idle", "age", "signal", "failure"]))
    def worker(self, old: bool, what: str) -> None:
        launch = self.session.launch - (1 if old else 0)
        waiting = self.session.waiting_turns
        events: dict[str, ev.Event] = {
            "ready": ev.WorkerReady(launch),
            "heard": ev.WorkerHeard(launch),
            "claim": ev.TurnClaimed(launch, waiting[0].turn_id if waiting else "none"),
        }
        self.tell(events.get(what) or ev.WorkerLeft(launch, what))

    @rule(state=st.sampled_from(_ENDS), back=st.integers(0, 3))
    def answer(self, state: TurnState, back: int) -> None:
        turns = self.session.history[-1 - back :]
        if turns:
            self.tell(ev.TurnEnded(self.session.launch, turns[0].turn_id, state, "Said.", commit_sha="c" * 40))

    @rule(status=st.sampled_from(["PENDING", "RUNNING", "STOPPED", "MISSING"]))
    def task(self, status: str) -> None:
        arn = self.session.ecs_task_arn or "arn:none"
        self.tell(ev.TaskObserved(self.session.launch, TaskObservation(arn, status)))

    @rule(fails=st.integers(0, 5))
    def launch(self, fails: int) -> None:
        session = self.session
        if fails == 0:
            self.tell(ev.LaunchFailed(session.launch, "No."))
        elif session.branch.base_sha is None:
            taken = ev.BranchNameTaken(session.branch_name)
            self.tell(taken if fails == 1 else ev.BranchMade(session.branch_name, "b" * 40))
        else:
            self.tell(ev.TaskStarted(session.launch, TaskObservation(f"arn:{session.launch}", "PROVISIONING")))

    @rule(again=st.booleans(), answer=st.sampled_from(["ask", "yes", "forged"]))
    def permission(self, again: bool, answer: str) -> None:
        self.number += 0 if again else 1
        working, permission_id = self.session.working_turn, f"p{self.number}"
        if answer == "ask" and working is not None:
            options = ({"option_id": "yes", "name": "Yes", "kind": "allow_once"},)
            launch = self.session.launch
            self.tell(ev.PermissionAsked(launch, working.turn_id, permission_id, "rm -rf x", options, 900))
        elif self.session.permissions:
            self.tell(ev.PermissionAnswered(self.session.permissions[-1].permission_id, answer, "U1"))

    @rule(back=st.integers(0, 3))
    def undo(self, back: int) -> None:
        self.number += 1
        turns = self.session.history[-1 - back :]
        if turns:
            self.tell(ev.UndoRequested(f"press:{self.number}", "U2", turns[0].turn_id))

    @rule(deleted=st.booleans())
    def tidy(self, deleted: bool) -> None:
        self.tell(ev.BranchTidied(deleted))

    @rule(opened=st.booleans())
    def pull_request(self, opened: bool) -> None:
        self.tell(ev.PullRequestOpened(1, "https://x.example/1") if opened else ev.PullRequestRefused("No commits."))

    @rule(
        state=st.sampled_from(["open", "open", "open", "merged", "closed"]),
        fails=st.booleans(),
        mergeable=st.sampled_from(["mergeable", "conflicting", "unknown"]),
        terms=st.sampled_from([PullRequestTerms(), PullRequestTerms(True, 2)]),
    )
    def look(self, state: str, fails: bool, mergeable: str, terms: PullRequestTerms) -> None:
        checks = FAILING if fails else ()
        seen = a_snapshot(number=1, state=state, checks=checks, mergeable=mergeable, head_sha="c" * 40)
        self.number += 1
        self.tell(ev.PullRequestObserved(seen, self.now * 1000 + self.number, terms))

    @rule(action=st.sampled_from(ACTIONS))
    def act(self, action: str) -> None:
        self.number += 1
        self.tell(ev.PullRequestActRequested(action, "U3", f"press:{self.number}", terms=PullRequestTerms(True)))

    @rule(done=st.booleans())
    def act_on_it(self, done: bool) -> None:
        for effect in owed(self.session):
            if isinstance(effect, ActOnPullRequest) and effect.action in AGENT_ACTIONS and done:
                self.tell(ev.PullRequestWorkPrepared(effect.act_id, "Mend it.", (7,)))
            elif isinstance(effect, ActOnPullRequest) and done:
                self.tell(ev.PullRequestActDone(effect.act_id, effect.action))
            elif isinstance(effect, ActOnPullRequest):
                self.tell(ev.PullRequestActRefused(effect.act_id, effect.action, "No."))
            elif isinstance(effect, AnswerReview):
                self.tell(ev.ReviewAnswered(effect.turn_id))
            elif isinstance(effect, LookForMergedBranch):
                self.tell(ev.MergedBranchSeen(done))
        assert not any(isinstance(effect, ActOnPullRequest | AnswerReview) for effect in owed(self.session))

    @rule()
    def thread_lost(self) -> None:
        self.tell(ev.ThreadLost("is_archived"))

    @rule()
    def deliver_what_is_owed_to_the_thread(self) -> None:
        for effect in owed(self.session):
            self.number += 1
            ts = f"{T0}.{self.number:06d}"
            if isinstance(effect, DeliverAnswer):
                self.told.append(effect.turn_id)
                self.tell(ev.AnswerPosted(effect.turn_id, ts))
            elif isinstance(effect, PostNotice):
                self.told += [turn.turn_id for turn in self.session.history if turn.told_by == effect.notice_id]
                self.tell(ev.NoticePosted(effect.notice_id, ts))
            elif isinstance(effect, ShowPermission):
                self.tell(ev.PermissionShown(effect.permission_id, ts))
            elif isinstance(effect, ClosePermission):
                self.tell(ev.PermissionTold(effect.permission_id))
            elif isinstance(effect, UpdateCard):
                self.tell(ev.CardTold(effect.card, ts))
            elif isinstance(effect, UpdatePullRequestCard):
                self.tell(ev.PullRequestCardTold(effect.card, ts, effect.card_number))
            elif isinstance(effect, RemoveOldCard):
                self.tell(ev.OldCardRemoved(effect.card_ts))
        if self.session.thread.lost is None:
            kinds = {type(effect) for effect in owed(self.session)}
            to_tell = {
                DeliverAnswer, PostNotice, UpdatePullRequestCard, RemoveOldCard, ShowPermission, ClosePermission,
            }  # fmt: skip
            assert not kinds & to_tell, "telling the thread does not end"

    # --------------------------------------------------------------------------------- what always holds

    @invariant()
    def one_turn_is_in_work_at_most_and_only_where_a_worker_is(self) -> None:
        working = [turn for turn in self.session.history if turn.state is TurnState.WORKING]
        assert len(working) <= (1 if self.session.status is Status.RUNNING else 0)
        assert all(turn.claimed_launch == self.session.launch for turn in working)

    @invariant()
    def a_question_stands_only_where_the_agent_waits(self) -> None:
        working = self.session.working_turn
        for question in self.session.permissions:
            if question.outcome is None:
                assert working is not None
                assert (question.turn_id, working.cancelled_at) == (working.turn_id, None)
        assert len(self.session.permissions) <= 5

    @invariant()
    def an_ended_turn_says_when(self) -> None:
        for turn in self.session.history:
            assert turn.state.is_ended == (turn.responded_at is not None)

    @invariant()
    def nothing_waits_in_a_session_that_is_over(self) -> None:
        assert self.session.status.is_live or not self.session.waiting_turns
        assert len(self.session.waiting_turns) <= 10

    @invariant()
    def each_ended_turn_is_told_or_owed_once(self) -> None:
        session = self.session
        assert len(self.told) == len(set(self.told)), "told twice"
        effects = owed(session)
        assert len(effects) == len(set(effects))
        if session.thread.lost is not None:
            return
        owing = {effect.turn_id for effect in effects if isinstance(effect, DeliverAnswer)}
        notices = {notice.notice_id for notice in session.thread.notices}
        for turn in session.history:
            ended, told = turn.state.is_ended, turn.response_ts is not None
            by_notice = turn.told_by in notices and not told
            untold = turn.told_by == WITHDRAWN or (turn.told_by is not None and self.forgetful)
            assert (turn.turn_id in owing) == (ended and not told and turn.told_by is None)
            assert not ended or told or by_notice or untold or turn.turn_id in owing

    @invariant()
    def a_session_that_is_over_owes_its_task_a_stop(self) -> None:
        session = self.session
        stops = [effect for effect in owed(session) if isinstance(effect, StopTask)]
        assert bool(stops) == (not session.status.is_live and session.ecs_task_arn is not None)

    @invariant()
    def over_means_it_says_how(self) -> None:
        assert (self.session.ended is None) == self.session.status.is_live
        assert (self.session.error_message is not None) == (self.session.status is Status.ERROR)

    @invariant()
    def it_can_be_stored_and_read(self) -> None:
        item, size_bytes = sized_item(self.session)
        assert from_item(item) == self.session
        assert size_bytes == item_size_bytes(item)

    @invariant()
    def what_is_owed_under_the_lease_is_known_without_the_card(self) -> None:
        session = from_item(to_item(self.session))
        is_owed = owes_lasting(session)
        assert is_owed == any(is_lasting(effect, session) for effect in owed(self.session))

    @invariant()
    def a_live_session_is_looked_at_again(self) -> None:
        assert not self.session.status.is_live or next_deadline(self.session, Limits()) is not None

    @invariant()
    def the_card_is_owed_until_it_is_told(self) -> None:
        session = self.session
        if session.thread.lost is None:
            drawn = tell(session, ev.CardTold(card_key(session), "1.1"))
            assert not any(isinstance(effect, UpdateCard) for effect in owed(drawn))


TestAnyCourse = AnyCourse.TestCase
TestAnyCourse.settings = settings(max_examples=100, stateful_step_count=40)
