"""Everything else Slack sends: acknowledged, and each unknown kind logged once.

An event without a listener would stay unacknowledged and be delivered again; unknown input is survived.
"""

from __future__ import annotations

import re
from typing import Any

import structlog
from slack_bolt.async_app import AsyncAck, AsyncApp

log = structlog.get_logger()


def register(app: AsyncApp) -> None:
    """Must come after all other listeners: Bolt takes the first that matches."""
    seen: set[str] = set()

    def note(kind: str, name: object) -> None:
        word = f"{kind}:{str(name)[:60]}"
        if word not in seen and len(seen) < 1_000:
            seen.add(word)
            log.info("unhandled_input", kind=kind, name=str(name)[:60])

    async def other_event(event: dict[str, Any]) -> None:
        note("event", event.get("type"))

    async def other_request(ack: AsyncAck, body: dict[str, Any]) -> None:
        note("request", body.get("type") or body.get("command"))
        await ack()

    anything = re.compile(".*", re.DOTALL)
    app.event(anything)(other_event)
    app.command(anything)(other_request)
    app.shortcut(anything)(other_request)
    app.view(anything)(other_request)
    app.view_closed(anything)(other_request)
    app.options(anything)(other_request)
    # Buttons of an age before blocks, and dialogs: none is ours, whatever it calls itself.
    app.action(anything)(other_request)
