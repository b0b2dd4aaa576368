"""`/devflow`: the acknowledgement carries the answer, for the person who typed it alone.

Payload: https://docs.slack.dev/interactivity/implementing-slash-commands/#app_command_handling
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from slackbot.command_desk import CommandDesk
from slackbot.listeners.faults import view_of
from slackbot.listeners.told import Told
from slackbot.views.language import DEFAULT
from slackbot.views.replies import starting_slowly
from slackbot.views.view import View

ACK_SECONDS = 2.5
"""Slack shows an error after 3 s; a start that takes longer goes on, and the person is told what to expect."""


def register(app: AsyncApp, desk: CommandDesk, told: Told) -> None:
    """Binds the one slash command of manifest.yml."""

    async def devflow(ack: AsyncAck, command: dict[str, Any]) -> None:
        user_id, channel_id = str(command.get("user_id") or ""), str(command.get("channel_id") or "")
        trigger_id = str(command.get("trigger_id") or "")
        text = str(command.get("text") or "")
        reading = asyncio.create_task(desk.language(user_id))
        answering = asyncio.create_task(_answer(desk, user_id, channel_id, text, trigger_id))
        try:
            await asyncio.wait((answering,), timeout=ACK_SECONDS if desk.is_start(text) else None)
        except asyncio.CancelledError:
            answering.cancel()
            raise
        finally:
            # Asked beside, as there is no time left to ask when it is needed.
            language = reading.result() if reading.done() and not reading.cancelled() else DEFAULT
            reading.cancel()
        if answering.done():
            view = answering.result()
        else:
            view = starting_slowly(language=language)
            told.tell_later(answering, channel_id=channel_id, user_id=user_id)
        if view is None:
            await ack()
        else:
            await ack(text=view.text, blocks=view.blocks, response_type="ephemeral")

    app.command("/devflow")(devflow)


def command_id(channel_id: str, trigger_id: str, text: str) -> str:
    """The name of this very command: delivered again it is the same one, and another one has another name.

    Only Slack itself is known to give each command a trigger of its own; without one nothing is taken for a repetition.
    """
    if not trigger_id:
        return f"{channel_id}:{uuid.uuid4().hex}"
    return f"{channel_id}:{trigger_id}:{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:8]}"


async def _answer(desk: CommandDesk, user_id: str, channel_id: str, text: str, trigger_id: str) -> View | None:
    try:
        return await desk.command(user_id, channel_id, text, command_id(channel_id, trigger_id, text), trigger_id)
    except Exception as error:
        return view_of(error, where="command", language=await desk.language(user_id))
