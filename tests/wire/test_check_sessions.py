"""`devflow check --sessions`: what does not agree between store, tasks, branches and threads, and its mending.

A real bot begins the sessions, then ends as by an outage; tests break one thing at a time, and look.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from slackbot import check_sessions
from slackbot.check import render
from slackbot.check_sessions import Comparison, Fault, compare, findings, mend, open_world
from slackbot.config import load_settings
from slackbot.core.ports import TaskObservation
from tests.wire.bot_world import BotWorld, Person, SessionThread, bot_world, until


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[BotWorld]:
    """A bot that runs."""
    async with bot_world(tmp_path) as made:
        await made.start_bot()
        yield made


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not mended at once is not waited for."""
    monkeypatch.setattr(check_sessions, "FIX_SECONDS", 5.0)


async def a_session(world: BotWorld) -> tuple[Person, SessionThread]:
    """A session at rest, whose worker runs; then the bot ends."""
    ada = world.someone("ada")
    thread = await ada.starts(await world.repository(), "echo hi")
    worker = await thread.worker()
    await worker.works()
    await thread.turn(1, "answered")
    await until(lambda: "lease" not in thread.item(), "nothing owed")
    await world.stop_bot()
    return ada, thread


async def look(world: BotWorld, *, fix: bool = False) -> list[str]:
    """The lines, with tasks as the test left them."""
    settings = load_settings({**world.environment, "DEVFLOW_AUDIT_LOG": str(world.directory / "audit.log")})
    async with open_world(settings, tasks=world.tasks) as opened:
        found = await compare(opened)
        return render(findings(found, await mend(opened, found) if fix and found.faults else None))


def change(world: BotWorld, thread: SessionThread, **attributes: Any) -> None:
    """Writes into the item behind the bot's back; None takes an attribute away."""
    item = {name: value for name, value in {**thread.item(), **attributes}.items() if value is not None}
    with sqlite3.connect(world.store_path) as connection:
        connection.execute(
            "UPDATE devflow_sessions SET item = ?, due_at = ? WHERE session_id = ?",
            (json.dumps(item), item.get("due_at"), thread.session_id),
        )
    connection.close()


async def test_nothing_to_say_where_all_agree(world: BotWorld) -> None:
    """One line with what was looked at; --fix has nothing to do."""
    _, thread = await a_session(world)
    assert await look(world) == ["ok  sessions: looked at 1 live and 0 ended sessions, 1 tasks: all agree"]
    before = thread.item()
    assert len(await look(world, fix=True)) == 1
    assert thread.item() == before


async def test_a_session_whose_task_is_gone_is_told_and_ended(world: BotWorld) -> None:
    """It died while no bot ran: its thread says so after --fix, by the words a bot would have used."""
    _, thread = await a_session(world)
    world.tasks.exit(thread.item()["ecs_task_arn"], 137, stopped_reason="OutOfMemoryError: Container killed")
    name = f"session {thread.session_id}"
    (line, _) = await look(world)
    assert line.startswith(f"!!  {name}: it is running, and its task is STOPPED (EssentialContainerExited) — A running")
    shown = await look(world, fix=True)
    assert shown[0] == f"ok  {name}: it is running, and its task is STOPPED (EssentialContainerExited): mended"
    assert thread.item()["status"] == "error"
    await thread.shows("ran out of memory")
    assert '"action": "stopped"' in (world.directory / "audit.log").read_text()


async def test_a_task_without_a_session_is_named_and_stopped(world: BotWorld) -> None:
    """One of a session that nobody knows, and one of an older launch; the session's own goes on."""
    _, thread = await a_session(world)
    own = thread.item()["ecs_task_arn"]
    prefix = own.rpartition("/")[0]
    world.tasks.adopt(TaskObservation(f"{prefix}/unknown", "RUNNING", "3f0c1f0e-0000-4000-8000-000000000000", 1))
    world.tasks.adopt(TaskObservation(f"{prefix}/older", "RUNNING", thread.session_id, 1))
    shown = await look(world)
    assert [line.partition(" — ")[0] for line in shown[:2]] == [
        f"!!  task {prefix}/unknown: no session owns it, and it runs",
        f"!!  task {prefix}/older: no session owns it, and it runs",
    ]
    await look(world, fix=True)
    assert {arn for arn, _ in world.tasks.stops} == {f"{prefix}/unknown", f"{prefix}/older"}


