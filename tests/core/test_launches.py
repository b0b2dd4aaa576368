"""Launches that passing faults end, launches that must wait, tasks that fall ill: what the session makes of them."""

from __future__ import annotations

import pytest

from slackbot.core import events as ev
from slackbot.core.card_key import card_key
from slackbot.core.effects import RunTask, StopTask, UpdateCard, owed
from slackbot.core.item import from_item, to_item
from slackbot.core.limits import Limits
from slackbot.core.ports import TaskObservation
from slackbot.core.session import Session, Status, TurnState
from slackbot.core.task_rules import MAX_LAUNCHES
from slackbot.core.transitions import decide
from tests.core.builders import T0, TASK_ARN, a_session, observed, prompt, running, starting, tell, working

SPOT = {"stop_code": "SpotInterruption", "stopped_reason": "Your Spot Task was interrupted."}
BROKEN = {"stop_code": "TaskFailedToStart", "stopped_reason": "CannotStartContainerError: no such file"}


def lost(session: Session, number: int, **fault: str) -> Session:
    """Its n-th task was started, and stopped by a fault before the worker was ready."""
    now = T0 + 10 * number
    task = TaskObservation(f"{TASK_ARN}{number}", "PROVISIONING", log_url=f"https://logs.example/{number}")
    session = tell(session, ev.TaskStarted(session.launch, task), now=now)
    return tell(session, observed(session, "STOPPED", **(fault or SPOT)), now=now + 5)


def begun() -> Session:
    """A branch, a prompt that waits, no task yet."""
    session = a_session()
    return tell(session, prompt(1), ev.BranchMade(session.branch_name, "b" * 40))


def test_a_passing_fault_before_anything_was_claimed_is_another_launch() -> None:
    """The prompts wait on; the card says which attempt this is and why; nothing is owed but card and task."""
    first = begun()
    session = lost(first, 1)
    assert session.status is Status.STARTING
    assert session.launch > first.launch
    assert [turn.state for turn in session.history] == [TurnState.QUEUED]
    assert session.task.failed_launches == 1
    assert "Spot capacity" in (session.task.launch_fault or "")
    assert session.thread.notices == ()
    assert owed(session) == (UpdateCard(card_key(session)), RunTask(session.launch))
    assert from_item(to_item(session)) == session


def test_the_last_attempt_is_told_as_an_error() -> None:
    """With what happened and the log of the last task; a Retry begins to count anew."""
    session = begun()
    for number in range(1, MAX_LAUNCHES):
        session = lost(session, number)
        assert session.status is Status.STARTING
    session = lost(session, MAX_LAUNCHES)
    assert session.status is Status.ERROR
    assert "Spot capacity" in (session.error_message or "")
    (notice,) = session.thread.notices
    assert notice.values["log_url"] == f"https://logs.example/{MAX_LAUNCHES}"
    again = tell(session, ev.RetryRequested("press:1", "U1"), now=T0 + 100)
    assert (again.status, again.task.failed_launches, again.task.launch_fault) == (Status.STARTING, 0, None)
    assert lost(again, 12).status is Status.STARTING


def test_what_would_fail_again_is_an_error_at_once() -> None:
    """A program that is missing will be missing; neither will a stop by hand be undone."""
    assert lost(begun(), 1, **BROKEN).status is Status.ERROR
    assert lost(begun(), 1, stop_code="UserInitiated", stopped_reason="by hand").status is Status.ERROR
    session = lost(begun(), 1)
    assert lost(session, 2, **BROKEN).status is Status.ERROR


def test_after_the_worker_was_ready_nothing_is_repeated_unasked() -> None:
    """A turn may have been claimed, so the same fault is an error; and the count is forgotten."""
    for session in (running(), working()):
        ended = tell(session, observed(session, "STOPPED", **SPOT), now=T0 + 60)
        assert ended.status is Status.ERROR
    second = lost(begun(), 1)
    started = TaskObservation(TASK_ARN, "PENDING")
    ready = tell(second, ev.TaskStarted(second.launch, started), ev.WorkerReady(second.launch), now=T0 + 90)
    assert (ready.task.failed_launches, ready.task.launch_fault) == (0, None)


