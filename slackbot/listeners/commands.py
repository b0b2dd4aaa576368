"""`/devflow`: the acknowledgement carries the answer, for the person who typed it alone.

Payload: https://docs.slack.dev/interactivity/implementing-slash-commands/#app_command_handling
"""

from __future__ import annotations

from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from slackbot.front_desk import FrontDesk
from slackbot.listeners.faults import view_of


def register(app: AsyncApp, desk: FrontDesk) -> None:
    """Binds the one slash command of manifest.yml."""

    async def devflow(ack: AsyncAck, command: dict[str, Any]) -> None:
        user_id, channel_id = str(command.get("user_id") or ""), str(command.get("channel_id") or "")
        press_id = f"{channel_id}:{command.get('trigger_id') or ''}"
        try:
            view = await desk.command(user_id, channel_id, str(command.get("text") or ""), press_id)
        except Exception as error:
            view = view_of(error, where="command")
        if view is None:
            await ack()
        else:
            await ack(text=view.text, blocks=view.blocks, response_type="ephemeral")

    app.command("/devflow")(devflow)
