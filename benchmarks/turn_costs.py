"""What a turn costs the store and Slack: conditional writes of its item, and calls of Slack's Web API.

A whole sandbox with an agent (`busy_agent.py`) that tells of its work several times a second; counted from the reply to
the moment at which nothing is owed for it any more. The baseline of the calls is a turn that ends at once.
"""

from __future__ import annotations

import json
import shlex
import sqlite3
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, Row, temporary_directory
from benchmarks.sandbox_process import SandboxProcess

TURNS = ((0.0, None), (5.0, 8), (60.0, 20))
"""Seconds of work, and the most calls of Slack that such a turn may take."""
MOST_WRITES = 4
LOOK_SECONDS = 0.005
QUIET_SECONDS = 1.5
"""So long nothing may change before a turn counts as done: marks and cards come behind the answer."""


@dataclass
class Cost:
    """Of one turn. `signs_of_life` are the writes that say that the worker lives, at most one a minute."""

    writes: int
    signs_of_life: int
    calls: int


def measure() -> Sequence[Row]:
    with temporary_directory() as directory:
        agent = shlex.join([sys.executable, str(Path(__file__).with_name("busy_agent.py"))])
        with SandboxProcess(directory / "state", DEVFLOW_AGENT=agent) as sandbox:
            sandbox.act("command", command="/devflow", text="start demo/hello 0 warm up")
            item = _settled(sandbox, "0 warm up")
            costs = [_turn(sandbox, item["slack"]["thread_ts"], seconds) for seconds, _ in TURNS]
    rows = []
    for (seconds, most_calls), cost in zip(TURNS, costs, strict=True):
        turn = f"a turn of {seconds:.0f} s"
        writes = f"{cost.writes} (and {cost.signs_of_life} signs of life)"
        rows.append(
            Row(f"{turn}: writes of the item", writes, target=f"<= {MOST_WRITES}", is_met=cost.writes <= MOST_WRITES)
        )
        target, is_met = (f"<= {most_calls}", cost.calls <= most_calls) if most_calls is not None else ("", None)
        ratio = f"{cost.calls / costs[0].calls:.1f}"
        rows.append(Row(f"{turn}: calls of Slack", str(cost.calls), str(costs[0].calls), ratio, target, is_met))
    return rows


def _turn(sandbox: SandboxProcess, thread_ts: str, seconds: float) -> Cost:
    before, began_at = _item(sandbox), time.time()
    prompt = f"{seconds:.0f} seconds of work from {began_at}"
    sandbox.act("post", text=prompt, thread_ts=thread_ts)
    alive: set[int] = {before["task"].get("alive_at", 0)}
    after = _settled(sandbox, prompt, alive)
    calls = [call for call in sandbox.read("calls")["calls"] if call["at"] >= began_at]
    signs = len(alive) - 1
    return Cost(after["write_version"] - before["write_version"] - signs, signs, len(calls))


def _settled(sandbox: SandboxProcess, prompt: str, alive: set[int] | None = None) -> dict[str, Any]:
    """The item once `prompt` is answered, told, and nothing has changed for a while."""
    deadline, last, quiet_since = time.monotonic() + 180, (-1, -1), time.monotonic()
    while time.monotonic() < deadline:
        item = _item(sandbox)
        turns = item.get("history", [])
        if alive is not None and item:
            alive.add(item["task"].get("alive_at", 0))
        calls = len(sandbox.read("calls")["calls"]) if turns and turns[-1].get("response_ts") else -1
        seen = (item.get("write_version", 0), calls)
        if seen != last or not turns or turns[-1]["prompt"] != prompt or not turns[-1].get("response_ts"):
            last, quiet_since = seen, time.monotonic()
        elif time.monotonic() - quiet_since > QUIET_SECONDS:
            return item
        time.sleep(LOOK_SECONDS)
    raise RuntimeError(f"there was no end of {prompt!r}")


def _item(sandbox: SandboxProcess) -> dict[str, Any]:
    connection = sqlite3.connect(f"file:{sandbox.state_dir / 'sessions.sqlite3'}?mode=ro", uri=True, timeout=10)
    try:
        rows = connection.execute("SELECT item FROM devflow_sessions").fetchall()
    finally:
        connection.close()
    found: dict[str, Any] = json.loads(rows[0][0]) if rows else {}
    return found


FIGURE = Figure("turn-costs", "What a turn costs the store and Slack", measure)
