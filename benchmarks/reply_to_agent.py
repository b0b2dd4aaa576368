"""How long a reply takes from the page to the agent's stdin, through the whole sandbox, every process of it real:
Slack's stand-in, the bot with its store and gateway, the worker, an ACP agent (`echo_agent.py`).

The clock begins before the page's POST and ends when the agent gets session/prompt.
"""

from __future__ import annotations

import json
import shlex
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, Row, milliseconds, percentile, temporary_directory
from benchmarks.sandbox_process import SandboxProcess

REPLIES = 60
TARGET_SECONDS = 0.1
PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.01


def measure() -> Sequence[Row]:
    with temporary_directory() as directory:
        arrivals = directory / "arrivals"
        agent = shlex.join([sys.executable, str(Path(__file__).with_name("echo_agent.py")), str(arrivals)])
        with SandboxProcess(directory / "state", DEVFLOW_AGENT=agent) as sandbox:
            posted, posts = _converse(sandbox)
        came = {line["prompt"]: line["at"] for line in map(json.loads, arrivals.read_text().splitlines())}
    taken = [came[prompt] - at for prompt, at in posted.items()]
    baseline = percentile(posts, 50)
    rows: list[Row] = []
    for percent, target in ((50, f"< {TARGET_SECONDS * 1000:.0f} ms"), (95, "")):
        seconds = percentile(taken, percent)
        rows.append(
            Row(
                f"p{percent} of {len(taken)} replies in one thread",
                milliseconds(seconds),
                milliseconds(baseline),
                f"{seconds / baseline:.1f}",
                target,
                seconds < TARGET_SECONDS if target else None,
            )
        )
    return rows


def _converse(sandbox: SandboxProcess) -> tuple[dict[str, float], list[float]]:
    """Each reply after the answer to the one before: when it was posted, and how long a bare post takes."""
    sandbox.act("command", command="/devflow", text="start demo/hello begin")
    thread_ts = _until("an answer to the first prompt", lambda: _answered(sandbox, "begin"))["slack"]["thread_ts"]
    posted: dict[str, float] = {}
    posts = []
    for number in range(REPLIES):
        prompt = f"reply {number}"
        posted[prompt] = time.monotonic()
        sandbox.act("post", text=prompt, thread_ts=thread_ts)
        _until(f"an answer to {prompt}", lambda prompt=prompt: _answered(sandbox, prompt))
        began_at = time.monotonic()
        sandbox.act("post", text="for nobody in particular")
        posts.append(time.monotonic() - began_at)
    return posted, posts


def _answered(sandbox: SandboxProcess, prompt: str) -> dict[str, Any] | None:
    """The one session's item, when its last turn is the answered `prompt` and nothing is owed for it."""
    path = sandbox.state_dir / "sessions.sqlite3"
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
    try:
        rows = connection.execute("SELECT item FROM devflow_sessions").fetchall()
    finally:
        connection.close()
    item: dict[str, Any] = json.loads(rows[0][0]) if rows else {"history": []}
    last = item["history"][-1] if item["history"] else {}
    return item if last.get("prompt") == prompt and last.get("response_ts") else None


def _until(what: str, look: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise RuntimeError(f"there was no sign of {what}")
        time.sleep(LOOK_SECONDS)
    return found


FIGURE = Figure(
    "reply-to-agent",
    "From a reply to the prompt in the agent's stdin (baseline: the page's POST of a message)",
    measure,
)
