"""The audit log as an administrator reads it: the file's lines after the main job, and after what was refused."""

from __future__ import annotations

import json
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest_asyncio
import structlog

from slackbot.audit import AuditLog
from slackbot.core.acts import acts_of
from slackbot.core.session import TurnState
from tests.core.builders import running
from tests.wire.bot_world import BOT, SECRET, BotWorld, bot_world, until

PROMPT = "echo a-prompt-that-nobody-but-the-thread-may-see"


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[BotWorld]:
    """A bot with an audit file and a rule for one repository."""
    policy = tmp_path / "policy.toml"
    policy.write_text(
        '[[repository]]\nmatch = "demo/hello"\nchannels = ["C0SOMEWHERE"]\n'
        '[[repository]]\nmatch = "demo/*"\nagent = "opencode"\ntask_definition = "big"\ncpu = "2048"\n'
        'memory = "8192"\nlimits = { turn_seconds = 77, idle_seconds = 88, max_session_seconds = 99 }\n'
    )
    async with bot_world(tmp_path) as running_world:
        await running_world.start_bot(DEVFLOW_AUDIT_LOG=str(tmp_path / "audit.log"), DEVFLOW_POLICY=str(policy))
        yield running_world


def lines(world: BotWorld) -> list[dict[str, Any]]:
    """What the audit file holds."""
    return [json.loads(line) for line in (world.directory / "audit.log").read_text().splitlines()]


async def test_each_act_of_the_main_job_is_one_line_with_who_and_what(world: BotWorld) -> None:
    """Asked, told again, cancelled, retried, pull request, stopped; tasks and tokens; and nothing anyone wrote."""
    ada = world.someone("ada")
    grace = world.someone("grace").beside(ada)
    repository = await world.repository()
    thread = await ada.starts(repository, PROMPT)
    worker = await thread.worker()
    work = await worker.next()
    await worker.progress(work["turn_id"])
    await grace.says(thread, "!cancel")
    await until(lambda: thread.turns()[0].get("cancelled_at"), "the cancelling")
    await worker.answer(work["turn_id"], outcome="cancelled")
    assert (await worker.call("POST", "/worker/v1/github-token"))[0] == 200
    assert (await worker.call("POST", "/worker/v1/github-token"))[0] == 200
    await ada.presses(thread, "Retry")
    await thread.turn(2, "queued", "working", told=False)
    await worker.works()
    told = await grace.says(thread, f"<@{BOT}> and now this")
    await thread.turn(3, "queued", "working", told=False)
    await worker.works()
    await ada.says(thread, "!stop")
    await thread.is_("stopped")
    item = await thread.is_settled()
    await until(lambda: lines(world)[-1]["action"] == "task_stopped", "the last line")

    found = lines(world)
    assert [(line["action"], line["actor"]) for line in found] == [
        ("session_requested", ada.user_id),
        ("task_started", "devflow"),
        ("cancelled", grace.user_id),
        ("token_minted", f"worker:{item['launch']}"),
        ("retried", ada.user_id),
        ("prompt_accepted", grace.user_id),
        ("stopped", ada.user_id),
        ("task_stopped", "devflow"),
    ]
    assert {line["session_id"] for line in found} == {thread.session_id}
    assert {line["repository"] for line in found} == {repository}
    assert {line["stream"] for line in found} == {"audit"}
    assert found[0]["details"]["agent"] == "opencode"
    assert found[5]["details"] == {"turn_id": f"{ada.channel_id}:{told}"}
    text = (world.directory / "audit.log").read_text()
    for secret in (PROMPT, "and now this", worker.token, SECRET, "xoxb-of-a-test", "ghs_"):
        assert secret not in text
    assert stat.S_IMODE((world.directory / "audit.log").stat().st_mode) == 0o600


async def test_a_rule_reaches_the_task_and_the_worker(world: BotWorld) -> None:
    """The family and the size go to RunTask, the agent and the limits to the worker."""
    ada = world.someone("ada")
    thread = await ada.starts(await world.repository(), "echo hi")
    worker = await thread.worker()
    (request,) = thread.requests()
    assert (request.task_definition, request.cpu, request.memory) == ("big", "2048", "8192")
    _, info = await worker.call("GET", "/worker/v1/session")
    assert info["agent"] == "opencode"
    assert (info["turn_seconds"], info["idle_seconds"], info["max_session_seconds"]) == (77, 88, 99)
    item = thread.item()
    assert item["due_at"] <= item["launch"] // 1000 + 99 + 90 + 1


async def test_what_is_refused_is_a_line_with_who_where_and_why(world: BotWorld) -> None:
    """A channel that a rule leaves out; a guest's reply. Nothing is started, and both read a sentence."""
    ada = world.someone("ada")
    assert "names the channels" in await ada.types(f"start demo/hello {PROMPT}")
    thread = await ada.starts(await world.repository(), "echo hi")
    guest = world.someone("guest", is_restricted=True).beside(ada)
    await guest.says(thread, "let me in")
    await guest.is_told(thread, "guests may not")
    first, last = (line for line in lines(world) if line["action"] == "refused")
    assert (first["actor"], first["details"]["asked"]) == (ada.user_id, "command")
    assert first["details"]["channel_id"] == ada.channel_id
    assert (last["actor"], last["session_id"]) == (guest.user_id, thread.session_id)
    assert "guests" in last["details"]["why"]


def test_a_full_disk_costs_the_line_and_never_the_act() -> None:
    """The bot goes on; its log says what was not written."""

    def refuse(line: bytes) -> None:
        raise OSError(28, "No space left on device")

    with structlog.testing.capture_logs() as logs:
        AuditLog(refuse, now=lambda: 0).record("stopped", actor="U0ADA")
    assert [(entry["event"], entry["action"], entry["why"]) for entry in logs] == [
        ("audit_not_written", "stopped", "No space left on device")
    ]


def test_the_clock_is_no_person() -> None:
    """A turn cancelled because its time was over, and a prompt kept by a session that is over."""
    session = running()
    turn = replace(session.history[0], state=TurnState.WORKING)
    before = session.with_turn(turn)
    after = before.with_turn(replace(turn, cancelled_by="-", cancelled_at=1))
    assert [(act.action, act.actor) for act in acts_of(before, after)] == [("cancelled", "devflow")]
    assert acts_of(after, after) == []
