"""How soon a reply is acknowledged, beside a bare Bolt app whose listener commits as many bytes to SQLite.

Both apps are processes of their own, each with a `SlackSocket` in this one, and are asked in turns (A B A B ...).
DevFlow is `devflow run` as it is, on sessions that are running; no worker takes the prompts.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from benchmarks.figures import Figure, Row, milliseconds, percentile, temporary_directory
from benchmarks.slack_socket import CHANNEL_ID, TEAM_ID, SlackSocket
from slackbot.adapters.sqlite import SqliteStore
from slackbot.core import events as ev
from slackbot.core.card_key import card_key
from slackbot.core.item import to_item
from slackbot.core.repository_name import RepositoryName
from slackbot.core.session import (
    Branch,
    Session,
    Status,
    TaskState,
    Thread,
    Turn,
    TurnState,
    derive_session_id,
)
from slackbot.core.transitions import decide

LEVELS = (1, 10, 100)
"""Replies in flight."""
ROUNDS = 6
REPLIES = 100
"""A round and level; each goes to a thread of its own."""
WARM_UP = 100
TARGET_RATIO = 1.5

PROMPT = "Please look at the checkout test again: it fails about once in ten runs, and only on CI. " * 3
RESPONSE = "The test waited for a fixed time instead of the order's event. It now waits for the event itself. " * 15


@dataclass
class Sample:
    """What one app did at one level, over all rounds."""

    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def replies_per_second(self) -> float:
        return len(self.latencies) / self.seconds


def measure() -> Sequence[Row]:
    with temporary_directory() as directory:
        return asyncio.run(_measure(directory))


async def _measure(directory: Path) -> list[Row]:
    numbers = itertools.count(1)
    store = SqliteStore(directory / "sessions.sqlite3")
    replied = _with_reply(_with_reply(running_session(next(numbers))), number=2)
    stored_bytes = len(json.dumps(to_item(replied), separators=(",", ":")))
    tokens = {"SLACK_BOT_TOKEN": "xoxb-bench", "SLACK_APP_TOKEN": "xapp-bench"}
    ours = [sys.executable, "-m", "slackbot", "run"]
    bare = [sys.executable, "-m", "benchmarks.bare_app", str(directory / "bare.sqlite3"), str(stored_bytes)]
    try:
        async with (
            _app(ours, {**tokens, **bot_settings(directory)}, directory / "devflow.log") as devflow_slack,
            _app(bare, tokens, directory / "bare.log") as bare_slack,
        ):
            samples = {(slack, level): Sample() for slack in (devflow_slack, bare_slack) for level in LEVELS}
            for slack in (devflow_slack, bare_slack):
                await _converse(slack, await _sessions(store, numbers, WARM_UP), 10, Sample())
            for _ in range(ROUNDS):
                for level in LEVELS:
                    for slack in (devflow_slack, bare_slack):
                        sessions = await _sessions(store, numbers, REPLIES)
                        # Somebody spoke in each thread before, as in every thread but a new one.
                        await _converse(slack, sessions, level, Sample())
                        await _converse(slack, sessions, level, samples[slack, level], number=2)
                        if slack is devflow_slack:
                            await _check_stored(store, sessions)
    finally:
        await store.close()
    rows: list[Row] = []
    for level in LEVELS:
        rows += _rows(level, samples[devflow_slack, level], samples[bare_slack, level])
    return rows


def _rows(level: int, ours: Sample, bare: Sample) -> Iterator[Row]:
    for percent in (50, 95):
        mine, other = percentile(ours.latencies, percent), percentile(bare.latencies, percent)
        ratio = mine / other
        target, is_met = (f"<= {TARGET_RATIO}", ratio <= TARGET_RATIO) if percent == 50 else ("", None)
        what = f"{level} in flight, p{percent}"
        yield Row(what, milliseconds(mine), milliseconds(other), f"{ratio:.2f}", target, is_met)
    mine, other = ours.replies_per_second, bare.replies_per_second
    yield Row(f"{level} in flight, replies a second", f"{mine:.0f}", f"{other:.0f}", f"{mine / other:.2f}")


async def _converse(
    slack: SlackSocket, sessions: Sequence[Session], in_flight: int, sample: Sample, number: int = 1
) -> None:
    """One reply to each session (its reply `number`), always `in_flight` of them unacknowledged."""
    events = iter([_event(session, number) for session in sessions])

    async def send_one_by_one() -> None:
        for event in events:
            sample.latencies.append(await slack.deliver(event))

    began_at = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(send_one_by_one())
    sample.seconds += time.perf_counter() - began_at
    await slack.settled()


async def _check_stored(store: SqliteStore, sessions: Sequence[Session]) -> None:
    """A refusal is acknowledged, too, and would be quick."""
    for session in sessions:
        item = await store.get(session.session_id, int(time.time()))
        if item is None or len(item["history"]) != len(session.history) + 2:
            raise RuntimeError(f"the reply to session {session.session_id} was acknowledged, but is not in the store")


# --------------------------------------------------------------------------------------------- sessions


async def _sessions(store: SqliteStore, numbers: Iterator[int], count: int) -> list[Session]:
    """Stored sessions that wait for a reply."""
    sessions = [running_session(next(numbers)) for _ in range(count)]
    now = int(time.time())
    made = await asyncio.gather(*(store.create(to_item(session), now) for session in sessions))
    assert all(made)
    return sessions


def running_session(number: int) -> Session:
    """Running, with one prompt answered and told, as after the first minutes of a thread."""
    now = int(time.time())
    thread_ts, user_id = f"{now}.{number:06d}", f"U0P{number % 20:03d}"
    turn = Turn(
        turn_id=f"{CHANNEL_ID}:{thread_ts}",
        user_id=user_id,
        prompt=PROMPT,
        state=TurnState.ANSWERED,
        prompted_at=now,
        response=RESPONSE,
        responded_at=now,
        prompt_ts=thread_ts,
        response_ts=f"{now}.900000",
        commit_sha="c" * 40,
        files_changed=2,
        additions=20,
        deletions=4,
    )
    session = Session(
        session_id=derive_session_id(TEAM_ID, CHANNEL_ID, thread_ts),
        user_id=user_id,
        repository=RepositoryName("acme", "shop"),
        repository_url="https://github.com/acme/shop",
        branch_name=f"devflow/checkout-test-{number:08x}",
        status=Status.RUNNING,
        initial_prompt=PROMPT,
        github_installation_id=77,
        created_at=now,
        updated_at=now,
        ttl=now + 86_400,
        base_branch="main",
        agent="shell",
        thread=Thread(TEAM_ID, CHANNEL_ID, thread_ts, status_ts=thread_ts),
        launch=now * 1000,
        history=(turn,),
        write_version=9,
        ecs_task_arn=f"arn:aws:ecs:local:000000000000:task/devflow/{number:032x}",
        task=TaskState(last_status="RUNNING", ready_at=now, alive_at=now, asked_at=now),
        branch=Branch(base_sha="b" * 40),
    )
    return replace(session, thread=replace(session.thread, card=card_key(session)))


def _event(session: Session, number: int = 1) -> dict[str, Any]:
    """What Slack sends for the thread's reply `number`. https://docs.slack.dev/reference/events/message/"""
    thread_ts = session.thread.thread_ts
    seconds, _, fraction = thread_ts.partition(".")
    ts = f"{int(seconds) + number}.{fraction}"
    return {
        "type": "message",
        "user": session.user_id,
        "ts": ts,
        "client_msg_id": session.session_id,
        "text": PROMPT,
        "team": TEAM_ID,
        "blocks": [
            {
                "type": "rich_text",
                "block_id": "b1",
                "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": PROMPT}]}],
            }
        ],
        "thread_ts": thread_ts,
        "parent_user_id": "U0BOT",
        "channel": CHANNEL_ID,
        "event_ts": ts,
        "channel_type": "channel",
    }


