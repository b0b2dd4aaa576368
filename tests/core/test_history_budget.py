"""An item stays far from DynamoDB's 400 KB, and loses only what people have already read."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from slackbot.core.history_budget import fit
from slackbot.core.item import BUDGET_BYTES, MAX_ITEM_BYTES, item_size_bytes, to_item
from slackbot.core.session import Session, Turn, TurnState
from tests.core.builders import T0, a_session


def a_turn(number: int, size: int, *, delivered: bool = True, state: TurnState = TurnState.ANSWERED) -> Turn:
    return Turn(
        turn_id=f"C1:{number}",
        user_id="U1",
        prompt="p" * (size // 3),
        state=state,
        prompted_at=T0 + number,
        prompt_ts=f"{T0}.{number:06d}",
        response="日" * (size // 6) if state.is_ended else None,
        response_ts=f"{T0}.{number:06d}" if delivered and state.is_ended else None,
        steps=({"title": "ls", "status": "completed"},),
    )


def size_of(session: Session) -> int:
    return item_size_bytes(to_item(session))


def test_the_budget_leaves_room_below_dynamodbs_limit() -> None:
    """300 of 400 KB: what is owed must still fit when the history is full."""
    assert (BUDGET_BYTES, MAX_ITEM_BYTES) == (300 * 1024, 400 * 1024)


def test_a_small_session_is_left_alone() -> None:
    """The very same object comes back."""
    session = a_session(history=(a_turn(1, 5000),))
    assert fit(session) is session


def test_old_turns_lose_their_middle_first() -> None:
    """Oldest first, and no more of them than must be."""
    session = fit(a_session(history=tuple(a_turn(n, 40_000) for n in range(1, 12))))
    assert size_of(session) <= BUDGET_BYTES
    assert len(session.history) == 11
    first, last = session.history[0], session.history[-1]
    assert first.shortened
    assert "left out here" in (first.response or "")
    assert first.steps == ()
    assert not last.shortened


def test_then_they_leave_and_are_remembered_as_dropped() -> None:
    """So that a late delivery of their message is not taken for a new prompt."""
    session = fit(a_session(history=tuple(a_turn(n, 900) for n in range(1, 800))))
    assert size_of(session) <= BUDGET_BYTES
    gone = 799 - len(session.history)
    assert gone > 0
    assert session.history[0].turn_id == f"C1:{gone + 1}"
    assert session.dropped_ts == f"{T0}.{gone:06d}"
    again = fit(replace(session, history=tuple(a_turn(n, 3000) for n in range(800, 1400))))
    assert float(again.dropped_ts or 0) > float(session.dropped_ts or 0)


def test_whose_prompts_left_is_remembered() -> None:
    """Each once; a cancelled prompt has no part in the work."""
    everybody = [replace(a_turn(n, 900), user_id=f"U{n % 3}") for n in range(1, 20)]
    cancelled = replace(a_turn(20, 900, state=TurnState.CANCELLED), user_id="U8")
    session = a_session(history=(*everybody, cancelled, a_turn(21, 900)), dropped_user_ids=("U9", "U2"))
    room_bytes = size_of(replace(session, history=()))
    small = fit(session, budget_bytes=room_bytes + 1_200)
    assert [turn.turn_id for turn in small.history] == ["C1:21"]
    assert small.dropped_user_ids == ("U9", "U2", "U1", "U0")
    assert size_of(small) <= room_bytes + 1_200


def test_the_last_turn_stays_and_one_without_a_message_too_can_go() -> None:
    """Retry refers to the last one; a turn of a button press has no message to remember."""
    pressed = tuple(replace(a_turn(n, 900), prompt_ts=None) for n in range(1, 500))
    session = fit(a_session(history=pressed), budget_bytes=1_000)
    assert [turn.turn_id for turn in session.history] == ["C1:499"]
    assert session.dropped_ts is None


def test_what_is_not_delivered_is_never_touched() -> None:
    """Ten long prompts that wait and an answer nobody has read stay whole, even when that is too much."""
    waiting = tuple(a_turn(n, 60_000, state=TurnState.QUEUED) for n in range(10, 20))
    unread = a_turn(5, 90_000, delivered=False)
    session = fit(a_session(history=(a_turn(1, 50_000), unread, *waiting)), budget_bytes=100_000)
    assert session.history == (unread, *waiting)


def test_a_turn_told_by_a_notice_is_delivered() -> None:
    """It is told with others, so it may be shortened like any other."""
    turn = replace(a_turn(1, 50_000, delivered=False), told_by="failed:1:1")
    session = fit(a_session(history=(turn, a_turn(2, 100))), budget_bytes=8_000)
    assert session.history[0].shortened


def test_a_delivered_turn_without_a_response() -> None:
    """Cancelled with no word: only its prompt is shortened."""
    turn = replace(a_turn(1, 60_000), response=None, state=TurnState.CANCELLED)
    session = fit(a_session(history=(turn, a_turn(2, 100))), budget_bytes=8_000)
    assert session.history[0].response is None
    assert session.history[0].shortened


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(0, 50_000), st.booleans(), st.sampled_from([TurnState.ANSWERED, TurnState.QUEUED])),
        max_size=14,
    ),
    st.integers(1_000, 60_000),
)
def test_any_history(shapes: list[tuple[int, bool, TurnState]], budget: int) -> None:
    """Within the budget unless only undelivered turns (and the last one) are left; those are as they were."""
    history = tuple(
        a_turn(n, size, delivered=told, state=state) for n, (size, told, state) in enumerate(shapes, start=1)
    )
    session = fit(a_session(history=history), budget)
    undelivered = [turn for turn in history if turn.response_ts is None]
    assert [turn for turn in session.history if turn.response_ts is None] == undelivered
    if size_of(session) > budget:
        assert [turn for turn in session.history[:-1] if turn.response_ts is not None] == []
    assert fit(session, budget) == session
