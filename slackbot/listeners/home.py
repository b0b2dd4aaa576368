"""Home opened, its buttons, and the list's button for more.

Events: https://docs.slack.dev/reference/events/app_home_opened
"""

from __future__ import annotations

import re
from typing import Any

import structlog
from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond

from slackbot.command_desk import CommandDesk
from slackbot.core.errors import DevflowError, TemporaryError
from slackbot.home_desk import HomeDesk
from slackbot.listeners.faults import view_of
from slackbot.listeners.payloads import Press
from slackbot.views import action_ids

log = structlog.get_logger()

VERBS = {action_ids.HOME_STOP: "stop", action_ids.HOME_RETRY: "retry"}


def register(app: AsyncApp, desk: CommandDesk, home: HomeDesk) -> None:
    """Binds Home and the list."""

    async def app_home_opened(event: dict[str, Any]) -> None:
        user_id = event.get("user")
        if event.get("tab") in (None, "home") and isinstance(user_id, str):
            await _quietly(home.opened(user_id))

    async def pressed(ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        press = Press(body, action)
        # An unfinished wish stays unacknowledged, so that the person sees that the button failed.
        await home.press(VERBS[press.action_id], press.user_id, press.value, press.press_id)
        await ack()

    async def older(ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        press = Press(body, action)
        await _quietly(home.opened(press.user_id, cursor=press.value or None))
        await ack()

    async def list_page(ack: AsyncAck, body: dict[str, Any], action: dict[str, Any], respond: AsyncRespond) -> None:
        press = Press(body, action)
        try:
            view = await desk.list_page(press.user_id, press.value or None)
        except TemporaryError:
            raise
        except DevflowError as error:
            view = view_of(error, where="list", language=await desk.language(press.user_id))
        await ack()
        await respond(text=view.text, blocks=view.blocks, response_type="ephemeral", replace_original=True)

    app.event("app_home_opened")(app_home_opened)
    for action_id in VERBS:
        app.block_action(action_id)(pressed)
    app.block_action(re.compile(f"^{action_ids.HOME_OLDER}(_0)?$"))(older)
    app.block_action(action_ids.LIST_PAGE)(list_page)


async def _quietly(work: Any) -> None:
    """A Home that cannot be drawn now is drawn when it is opened again."""
    try:
        await work
    except DevflowError as error:
        log.info("home_not_drawn", why=error.summary)
