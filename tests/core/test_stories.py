"""The main paths through a session, each told as what happens and what is owed then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slackbot.core import events as ev
from slackbot.core.card_key import card_key
from slackbot.core.effects import (
    DeliverAnswer,
    MakeBranch,
    OpenPullRequest,
    PostNotice,
    RunTask,
    StopTask,
    TidyBranch,
    UpdateCard,
    UpdatePullRequestCard,
    is_lasting,
    owed,
    stop_reason,
)
from slackbot.core.errors import Fenced, IllegalTransition, Refused, UsageError
from slackbot.core.limits import Limits
from slackbot.core.ports import TaskObservation
from slackbot.core.session import EndedBy, Session, Status, TurnState
from slackbot.core.transitions import decide
from slackbot.core.turn_rules import BY_CLOCK, follows_closely
from tests.core.builders import (
    T0,
    TASK_ARN,
    a_session,
    answered,
    ended_turn,
    failed,
    idle,
    observed,
    prompt,
    running,
    starting,
    stopped,
    tell,
    with_commit,
    working,
)

LIMITS = Limits()


def drawn(session: Session) -> Session:
    """The card shows what it should."""
    return tell(session, ev.CardTold(card_key(session), session.thread.thread_ts))


def owed_kinds(session: Session) -> list[str]:
    """What is owed, by name, the card aside."""
    return [type(effect).__name__ for effect in owed(session) if not isinstance(effect, UpdateCard)]


# ------------------------------------------------------------------------------------------- the main job


def test_from_start_to_answer() -> None:
    """A prompt becomes a branch, a task, a worker, an answer; at the end nothing is owed."""
    session = tell(a_session(), prompt(1))
    assert owed(session) == (UpdateCard(card_key(session)), MakeBranch(session.branch_name))

    session = tell(drawn(session), ev.BranchMade(session.branch_name, "b" * 40))
    assert owed(session)[1:] == (RunTask(session.launch),)

    session = tell(drawn(session), ev.TaskStarted(session.launch, TaskObservation(TASK_ARN, "PROVISIONING")))
    assert session.task.last_status == "PROVISIONING"
    assert owed_kinds(session) == []

    for status in ("PENDING", "ACTIVATING", "RUNNING"):
        session = tell(session, observed(session, status))
        assert session.task.last_status == status
        assert isinstance(owed(session)[0], UpdateCard)

    session = tell(session, ev.WorkerReady(session.launch, "https://editor.example"), now=T0 + 30)
    assert (session.status, session.editor_url) == (Status.RUNNING, "https://editor.example")

    session = tell(session, ev.TurnClaimed(session.launch, session.history[0].turn_id), now=T0 + 31)
    assert session.working_turn is session.history[0]

    session = tell(session, ended_turn(session, commit_sha="c" * 40, usage={"total_tokens": 5}), now=T0 + 60)
    turn = session.history[0]
    assert (turn.state, turn.response, turn.responded_at) == (TurnState.ANSWERED, "Done.", T0 + 60)
    assert DeliverAnswer(turn.turn_id) in owed(session)

    session = drawn(tell(session, ev.AnswerPosted(turn.turn_id, "1.5")))
    assert session.history[0].response_ts == "1.5"
    assert owed(session) == ()


def test_a_settled_session_owes_nothing() -> None:
    """Stopped, told, its task gone, its branch looked at: the reconciler has nothing to do, however often it looks."""
    session = stopped()
    notice = session.thread.notices[0]
    assert owed(session)[1:] == (PostNotice(notice.notice_id), TidyBranch(session.branch_name))
    session = drawn(tell(session, ev.NoticePosted(notice.notice_id, "1.6"), ev.BranchTidied(deleted=False)))
    assert owed(session) == ()
    assert owed(session) == owed(session)


def test_a_worker_that_is_ready_before_its_task_is_known() -> None:
    """A crash came between RunTask and its answer: the task is asked for again, so that it can be stopped."""
    session = tell(working(), now=T0 + 1)
    unknown = replace(session, ecs_task_arn=None)
    assert owed(unknown)[-1:] == (RunTask(session.launch),)
    assert not any(isinstance(effect, RunTask) for effect in owed(session))


def test_an_answer_that_is_longer_than_what_is_stored() -> None:
    """The worker brings it while it is there; when its task is gone, the thread is owed what is stored."""
    session = tell(working(), ended_turn(working(), response="x" * 50_000, held=True))
    turn = session.history[0]
    assert turn.shortened
    assert len((turn.response or "").encode()) <= 32 * 1024
    assert owed_kinds(session) == []
    over = tell(session, ev.StopRequested("U1"))
    assert over.history[0].state is TurnState.ANSWERED
    assert "DeliverAnswer" not in owed_kinds(over)
    gone = replace(over, ecs_task_arn=None)
    assert "DeliverAnswer" in owed_kinds(gone)
    told = tell(gone, ev.AnswerPosted(turn.turn_id, "1.7")).history[0]
    assert (told.response_ts, told.held) == ("1.7", False)


@pytest.mark.parametrize(
    ("wish", "then"),
    [
        (ev.StopRequested("U1", request_id="C1:5"), [ev.RetryRequested("C1:6", "U1")]),
        (ev.CancelRequested("U1", "C1:5"), []),
        (ev.PullRequestRequested("U1", "C1:5"), [ev.PullRequestOpened(3, "https://x.example/3")]),
        (ev.AsideSaid("hm", "C1:5"), []),
    ],
)
def test_a_wish_that_is_delivered_again_is_one_wish(wish: ev.Event, then: list[ev.Event]) -> None:
    """Whatever happened in between: what was carried out once is not carried out again."""
    session = tell(working(), wish, *then)
    assert tell(session, wish) is session


def test_the_card_is_lasting_only_when_it_is_the_first_or_the_last() -> None:
    """A live session's card is redrawn by whoever changes it; the first and the last picture must be known to stand."""
    session = starting()
    update = UpdateCard("x")
    assert is_lasting(update, session)
    assert not is_lasting(update, drawn(session))
    assert is_lasting(update, drawn(stopped()))
    assert is_lasting(RunTask(1), drawn(session))


