"""`/devflow forget`: asked twice, done once, and told what remains."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wire.bot_world import BotWorld, Person, SessionThread, until, words

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def ended(world: BotWorld) -> tuple[Person, SessionThread]:
    """A session with a commit that its owner stopped."""
    ada = world.someone("ada")
    thread = await ada.starts("demo/hello", "echo hi")
    worker = await thread.worker()
    await worker.works(commit_sha="c" * 40, files_changed=1, additions=1, deletions=0)
    await thread.turn(1, "answered")
    await ada.says(thread, "!stop")
    await thread.is_("stopped")
    await thread.is_settled()
    return ada, thread


async def confirms(person: Person, message: dict[str, Any]) -> None:
    """Presses the question's button, in private."""
    (block,) = [block for block in message["blocks"] if block["type"] == "actions"]
    (element,) = block["elements"]
    assert "removed from DevFlow's table" in element["confirm"]["text"]["text"]
    outcome = await person.world.slack.people.press(
        person.user_id,
        element["action_id"],
        block_id=block["block_id"],
        channel_id=person.channel_id,
        message_ts=message["ts"],
    )
    assert outcome["ok"], outcome


async def test_a_session_is_forgotten_and_nothing_brings_it_back(world: BotWorld) -> None:
    """The question says what goes; the answer what stays; a reply and a button begin nothing any more."""
    ada, thread = await ended(world)
    told = await ada.types(f"forget {thread.session_id[:8]}")
    assert "would be removed from DevFlow's table, with 1 prompt and its answer" in told
    assert thread.item(), "a question forgets nothing"
    question = ada.private()[-1]
    await confirms(ada, question)
    await until(lambda: not thread.item(), "the item is gone")
    await until(lambda: any("is forgotten" in words(message) for message in ada.private()), "the answer")
    said = words(ada.private()[-1])
    for remains in ("What remains elsewhere", "this thread", thread.thread_ts.replace(".", ""), "audit log"):
        assert remains in said
    await until(lambda: "was forgotten on the wish of" in thread.card(), "the card says so")
    await ada.says(thread, "are you there?")
    await confirms(ada, question)
    await until(lambda: any("no longer known" in words(m) for m in ada.private()), "gone")
    assert thread.item() == {}


async def test_a_live_session_is_to_be_stopped_first(world: BotWorld) -> None:
    """Told so by command and by word; a question that was asked before it woke forgets nothing either."""
    ada, thread = await ended(world)
    await ada.types("forget")
    question = ada.private()[-1]
    await ada.presses(thread, "Open PR")
    await thread.is_settled()
    await ada.says(thread, "once more")
    await until(lambda: len(thread.turns()) == 2, "a kept prompt")
    await ada.presses(thread, "Retry")
    await thread.worker(2)
    assert "Stop it first" in await ada.types(f"forget {thread.session_id[:8]}")
    await ada.says(thread, "!forget")
    await ada.is_told(thread, "Stop it first")
    await confirms(ada, question)
    await until(lambda: sum("Stop it first" in words(m) for m in ada.private()) == 2, "refused")
    assert thread.item()["status"] in ("starting", "running")


async def test_who_is_not_in_charge_forgets_nothing(world: BotWorld) -> None:
    """Neither by the word, nor by a button's value that somebody made up."""
    ada, thread = await ended(world)
    bob = world.someone("bob").beside(ada)
    await bob.says(thread, "!forget")
    await bob.is_told(thread, "may forget it")
    mine, my_thread = await ended(world)
    await mine.types("forget")
    question = mine.private()[-1]
    store = world.slack.workspace.store
    stored = store.message(mine.channel_id, question["ts"], mine.user_id)
    assert stored is not None
    for value in (thread.session_id, "nonsense", "", "x" * 2_000):
        for block in stored["blocks"]:
            for element in block.get("elements", ()):
                element["value"] = value
        store.replace_message(mine.channel_id, stored)
        await confirms(mine, next(m for m in mine.private() if m["ts"] == question["ts"]))
    await until(lambda: any("may forget it" in words(m) for m in mine.private()), "refused")
    assert thread.item()
    assert my_thread.item()
