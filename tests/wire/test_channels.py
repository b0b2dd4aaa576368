"""A channel or the installation changes in mid-session: nothing is left running, and the thread is told."""

from __future__ import annotations

import pytest

from slackbot.sandbox.slack.faults import Fault
from tests.wire.bot_world import BOT, BotWorld, Person, SessionThread, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def at_work(world: BotWorld) -> tuple[Person, SessionThread]:
    """A session whose worker is ready, in a channel of its own."""
    ada = world.someone("ada")
    thread = await ada.starts("demo/hello", "echo hi")
    await thread.worker()
    return ada, thread


async def is_over(thread: SessionThread, why: str) -> None:
    """Stopped, its task too, and the card says why where it still can."""
    item = await thread.is_("stopped")
    await until(lambda: all(task.stop_code for task in of(thread)), "the task is stopped")
    item = await thread.is_settled()
    assert "ecs_task_arn" not in item
    assert item["ended"]["by"] == why
    assert [turn["state"] for turn in item["history"]] in (["cancelled"], ["failed"])


def of(thread: SessionThread) -> list[object]:
    return [task for task in thread.world.tasks.tasks if task.session_id == thread.session_id]


async def test_a_channel_that_becomes_shared_freezes_its_sessions_until_it_no_longer_is(world: BotWorld) -> None:
    """Told once; strangers get nothing; afterwards a reply goes on."""
    ada, thread = await at_work(world)
    world.slack.workspace.set_shared(ada.channel_id, True)
    await thread.shows("shared with another organisation now")
    await is_over(thread, "shared")
    await ada.says(thread, "echo secret")
    await ada.is_told(thread, "shared with another organisation")
    assert len(thread.turns()) == 1
    assert sum("shared with another organisation now" in text for text in thread.said()) == 1
    world.slack.workspace.set_shared(ada.channel_id, False)
    await thread.shows("the workspace's own again")
    await ada.says(thread, "echo again")
    second = await thread.worker(2)
    assert (await second.works())["prompt"] == "echo again"
    await thread.turn(2, "answered")


async def test_an_archived_channel_ends_its_sessions(world: BotWorld) -> None:
    """At once, not when something is next to be said there; once it is back, a reply is heard again."""
    ada, thread = await at_work(world)
    world.slack.workspace.set_archived(ada.channel_id, True, ada.user_id)
    await is_over(thread, "failure")
    assert "archived" in thread.item()["slack"]["lost"]
    world.slack.workspace.set_archived(ada.channel_id, False, ada.user_id)
    await ada.says(thread, "are you there?")
    await until(lambda: len(thread.turns()) == 2, "the reply is kept")
    await ada.presses(thread, "Retry")
    await thread.worker(2)


async def test_a_bot_that_is_removed_ends_its_sessions(world: BotWorld) -> None:
    """It cannot say so there; it leaves nothing running."""
    ada, thread = await at_work(world)
    world.slack.workspace.leave(ada.channel_id, BOT)
    await is_over(thread, "failure")
    assert "removed" in thread.item()["slack"]["lost"]


async def test_a_thread_whose_first_message_is_deleted(world: BotWorld) -> None:
    """The session ends; what is left of the thread says so, with what to do."""
    ada, thread = await at_work(world)
    await ada.says(thread, "and this")
    await until(lambda: len(thread.turns()) == 2, "a prompt")
    workspace = world.slack.workspace
    root = workspace.store.message(ada.channel_id, thread.thread_ts)
    assert root is not None
    world.slack.conversation.delete(workspace.channel(ada.channel_id), root)
    await thread.shows("The first message of this thread was deleted")
    item = await thread.is_settled()
    assert (item["status"], item["ended"]["by"]) == ("stopped", "root_deleted")


async def test_a_card_that_is_deleted_before_anybody_replied(world: BotWorld) -> None:
    """Nothing stays of it, and Slack tells of a message of the bot's own: the session ends all the same."""
    ada, thread = await at_work(world)
    workspace = world.slack.workspace
    root = workspace.store.message(ada.channel_id, thread.thread_ts)
    assert root is not None
    assert not root.get("reply_count")
    world.slack.conversation.delete(workspace.channel(ada.channel_id), root)
    item = await thread.is_("stopped")
    assert item["ended"]["by"] == "root_deleted"


async def test_the_app_is_uninstalled_in_mid_session(world: BotWorld) -> None:
    """Slack refuses every call from then on; nothing is left running, whether the news of it comes through or not."""
    (_, told), (_, untold) = await at_work(world), await at_work(world)
    worker = await untold.worker(ready=False)
    refuse_token(world, "account_inactive")
    try:
        await worker.works()
        await until(lambda: untold.item()["status"] == "stopped", "over, by the post that was refused")
        world.slack.workspace.send({"type": "app_uninstalled"}, None)
        await is_over(told, "failure")
        assert "uninstalled" in told.item()["slack"]["lost"]
    finally:
        world.slack.fault = None
    await untold.is_settled()


async def test_a_token_that_is_changed_in_mid_session_ends_nothing(world: BotWorld) -> None:
    """The old one is refused for a while: it is no fault of the thread. The answer follows when one is good again."""
    ada, thread = await at_work(world)
    worker = await thread.worker(ready=False)
    refused = refuse_token(world, "token_revoked")
    try:
        await worker.works()
        await until(lambda: "chat.postMessage" in refused, "an answer that is refused")
    finally:
        world.slack.fault = None
    await thread.turn(1, "answered")
    item = thread.item()
    assert (item["status"], item["slack"].get("lost")) == ("running", None)
    await ada.says(thread, "echo again")
    assert (await worker.works())["prompt"] == "echo again"
    await thread.turn(2, "answered")


def refuse_token(world: BotWorld, error: str) -> list[str]:
    """Slack refuses the token of whatever tells something, until the fault is taken away; the methods refused."""
    refused: list[str] = []

    def fault(method: str, _: object) -> Fault | None:
        if not method.startswith(("chat.", "reactions.")):
            return None
        refused.append(method)
        return Fault(error=error)

    world.slack.fault = fault
    return refused


@pytest.mark.parametrize(
    "fields",
    [
        {"bot_id": "B0OTHER", "user": "U0OTHERBOT"},
        {"subtype": "bot_message", "bot_id": "B0WORKFLOW", "username": "A workflow"},
        {"bot_id": "B0WORKFLOW", "app_id": "A0WORKFLOW", "user": "U0WORKFLOW"},
        {"user": "USLACKBOT"},
        {"user": "U0NOBODY"},
        {"subtype": "channel_join"},
        {"subtype": "reminder_add"},
    ],
    ids=lambda fields: "-".join(sorted(fields)),
)
async def test_what_no_person_said_is_no_prompt(world: BotWorld, fields: dict[str, str]) -> None:
    """Bots, workflows, Slack itself: nothing is stored, nothing is answered, and the next person is heard."""
    ada, thread = await at_work(world)
    said = len(thread.said())
    event = {
        "type": "message",
        "user": ada.user_id,
        "text": "!stop",
        "channel": ada.channel_id,
        "channel_type": "channel",
    }
    event |= {"ts": world.slack.workspace.next_ts(), "thread_ts": thread.thread_ts, **fields}
    world.slack.inject_event(event)
    await until(lambda: world.slack.sockets.undelivered_count == 0, "acknowledged")
    await ada.says(thread, "echo after it")
    await until(lambda: len(thread.turns()) == 2, "the next person's prompt")
    assert thread.item()["status"] == "running"
    assert len(thread.said()) <= said + 1