# ------------------------------------------------------------------------------------- ends and beginnings


@pytest.mark.parametrize("reason", ["idle", "age"])
def test_a_reply_wakes_a_session_that_stopped_itself(reason: str) -> None:
    """It gets a new launch and a new task on the same branch; the prompt waits for it."""
    session = tell(answered(), ev.WorkerLeft(answered().launch, reason), now=T0 + 2000)
    assert session.status is Status.STOPPED
    woken = tell(session, prompt(2), now=T0 + 3000)
    assert woken.status is Status.STARTING
    assert woken.launch == (T0 + 3000) * 1000
    assert woken.ended is None
    assert woken.ecs_task_arn is None
    assert woken.waiting_turns == (woken.history[-1],)
    assert RunTask(woken.launch) in owed(woken)


def test_a_woken_session_whose_branch_was_removed_makes_it_again() -> None:
    """An empty branch is deleted at the end; the next launch needs it."""
    session = tell(idle(), ev.BranchTidied(deleted=True))
    assert TidyBranch(session.branch_name) not in owed(session)
    woken = tell(session, prompt(2), now=T0 + 3000)
    assert MakeBranch(woken.branch_name) in owed(woken)


def test_a_session_started_again_while_its_branch_was_removed_makes_it_again() -> None:
    """Retry came between the deletion and its record: without a new branch the worker would find none."""
    again = tell(idle(), prompt(2), now=T0 + 3000)
    assert RunTask(again.launch) in owed(again)
    bare = tell(again, ev.BranchTidied(deleted=True), now=T0 + 3000)
    assert MakeBranch(bare.branch_name) in owed(bare)
    assert RunTask(bare.launch) not in owed(bare)
    assert tell(again, ev.BranchTidied(deleted=False), now=T0 + 3000) == again


def test_a_launch_always_grows() -> None:
    """Also when the clock stands still or goes back: no token of an older launch is ever right again."""
    session = idle()
    assert tell(session, prompt(2), now=T0 - 50).launch == session.launch + 1


def test_a_reply_after_a_persons_stop_is_kept_and_retry_runs_it() -> None:
    """It is not run, the thread is told so, and Retry starts the session with it."""
    session = tell(stopped(), prompt(2, "and now this", user_id="U0000003"), now=T0 + 200)
    kept = session.history[-1]
    assert session.status is Status.STOPPED
    assert (kept.state, kept.responded_at) == (TurnState.CANCELLED, T0 + 200)
    assert "was stopped" in (kept.response or "")
    assert DeliverAnswer(kept.turn_id) in owed(session)

    again = tell(session, ev.RetryRequested("press:1", "U0000004"), now=T0 + 300)
    assert again.status is Status.STARTING
    new = again.history[-1]
    assert (new.prompt, new.user_id, new.state) == ("and now this", "U0000004", TurnState.QUEUED)
    assert new.prompt_ts == kept.prompt_ts
    assert tell(again, ev.RetryRequested("press:1", "U0000004")) is again


