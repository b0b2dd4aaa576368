"""The Socket Mode keeper over real sockets: Bolt on one side, the Slack stand-in or a stubborn server on the other."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from slack_bolt.async_app import AsyncApp
from structlog.testing import capture_logs

from slackbot.adapters.slack import SlackChat
from slackbot.adapters.socket_intake import SocketIntake
from slackbot.adapters.socket_mode import SocketKeeper, build_app
from slackbot.adapters.straight_events import StraightEvents
from slackbot.core.errors import PermanentError, TemporaryError
from slackbot.sandbox.slack import Fault, SlackStandIn

HERE = "C0SANDBOX"
QUICK: dict[str, Any] = {
    "ping_interval_seconds": 1.0,
    "replace_after_seconds": 0.3,
    "check_seconds": 0.02,
    "connect_seconds": 2.0,
    "first_pause_seconds": 0.02,
}


async def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Waits for the condition, at most `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
async def slack(tmp_path: Path) -> AsyncIterator[SlackStandIn]:
    slack = SlackStandIn(
        tmp_path / "slack.db",
        bot_token="xoxb-test",
        app_token="xapp-test",
        commands=[{"command": "/devflow"}],
        event_ack_seconds=0.4,
        retry_delays_seconds=(0.0, 0.3, 0.6),
    )
    await slack.start()
    yield slack
    await slack.stop()


@contextlib.asynccontextmanager
async def chat_on(api_url: str) -> AsyncIterator[SlackChat]:
    chat = SlackChat(token="xoxb-test", api_url=api_url, retry_interval_seconds=0.01)
    try:
        yield chat
    finally:
        await chat.close()


@pytest.fixture
async def app(slack: SlackStandIn) -> AsyncIterator[AsyncApp]:
    async with chat_on(slack.api_url) as chat:
        yield build_app(chat)


@contextlib.asynccontextmanager
async def keeper_of(app: AsyncApp, **settings: Any) -> AsyncIterator[SocketKeeper]:
    keeper = SocketKeeper(app, "xapp-test", **{**QUICK, **settings})
    try:
        await keeper.start()
        yield keeper
    finally:
        await keeper.close()


def note_messages(app: AsyncApp) -> list[str]:
    """Registers a listener that notes the text of each message; returns the notes."""
    heard: list[str] = []

    @app.event("message")
    async def listener(event: dict[str, Any]) -> None:
        heard.append(event["text"])

    return heard


def opened(slack: SlackStandIn) -> int:
    return sum(call.method == "apps.connections.open" for call in slack.calls)


async def test_two_connections_serve_one_app(slack: SlackStandIn, app: AsyncApp) -> None:
    """Both connections stand, a message is heard once and acknowledged, and it ends when told to."""
    heard = note_messages(app)
    async with keeper_of(app) as keeper:
        assert keeper.is_heard
        await until(lambda: slack.sockets.connection_count == 2 and keeper.live_connections == 2)
        for number in range(4):
            await slack.people.post_message("U0ADA", HERE, f"message {number}")
        await until(lambda: len(heard) == 4)
        await until(lambda: slack.sockets.undelivered_count == 0)
        assert sorted(heard) == [f"message {number}" for number in range(4)]
    assert not keeper.is_heard
    await until(lambda: slack.sockets.connection_count == 0)


async def test_building_the_app_calls_nobody(slack: SlackStandIn, app: AsyncApp) -> None:
    """No call goes out before the first envelope."""
    assert slack.calls == []
    assert app.process_before_response


async def test_own_messages_are_not_heard(slack: SlackStandIn) -> None:
    """What the bot posts itself comes back as an event, is acknowledged and reaches no listener."""
    async with chat_on(slack.api_url) as chat:
        app = build_app(chat)
        heard = note_messages(app)
        async with keeper_of(app):
            await chat.post_message(HERE, text="from the bot")
            await slack.people.post_message("U0ADA", HERE, "from a person")
            await until(lambda: slack.sockets.undelivered_count == 0)
            assert heard == ["from a person"]


async def test_a_straight_listener_hears_before_bolt_and_holds_the_acknowledgement(slack: SlackStandIn) -> None:
    """Every subtype of its event but the bot's own words; what it raises leaves the event to be delivered again."""
    heard: list[tuple[str, str]] = []
    failures: list[Exception] = [TemporaryError("The store is away.", ""), ValueError("unforeseen")]

    async def hear(event: dict[str, Any], context: dict[str, Any]) -> None:
        if event.get("text") == "after two faults" and failures:
            raise failures.pop()
        heard.append((str(event.get("subtype")), str(event.get("text"))))
        assert context["bot_user_id"]

    async with chat_on(slack.api_url) as chat:
        app = build_app(chat)
        by_bolt = note_messages(app)
        straight = StraightEvents(chat.identify)
        straight.bind("message", hear)
        async with keeper_of(app, straight=straight):
            with capture_logs() as logged:
                await chat.post_message(HERE, text="from the bot")
                ts = await slack.people.post_message("U0ADA", HERE, "from a person")
                await slack.people.edit("U0ADA", HERE, ts, "from a person, edited")
                await slack.people.post_message("U0ADA", HERE, "after two faults")
                await until(lambda: len(heard) == 3 and slack.sockets.undelivered_count == 0)
    assert sorted(heard) == [
        ("None", "after two faults"),
        ("None", "from a person"),
        ("message_changed", "None"),
    ]
    assert by_bolt == [], "nothing of it went to Bolt"
    told = [entry["event"] for entry in logged]
    assert [told.count(event) for event in ("listener_postponed", "listener_failed")] == [1, 1]
    assert told.count("slack_envelope_unacknowledged") == 2


