"""The foreign Slack on a bad day: 429, 500, half an answer and none, sockets that drop, echoes and late doubles.

By a seed. Each call of the Web API may fail before or after it took effect; each event comes up to five times, out of
order; all that the bot does comes back to it as events. The thread may be looked at from another thread meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from collections import Counter
from typing import Any

from aiohttp import web

from tests.e2e.foreign_slack import ALICE, BOT_USER_ID, CHANNEL_ID, TEAM_ID, ForeignSlack, Json

TROUBLE = ("429", "500", "503 in HTML", "cut before", "cut after", "500 after", "empty", "slow")
CALM = frozenset({"auth.test", "apps.connections.open"})
"""Methods that fail less: without them nothing begins, and that is told in one sentence."""


class BadDaySlack(ForeignSlack):
    """`trouble` is the part of all calls that go wrong; 0 makes it a good day from then on."""

    def __init__(self, seed: int, trouble: float) -> None:
        super().__init__()
        self.trouble = trouble
        self.went_wrong: Counter[str] = Counter()
        self.acknowledged: Counter[str] = Counter()
        """How often an event about the message of this `ts` was."""
        self._rng = random.Random(seed)
        self._background: set[asyncio.Task[None]] = set()
        self._storm: asyncio.Task[None] | None = None

    # What people do

    def insists(self, text: str) -> str:
        """Types `/devflow text` until a root stands for it; its ts. Typed twice it may be two sessions."""
        before = set(self.messages)
        while True:
            try:
                self.command(text)
            except TimeoutError:
                self.went_wrong["command without an answer"] += 1
            fresh = [ts for ts, each in list(self.messages.items()) if ts not in before and "thread_ts" not in each]
            if fresh:
                return min(fresh)

    def marks(self, ts: str) -> set[str]:
        """What the bot's reactions to a message are now."""
        there: set[str] = set()
        for verb, at, name in list(self.reactions):
            if at == ts:
                (there.add if verb == "add" else there.discard)(name)
        return there

    def of_type(self, thread_ts: str, event_type: str) -> list[Json]:
        """The bot's messages in a thread with that metadata."""
        return [each for each in self._of_thread(thread_ts) if each.get("metadata", {}).get("event_type") == event_type]

    async def _reply(self, thread_ts: str, text: str, user_id: str) -> str:
        ts = self._next_ts()
        message = {"type": "message", "user": user_id, "text": text, "ts": ts, "thread_ts": thread_ts}
        self.messages[ts] = message
        self._emit({**message, "channel_type": "channel"}, times=self._rng.choice((1, 2, 5)))
        return ts

    def _emit(self, event: Json, *, times: int) -> None:
        """Sends an event so often, some of it late, each until it is acknowledged."""
        payload = {
            "type": "event_callback", "team_id": TEAM_ID, "api_app_id": "A9",
            "event": {**event, "channel": CHANNEL_ID, "event_ts": event["ts"], "team": TEAM_ID},
            "event_id": f"Ev{uuid.uuid4().hex[:9]}", "event_time": int(float(event["ts"])),
        }  # fmt: skip
        for _ in range(times):
            task = asyncio.ensure_future(self._deliver(payload, self._rng.choice((0.0, 0.0, 0.1, 1.0))))
            self._background.add(task)
            task.add_done_callback(self._background.discard)

    async def _deliver(self, payload: Json, delay_seconds: float) -> None:
        await asyncio.sleep(delay_seconds)
        for attempt in range(20):
            more = {"retry_attempt": attempt, "retry_reason": "timeout"} if attempt else {}
            try:
                await self._request("events_api", payload, **more)
                self.acknowledged[payload["event"]["ts"]] += 1
                return
            except (TimeoutError, ConnectionError, RuntimeError):
                self.went_wrong["event sent again"] += 1
                # A socket that is closing refuses at once; a moment later there is another one.
                await asyncio.sleep(0.5)
        self.went_wrong["event given up"] += 1

    # Socket Mode

    async def _start(self) -> None:
        await super()._start()
        self._storm = asyncio.ensure_future(self._drop_sockets())

    async def _stop(self) -> None:
        for task in [*self._background, *([self._storm] if self._storm else [])]:
            task.cancel()
        await super()._stop()

    async def _drop_sockets(self) -> None:
        """Now and then a socket is cut, is asked to go, or all are told things nobody has heard of."""
        while True:
            await asyncio.sleep(self._rng.uniform(1.0, 3.0))
            if not self._sockets or not self.trouble:
                continue
            socket, kind = self._rng.choice(self._sockets), self._rng.choice(("cut", "warning", "refresh", "odd"))
            self.went_wrong[f"socket: {kind}"] += 1
            try:
                if kind == "cut":
                    await socket.close()
                elif kind == "odd":
                    await socket.send_str(
                        self._rng.choice(("not JSON", "[]", '{"type": "new"}', '{"envelope_id": 7}', ""))
                    )
                else:
                    reason = "warning" if kind == "warning" else "refresh_requested"
                    await socket.send_json({"type": "disconnect", "reason": reason, "debug_info": {"host": "h"}})
                    await socket.close()
            except (ConnectionError, RuntimeError):
                continue

    # Web API

    async def _api(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        trouble = self.trouble / 5 if method in CALM else self.trouble
        if self._rng.random() >= trouble:
            return await self._answered(request, method)
        kind = self._rng.choice(TROUBLE)
        self.went_wrong[kind] += 1
        if kind == "429":
            said = {"ok": False, "error": "ratelimited"}
            return web.json_response(said, status=429, headers={"Retry-After": "1"})
        if kind == "500":
            return web.json_response({"ok": False, "error": "internal_error"}, status=500)
        if kind == "503 in HTML":
            return web.Response(text="<html>down for maintenance</html>", status=503, content_type="text/html")
        if kind == "cut before":
            return self._cut(request)
        if kind == "slow":
            await asyncio.sleep(2.0)
            return await self._answered(request, method)
        await self._answered(request, method)
        if kind == "cut after":
            return self._cut(request)
        if kind == "500 after":
            return web.json_response({"ok": False, "error": "fatal_error"}, status=500)
        return web.Response(text="")

    @staticmethod
    def _cut(request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    async def _answered(self, request: web.Request, method: str) -> web.Response:
        before = {ts: dict(message) for ts, message in self.messages.items()}
        answer = await super()._api(request)
        for ts, message in list(self.messages.items()):
            if ts not in before:
                self._emit({**message, "channel_type": "channel"}, times=2)
            elif before[ts] != message:
                changed = {"type": "message", "subtype": "message_changed", "message": message, "ts": self._next_ts()}
                self._emit({**changed, "previous_message": before[ts]}, times=1)
        for ts in before.keys() - self.messages.keys():
            gone = {"type": "message", "subtype": "message_deleted", "deleted_ts": ts, "ts": self._next_ts()}
            self._emit({**gone, "previous_message": before[ts]}, times=1)
        return answer

    def _chat_postMessage(self, arguments: Json) -> Json:
        answer = super()._chat_postMessage(arguments)
        self._keep_metadata(answer["ts"], arguments)
        return answer

    def _chat_update(self, arguments: Json) -> Json:
        self._keep_metadata(arguments["ts"], arguments)
        return super()._chat_update(arguments)

    def _keep_metadata(self, ts: str, arguments: Json) -> None:
        given: Any = arguments.get("metadata")
        if given:
            self.messages[ts]["metadata"] = json.loads(given) if isinstance(given, str) else given

    def _reactions_add(self, arguments: Json) -> Json:
        answer = super()._reactions_add(arguments)
        item = {"type": "message", "channel": CHANNEL_ID, "ts": arguments["timestamp"]}
        event = {"type": "reaction_added", "user": BOT_USER_ID, "reaction": arguments["name"], "item": item}
        self._emit({**event, "item_user": ALICE, "ts": self._next_ts()}, times=1)
        return answer