def test_a_reply_after_an_error_is_kept() -> None:
    """The sentence says that the session ended with an error, not that somebody stopped it."""
    session = tell(failed(), prompt(2), now=T0 + 200)
    assert session.status is Status.ERROR
    assert "ended with an error" in (session.history[-1].response or "")


def test_a_kept_prompt_without_a_known_end() -> None:
    """An item that does not say how its session ended counts as an error: kept, not woken."""
    session = tell(a_session(status=Status.STOPPED), prompt(1))
    assert session.history[0].state is TurnState.CANCELLED


def test_a_retry_of_a_running_session() -> None:
    """A failed prompt is queued again without a new launch."""
    session = tell(working(), ended_turn(working(), state=TurnState.FAILED, response="It broke."))
    again = tell(session, ev.RetryRequested("press:1", "U1"))
    assert again.status is Status.RUNNING
    assert again.launch == session.launch
    assert [turn.state for turn in again.history] == [TurnState.FAILED, TurnState.QUEUED]


def test_retry_pressed_twice_is_one_retry() -> None:
    """Two presses are two events, but the prompt waits already."""
    session = tell(failed(), ev.RetryRequested("press:1", "U1"), now=T0 + 100)
    again = tell(session, ev.RetryRequested("press:2", "U2"), now=T0 + 101)
    assert again.history == session.history


def test_a_late_press_of_a_retry_that_was_stopped_meanwhile() -> None:
    """The press was counted before; delivered again, it starts nothing."""
    session = tell(failed(), ev.RetryRequested("press:1", "U1"), now=T0 + 100)
    over = tell(session, ev.StopRequested("U1"), now=T0 + 110)
    assert tell(over, ev.RetryRequested("press:1", "U1"), now=T0 + 111) is over


def test_retry_under_a_message_runs_the_prompt_that_it_tells_of() -> None:
    """Two prompts are kept, each with its own Retry; the older one's runs the older one, also after the younger."""
    session = tell(stopped(), prompt(2, "the older"), prompt(3, "the younger"), now=T0 + 200)
    older, younger = session.history[-2:]
    session = tell(session, ev.AnswerPosted(older.turn_id, "7.1"), ev.AnswerPosted(younger.turn_id, "7.2"))
    assert tell(session, ev.RetryRequested("press:1", "U1", "7.1")).history[-1].prompt == "the older"
    assert tell(session, ev.RetryRequested("press:1", "U1", "7.2")).history[-1].prompt == "the younger"
    assert tell(session, ev.RetryRequested("press:1", "U1", "9.9")).history[-1].prompt == "the younger"

    session = tell(session, ev.RetryRequested("press:1", "U1", "7.2"))
    run = replace(session.history[-1], state=TurnState.ANSWERED, response="Done.", response_ts="7.3")
    session = replace(session.with_turn(run), status=Status.RUNNING)
    with pytest.raises(UsageError, match="The last prompt was answered"):
        decide(session, ev.RetryRequested("press:2", "U1", "7.2"), T0)
    assert tell(session, ev.RetryRequested("press:2", "U1", "7.1")).history[-1].prompt == "the older"


def test_nothing_to_retry() -> None:
    """The last prompt was answered: told in words, nothing changes."""
    with pytest.raises(UsageError, match="nothing to run again"):
        decide(answered(), ev.RetryRequested("press:1", "U1"), T0)


def test_a_withdrawn_prompt_is_not_retried() -> None:
    """Who deleted a waiting prompt does not want it run by Retry."""
    session = tell(working(), prompt(2), ev.PromptDeleted(f"{T0}.000002"))
    session = tell(session, ended_turn(session, state=TurnState.FAILED), ev.StopRequested("U1"))
    again = session.retryable_turn()
    assert again is not None
    assert again.turn_id == session.history[0].turn_id


