"""One holder of a key at a time, in the order in which they came, whoever gives up meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from slackbot.one_at_a_time import OneAtATime


async def holders(turns: OneAtATime, names: str, *, cancelled: str = "", key: str = "k") -> list[str]:
    """In which order they held the key, each over a few rounds of the loop; those `cancelled` give up while waiting."""
    held: list[str] = []

    async def hold(name: str) -> None:
        async with turns.of(key):
            held.append(f"{name} in")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            held.append(f"{name} out")

    tasks = {name: asyncio.create_task(hold(name)) for name in names}
    await asyncio.sleep(0)
    for name in cancelled:
        tasks[name].cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)
    return held


async def test_they_hold_it_one_after_the_other_in_their_order() -> None:
    turns = OneAtATime()
    assert await holders(turns, "abc") == ["a in", "a out", "b in", "b out", "c in", "c out"]
    assert not turns.is_held("k")


async def test_who_gives_up_is_passed_over() -> None:
    turns = OneAtATime()
    assert await holders(turns, "abcd", cancelled="bd") == ["a in", "a out", "c in", "c out"]
    assert not turns.is_held("k")


async def test_who_gives_up_just_as_it_is_given_passes_it_on() -> None:
    """Its turn was handed over already; it must not be lost with it."""
    turns = OneAtATime()
    await turns.take("k")
    second, third = asyncio.create_task(turns.take("k")), asyncio.create_task(turns.take("k"))
    await asyncio.sleep(0)
    turns.give_back("k")
    second.cancel()
    async with asyncio.timeout(60):
        await third
    assert second.cancelled()
    turns.give_back("k")
    assert not turns.is_held("k")


async def test_who_was_passed_over_before_it_knew_of_its_end_ends_as_it_should() -> None:
    """Holder and waiter are cancelled in one breath, as at the end of a bot."""
    turns = OneAtATime()
    await turns.take("k")
    waiting = asyncio.create_task(turns.take("k"))
    await asyncio.sleep(0)
    waiting.cancel()
    turns.give_back("k")
    await asyncio.gather(waiting, return_exceptions=True)
    assert waiting.cancelled()
    assert not turns.is_held("k")


async def test_another_key_waits_for_nobody_and_an_error_gives_it_back() -> None:
    turns = OneAtATime()

    async def fail_inside() -> None:
        async with turns.of("k"):
            assert turns.is_held("k")
            async with asyncio.timeout(60), turns.of("other"):
                raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        await fail_inside()
    assert not turns.is_held("k")
    assert not turns.is_held("other")
