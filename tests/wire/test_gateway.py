"""The gateway over HTTP: who is let in, what is refused, how a long poll wakes, and what health checks see."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from slackbot import worker_protocol as wp
from slackbot.adapters.sqlite import SqliteStore
from slackbot.core import events as ev
from slackbot.core.limits import Limits
from slackbot.core.session import derive_session_id
from slackbot.core.worker_token import sign_worker_token
from slackbot.engine import Engine
from slackbot.sandbox.slack.faults import Fault
from tests.wire.bot_world import SECRET, BotWorld, SessionThread, bot_world, until
from tests.wire.worker import ScriptedWorker, turn_path

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROGRESS, ANSWER = turn_path(wp.PROGRESS_PATH, "C1:1.1"), turn_path(wp.ANSWER_PATH, "C1:1.1")
ENDPOINTS: list[tuple[str, str, dict[str, Any] | None]] = [
    ("GET", wp.SESSION_PATH, None),
    ("POST", wp.READY_PATH, {}),
    ("POST", wp.NEXT_TURN_PATH, None),
    ("POST", PROGRESS, {}),
    ("POST", ANSWER, {"outcome": "answered"}),
    ("POST", turn_path(wp.CANCEL_PATH, "C1:1.1"), None),
    ("POST", turn_path(wp.PERMISSION_PATH, "C1:1.1"), {"permission_id": "p", "options": []}),
    ("GET", turn_path(wp.FILE_PATH, "C1:1.1").replace("{number}", "0"), None),
    ("POST", turn_path(wp.PUSHING_PATH, "C1:1.1"), {"head_sha": "b" * 40, "base_sha": "a" * 40}),
    ("POST", turn_path(wp.SHOWN_PATH, "C1:1.1"), {"some": "bytes"}),
    ("POST", wp.GITHUB_TOKEN_PATH, None),
    ("POST", wp.LEAVING_PATH, {"reason": "idle"}),
]
NAMES = [path.rsplit("/", 1)[1] for _, path, _ in ENDPOINTS]


async def begun(world: BotWorld) -> tuple[SessionThread, ScriptedWorker]:
    thread = await world.someone("ada").starts("demo/hello", "echo hi")
    return thread, await thread.worker()


@pytest.mark.parametrize(("method", "path", "body"), ENDPOINTS, ids=NAMES)
async def test_every_endpoint_refuses_whoever_is_not_the_sessions_worker(
    world: BotWorld, method: str, path: str, body: dict[str, Any] | None
) -> None:
    """No token, a wrong one, another's, one for a session that is none: 401 or 409, a sentence, nothing changed."""
    thread, worker = await begun(world)
    _, other = await begun(world)
    session_id, launch, mac = worker.token.split(".")
    other_mac = other.token.split(".")[2]
    for token in (
        "",
        "x",
        "Bearer",
        "é",
        f"{session_id}.{launch}.{'0' * 64}",
        f"{session_id}.{launch}.{other_mac}",
        f"{session_id}.{int(launch) + 1}.{mac}",
        sign_worker_token("another secret of 32 characters!", session_id, int(launch)),
        "a" * 7_000,
    ):
        status, told = await worker.call(method, path, body, token=token)
        assert (status, told) == (401, {"error": "This needs a worker's token."}), token
    nobody = sign_worker_token(SECRET, derive_session_id("T", "C", "1.1"), int(launch))
    status, told = await worker.call(method, path, body, token=nobody)
    assert status == 409
    assert "forgotten" in told["error"]
    assert thread.item()["status"] == "running"


@pytest.mark.parametrize(("method", "path", "body"), ENDPOINTS, ids=NAMES)
async def test_every_endpoint_refuses_the_worker_of_an_earlier_launch(
    world: BotWorld, method: str, path: str, body: dict[str, Any] | None
) -> None:
    """After a relaunch the old token is 409 everywhere, and the new worker is not disturbed."""
    thread, worker = await begun(world)
    await worker.works()
    await worker.leaves("idle")
    await thread.is_("stopped")
    await thread.is_settled()
    person = thread.item()["user_id"]
    await world.slack.people.post_message(person, thread.channel_id, "wake up", thread_ts=thread.thread_ts)
    second = await thread.worker(2)
    status, told = await worker.call(method, path, body)
    assert status == 409
    assert "earlier launch" in told["error"]
    assert (await second.next())["prompt"] == "wake up"
    assert thread.item()["status"] == "running"