def test_an_error_ends_all_turns_with_one_notice() -> None:
    """The turn in work has failed, those waiting are kept; one message tells all of them."""
    session = tell(working(), prompt(2), prompt(3))
    session = tell(session, observed(session, "STOPPED", exit_code=137))
    assert [turn.state for turn in session.history] == [TurnState.FAILED, TurnState.CANCELLED, TurnState.CANCELLED]
    (notice,) = session.thread.notices
    assert (notice.kind, notice.values["waiting"]) == ("failed", "2")
    assert notice.values["working"] == session.history[0].turn_id
    assert notice.values["summary"] == session.error_message
    assert owed_kinds(session) == ["PostNotice", "TidyBranch"]
    told = tell(session, ev.NoticePosted(notice.notice_id, "1.8"))
    assert {turn.response_ts for turn in told.history} == {"1.8"}
    assert owed_kinds(told) == ["TidyBranch"]


def test_a_person_stops_in_the_middle_of_a_prompt() -> None:
    """The turn in work ends cancelled, its task is owed a stop, and the notice names the person."""
    session = tell(working(), ev.StopRequested("U0000009"), now=T0 + 50)
    assert session.history[0].state is TurnState.CANCELLED
    assert session.ended is not None
    assert (session.ended.by, session.ended.user_id) == (EndedBy.PERSON, "U0000009")
    assert session.thread.notices[0].values["user_id"] == "U0000009"
    assert StopTask(TASK_ARN, stop_reason(session)) in owed(session)
    assert "person" in stop_reason(session)
    assert "U0000009" not in stop_reason(session)
    with pytest.raises(IllegalTransition):
        decide(session, ev.StopRequested("U1"), T0 + 51)


def test_a_shutdown_names_nobody_and_a_reply_wakes() -> None:
    """The bot itself went away: nobody stopped the session."""
    session = tell(answered(), ev.StopRequested(None, EndedBy.SHUTDOWN))
    assert "user_id" not in session.thread.notices[0].values
    assert tell(session, prompt(2)).status is Status.STARTING


def test_stop_reason_of_a_session_whose_end_is_not_known() -> None:
    """An item of another version: the task is stopped all the same."""
    assert "failure" in stop_reason(a_session(status=Status.STOPPED))


# ------------------------------------------------------------------------------------------- turns


def test_ten_wait_and_the_eleventh_is_refused() -> None:
    """Refused in words, nothing changes; a Retry is no way round it."""
    session = tell(working(), *(prompt(n) for n in range(2, 12)))
    assert len(session.waiting_turns) == 10
    with pytest.raises(Refused, match="10 prompts wait"):
        decide(session, prompt(12), T0)
    broken = tell(session, ended_turn(session, state=TurnState.FAILED))
    with pytest.raises(Refused, match="10 prompts wait"):
        decide(broken, ev.RetryRequested("press:1", "U1"), T0)


def test_turns_are_taken_in_order() -> None:
    """Only the first that waits, only when none is in work; the one that was taken is given again."""
    session = tell(running(), prompt(2))
    first, second = session.history
    with pytest.raises(IllegalTransition, match="not the next"):
        decide(session, ev.TurnClaimed(session.launch, second.turn_id), T0)
    with pytest.raises(IllegalTransition, match="not the next"):
        decide(session, ev.TurnClaimed(session.launch, "none"), T0)
    session = tell(session, ev.TurnClaimed(session.launch, first.turn_id))
    assert tell(session, ev.TurnClaimed(session.launch, first.turn_id)) is session
    with pytest.raises(IllegalTransition, match="not the next"):
        decide(session, ev.TurnClaimed(session.launch, second.turn_id), T0)
    with pytest.raises(IllegalTransition, match="never given"):
        decide(session, ev.TurnEnded(session.launch, second.turn_id, TurnState.ANSWERED, ""), T0)


def test_an_old_worker_is_fenced() -> None:
    """After a relaunch the worker of before is refused, whatever it brings; a late RunTask changes nothing."""
    old = idle()
    session = tell(old, prompt(2), now=T0 + 3000)
    for event in (ev.WorkerReady(old.launch), ev.TurnClaimed(old.launch, "x"), ev.WorkerHeard(old.launch)):
        with pytest.raises((Fenced, IllegalTransition)):
            decide(session, event, T0 + 3001)
    assert decide(session, ev.TaskStarted(old.launch, TaskObservation("arn:old", "PENDING")), T0 + 3001) is session


