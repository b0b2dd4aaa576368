"""The airlock to the models over real wires: agent's client -> worker's proxy -> gateway -> a scripted provider."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import boto3
import botocore.config
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from yarl import URL

from slackbot.adapters.models_openai import OpenAIModels
from slackbot.adapters.sqlite import SqliteStore
from slackbot.core.model_port import ModelCall
from slackbot.ledger import Ledger
from slackbot.worker.model_proxy import ModelProxy, model_proxy
from tests.fakes.model_server import CACHED, INPUT, KEYS, OUTPUT, ModelServer, Say, model_server
from tests.fakes.session_store import FakeStore
from tests.wire.bot_world import BotWorld, Person, SessionThread, bot_world, until
from tests.wire.worker import ScriptedWorker

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = "The quick brown fox jumps over the lazy dog."
USED = {"input_tokens": INPUT - CACHED, "cached_read_tokens": CACHED, "output_tokens": OUTPUT, "calls": 1}
BEDROCK_MODEL = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"


@dataclass
class Models:
    """A bot with keys of a scripted provider."""

    world: BotWorld
    server: ModelServer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def models(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Models]:
    """One bot for all of them; limits that no test meets by chance."""
    patch = pytest.MonkeyPatch()
    async with (
        model_server(lambda asked: Say(TEXT)) as server,
        bot_world(tmp_path_factory.mktemp("models")) as world,
    ):
        patch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", server.url)
        patch.setenv("AWS_REGION", "eu-central-1")
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIDOFTHETEST")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-test")
        await world.start_bot(
            ANTHROPIC_API_KEY=KEYS["anthropic"],
            ANTHROPIC_BASE_URL=server.url,
            OPENAI_API_KEY=KEYS["openai"],
            OPENAI_BASE_URL=f"{server.url}/v1",
            GEMINI_API_KEY=KEYS["gemini"],
            GEMINI_BASE_URL=server.url,
            DEVFLOW_BEDROCK="on",
            DEVFLOW_AUDIT_LOG=str(world.directory / "audit.log"),
            DEVFLOW_COST_LIMITS="session=0.05",
            DEVFLOW_ADMINS="U0ADA",
            DEVFLOW_MAX_SESSIONS_PER_USER="50",
        )
        yield Models(world, server)
        patch.undo()


@pytest.fixture(autouse=True)
def _fresh(models: Models) -> None:
    models.server.script = lambda asked: Say(TEXT)
    models.server.calls.clear()


async def working(models: Models) -> tuple[SessionThread, ScriptedWorker, str]:
    """A session whose worker has a turn in work."""
    thread = await models.world.someone("ada").starts("demo/hello", "think hard")
    worker = await thread.worker()
    return thread, worker, (await worker.next())["turn_id"]


async def settled(thread: SessionThread, calls: int = 1) -> dict[str, Any]:
    """`spending` of the item once so many calls are in it."""
    return await until(
        lambda: s if (s := thread.item().get("spending", {})).get("counted", {}).get("calls") == calls else None,
        f"{calls} calls counted",
    )


REQUESTS = {
    "anthropic": ("anthropic", "v1/messages", {"model": "claude-sonnet-4-5-20250929"}, "x-api-key", {"stream": True}),
    "responses": ("openai", "v1/responses", {"model": "gpt-5-codex"}, "authorization", {"stream": True}),
    "chat": ("openai", "v1/chat/completions", {"model": "gpt-5-codex"}, "authorization", {"stream": True}),
}


def key_headers(proxy: ModelProxy, header: str) -> dict[str, str]:
    return {header: f"Bearer {proxy.key}" if header == "authorization" else proxy.key}


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
async def test_an_agents_call_is_passed_on_with_the_real_key_and_counted(
    models: Models, name: str, streamed: bool
) -> None:
    """What the agent reads is what the provider said, byte for byte; the key is the gateway's; the usage adds up."""
    provider, path, body, header, stream = REQUESTS[name]
    thread, worker, turn_id = await working(models)
    body = {**body, **(stream if streamed else {})}
    async with (
        model_proxy(worker.gateway_url, worker.token) as proxy,
        aiohttp.ClientSession() as http,
        http.post(f"{proxy.url(provider)}/{path}", json=body, headers=key_headers(proxy, header)) as answer,
    ):
        assert answer.status == 200
        said = await answer.read()
    async with aiohttp.ClientSession() as http:
        real = {header: f"Bearer {KEYS[provider]}" if header == "authorization" else KEYS[provider]}
        async with http.post(f"{models.server.url}/{path}", json=body, headers=real) as answer:
            assert said == await answer.read()
    assert models.server.refused == 0
    passed = json.dumps(models.server.calls[0].headers)
    assert worker.token not in passed
    assert proxy.key not in passed
    spending = await settled(thread)
    cost = 3 * 800 + 0.3 * 200 + 15 * 50 if provider == "anthropic" else 1.25 * 800 + 0.125 * 200 + 10 * 50
    assert spending["counted"] == {**USED, "cost_microdollars": cost}
    assert list(spending["models"]) == [f"{provider}/{body['model']}"]
    assert thread.turns()[0]["usage"] == spending["counted"]
    await worker.answer(turn_id)


