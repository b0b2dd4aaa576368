"""The Slack stand-in's page API: what the browser reads, does and is told live, and who is turned away."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from slackbot.sandbox.slack import SlackStandIn, page_api
from slackbot.sandbox.slack.text import typed_by_person, written_by_app
from tests.fakes.slack_workspace import Bot, connected_bot, running_stand_in, web_client

CHANNEL_ID = "C0SANDBOX"
ADA, GRACE = "U0ADA", "U0GRACE"
TRY = {
    "type": "actions",
    "elements": [
        {
            "type": "button",
            "action_id": "sandbox_try_1",
            "text": {"type": "plain_text", "text": "Try"},
            "value": "/devflow start demo/hello ls",
        }
    ],
}


@pytest.fixture
async def stand_in(tmp_path: Path) -> AsyncIterator[SlackStandIn]:
    async with running_stand_in(
        tmp_path / "slack.db",
        welcome=[{"text": "Welcome"}, {"text": "Try this", "blocks": [TRY]}],
        links=[{"title": "demo/hello", "url": "http://127.0.0.1:1/demo/hello"}],
    ) as running:
        yield running


class Page:
    """A browser's calls."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        async with self.session.get(f"{self.url}/sandbox/api/{path}", params=query) as answer:
            data: dict[str, Any] = await answer.json()
            return data

    async def post(self, path: str, **body: Any) -> dict[str, Any]:
        async with self.session.post(f"{self.url}/sandbox/api/{path}", json=body) as answer:
            data: dict[str, Any] = await answer.json()
            return data


@pytest.fixture
async def page(stand_in: SlackStandIn) -> AsyncIterator[Page]:
    async with aiohttp.ClientSession() as session:
        yield Page(session, stand_in.url)


async def read_events(response: aiohttp.ClientResponse, wanted: set[str]) -> tuple[list[dict[str, Any]], str]:
    """Events until each wanted type has come, and the last id."""
    events: list[dict[str, Any]] = []
    last_id = ""
    while not wanted <= {event["type"] for event in events}:
        line = (await response.content.readline()).decode().strip()
        if line.startswith("id:"):
            last_id = line[3:].strip()
        elif line.startswith("data:"):
            events.append(json.loads(line[5:]))
    return events, last_id


async def test_the_page_opens_with_the_workspace_and_its_welcome(page: Page) -> None:
    """People, channels, commands, links; the welcome thread by the app, its replies under it."""
    data = await page.get("bootstrap", user_id=ADA)
    assert data["team"] == {"id": "T0SANDBOX", "name": "DevFlow sandbox"}
    assert {person["user_id"] for person in data["people"]} == {ADA, GRACE, "U0YUKI", "U0DEVFLOW"}
    names = [(channel["name"], channel["is_im"], channel["is_member_bot"]) for channel in data["channels"]]
    assert names == [("sandbox", False, True), ("random", False, False), ("devflow", True, True)]
    assert data["commands"][0]["command"] == "/devflow"
    assert (data["links"][0]["title"], data["bot"]["user_id"], data["socket_connections"]) == (
        "demo/hello",
        "U0DEVFLOW",
        0,
    )
    listed = await page.get("messages", channel_id=CHANNEL_ID, user_id=ADA)
    (root,) = listed["messages"]
    assert (root["bot"], root["reply_count"], listed["has_more"]) == (True, 1, False)
    thread = await page.get("thread", channel_id=CHANNEL_ID, thread_ts=root["ts"], user_id=ADA)
    assert [message["text"] for message in thread["messages"]] == ["Welcome", "Try this"]


async def test_a_try_button_never_reaches_the_app(stand_in: SlackStandIn, page: Page) -> None:
    """The page fills in its message box instead; the server refuses to send it."""
    (root,) = (await page.get("messages", channel_id=CHANNEL_ID, user_id=ADA))["messages"]
    _, reply = (await page.get("thread", channel_id=CHANNEL_ID, thread_ts=root["ts"], user_id=ADA))["messages"]
    pressed = await page.post(
        "action",
        user_id=ADA,
        channel_id=CHANNEL_ID,
        message_ts=reply["ts"],
        block_id=reply["blocks"][0]["block_id"],
        action_id="sandbox_try_1",
    )
    assert pressed["ok"] is False
    assert "not sent to the app" in pressed["error"]


