"""What follows from a write: soon where it is alone, behind those who wait where writes come one after the other."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from slackbot import afterwards as afterwards_module
from slackbot.afterwards import Afterwards


async def test_what_is_alone_follows_in_the_next_round_of_the_loop() -> None:
    """Never at once: the caller's own task goes on first."""
    done: list[str] = []
    afterwards = Afterwards()
    afterwards.do(lambda: done.append("follow"))
    done.append("caller")
    await asyncio.sleep(0)
    assert done == ["caller", "follow"]
    assert not afterwards


async def test_what_comes_close_behind_waits_and_keeps_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who were there first are served meanwhile."""
    monkeypatch.setattr(afterwards_module, "AT_MOST_SECONDS", 1_000.0)
    monkeypatch.setattr(afterwards_module, "CLOSE_SECONDS", 1_000.0)
    done: list[int] = []
    afterwards = Afterwards()
    afterwards.do(lambda: done.append(0))
    await asyncio.sleep(0)
    for number in range(1, 40):
        afterwards.do(lambda number=number: done.append(number))  # type: ignore[misc]
        await asyncio.sleep(0)
    assert done == [0]
    afterwards.do_all()
    assert done == list(range(40))


async def test_a_pause_lets_it_happen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(afterwards_module, "AT_MOST_SECONDS", 1_000.0)
    done: list[int] = []
    afterwards = Afterwards()
    for number in range(3):
        afterwards.do(lambda number=number: done.append(number))  # type: ignore[misc]
        await asyncio.sleep(0)
    async with asyncio.timeout(20):
        while afterwards:
            await asyncio.sleep(0.001)
    assert done == [0, 1, 2]


async def test_under_a_load_that_never_pauses_it_is_done_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(afterwards_module, "CLOSE_SECONDS", 1_000.0)
    done: list[int] = []
    afterwards = Afterwards()
    afterwards.do(lambda: None)
    await asyncio.sleep(0)
    monkeypatch.setattr(afterwards_module, "CLOSE_SECONDS", 0.05)
    afterwards.do(lambda: done.append(1))
    monkeypatch.setattr(afterwards_module, "CLOSE_SECONDS", 1_000.0)
    async with asyncio.timeout(20):
        while not done:
            afterwards.do(lambda: None)
            await asyncio.sleep(0)
    assert done == [1]


async def test_at_the_end_nothing_waits_any_longer_and_an_error_harms_nobody() -> None:
    done: list[str] = []
    afterwards = Afterwards()
    afterwards.do(lambda: done.append("first"))
    afterwards.do(lambda: 1 // 0)  # type: ignore[arg-type, return-value]
    afterwards.do(lambda: done.append("last"))
    with capture_logs() as logged:
        afterwards.do_all()
    assert done == ["first", "last"]
    assert [entry["event"] for entry in logged] == ["follow_up_failed"]
    await asyncio.sleep(0)
    assert done == ["first", "last"]
