"""Undo: a turn of its own kind that takes back what another turn pushed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slackbot.core import events as ev
from slackbot.core.errors import UsageError
from slackbot.core.item import from_item, to_item
from slackbot.core.session import Session, Status, TurnState
from slackbot.core.undo_rules import range_of, undoing
from tests.core.builders import T0, ended_turn, prompt, tell, with_commit

FIRST = f"C0000001:{T0}.000001"
PRESS = ev.UndoRequested("C0000001:press", "U0000002", FIRST)


def undone() -> Session:
    session = tell(with_commit(), PRESS, now=T0 + 70)
    session = tell(session, ev.TurnClaimed(session.launch, "C0000001:press"), now=T0 + 71)
    return tell(session, ended_turn(session, commit_sha="d" * 40, base_sha="c" * 40), now=T0 + 72)


def test_undo_waits_as_a_turn_and_is_done_once() -> None:
    session = tell(with_commit(), PRESS, PRESS, now=T0 + 70)
    (turn,) = session.waiting_turns
    assert turn.undoes == session.history[0].turn_id
    assert turn.user_id == "U0000002"
    assert from_item(to_item(session)) == session
    again = tell(session, ev.UndoRequested("C0000001:second", "U0000001", FIRST), now=T0 + 71)
    assert len(again.waiting_turns) == 1
    with pytest.raises(UsageError, match="undone already"):
        tell(undone(), ev.UndoRequested("C0000001:third", "U0000001", FIRST))


def test_what_pushed_nothing_is_not_undone() -> None:
    session = tell(with_commit(), prompt(2), now=T0 + 70)
    with pytest.raises(UsageError, match="no commit"):
        tell(session, ev.UndoRequested("C0000001:press", "U0000002", f"C0000001:{T0}.000002"))
    with pytest.raises(UsageError, match="no commit"):
        tell(session, ev.UndoRequested("C0000001:press", "U0000002", ""))


def test_undo_wakes_a_session_that_a_person_stopped() -> None:
    session = tell(with_commit(), ev.StopRequested("U0000001"), now=T0 + 70)
    woken = tell(session, PRESS, now=T0 + 80)
    assert woken.status is Status.STARTING
    assert woken.launch > session.launch


def test_an_undo_that_failed_may_be_tried_again() -> None:
    session = tell(with_commit(), PRESS, now=T0 + 70)
    session = tell(session, ev.TurnClaimed(session.launch, "C0000001:press"), now=T0 + 71)
    session = tell(session, ended_turn(session, state=TurnState.FAILED), now=T0 + 72)
    assert undoing(session, session.history[0]) is None
    retried = tell(session, ev.RetryRequested("C0000001:retry", "U0000002"), now=T0 + 73)
    assert retried.waiting_turns[0].undoes == session.history[0].turn_id


def test_the_range_of_a_turn() -> None:
    """What the worker said; for turns of older versions what was pushed before them, else where the branch began."""
    session = undone()
    first, second = session.history
    assert range_of(session, second) == ("c" * 40, "d" * 40)
    assert range_of(session, first) == ("b" * 40, "c" * 40)
    older = replace(session, history=(first, replace(second, base_sha=None)))
    assert range_of(older, older.history[1]) == ("c" * 40, "d" * 40)
    cut = replace(session, dropped_ts="1.2", history=(first,))
    assert range_of(cut, first) is None
    assert range_of(session, replace(second, commit_sha=None)) is None