async def test_a_person_posts_edits_reacts_uploads_and_deletes_through_the_page(
    stand_in: SlackStandIn, page: Page
) -> None:
    """Every action answers, and the thread shows it."""
    posted = await page.post("post", user_id=ADA, channel_id=CHANNEL_ID, text="one & two")
    place = {"channel_id": CHANNEL_ID, "ts": posted["ts"]}
    url = f"{page.url}/sandbox/api/upload"
    query = {"user_id": ADA, "channel_id": CHANNEL_ID, "filename": "../x/pic.png"}
    async with page.session.post(url, params=query, data=b"\x89PNG", headers={"Content-Type": "image/png"}) as answer:
        file_id = (await answer.json())["file_id"]
    shared = await page.post(
        "post", user_id=ADA, channel_id=CHANNEL_ID, text="", thread_ts=posted["ts"], file_ids=[file_id]
    )
    assert (await page.post("edit", user_id=ADA, text="three", **place))["ok"]
    assert (await page.post("react", user_id=GRACE, name="eyes", **place))["ok"]
    root, reply = (await page.get("thread", channel_id=CHANNEL_ID, thread_ts=posted["ts"], user_id=ADA))["messages"]
    assert (root["text"], root["edited"], root["reactions"]) == ("three", True, [{"name": "eyes", "users": [GRACE]}])
    assert reply["files"][0]["name"] == "pic.png"
    async with page.session.get(page.url + reply["files"][0]["url"]) as answer:
        assert (await answer.read(), answer.content_type) == (b"\x89PNG", "image/png")
    assert (await page.post("edit", user_id=GRACE, text="not mine", **place))["ok"] is False
    assert (await page.post("delete", user_id=ADA, channel_id=CHANNEL_ID, ts=shared["ts"]))["ok"]
    assert (await page.post("post", user_id="U0DEVFLOW", channel_id=CHANNEL_ID, text="x"))["ok"] is False


async def test_a_command_a_button_and_a_modal_work_through_the_page(stand_in: SlackStandIn, page: Page) -> None:
    """The same JSON that the page sends, over to a real Bolt app and back."""
    view = {
        "type": "modal",
        "callback_id": "start",
        "title": {"type": "plain_text", "text": "Start"},
        "submit": {"type": "plain_text", "text": "Go"},
        "blocks": [
            {
                "type": "input",
                "block_id": "prompt",
                "label": {"type": "plain_text", "text": "Prompt"},
                "element": {"type": "plain_text_input", "action_id": "text"},
            }
        ],
    }

    def prepare(bot: Bot) -> None:
        @bot.app.command("/devflow")
        async def card(ack: Any, command: dict[str, Any], client: Any) -> None:
            await ack()
            button = {"type": "button", "action_id": "open", "text": {"type": "plain_text", "text": "Open"}}
            blocks = [{"type": "actions", "block_id": "row", "elements": [button]}]
            await client.chat_postMessage(channel=command["channel_id"], text="card", blocks=blocks)

        @bot.app.action("open")
        async def open_form(ack: Any, body: dict[str, Any], client: Any) -> None:
            await ack()
            await client.views_open(trigger_id=body["trigger_id"], view=view)

        @bot.app.view("start")
        async def submitted(ack: Any, view: dict[str, Any]) -> None:
            await ack(response_action="errors", errors={"prompt": view["state"]["values"]["prompt"]["text"]["value"]})

    async with (
        connected_bot(stand_in, prepare),
        page.session.get(f"{page.url}/sandbox/api/events", params={"user_id": ADA}) as stream,
    ):
        sent = await page.post("command", user_id=ADA, channel_id=CHANNEL_ID, command="/devflow", text="x")
        assert sent == {"ok": True}
        card = (await read_events(stream, {"message"}))[0][-1]["message"]
        pressed = await page.post(
            "action", user_id=ADA, channel_id=CHANNEL_ID, message_ts=card["ts"], block_id="row", action_id="open"
        )
        assert pressed == {"ok": True}
        opened = (await read_events(stream, {"view_open"}))[0][-1]["view"]
        assert (await page.get("bootstrap", user_id=ADA))["views"] == [opened], "a reload finds the open form"
        assert (await page.get("bootstrap", user_id=GRACE))["views"] == []
        values = {"prompt": {"text": {"type": "plain_text_input", "value": "no!"}}}
        answer = await page.post("view_submit", user_id=ADA, view_id=opened["id"], values=values)
        assert answer == {"ok": False, "response_action": "errors", "errors": {"prompt": "no!"}}
        assert (await page.post("view_close", user_id=ADA, view_id=opened["id"]))["ok"]
        await read_events(stream, {"view_close"})
    assert (await page.get("bootstrap", user_id=ADA))["views"] == []
    calls = (await page.get("calls"))["calls"]
    assert [call["method"] for call in calls if call["method"] != "auth.test"] == ["chat.postMessage", "views.open"]


