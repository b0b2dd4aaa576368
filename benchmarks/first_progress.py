"""From an agent's first update to the first message in the thread that shows it, through the whole sandbox.

The agent is `echo_agent.py --slow`: it writes down when it sends its first update, and works on for a while.
"""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Figure, Row, milliseconds, percentile, temporary_directory
from benchmarks.reply_to_agent import _answered, _until
from benchmarks.sandbox_process import SandboxProcess

TURNS = 8
TARGET_SECONDS = 0.3
PATIENCE_SECONDS = 60.0


def measure() -> Sequence[Row]:
    with temporary_directory() as directory:
        arrivals = directory / "arrivals"
        agent = shlex.join([sys.executable, str(Path(__file__).with_name("echo_agent.py")), str(arrivals), "--slow"])
        with SandboxProcess(directory / "state", DEVFLOW_AGENT=agent) as sandbox:
            seen = _converse(sandbox)
        said = {line["prompt"]: line["at"] for line in map(json.loads, arrivals.read_text().splitlines())}
    taken = [at - said[prompt] for prompt, at in seen.items()]
    middle, worst = percentile(taken, 50), max(taken)
    target = f"< {TARGET_SECONDS * 1000:.0f} ms"
    return [
        Row(f"median of {len(taken)} prompts", milliseconds(middle), target=target, is_met=middle < TARGET_SECONDS),
        Row("the slowest", milliseconds(worst)),
    ]


def _converse(sandbox: SandboxProcess) -> dict[str, float]:
    """When each prompt's progress was first seen on the page (time.monotonic())."""
    seen: dict[str, float] = {}
    sandbox.act("command", command="/devflow", text="start demo/hello begin")
    thread_ts = _until("an answer to the first prompt", lambda: _answered(sandbox, "begin"))["slack"]["thread_ts"]
    for number in range(TURNS):
        prompt = f"reply {number}"
        sandbox.act("post", text=prompt, thread_ts=thread_ts)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while prompt not in seen:
            if time.monotonic() > deadline:
                raise RuntimeError(f"no progress was shown for {prompt}")
            if any(f"working on {prompt}" in text for text in sandbox.thread_texts(thread_ts)):
                seen[prompt] = time.monotonic()
        _until(f"an answer to {prompt}", lambda prompt=prompt: _answered(sandbox, prompt))
    return seen


FIGURE = Figure("first-progress", "From an agent's first update to the thread", measure)