async def test_what_a_lost_worker_was_about_to_push_reaches_the_next_one(world: BotWorld) -> None:
    """With the turn that tries it again; once that ended well it is kept no longer."""
    ada = world.someone("ada")
    thread = await ada.starts("demo/hello", "echo hi")
    worker = await thread.worker()
    work = await worker.next()
    push = {"head_sha": "b" * 40, "base_sha": "a" * 40}
    assert work["pushes"] == []
    for _ in range(2):
        assert await worker.call("POST", turn_path(wp.PUSHING_PATH, work["turn_id"]), push) == (200, {})
    await worker.leaves("failure", "The machine went away.")
    await thread.is_("error")
    await thread.is_settled()
    await ada.presses(thread, "Retry")
    second = await thread.worker(2)
    again = await second.next()
    assert (again["retries"], again["pushes"]) == ([work["turn_id"]], [push])
    assert await second.call("POST", turn_path(wp.PUSHING_PATH, again["turn_id"]), push) == (200, {})
    status, _ = await worker.call("POST", turn_path(wp.PUSHING_PATH, again["turn_id"]), push)
    assert status == 409
    await second.answer(again["turn_id"])
    await thread.is_settled()
    assert ["pushing" in turn for turn in thread.turns()] == [True, False]


@pytest.mark.parametrize(
    ("path", "bodies"),
    [
        (wp.READY_PATH, [b"{", b"[]", b"1", b'{"editor_port": "door"}', b'{"editor_port": 0}', b"\xff\xfe"]),
        (
            PROGRESS,
            [b"{", b'{"text": null}', b'{"plan": [{"content": 1}]}', b'{"elapsed_seconds": -1}', b'{"text": "\xff"}'],
        ),
        (PROGRESS, [b'{"elapsed_seconds": NaN}', b'{"elapsed_seconds": 1e999}', b'{"x": ' + b"[" * 90_000]),
        (ANSWER, [b"", b"{}", b'{"outcome": "perhaps"}', b'{"outcome": "answered", "usage": {"a\\nb": "x"}}']),
        (turn_path(wp.PUSHING_PATH, "C1:1.1"), [b"{}", b'{"head_sha": "--all", "base_sha": "main"}']),
        (wp.LEAVING_PATH, [b"{}", b'{"reason": "bored"}', b'{"reason": ["idle"]}']),
    ],
    ids=["ready", "progress", "text-numbers-depth", "answer", "pushing", "leaving"],
)
async def test_malformed_and_huge_bodies(world: BotWorld, path: str, bodies: list[bytes]) -> None:
    """400 with the place that is wrong, 413 beyond 4 MiB; nothing changed."""
    thread, worker = await begun(world)
    before = thread.item()
    for body in bodies:
        status, told = await worker.call("POST", path, data=body)
        assert status == 400, (body, told)
        assert told["error"].startswith("The request is malformed at: ")
    huge = b'{"outcome": "answered", "reason": "idle", "text": "' + b"x" * (wp.MAX_BODY_BYTES + 1) + b'"}'
    status, told = await worker.call("POST", path, data=huge)
    assert (status, told["error"]) == (413, "The body is larger than 4 MiB. Send less.")
    after = thread.item()
    assert (after["status"], after["history"]) == ("running", before["history"])


async def test_unknown_fields_and_addresses(world: BotWorld) -> None:
    """A newer worker's fields are ignored; unknown addresses and methods are answered in JSON."""
    thread, worker = await begun(world)
    assert (await worker.call("POST", wp.READY_PATH, {"editor_port": None, "from_the_future": {"a": 1}}))[0] == 200
    assert (await worker.call("GET", "/worker/v1/nothing"))[0] == 404
    assert (await worker.call("GET", wp.READY_PATH)) == (405, {"error": "Method Not Allowed"})
    assert thread.item()["status"] == "running"


