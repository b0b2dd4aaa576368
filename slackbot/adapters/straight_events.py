"""The shortest way from an envelope to its listener, for the event that comes most often: messages.

Bolt asks every listener whether it is meant, and makes a request, a Web API client and each argument that a listener
may want: much of what a reply costs before it is acknowledged. Bound here (`app.py`, `listeners.messages`), a
listener gets the event from `socket_intake`; everything else goes through Bolt.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from slackbot.adapters.slack_directory import BotIdentity
from slackbot.core.errors import DevflowError, TemporaryError

log = structlog.get_logger()

Hear = Callable[[dict[str, Any], dict[str, Any]], Awaitable[None]]
"""Takes an event, and what Bolt would call its context: `bot_user_id`."""


class StraightEvents:
    """Listeners by type of event. `identify` tells who the bot is; its own words are passed over, as by Bolt."""

    def __init__(self, identify: Callable[[], Awaitable[BotIdentity]]) -> None:
        self._identify = identify
        self._listeners: dict[str, Hear] = {}

    def bind(self, event_type: str, hear: Hear) -> None:
        """`hear` gets every event of this type, whatever its subtype. What it raises leaves the envelope to Slack."""
        self._listeners[event_type] = hear

    def listener(self, message: dict[str, Any]) -> Hear | None:
        """Who hears what is in this envelope; None: that is Bolt's."""
        if message.get("type") != "events_api" or not self._listeners:
            return None
        payload = message.get("payload")
        if not isinstance(payload, dict) or payload.get("type") != "event_callback":
            return None
        event = payload.get("event")
        event_type = event.get("type") if isinstance(event, dict) else None
        return self._listeners.get(event_type) if isinstance(event_type, str) else None

    async def hear(self, listener: Hear, event: dict[str, Any]) -> bool:
        """Whether the event is done with."""
        try:
            bot = await self._identify()
            if event.get("user") != bot.user_id and (event.get("bot_id") is None or event["bot_id"] != bot.bot_id):
                await listener(event, {"bot_user_id": bot.user_id})
        except TemporaryError as error:
            log.warning("listener_postponed", event_type=event["type"], why=error.summary)
            return False
        except DevflowError as error:
            log.error("listener_failed", event_type=event["type"], why=error.summary, remedy=error.remedy)
            return False
        except Exception:
            log.exception("listener_failed", event_type=event["type"])
            return False
        return True