def test_an_answer_after_the_stop_changes_nothing() -> None:
    """The turn ended with the session; its worker's late word is taken and dropped."""
    before = working()
    session = tell(before, ev.StopRequested("U1"))
    assert tell(session, ended_turn(before)) is session


def test_cancel_the_turn_in_work() -> None:
    """The worker is told; the turn ends when it confirms. Asking twice is asking once."""
    session = tell(working(), ev.CancelRequested("U0000005"), now=T0 + 10)
    turn = session.working_turn
    assert turn is not None
    assert (turn.cancelled_by, turn.cancelled_at) == ("U0000005", T0 + 10)
    assert tell(session, ev.CancelRequested("U0000006"), now=T0 + 11) is session
    session = tell(session, ended_turn(session, state=TurnState.CANCELLED, response=""))
    assert session.history[0].state is TurnState.CANCELLED
    assert session.history[0].cancelled_by == "U0000005"


def test_cancel_the_next_turn_when_none_is_in_work() -> None:
    """While the session starts, the prompt that would be next is withdrawn, and the thread is told."""
    session = tell(starting(), ev.CancelRequested("U0000005"))
    assert session.history[0].state is TurnState.CANCELLED
    assert owed_kinds(session) == ["DeliverAnswer"]


def test_cancel_when_there_is_nothing() -> None:
    """Told in words."""
    with pytest.raises(UsageError, match="nothing to cancel"):
        decide(answered(), ev.CancelRequested("U1"), T0)


def test_edits_and_deletions_of_waiting_prompts() -> None:
    """A waiting prompt follows its message; one in work stays as it was run."""
    session = tell(working(), prompt(2, "frist"))
    edited = tell(session, ev.PromptEdited(f"{T0}.000002", "first"))
    assert edited.history[1].prompt == "first"
    assert tell(edited, ev.PromptEdited(f"{T0}.000002", "first")) is edited
    assert tell(edited, ev.PromptEdited(f"{T0}.000001", "too late")) is edited
    deleted = tell(edited, ev.PromptDeleted(f"{T0}.000002"))
    assert deleted.history[1].state is TurnState.CANCELLED
    assert owed_kinds(deleted) == []
    assert tell(deleted, ev.PromptDeleted(f"{T0}.000001")) is deleted


def test_asides_go_along_with_the_next_prompt() -> None:
    """The newest twenty, each bounded; then they are forgotten."""
    session = tell(answered(), *(ev.AsideSaid(f"aside {n}") for n in range(25)), ev.AsideSaid("x" * 5000))
    assert len(session.asides) == 20
    assert len(session.asides[-1]) <= 1024
    asked = tell(session, prompt(2))
    assert asked.history[-1].context == session.asides
    assert asked.asides == ()


def test_a_message_older_than_what_was_dropped_is_known() -> None:
    """A turn that had to leave the history is not taken for a new one when Slack delivers it again."""
    session = answered()
    session = a_session(status=session.status, dropped_ts=f"{T0}.000005", launch=session.launch)
    assert tell(session, prompt(4)) is session
    assert tell(session, prompt(5)) is session
    assert tell(session, prompt(6)).history[-1].turn_id == prompt(6).turn_id


# --------------------------------------------------------------------------------------- the worker leaves


def test_a_worker_that_left_with_a_prompt_waiting_is_replaced() -> None:
    """The prompt came in while it was packing: a greater launch takes it."""
    session = tell(answered(), prompt(2))
    again = tell(session, ev.WorkerLeft(session.launch, "idle"), now=T0 + 100)
    assert again.status is Status.STARTING
    assert again.launch > session.launch
    assert again.history[-1].state is TurnState.QUEUED
    assert again.thread.notices == ()


def test_a_worker_that_left_in_the_middle_of_a_turn_is_replaced() -> None:
    """The turn in work has failed and is told; the one that waits is not held up by it."""
    session = tell(working(), prompt(2))
    again = tell(session, ev.WorkerLeft(session.launch, "age"), now=T0 + 100)
    assert again.status is Status.STARTING
    assert [turn.state for turn in again.history] == [TurnState.FAILED, TurnState.QUEUED]
    assert DeliverAnswer(again.history[0].turn_id) in owed(again)


