"""What interactive payloads say, with every field checked for being there and being text.

https://docs.slack.dev/reference/interaction-payloads
"""

from __future__ import annotations

import uuid
from typing import Any


class Press:
    """A block_actions payload: which element, by whom, and where it stands; "" for what is missing."""

    def __init__(self, body: dict[str, Any], action: dict[str, Any]) -> None:
        message = map_of(body.get("message"))
        container = map_of(body.get("container"))
        self.action_id = text_of(action.get("action_id"))
        self.value = text_of(action.get("value"))
        self.user_id = text_of(map_of(body.get("user")).get("id"))
        self.channel_id = text_of(map_of(body.get("channel")).get("id")) or text_of(container.get("channel_id"))
        self.message_ts = text_of(message.get("ts")) or text_of(container.get("message_ts"))
        self.thread_ts = text_of(message.get("thread_ts")) or text_of(container.get("thread_ts")) or self.message_ts
        self.trigger_id = text_of(body.get("trigger_id"))
        # Delivered again it is the same press; what names none is taken for no repetition of another.
        trigger = f"{self.trigger_id}:{self.action_id}" if self.trigger_id else uuid.uuid4().hex
        self.press_id = f"{self.channel_id or self.user_id}:{text_of(action.get('action_ts')) or trigger}"


def map_of(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def text_of(value: object) -> str:
    return value if isinstance(value, str) else ""
