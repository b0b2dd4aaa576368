"""A second, minimal Slack that shares nothing with the project's own: Web API and Socket Mode, in a thread of its own.

It leaves out all that is optional (`url` of auth.test the first time, `client_msg_id`, `parent_user_id`,
`channel_type`, `container` of views, metadata, the bot's own messages as events), knows some twenty methods,
and sends every event twice.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import uuid
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiohttp import WSMsgType, web

T = TypeVar("T")
Json = dict[str, Any]

BOT_TOKEN, APP_TOKEN = "xoxb-9-foreign-bot", "xapp-9-foreign-app"
TEAM_ID, BOT_USER_ID, CHANNEL_ID = "T9FOREIGN", "U9BOT", "C9WORK"
ALICE, MALLORY = "U9ALICE", "U9MALLORY"
_INITIAL = {"initial_value": "value", "initial_option": "selected_option", "initial_options": "selected_options"}


class ForeignSlack:
    """Use it as a context manager; its methods may be called from any other thread."""

    def __init__(self) -> None:
        self.messages: dict[str, Json] = {}
        self.ephemeral: list[Json] = []
        self.reactions: list[tuple[str, str, str]] = []
        self.unknown_methods: set[str] = set()
        self.form: Json | None = None
        self.homes: dict[str, Json] = {}
        self.url = ""
        self._answers: dict[str, asyncio.Future[Json]] = {}
        self._sockets: list[web.WebSocketResponse] = []
        self._numbers = itertools.count(1)
        self._auth_tests = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="foreign-slack", daemon=True)
        self._runner: web.AppRunner | None = None

    def __enter__(self) -> ForeignSlack:
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def environment(self) -> dict[str, str]:
        """What a user would set to work with this Slack."""
        return {
            "SLACK_API_URL": f"{self.url}/api/",
            "SLACK_BOT_TOKEN": BOT_TOKEN,
            "SLACK_APP_TOKEN": APP_TOKEN,
            "DEVFLOW_ALLOWED_USERS": ALICE,
        }

    # What people do

    def command(self, text: str, user_id: str = ALICE) -> Json:
        """Types `/devflow text`; the acknowledgement's payload."""
        payload = {
            "token": "t", "team_id": TEAM_ID, "team_domain": "foreign", "channel_id": CHANNEL_ID,
            "channel_name": "work", "user_id": user_id, "user_name": "someone", "command": "/devflow", "text": text,
            "response_url": f"{self.url}/response", "trigger_id": "1.2.3", "api_app_id": "A9",
        }  # fmt: skip
        return self._run(self._request("slash_commands", payload))

    def reply(self, thread_ts: str | None, text: str, user_id: str = ALICE) -> str:
        """Writes in a thread; the event goes out twice, the second time as Slack's retry."""
        return self._run(self._reply(thread_ts, text, user_id))

    def press(self, action_id: str, user_id: str = ALICE) -> Json:
        """Presses the newest button of this kind."""
        for message in sorted(self.messages.values(), key=lambda message: message["ts"], reverse=True):
            for block in message.get("blocks", []):
                for element in block.get("elements", []) if block["type"] == "actions" else []:
                    if element.get("action_id") == action_id:
                        return self._run(self._press(message, block, element, user_id))
        raise LookupError(action_id)

    def call(self, text: str, user_id: str = ALICE) -> str:
        """Mentions the bot in the channel: a message, and an event of its own for the mention."""
        return self._run(self._reply(None, f"<@{BOT_USER_ID}> {text}", user_id))

    def work_on(self, ts: str, user_id: str = ALICE) -> Json:
        """The shortcut in a message's menu."""
        message = {**self.messages[ts], "blocks": [{"type": "rich_text", "block_id": "b", "elements": []}]}
        payload = {
            **self._interaction("message_action", user_id), "callback_id": "work_on_this", "message_ts": ts,
            "message": message, "channel": {"id": CHANNEL_ID}, "response_url": f"{self.url}/response",
        }  # fmt: skip
        return self._run(self._request("interactive", payload))

    def choose(self, action_id: str, value: str, user_id: str = ALICE) -> list[str]:
        """Types into a type-ahead of the form; what is offered. What is offered first is chosen, and told the bot."""
        assert self.form is not None
        # What stands in the form is not told here: https://github.com/slackapi/bolt-js/issues/1146
        view = {key: value for key, value in self.form.items() if key != "state"}
        place = {"block_id": action_id, "action_id": action_id}
        asked = {**self._interaction("block_suggestion", user_id), **place, "value": value, "view": view}
        offered = self._run(self._request("interactive", asked)).get("options") or []
        if offered:
            kind = {"type": "external_select", "selected_option": offered[0]}
            self.form["state"]["values"].setdefault(action_id, {})[action_id] = kind
            pressed = {**kind, **place, "action_ts": self._next_ts()}
            told = {**self._interaction("block_actions", user_id), "view": self.form, "actions": [pressed]}
            self._run(self._request("interactive", told))
        return [option["value"] for option in offered]

    def submit(self, prompt: str | None = None, user_id: str = ALICE) -> Json:
        """Sends the form, with a prompt written into it where it has one; what the bot answers."""
        assert self.form is not None
        if prompt is not None:
            self.form["state"]["values"]["form_prompt"] = {"form_prompt": {"type": "plain_text_input", "value": prompt}}
        payload = {**self._interaction("view_submission", user_id), "view": self.form}
        return self._run(self._request("interactive", payload))

    def open_home(self, user_id: str = ALICE) -> None:
        """As older apps are told: without a tab."""
        event = {"type": "app_home_opened", "user": user_id, "channel": "D9ALICE", "event_ts": self._next_ts()}
        self._run(self._tell(event))

    def has_button(self, action_id: str) -> bool:
        return f'"action_id": "{action_id}"' in json.dumps(list(self.messages.values()))

    def texts(self, thread_ts: str) -> list[str]:
        """All that stands in a thread, one string a message, blocks included."""
        return [json.dumps(message, ensure_ascii=False) for message in self._of_thread(thread_ts)]

    # Socket Mode

    async def _press(self, message: Json, block: Json, element: Json, user_id: str) -> Json:
        place = {"message_ts": message["ts"], "channel_id": CHANNEL_ID, "is_ephemeral": False, "type": "message"}
        chosen = {key: element[key] for key in ("action_id", "type", "text", "value") if key in element}
        payload = {
            "type": "block_actions", "user": {"id": user_id, "username": "someone", "team_id": TEAM_ID},
            "team": {"id": TEAM_ID, "domain": "foreign"}, "api_app_id": "A9", "token": "t", "trigger_id": "1.2.3",
            "container": place, "channel": {"id": CHANNEL_ID, "name": "work"}, "message": message,
            "response_url": f"{self.url}/response",
            "actions": [{**chosen, "block_id": block["block_id"], "action_ts": self._next_ts()}],
        }  # fmt: skip
        return await self._request("interactive", payload)

    async def _reply(self, thread_ts: str | None, text: str, user_id: str) -> str:
        ts = self._next_ts()
        message = {"type": "message", "user": user_id, "text": text, "ts": ts}
        if thread_ts is not None:
            message["thread_ts"] = thread_ts
        self.messages[ts] = message
        event = {**message, "channel": CHANNEL_ID, "event_ts": ts, "team": TEAM_ID}
        await self._tell(event)
        if f"<@{BOT_USER_ID}>" in text:
            await self._tell({**event, "type": "app_mention"})
        return ts

    async def _tell(self, event: Json) -> None:
        payload = {
            "type": "event_callback", "team_id": TEAM_ID, "api_app_id": "A9", "event": event,
            "event_id": f"Ev{uuid.uuid4().hex[:9]}", "event_time": int(float(event["event_ts"])),
        }  # fmt: skip
        await self._request("events_api", payload)
        await self._request("events_api", payload, retry_attempt=1, retry_reason="timeout")

    def _interaction(self, kind: str, user_id: str) -> Json:
        return {
            "type": kind, "user": {"id": user_id}, "team": {"id": TEAM_ID}, "api_app_id": "A9", "token": "t",
            "trigger_id": f"1.2.{next(self._numbers)}",
        }  # fmt: skip

    async def _request(self, kind: str, payload: Json, **more: Any) -> Json:
        envelope_id = str(uuid.uuid4())
        self._answers[envelope_id] = self._loop.create_future()
        envelope = {"envelope_id": envelope_id, "type": kind, "payload": payload, **more}
        async with asyncio.timeout(3):  # Slack's own patience
            while not self._sockets:
                await asyncio.sleep(0.02)
            await self._sockets[-1].send_json({**envelope, "accepts_response_payload": kind != "events_api"})
            return await self._answers[envelope_id]

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "hello", "num_connections": 1, "connection_info": {"app_id": "A9"}})
        self._sockets.append(socket)
        async for frame in socket:
            if frame.type is WSMsgType.TEXT:
                answer = json.loads(frame.data)
                waiting = self._answers.get(answer.get("envelope_id"))
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer.get("payload") or {})
        self._sockets.remove(socket)
        return socket

    # Web API

    async def _api(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        arguments: Json = dict(request.query)
        if request.content_type == "application/json":
            arguments |= await request.json()
        else:
            arguments |= {key: str(value) for key, value in (await request.post()).items()}
        token = APP_TOKEN if method == "apps.connections.open" else BOT_TOKEN
        if request.headers.get("Authorization") != f"Bearer {token}":
            return web.json_response({"ok": False, "error": "invalid_auth"})
        handler = getattr(self, "_" + method.replace(".", "_"), None)
        if handler is None:
            self.unknown_methods.add(method)
            return web.json_response({"ok": False, "error": "unknown_method"})
        if arguments.get("channel", CHANNEL_ID) != CHANNEL_ID:
            return web.json_response({"ok": False, "error": "channel_not_found"})
        try:
            return web.json_response({"ok": True, **handler(arguments)})
        except KeyError:
            return web.json_response({"ok": False, "error": "message_not_found"})

    def _auth_test(self, arguments: Json) -> Json:
        self._auth_tests += 1
        identity = {"team": "Foreign", "team_id": TEAM_ID, "user": "devflow", "user_id": BOT_USER_ID, "bot_id": "B9"}
        return identity if self._auth_tests == 1 else {**identity, "url": f"{self.url}/"}

    def _apps_connections_open(self, arguments: Json) -> Json:
        return {"url": f"{self.url.replace('http', 'ws')}/socket?ticket={uuid.uuid4()}"}

    def _chat_postMessage(self, arguments: Json) -> Json:
        ts = self._next_ts()
        message = {"type": "message", "user": BOT_USER_ID, "bot_id": "B9", "ts": ts, **_content(arguments)}
        if arguments.get("thread_ts"):
            message["thread_ts"] = arguments["thread_ts"]
        self.messages[ts] = message
        return {"channel": CHANNEL_ID, "ts": ts, "message": message}

    def _chat_update(self, arguments: Json) -> Json:
        self.messages[arguments["ts"]].update(_content(arguments))
        return {"channel": CHANNEL_ID, "ts": arguments["ts"], "text": arguments.get("text", "")}

    def _chat_delete(self, arguments: Json) -> Json:
        del self.messages[arguments["ts"]]
        return {"channel": CHANNEL_ID, "ts": arguments["ts"]}

    def _chat_postEphemeral(self, arguments: Json) -> Json:
        self.ephemeral.append({"user": arguments["user"], **_content(arguments)})
        return {"message_ts": self._next_ts()}

    def _views_open(self, arguments: Json) -> Json:
        self.form = {"id": f"V9{next(self._numbers)}", "state": {"values": {}}, **_view(arguments)}
        for block in self.form["blocks"]:
            element = block.get("element", {})
            for given, kept in _INITIAL.items():
                if given in element:
                    state = {"type": element["type"], kept: element[given]}
                    self.form["state"]["values"][block["block_id"]] = {element["action_id"]: state}
        return {"view": {"id": self.form["id"]}}

    def _views_update(self, arguments: Json) -> Json:
        assert self.form is not None
        self.form.update(_view(arguments))
        return {"view": {"id": self.form["id"]}}

    def _views_publish(self, arguments: Json) -> Json:
        self.homes[arguments["user_id"]] = _view(arguments)
        return {"view": {"id": "V8"}}

    def _conversations_info(self, arguments: Json) -> Json:
        return {"channel": {"id": CHANNEL_ID, "name": "work", "is_channel": True, "is_member": True}}

    def _conversations_replies(self, arguments: Json) -> Json:
        return {"messages": self._of_thread(arguments["ts"]), "has_more": False}

    def _conversations_history(self, arguments: Json) -> Json:
        roots = [message for message in self.messages.values() if "thread_ts" not in message]
        return {"messages": sorted(roots, key=lambda message: message["ts"], reverse=True), "has_more": False}

    def _users_info(self, arguments: Json) -> Json:
        user = {"id": arguments["user"], "team_id": TEAM_ID, "name": "someone", "real_name": "Someone"}
        return {"user": user}

    def _reactions_add(self, arguments: Json) -> Json:
        self.reactions.append(("add", arguments["timestamp"], arguments["name"]))
        return {}

    def _reactions_remove(self, arguments: Json) -> Json:
        self.reactions.append(("remove", arguments["timestamp"], arguments["name"]))
        return {}

    # The rest

    def _of_thread(self, thread_ts: str) -> list[Json]:
        if thread_ts not in self.messages:
            raise KeyError(thread_ts)
        found = [message for message in list(self.messages.values()) if message.get("thread_ts") == thread_ts]
        return [self.messages[thread_ts], *sorted(found, key=lambda message: message["ts"])]

    def _next_ts(self) -> str:
        return f"1800000000.{next(self._numbers):06d}"

    async def _respond(self, request: web.Request) -> web.Response:
        self.ephemeral.append(await request.json())
        return web.Response(text="ok")

    async def _start(self) -> None:
        application = web.Application()
        application.router.add_route("*", "/api/{method}", self._api)
        application.router.add_get("/socket", self._socket)
        application.router.add_post("/response", self._respond)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _stop(self) -> None:
        for socket in list(self._sockets):
            await socket.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)


def _view(arguments: Json) -> Json:
    view = arguments["view"]
    given: Json = json.loads(view) if isinstance(view, str) else view
    return given


def _content(arguments: Json) -> Json:
    """Text and blocks of a message; blocks come as JSON text in a form."""
    blocks = arguments.get("blocks")
    blocks = json.loads(blocks) if isinstance(blocks, str) else blocks
    numbered = [{"block_id": f"b{number}", **block} for number, block in enumerate(blocks or [])]
    return {"text": arguments.get("text") or "", **({"blocks": numbered} if numbered else {})}