@pytest.mark.parametrize(
    ("reason", "detail", "summary", "remedy"),
    [
        ("signal", "", "told to stop by its machine", "Press Retry"),
        ("failure", "", "without saying why", "task's log"),
        ("failure", "The agent `claude` is not installed.", "not installed", ""),
    ],
)
def test_a_worker_that_gives_up(reason: str, detail: str, summary: str, remedy: str) -> None:
    """Its own words where it has some, else what to look into."""
    session = tell(working(), ev.WorkerLeft(working().launch, reason, detail))
    assert session.status is Status.ERROR
    assert summary in (session.error_message or "")
    assert remedy in (session.error_remedy or "")


def test_a_worker_that_leaves_a_stopped_session() -> None:
    """It was told to; nothing changes."""
    session = tell(answered(), ev.StopRequested("U1"))
    assert tell(session, ev.WorkerLeft(session.launch, "signal")) is session


def test_that_a_worker_is_alive_is_stored_once_a_minute() -> None:
    """More would be a write every few seconds."""
    session = tell(starting(), ev.WorkerHeard(starting().launch), now=T0 + 5)
    assert session.task.alive_at == T0 + 5
    assert tell(session, ev.WorkerHeard(session.launch), now=T0 + 64) is session
    assert tell(session, ev.WorkerHeard(session.launch), now=T0 + 65).task.alive_at == T0 + 65


def test_a_worker_that_says_ready_again_may_name_its_editor() -> None:
    """A repeated ready changes nothing but the address."""
    session = running()
    assert tell(session, ev.WorkerReady(session.launch)) is session
    assert tell(session, ev.WorkerReady(session.launch, "https://e.example")).editor_url == "https://e.example"


# ------------------------------------------------------------------------------------------ the task


def test_another_task_is_passed_over() -> None:
    """Only the session's own task moves it."""
    session = running()
    assert tell(session, ev.TaskObserved(session.launch, TaskObservation("arn:other", "STOPPED"))) is session


def test_a_task_that_is_seen_as_it_was_changes_nothing() -> None:
    """So a bot that starts writes no item for it, whatever number of sessions is live."""
    session = tell(running(), observed(running(), "RUNNING"))
    assert tell(session, observed(session, "RUNNING")) is session
    assert tell(session, observed(session, "STOPPING")) is not session


def test_a_task_that_is_not_known_yet() -> None:
    """Right after RunTask the system may not know it; a minute later it is gone."""
    session = starting()
    assert tell(session, observed(session, "MISSING"), now=T0 + 59) is session
    lost = tell(session, observed(session, "MISSING"), now=T0 + 60)
    assert lost.status is Status.ERROR
    assert "gone" in (lost.error_message or "")


def test_a_task_of_a_stopped_session_is_watched_to_its_end() -> None:
    """It is owed a stop until it is stopped; then the branch is looked at, once."""
    session = tell(answered(), ev.StopRequested("U1"))
    assert owed_kinds(session) == ["PostNotice", "StopTask"]
    session = tell(session, observed(session, "DEPROVISIONING"))
    assert session.task.last_status == "DEPROVISIONING"
    assert owed_kinds(session) == ["PostNotice", "StopTask"]
    session = tell(session, observed(session, "STOPPED", stop_code="UserInitiated"))
    assert session.status is Status.STOPPED
    assert owed_kinds(session) == ["PostNotice", "TidyBranch"]


def test_a_task_that_started_after_the_stop_is_stopped() -> None:
    """RunTask answered too late: the task is known and owed a stop."""
    session = tell(a_session(), prompt(1), ev.BranchMade("devflow/x", "a" * 40), ev.StopRequested("U1"))
    session = tell(session, ev.TaskStarted(session.launch, TaskObservation(TASK_ARN, "PENDING")))
    assert "StopTask" in owed_kinds(session)


def test_a_launch_that_fails() -> None:
    """The person reads what and what to do."""
    session = tell(starting(), ev.LaunchFailed(starting().launch, "The cluster is unknown.", "Check the settings."))
    assert session.status is Status.ERROR
    assert (session.error_message, session.error_remedy) == ("The cluster is unknown.", "Check the settings.")


# -------------------------------------------------------------------------------- branch and pull request


