"""A bot that starts with 10,000 live sessions in its store, beside one that starts with none.

Both are `devflow run` as it is, on SQLite, with a Slack and an ECS in this process that do nothing but answer. Then one
pass of the reconciler over as many sessions, of which a hundred are due, in this process: what it costs in CPU.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.acknowledgement import bot_settings, running_session
from benchmarks.ecs_socket import CLUSTER_ARN, REGION, TASK_DEFINITION_ARN, EcsSocket, task_arn
from benchmarks.figures import Figure, Row, temporary_directory
from benchmarks.slack_socket import SlackSocket
from slackbot.adapters.sqlite import SqliteStore
from slackbot.core import events as ev
from slackbot.core.effects import Effect
from slackbot.core.item import to_item
from slackbot.core.limits import Limits
from slackbot.core.ports import TaskObservation, TaskRequest
from slackbot.core.session import Session
from slackbot.engine import Engine
from slackbot.reconciler import Reconciler

SESSIONS, DUE = 10_000, 100
LATER_SECONDS, LOOK_SECONDS, PASS_SECONDS, MEMORY_MEBIBYTES = 3.0, 60.0, 5.0, 400
PATIENCE_SECONDS = 180.0


def measure() -> Sequence[Row]:
    with temporary_directory() as directory:
        return asyncio.run(_measure(directory))


async def _measure(directory: Path) -> list[Row]:
    empty_seconds, _, _ = await _start(directory / "empty", [])
    heard_seconds, looked_seconds, mebibytes = await _start(directory / "full", await _stored(directory / "full"))
    cpu_seconds, scan_seconds = await _pass(directory / "pass", await _stored(directory / "pass"))
    later = heard_seconds - empty_seconds
    return [
        Row(
            f"hears Slack with {SESSIONS:,} live sessions (baseline: with none)",
            f"{heard_seconds:.1f} s",
            f"{empty_seconds:.1f} s",
            f"{heard_seconds / empty_seconds:.2f}",
            f"< {LATER_SECONDS:.0f} s later",
            later < LATER_SECONDS,
        ),
        Row(
            "has looked at every task", f"{looked_seconds:.1f} s", target="< 60 s", is_met=looked_seconds < LOOK_SECONDS
        ),
        Row(
            "the most memory it had",
            f"{mebibytes:.0f} MiB",
            target=f"< {MEMORY_MEBIBYTES} MiB",
            is_met=mebibytes < MEMORY_MEBIBYTES,
        ),
        Row(
            f"CPU of a pass, {DUE} of them due (baseline: reading the index alone)",
            f"{cpu_seconds:.2f} s",
            f"{scan_seconds:.2f} s",
            f"{cpu_seconds / scan_seconds:.1f}",
            f"< {PASS_SECONDS:.0f} s",
            cpu_seconds < PASS_SECONDS,
        ),
    ]


async def _stored(directory: Path) -> list[Session]:
    """Live sessions in a new store, all heard of just now."""
    directory.mkdir()
    now = int(time.time())
    sessions = [
        replace(
            running_session(number),
            ecs_task_arn=task_arn(number),
            ecs_cluster_arn=CLUSTER_ARN,
            ecs_task_definition_arn=TASK_DEFINITION_ARN,
            due_at=now + 3600 + number,
        )
        for number in range(1, SESSIONS + 1)
    ]
    store = SqliteStore(directory / "sessions.sqlite3")
    for start in range(0, SESSIONS, 500):
        await asyncio.gather(*(store.create(to_item(session), now) for session in sessions[start : start + 500]))
    await store.close()
    return sessions


async def _start(directory: Path, sessions: Sequence[Session]) -> tuple[float, float, float]:
    """Seconds until Slack is heard, seconds until every task was looked at, and the peak of memory in MiB."""
    directory.mkdir(exist_ok=True)
    ecs = EcsSocket({str(session.ecs_task_arn): (session.session_id, session.launch) for session in sessions})
    slack = SlackSocket()
    await asyncio.gather(ecs.start(), slack.start())
    environment = {
        **bot_settings(directory),
        "DEVFLOW_TASKS": "ecs",
        "DEVFLOW_ECS_CLUSTER": CLUSTER_ARN,
        "DEVFLOW_ECS_TASK_DEFINITION": "devflow-worker",
        "DEVFLOW_ECS_SUBNETS": "subnet-1",
        "DEVFLOW_GATEWAY_URL": "http://gateway.bench.internal:8402",
        "DEVFLOW_RECONCILE_SECONDS": "10",
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL_ECS": ecs.url,
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "SLACK_BOT_TOKEN": "xoxb-bench",
        "SLACK_APP_TOKEN": "xapp-bench",
        "SLACK_API_URL": slack.api_url,
    }
    try:
        async with _bot(environment, directory / "devflow.log") as bot:
            began_at = time.perf_counter()
            await slack.connected(PATIENCE_SECONDS)
            heard_seconds = time.perf_counter() - began_at
            if not sessions:
                return heard_seconds, 0.0, 0.0
            while ecs.all_described_at is None:
                if time.perf_counter() - began_at > PATIENCE_SECONDS:
                    raise RuntimeError(f"it looked at {len(ecs.described)} tasks only")
                await asyncio.sleep(0.05)
            return heard_seconds, ecs.all_described_at - began_at, _peak_mebibytes(bot.pid)
    finally:
        await asyncio.gather(ecs.stop(), slack.stop())


@contextlib.asynccontextmanager
async def _bot(environment: Mapping[str, str], log_path: Path) -> AsyncIterator[subprocess.Popen[bytes]]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with log_path.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "slackbot", "run"],
            env={**inherited, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
        if process.poll() is not None:
            raise RuntimeError(f"the bot ended:\n{log_path.read_text()[-4000:]}")
    finally:
        process.kill()
        process.wait()


def _peak_mebibytes(pid: int) -> float:
    """Linux keeps the peak; elsewhere it is what the process has now."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return int(subprocess.check_output(["ps", "-o", "rss=", "-p", str(pid)])) / 1024


