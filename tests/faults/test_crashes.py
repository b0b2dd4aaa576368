"""The short form of the crash harness: a handful of kills with one bot, and with two on one store.

The long form, with other seeds and hundreds of kills, is `make test-faults`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.crash_run import Plan, crash_run


@pytest.mark.timeout(400)
@pytest.mark.parametrize("bots", [1, 2])
async def test_nothing_is_lost_doubled_or_left_running(bots: int, tmp_path: Path) -> None:
    """People work in several threads while processes die: every prompt ends, is told once, and nothing runs on."""
    plan = Plan(seed=bots, kills=5, bots=bots, seconds=20.0, least_kills=2, settle_seconds=100.0)
    outcome = await crash_run(plan, tmp_path)
    assert not outcome.faults, str(outcome)
    assert outcome.kills.total() >= 2, str(outcome)