@pytest.mark.parametrize("reason", ["warning", "refresh_requested", "link_disabled"])
async def test_a_disconnect_is_survived(slack: SlackStandIn, app: AsyncApp, reason: str) -> None:
    """When Slack asks for a reconnect, for whatever reason, both come back with new addresses and nothing is lost."""
    heard = note_messages(app)
    async with keeper_of(app) as keeper:
        await until(lambda: slack.sockets.connection_count == 2)
        before = opened(slack)
        await slack.disconnect_sockets(reason)
        await slack.people.post_message("U0ADA", HERE, "still there?")
        await until(lambda: opened(slack) >= before + 2 and keeper.live_connections == 2)
        # An acknowledgement may go down with its socket; then Slack says it again, and twice heard is not lost.
        await until(lambda: set(heard) == {"still there?"} and slack.sockets.undelivered_count == 0)


async def test_an_abrupt_loss_is_survived(slack: SlackStandIn, app: AsyncApp) -> None:
    """Connections cut with no word come back, and what was sent meanwhile is heard."""
    heard = note_messages(app)
    async with keeper_of(app) as keeper:
        await until(lambda: slack.sockets.connection_count == 2)
        await slack.disconnect_sockets(abruptly=True)
        await slack.people.post_message("U0ADA", HERE, "in the gap")
        await until(lambda: keeper.live_connections == 2 and slack.sockets.connection_count == 2)
        await until(lambda: set(heard) == {"in the gap"})


async def test_an_outage_is_noticed_and_its_end(slack: SlackStandIn, app: AsyncApp) -> None:
    """`is_heard` is false while nothing stands and Slack refuses, and true again after."""
    note_messages(app)
    async with keeper_of(app) as keeper:
        await until(lambda: keeper.live_connections == 2)
        slack.fault = lambda method, _: Fault(error="internal_error") if method == "apps.connections.open" else None
        await slack.disconnect_sockets(abruptly=True)
        await until(lambda: not keeper.is_heard)
        slack.fault = None
        await until(lambda: keeper.is_heard)


async def test_an_invalid_app_token_ends_the_start(slack: SlackStandIn, app: AsyncApp) -> None:
    """A refused app token is a sentence at once, not a retry for ever."""
    keeper = SocketKeeper(app, "xapp-wrong", **QUICK)
    with pytest.raises(PermanentError, match="SLACK_APP_TOKEN") as refused:
        await keeper.start()
    assert "connections:write" in refused.value.remedy
    assert "xapp-wrong" not in str(refused.value)
    await keeper.close()


