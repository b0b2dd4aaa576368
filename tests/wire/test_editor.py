"""The web editor through the public address: links that work once, cookies, origins, HTTP, WebSockets, and the end.

The bot and the worker's door are real; behind the door stands a program that tells what it was asked.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import pytest_asyncio

from slackbot import worker_protocol as wp
from slackbot.worker.editor import Editor, editor_environment
from tests.fakes.editor_program import make_program
from tests.ports import lasting_port
from tests.wire.bot_world import BotWorld, Person, SessionThread, bot_world, until
from tests.wire.worker import ScriptedWorker

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Desk:
    """One session with an editor, and the browser in front of it."""

    world: BotWorld
    owner: Person
    thread: SessionThread
    worker: ScriptedWorker
    editor: Editor
    base: str
    host: str

    @property
    def path(self) -> str:
        return f"/s/{self.thread.session_id}/"

    @property
    def origin(self) -> str:
        return f"http://{self.host}"

    async def link(self) -> str:
        """What Open editor gives the owner, alone."""
        before = len(self.links())
        await self.owner.presses(self.thread, "Open editor")
        await until(lambda: len(self.links()) > before, "a link")
        return self.links()[-1]

    def links(self) -> list[str]:
        shown = self.world.slack.people.thread(self.owner.user_id, self.thread.channel_id, self.thread.thread_ts)
        private = [message for message in shown if message.get("is_ephemeral")]
        return re.findall(r"http://[^\s\"'|>]+/open/[^\s\"'|>]+", str([message["blocks"] for message in private]))

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, str, Any]:
        """(status, text, headers); redirects are not followed."""
        headers = {"Host": self.host, **more.pop("headers", {})}
        async with self.world.http.request(
            method, self.base + path, headers=headers, allow_redirects=False, **more
        ) as answer:
            return answer.status, await answer.text(), answer.headers

    async def enter(self, link: str, **headers: str) -> tuple[int, str, Any]:
        """Presses the button of the link's page."""
        parts = urlsplit(link)
        text = parse_qs(parts.query)["link"][0]
        return await self.ask("POST", parts.path, data={"link": text}, headers=headers)

    async def cookie(self) -> str:
        """What a browser sends that the owner came in with."""
        status, text, headers = await self.enter(await self.link())
        assert status == 303, text
        return str(headers["Set-Cookie"]).partition(";")[0]


async def desk_of(world: BotWorld, directory: Path, address: tuple[str, str], person: str) -> AsyncIterator[Desk]:
    base, host = address
    owner = world.someone(person)
    thread = await owner.starts("demo/hello", "echo hi")
    worker = await thread.worker(ready=False)
    _, info = await worker.call("GET", wp.SESSION_PATH)
    home = directory / thread.session_id
    home.mkdir()
    editor = Editor(
        make_program(home), checkout=home, home=home, environment=editor_environment(home), secret=info["editor_secret"]
    )
    port = await editor.open_door("127.0.0.1")
    assert await worker.call("POST", wp.READY_PATH, {"editor_port": port}) == (200, {})
    await worker.works()
    await thread.turn(1, "answered")
    yield Desk(world, owner, thread, worker, editor, base, host.replace("{session}", thread.session_id))
    await editor.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[BotWorld, Path, tuple[str, str]]]:
    """A bot with a public address that has a host for each session."""
    port = lasting_port()
    host = f"{{session}}.edit.localhost:{port}"
    directory = tmp_path_factory.mktemp("editors")
    async with bot_world(tmp_path_factory.mktemp("world")) as world:
        await world.start_bot(
            DEVFLOW_MAX_SESSIONS_PER_USER="20",
            DEVFLOW_PUBLIC_LISTEN=f"127.0.0.1:{port}",
            DEVFLOW_PUBLIC_URL=f"http://{host}",
        )
        yield world, directory, (f"http://127.0.0.1:{port}", host)


@pytest_asyncio.fixture(loop_scope="module")
async def desk(place: tuple[BotWorld, Path, tuple[str, str]]) -> AsyncIterator[Desk]:
    async for made in desk_of(*place, "ada"):
        yield made


async def test_a_link_works_once_and_looking_at_it_does_not_use_it_up(desk: Desk) -> None:
    """Previews look with GET; the button redeems; a second press, a forgery and another session's link are refused."""
    link = await desk.link()
    parts = urlsplit(link)
    assert parts.netloc == desk.host
    for _ in range(3):
        status, page, headers = await desk.ask("GET", f"{parts.path}?{parts.query}")
        assert (status, headers["Cache-Control"]) == (200, "no-store")
        assert "Set-Cookie" not in headers
        assert "<button" in page
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    forged = link[:-1] + ("0" if link[-1] != "0" else "1")
    assert (await desk.enter(forged))[0] == 403
    assert (await desk.enter(link, Origin="https://evil.example"))[0] == 403
    status, _, headers = await desk.enter(link, Origin=desk.origin)
    assert (status, headers["Location"]) == (303, desk.path)
    (morsel,) = SimpleCookie(headers["Set-Cookie"]).values()
    assert (morsel["path"], morsel["samesite"], morsel["httponly"]) == (desk.path, "Strict", True)
    status, page, _ = await desk.enter(link)
    assert (status, "used already" in page) == (403, True)
    assert desk.thread.item()["editor_url"] == f"{desk.origin}{desk.path}"


