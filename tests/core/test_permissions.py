"""What the agent asks leave for: one answer counts, no answer means no, and the turn's clock stands still."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from slackbot.core import events as ev
from slackbot.core.deadlines import next_deadline
from slackbot.core.effects import ClosePermission, ShowPermission, owed
from slackbot.core.errors import IllegalTransition, UsageError
from slackbot.core.item import from_item, to_item
from slackbot.core.limits import Limits
from slackbot.core.session import Session, TurnState
from tests.core.builders import T0, ended_turn, tell, working

OPTIONS = (
    {"option_id": "yes/1", "name": "Allow", "kind": "allow_once"},
    {"option_id": "no", "name": "Reject", "kind": "reject_once"},
)
ALLOW = ev.PermissionAnswered("p1", "yes/1", "U0000001")


def asked(session: Session | None = None, **values: Any) -> Session:
    session = session or working()
    turn = session.working_turn
    assert turn is not None
    given: dict[str, Any] = {"title": "rm -rf build", "options": OPTIONS, "wait_seconds": 900, **values}
    return tell(session, ev.PermissionAsked(session.launch, turn.turn_id, "p1", **given), now=T0 + 10)


def effects(session: Session) -> list[object]:
    return [each for each in owed(session) if isinstance(each, ShowPermission | ClosePermission)]


def test_a_question_is_shown_answered_and_told() -> None:
    session = asked()
    assert effects(session) == [ShowPermission("p1")]
    assert asked(session) is session, "the same question again is one question"
    session = tell(session, ev.PermissionShown("p1", f"{T0}.5"), now=T0 + 11)
    assert effects(session) == []
    session = tell(session, ALLOW, now=T0 + 40)
    question = session.permission("p1")
    assert question is not None
    assert (question.outcome, question.option_id, question.answered_by) == ("selected", "yes/1", "U0000001")
    assert effects(session) == [ClosePermission("p1")]
    session = tell(session, ev.PermissionTold("p1"), now=T0 + 41)
    assert session.permission("p1") is not None, "the worker may ask again for the answer"
    assert from_item(to_item(session)) == session
    session = tell(session, ended_turn(session), now=T0 + 50)
    assert session.permissions == ()


@pytest.mark.parametrize(
    ("event", "now"),
    [
        (ev.PermissionAnswered("p1", "no", "U2"), T0 + 30),
        (ALLOW, T0 + 911),
        (ev.PermissionAnswered("p1", "forged", "U2"), T0 + 15),
        (ev.PermissionAnswered("other", "yes/1", "U2"), T0 + 15),
    ],
    ids=["answered already", "too late", "not offered", "unknown"],
)
def test_what_is_no_answer(event: ev.Event, now: int) -> None:
    session = asked() if now != T0 + 30 else tell(asked(), ALLOW, now=T0 + 20)
    with pytest.raises(UsageError):
        tell(session, event, now=now)


def test_no_answer_means_no() -> None:
    session = tell(asked(), ev.PermissionShown("p1", f"{T0}.5"), now=T0 + 11)
    assert next_deadline(session, Limits(silence_seconds=10_000)) == T0 + 910
    session = tell(session, ev.WorkerHeard(session.launch), now=T0 + 900)
    session = tell(session, ev.TimePassed(), now=T0 + 910)
    question = session.permission("p1")
    assert question is not None
    assert question.outcome == "timed_out"
    assert effects(session) == [ClosePermission("p1")]


def test_the_clock_of_the_turn_stands_still() -> None:
    """Neither while the question stands nor afterwards does the wait count as work."""
    limits = Limits(turn_seconds=100, grace_seconds=0, silence_seconds=10_000)
    session = tell(asked(), ev.TimePassed(limits), now=T0 + 800)
    assert session.working_turn is not None
    assert session.working_turn.cancelled_at is None
    session = tell(session, ALLOW, ev.TimePassed(limits), now=T0 + 810)
    assert session.working_turn is not None
    assert session.working_turn.waited_seconds == 800
    assert session.working_turn.cancelled_at is None
    assert next_deadline(session, limits) == T0 + 901
    session = tell(session, ev.TimePassed(limits), now=T0 + 901)
    assert session.working_turn is not None
    assert session.working_turn.cancelled_at == T0 + 901


@pytest.mark.parametrize("ends", ["cancel", "stop", "answer"])
def test_what_ends_the_turn_ends_the_question(ends: str) -> None:
    """Cancelled; the message is told so, and then nothing of it stays."""
    session = tell(asked(), ev.PermissionShown("p1", f"{T0}.5"), now=T0 + 11)
    events: dict[str, ev.Event] = {
        "cancel": ev.CancelRequested("U2"),
        "stop": ev.StopRequested("U2"),
        "answer": ended_turn(session, state=TurnState.FAILED),
    }
    session = tell(session, events[ends], now=T0 + 20)
    question = session.permission("p1")
    assert question is not None
    assert question.outcome == "cancelled"
    assert ClosePermission("p1") in owed(session)
    session = tell(session, ev.PermissionTold("p1"), now=T0 + 21)
    assert session.permissions == ()
    if ends == "cancel":
        assert asked(session) is session, "nobody is asked for a turn that is being cancelled"


def test_only_the_worker_of_the_turn_asks() -> None:
    session = working()
    with pytest.raises(IllegalTransition):
        tell(session, ev.PermissionAsked(session.launch, "other", "p1", "t", OPTIONS, 60))
    with pytest.raises(IllegalTransition):
        tell(replace(session, history=()), ev.PermissionAsked(session.launch, "x", "p1", "t", OPTIONS, 60))


def test_a_long_question_is_cut() -> None:
    session = asked(detail="x" * 100_000, title="t" * 9_000)
    question = session.permission("p1")
    assert question is not None
    assert question.shortened
    assert len(question.detail or "") <= 4096
    assert len(question.title) <= 300