async def test_a_stream_without_news_says_that_it_is_there(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment now and then, and news after it as before."""
    monkeypatch.setattr(page_api, "_KEEPALIVE_SECONDS", 0.01)
    async with page.session.get(f"{page.url}/sandbox/api/events", params={"user_id": ADA}) as stream:
        heard = [(await stream.content.readline()).strip() for _ in range(6)]
        assert heard == [b": connected", b"", b": still here", b"", b": still here", b""]
        await page.post("post", user_id=GRACE, channel_id=CHANNEL_ID, text="news")
        assert (await read_events(stream, {"message"}))[0][-1]["message"]["text"] == "news"


async def test_the_stream_resumes_where_it_broke_and_keeps_private_things_private(
    stand_in: SlackStandIn, page: Page
) -> None:
    """Last-Event-ID gives what was missed; an unknown one a resync; an ephemeral message its person alone."""
    url = f"{page.url}/sandbox/api/events"
    people = stand_in.people
    async with page.session.get(url, params={"user_id": GRACE}) as stream, web_client(stand_in) as client:
        await client.chat_postEphemeral(channel=CHANNEL_ID, user=ADA, text="for Ada")
        await people.post_message(ADA, CHANNEL_ID, "one")
        events, last_id = await read_events(stream, {"message"})
    assert "ephemeral" not in {event["type"] for event in events}
    await people.post_message(ADA, CHANNEL_ID, "two")
    headers = {"Last-Event-ID": last_id}
    async with page.session.get(url, params={"user_id": GRACE}, headers=headers) as stream:
        events, _ = await read_events(stream, {"message"})
    assert [event["message"]["text"] for event in events] == ["two"]
    headers = {"Last-Event-ID": "1"}
    async with page.session.get(url, params={"user_id": GRACE}, headers=headers) as stream:
        await read_events(stream, {"resync"})


async def test_other_hosts_origins_and_forms_are_turned_away(stand_in: SlackStandIn, page: Page) -> None:
    """A page elsewhere can neither read nor command, whatever trick it uses."""
    url = f"{page.url}/sandbox/api/post"
    body = {"user_id": ADA, "channel_id": CHANNEL_ID, "text": "evil"}

    async def status(method: str, address: str, headers: dict[str, str], data: str = json.dumps(body)) -> int:
        async with page.session.request(method, address, data=data, headers=headers) as answer:
            return answer.status

    as_json = {"Content-Type": "application/json"}
    assert await status("POST", url, {**as_json, "Origin": "https://evil.example"}) == 403
    assert await status("POST", url, {**as_json, "Origin": "null"}) == 403
    assert await status("POST", url, {**as_json, "Sec-Fetch-Site": "cross-site"}) == 403
    assert await status("POST", url, {**as_json, "Host": "evil.example"}) == 403
    assert await status("GET", f"{page.url}/sandbox/api/calls", {"Host": f"evil.example:{stand_in.port}"}) == 403
    assert await status("POST", url, {"Content-Type": "text/plain"}) == 415
    assert await status("POST", url, as_json, data="[]") == 400
    assert await status("POST", url, {**as_json, "Origin": f"http://localhost:{stand_in.port}"}) == 200
    assert stand_in.people.messages(GRACE, CHANNEL_ID)[0][-1]["text"] == "evil"


async def test_the_page_is_served_and_nothing_beside_it(page: Page) -> None:
    """index.html and its assets with a content policy; no way out of the directory."""
    async with page.session.get(page.url + "/") as answer:
        assert answer.status == 200
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    for path in ("/page/../server.py", "/page/%2e%2e/server.py", "/page/..%2fserver.py", "/page//etc/passwd"):
        async with page.session.get(URL(page.url + path, encoded=True)) as answer:
            assert answer.status == 404


async def test_private_channels_are_for_their_members(stand_in: SlackStandIn, page: Page) -> None:
    """Someone else neither sees them listed nor reads or posts there."""
    stand_in.workspace.add_channel("C0SECRET", "secret", members=[ADA], is_private=True)
    listed = await page.get("bootstrap", user_id=GRACE)
    assert "C0SECRET" not in {channel["channel_id"] for channel in listed["channels"]}
    assert (await page.get("messages", channel_id="C0SECRET", user_id=GRACE))["ok"] is False
    assert (await page.post("post", user_id=GRACE, channel_id="C0SECRET", text="x"))["ok"] is False
    assert (await page.post("post", user_id=ADA, channel_id="C0SECRET", text="x"))["ok"] is True


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("a < b & c > d", "a &lt; b &amp; c &gt; d"),
        ("<@U0ADA> and <!here> and <evil>", "<@U0ADA> and <!here> and &lt;evil&gt;"),
        ("@ada: hi, mail x@ada.example", "<@U0ADA>: hi, mail x@ada.example"),
        ("`@ada <x>`", "`@ada &lt;x&gt;`"),
        ("(https://x.y/z?a=1&b=2).", "(<https://x.y/z?a=1&amp;b=2>)."),
        ("&lt;", "&amp;lt;"),
        ("日本語 🎉 \u0000", "日本語 🎉 \u0000"),
    ],
)
def test_what_persons_type_is_stored_as_slack_stores_it(typed: str, stored: str) -> None:
    """Escaped, with mentions and addresses between angle brackets."""
    assert typed_by_person(typed, {"ada": "U0ADA"}) == stored


def test_what_the_app_writes_is_left_as_it_is_but_for_lone_ampersands_and_addresses() -> None:
    """Entities and links that are there already stay."""
    written = "a & b &lt; <https://x.y|label> https://x.y/z, <@U1>"
    assert written_by_app(written) == "a &amp; b &lt; <https://x.y|label> <https://x.y/z>, <@U1>"