async def _pass(directory: Path, sessions: Sequence[Session]) -> tuple[float, float]:
    """CPU seconds of a pass when a hundred sessions are due, and of reading the index alone."""
    now = int(time.time())
    store = SqliteStore(directory / "sessions.sqlite3")
    engine = Engine(store, _Idle(), replica_id="bench", now=time.time, limits_of=lambda _: Limits())
    tasks = _Running({str(session.ecs_task_arn): session for session in sessions})
    reconciler = Reconciler(
        engine=engine, store=store, tasks=tasks, limits_of=lambda _: Limits(), now=time.time, interval_seconds=10
    )
    # The first pass reads every session once; what counts is each one after it.
    await reconciler.run_once()
    for session in sessions[:DUE]:
        item = await store.get(session.session_id, now)
        assert item is not None
        due = {**item, "due_at": now - 1, "write_version": item["write_version"] + 1}
        assert await store.replace(due, item["write_version"])
    began_at = time.process_time()
    await reconciler.run_once()
    await engine.drain(30)
    cpu_seconds = time.process_time() - began_at
    began_at = time.process_time()
    found = [entry async for entry in store.scan(now, live=True)]
    scan_seconds = time.process_time() - began_at
    assert len(found) == SESSIONS
    await store.close()
    return cpu_seconds, scan_seconds


class _Idle:
    """Performs nothing: the sessions owe nothing."""

    async def perform(self, effect: Effect, session: Session, *, first: bool) -> ev.Event | None:
        return None

    def owes_marks(self, session: Session) -> bool:
        return False

    async def mark(self, session: Session) -> None:
        return None


class _Running:
    """`Tasks` that run and never change."""

    def __init__(self, sessions: Mapping[str, Session]) -> None:
        self._tasks = {
            arn: TaskObservation(arn, "RUNNING", session_id=session.session_id, launch=session.launch)
            for arn, session in sessions.items()
        }

    async def run_task(self, request: TaskRequest) -> TaskObservation:
        raise NotImplementedError

    async def describe_tasks(self, task_arns: Sequence[str]) -> dict[str, TaskObservation]:
        return {arn: self._tasks[arn] for arn in task_arns}

    async def stop_task(self, task_arn: str, reason: str) -> None:
        raise NotImplementedError

    async def list_tasks(self) -> list[TaskObservation]:
        return list(self._tasks.values())

    async def close(self) -> None:
        return None


FIGURE = Figure("many-sessions", f"A bot and {SESSIONS:,} live sessions", measure)
