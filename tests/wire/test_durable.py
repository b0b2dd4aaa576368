"""Durable before acknowledged, once, and nothing lost: the bot over real wires while Slack and the store misbehave."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from slackbot.adapters.local_tasks import LocalTasks
from slackbot.adapters.sqlite import SqliteStore
from slackbot.app_parts import Pace
from slackbot.core.errors import TemporaryError
from slackbot.core.ports import Item
from slackbot.sandbox.slack.deliveries import EventDeliveries
from slackbot.sandbox.slack.faults import Fault
from tests.wire.bot_world import BotWorld, SessionThread, bot_world, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_reply_is_in_the_store_when_its_acknowledgement_arrives(
    world: BotWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked up in the file by plain SQL at the moment in which Slack hears that the event was taken."""
    ada = world.someone("ada")
    thread = await ada.starts("demo/hello", "echo hi")
    assert thread.turns()[0]["state"] == "queued", "a command's session, as soon as the command is answered"
    await until(lambda: world.slack.sockets.undelivered_count == 0, "all events so far")
    stored_at_ack: list[list[str]] = []
    acknowledged = EventDeliveries.acknowledged

    def look(deliveries: EventDeliveries, envelope_id: str) -> None:
        delivery = deliveries._deliveries.get(deliveries._events_by_envelope.get(envelope_id, ""))
        if delivery is not None and delivery.payload["event"].get("text") == "echo two":
            stored_at_ack.append([turn["prompt"] for turn in thread.turns()])
        acknowledged(deliveries, envelope_id)

    monkeypatch.setattr(EventDeliveries, "acknowledged", look)
    await ada.says(thread, "echo two")
    await until(lambda: stored_at_ack, "an acknowledgement")
    assert stored_at_ack[0] == ["echo hi", "echo two"]


class Flaky(SqliteStore):
    """Fails as often as told before it writes."""

    failures = 0

    async def replace(self, item: Item, expected_write_version: int) -> bool:
        self._maybe()
        return await super().replace(item, expected_write_version)

    async def create(self, item: Item, now: int) -> bool:
        self._maybe()
        return await super().create(item, now)

    def _maybe(self) -> None:
        if self.failures:
            self.failures -= 1
            raise TemporaryError("The disk is full.", "Make room.")