async def test_events_that_end_in_carriage_returns_are_passed_on_as_they_come() -> None:
    """Other servers of chat completions end lines so (sse-starlette); the chunk nobody asked for stays out."""
    read = asyncio.Event()
    chunk, usage = b'data: {"choices":[{"delta":{}}]}\r\n\r\n', b'data: {"choices":[],"usage":{"completion_tokens":2}}'

    async def chat(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(chunk)
        await read.wait()  # the rest comes once the first event has been read
        await response.write(usage + b"\r\n\r\ndata: [DONE]\r\n\r\n")
        return response

    async def body() -> AsyncIterator[bytes]:
        yield b'{"stream": true}'

    app = web.Application()
    app.router.add_post("/v1/chat/completions", chat)
    async with TestServer(app) as server:
        provider = OpenAIModels(key="k", base_url=str(server.make_url("/v1")))
        answer = await provider.call(ModelCall("POST", "chat/completions", body=body()))
        said = b""
        async with asyncio.timeout(60):
            async for data in answer.chunks():
                said += data
                read.set()
        assert said == chunk + b"data: [DONE]\r\n\r\n"
        assert answer.meter.counted()["output_tokens"] == 2
        await provider.close()


async def test_what_nobody_would_count_is_not_asked_for(models: Models) -> None:
    """A response in the background is paid for and tells its usage to nobody, however it is written."""
    thread, worker, turn_id = await working(models)
    async with model_proxy(worker.gateway_url, worker.token) as proxy, aiohttp.ClientSession() as http:
        for body in (
            b'{"background": true}',
            b'{"back\\u0067round": true}',
            b' \xef\xbb\xbf{"background": 1}',
            b"(\xb5/\xfd",
        ):
            url, headers = f"{proxy.url('openai')}/v1/responses", key_headers(proxy, "authorization")
            async with http.post(url, data=body, headers=headers) as answer:
                assert answer.status == 400
                assert "DevFlow" in (await answer.json())["error"]["message"]
        assert models.server.calls == []
        body = json.dumps({"model": "gpt-5-codex", "input": "in the background", "background": False}).encode()
        async with http.post(url, data=body, headers=headers) as answer:
            assert answer.status == 200
    await settled(thread)
    await worker.answer(turn_id)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_request_that_is_compressed_arrives(models: Models, encoding: str) -> None:
    thread, worker, turn_id = await working(models)
    body = json.dumps({"model": "claude-sonnet-4-5-20250929", "messages": []}).encode()
    packed = gzip.compress(body) if encoding == "gzip" else zlib.compress(body)
    async with model_proxy(worker.gateway_url, worker.token) as proxy, aiohttp.ClientSession() as http:
        headers = {**key_headers(proxy, "x-api-key"), "Content-Encoding": encoding, "Content-Type": "application/json"}
        async with http.post(f"{proxy.url('anthropic')}/v1/messages", data=packed, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
    assert models.server.calls[0].body == json.loads(body)
    await settled(thread)
    await worker.answer(turn_id)


@pytest.mark.parametrize("call", ["streamGenerateContent?alt=sse", "generateContent"])
async def test_gemini_is_counted_by_its_last_word(models: Models, call: str) -> None:
    """Each chunk tells sums so far; thoughts are output; a key in the query is not passed on."""
    thread, worker, _ = await working(models)
    async with model_proxy(worker.gateway_url, worker.token) as proxy, aiohttp.ClientSession() as http:
        url = f"{proxy.url('gemini')}/v1beta/models/gemini-2.5-pro:{call}"
        url += f"{'&' if '?' in call else '?'}key={proxy.key}"
        async with http.post(url, json={"contents": []}) as answer:
            assert answer.status == 200
            assert TEXT[:12] in await answer.text()
    assert "key=" not in models.server.calls[0].path
    spending = await settled(thread)
    assert spending["counted"] == {**USED, "cost_microdollars": round(1.25 * 800 + 0.125 * 200 + 10 * 50)}


async def test_bedrock_by_botocore_on_both_sides(models: Models) -> None:
    """A real client of the agent's, dummy credentials; signed anew with the bot's role; the event stream is read."""
    thread, worker, _ = await working(models)

    def invoke(url: str, key: str) -> str:
        client = boto3.client(
            "bedrock-runtime",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="x",
            aws_secret_access_key="x",
            config=botocore.config.Config(signature_version=botocore.UNSIGNED, retries={"max_attempts": 0}),
        )
        client.meta.events.register(
            "before-send.bedrock-runtime.*", lambda request, **_: request.headers.__setitem__("x-api-key", key)
        )
        body = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": []})
        stream = client.invoke_model_with_response_stream(modelId=BEDROCK_MODEL, body=body)["body"]
        events = [json.loads(event["chunk"]["bytes"]) for event in stream]
        return "".join(event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta")

    async with model_proxy(worker.gateway_url, worker.token) as proxy:
        assert await asyncio.to_thread(invoke, proxy.url("bedrock"), proxy.key) == TEXT
    (asked,) = models.server.calls
    assert is_signed(models.server.url, asked.path, asked.headers, json.dumps(asked.body).encode())
    spending = await settled(thread)
    assert spending["models"] == {f"bedrock/{BEDROCK_MODEL}": {**USED, "cost_microdollars": 3210}}


def is_signed(base: str, path: str, headers: dict[str, str], body: bytes) -> bool:
    """Whether botocore, with the bot's credentials, makes the same signature for what arrived."""
    given = headers["authorization"]
    names = re.search(r"SignedHeaders=([^,]+)", given)
    assert names is not None
    request = AWSRequest(method="POST", url=base + path, data=body)
    for name in names.group(1).split(";"):
        if name not in ("host", "x-amz-date"):
            request.headers[name] = headers[name]
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(Credentials("AKIDOFTHETEST", "secret-of-the-test"), "bedrock", "eu-central-1")
    request.headers["X-Amz-Date"] = headers["x-amz-date"]
    text = auth.string_to_sign(request, auth.canonical_request(request))
    return given.endswith(f"Signature={auth.signature(text, request)}")


async def test_whoever_is_not_the_sessions_worker_gets_nothing(models: Models) -> None:
    """No token, a forged one, an earlier launch's; a provider without a key; requests that agents do not need."""
    thread, worker, _ = await working(models)
    path = "/worker/v1/models/anthropic/v1/messages"
    for token in ("", "x", worker.token[:-1] + "x"):
        assert (await worker.call("POST", path, {}, token=token))[0] == 401
    assert (await worker.call("POST", "/worker/v1/models/mistral/v1/chat", {}))[0] == 404
    for method, wrong in (
        ("POST", "/v1/files"),
        ("POST", "/v1/messages/batches"),
        ("POST", "/v1/messages/../files"),
        ("POST", "/v1/messages/%2e%2e/files"),
        ("DELETE", "/v1/messages"),
        ("GET", "/v1/messages"),
    ):
        status, told = await worker.call(method, f"/worker/v1/models/anthropic{wrong}", {})
        assert (status, told.get("type", told)) in ((403, "error"), (404, told)), wrong
    await worker.leaves("idle")
    await thread.is_("stopped")
    status, told = await worker.call("POST", path, {"model": "claude-x"})
    assert (status, told["error"]["type"]) == (403, "permission_error")
    assert models.server.calls == []


async def test_the_workers_proxy_is_for_its_agent_alone(models: Models) -> None:
    """Another process of the machine that finds the port has no key, and gets no answer of a model."""
    _, worker, _ = await working(models)
    async with model_proxy(worker.gateway_url, worker.token) as proxy, aiohttp.ClientSession() as http:
        for headers in ({}, {"x-api-key": "guess"}, {"authorization": "Bearer guess"}):
            async with http.post(f"{proxy.url('anthropic')}/v1/messages", json={}, headers=headers) as answer:
                assert answer.status == 401
        async with http.head(f"{proxy.url('anthropic')}/") as answer:
            assert answer.status == 200
    assert models.server.calls == []


async def test_the_proxy_leads_nowhere_but_to_models() -> None:
    """It adds the worker's token: nothing on the way to the gateway may turn its path into another."""
    seen: list[str] = []

    async def gateway(request: web.Request) -> web.Response:
        seen.append(request.raw_path)
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", gateway)
    async with (
        TestServer(app) as server,
        model_proxy(str(server.make_url("")), "token") as proxy,
        aiohttp.ClientSession() as http,
    ):
        at, key = proxy.url("anthropic"), {"x-api-key": proxy.key}
        for path in (
            "../../github-token",
            "%2e%2e/%2E./github-token",
            "..%2f..%5cx",
            "%252e%252e/x",
            "./x",
            "..;a=b/x",
        ):
            async with http.post(URL(f"{at}/{path}", encoded=True), headers=key) as answer:
                assert answer.status == 404, path
        assert seen == []
        async with http.post(URL(f"{at}/v1/model..x/a%2Fb:c", encoded=True), headers=key) as answer:
            assert answer.status == 200
    assert seen == ["/worker/v1/models/anthropic/v1/model..x/a%2Fb:c"]


async def test_a_stop_cuts_a_stream_off_at_once(models: Models) -> None:
    """In the middle of an answer: the agent's connection breaks, the provider's too, and what was said is counted."""
    models.server.script = lambda asked: Say(TEXT, hold=True)
    thread, worker, _ = await working(models)
    async with (
        model_proxy(worker.gateway_url, worker.token) as proxy,
        aiohttp.ClientSession() as http,
        http.post(
            f"{proxy.url('anthropic')}/v1/messages",
            json={"model": "claude-sonnet-4-5", "stream": True},
            headers={"x-api-key": proxy.key},
        ) as answer,
    ):
        await until(lambda: models.server.holding.is_set(), "the stream to hold")
        before = models.server.cut
        owner = thread.item()["user_id"]
        await models.world.slack.people.post_message(owner, thread.channel_id, "!stop", thread_ts=thread.thread_ts)
        with pytest.raises(aiohttp.ClientError):
            await answer.read()
    await until(lambda: models.server.cut == before + 1, "the provider's stream to be cut")
    counted = (await settled(thread))["counted"]
    assert counted["input_tokens"] == INPUT - CACHED
    assert counted["estimated_calls"] == 1


async def test_an_agent_that_hangs_up_ends_the_providers_stream(models: Models) -> None:
    """Cancelled in mid-stream: nobody pays for the rest."""
    models.server.script = lambda asked: Say(TEXT, hold=True)
    thread, worker, _ = await working(models)
    before = models.server.cut
    async with model_proxy(worker.gateway_url, worker.token) as proxy, aiohttp.ClientSession() as http:
        async with http.post(
            f"{proxy.url('openai')}/v1/responses",
            json={"model": "gpt-5-codex", "stream": True},
            headers=key_headers(proxy, "authorization"),
        ):
            await until(lambda: models.server.holding.is_set(), "the stream to hold")
        await until(lambda: models.server.cut == before + 1, "the provider's stream to be cut")
    counted = (await settled(thread))["counted"]
    assert counted["estimated_calls"] == 1
    assert counted["output_tokens"] > 0


async def test_a_limit_is_told_refused_in_the_providers_words_and_extended(models: Models) -> None:
    """80 %, then used up: the agent reads why; the owner may not extend, an administrator may, and then it goes on."""
    thread, worker, _ = await working(models)
    owner = thread.item()["user_id"]
    body = {"model": "claude-opus-4-1-20250805", "stream": False}

    async def ask() -> tuple[int, dict[str, Any]]:
        return await worker.call("POST", "/worker/v1/models/anthropic/v1/messages", body)

    # One call costs 15 * 0.8 + 1.5 * 0.2 + 75 * 0.05 thousandths of a dollar: 1.605 cents of 5.
    for _ in range(3):
        assert (await ask())[0] == 200
    await thread.shows("More than 80 % of what models may cost for this session is used: $0.05 of $0.05.")
    assert (await ask())[0] == 200
    status, told = await ask()
    assert status == 400
    assert told["error"]["type"] == "invalid_request_error"
    assert "the limit for this session is used up ($0.06 of $0.05)" in told["error"]["message"]
    await thread.shows("What models may cost for this session is used up: $0.06 of $0.05.")
    person = Person(models.world, owner, thread.channel_id)
    await person.presses(thread, "Extend")
    await person.is_told(thread, "administrator")
    assert (await ask())[0] == 400
    admin = Person(models.world, "U0ADA", thread.channel_id)
    models.world.slack.workspace.join(thread.channel_id, "U0ADA")
    await admin.presses(thread, "Extend")
    await thread.shows("granted the limit for this session once more.")
    assert (await ask())[0] == 200
    audit = [json.loads(line) for line in (models.world.directory / "audit.log").read_text().splitlines()]
    (extended,) = [line for line in audit if line["action"] == "limit_extended"]
    assert (extended["actor"], extended["details"]) == ("U0ADA", {"scopes": "session"})
    used = [line for line in audit if line["action"] == "models_used" and line["session_id"] == thread.session_id]
    assert {line["details"]["model"] for line in used} == {"anthropic/claude-opus-4-1-20250805"}
    assert used[0]["actor"] == owner


async def test_a_provider_that_is_down_or_refuses_the_key(models: Models, tmp_path: Path) -> None:
    """The agent reads a sentence; nothing of the key or of what the provider said of it."""
    async with bot_world(tmp_path) as world:
        await world.start_bot(
            ANTHROPIC_API_KEY="sk-ant-wrong-key",
            ANTHROPIC_BASE_URL=models.server.url,
            OPENAI_API_KEY="sk-x",
            OPENAI_BASE_URL="http://127.0.0.1:9/v1",
        )
        thread = await world.someone("ada").starts("demo/hello", "think")
        worker = await thread.worker()
        status, told = await worker.call("POST", "/worker/v1/models/anthropic/v1/messages", {"model": "m"})
        assert (status, told["error"]["message"]) == (
            400,
            "anthropic does not take DevFlow's key (401). Tell whoever runs DevFlow.",
        )
        status, told = await worker.call("POST", "/worker/v1/models/openai/v1/responses", {"model": "m"})
        assert status == 503
        assert "could not be reached" in told["error"]["message"]
    models.server.refused = 0


async def test_the_ledger_of_two_replicas_adds_up(tmp_path: Path) -> None:
    """Both write the month's page and the person's at once; no count is lost, and each sees the other's."""
    path = tmp_path / "sessions.sqlite3"
    stores = (SqliteStore(path), SqliteStore(path))
    ledgers = [Ledger(store, now=lambda: 1_795_000_000) for store in stores]
    counted = {"calls": 1, "cost_microdollars": 10}
    await asyncio.gather(*(ledger.add(f"U{n % 2}", [("m", counted)]) for n in range(10) for ledger in ledgers))
    for ledger in ledgers:
        assert (await ledger.page()).counted == {"calls": 20, "cost_microdollars": 200}
        assert (await ledger.page("U0")).models["m"]["calls"] == 10
    for store in stores:
        await store.close()


async def test_a_new_month_begins_at_nothing() -> None:
    """The page of November does not count in December, and what was extended is not either."""
    moment = 1_795_000_000
    ledger = Ledger(FakeStore(), now=lambda: moment)
    await ledger.add("U1", [("m", {"calls": 3})])
    assert (await ledger.page("U1")).counted == {"calls": 3}
    moment += 31 * 86_400
    assert (await ledger.page("U1")).counted == {}
