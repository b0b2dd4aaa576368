"""The thread of three people at work, read from top to bottom by somebody who comes late."""

from __future__ import annotations

import asyncio
import re

import pytest

from slackbot import worker_protocol as wp
from tests.wire.bot_world import BOT, BotWorld, Person, SessionThread, until, words
from tests.wire.worker import turn_path

pytestmark = pytest.mark.asyncio(loop_scope="module")


def as_read(thread: SessionThread, *people: Person) -> list[str]:
    """A line for each message: who, what (without what each run makes anew), and the marks."""
    names = {person.user_id: name for person, name in zip(people, ("Ada", "Grace", "Yuki"), strict=True)}
    lines = []
    for message in thread.messages():
        told = re.sub(r"<@(\w+)>", lambda found: "@" + names.get(found[1], "DevFlow"), words(message))
        told = re.sub(r"<[^|>]*\|([^>]*)>", r"\1", told).replace("\n", " / ")
        told = re.sub(r"(took|waited) [^·]* · ", "", told)  # on a quick machine neither is worth a word
        told = re.sub(r"devflow/[\w-]+", "devflow/…", told)
        marks = "".join(f" :{mark['name']}:" for mark in message["reactions"])
        author = "DevFlow" if message["bot"] else names[message["user_id"]]
        lines.append(f"{author}: {told}{marks}")
    return lines


async def test_a_teammate_who_comes_late_can_follow_it(world: BotWorld) -> None:
    """Each answer says whose prompt it answers where that stands further up; every change of hands is told once."""
    ada = world.someone("ada")
    grace, yuki = world.someone("grace").beside(ada), world.someone("yuki").beside(ada)
    repository = await world.repository()
    thread = await ada.starts(repository, "the checkout total is wrong")
    worker = await thread.worker()
    await worker.works("It rounds each line. I can round the sum instead.")
    await thread.turn(1, "answered")

    await grace.says(thread, "does the invoice do the same?")
    await thread.shows("only replies that mention DevFlow are prompts")
    first = await ada.says(thread, f"<@{BOT}> round the sum")
    work = await worker.next()
    assert [line.split(": ", 1)[1] for line in work["context"]] == ["does the invoice do the same?"]
    await until(lambda: thread.marks(first) == {"eyes"}, "eyes")
    second = await grace.says(thread, f"<@{BOT}> and the invoice")
    await until(lambda: thread.marks(second) == {"hourglass_flowing_sand"}, "an hourglass")
    third = await yuki.says(thread, f"<@{BOT}> wiht a test")
    await world.slack.people.edit(yuki.user_id, thread.channel_id, third, f"<@{BOT}> with a test")
    await until(lambda: thread.turns()[-1]["prompt"] == "with a test", "the edit")
    await worker.answer(
        work["turn_id"], "The sum is rounded.", commit_sha="a" * 40, files_changed=1, additions=2, deletions=1
    )
    await thread.turn(2, "answered")
    await worker.works("The invoice does it too now.")
    await thread.turn(3, "answered")

    asking = await worker.next()
    question = {
        "permission_id": "p1", "title": "rm -rf build", "detail": "rm -rf build",
        "options": [{"option_id": "y", "name": "Allow", "kind": "allow_once"}],
    }  # fmt: skip
    path = turn_path(wp.PERMISSION_PATH, asking["turn_id"])
    asked = asyncio.create_task(worker.call("POST", path, question))
    await ada.presses(thread, "Allow")
    await thread.shows("answered *Allow*")
    assert (await asked)[1]["option_id"] == "y"
    await worker.answer(asking["turn_id"], "Tested.")
    await thread.turn(4, "answered")

    await ada.says(thread, f"!handover <@{grace.user_id}>")
    await thread.shows("handed this session over")
    await grace.says(thread, "!stop")
    await thread.shows("stopped this session")
    checked = {"white_check_mark"}
    await until(lambda: all(thread.marks(ts) == checked for ts in (first, second, third)), "the last marks")

    read = as_read(thread, ada, grace, yuki)
    assert read[0].startswith("DevFlow: the checkout total is wrong / *Repository*")
    assert "@Grace" in read[0]
    assert read[1:] == [
        "DevFlow: It rounds each line. I can round the sum instead. / Asked by @Ada · nothing changed",
        "Grace: does the invoice do the same?",
        "DevFlow: 👥 Several people speak here now, so only replies that mention DevFlow are prompts; what else is "
        "said goes along as context. `!listen all` makes every reply a prompt again.",
        "Ada: @DevFlow round the sum :white_check_mark:",
        "Grace: @DevFlow and the invoice :white_check_mark:",
        "Yuki: @DevFlow with a test :white_check_mark:",
        "DevFlow: ↪ @Ada: round the sum / The sum is rounded. / 1 file changed, +2 −1 · commit aaaaaaa",
        "DevFlow: ↪ @Grace: and the invoice / The invoice does it too now. / nothing changed",
        "DevFlow: 🟢 @Ada answered *Allow* to: rm -rf build",
        "DevFlow: ↪ @Yuki: with a test / Tested. / nothing changed",
        "Ada: !handover @Grace",
        "DevFlow: 👤 @Ada handed this session over to @Grace, who may stop it, extend it and hand it on.",
        "Grace: !stop",
        "DevFlow: ⚪ @Grace stopped this session. What was pushed is on devflow/…. A reply in this thread is kept, and "
        "Retry runs it.",
    ]
