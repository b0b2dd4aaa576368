"""What models cost, as data, and the cost of one call. Pure. A model that is not here is counted in tokens alone.

US dollars for a million tokens, list prices of the providers for their standard tier, which change; an operator's own
table (DEVFLOW_MODEL_PRICES) comes before this one. As of November 2026: https://claude.com/pricing#api,
https://platform.openai.com/docs/pricing, https://ai.google.dev/gemini-api/docs/pricing
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slackbot.core.spending import Counted


@dataclass(frozen=True)
class Price:
    """US dollars for a million tokens, which is millionths of a dollar for one."""

    input: float
    output: float
    cached_read: float | None = None
    """None = as `input`."""
    cached_write: float | None = None
    long_after: int | None = None
    """Beyond so many tokens of input, all of it costs `long_input` in place of `input` (what a cache served in
    proportion), and the output `long_output`."""
    long_input: float | None = None
    long_output: float | None = None
    cached_write_1h: float | None = None
    """What is kept for an hour. None = twice `input`, as Anthropic's, where `cached_write` has a price of its own.
    https://docs.claude.com/en/docs/build-with-claude/prompt-caching#pricing"""

    @property
    def written(self) -> float:
        return self.input if self.cached_write is None else self.cached_write

    @property
    def written_1h(self) -> float:
        if self.cached_write_1h is not None:
            return self.cached_write_1h
        return self.input if self.cached_write is None else 2 * self.input


Prices = Mapping[str, Price]


def _twice(input: float, output: float, cached_read: float, cached_write: float | None = None) -> Price:
    """As OpenAI's models of late: beyond 272,000 tokens the input costs twice, the output half as much again."""
    return Price(input, output, cached_read, cached_write, 272_000, input * 2, output * 1.5)


_OPUS_4, _OPUS = Price(15, 75, 1.5, 18.75), Price(5, 25, 0.5, 6.25)
_SONNET = Price(3, 15, 0.3, 3.75)
_SONNET_4_5 = Price(3, 15, 0.3, 3.75, 200_000, 6, 22.5)
_GPT_5, _GPT_5_2 = Price(1.25, 10, 0.125), Price(1.75, 14, 0.175)
_GEMINI_PRO, _GEMINI_FLASH = Price(2, 12, 0.2, None, 200_000, 4, 18), Price(1.5, 7.5, 0.15)

PRICES: Prices = {
    "claude-fable-5": Price(10, 50, 1, 12.5),
    "claude-fable-5-1": Price(10, 50, 0.25, 12.5),
    "claude-fable-5-2": Price(8, 40, 0.2, 10),
    "claude-mythos-5-2": Price(8, 40, 0.2, 10),
    "claude-opus-5-5": Price(4, 20, 0.2, 5),
    "claude-opus-5": _OPUS,
    "claude-opus-4-8": _OPUS,
    "claude-opus-4-7": _OPUS,
    "claude-opus-4-6": _OPUS,
    "claude-opus-4-5": _OPUS,
    "claude-opus-4-1": _OPUS_4,
    "claude-opus-4-0": _OPUS_4,
    "claude-opus-4": _OPUS_4,
    "claude-sonnet-5-5": Price(2, 10, 0.1, 2.5),
    "claude-sonnet-5": Price(2, 10, 0.2, 2.5),
    "claude-sonnet-4-6": _SONNET,
    "claude-sonnet-4-5": _SONNET_4_5,
    "claude-sonnet-4-0": _SONNET,
    "claude-sonnet-4": _SONNET,
    "claude-3-7-sonnet": _SONNET,
    "claude-haiku-5-5": Price(0.1, 0.5, 0.01, 0.125, 100_000, 0.5, 2.5),
    "claude-haiku-4-5": Price(1, 5, 0.1, 1.25),
    "claude-3-5-haiku": Price(0.8, 4, 0.08, 1),
    "gpt-6.1-sol": _twice(2, 10, 0.1, 2.5),
    "gpt-6.1-terra": _twice(1, 5, 0.05, 1.25),
    "gpt-6-astra": _twice(10, 50, 1, 12.5),
    "gpt-6-sol": _twice(2, 10, 0.2, 2.5),
    "gpt-6-luna": _twice(0.1, 0.5, 0.01, 0.125),
    "gpt-5.6-sol": _twice(4, 20, 0.4, 5),
    "gpt-5.6-terra": _twice(2, 12, 0.2, 2.5),
    "gpt-5.6-luna": _twice(0.2, 1.2, 0.02, 0.25),
    "gpt-5.5": _twice(5, 30, 0.5),
    "gpt-5.4": _twice(2.5, 15, 0.25),
    "gpt-5.4-mini": Price(0.75, 4.5, 0.075),
    "gpt-5.4-nano": Price(0.2, 1.25, 0.02),
    "gpt-5.3": _GPT_5_2,
    "gpt-5.3-codex": _GPT_5_2,
    "gpt-5.2": _GPT_5_2,
    "gpt-5.2-codex": _GPT_5_2,
    "gpt-5.1": _GPT_5,
    "gpt-5.1-codex": _GPT_5,
    "gpt-5.1-codex-mini": Price(0.25, 2, 0.025),
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
    "gemini-4-argon": Price(4, 20, 0.2),
    "gemini-3.8-flash": _GEMINI_FLASH,
    "gemini-3.7-flash": _GEMINI_FLASH,
    "gemini-3.6-flash": _GEMINI_FLASH,
    "gemini-3.5-flash": Price(1.5, 9, 0.15),
    "gemini-3.5-flash-lite": Price(0.3, 2.5, 0.03),
    "gemini-3.1-pro-preview": _GEMINI_PRO,
    "gemini-3.1-flash-lite": Price(0.25, 1.5, 0.025),
    "gemini-3-pro-preview": _GEMINI_PRO,
    "gemini-3-flash-preview": Price(0.5, 3, 0.05),
    "gemini-2.5-pro": Price(1.25, 10, 0.125, None, 200_000, 2.5, 15),
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
    is_long = price.long_after is not None and asked + read + written > price.long_after
    hour = min(counted.get("cached_write_1h_tokens", 0), written)
    factor = price.long_input / price.input if is_long and price.long_input is not None and price.input else 1.0
    cost = factor * (
        asked * price.input
        + read * (price.input if price.cached_read is None else price.cached_read)
        + (written - hour) * price.written
        + hour * price.written_1h
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
            prices[model] = Price(**table)
    return prices, faults


def _fault_of(table: Any) -> str:
    names = Price.__dataclass_fields__
    if not isinstance(table, dict) or not {"input", "output"} <= set(table):
        return "a price is a table with `input` and `output`, US dollars for a million tokens"
    for name, value in table.items():
        if name not in names:
            return f"`{name}` is not known; there are {', '.join(names)}"
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 10_000_000:
            return f"{name} = {value!r} is not a number, or out of reason"
    return ""
