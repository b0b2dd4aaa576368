"""Counting what models use, limits, and what the thread is told of them."""

from __future__ import annotations

import pytest

from slackbot.core import events as ev
from slackbot.core.item import from_item, to_item
from slackbot.core.model_prices import Price, with_cost
from slackbot.core.model_usage import Meter, read_anthropic
from slackbot.core.session import Session, TurnState
from slackbot.core.spending import MAX_MODELS, Scope, SpendingLimits, add, add_model, parse_limits, reached, tokens_of
from tests.core.builders import stopped, tell, working

LIMITS = SpendingLimits({Scope.SESSION: 1_000_000, Scope.TURN: 600_000}, {Scope.SESSION: 5_000})
_ANSWERED = TurnState.ANSWERED
TURN = "C0000001:1790000000.000001"


def used(cost: int, tokens: int = 10, turn_id: str = TURN, model: str = "anthropic/claude-x") -> ev.ModelsUsed:
    counted = {"calls": 1, "input_tokens": tokens, "cost_microdollars": cost}
    return ev.ModelsUsed(((turn_id, model, counted),), LIMITS)


def told(session: Session) -> list[tuple[str, str, str]]:
    return [(n.kind, n.values["scope"], n.values["unit"]) for n in session.thread.notices]


def test_counts_add_up_in_turn_session_and_model() -> None:
    """Two calls of one model and one of another, in one turn."""
    session = tell(working(), used(100), used(50), used(7, model="openai/gpt"))
    assert session.spending.counted == {"calls": 3, "input_tokens": 30, "cost_microdollars": 157}
    assert session.spending.models["openai/gpt"] == {"calls": 1, "input_tokens": 10, "cost_microdollars": 7}
    turn = session.turn(TURN)
    assert turn is not None
    assert turn.usage == session.spending.counted
    assert from_item(to_item(session)) == session


def test_what_the_gateway_counted_outlasts_what_the_agent_tells() -> None:
    """The provider's figures stand; an agent without the gateway is believed."""
    session = tell(working(), used(100))
    ended = ev.TurnEnded(session.launch, TURN, _ANSWERED, "Done.", usage={"input_tokens": 1, "total_tokens": 2})
    turn = tell(session, ended).turn(TURN)
    assert turn is not None
    assert turn.usage == {"calls": 1, "input_tokens": 10, "cost_microdollars": 100}
    alone = tell(working(), ended).turn(TURN)
    assert alone is not None
    assert alone.usage == {"input_tokens": 1, "total_tokens": 2}


def test_a_limit_is_told_at_80_percent_and_when_it_is_used_up_once_each() -> None:
    """The turn's and the session's limits, each with its own notice."""
    session = tell(working(), used(500_000))
    assert told(session) == [("spending_near", "turn", "microdollars")]
    session = tell(session, used(200_000), used(200_000), used(100_000), used(100_000))
    assert told(session) == [
        ("spending_near", "turn", "microdollars"),
        ("spending_reached", "turn", "microdollars"),
        ("spending_near", "session", "microdollars"),
        ("spending_reached", "session", "microdollars"),
    ]
    assert len({notice.notice_id for notice in session.thread.notices}) == 4


def test_extending_makes_room_and_the_larger_limit_is_told_of_anew() -> None:
    """Once more the limit: 80 % of twice as much is a new thing to say."""
    session = tell(working(), used(1_000_000, turn_id=""))
    session = tell(
        session, ev.SpendingExtended("U9", request_id="press"), ev.SpendingExtended("U9", request_id="press")
    )
    assert session.spending.extended == 1
    assert not reached(LIMITS, Scope.SESSION, session.spending.counted, extended=1)
    session = tell(session, used(700_000, turn_id=""))
    assert [kind for kind, _, _ in told_of_limits(session)] == ["spending_reached", "spending_near"]


def told_of_limits(session: Session) -> list[tuple[str, str, str]]:
    notices = [n for n in session.thread.notices if "scope" in n.values]
    return [(n.kind, n.values["scope"], n.values["unit"]) for n in notices]