async def test_the_start_is_bounded(slack: SlackStandIn, app: AsyncApp) -> None:
    """When Slack does not answer properly the start ends with a temporary error, after tries of its own."""
    slack.fault = lambda method, _: Fault(error="internal_error")
    keeper = SocketKeeper(app, "xapp-test", **{**QUICK, "start_seconds": 1.0})
    with pytest.raises(TemporaryError):
        await keeper.start()
    assert opened(slack) >= 2
    await keeper.close()


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("events_api", ["not", "an", "object"]),
        ("events_api", "text"),
        ("events_api", {"type": "event_callback"}),
        ("events_api", {"type": "event_callback", "event": {"type": "message"}, "authorizations": {"0": 1}}),
        ("events_api", {"type": "event_callback", "event": None}),
        (None, {"type": "event_callback"}),
        ("slash_commands", {"text": "no command"}),
        ("interactive", {}),
        ("interactive", {"type": "block_actions", "team": 7}),
        ("something_new", {"type": "something_new"}),
        ("events_api", {"type": "event_callback", "event": {"type": "unheard_of"}}),
    ],
)
async def test_odd_envelopes_are_acknowledged(slack: SlackStandIn, app: AsyncApp, kind: Any, payload: Any) -> None:
    """Malformed and unknown envelopes are acknowledged, and the next message is heard as ever."""
    heard = note_messages(app)
    async with keeper_of(app, connections=1):
        ack = await slack.sockets.request(kind, payload, 5.0)
        assert ack.error is None
        await slack.people.post_message("U0ADA", HERE, "after it")
        await until(lambda: heard == ["after it"])


async def test_a_listener_that_raises_gets_its_event_again(slack: SlackStandIn, app: AsyncApp) -> None:
    """The envelope stays unacknowledged, Slack delivers again, and then it is acknowledged."""
    attempts: list[str | None] = []

    @app.event("message")
    async def listener(request: Any) -> None:
        attempts.append(request.headers.get("x-slack-retry-num", [None])[0])
        if len(attempts) == 1:
            raise RuntimeError("the store is away")

    async with keeper_of(app):
        await slack.people.post_message("U0ADA", HERE, "keep this")
        await until(lambda: len(attempts) == 2 and slack.sockets.undelivered_count == 0)
    assert attempts[1] == "1"


@pytest.mark.parametrize("fails_at_first", [False, True])
async def test_an_event_that_comes_again_while_it_is_worked_on(
    slack: SlackStandIn, app: AsyncApp, monkeypatch: pytest.MonkeyPatch, fails_at_first: bool
) -> None:
    """Slack waits three seconds; a bot that is further behind does not do everything twice, and acknowledges both."""
    came: list[str] = []
    heard: list[str] = []
    goes_on = asyncio.Event()
    receive = SocketIntake.receive

    def noted(intake: SocketIntake, client: Any, message: dict[str, Any]) -> None:
        if message.get("type") == "events_api":
            came.append(message["payload"]["event_id"])
        receive(intake, client, message)

    @app.event("message")
    async def listener(event: dict[str, Any]) -> None:
        heard.append(event["text"])
        await goes_on.wait()
        if fails_at_first and len(heard) == 1:
            raise TemporaryError("no store")

    monkeypatch.setattr(SocketIntake, "receive", noted)
    async with keeper_of(app):
        await slack.people.post_message("U0ADA", HERE, "hello")
        await until(lambda: len(came) >= 3)
        assert heard == ["hello"]
        goes_on.set()
        await until(lambda: slack.sockets.undelivered_count == 0)
        assert heard == ["hello"] * (2 if fails_at_first else 1)
        assert len(set(came)) == 1
        await slack.people.post_message("U0ADA", HERE, "again")
        await until(lambda: slack.sockets.undelivered_count == 0)
        assert heard[-1] == "again"


async def test_unsure_who_the_bot_is_nothing_is_acknowledged(slack: SlackStandIn, app: AsyncApp) -> None:
    """While auth.test fails an event is neither dropped nor acknowledged; it is heard once Slack answers again."""
    heard = note_messages(app)
    slack.fault = lambda method, _: Fault(status=503) if method == "auth.test" else None
    async with keeper_of(app):
        await slack.people.post_message("U0ADA", HERE, "keep this")
        await until(lambda: any(call.method == "auth.test" for call in slack.calls))
        assert slack.sockets.undelivered_count == 1
        slack.fault = None
        await until(lambda: set(heard) == {"keep this"} and slack.sockets.undelivered_count == 0)


async def test_a_command_is_answered_with_what_the_listener_says(slack: SlackStandIn, app: AsyncApp) -> None:
    """The acknowledgement of a command carries the listener's words."""

    @app.command("/devflow")
    async def listener(ack: Any, command: dict[str, Any]) -> None:
        await ack(f"You said {command['text']}")

    async with keeper_of(app):
        outcome = await slack.people.command("U0ADA", HERE, "/devflow", "help")
    assert outcome == {"ok": True}
    shown = slack.people.messages("U0ADA", HERE)[0]
    assert [message["text"] for message in shown] == ["You said help"]


