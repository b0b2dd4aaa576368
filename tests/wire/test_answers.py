"""Answers over real Bolt and HTTP: what the agent asks leave for, files both ways, the diff, the steps, Undo."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from yarl import URL

from slackbot import worker_protocol as wp
from tests.wire.bot_world import BotWorld, Person, SessionThread, until
from tests.wire.worker import ScriptedWorker, turn_path

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPTIONS = [
    {"option_id": "opaque/1", "name": "Run it", "kind": "allow_once"},
    {"option_id": "opaque/2", "name": "Always", "kind": "allow_always"},
    {"option_id": "opaque/3", "name": "Never", "kind": "reject_once"},
]


async def at_work(world: BotWorld, prompt: str = "echo hi") -> tuple[Person, SessionThread, ScriptedWorker, str]:
    """Somebody's session, its worker, and the turn that the worker has."""
    ada = world.someone("ada")
    thread = await ada.starts("demo/hello", prompt)
    worker = await thread.worker()
    return ada, thread, worker, str((await worker.next())["turn_id"])


def asking(worker: ScriptedWorker, turn_id: str, permission_id: str = "p1") -> asyncio.Task[dict[str, Any]]:
    """Asks until there is an answer, as a worker does, also while the bot is away."""
    body = {
        "permission_id": permission_id, "title": "rm -rf build", "kind": "execute", "detail": "rm -rf build",
        "options": OPTIONS,
    }  # fmt: skip

    async def ask() -> dict[str, Any]:
        while True:
            try:
                status, reply = await worker.call("POST", turn_path(wp.PERMISSION_PATH, turn_id), body)
            except aiohttp.ClientError:
                await asyncio.sleep(0.02)
                continue
            if status == 200:
                return reply
            assert status in (204, 503), (status, reply)

    return asyncio.create_task(ask())


async def test_the_owner_gives_leave_with_a_button(world: BotWorld) -> None:
    """A button an option; others are refused; the agent gets the very option; the message then says who answered."""
    ada, thread, worker, turn_id = await at_work(world)
    answer = asking(worker, turn_id)
    await until(lambda: thread.of_type("devflow_permission"), "a question")
    eve = world.someone("eve").beside(ada)
    await eve.presses(thread, "Run it")
    await eve.is_told(thread, "answer what its agent asks")
    assert not answer.done()
    await ada.presses(thread, "Always")
    assert await asyncio.wait_for(answer, 60) == {"outcome": "selected", "option_id": "opaque/2"}
    await until(lambda: any(f"<@{ada.user_id}> answered *Always*" in said for said in thread.said()), "who answered")
    assert thread.button("Run it") is None
    assert await asyncio.wait_for(asking(worker, turn_id), 60) == {"outcome": "selected", "option_id": "opaque/2"}
    assert len(thread.of_type("devflow_permission")) == 1
    await worker.answer(turn_id)
    await thread.is_settled()
    assert "permissions" not in thread.item()


async def test_a_bot_that_dies_meanwhile_loses_nothing(world: BotWorld) -> None:
    """The question is in the session: pressed after a restart, its answer reaches the worker that asks on."""
    ada, thread, worker, turn_id = await at_work(world)
    answer = asking(worker, turn_id)
    await until(lambda: thread.of_type("devflow_permission"), "a question")
    await world.stop_bot()
    await world.start_bot(DEVFLOW_GATEWAY_LISTEN=worker.gateway_url.removeprefix("http://"))
    await ada.presses(thread, "Never")
    assert (await asyncio.wait_for(answer, 60))["option_id"] == "opaque/3"
    assert len(thread.of_type("devflow_permission")) == 1
    await worker.answer(turn_id)


async def test_a_cancel_answers_the_question(world: BotWorld) -> None:
    """The worker hears `cancelled`; whoever presses then is told that it is too late."""
    ada, thread, worker, turn_id = await at_work(world)
    answer = asking(worker, turn_id)
    (question,) = await until(lambda: thread.of_type("devflow_permission"), "a question")
    await ada.says(thread, "!cancel")
    assert await asyncio.wait_for(answer, 60) == {"outcome": "cancelled", "option_id": None}
    await until(lambda: any("No longer asked" in said for said in thread.said()), "that it is no longer asked")
    await worker.answer(turn_id, outcome="cancelled")
    assert thread.button("Run it", question["ts"]) is None


