"""A Slack stand-in and a real Bolt app on it, for tests: both on loopback, both closed at the end.

Tests say what the app listens to; the wire between is the real one.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from slackbot.sandbox.slack import SlackStandIn

BOT_TOKEN = "xoxb-of-a-test"
APP_TOKEN = "xapp-of-a-test"
COMMANDS = [{"command": "/devflow", "usage_hint": "start owner/repo PROMPT", "description": "Starts a session"}]
SHORTCUTS = [
    {"callback_id": "stop_session", "name": "Stop here", "type": "message"},
    {"callback_id": "new_session", "name": "New session", "type": "global"},
]


@asynccontextmanager
async def running_stand_in(state_path: Path, **options: Any) -> AsyncIterator[SlackStandIn]:
    """A started stand-in; `options` go to its constructor."""
    options = {"commands": COMMANDS, "shortcuts": SHORTCUTS, **options}
    stand_in = SlackStandIn(state_path, bot_token=BOT_TOKEN, app_token=APP_TOKEN, **options)
    await stand_in.start()
    try:
        yield stand_in
    finally:
        await stand_in.stop()


@asynccontextmanager
async def web_client(stand_in: SlackStandIn, token: str = BOT_TOKEN) -> AsyncIterator[AsyncWebClient]:
    """Slack's own client, with no retries of its own."""
    async with aiohttp.ClientSession() as session:
        yield AsyncWebClient(token=token, base_url=stand_in.api_url, session=session, retry_handlers=[])


class Bot:
    """A Bolt app that keeps what it is sent. Add listeners to `app` before it connects."""

    def __init__(self, client: AsyncWebClient) -> None:
        self.app = AsyncApp(client=client, process_before_response=True, ignoring_self_events_enabled=False)
        self.events: list[dict[str, Any]] = []
        self.headers: list[dict[str, Any]] = []
        self.is_refusing = False

        @self.app.event(re.compile(".*"))
        async def keep(event: dict[str, Any], body: dict[str, Any], request: Any) -> None:
            self.events.append({**event, "_event_id": body["event_id"], "_body": body})
            self.headers.append(dict(request.headers))
            if self.is_refusing:
                raise RuntimeError("this bot does not acknowledge yet")

        @self.app.error
        async def fail(error: Exception) -> None:
            raise error

    def of_type(self, event_type: str, subtype: str | None = None) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == event_type and event.get("subtype") == subtype]


@asynccontextmanager
async def connected_bot(
    stand_in: SlackStandIn, prepare: Callable[[Bot], None] = lambda bot: None, connections: int = 1
) -> AsyncIterator[Bot]:
    """A bot with that many sockets, connected when this is entered."""
    async with web_client(stand_in) as client:
        bot = Bot(client)
        prepare(bot)
        handlers = [AsyncSocketModeHandler(bot.app, APP_TOKEN) for _ in range(connections)]
        before = stand_in.sockets.connection_count
        try:
            for handler in handlers:
                await handler.connect_async()
            await until(lambda: stand_in.sockets.connection_count == before + connections)
            yield bot
        finally:
            for handler in handlers:
                await handler.close_async()


async def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Waits for the thing, never for a time; fails loudly when it does not come."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not (found := condition()):
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError("what was waited for did not come")
        await asyncio.sleep(0.01)
    return found
