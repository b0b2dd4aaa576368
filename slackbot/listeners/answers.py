"""Buttons of answers and of what the agent asks, and the pages of an open diff.

Payload: https://docs.slack.dev/reference/interaction-payloads/block_actions-payload/
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from slack_bolt.async_app import AsyncAck, AsyncApp

from slackbot.answer_desk import AnswerDesk, AnswerPress
from slackbot.core.errors import DevflowError, TemporaryError
from slackbot.listeners.faults import view_of
from slackbot.listeners.payloads import Press, map_of, text_of
from slackbot.listeners.told import Told
from slackbot.views import action_ids
from slackbot.views.view import View

log = structlog.get_logger()

Handle = Callable[[AnswerPress, str], Awaitable[View | None]]


def register(app: AsyncApp, desk: AnswerDesk, told: Told) -> None:
    """Must come before the listener that takes every other button."""

    def on(action_id: str | re.Pattern[str], handle: Handle) -> None:
        async def pressed(ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
            press = Press(body, action)
            view = None
            if press.user_id and press.channel_id and press.thread_ts:
                try:
                    view = await handle(_answer_press(press), press.value)
                except TemporaryError:
                    # Nothing was stored or shown: without an acknowledgement Slack says that the button failed.
                    raise
                except DevflowError as error:
                    view = view_of(error, where="button", language=await desk.language(press.user_id))
            await ack()
            if view is not None:
                told.tell(view, channel_id=press.channel_id, user_id=press.user_id, thread_ts=press.thread_ts)

        app.block_action(action_id)(pressed)

    async def turned(ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        press, view = Press(body, action), map_of(body.get("view"))
        view_id, metadata = text_of(view.get("id")), text_of(view.get("private_metadata"))
        if press.user_id and view_id:
            try:
                await desk.turn_page(press.user_id, view_id, metadata, press.value)
            except TemporaryError:
                raise
            except DevflowError as error:
                # A form has no place for a private word; it stays as it is.
                log.info("page_not_turned", why=error.summary)
        await ack()

    numbered = re.compile(rf"{action_ids.PERMISSION_PREFIX}\d+")
    on(numbered, desk.answer_permission)
    on(action_ids.ANSWER_DIFF, desk.open_diff)
    on(action_ids.ANSWER_STEPS, desk.open_steps)
    app.block_action(re.compile(rf"{action_ids.DIFF_PAGE_PREFIX}\w+"))(turned)


def _answer_press(press: Press) -> AnswerPress:
    return AnswerPress(
        user_id=press.user_id,
        channel_id=press.channel_id,
        thread_ts=press.thread_ts,
        message_ts=press.message_ts,
        press_id=press.press_id,
        trigger_id=press.trigger_id,
    )