async def test_at_the_end_due_acknowledgements_still_go_out(slack: SlackStandIn, app: AsyncApp) -> None:
    """After `stop_intake` nothing new is taken, idle sockets close, and a slow listener's acknowledgement arrives."""
    began, may_end = asyncio.Event(), asyncio.Event()
    heard: list[str] = []

    @app.event("message")
    async def listener(event: dict[str, Any]) -> None:
        heard.append(event["text"])
        began.set()
        await may_end.wait()

    async with keeper_of(app) as keeper:
        await until(lambda: slack.sockets.connection_count == 2)
        await slack.people.post_message("U0ADA", HERE, "slow one")
        await asyncio.wait_for(began.wait(), 60)
        await keeper.stop_intake()
        assert not keeper.is_heard
        await until(lambda: slack.sockets.connection_count == 1)
        assert await keeper.drain(0.01) == 1
        await slack.people.post_message("U0ADA", HERE, "too late")
        may_end.set()
        assert await keeper.drain(10) == 0
        await until(lambda: slack.sockets.undelivered_count == 1)
    assert heard == ["slow one"]


async def test_listeners_are_bounded(slack: SlackStandIn, app: AsyncApp) -> None:
    """No more than `concurrency` run at once, what waits has its turn, and what is beyond the queue comes again; that
    is told once when it begins and once when it ends."""
    may_end = asyncio.Event()
    running, most, done = 0, 0, 0

    @app.event("message")
    async def listener() -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await may_end.wait()
        running -= 1
        done += 1

    heard_since: list[int] = []
    began_at = int(time.time())
    with capture_logs() as logged:
        async with keeper_of(app, concurrency=2, queued=1, on_heard=heard_since.append) as keeper:
            assert heard_since == [0]
            for number in range(5):
                await slack.people.post_message("U0ADA", HERE, f"message {number}")
            await until(lambda: running == 2 and keeper.in_flight == 3)
            await until(lambda: any(line["event"] == "slack_envelopes_refused" for line in logged))
            assert heard_since == [0]
            may_end.set()
            await until(lambda: slack.sockets.undelivered_count == 0)
    assert most == 2
    assert done >= 5
    # What Slack gave up meanwhile is looked for in the threads.
    assert heard_since[1] >= began_at
    told = [line["event"] for line in logged if line["event"].startswith("slack_envelopes_")]
    assert told[:2] == ["slack_envelopes_refused", "slack_envelopes_taken_again"]
    assert told == told[:2] * (len(told) // 2)


class StubbornSlack:
    """Addresses are good once, as Slack's are; sockets are refused or silent on demand."""

    def __init__(self) -> None:
        self.opened = 0
        self.refused = 0
        self.is_refusing = False
        self.is_silent = False
        self.sockets: list[web.WebSocketResponse] = []
        self.acknowledged: list[str] = []
        self._tickets: set[str] = set()
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> None:
        application = web.Application()
        application.router.add_post("/api/auth.test", self._auth_test)
        application.router.add_post("/api/apps.connections.open", self._open)
        application.router.add_get("/link", self._link)
        self._runner = web.AppRunner(application, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def stop(self) -> None:
        for socket in self.sockets:
            await socket.close()
        assert self._runner is not None
        await self._runner.cleanup()

    async def _auth_test(self, _: web.Request) -> web.Response:
        return web.json_response({"ok": True, "team_id": "T1", "user_id": "U1", "bot_id": "B1"})

    async def _open(self, _: web.Request) -> web.Response:
        self.opened += 1
        self._tickets.add(str(self.opened))
        return web.json_response({"ok": True, "url": f"{self.url.replace('http', 'ws')}/link?ticket={self.opened}"})

    async def _link(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query["ticket"]
        is_good = ticket in self._tickets
        self._tickets.discard(ticket)
        if self.is_refusing or not is_good:
            self.refused += 1
            return web.Response(status=503)
        socket = web.WebSocketResponse(autoping=not self.is_silent, timeout=0.2)
        await socket.prepare(request)
        self.sockets.append(socket)
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                self.acknowledged.append(message.json()["envelope_id"])
        return socket

    async def say(self, message: dict[str, Any]) -> None:
        for socket in self.sockets:
            if not socket.closed:
                await socket.send_str(json.dumps(message))


@pytest.fixture
async def stubborn() -> AsyncIterator[StubbornSlack]:
    stubborn = StubbornSlack()
    await stubborn.start()
    yield stubborn
    await stubborn.stop()


async def test_refused_reconnects_get_a_fresh_address(stubborn: StubbornSlack) -> None:
    """An address whose socket was refused is not tried for ever: a fresh one is fetched, and the app is heard again."""
    async with chat_on(stubborn.url + "/api/") as chat, keeper_of(build_app(chat), connect_seconds=0.3) as keeper:
        await until(lambda: keeper.live_connections == 2)
        stubborn.is_refusing = True
        await stubborn.say({"type": "disconnect", "reason": "refresh_requested"})
        await until(lambda: stubborn.refused >= 3 and not keeper.is_heard)
        stubborn.is_refusing = False
        opened_before = stubborn.opened
        await until(lambda: keeper.live_connections == 2)
        assert stubborn.opened > opened_before


async def test_a_silent_socket_is_replaced(stubborn: StubbornSlack) -> None:
    """A socket that answers no ping, and is not closed either, gives way to a new one."""
    async with (
        chat_on(stubborn.url + "/api/") as chat,
        keeper_of(build_app(chat), connections=1, ping_interval_seconds=0.3) as keeper,
    ):
        await until(lambda: len(stubborn.sockets) >= 1 and keeper.is_heard)
        stubborn.is_silent = True
        await stubborn.say({"type": "disconnect", "reason": "warning"})
        await until(lambda: len(stubborn.sockets) >= 3)
        stubborn.is_silent = False
        await until(lambda: keeper.is_heard)


async def test_messages_that_are_no_envelopes_are_survived(stubborn: StubbornSlack) -> None:
    """A hello, no JSON, and JSON of other forms are no reason to lose the connection."""
    async with chat_on(stubborn.url + "/api/") as chat:
        app = build_app(chat)
        heard = note_messages(app)
        async with keeper_of(app, connections=1) as keeper:
            await until(lambda: len(stubborn.sockets) == 1)
            for text in ("{not json", "[1, 2]", "", "null", '{"type": "hello"}', '{"envelope_id": 7}'):
                await stubborn.sockets[0].send_str(text)
            event = {"type": "message", "text": "after all that", "user": "U2", "channel": "C1", "ts": "1.1"}
            envelope = {
                "envelope_id": "e1",
                "type": "events_api",
                "payload": {"type": "event_callback", "event": event},
            }
            await stubborn.say(envelope)
            await until(lambda: heard == ["after all that"])
            assert keeper.live_connections == 1
            assert stubborn.opened == 1


async def test_what_bolt_stumbles_over_is_acknowledged(stubborn: StubbornSlack) -> None:
    """A failure between the authorization and any listener comes of its form: it would come again for ever."""
    async with chat_on(stubborn.url + "/api/") as chat:
        app = build_app(chat)
        seen: list[str] = []

        @app.middleware
        async def stumble(body: dict[str, Any]) -> None:
            seen.append(body["event_id"])
            raise KeyError("shape")

        note_messages(app)
        async with keeper_of(app, connections=1):
            await until(lambda: len(stubborn.sockets) == 1)
            for attempt in range(2):
                payload = {
                    "type": "event_callback",
                    "event_id": f"Ev{attempt}",
                    "event": {"type": "message", "text": "x", "user": "U2", "channel": "C1", "ts": "1.1"},
                }
                envelope = {"envelope_id": f"e{attempt}", "type": "events_api", "payload": payload}
                await stubborn.say({**envelope, "retry_attempt": attempt})
            await until(lambda: sorted(stubborn.acknowledged) == ["e0", "e1"])
            assert sorted(seen) == ["Ev0", "Ev1"]


async def test_what_only_shares_an_id_with_another_event_is_heard(stubborn: StubbornSlack) -> None:
    """An event is the same one where all of it is the same; and however often one comes, each envelope is answered."""
    async with chat_on(stubborn.url + "/api/") as chat:
        app = build_app(chat)
        heard: list[str] = []
        goes_on = asyncio.Event()

        @app.event("message")
        async def listener(event: dict[str, Any]) -> None:
            heard.append(event["text"])
            await goes_on.wait()

        async with keeper_of(app, connections=1):
            await until(lambda: len(stubborn.sockets) == 1)
            texts = ["one"] * 20 + ["two"]
            for number, text in enumerate(texts):
                event = {"type": "message", "channel": HERE, "user": "U0ADA", "text": text, "ts": "1.000001"}
                payload = {"type": "event_callback", "team_id": "T1", "event_id": "Ev1", "event": event}
                await stubborn.say({"envelope_id": f"e{number}", "type": "events_api", "payload": payload})
            await until(lambda: "two" in heard)
            assert heard.count("one") < 20
            goes_on.set()
            await until(lambda: {f"e{number}" for number in range(len(texts))} <= set(stubborn.acknowledged))