async def test_a_task_whose_session_cannot_be_read_is_left_alone(world: BotWorld) -> None:
    """Nobody knows whether it is wanted; the session is named."""
    _, thread = await a_session(world)
    change(world, thread, history="not a list of turns", launch="never")
    shown = await look(world, fix=True)
    assert any(f"session {thread.session_id}: " in line and "cannot be read" in line for line in shown)
    assert world.tasks.stops == []


async def test_an_item_that_lists_pass_over_is_named(world: BotWorld) -> None:
    """Somebody took away what every list shows: it would be seen nowhere else."""
    _, thread = await a_session(world)
    session_id = thread.session_id
    change(world, thread, branch_name=None)
    shown = await look(world)
    assert f"!!  session {session_id}: its item in the table cannot be read — Repair or delete it by hand" in shown[0]


async def test_a_debt_that_nobody_paid_is_named_and_paid(world: BotWorld) -> None:
    """A bot died between the store and Slack: the answer is posted by --fix."""
    _, thread = await a_session(world)
    item = thread.item()
    turn = {name: value for name, value in item["history"][0].items() if name != "response_ts"}
    answers = thread.of_type("devflow_answer")
    await world_deletes(world, thread, answers[0]["ts"])
    change(world, thread, history=[turn], due_at=item["updated_at"] - 600)
    (line, _) = await look(world)
    assert line.startswith(f"!!  session {thread.session_id}: it is owed deliver answer (for 1")
    shown = await look(world, fix=True)
    assert shown[0].startswith("ok  session")
    assert shown[0].endswith(": mended")
    assert thread.turns()[0]["response_ts"]
    assert len(thread.of_type("devflow_answer")) == 1


async def world_deletes(world: BotWorld, thread: SessionThread, ts: str) -> None:
    """The message goes, as if it had never been posted."""
    url = f"{world.slack.api_url}chat.delete"
    headers = {"Authorization": "Bearer xoxb-of-a-test"}
    async with world.http.post(url, json={"channel": thread.channel_id, "ts": ts}, headers=headers) as answer:
        assert (await answer.json())["ok"]


async def test_a_branch_that_is_gone_is_named(world: BotWorld) -> None:
    """Somebody deleted it under a live session."""
    _, thread = await a_session(world)
    item = thread.item()
    row = world.github.world.store.repository(f"{item['repository_owner']}/{item['repository_name']}")
    assert row is not None
    await world.github.world.git(row).update_ref(f"refs/heads/{item['branch_name']}", None)
    (line, _) = await look(world)
    assert f"its branch `{item['branch_name']}` of {item['repository_owner']}/" in line
    assert "is gone — The worker's next push" in line


async def test_a_thread_that_is_gone_is_named(world: BotWorld) -> None:
    """Its first message was deleted: people may still write below it, so nothing is ended unasked."""
    _, thread = await a_session(world)
    await world_deletes(world, thread, thread.thread_ts)
    shown = await look(world, fix=True)
    assert f"the first message of its thread {thread.thread_ts} in {thread.channel_id} was deleted" in shown[0]
    assert thread.item()["status"] == "running"


async def test_a_thread_that_cannot_be_reached_ends_its_session(world: BotWorld) -> None:
    """The channel is no more: --fix ends what nobody can see, task included."""
    _, thread = await a_session(world)
    slack = {**thread.item()["slack"], "channel_id": "C0GONE"}
    change(world, thread, slack=slack)
    (line, _) = await look(world)
    assert "in C0GONE cannot be reached: Slack refused conversations.replies" in line
    await look(world, fix=True)
    assert thread.item()["status"] == "stopped"
    assert [arn for arn, _ in world.tasks.stops] == [thread.item()["ecs_task_arn"]]


def test_what_is_left_and_what_came_new_is_told() -> None:
    """After mending: gone is ok, what stays is wrong, and what showed up meanwhile is wrong too."""
    first, second, third = (Fault(f"session {n}", "it is owed a post (for 3 minutes)", "Wait") for n in "123")
    found, again = Comparison(2, 0, 2, (first, second)), Comparison(2, 0, 2, (second, third))
    assert [line[:13] for line in render(findings(found, again))] == [
        "ok  session 1",
        "!!  session 2",
        "!!  session 3",
        "ok  sessions:",
    ]
