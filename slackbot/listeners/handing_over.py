"""The list of people under "Hand over to whom?". The block's id names the session.

Payload: https://docs.slack.dev/reference/interaction-payloads/block_actions-payload/
"""

from __future__ import annotations

from typing import Any

import structlog
from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond

from slackbot.command_desk import CommandDesk
from slackbot.core.errors import DevflowError, TemporaryError
from slackbot.listeners.faults import view_of
from slackbot.listeners.payloads import Press, text_of
from slackbot.views import action_ids

log = structlog.get_logger()


def register(app: AsyncApp, desk: CommandDesk) -> None:
    """Binds the one list; what is told takes its place."""

    async def chosen(ack: AsyncAck, body: dict[str, Any], action: dict[str, Any], respond: AsyncRespond) -> None:
        press = Press(body, action)
        session_id = text_of(action.get("block_id")).partition(":")[2]
        to_user_id = text_of(action.get("selected_user"))
        try:
            view = await desk.hand_over(press.user_id, press.channel_id, session_id, to_user_id, press.press_id)
        except TemporaryError:
            raise
        except DevflowError as error:
            view = view_of(error, where="hand_over", language=await desk.language(press.user_id))
        await ack()
        try:
            await respond(text=view.text, blocks=view.blocks, replace_original=True)
        except Exception as error:  # the work is done; only the word about it is lost
            log.info("not_answered", why=str(error)[:200])

    app.block_action(action_ids.HAND_OVER)(chosen)
