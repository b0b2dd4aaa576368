"""`devflow run` as it is, with a trap around each port and shorter waits; a line on stdin arms the trap.

Started by `crash_world.py` as a process of its own: `python -m tests.faults.bot_entry`.
"""

from __future__ import annotations

import functools
import os
import sys
import threading

import slackbot.app as app
import slackbot.app_parts as app_parts
import slackbot.engine as engine
from slackbot.__main__ import main
from tests.faults.kill_points import Trap

RETRY_SECONDS = 0.2
ORPHAN_SECONDS = 4.0


def trapped(trap: Trap) -> None:
    """Every adapter that `run_bot` builds has the trap around it."""
    app.SlackChat = trap.around("chat", app.SlackChat)  # type: ignore[misc]
    app.GithubCodeHost = trap.around("code_host", app.GithubCodeHost)  # type: ignore[misc]
    app_parts.SqliteStore = trap.around("store", app_parts.SqliteStore)  # type: ignore[misc]
    app_parts.LocalTasks = trap.around("tasks", app_parts.LocalTasks)  # type: ignore[misc]
    if os.environ["DEVFLOW_STORE"] == "dynamodb":
        from slackbot.adapters import dynamodb, ecs

        dynamodb.DynamoStore = trap.around("store", dynamodb.DynamoStore)  # type: ignore[misc]
        ecs.EcsTasks = trap.around("tasks", ecs.EcsTasks)  # type: ignore[misc]


def hurried(lease_seconds: int) -> None:
    """What a bot leaves behind is taken up after this time, so that a run with many kills ends."""
    engine.LEASE_SECONDS = lease_seconds
    app.Reconciler = functools.partial(app.Reconciler, orphan_seconds=ORPHAN_SECONDS)  # type: ignore[assignment,misc]
    app.run_bot = functools.partial(app.run_bot, pace=app_parts.Pace(retry=RETRY_SECONDS, catch_up=0.2))  # type: ignore[assignment]


def listen(trap: Trap) -> None:
    """Arms what is written to stdin; ends the process when nobody is there any more to write."""
    for line in sys.stdin:
        trap.arm(line)
    os._exit(3)


if __name__ == "__main__":
    the_trap = Trap()
    trapped(the_trap)
    hurried(int(os.environ["DEVFLOW_TEST_LEASE_SECONDS"]))
    threading.Thread(target=listen, args=(the_trap,), daemon=True).start()
    sys.exit(main(["run"]))
