"""When an envelope begins: behind what was written before it, whichever socket that came over."""

from __future__ import annotations

import asyncio
from typing import Any

from slack_bolt.async_app import AsyncApp

from slackbot.adapters.slack_directory import BotIdentity
from slackbot.adapters.socket_intake import SocketIntake
from slackbot.adapters.straight_events import StraightEvents


class Socket:
    """Takes acknowledgements."""

    def __init__(self) -> None:
        self.acknowledged: list[str] = []

    async def send_socket_mode_response(self, response: dict[str, str]) -> None:
        self.acknowledged.append(response["envelope_id"])


class Intake:
    """A `SocketIntake` whose messages go to a listener that notes their texts and waits for `may_end`."""

    def __init__(self) -> None:
        self.socket: Any = Socket()
        self.heard: list[str] = []
        self.may_end = asyncio.Event()
        self.may_end.set()
        straight = StraightEvents(self._identify)
        straight.bind("message", self._hear)
        self.intake = SocketIntake(AsyncApp(token="xoxb-1"), self._find_client, straight=straight)

    def receive(self, text: str, ts: str) -> None:
        event = {"type": "message", "user": "U0ADA", "text": text, "ts": ts}
        payload = {"type": "event_callback", "event_id": f"Ev{text}", "event": event}
        self.intake.receive(self.socket, {"type": "events_api", "envelope_id": text, "payload": payload})

    async def _hear(self, event: dict[str, Any], context: dict[str, Any]) -> None:
        self.heard.append(event["text"])
        await self.may_end.wait()

    async def _identify(self) -> BotIdentity:
        return BotIdentity("T0TEAM", "U0BOT", "B0BOT")

    async def _find_client(self, client: Any) -> Any:
        return client


async def test_what_came_together_begins_as_it_was_written() -> None:
    """Whichever socket was read first."""
    together = Intake()
    together.receive("third", "1790000000.000003")
    together.receive("second", "1790000000.000002")
    together.receive("first", "1790000000.000001")
    assert await together.intake.drain(60) == 0
    assert together.heard == together.socket.acknowledged == ["first", "second", "third"]


async def test_what_comes_while_another_is_worked_on_takes_its_turn_among_those_that_came_with_it() -> None:
    crowd = Intake()
    crowd.may_end.clear()
    crowd.receive("slow", "1790000000.000009")
    while not crowd.heard:
        await asyncio.sleep(0)
    crowd.receive("second", "1790000000.000002")
    crowd.receive("first", "1790000000.000001")
    while len(crowd.heard) < 3:
        await asyncio.sleep(0)
    assert crowd.heard == ["slow", "first", "second"]
    crowd.may_end.set()
    assert await crowd.intake.drain(60) == 0