def test_a_task_that_is_gone_while_starting_is_no_passing_fault() -> None:
    """Nobody knows what it did."""
    session = starting()
    assert tell(session, observed(session, "MISSING"), now=T0 + 61).status is Status.ERROR


def test_the_minute_of_not_known_yet_begins_when_the_task_was_asked_for() -> None:
    """Not when the launch began: a slow code host may have taken that minute for the branch."""
    session = begun()
    session = tell(session, ev.TaskStarted(session.launch, TaskObservation(TASK_ARN, "PROVISIONING")), now=T0 + 300)
    assert decide(session, observed(session, "MISSING"), T0 + 359) is session
    assert tell(session, observed(session, "MISSING"), now=T0 + 360).status is Status.ERROR


@pytest.mark.parametrize("begin", [starting, running, working])
def test_an_unhealthy_task_ends_the_session_and_is_owed_a_stop(begin: object) -> None:
    """ECS lets it run on; DevFlow tells the thread and stops it."""
    session: Session = begin()  # type: ignore[operator]
    session = tell(session, observed(session, "RUNNING", health_status="UNHEALTHY"), now=T0 + 60)
    assert session.status is Status.ERROR
    assert "unhealthy" in (session.error_message or "")
    assert session.ecs_task_arn == TASK_ARN
    assert any(isinstance(effect, StopTask) and effect.task_arn == TASK_ARN for effect in owed(session))
    (notice,) = session.thread.notices
    assert notice.kind == "failed"


def test_health_of_what_is_over_or_well() -> None:
    """A healthy task, one of unknown health, and one of a session that is over change nothing."""
    session = running()
    for health in ("HEALTHY", "UNKNOWN", None):
        assert tell(session, observed(session, "RUNNING", health_status=health)).status is Status.RUNNING
    over = tell(running(), ev.StopRequested("U1"))
    assert over.ecs_task_arn == TASK_ARN
    assert tell(over, observed(over, "RUNNING", health_status="UNHEALTHY")).status is Status.STOPPED


# -------------------------------------------------------------------------------------------- waiting


def test_a_launch_that_must_wait_says_why() -> None:
    """Once for each reason; the task, once it is there, ends the wait."""
    session = begun()
    delayed = tell(session, ev.LaunchDelayed(session.launch, "There is no room."))
    assert delayed.task.delayed_by == "There is no room."
    assert card_key(delayed) != card_key(session)
    assert decide(delayed, ev.LaunchDelayed(session.launch, "There is no room."), T0) is delayed
    there = tell(delayed, ev.TaskStarted(session.launch, TaskObservation(TASK_ARN, "PENDING")))
    assert there.task.delayed_by is None
    assert decide(there, ev.LaunchDelayed(session.launch, "late news"), T0) is there


def test_a_launch_that_waits_too_long_ends_with_what_kept_it() -> None:
    """Not with advice to read the log of a task that never was."""
    limits = Limits()
    session = begun()
    session = tell(session, ev.LaunchDelayed(session.launch, "There is no room."))
    over = tell(session, ev.TimePassed(limits), now=T0 + limits.start_seconds + 1)
    assert over.status is Status.ERROR
    assert over.error_message == "The worker's task could not be started within 10 minutes. There is no room."
    assert "Retry" in (over.error_remedy or "")


# ---------------------------------------------------------------------------------------------- the log


def test_the_log_is_kept_with_the_task() -> None:
    """A look that does not name it forgets nothing; a new launch does."""
    session = begun()
    task = TaskObservation(TASK_ARN, "PENDING", log_url="https://logs.example/1")
    session = tell(session, ev.TaskStarted(session.launch, task))
    session = tell(session, observed(session, "RUNNING"), ev.WorkerReady(session.launch))
    assert session.task.log_url == "https://logs.example/1"
    ended = tell(session, observed(session, "STOPPED", exit_code=3), now=T0 + 60)
    assert ended.thread.notices[0].values["log_url"] == "https://logs.example/1"
    assert tell(ended, ev.RetryRequested("press:1", "U1"), now=T0 + 70).task.log_url is None
