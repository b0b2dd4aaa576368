"""A session warns before it stops itself, once; what makes the warning untrue takes it away; Extend moves the end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slackbot.core import events as ev
from slackbot.core.deadlines import next_deadline
from slackbot.core.effects import PostWarning, RemoveWarning, owed
from slackbot.core.errors import IllegalTransition
from slackbot.core.item import from_item, to_item
from slackbot.core.limits import Limits
from slackbot.core.session import Session, Status
from slackbot.core.staying import seconds_left
from slackbot.core.transitions import decide
from tests.core.builders import T0, answered, ended_turn, prompt, stopped, tell

LIMITS = Limits(idle_seconds=1_800, max_session_seconds=28_800, silence_seconds=10**9)
IDLE_END = T0 + 60 + 1_800
AGE_END = T0 + 28_800


def at(session: Session, now: int, limits: Limits = LIMITS) -> Session:
    return tell(session, ev.TimePassed(limits, listening_since=now), now=now)


def owes(session: Session) -> list[object]:
    return [effect for effect in owed(session) if isinstance(effect, PostWarning | RemoveWarning)]


def warned() -> Session:
    session = at(answered(), IDLE_END - 300)
    return tell(session, ev.WarningPosted(IDLE_END, "5.5"), now=IDLE_END - 300)


def test_five_minutes_before_the_end_it_warns_once() -> None:
    """Not sooner, and not again; the deadline is the warning first, then the end."""
    session = answered()
    assert next_deadline(session, LIMITS) == IDLE_END - 300
    assert owes(at(session, IDLE_END - 301)) == []
    session = at(session, IDLE_END - 300)
    assert owes(session) == [PostWarning(IDLE_END)]
    assert from_item(to_item(session)) == session
    assert owes(warned()) == []
    assert at(warned(), IDLE_END - 200) is not None
    assert owes(at(warned(), IDLE_END - 200)) == []
    assert next_deadline(warned(), LIMITS) == IDLE_END + LIMITS.grace_seconds + 1


def test_a_reply_takes_it_away_and_a_later_end_is_warned_of_anew() -> None:
    session = tell(warned(), prompt(2), now=IDLE_END - 100)
    assert owes(session) == [RemoveWarning(IDLE_END)]
    session = tell(session, ev.WarningRemoved(IDLE_END))
    assert owes(session) == []
    session = tell(session, ev.TurnClaimed(session.launch, session.history[1].turn_id), now=IDLE_END - 90)
    session = tell(session, ended_turn(session), now=IDLE_END)
    session = at(session, IDLE_END + 1_500)
    assert owes(session) == [PostWarning(IDLE_END + 1_800)]


def test_extend_takes_it_away_and_moves_the_end() -> None:
    """By the idle time; the worker that asks before it leaves is told to stay."""
    session = tell(warned(), ev.StayExtended("U1", LIMITS, "press:1"), now=IDLE_END - 100)
    assert owes(session) == [RemoveWarning(IDLE_END)]
    assert seconds_left(session, "idle", LIMITS, IDLE_END) == 1_800
    session = tell(session, ev.WarningRemoved(IDLE_END))
    assert at(session, IDLE_END + 200).status is Status.RUNNING
    assert owes(at(session, IDLE_END + 1_500)) == [PostWarning(IDLE_END + 1_800)]
    ended = at(session, IDLE_END + 1_800 + LIMITS.grace_seconds + 1)
    assert ended.ended is not None
    assert ended.ended.by == "idle"


def test_a_session_that_ended_takes_it_away_also_when_its_post_is_owed_still() -> None:
    """It may have been posted just before a crash."""
    session = tell(at(answered(), IDLE_END - 300), ev.StopRequested("U1"), now=IDLE_END - 299)
    assert owes(session) == [RemoveWarning(IDLE_END)]
    assert owes(tell(session, ev.WarningRemoved(IDLE_END))) == []


def test_the_age_is_warned_of_also_at_work_and_extended_by_an_hour() -> None:
    session = tell(answered(), prompt(2), now=AGE_END - 400)
    session = tell(session, ev.TurnClaimed(session.launch, session.history[1].turn_id), now=AGE_END - 400)
    session = at(session, AGE_END - 300)
    assert session.stay.warned == "age"
    assert owes(session) == [PostWarning(AGE_END)]
    session = tell(session, ev.StayExtended("U1", LIMITS), now=AGE_END - 200)
    assert owes(session) == [RemoveWarning(AGE_END)]
    assert seconds_left(session, "age", LIMITS, AGE_END) == 3_600


@pytest.mark.parametrize(("idle_seconds", "before"), [(40, None), (100, 50), (600, 300), (7_200, 300)])
def test_short_limits_warn_at_half_of_them_or_not_at_all(idle_seconds: int, before: int | None) -> None:
    limits = replace(LIMITS, idle_seconds=idle_seconds)
    end = T0 + 60 + idle_seconds
    if before is None:
        assert owes(at(answered(), end - 1, limits)) == []
    else:
        assert owes(at(answered(), end - before - 1, limits)) == []
        assert owes(at(answered(), end - before, limits)) == [PostWarning(end)]


def test_a_worker_may_leave_when_nobody_extended() -> None:
    assert seconds_left(answered(), "idle", LIMITS, IDLE_END) == 0
    assert seconds_left(answered(), "idle", LIMITS, IDLE_END - 2) == 2
    assert seconds_left(answered(), "signal", LIMITS, T0) == 0


def test_only_a_running_session_is_extended() -> None:
    with pytest.raises(IllegalTransition):
        decide(stopped(), ev.StayExtended("U1"), T0)
