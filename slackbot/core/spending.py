"""What models cost: tokens and money counted up, the limits set to them, and what of a limit is reached. Pure.

Counts come from the gateway's model desk, which reads the providers' own usage figures; they are kept in the
session (`spending`), in its turns (`usage`) and in the ledger of the month (`core.ledger_item`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Counted = Mapping[str, int]
"""`input_tokens`, `output_tokens`, `cached_read_tokens`, `cached_write_tokens`, `calls`, `cost_microdollars`; what is
0 is absent. `input_tokens` are those that no cache served, as Anthropic counts them."""

TOKENS = ("input_tokens", "output_tokens", "cached_read_tokens", "cached_write_tokens")
COUNTS = (*TOKENS, "cached_write_1h_tokens", "calls", "unpriced_calls", "estimated_calls", "cost_microdollars")
"""`cached_write_1h_tokens`: those of `cached_write_tokens` that are kept for an hour and cost more.
`unpriced_calls`: calls of models whose price is not known, so that their cost is not in `cost_microdollars`.
`estimated_calls`: calls that broke off before the provider told their usage, counted by their size."""

MAX_MODELS = 12
"""So many models are told apart in one session or one month; the rest is counted as `other`."""

MICRO = 1_000_000
NEAR_PERCENT = 80


class Scope(StrEnum):
    """What a limit is for. `person` and `month` count calendar months (UTC)."""

    TURN = "turn"
    SESSION = "session"
    PERSON = "person"
    MONTH = "month"


@dataclass(frozen=True)
class Spending:
    """Attribute `spending` of a session."""

    counted: Counted = field(default_factory=dict)
    models: Mapping[str, Counted] = field(default_factory=dict)
    """The same for each model, named provider/model."""
    extended: int = 0
    """How often an administrator granted the session's limit (and with it the turn's) once more."""
    told: tuple[str, ...] = ()
    """`Reached.key` of what the thread was told of."""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SpendingLimits:
    """The settings: millionths of a US dollar, and tokens, for each scope that has a limit."""

    cost_microdollars: Mapping[Scope, int] = field(default_factory=dict)
    tokens: Mapping[Scope, int] = field(default_factory=dict)

    @property
    def is_monthly(self) -> bool:
        """Whether the ledger of the month must be asked."""
        return any(scope in given for given in (self.cost_microdollars, self.tokens) for scope in _MONTHLY)


_MONTHLY = (Scope.PERSON, Scope.MONTH)


@dataclass(frozen=True)
class Reached:
    """A limit of which `percent` (80 or 100) is used. `unit` is `microdollars` or `tokens`; `of` tells one turn, one
    person's month ... from the next."""

    scope: Scope
    unit: str
    used: int
    limit: int
    percent: int
    of: str = ""

    @property
    def key(self) -> str:
        """The same whenever the same thing is to be told. A limit that was granted once more is another one."""
        return f"{self.scope}:{self.unit}:{self.percent}:{self.limit}:{self.of}"

    @property
    def is_over(self) -> bool:
        return self.percent >= 100


def add(one: Counted, other: Counted) -> dict[str, int]:
    """The sum, name by name; what neither has stays absent, what others may have added is kept."""
    names = [*one, *(name for name in other if name not in one)]
    return {name: total for name in names if (total := one.get(name, 0) + other.get(name, 0))}


def subtract(one: Counted, other: Counted) -> dict[str, int]:
    """What `one` has more than `other`."""
    return add(one, {name: -value for name, value in other.items()})


def add_model(models: Mapping[str, Counted], name: str, counted: Counted) -> dict[str, Counted]:
    """`models` with the counts of one more call; bounded."""
    key = name if name in models or len(models) < MAX_MODELS else "other"
    return {**models, key: add(models.get(key, {}), counted)}


def tokens_of(counted: Counted) -> int:
    """All tokens, whatever they cost."""
    return sum(counted.get(name, 0) for name in TOKENS)


def reached(
    limits: SpendingLimits, scope: Scope, counted: Counted, *, extended: int = 0, of: str = ""
) -> list[Reached]:
    """What of the limits for `scope` is used to 80 % or more; a limit granted n times more is n + 1 times as large."""
    found = []
    pairs = (
        ("microdollars", limits.cost_microdollars.get(scope), counted.get("cost_microdollars", 0)),
        ("tokens", limits.tokens.get(scope), tokens_of(counted)),
    )
    for unit, limit, used in pairs:
        if limit is None:
            continue
        whole = limit * (extended + 1)
        if used >= whole:
            found.append(Reached(scope, unit, used, whole, 100, of))
        elif used * 100 >= whole * NEAR_PERCENT:
            found.append(Reached(scope, unit, used, whole, NEAR_PERCENT, of))
    return found


def over(found: Iterable[Reached]) -> Reached | None:
    """The first limit that is used up."""
    return next((one for one in found if one.is_over), None)


def parse_limits(cost: str | None, tokens: str | None) -> tuple[SpendingLimits, list[str]]:
    """The settings' texts (`session=20,month=500`) as limits, and what is wrong in them, each with its setting."""
    faults: list[str] = []
    by_cost = _parse("DEVFLOW_COST_LIMITS", cost, MICRO, faults)
    by_tokens = _parse("DEVFLOW_TOKEN_LIMITS", tokens, 1, faults)
    return SpendingLimits(by_cost, by_tokens), faults


def _parse(setting: str, text: str | None, unit: int, faults: list[str]) -> dict[Scope, int]:
    limits: dict[Scope, int] = {}
    for part in (text or "").split(","):
        if not part.strip():
            continue
        name, _, value = (piece.strip() for piece in part.partition("="))
        try:
            scope, number = Scope(name), round(float(value) * unit)
        except (ValueError, OverflowError):
            scope, number = Scope.TURN, 0
        if number <= 0 or scope in limits:
            scopes = ", ".join(Scope)
            faults.append(f"{setting}: {part.strip()} — expected each of {scopes} once at most, as in session=20")
            continue
        limits[scope] = number
    return limits


def amount_words(number: int, unit: str) -> str:
    """`$1.25`, or `12,000 tokens`."""
    return f"${number / MICRO:,.2f}" if unit == "microdollars" else f"{number:,} tokens"


_FOR = {
    Scope.TURN: "this prompt",
    Scope.SESSION: "this session",
    Scope.PERSON: "this person in this month",
    Scope.MONTH: "everybody in this month",
}


def refusal(one: Reached) -> str:
    """What an agent is told, in its provider's name, when a limit is used up; it shows it to the person."""
    used, limit = amount_words(one.used, one.unit), amount_words(one.limit, one.unit)
    return (
        f"DevFlow: the limit for {_FOR[one.scope]} is used up ({used} of {limit}). "
        "An administrator can press Extend in the thread."
    )
