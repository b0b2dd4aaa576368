"""The button under words that were taken for talk between people: "Ask DevFlow".

Payload: https://docs.slack.dev/reference/interaction-payloads/block_actions-payload/
"""

from __future__ import annotations

from typing import Any

import structlog
from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond

from slackbot.core.errors import DevflowError, TemporaryError
from slackbot.front_desk import FrontDesk
from slackbot.listen_desk import ListenDesk
from slackbot.listeners.faults import view_of
from slackbot.listeners.payloads import Press
from slackbot.views import action_ids

log = structlog.get_logger()


def register(app: AsyncApp, desk: FrontDesk, listen: ListenDesk) -> None:
    """Binds the one button. What it stood under is taken away once it did its work."""

    async def ask(ack: AsyncAck, body: dict[str, Any], action: dict[str, Any], respond: AsyncRespond) -> None:
        press = Press(body, action)
        try:
            view = await listen.ask(press.user_id, press.channel_id, press.value)
        except TemporaryError:
            raise
        except DevflowError as error:
            view = view_of(error, where="ask", language=await desk.language(press.user_id))
        await ack()
        try:
            if view is None:
                await respond(delete_original=True)
            else:
                await respond(text=view.text, blocks=view.blocks, replace_original=True)
        except Exception as error:  # the work is done; only the word about it is lost
            log.info("not_answered", why=str(error)[:200])

    app.block_action(action_ids.PROMPT_ASK)(ask)
