"""Buttons. The thread the button stands in says which session is meant; its value is not trusted.

Payload: https://docs.slack.dev/reference/interaction-payloads/block_actions-payload/
"""

from __future__ import annotations

import re
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from slackbot.command_desk import CommandDesk
from slackbot.core.errors import DevflowError, TemporaryError
from slackbot.front_desk import FrontDesk
from slackbot.listeners.faults import view_of
from slackbot.listeners.told import Told
from slackbot.views import action_ids

VERBS = {
    action_ids.SESSION_STOP: "stop",
    action_ids.SESSION_RETRY: "retry",
    action_ids.SESSION_EXTEND: "extend",
    action_ids.SPENDING_EXTEND: "raise_limit",
    action_ids.SESSION_EDITOR: "editor",
    action_ids.PROMPT_CANCEL: "cancel",
    action_ids.PROMPT_NOW: "now",
    action_ids.SESSION_UNDO: "undo",
}
OF_ONE_PROMPT = (action_ids.PROMPT_CANCEL, action_ids.PROMPT_NOW, action_ids.SESSION_UNDO)
"""Their value names the turn that is meant; the engine looks whether there is such a turn."""


def register(app: AsyncApp, desk: FrontDesk, commands: CommandDesk, told: Told) -> None:
    """Binds the session's buttons, and a quiet acknowledgement for every other one (links, old versions)."""

    async def session_button(ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        press = _Press(body, action)
        if not press.is_whole:
            await ack()
            return
        verb = VERBS[press.action_id]
        try:
            view = await desk.press(
                verb,
                press.user_id,
                press.channel_id,
                press.thread_ts,
                press.press_id,
                press.message_ts,
                press.value if press.action_id in OF_ONE_PROMPT else "",
            )
        except TemporaryError:
            # Nothing was stored: without an acknowledgement Slack shows the person that the button failed.
            raise
        except DevflowError as error:
            view = view_of(error, where="button", language=await desk.language(press.user_id))
        await ack()
        if view is not None:
            told.tell(view, channel_id=press.channel_id, user_id=press.user_id, thread_ts=press.thread_ts)

    async def forget(ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        press = _Press(body, action)
        await ack()
        if not (press.user_id and press.channel_id):
            return
        try:
            view = await commands.forget(press.user_id, press.channel_id, _text(action.get("value")))
        except DevflowError as error:
            view = view_of(error, where="button", language=await desk.language(press.user_id))
        thread_ts = press.thread_ts if press.thread_ts != press.message_ts else None
        told.tell(view, channel_id=press.channel_id, user_id=press.user_id, thread_ts=thread_ts)

    async def other_button(ack: AsyncAck) -> None:
        await ack()

    for action_id in VERBS:
        app.action(action_id)(session_button)
    app.action(action_ids.SESSION_FORGET)(forget)
    app.action(re.compile(".*"))(other_button)


class _Press:
    """What a block_actions payload says, with every field checked for being there and being text."""

    def __init__(self, body: dict[str, Any], action: dict[str, Any]) -> None:
        message = _map(body.get("message"))
        container = _map(body.get("container"))
        self.action_id = _text(action.get("action_id"))
        self.value = _text(action.get("value"))
        self.user_id = _text(_map(body.get("user")).get("id"))
        self.channel_id = _text(_map(body.get("channel")).get("id")) or _text(container.get("channel_id"))
        self.message_ts = _text(message.get("ts")) or _text(container.get("message_ts"))
        self.thread_ts = _text(message.get("thread_ts")) or _text(container.get("thread_ts")) or self.message_ts
        self.press_id = f"{self.channel_id}:{_text(action.get('action_ts')) or _text(body.get('trigger_id'))}"

    @property
    def is_whole(self) -> bool:
        return bool(self.action_id in VERBS and self.user_id and self.channel_id and self.thread_ts)


def _map(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
