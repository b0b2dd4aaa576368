"""Several waiting prompts of one person are one piece of work; one that is wanted now goes first."""

from __future__ import annotations

import pytest

from slackbot.core import events as ev
from slackbot.core.effects import DeliverAnswer, owed
from slackbot.core.errors import IllegalTransition, Refused, UsageError
from slackbot.core.item import from_item, to_item
from slackbot.core.session import Session, TurnState
from slackbot.core.transitions import decide
from tests.core.builders import T0, a_session, answered, ended_turn, observed, prompt, tell, working

ADA, GRACE = "U0000001", "U0000002"


def states(session: Session) -> list[str]:
    return [str(turn.state) for turn in session.history]


def together() -> Session:
    """Ada's prompts 2 and 3 in work together, Grace's 4 and Ada's 5 wait."""
    session = tell(answered(), prompt(2), prompt(3), prompt(4, user_id=GRACE), prompt(5))
    return tell(session, ev.TurnClaimed(session.launch, session.history[1].turn_id), now=T0 + 70)


def test_what_waits_right_behind_goes_along() -> None:
    """Never past another person's prompt, which may have changed what the later one means."""
    session = together()
    assert states(session) == ["answered", "working", "working", "queued", "queued"]
    lead, other = session.history[1:3]
    assert session.working_turn is lead
    assert (other.joined_to, other.claimed_at) == (lead.turn_id, T0 + 70)
    assert from_item(to_item(session)) == session


def test_what_a_session_began_with_is_worked_on_alone() -> None:
    """Its prompt stands in no reply."""
    begun = a_session()
    event = prompt(1)
    session = tell(begun, ev.PromptReceived(event.turn_id, event.user_id, event.prompt), prompt(2))
    session = tell(session, ev.WorkerReady(session.launch))
    session = tell(session, ev.TurnClaimed(session.launch, session.history[0].turn_id))
    assert states(session) == ["working", "queued"]


def test_one_answer_ends_and_tells_all() -> None:
    """Each has its state and the same message; only the first owes it."""
    session = tell(together(), ended_turn(together()), now=T0 + 80)
    assert states(session)[1:3] == ["answered", "answered"]
    assert [effect for effect in owed(session) if isinstance(effect, DeliverAnswer)] == [
        DeliverAnswer(session.history[1].turn_id)
    ]
    session = tell(session, ev.AnswerPosted(session.history[1].turn_id, "9.9"))
    assert [turn.response_ts for turn in session.history[1:3]] == ["9.9", "9.9"]


def test_a_worker_brings_the_first_ones_answer_only() -> None:
    """The others were given along with it, not by themselves."""
    session = together()
    with pytest.raises(IllegalTransition):
        decide(session, ev.TurnEnded(session.launch, session.history[2].turn_id, TurnState.ANSWERED, "x"), T0)
    with pytest.raises(IllegalTransition):
        decide(session, ev.TurnClaimed(session.launch, session.history[2].turn_id), T0)


def test_they_fail_and_are_retried_together() -> None:
    """Also by the word, which means the last of them; each in a turn of its own, and once."""
    session = tell(together(), ended_turn(together(), state=TurnState.FAILED), now=T0 + 80)
    assert states(session)[1:3] == ["failed", "failed"]
    session = tell(session, ev.AnswerPosted(session.history[1].turn_id, "9.9"))
    again = tell(session, ev.RetryRequested("press:1", ADA, "9.9"), ev.RetryRequested("press:2", ADA, "9.9"))
    assert [(turn.turn_id, turn.prompt) for turn in again.history[5:]] == [
        ("press:1", "do thing 2"),
        ("press:1.1", "do thing 3"),
    ]


def test_they_end_with_the_session_and_with_the_worker() -> None:
    """Nothing of them is left in work."""
    stopped = tell(together(), ev.StopRequested(GRACE))
    assert states(stopped)[1:] == ["cancelled"] * 4
    assert len({turn.told_by for turn in stopped.history[1:]}) == 1
    killed = tell(together(), observed(together(), "STOPPED", exit_code=137))
    assert states(killed)[1:3] == ["failed", "failed"]
    left = tell(together(), ev.WorkerLeft(together().launch, "idle"))
    assert states(left)[1:] == ["failed", "failed", "queued", "queued"]


def test_time_and_cancel_end_them_together() -> None:
    """By whom is told of each."""
    session = tell(together(), ev.CancelRequested(GRACE), now=T0 + 75)
    session = tell(session, ended_turn(session, state=TurnState.CANCELLED), now=T0 + 76)
    assert [(turn.state, turn.cancelled_by) for turn in session.history[1:3]] == [(TurnState.CANCELLED, GRACE)] * 2
    late = tell(together(), ev.TimePassed(listening_since=T0 + 9_000), now=T0 + 9_000)
    late = tell(late, ev.TimePassed(listening_since=T0 + 9_100), now=T0 + 9_100)
    assert states(late)[1:3] == ["failed", "failed"]


def test_now_goes_first_and_ends_what_is_in_work() -> None:
    """And is worked on alone; what waited before it keeps its order."""
    session = together()
    wanted = session.history[4]
    session = tell(session, ev.PromptHurried(wanted.turn_id, GRACE, "press:1"), now=T0 + 75)
    assert [turn.prompt for turn in session.waiting_turns] == ["do thing 5", "do thing 4"]
    in_work = session.working_turn
    assert in_work is not None
    assert (in_work.cancelled_by, in_work.cancelled_at) == (GRACE, T0 + 75)
    session = tell(session, prompt(6), ended_turn(session, state=TurnState.CANCELLED), now=T0 + 76)
    assert [turn.prompt for turn in session.waiting_turns] == ["do thing 5", "do thing 4", "do thing 6"]
    session = tell(session, ev.TurnClaimed(session.launch, wanted.turn_id), now=T0 + 77)
    assert [turn.prompt for turn in session.history if turn.state is TurnState.WORKING] == ["do thing 5"]


def test_now_needs_a_prompt_that_waits() -> None:
    """The button may be pressed late."""
    session = together()
    for turn in session.history[:3]:
        with pytest.raises(UsageError, match="does not wait"):
            decide(session, ev.PromptHurried(turn.turn_id, ADA), T0)


def test_cancel_of_one_prompt_meets_no_other() -> None:
    """Pressed on a message of a prompt that is over."""
    session = together()
    with pytest.raises(UsageError, match="over already"):
        decide(session, ev.CancelRequested(ADA, turn_id=session.history[0].turn_id), T0)
    with pytest.raises(UsageError, match="over already"):
        decide(answered(), ev.CancelRequested(ADA, turn_id=answered().history[0].turn_id), T0)
    assert tell(working(), ev.CancelRequested(ADA, turn_id=working().history[0].turn_id)).working_turn is not None


def test_no_more_wait_than_may() -> None:
    """Retrying several counts as several."""
    session = tell(together(), ended_turn(together(), state=TurnState.FAILED))
    for number in range(6, 13):
        session = tell(session, prompt(number))
    with pytest.raises(Refused, match="10 prompts wait"):
        decide(session, ev.RetryRequested("press:1", ADA), T0)