async def test_a_long_poll_wakes_when_the_prompt_is_stored(world: BotWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the save itself: the look at the store, for other replicas, is far off here."""
    monkeypatch.setattr("slackbot.gateway.worker_desk.POLL_SECONDS", 60.0)
    thread, worker = await begun(world)
    await worker.works()
    poll = asyncio.create_task(worker.next())
    person = thread.item()["user_id"]
    await world.slack.people.post_message(person, thread.channel_id, "hurry", thread_ts=thread.thread_ts)
    assert (await poll)["prompt"] == "hurry"


async def test_a_cancel_is_heard_at_once(world: BotWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker that waits for it needs no next report; where nobody cancels, it is told so after a while."""
    monkeypatch.setattr("slackbot.gateway.worker_desk.POLL_SECONDS", 60.0)
    thread, worker = await begun(world)
    turn = await worker.next()
    path = turn_path(wp.CANCEL_PATH, turn["turn_id"])
    poll = asyncio.create_task(worker.call("POST", path))
    person = thread.item()["user_id"]
    await world.slack.people.post_message(person, thread.channel_id, "!cancel", thread_ts=thread.thread_ts)
    status, told = await poll
    assert (status, told["cancel"]) == (200, True)
    assert (await worker.call("POST", path))[1]["cancel"] is True
    assert (await worker.call("POST", turn_path(wp.CANCEL_PATH, "C1:9.9")))[1]["cancel"] is True


async def test_a_long_poll_sees_what_another_replica_stored(world: BotWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prompt that came in elsewhere is found in the store."""
    monkeypatch.setattr("slackbot.gateway.worker_desk.POLL_SECONDS", 0.02)
    thread, worker = await begun(world)
    await worker.works()
    await thread.turn(1, "answered")
    poll = asyncio.create_task(worker.next())
    store = SqliteStore(world.store_path)
    other = Engine(store, Idle(), replica_id="another", now=time.time, limits_of=lambda _: Limits())
    await other.handle(thread.session_id, ev.PromptReceived("C1:9.9", "U0ADA", "from afar"))
    assert (await poll)["prompt"] == "from afar"
    await other.drain(0)
    await store.close()


class Idle:
    """Performs nothing: a replica that stores and dies."""

    async def perform(self, effect: object, session: object, *, first: bool) -> None:
        await asyncio.Event().wait()

    def owes_marks(self, session: object) -> bool:
        return False

    async def mark(self, session: object) -> None:
        return None


async def test_a_turn_is_given_again_until_it_is_answered_and_never_before_ready(world: BotWorld) -> None:
    """What this launch claimed comes first, however often it asks; a worker that is not ready gets nothing."""
    thread = await world.someone("ada").starts("demo/hello", "echo hi")
    worker = await thread.worker(ready=False)
    poll = asyncio.create_task(worker.next())
    await until(lambda: "alive_at" in thread.item()["task"], "the worker heard")
    assert thread.turns()[0]["state"] == "queued"
    await worker.ready()
    first = await poll
    assert await worker.next() == first
    await asyncio.gather(*(worker.answer(first["turn_id"], "Once.") for _ in range(5)))
    await worker.answer(first["turn_id"], "Twice.", "failed")
    turn = await thread.turn(1, "answered")
    assert turn["response"] == "Once."
    assert len(thread.of_type("devflow_answer")) == 1


async def test_an_answer_too_long_to_store_is_one_message_however_often_it_is_reported(world: BotWorld) -> None:
    """Posted whole (as a file) before the worker hears that it was taken; stored with its head and tail."""
    thread, worker = await begun(world)
    work = await worker.next()
    text = "word " * 20_000
    # Slack is slow: the worker's repetitions come in while the first post is on its way.
    world.slack.fault = lambda method, _: Fault(delay_seconds=0.2) if method == "chat.postMessage" else None
    try:
        await asyncio.gather(*(worker.answer(work["turn_id"], text) for _ in range(5)))
    finally:
        world.slack.fault = None
    turn = thread.turns()[0]
    assert (turn["state"], turn["shortened"]) == ("answered", True)
    assert len(turn["response"].encode()) <= 32 * 1024
    assert turn["response_ts"] == thread.of_type("devflow_answer")[0]["ts"]
    assert len(thread.of_type("devflow_answer")) == 1
    files = [file for message in thread.messages() for file in message.get("files", ())]
    assert [world.slack.files.content(file["id"]).decode().strip() for file in files] == [text.strip()]


async def test_a_secret_the_agent_prints_is_not_told(world: BotWorld) -> None:
    """What the bot itself holds never comes back out of it."""
    thread, worker = await begun(world)
    work = await worker.next()
    await worker.answer(work["turn_id"], f"I found {SECRET} and xoxb-of-a-test!", steps=[{"title": f"cat {SECRET}"}])
    turn = await thread.turn(1, "answered")
    assert SECRET not in str(turn)
    assert SECRET not in str(thread.messages())
    assert "xoxb-of-a-test" not in str(thread.messages())


async def test_github_tokens_of_a_worker_that_packs_up_and_of_one_that_is_gone(world: BotWorld) -> None:
    """Given while its task is there, also after the stop; refused once the task has ended."""
    thread, worker = await begun(world)
    status, token = await worker.call("POST", wp.GITHUB_TOKEN_PATH)
    assert (status, token["token"][:4]) == (200, "ghs_")
    # One that was refused is not given again.
    status, renewed = await worker.call("POST", wp.GITHUB_TOKEN_PATH, {"renew": True})
    assert status == 200
    assert renewed["token"] != token["token"]
    token = renewed
    await world.slack.people.post_message(
        thread.item()["user_id"], thread.channel_id, "!stop", thread_ts=thread.thread_ts
    )
    await thread.is_("stopped")
    assert (await worker.call("POST", wp.NEXT_TURN_PATH))[0] == 409
    assert (await worker.call("GET", wp.SESSION_PATH))[0] == 409
    assert (await worker.call("POST", wp.GITHUB_TOKEN_PATH)) == (200, token)
    await until(lambda: world.tasks.stops and thread.item()["ecs_task_arn"] in dict(world.tasks.stops), "the stop")
    await thread.is_settled()
    assert (await worker.call("POST", wp.GITHUB_TOKEN_PATH))[0] == 409


async def test_health(world: BotWorld) -> None:
    """Alive, ready, measured: without any token, and saying nothing of sessions."""
    probe = ScriptedWorker(world.http, {"DEVFLOW_GATEWAY_URL": world.gateway_url, "DEVFLOW_WORKER_TOKEN": ""})
    assert await probe.call("GET", "/healthz") == (200, {"status": "alive"})
    assert await probe.call("GET", "/readyz") == (200, {"slack": True, "store": True})
    async with world.http.get(world.gateway_url + "/metrics") as answer:
        assert answer.status == 200
        assert "python_info" in await answer.text()


async def test_not_ready_while_slack_is_not_heard(world: BotWorld) -> None:
    """Every socket cut and no new one to be had: 503; afterwards ready again."""
    probe = ScriptedWorker(world.http, {"DEVFLOW_GATEWAY_URL": world.gateway_url, "DEVFLOW_WORKER_TOKEN": ""})
    world.slack.fault = lambda method, _: Fault(status=503) if method == "apps.connections.open" else None
    await world.slack.disconnect_sockets(abruptly=True)

    async def says(status: int, slack: bool) -> bool:
        return await probe.call("GET", "/readyz") == (status, {"slack": slack, "store": True})

    await until(lambda: says(503, False), "not ready")
    world.slack.fault = None
    await until(lambda: says(200, True), "ready again", 30)


async def test_the_end_of_the_bot_ends_long_polls_with_nothing_yet(tmp_path_factory: pytest.TempPathFactory) -> None:
    """204: the worker comes back; and the address is free again."""
    async with bot_world(tmp_path_factory.mktemp("ending")) as world:
        await world.start_bot()
        thread, worker = await begun(world)
        await worker.works()
        await thread.turn(1, "answered")
        poll = asyncio.create_task(worker.call("POST", wp.NEXT_TURN_PATH))
        version = thread.item()["write_version"]
        # Its own address once more: whatever was asked before this is being answered by now.
        assert (await worker.call("GET", wp.SESSION_PATH))[0] == 200
        await world.stop_bot()
        assert await poll == (204, {})
        assert thread.item()["write_version"] >= version
        await world.start_bot(DEVFLOW_GATEWAY_LISTEN=worker.gateway_url.removeprefix("http://"))
        assert (await worker.call("GET", wp.SESSION_PATH))[0] == 200


async def test_a_stop_while_an_answer_too_long_to_store_is_posted(world: BotWorld) -> None:
    """The prompt was answered, so the answer stands in the thread, once, and no notice says that it was cut off."""
    thread, worker = await begun(world)
    work = await worker.next()
    posts: list[str] = []

    def slow(method: str, _: dict[str, Any]) -> Fault | None:
        if method != "chat.postMessage":
            return None
        posts.append(method)
        return Fault(delay_seconds=0.5)

    world.slack.fault = slow
    try:
        answering = asyncio.create_task(worker.answer(work["turn_id"], "word " * 20_000))
        await until(lambda: posts, "an answer on its way")
        user_id = thread.item()["user_id"]
        await world.slack.people.post_message(user_id, thread.channel_id, "!stop", thread_ts=thread.thread_ts)
        await thread.is_("stopped")
        await answering
    finally:
        world.slack.fault = None
    await thread.is_settled()
    turn = thread.turns()[0]
    assert (turn["state"], "told_by" in turn, "held" in turn) == ("answered", False, False)
    assert [message["ts"] for message in thread.of_type("devflow_answer")] == [turn["response_ts"]]
    assert not any("ended with it" in text for text in thread.said())