def test_branch_names_that_are_taken() -> None:
    """The second name is flat, for a branch `devflow` forbids all below it; when nine are taken, that is an error."""
    session = tell(a_session(branch_name="devflow/fix-it-0b0c"), prompt(1))
    names = [session.branch_name]
    for _ in range(8):
        session = tell(session, ev.BranchNameTaken(session.branch_name))
        names.append(session.branch_name)
    assert names[1:4] == ["devflow-fix-it-0b0c-2", "devflow-fix-it-0b0c-3", "devflow-fix-it-0b0c-4"]
    assert len(set(names)) == 9
    assert tell(session, ev.BranchNameTaken(names[0])) is session
    session = tell(session, ev.BranchNameTaken(session.branch_name))
    assert session.status is Status.ERROR
    assert names[-1] in (session.error_message or "")


def test_a_pull_request_is_asked_for_and_opened() -> None:
    """Owed until it is open; its card says so; asked again, the card comes to the end and the old one goes."""
    session = tell(with_commit(), ev.PullRequestRequested("U0000007"), now=T0 + 70)
    assert OpenPullRequest(T0 + 70) in owed(session)
    assert tell(session, ev.PullRequestRequested("U0000008"), now=T0 + 71) is session
    session = tell(session, ev.PullRequestOpened(12, "https://github.com/acme/shop/pull/12"))
    assert session.has_open_pull_request
    assert session.pull_request.opened_by == "U0000007"
    (card,) = (effect for effect in owed(session) if isinstance(effect, UpdatePullRequestCard))
    session = tell(session, ev.PullRequestCardTold(card.card, "5.5", card.card_number))
    assert owed_kinds(session) == []

    again = tell(session, ev.PullRequestRequested("U0000008"))
    assert owed_kinds(again) == ["UpdatePullRequestCard", "RemoveOldCard"]
    assert again.pull_request.requested_at is None


def test_a_pull_request_is_refused() -> None:
    """Nothing is owed any more but the sentence, and the button may be pressed again."""
    session = tell(answered(), ev.PullRequestRequested("U1"), ev.PullRequestRefused("No commits yet."))
    assert session.pull_request.requested_at is None
    assert session.thread.notices[-1].values == {"summary": "No commits yet."}
    assert tell(session, ev.PullRequestRequested("U1")).pull_request.requested_by == "U1"


def test_a_pull_request_needs_a_branch() -> None:
    """Told in words."""
    with pytest.raises(UsageError, match="no branch yet"):
        decide(a_session(), ev.PullRequestRequested("U1"), T0)


def test_a_branch_with_a_pull_request_is_left_alone() -> None:
    """Neither when it is open nor while it is asked for."""
    session = tell(with_commit(), ev.PullRequestRequested("U1"), ev.StopRequested("U1"))
    session = tell(session, observed(session, "STOPPED"))
    assert owed_kinds(session) == ["PostNotice", "OpenPullRequest"]
    session = tell(session, ev.PullRequestOpened(1, "https://x.example/1"))
    assert owed_kinds(session) == ["UpdatePullRequestCard", "PostNotice"]


# ---------------------------------------------------------------------------------------- a lost thread


@pytest.mark.parametrize("begin", [starting, working])
def test_a_thread_that_cannot_be_posted_in(begin: object) -> None:
    """The session ends, nothing is owed to the thread, and its task is stopped."""
    session = tell(begin(), ev.ThreadLost("is_archived"))  # type: ignore[operator]
    assert session.status is Status.STOPPED
    assert owed(session) == (StopTask(TASK_ARN, stop_reason(session)),)
    assert tell(session, ev.ThreadLost("is_archived")).status is Status.STOPPED
    assert tell(session, ev.PullRequestRefused("No.")).thread.notices == ()


def test_a_lost_thread_is_found_again() -> None:
    """Somebody writes in it, so it can be posted in: what is owed is owed again."""
    session = tell(working(), ev.ThreadLost("is_archived"))
    session = tell(session, prompt(2))
    assert session.thread.lost is None
    assert DeliverAnswer(session.history[-1].turn_id) in owed(session)
    lost = tell(session, ev.ThreadLost("is_archived"))
    again = tell(lost, ev.RetryRequested("press:1", "U1"), now=T0 + 100)
    assert (again.status, again.thread.lost) == (Status.STARTING, None)


def test_a_session_with_a_lost_thread_can_fail() -> None:
    """Its end has no notice then, and is no crash."""
    session = starting()
    session = a_session(thread=tell(session, ev.ThreadLost("x")).thread, history=session.history)
    over = tell(session, ev.LaunchFailed(session.launch, "No."))
    assert over.status is Status.ERROR
    assert over.history[0].state is TurnState.CANCELLED


