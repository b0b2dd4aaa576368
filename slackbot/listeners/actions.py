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
from slackbot.listeners.payloads import Press, text_of
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
        press = Press(body, action)
        if not (press.user_id and press.channel_id and press.thread_ts):
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
        press = Press(body, action)
        await ack()
        if not (press.user_id and press.channel_id):
            return
        try:
            view = await commands.forget(press.user_id, press.channel_id, text_of(action.get("value")))
        except DevflowError as error:
            view = view_of(error, where="button", language=await desk.language(press.user_id))
        thread_ts = press.thread_ts if press.thread_ts != press.message_ts else None
        told.tell(view, channel_id=press.channel_id, user_id=press.user_id, thread_ts=thread_ts)

    async def other_button(ack: AsyncAck) -> None:
        await ack()

    for action_id in VERBS:
        app.block_action(action_id)(session_button)
    app.block_action(action_ids.SESSION_FORGET)(forget)
    app.block_action(re.compile(".*"))(other_button)
