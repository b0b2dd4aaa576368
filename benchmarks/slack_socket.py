"""The least of a Slack that an app can connect to: hands out envelopes, notes when each is acknowledged.

It knows no messages and keeps nothing, so that it is not what is measured. Every Web API call is answered at once.
https://docs.slack.dev/apis/events-api/using-socket-mode
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import Any

from aiohttp import web

TEAM_ID, BOT_USER_ID, BOT_ID, APP_ID = "T0BENCH", "U0BOT", "B0BOT", "A0BENCH"
CHANNEL_ID = "C0BENCH"

_ANSWERS: dict[str, dict[str, Any]] = {
    "auth.test": {
        "url": "https://bench.slack.com/",
        "team": "Bench",
        "team_id": TEAM_ID,
        "user": "devflow",
        "user_id": BOT_USER_ID,
        "bot_id": BOT_ID,
        "is_enterprise_install": False,
    },
    "conversations.info": {
        "channel": {"id": CHANNEL_ID, "name": "bench", "is_channel": True, "is_member": True},
    },
    "chat.postMessage": {"ts": "1790000000.000001"},
}


class SlackSocket:
    """One app's Slack, on a free port of loopback."""

    def __init__(self) -> None:
        self._sockets: list[web.WebSocketResponse] = []
        self._turn = 0
        self._waiting: dict[str, asyncio.Future[float]] = {}
        self._opened = asyncio.Event()
        self.calls = 0
        """Web API calls so far."""
        application = web.Application()
        application.router.add_route("*", "/api/{method}", self._call)
        application.router.add_get("/link", self._link)
        self._runner = web.AppRunner(application, access_log=None)
        self.origin = ""

    @property
    def api_url(self) -> str:
        return f"{self.origin}/api/"

    async def start(self) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.origin = f"http://{host}:{port}"

    async def stop(self) -> None:
        await asyncio.gather(*(socket.close() for socket in self._sockets))
        await self._runner.cleanup()

    async def connected(self, seconds: float = 30.0) -> None:
        """Returns when the app listens."""
        await asyncio.wait_for(self._opened.wait(), seconds)

    async def settled(self, quiet_seconds: float = 0.4) -> None:
        """Returns when the app has made no call for a while."""
        calls = -1
        while calls != self.calls:
            calls = self.calls
            await asyncio.sleep(quiet_seconds)

    async def deliver(self, event: dict[str, Any]) -> float:
        """Sends one event; the seconds until it was acknowledged."""
        envelope_id = str(uuid.uuid4())
        acknowledged: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting[envelope_id] = acknowledged
        payload = {
            "type": "event_callback",
            "team_id": TEAM_ID,
            "api_app_id": APP_ID,
            "event": event,
            "event_id": f"Ev{envelope_id}",
            "event_time": int(time.time()),
            "authorizations": [{"team_id": TEAM_ID, "user_id": BOT_USER_ID, "is_bot": True}],
        }
        text = json.dumps(
            {"type": "events_api", "envelope_id": envelope_id, "payload": payload, "accepts_response_payload": False}
        )
        self._turn += 1
        socket = self._sockets[self._turn % len(self._sockets)]
        sent_at = time.perf_counter()
        await socket.send_str(text)
        return await asyncio.wait_for(acknowledged, 30) - sent_at

    async def _link(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "hello", "num_connections": 1, "connection_info": {"app_id": APP_ID}})
        self._sockets.append(socket)
        self._opened.set()
        async for message in socket:
            received_at = time.perf_counter()
            acknowledged = self._waiting.pop(json.loads(message.data)["envelope_id"], None)
            if acknowledged is not None:
                acknowledged.set_result(received_at)
        self._sockets.remove(socket)
        return socket

    async def _call(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        self.calls += 1
        if method == "apps.connections.open":
            return web.json_response({"ok": True, "url": self.origin.replace("http", "ws", 1) + "/link"})
        if method == "users.info":
            user = {
                "id": (await request.post() or request.query)["user"],
                "team_id": TEAM_ID,
                "name": "ada",
                "profile": {},
                "tz": "UTC",
            }
            return web.json_response({"ok": True, "user": user})
        return web.json_response({"ok": True, **_ANSWERS.get(method, {})})