# ----------------------------------------------------------------------------------------------- the clock


def test_a_worker_that_is_never_ready() -> None:
    """Up to the limit nothing happens; after it the session fails in words."""
    session = starting()
    assert tell(session, ev.TimePassed(), now=T0 + 600) is session
    late = tell(session, ev.TimePassed(), now=T0 + 601)
    assert late.status is Status.ERROR
    assert "10 minutes" in (late.error_message or "")


def test_a_worker_that_falls_silent() -> None:
    """Only when somebody was there to hear it."""
    session = running()
    assert tell(session, ev.TimePassed(), now=T0 + 180) is session
    assert tell(session, ev.TimePassed(listening_since=T0 + 100), now=T0 + 200) is session
    assert tell(session, ev.TimePassed(), now=T0 + 181).status is Status.ERROR


def heard(session: Session, now: int) -> Session:
    return tell(session, ev.WorkerHeard(session.launch), now=now)


def test_a_turn_past_its_time_is_cancelled_and_then_ended() -> None:
    """First the worker is told; if it does not confirm, the turn has failed without it."""
    late = T0 + LIMITS.turn_seconds + LIMITS.grace_seconds
    session = heard(working(), late)
    assert tell(session, ev.TimePassed(), now=late) is session
    session = tell(session, ev.TimePassed(), now=late + 1)
    turn = session.working_turn
    assert turn is not None
    assert turn.cancelled_by == BY_CLOCK
    assert tell(session, ev.TimePassed(), now=late + 1 + LIMITS.cancel_seconds) is session
    session = tell(session, ev.TimePassed(), now=late + 2 + LIMITS.cancel_seconds)
    assert session.history[0].state is TurnState.FAILED
    assert "60 minutes" in (session.history[0].response or "")
    assert session.status is Status.RUNNING


def test_a_cancel_nobody_confirms() -> None:
    """The turn ends as cancelled, with a word about what may have been done."""
    session = heard(tell(working(), ev.CancelRequested("U1")), T0 + 60)
    session = tell(session, ev.TimePassed(), now=T0 + 61)
    assert session.history[0].state is TurnState.CANCELLED
    assert "did not confirm" in (session.history[0].response or "")


def test_idle_and_age() -> None:
    """A session that nobody uses, or that ran too long, ends; never while a prompt is there."""
    session = answered()
    idle_at = T0 + 60 + LIMITS.idle_seconds + LIMITS.grace_seconds
    assert tell(heard(session, idle_at), ev.TimePassed(), now=idle_at).status is Status.RUNNING
    over = tell(heard(session, idle_at), ev.TimePassed(), now=idle_at + 1)
    assert over.ended is not None
    assert over.ended.by is EndedBy.IDLE

    old = T0 + LIMITS.max_session_seconds + LIMITS.grace_seconds + 1
    limits = Limits(idle_seconds=10**6)
    over = tell(heard(session, old), ev.TimePassed(limits), now=old)
    assert over.ended is not None
    assert over.ended.by is EndedBy.AGE
    waiting = heard(tell(session, prompt(2)), old)
    assert tell(waiting, ev.TimePassed(), now=old) is waiting


def test_time_does_nothing_to_what_is_over() -> None:
    """A stopped session stays as it is."""
    assert tell(stopped(), ev.TimePassed(), now=T0 + 10**6) == stopped()


def test_what_was_written_in_one_breath_may_miss_one_of_it() -> None:
    """Only what waits, only within a second, and not what is run again."""
    session = tell(running(), prompt(2), prompt(500_000))
    _, second, third = session.history
    assert [follows_closely(session, turn) for turn in session.history] == [False, True, True]
    late = tell(session, ev.PromptReceived("C0000001:1790000009.000000", "U1", "later", "1790000009.000000"))
    assert not follows_closely(late, late.history[-1])
    again = replace(session, history=(replace(second, turn_id="press:1"), second, replace(third, prompt_ts=None)))
    assert [follows_closely(again, turn) for turn in again.history] == [False, False, False]
    assert not follows_closely(session, replace(second, state=TurnState.WORKING))
    done = replace(session, history=(replace(session.history[0], state=TurnState.ANSWERED), second))
    assert not follows_closely(done, second), "who has read the answer writes something new"
