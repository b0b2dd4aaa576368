"""What may wait for a quiet moment does begin: in order, once, and whatever goes on meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from slackbot import quiet_time
from slackbot.quiet_time import QuietTime


async def begun(wanted: list[str], got: list[str]) -> None:
    async with asyncio.timeout(60):
        while got != wanted:
            await asyncio.sleep(0.01)


async def test_sessions_begin_once_each_in_the_order_they_came() -> None:
    """A second change of a session that waits is the same piece of work."""
    got: list[str] = []
    quiet = QuietTime(got.append)
    for session_id in ("one", "two", "one", "three"):
        quiet.add(session_id)
    assert (got, len(quiet)) == ([], 3)
    await begun(["one", "two", "three"], got)
    assert not quiet


async def test_nothing_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is never quiet, each begins all the same."""
    monkeypatch.setattr(quiet_time, "QUIET_SECONDS", 3600.0)
    monkeypatch.setattr(quiet_time, "AT_MOST_SECONDS", 0.05)
    got: list[str] = []
    quiet = QuietTime(got.append)
    quiet.disturb()
    quiet.add("one")
    quiet.disturb()
    await begun(["one"], got)


async def test_what_was_begun_otherwise_is_not_begun_again() -> None:
    """The one behind it still is."""
    got: list[str] = []
    quiet = QuietTime(got.append)
    quiet.add("one")
    quiet.add("two")
    quiet.discard("one")
    await begun(["two"], got)


async def test_at_the_end_all_begin_at_once() -> None:
    """A bot that stops draws its cards first."""
    got: list[str] = []
    quiet = QuietTime(got.append)
    quiet.add("one")
    quiet.add("two")
    quiet.begin_all()
    assert (got, len(quiet)) == (["one", "two"], 0)