def _with_reply(session: Session, number: int = 1) -> Session:
    event = _event(session, number)
    turn_id = f"{CHANNEL_ID}:{event['ts']}"
    prompt = ev.PromptReceived(turn_id, session.user_id, event["text"], prompt_ts=event["ts"])
    return decide(session, prompt, session.created_at)


# ------------------------------------------------------------------------------------------------- apps


@contextlib.asynccontextmanager
async def _app(command: Sequence[str], environment: Mapping[str, str], log_path: Path) -> AsyncIterator[SlackSocket]:
    """The app's Slack, once the app listens to it; the app's process ends with the block."""
    slack = SlackSocket()
    await slack.start()
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with log_path.open("w") as log:
        process = subprocess.Popen(
            command,
            env={**inherited, **environment, "SLACK_API_URL": slack.api_url},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        try:
            await slack.connected()
        except TimeoutError:
            raise RuntimeError(f"{command[2]} did not connect:\n{log_path.read_text()}") from None
        await slack.settled()
        yield slack
    finally:
        process.kill()
        process.wait()
        await slack.stop()


def bot_settings(directory: Path) -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return {
        "DEVFLOW_STORE": f"sqlite:{directory / 'sessions.sqlite3'}",
        "DEVFLOW_TASKS": "local",
        "DEVFLOW_STATE_DIR": str(directory),
        "DEVFLOW_GATEWAY_LISTEN": "127.0.0.1:0",
        "DEVFLOW_SECRET": "s" * 40,
        "DEVFLOW_ALLOWED_USERS": "*",
        # The sessions' tasks are not there, which nobody is to look into meanwhile.
        "DEVFLOW_RECONCILE_SECONDS": "3600",
        "GITHUB_APP_ID": "1",
        "GITHUB_APP_PRIVATE_KEY": pem,
    }


FIGURE = Figure("acknowledgement", "A reply is stored and acknowledged (DevFlow | bare Bolt app, one commit)", measure)