async def test_what_is_passed_on_and_what_is_kept(desk: Desk) -> None:
    """Method, path, query, body and headers arrive; cookies of ours, secrets and what rules the origin do not."""
    cookie = await desk.cookie()
    given = {"Cookie": f"theirs=1; {cookie}", "Authorization": "Bearer x", "X-Custom": "é".encode().decode("latin-1")}
    status, text, headers = await desk.ask("PUT", f"{desk.path}a%2Fb/%C3%A9?q=1%202", data=b"body", headers=given)
    assert status == 200
    told = json.loads(text)
    assert (told["method"], told["path"], told["body"]) == ("PUT", "/a%2Fb/%C3%A9?q=1%202", "body")
    names = {name.lower() for name in told["headers"]}
    assert not names & {"authorization", "x-devflow-door", "x-forwarded-for"}
    assert told["headers"]["Cookie"] == "theirs=1"
    assert told["headers"]["Host"] == desk.host
    assert cookie.partition("=")[2] not in text
    assert not [name for name in told["environment"] if name.startswith("DEVFLOW_WORKER")]
    assert "Clear-Site-Data" not in headers
    assert headers["Service-Worker-Allowed"] == desk.path
    status, _, headers = await desk.ask("GET", f"{desk.path}away?to=/login", headers={"Cookie": cookie})
    assert (status, headers["Location"]) == (302, f"{desk.path}login")
    status, _, _ = await desk.ask("GET", desk.path.rstrip("/"))
    assert status == 308


async def test_who_is_refused(desk: Desk) -> None:
    """No cookie, one that is not right, foreign pages, other hosts, and the worker's door without the secret."""
    cookie = await desk.cookie()
    assert (await desk.ask("GET", desk.path))[0] == 403
    status, page, _ = await desk.ask(
        "GET",
        desk.path,
        headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    )
    assert (status, "Go on to the editor" in page) == (403, True)
    for changed in (cookie[:-1] + ("0" if cookie[-1] != "0" else "1"), cookie.partition("=")[0] + "=x"):
        assert (await desk.ask("GET", desk.path, headers={"Cookie": changed}))[0] == 403
    for foreign in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://other.edit.localhost"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        {"Host": "edit.localhost"},
    ):
        assert (await desk.ask("GET", desk.path, headers={"Cookie": cookie, **foreign}))[0] == 403, foreign
    assert (await desk.ask("GET", desk.path, headers={"Cookie": cookie, "Origin": desk.origin}))[0] == 200
    door = desk.thread.item()["task"]["editor_address"]
    for headers in ({}, {"X-DevFlow-Door": "0" * 64}):
        async with desk.world.http.get(f"http://{door}/", headers=headers) as answer:
            assert answer.status == 403


async def test_another_sessions_cookie_and_link_open_nothing_here(
    desk: Desk, place: tuple[BotWorld, Path, tuple[str, str]]
) -> None:
    """Sessions are apart: by host, by path, and by what is signed."""
    cookie = (await desk.cookie()).partition("=")[2]
    async for other in desk_of(*place, "grace"):
        name = f"devflow_editor_{other.thread.session_id[:8]}"
        assert (await other.ask("GET", other.path, headers={"Cookie": f"{name}={cookie}"}))[0] == 403
        text = parse_qs(urlsplit(await desk.link()).query)["link"][0]
        status, _, _ = await other.ask("POST", f"/open/{other.thread.session_id}", data={"link": text})
        assert status == 403
        assert (await desk.ask("GET", other.path, headers={"Cookie": f"{name}={cookie}"}))[0] == 403


async def test_websockets_and_the_end_of_the_session(desk: Desk, place: tuple[BotWorld, Path, tuple[str, str]]) -> None:
    """Both ways, both kinds, protocol and close code; a foreign origin is refused; Stop ends what is open, and what
    waits for an answer is told so."""
    cookie = await desk.cookie()
    http, url = desk.world.http, f"{desk.base}{desk.path}ws"
    headers = {"Host": desk.host, "Cookie": cookie, "Origin": desk.origin}
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect(url, headers={**headers, "Origin": "https://evil.example"})
    assert refused.value.status == 403
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect(url, headers={"Host": desk.host, "Origin": desk.origin})
    assert refused.value.status == 403
    async with http.ws_connect(url, headers=headers, protocols=("b",)) as first:
        assert first.protocol == "b"
        await first.send_str("hello")
        assert await first.receive_str() == f"{desk.origin} hello"
        await first.send_bytes(b"\x00" * 300_000)
        assert await first.receive_bytes() == b"\x00" * 300_000
        await first.send_str("bye")
        assert (await first.receive()).type is aiohttp.WSMsgType.CLOSE
        assert first.close_code == 4001
    assert desk.editor.active_at is not None
    waiting = asyncio.create_task(desk.ask("GET", f"{desk.path}never", headers={"Cookie": cookie}))
    asked = place[1] / desk.thread.session_id / "asked"
    await until(asked.exists, "a request that waits")
    async with http.ws_connect(url, headers=headers) as second:
        await desk.owner.presses(desk.thread, "Stop")
        ended = await second.receive(timeout=30)
        kinds = aiohttp.WSMsgType
        assert ended.type in (kinds.CLOSE, kinds.CLOSING, kinds.CLOSED, kinds.ERROR)
    assert (await waiting)[0] == 403
    await desk.thread.is_("stopped")
    await until_refused(desk, cookie)
    assert "editor_url" not in desk.thread.item()


async def until_refused(desk: Desk, cookie: str) -> None:
    async def refused() -> bool:
        return (await desk.ask("GET", desk.path, headers={"Cookie": cookie}))[0] == 403

    await until(refused, "the editor closed", 30)
