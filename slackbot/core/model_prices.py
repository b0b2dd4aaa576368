"""What models cost, as data, and the cost of one call. Pure. A model that is not here is counted in tokens alone.

US dollars for a million tokens, list prices of the providers for their standard tier, which change; an operator's own
table (DEVFLOW_MODEL_PRICES) comes before this one. Sources: https://docs.claude.com/en/docs/about-claude/pricing,
https://platform.openai.com/docs/pricing, https://ai.google.dev/gemini-api/docs/pricing
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slackbot.core.spending import Counted

LONG_PROMPT_TOKENS = 200_000
"""Beyond so many tokens of input some models cost more: `long_input`, `long_output`."""


@dataclass(frozen=True)
class Price:
    """US dollars for a million tokens, which is millionths of a dollar for one."""

    input: float
    output: float
    cached_read: float | None = None
    """None = as `input`."""
    cached_write: float | None = None
    long_input: float | None = None
    long_output: float | None = None


Prices = Mapping[str, Price]

_OPUS_4, _OPUS_4_5 = Price(15, 75, 1.5, 18.75), Price(5, 25, 0.5, 6.25)
_SONNET = Price(3, 15, 0.3, 3.75)
_SONNET_4 = Price(3, 15, 0.3, 3.75, long_input=6, long_output=22.5)
_GPT_5 = Price(1.25, 10, 0.125)

PRICES: Prices = {
    "claude-opus-4-5": _OPUS_4_5,
    "claude-opus-4-1": _OPUS_4,
    "claude-opus-4": _OPUS_4,
    "claude-sonnet-4-5": _SONNET_4,
    "claude-sonnet-4": _SONNET_4,
    "claude-3-7-sonnet": _SONNET,
    "claude-haiku-4-5": Price(1, 5, 0.1, 1.25),
    "claude-3-5-haiku": Price(0.8, 4, 0.08, 1),
    "gpt-5.1": _GPT_5,
    "gpt-5.1-codex": _GPT_5,
    "gpt-5": _GPT_5,
    "gpt-5-codex": _GPT_5,
    "gpt-5-mini": Price(0.25, 2, 0.025),
    "gpt-5-nano": Price(0.05, 0.4, 0.005),
    "gpt-4.1": Price(2, 8, 0.5),
    "gpt-4.1-mini": Price(0.4, 1.6, 0.1),
    "gpt-4o": Price(2.5, 10, 1.25),
    "gpt-4o-mini": Price(0.15, 0.6, 0.075),
    "o3": Price(2, 8, 0.5),
    "o4-mini": Price(1.1, 4.4, 0.275),
    "gemini-3-pro-preview": Price(2, 12, 0.2, long_input=4, long_output=18),
    "gemini-2.5-pro": Price(1.25, 10, 0.125, long_input=2.5, long_output=15),
    "gemini-2.5-flash": Price(0.3, 2.5, 0.03),
    "gemini-2.5-flash-lite": Price(0.1, 0.4, 0.01),
}

_VERSION = r"(?:[-@]\d{8}|-\d{4}-\d{2}-\d{2}|-latest|-\d{3}|-v\d+(?::\d+)?|\[1m\])*"
"""What follows a model's name and changes no price: dates, versions, Bedrock's `-v1:0`."""

_REGION = r"(?:(?:[a-z]{2,6}\.)?anthropic\.)?"
"""What Bedrock puts before it: `eu.anthropic.`; its prices in a region may be a little higher."""


def price_of(model: str, own: Prices | None = None) -> Price | None:
    """The price of `model` as a provider names it; None when it is not known, also where a similar one is."""
    for table in (own or {}, PRICES):
        if model in table:
            return table[model]
        for name, price in table.items():
            if re.fullmatch(_REGION + re.escape(name) + _VERSION, model):
                return price
    return None


def with_cost(counted: Counted, model: str, own: Prices | None = None) -> dict[str, int]:
    """The counts of one call with their cost; without, and so marked, where the price is not known."""
    price = price_of(model, own)
    if price is None:
        return {**counted, "unpriced_calls": 1}
    asked, read, written, said = (
        counted.get(f"{name}_tokens", 0) for name in ("input", "cached_read", "cached_write", "output")
    )
    is_long = price.long_input is not None and asked + read + written > LONG_PROMPT_TOKENS
    factor = (price.long_input or 0) / price.input if is_long and price.input else 1.0
    cost = factor * (
        asked * price.input
        + read * (price.input if price.cached_read is None else price.cached_read)
        + written * (price.input if price.cached_write is None else price.cached_write)
    ) + said * (price.long_output if is_long and price.long_output is not None else price.output)
    return {**counted, "cost_microdollars": round(cost)} if round(cost) else dict(counted)


def parse_prices(text: str) -> tuple[dict[str, Price], list[str]]:
    """An operator's table, TOML: `["my-model"]` with the names of `Price`; and what is wrong in it."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return {}, [str(error)]
    prices: dict[str, Price] = {}
    faults: list[str] = []
    for model, table in content.items():
        fault = _fault_of(table)
        if fault:
            faults.append(f"{model}: {fault}")
        else:
            prices[model] = Price(**{name: float(value) for name, value in table.items()})
    return prices, faults


def _fault_of(table: Any) -> str:
    names = Price.__dataclass_fields__
    if not isinstance(table, dict) or not {"input", "output"} <= set(table):
        return "a price is a table with `input` and `output`, US dollars for a million tokens"
    for name, value in table.items():
        if name not in names:
            return f"`{name}` is not known; there are {', '.join(names)}"
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1_000_000:
            return f"{name} is not a number of US dollars"
    return ""
