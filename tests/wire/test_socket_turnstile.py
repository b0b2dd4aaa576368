"""Envelopes that come together begin a few at a time, first come, first served."""

from __future__ import annotations

import asyncio
import time

import pytest

from slackbot.adapters.socket_turnstile import Turnstile, written_at


async def test_a_few_begin_in_each_round_of_the_loop() -> None:
    """So that the first can end before the last begin; nobody overtakes."""
    turnstile = Turnstile(3)
    begun: list[int] = []

    async def envelope(number: int) -> None:
        await turnstile.turn()
        begun.append(number)

    tasks = [asyncio.create_task(envelope(number)) for number in range(10)]
    while not begun:
        await asyncio.sleep(0)
    assert begun == [0, 1, 2]
    late = asyncio.create_task(envelope(10))
    await asyncio.gather(*tasks, late)
    assert begun == list(range(11))


async def test_a_cancelled_envelope_takes_no_turn() -> None:
    """Those behind it begin as if it had not been there."""
    turnstile = Turnstile(1)
    tasks = [asyncio.create_task(turnstile.turn()) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    async with asyncio.timeout(60):
        await asyncio.gather(tasks[0], tasks[2])


async def test_what_came_together_begins_in_the_order_in_which_it_was_written() -> None:
    """Whichever socket brought it: what is read in one round of the loop comes to its turn in one round."""
    turnstile = Turnstile(2)
    began: list[float] = []

    async def begin(written_at: float) -> None:
        await turnstile.turn(written_at)
        began.append(written_at)

    await asyncio.gather(*(begin(at) for at in (1.0, 3.0, 5.0)), *(begin(at) for at in (2.0, 4.0)))
    assert began == [1.0, 2.0, 3.0, 4.0, 5.0]


@pytest.mark.parametrize("ts", ["1.5", "nan", "inf", "-inf", "1e400", "x", "", None, 7, {}])
async def test_no_ts_holds_up_the_others(ts: object) -> None:
    """One that is none, or lies in a time to come, counts as now."""
    written = written_at({"payload": {"event": {"ts": ts}}})
    assert written <= time.time()
    assert written_at({}) <= time.time()
