"""GitHub's webhook on the public listener: what is let in, what it wakes, what strangers get."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest

from slackbot.gateway.public import PublicServer
from slackbot.gateway.server import listen
from slackbot.gateway.webhooks import PATH, GithubWebhook, pull_request_event, signature

SECRET = "It's a Secret to Everybody"
SHA = "0123456789abcdef0123456789abcdef01234567"
REVIEW = {
    "action": "submitted",
    "pull_request": {"number": 7, "head": {"sha": SHA}},
    "repository": {"full_name": "acme/shop"},
}


class Endpoint:
    """`woken` is what the watch was told."""

    def __init__(self, url: str, http: aiohttp.ClientSession, woken: list[Any]) -> None:
        self.url, self.http, self.woken = url, http, woken

    async def send(self, body: bytes, *, event: str = "pull_request_review", **headers: str) -> int:
        sent = {
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": f"d{len(self.woken)}",
            "X-Hub-Signature-256": signature(SECRET.encode(), body),
            "Content-Type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        async with self.http.post(self.url, data=io.BytesIO(body), headers=sent) as answer:
            return answer.status


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    woken: list[Any] = []

    async def wake(repository: str, numbers: tuple[int, ...], head_sha: str | None) -> None:
        woken.append((repository, numbers, head_sha))

    listening = listen("127.0.0.1", 0, setting="DEVFLOW_PUBLIC_LISTEN")
    server = PublicServer(listening, [GithubWebhook(SECRET, wake)])
    await server.start()
    async with aiohttp.ClientSession() as http:
        yield Endpoint(f"http://127.0.0.1:{listening.getsockname()[1]}{PATH}", http, woken)
    await server.stop()


def test_the_signature_is_githubs() -> None:
    """The vector that GitHub publishes."""
    expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert signature(SECRET.encode(), b"Hello, World!") == expected


async def test_an_event_wakes_the_watch_once(endpoint: Endpoint) -> None:
    """A redelivery, and a replay under another delivery id, wake nobody again; another event does."""
    body = json.dumps(REVIEW).encode()
    assert await endpoint.send(body, X_GitHub_Delivery="one") == 202
    assert await endpoint.send(body, X_GitHub_Delivery="one") == 202
    assert await endpoint.send(body, X_GitHub_Delivery="two") == 202
    assert endpoint.woken == [("acme/shop", (7,), SHA)]
    assert await endpoint.send(json.dumps({**REVIEW, "action": "edited"}).encode(), X_GitHub_Delivery="three") == 202
    assert len(endpoint.woken) == 2


@pytest.mark.parametrize("given", ["", "sha256=", "sha256=" + "0" * 64, "sha1=x", "sha256=é", "sha256=\udcff"])
async def test_a_wrong_signature_is_refused(endpoint: Endpoint, given: str) -> None:
    """Whatever characters it has; nothing is remembered of it, so the true one still counts."""
    body = json.dumps(REVIEW).encode()
    if given.isascii():
        assert await endpoint.send(body, X_Hub_Signature_256=given) == 401
    else:
        assert await _raw(endpoint, body, given) == 401
    assert endpoint.woken == []
    assert await endpoint.send(body) == 202
    assert len(endpoint.woken) == 1


async def test_the_bytes_count_not_their_meaning(endpoint: Endpoint) -> None:
    """The same JSON written otherwise has another signature."""
    signed = signature(SECRET.encode(), json.dumps(REVIEW).encode())
    assert await endpoint.send(json.dumps(REVIEW, indent=1).encode(), X_Hub_Signature_256=signed) == 401
    async with endpoint.http.post(endpoint.url, data=b"{}") as unsigned:
        assert unsigned.status == 401


@pytest.mark.parametrize(
    ("event", "body", "status"),
    [
        ("ping", b'{"zen": "x", "hook_id": 1}', 202),
        ("some_new_event", json.dumps(REVIEW).encode(), 202),
        ("pull_request", b"[1]", 202),
        ("pull_request", b'{"repository": {"full_name": 3}, "pull_request": []}', 202),
        ("pull_request", b"{", 400),
    ],
)
async def test_what_says_nothing_wakes_nobody(endpoint: Endpoint, event: str, body: bytes, status: int) -> None:
    """Unknown events and strange bodies are taken and forgotten."""
    assert await endpoint.send(body, event=event) == status
    assert endpoint.woken == []


async def test_a_form_is_told_what_to_set(endpoint: Endpoint) -> None:
    """GitHub's other content type is no JSON."""
    assert await endpoint.send(b"payload=%7B%7D", Content_Type="application/x-www-form-urlencoded") == 415


async def test_more_than_github_sends_is_not_read(endpoint: Endpoint) -> None:
    """GitHub's own limit is 25 MB; what is within it passes."""
    large = json.dumps({**REVIEW, "more": "x" * 24 * 1024 * 1024}).encode()
    assert await endpoint.send(large) == 202
    assert await endpoint.send(large + b" " * 2 * 1024 * 1024) == 413


@pytest.mark.parametrize(
    ("name", "payload", "numbers", "sha"),
    [
        ("check_run", {"check_run": {"head_sha": SHA, "pull_requests": [{"number": 3}, {"number": 4}]}}, (3, 4), SHA),
        ("check_suite", {"check_suite": {"head_sha": SHA, "pull_requests": []}}, (), SHA),
        ("workflow_run", {"workflow_run": {"head_sha": SHA, "pull_requests": [{"number": 3}]}}, (3,), SHA),
        ("status", {"sha": SHA}, (), SHA),
        ("push", {"after": SHA}, (), SHA),
        ("issue_comment", {"issue": {"number": 5, "pull_request": {}}}, (5,), None),
    ],
)
def test_what_events_are_about(
    name: str, payload: Mapping[str, Any], numbers: tuple[int, ...], sha: str | None
) -> None:
    """The pull requests by number, or the head commit where GitHub names no numbers."""
    found = pull_request_event(name, {**payload, "repository": {"full_name": "acme/shop"}})
    assert found is not None
    assert (found.repository_full_name, found.numbers, found.head_sha) == ("acme/shop", numbers, sha)


def test_a_comment_on_an_issue_is_none_of_ours() -> None:
    """GitHub calls both issues."""
    assert pull_request_event("issue_comment", {"issue": {"number": 5}, "repository": {"full_name": "a/b"}}) is None


async def _raw(endpoint: Endpoint, body: bytes, given: str) -> int:
    """A header that a client library would not send."""
    port = int(endpoint.url.split(":")[2].split("/")[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nX-GitHub-Event: pull_request_review\r\n"
    head += f"Content-Type: application/json\r\nConnection: close\r\nX-Hub-Signature-256: {given}\r\n\r\n"
    writer.write(head.encode(errors="surrogateescape") + body)
    status = int((await reader.readline()).split()[1])
    writer.close()
    return status
