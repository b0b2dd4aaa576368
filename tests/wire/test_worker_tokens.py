"""Every route that workers dial refuses whoever is not the session's present worker; new routes are found here."""

from __future__ import annotations

import hmac
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

import slackbot.app
from slackbot.core.session import derive_session_id
from slackbot.core.worker_token import sign_worker_token, verify_worker_token
from slackbot.gateway.server import Gateway
from tests.wire.bot_world import SECRET, BotWorld, SessionThread, bot_world
from tests.wire.worker import ScriptedWorker

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPEN = {"/healthz", "/readyz", "/metrics"}
"""What says nothing of sessions, and is for whoever watches the bot."""


class NotedGateway(Gateway):
    made: Gateway

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        NotedGateway.made = self


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BotWorld]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slackbot.app, "Gateway", NotedGateway)
        async with bot_world(tmp_path_factory.mktemp("world")) as running:
            await running.start_bot(
                DEVFLOW_MAX_SESSIONS_PER_USER="20",
                ANTHROPIC_API_KEY="sk-ant-of-a-test",
                ANTHROPIC_BASE_URL="http://127.0.0.1:9",
            )
            yield running


def routes() -> list[tuple[str, str]]:
    """(method, path) of every route that is not open to all; names in it filled in."""
    runner = NotedGateway.made._runner
    assert runner is not None
    assert runner.app is not None
    found = []
    for route in runner.app.router.routes():
        path = route.resource.canonical if route.resource is not None else ""
        if path in OPEN or route.method == "HEAD":
            continue
        method = "POST" if route.method == "*" else route.method
        filled = re.sub(r"\{provider[^}]*\}", "anthropic", path)
        filled = re.sub(r"\{(tail|path)[^}]*\}", "v1/messages", filled)
        found.append((method, re.sub(r"\{[^}]*\}", "1", filled)))
    return found


async def begun(world: BotWorld) -> tuple[SessionThread, ScriptedWorker]:
    thread = await world.someone("ada").starts("demo/hello", "echo hi")
    return thread, await thread.worker()


async def test_no_token_a_wrong_one_anothers_an_old_one(world: BotWorld) -> None:
    """401 for what is no token of ours; 409 (400 without a body, 403 from models) for what was one. Nothing changes."""
    thread, worker = await begun(world)
    _, other = await begun(world)
    session_id, launch, mac = worker.token.split(".")
    strangers = {
        "none": "",
        "nonsense": "x",
        "no mac": f"{session_id}.{launch}.{'0' * 64}",
        "another session's mac": f"{session_id}.{launch}.{other.token.split('.')[2]}",
        "a launch to come": f"{session_id}.{int(launch) + 1}.{mac}",
        "another deployment's": sign_worker_token("another secret of 32 characters!", session_id, int(launch)),
    }
    over = {
        "an older launch": sign_worker_token(SECRET, session_id, int(launch) - 1),
        "no session": sign_worker_token(SECRET, derive_session_id("T", "C", "1.1"), int(launch)),
    }
    await thread.is_settled()
    before = thread.item()
    found = routes()
    assert len(found) >= 8, found
    for method, path in found:
        for tokens, statuses in ((strangers, {401}), (over, {400, 401, 403, 409})):
            for name, token in tokens.items():
                status, told = await worker.call(method, path, {}, token=token)
                assert status in statuses, (method, path, name, status, told)
    assert thread.item() == before


async def test_a_body_beyond_all_measure_is_refused_on_every_route(world: BotWorld) -> None:
    """Before it is read whole, where nobody is known; 413 at the latest."""
    _, worker = await begun(world)
    for method, path in routes():
        if method == "GET":
            continue
        status, _ = await worker.call(method, path, data=b'"' + b"x" * (5 << 20) + b'"', token="")
        assert status in (401, 413), (method, path, status)


async def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """By `hmac.compare_digest` and nothing else: with one that always says no, no token is good."""
    token = sign_worker_token(SECRET, derive_session_id("T", "C", "1.1"), 5)
    assert verify_worker_token(SECRET, token) is not None
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: False)
    assert verify_worker_token(SECRET, token) is None
