"""Lanes: one piece of work at a time, tried again after failures, for as long as it takes."""

from __future__ import annotations

import asyncio

from slackbot.lanes import Lane, Lanes


def test_the_pause_is_bounded_after_any_number_of_failures() -> None:
    """A session that failed all night is tried again in the morning."""
    lane = Lane()
    lane.failures = 5_000
    assert lane.back_off_seconds(1.0, 60.0) == 60.0
    assert lane.back_off_seconds(0.2, 10.0, factor=1.9) <= 10.0


async def test_a_kick_under_way_makes_it_look_once_more() -> None:
    """What comes in while one looks is not overlooked, and nothing runs twice at once."""
    running, seen, gate = 0, [], asyncio.Event()

    async def perform(session_id: str, name: str, lane: Lane) -> float | None:
        nonlocal running
        running += 1
        assert running == 1
        seen.append(name)
        await gate.wait()
        running -= 1
        return None

    lanes = Lanes(perform, retry_seconds=0.01, on_begin=lambda session_id, name: None)
    lanes.kick("s", "work")
    await asyncio.sleep(0)
    lanes.kick("s", "work")
    lanes.kick("s", "work")
    gate.set()
    assert await lanes.drain(5)
    assert seen == ["work", "work"]


async def test_a_kick_while_it_finds_something_to_wait_for_is_not_overlooked() -> None:
    """A task that stops takes its time; a pull request asked for at that moment does not wait for it."""
    seen, gate = [], asyncio.Event()

    async def perform(session_id: str, name: str, lane: Lane) -> float | None:
        seen.append(name)
        await gate.wait()
        return 3600.0

    lanes = Lanes(perform, retry_seconds=0.01, on_begin=lambda session_id, name: None)
    lanes.kick("s", "work")
    await asyncio.sleep(0)
    lanes.kick("s", "work")
    gate.set()
    while lanes.is_busy:
        await asyncio.sleep(0)
    assert seen == ["work", "work"]
    assert await lanes.drain(5)


async def test_what_raises_is_tried_again_and_not_before_its_time() -> None:
    """An unexpected failure waits; a new event meanwhile is no reason to hurry."""
    tries, done = [], asyncio.Event()

    async def perform(session_id: str, name: str, lane: Lane) -> float | None:
        tries.append(lane.failures)
        if len(tries) == 1:
            raise ValueError("broken")
        done.set()
        return None

    lanes = Lanes(perform, retry_seconds=0.02, on_begin=lambda session_id, name: None)
    lanes.kick("s", "work")
    while lanes.is_busy or not tries:
        await asyncio.sleep(0)
    lanes.kick("s", "work")
    assert not lanes.is_busy
    await asyncio.wait_for(done.wait(), 60)
    assert await lanes.drain(5)
    assert tries == [0, 1]


async def test_nothing_begins_once_it_drains() -> None:
    """A lane that is kicked at the end stays where it is."""
    tries = []

    async def perform(session_id: str, name: str, lane: Lane) -> float | None:
        tries.append(name)
        return None

    lanes = Lanes(perform, retry_seconds=0.01, on_begin=lambda session_id, name: None)
    assert await lanes.drain(1)
    lanes.kick("s", "work")
    assert tries == []