def test_limits_of_the_month_come_with_the_event() -> None:
    """The ledger found them; the thread is told as of its own."""
    over = reached(SpendingLimits({Scope.MONTH: 100}), Scope.MONTH, {"cost_microdollars": 100}, of="2026-11")
    event = ev.ModelsUsed(((TURN, "m", {"calls": 1}),), reached=tuple(over))
    assert told(tell(working(), event, event)) == [("spending_reached", "month", "microdollars")]


def test_what_was_used_before_a_stop_is_counted_after_it() -> None:
    """A session that is over takes the counts of the call that the stop cut off."""
    assert tell(stopped(), used(5)).spending.counted["cost_microdollars"] == 5


def test_tokens_have_limits_of_their_own() -> None:
    """For models whose price is not known."""
    (found,) = reached(LIMITS, Scope.SESSION, {"input_tokens": 3_000, "cached_read_tokens": 1_000})
    assert (found.unit, found.percent, found.used) == ("tokens", 80, 4_000)
    assert tokens_of({"input_tokens": 1, "output_tokens": 2, "calls": 9}) == 3


def test_what_a_cache_keeps_for_an_hour_costs_twice_the_input_and_is_counted_once() -> None:
    begun = (
        b'event: message_start\ndata: {"type": "message_start", "message": {"model": "claude-sonnet-4-6", "usage": '
        b'{"input_tokens": 10, "cache_creation_input_tokens": 1000, "cache_read_input_tokens": 0, "cache_creation": '
        b'{"ephemeral_5m_input_tokens": 400, "ephemeral_1h_input_tokens": 600}, "output_tokens": 1}}}\n\n'
    )
    ended = b'event: message_delta\ndata: {"type": "message_delta", "usage": {"output_tokens": 20}}\n\n'
    meter = Meter(read_anthropic, is_stream=True, request_bytes=lambda: 0)
    meter.feed(begun + ended)
    meter.end()
    counted = with_cost(meter.counted(), meter.model)
    assert counted["cached_write_tokens"] == 1000
    assert counted["cached_write_1h_tokens"] == 600
    assert tokens_of(counted) == 1030
    assert counted["cost_microdollars"] == 3 * 10 + 3.75 * 400 + 6 * 600 + 15 * 20

    own = {meter.model: Price(3, 15, cached_write=3.75, cached_write_1h=5)}
    assert with_cost(meter.counted(), meter.model, own)["cost_microdollars"] == 30 + 1500 + 3000 + 300
    plain = {meter.model: Price(3, 15)}
    assert with_cost(meter.counted(), meter.model, plain)["cost_microdollars"] == 3 * 1010 + 300
    no_detail = {"cached_write_tokens": 1000, "cached_write_1h_tokens": 2000}
    assert with_cost(no_detail, meter.model)["cost_microdollars"] == 6 * 1000, "never more than was written"


def test_many_models_stay_bounded() -> None:
    """What is told apart is bounded; nothing is lost from the sum."""
    models: dict[str, dict[str, int]] = {}
    for number in range(MAX_MODELS + 5):
        models = {**add_model(models, f"m{number}", {"calls": 1})}  # type: ignore[dict-item]
    assert len(models) == MAX_MODELS + 1
    assert models["other"] == {"calls": 5}
    assert add({"a": 1}, {"a": -1, "b": 2}) == {"b": 2}


def test_the_settings_of_limits() -> None:
    """US dollars and tokens by scope; what is wrong is named."""
    limits, faults = parse_limits("turn=0.5, session=20,month=1000", "person=2000000")
    assert faults == []
    assert limits.cost_microdollars == {Scope.TURN: 500_000, Scope.SESSION: 20_000_000, Scope.MONTH: 1_000_000_000}
    assert limits.tokens == {Scope.PERSON: 2_000_000}
    assert limits.is_monthly
    assert not parse_limits(None, "")[0].is_monthly


@pytest.mark.parametrize(
    "text", ["20", "week=3", "session=x", "session=-1", "session=0", "month=1,month=2", "turn=inf"]
)
def test_a_limit_that_is_none(text: str) -> None:
    """Each is named with its setting."""
    _, faults = parse_limits(text, None)
    assert len(faults) == 1
    assert faults[0].startswith("DEVFLOW_COST_LIMITS: ")
