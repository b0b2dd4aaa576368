"""Envelopes that come together begin a few at a time, first come, first served."""

from __future__ import annotations

import asyncio

from slackbot.adapters.socket_intake import _Turnstile


async def test_a_few_begin_in_each_round_of_the_loop() -> None:
    """So that the first can end before the last begin; nobody overtakes."""
    turnstile = _Turnstile(3)
    begun: list[int] = []

    async def envelope(number: int) -> None:
        await turnstile.turn()
        begun.append(number)

    tasks = [asyncio.create_task(envelope(number)) for number in range(10)]
    await asyncio.sleep(0)
    assert begun == [0, 1, 2]
    late = asyncio.create_task(envelope(10))
    await asyncio.gather(*tasks, late)
    assert begun == list(range(11))


async def test_a_cancelled_envelope_takes_no_turn() -> None:
    """Those behind it begin as if it had not been there."""
    turnstile = _Turnstile(1)
    tasks = [asyncio.create_task(turnstile.turn()) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    async with asyncio.timeout(10):
        await asyncio.gather(tasks[0], tasks[2])
