"""A worker's calls over HTTP, by what Python brings along and by aiohttp: what comes of each answer is the same."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from slackbot.worker import plain_http
from slackbot.worker.kept_http import KeptHttp
from slackbot.worker.plain_http import NoReply, Reply, TooLarge
from tests.ports import lasting_port

Call = Callable[..., Awaitable[Reply]]
PATIENCE_SECONDS = 30.0


@pytest.fixture(params=["plain", "kept"])
async def call(request: pytest.FixtureRequest) -> AsyncIterator[Call]:
    if request.param == "plain":
        yield plain_http.call
        return
    kept = KeptHttp()
    yield kept.call
    await kept.close()


class Said:
    """What came in, one request after the other."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.url = ""
        self.ended = asyncio.Event()


@asynccontextmanager
async def server(*pieces: bytes, stays: bool = False) -> AsyncIterator[Said]:
    """Says `pieces` to each request and closes; with `stays` it waits for the other side to close."""
    said = Said()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        said.requests.append(head + await reader.readexactly(int(length[1]) if length else 0))
        for piece in pieces:
            writer.write(piece)
        if stays:
            await reader.read()
            said.ended.set()
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    said.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    async with listening:
        yield said


def http(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def test_what_is_sent_and_what_comes_back(call: Call) -> None:
    async with server(http("503 Busy", b"not now", "Retry-After: 7")) as said:
        url, headers = f"{said.url}/a%2Fb?c=%20d", {"Authorization": "Bearer t", "Content-Type": "text/x"}
        reply = await call("POST", url, headers, b"body", PATIENCE_SECONDS)
    assert reply == Reply(503, b"not now", "7")
    head, _, body = said.requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /a%2Fb?c=%20d HTTP/1.1"
    assert {"Authorization: Bearer t", "Content-Type: text/x", "Content-Length: 4"} <= set(lines)
    assert body == b"body"


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        (http("204 No Content"), Reply(204, b"", None)),
        (http("302 Found", b"", "Location: /elsewhere"), Reply(302, b"", None)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", Reply(200, b"{}", None)),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto its end", Reply(200, b"to its end", None)),
    ],
    ids=["nothing", "redirect", "chunks", "no-length"],
)
async def test_answers(call: Call, said: bytes, reply: Reply) -> None:
    """No redirect is followed: the token is the gateway's alone."""
    async with server(said) as seen:
        assert await call("GET", seen.url + "/", {}, None, PATIENCE_SECONDS) == reply
    assert len(seen.requests) == 1


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
    ],
    ids=["silence", "no-http", "half", "half-a-chunk"],
)
async def test_no_answer(call: Call, said: bytes) -> None:
    async with server(said) as seen:
        with pytest.raises(NoReply):
            await call("GET", seen.url + "/", {}, None, PATIENCE_SECONDS)


async def test_nobody_there(call: Call) -> None:
    with pytest.raises(NoReply):
        await call("GET", f"http://127.0.0.1:{lasting_port()}/", {}, None, PATIENCE_SECONDS)


async def test_too_much(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("plain_http", "kept_http"):
        monkeypatch.setattr(f"slackbot.worker.{module}.MAX_REPLY_BYTES", 1000)
    async with server(http("200 OK", b"x" * 1001)) as seen:
        with pytest.raises(TooLarge):
            await call("GET", seen.url + "/", {}, None, PATIENCE_SECONDS)
    async with server(http("200 OK", b"x" * 1000)) as seen:
        assert len((await call("GET", seen.url + "/", {}, None, PATIENCE_SECONDS)).body) == 1000


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"], ids=["nothing", "half"])
async def test_an_answer_that_does_not_come(call: Call, said: bytes) -> None:
    async with server(said, stays=True) as seen:
        with pytest.raises(NoReply):
            await call("GET", seen.url + "/", {}, None, 0.2)
        await seen.ended.wait()


async def test_a_call_that_is_given_up(call: Call) -> None:
    """It is over at once, its connection is closed, and no thread stays behind."""
    async with server(stays=True) as seen:
        calling = asyncio.ensure_future(call("GET", seen.url + "/", {}, None, 3600.0))
        while not seen.requests:
            await asyncio.sleep(0.01)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await seen.ended.wait()
    while any(thread.name == "plain-http" for thread in threading.enumerate()):
        await asyncio.sleep(0.01)


async def test_a_connection_serves_the_next_call() -> None:
    """That is what aiohttp is loaded for."""
    connections = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    kept = KeptHttp()
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
        statuses = [(await kept.call("GET", url, {}, None, PATIENCE_SECONDS)).status for _ in range(3)]
        await kept.close()
    assert (statuses, connections) == ([204] * 3, 1)


async def test_a_file_goes_to_disk(tmp_path: Path) -> None:
    kept, target = KeptHttp(), tmp_path / "file"
    async with server(http("200 OK", b"0123456789")) as seen:
        assert (await kept.save(seen.url + "/", {}, target, 10, PATIENCE_SECONDS)).status == 200
        assert target.read_bytes() == b"0123456789"
        with pytest.raises(TooLarge):
            await kept.save(seen.url + "/", {}, target, 9, PATIENCE_SECONDS)
    async with server(http("422 No", b"why not")) as seen:
        assert await kept.save(seen.url + "/", {}, tmp_path / "other", 10, PATIENCE_SECONDS) == Reply(
            422, b"why not", None
        )
    assert not (tmp_path / "other").exists()
    await kept.close()


FIRST_CALL = """
import asyncio, os, sys
import slackbot.worker.main
from slackbot.worker.gateway_client import GatewayClient

gateway = GatewayClient(sys.argv[1], "token")
asyncio.run(gateway.github_token())
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"acp", "aiohttp", "pydantic", "structlog"}))
"""


async def test_a_worker_asks_before_it_loads_what_is_large() -> None:
    """Each of them takes as long as all that a worker needs to have its checkout under way."""
    async with server(http("200 OK", b'{"token": "t", "expires_at": 1}')) as seen:
        told = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", FIRST_CALL, seen.url], capture_output=True, text=True, check=True
        )
    assert told.stdout.split() == []
    assert seen.requests[0].startswith(b"POST /worker/v1/github-token ")