async def test_a_store_that_fails_leaves_the_event_to_be_delivered_again(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Unacknowledged while it cannot be stored; then one prompt. A command says so, a button fails visibly."""
    directory = tmp_path_factory.mktemp("flaky")
    async with bot_world(directory, event_ack_seconds=0.3, interaction_seconds=1.0) as world:
        store = Flaky(world.store_path)
        await world.start_bot(store=store)
        ada = world.someone("ada")
        store.failures = 1
        assert "The disk is full." in await ada.types("start demo/hello echo hi")
        assert ada.public() == [], "the root was taken back"
        thread = await ada.starts("demo/hello", "echo hi")
        worker = await thread.worker()
        await worker.works()
        await thread.turn(1, "answered")
        store.failures = 2
        ts = await ada.says(thread, "echo two")
        await until(lambda: store.failures == 0, "two failures")
        await until(lambda: thread.marks(ts) == {"eyes"}, "eyes")
        assert (await worker.works())["prompt"] == "echo two"
        await until(lambda: world.slack.sockets.undelivered_count == 0, "the acknowledgement")
        assert len(thread.turns()) == 2
        await thread.shows("*Ready for prompts*")
        await thread.is_settled()
        message, block, element = thread.button("Stop") or ({}, {}, {})
        store.failures = 1
        outcome = await world.slack.people.press(
            ada.user_id,
            element["action_id"],
            block_id=block["block_id"],
            channel_id=thread.channel_id,
            message_ts=message["ts"],
        )
        assert not outcome["ok"]
        assert thread.item()["status"] == "running"
        await ada.presses(thread, "Stop")
        await thread.is_("stopped")


async def test_a_message_delivered_five_times_is_one_prompt(world: BotWorld) -> None:
    """One after the other or at once, also after it was answered."""
    ada = world.someone("ada")
    thread = await ada.starts("demo/hello", "echo hi")
    worker = await thread.worker()
    await worker.works()
    ts = await ada.says(thread, "echo two")
    event = {
        "type": "message",
        "channel": ada.channel_id,
        "user": ada.user_id,
        "text": "echo two",
        "ts": ts,
        "thread_ts": thread.thread_ts,
    }
    for _ in range(4):
        world.slack.inject_event(event)
    assert (await worker.works())["prompt"] == "echo two"
    await thread.turn(2, "answered")
    world.slack.inject_event(event)
    after = await ada.says(thread, "echo three")
    await until(lambda: thread.marks(after) == {"eyes"}, "a prompt after those")
    await until(lambda: world.slack.sockets.undelivered_count == 0, "all acknowledged")
    assert [turn["prompt"] for turn in thread.turns()] == ["echo hi", "echo two", "echo three"]
    assert len(thread.of_type("devflow_answer")) == 2


async def test_a_cancel_delivered_twice_cancels_one_prompt(world: BotWorld) -> None:
    """The second delivery of `!cancel` does not reach for the next prompt."""
    ada = world.someone("ada")
    thread = await ada.starts("demo/hello", "one")
    await ada.says(thread, "two")
    await until(lambda: len(thread.turns()) == 2, "two turns")
    ts = await ada.says(thread, "!cancel")
    event = {
        "type": "message",
        "channel": ada.channel_id,
        "user": ada.user_id,
        "text": "!cancel",
        "ts": ts,
        "thread_ts": thread.thread_ts,
    }
    world.slack.inject_event(event)
    world.slack.inject_event(event)
    after = await ada.says(thread, "three")
    await until(lambda: thread.marks(after) == {"eyes"}, "a prompt after those")
    await until(lambda: world.slack.sockets.undelivered_count == 0, "all acknowledged")
    assert [turn["state"] for turn in thread.turns()] == ["cancelled", "queued", "queued"]
    assert ada.told_in(thread) == ""


Once = Callable[[str, dict[str, Any]], Fault | None]


def once(method: str, fault: Fault, times: int = 1) -> Once:
    """A hook that lets the first calls of `method` in a thread fail so."""
    left = [times]

    def hook(called: str, arguments: dict[str, Any]) -> Fault | None:
        if called != method or not left[0] or not arguments.get("thread_ts"):
            return None
        left[0] -= 1
        return fault

    return hook


@pytest.mark.parametrize(
    "fault",
    [Fault(drop_after=True), Fault(drop_before=True), Fault(status=500), Fault(status=429, retry_after=1)],
    ids=["taken, answer lost", "not taken", "500", "429"],
)
async def test_an_answer_is_one_message_whatever_slack_does_to_its_post(world: BotWorld, fault: Fault) -> None:
    """Looked for before it is posted again."""
    ada = world.someone("ada")
    thread = await ada.starts("demo/hello", "echo hi")
    worker = await thread.worker()
    await thread.shows("Task *RUNNING*")
    world.slack.fault = once("chat.postMessage", fault)
    try:
        await worker.works("The one answer.")
        turn = await thread.turn(1, "answered")
    finally:
        world.slack.fault = None
    await thread.is_settled()
    (message,) = thread.of_type("devflow_answer")
    assert message["ts"] == turn["response_ts"]


async def test_a_root_whose_post_slack_confused_is_no_session_and_can_become_one(world: BotWorld) -> None:
    """The post was taken and its answer lost: the person is told, and the root's own button starts the session."""
    ada = world.someone("ada")
    world.slack.fault = lambda method, _: Fault(drop_after=True) if method == "chat.postMessage" else None
    try:
        told = await ada.types("start demo/hello echo hi")
    finally:
        world.slack.fault = None
    assert told
    (root,) = ada.public()
    thread = SessionThread(world, ada.channel_id, root["ts"])
    assert thread.item() == {}
    await ada.presses(thread, "Retry")
    assert (await (await thread.worker()).works())["prompt"] == "echo hi"


async def test_a_start_that_takes_long_goes_on_and_says_so(world: BotWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slack is slow: before its three seconds are over the person is told; the thread comes, or what went wrong."""
    monkeypatch.setattr("slackbot.listeners.commands.ACK_SECONDS", 0.05)
    ada = world.someone("ada")
    outcomes = [Fault(delay_seconds=0.3), Fault(delay_seconds=0.3, error="restricted_action")]

    def for_roots(method: str, arguments: dict[str, Any]) -> Fault | None:
        is_root = method == "chat.postMessage" and not arguments.get("thread_ts")
        return outcomes.pop(0) if is_root and outcomes else None

    world.slack.fault = for_roots
    try:
        assert "Starting takes longer than usual." in await ada.types("start demo/hello echo hi")
        (root,) = await until(lambda: ada.public(), "the root")
        thread = SessionThread(world, ada.channel_id, root["ts"])
        await thread.worker()
        assert "Starting takes longer than usual." in await ada.types("start demo/hello echo hi")
        await until(lambda: len(ada.private()) == 3, "what went wrong")
    finally:
        world.slack.fault = None
    assert len(ada.public()) == 1


async def test_the_next_bot_goes_on_where_the_last_one_ended(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Ended with a turn in work: its worker outlives it, and its answer is told by the next, the progress gone."""
    async with bot_world(tmp_path_factory.mktemp("next")) as world:
        await world.start_bot()
        ada = world.someone("ada")
        thread = await ada.starts("demo/hello", "echo hi")
        worker = await thread.worker()
        work = await worker.next()
        await worker.progress(work["turn_id"], text="half")
        await until(lambda: thread.of_type("devflow_progress"), "progress")
        await world.stop_bot()
        ts = await ada.says(thread, "said while nobody listened")
        await world.start_bot(DEVFLOW_GATEWAY_LISTEN=worker.gateway_url.removeprefix("http://"))
        assert await worker.next() == work
        await worker.answer(work["turn_id"], "Done all the same.")
        await thread.turn(1, "answered")
        await until(lambda: not thread.of_type("devflow_progress"), "the progress message gone")
        assert (await worker.works())["prompt"] == "said while nobody listened"
        await until(lambda: thread.marks(ts) == {"white_check_mark"}, "a check mark")
        assert len(thread.of_type("devflow_answer")) == 2


async def test_with_a_real_worker_a_real_shell_and_a_real_push(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No part is played: the branch, read by git, holds what the prompt wrote; the end of the bot stops the session."""
    directory = tmp_path_factory.mktemp("real")
    async with bot_world(directory) as world:
        tasks = LocalTasks(directory / "tasks")
        await world.start_bot(tasks=tasks, stop_sessions_at_end=True, pace=Pace(retry=0.05, drain=5.0))
        ada = world.someone("ada")
        repository = await world.repository()
        thread = await ada.starts(repository, "echo written > by-hand.txt")
        turn = await until(lambda: next((t for t in thread.turns() if "response_ts" in t), None), "an answer", 40)
        assert turn["state"] == "answered", turn
        item = thread.item()
        url = f"{world.github.url}/{repository}.git"
        clone = directory / "clone"
        await _git("clone", "-q", "--branch", item["branch_name"], url, str(clone))
        assert (clone / "by-hand.txt").read_text() == "written\n"
        await ada.opens_pull_request(thread)
        await until(lambda: thread.item().get("pr_number") == 1, "the pull request")
        await world.stop_bot()
        await thread.shows("DevFlow was shut down, and this session with it.")
        assert thread.item()["status"] == "stopped"
        assert await LocalTasks(directory / "tasks").list_tasks() == []


async def _git(*arguments: str) -> None:
    import asyncio

    await asyncio.to_thread(
        subprocess.run,
        ["git", *arguments],
        check=True,
        capture_output=True,
        env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
    )