async def test_files_reach_the_agent_and_come_back(world: BotWorld) -> None:
    """What was attached goes to this worker alone; what it shows is in the thread once, however often it comes."""
    ada, thread, worker, turn_id = await at_work(world)
    await worker.answer(turn_id)
    content = bytes(range(256)) * 2_000
    ids = [
        world.slack.files.upload_as_person(ada.user_id, "picture.png", content),
        world.slack.files.upload_as_person(ada.user_id, "film.mp4", b"film"),
    ]
    people = world.slack.people
    await people.post_message(ada.user_id, thread.channel_id, "", thread_ts=thread.thread_ts, file_ids=ids)
    await ada.is_told(thread, "`film.mp4` did not go to the agent")
    work = await worker.next()
    assert work["prompt"] == "Look at the attached files."
    assert [(file["name"], file["size_bytes"]) for file in work["files"]] == [("picture.png", len(content))]
    path = turn_path(wp.FILE_PATH, work["turn_id"]).replace("{number}", "0")
    url = URL(worker.gateway_url + path, encoded=True)
    async with world.http.get(url, headers={"Authorization": f"Bearer {worker.token}"}) as response:
        assert (response.status, await response.read()) == (200, content)
    assert (await worker.call("GET", path.replace("/0", "/1")))[0] == 422
    shown = turn_path(wp.SHOWN_PATH, work["turn_id"]) + "?name=..%2Fplot.png"
    for _ in range(2):
        assert await worker.call("POST", shown, data=b"\x89PNG") == (200, {})
    files = [file["name"] for message in thread.messages() if message["bot"] for file in message.get("files", [])]
    assert files == ["plot.png"]
    await worker.answer(work["turn_id"])
    assert (await worker.call("GET", path))[0] == 409


async def test_the_diff_of_an_answer_opens_as_a_form(world: BotWorld) -> None:
    """**View diff** shows the hunks page by page, **What I did** the steps."""
    ada, thread, worker, turn_id = await at_work(world)
    await worker.answer(turn_id)
    branch = thread.item()["branch_name"]
    before = (await world.branches("demo/hello"))[branch]
    lines = "".join(f"line {number} of a long file\n" for number in range(2_000))
    head = await world.github.commit_files("demo/hello", branch, {"long.txt": lines}, "Make it long")
    await ada.says(thread, "make it long")
    await worker.works(commit_sha=head, base_sha=before, files_changed=1, additions=2000, deletions=0,
                       steps=[{"title": "Edit long.txt", "status": "completed"}])  # fmt: skip
    await ada.presses(thread, "View diff")

    def text() -> str:
        form = ada.form()
        return json.dumps(form["blocks"]) if form else ""

    await until(lambda: "line 1 of a long file" in text(), "the hunks")
    assert "Page 1 of" in text()
    form = ada.form()
    assert form is not None
    next_button = next(e for b in form["blocks"] if b["type"] == "actions" for e in b["elements"])
    await world.slack.people.press(ada.user_id, next_button["action_id"], view_id=form["id"])
    await until(lambda: "Page 2 of" in text(), "the second page")
    await ada.presses(thread, "What I did")
    await until(lambda: "Edit long.txt" in text(), "the steps")


async def test_undo_is_a_turn_for_the_worker(world: BotWorld) -> None:
    """The worker is told the commits; the answer that was undone loses its button; a second press is refused."""
    ada, thread, worker, turn_id = await at_work(world)
    await worker.answer(turn_id, commit_sha="c" * 40, base_sha="b" * 40, files_changed=1, additions=1, deletions=0)
    button = await ada.presses(thread, "Undo")
    assert button["confirm"]
    work = await worker.next()
    assert work["undo"] == {"base_sha": "b" * 40, "commit_sha": "c" * 40}
    await worker.answer(work["turn_id"], "", commit_sha="d" * 40, base_sha="c" * 40, files_changed=1)
    (first, second) = await until(lambda: (found := thread.of_type("devflow_answer"))[1:] and found, "two answers")
    assert "Undone" in thread.said()[-1]
    await until(lambda: thread.button("Undo", first["ts"]) is None, "no more Undo there")
    assert thread.button("Undo", second["ts"]) is not None
