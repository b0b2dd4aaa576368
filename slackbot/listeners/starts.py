"""Ways into a session that are no command: the buttons around a start, the form with its type-ahead, the shortcut.

Payloads: https://docs.slack.dev/reference/interaction-payloads. Each listener acknowledges after the durable step.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import structlog
from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond

from slackbot.core.attachments import attached_of
from slackbot.core.errors import DevflowError, Refused, TemporaryError
from slackbot.core.start_ticket import StartTicket, parse_ticket
from slackbot.form_desk import errors_by_block
from slackbot.front_desk import FrontDesk
from slackbot.listeners.faults import view_of
from slackbot.listeners.payloads import Press, map_of, text_of
from slackbot.start_desk import StartDesk
from slackbot.views import action_ids
from slackbot.views.start_form import form_fields, option
from slackbot.views.view import View

log = structlog.get_logger()


def register(app: AsyncApp, desk: FrontDesk, start: StartDesk) -> None:
    """Binds buttons, form, type-ahead and shortcut."""
    form = start.form

    async def told(view: View | None, respond: AsyncRespond, *, replace_original: bool = False) -> None:
        """Answers at the place of the press; works also where the bot is no member."""
        if view is None:
            return
        try:
            await respond(
                text=view.text,
                blocks=view.blocks,
                response_type="ephemeral",
                replace_original=replace_original,
            )
        except Exception as error:  # the work is done; only the word about it is lost
            log.info("not_answered", why=str(error)[:200])

    async def start_press(ack: AsyncAck, body: dict[str, Any], action: dict[str, Any], respond: AsyncRespond) -> None:
        press = Press(body, action)
        begun = False
        try:
            view = await start.press(press.user_id, press.channel_id, _ticket(press.value))
            begun = True
        except TemporaryError:
            raise
        except DevflowError as error:
            view = view_of(error, where="start", language=await desk.language(press.user_id))
        await ack()
        await told(view, respond, replace_original=begun)

    async def start_form(ack: AsyncAck, body: dict[str, Any], action: dict[str, Any], respond: AsyncRespond) -> None:
        press = Press(body, action)
        try:
            ticket = _ticket(press.value or "{}")
            if ticket.replaces is None and press.channel_id:
                # Where the button stands says where, not its value.
                ticket = replace(ticket, channel_id=press.channel_id)
            view = await form.open(press.trigger_id, press.user_id, ticket)
        except TemporaryError:
            raise
        except DevflowError as error:
            view = view_of(error, where="form", language=await desk.language(press.user_id))
        await ack()
        await told(view, respond)

    async def dismiss(ack: AsyncAck, respond: AsyncRespond) -> None:
        await ack()
        try:
            await respond(delete_original=True)
        except Exception as error:  # it goes away by itself when Slack is reloaded
            log.info("not_dismissed", why=str(error)[:200])

    async def submitted(ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        user_id = text_of(map_of(body.get("user")).get("id"))
        try:
            ticket = _ticket(text_of(view.get("private_metadata")) or "{}")
            errors = await form.submit(text_of(view.get("id")), user_id, ticket, form_fields(view))
        except DevflowError as error:
            # Of whatever kind: the form stays, with all that was typed.
            log.info("form_refused", user_id=user_id, why=error.summary)
            errors = errors_by_block(error, await desk.language(user_id))
        await (ack(response_action="errors", errors=errors) if errors else ack())

    async def repository_chosen(ack: AsyncAck, body: dict[str, Any]) -> None:
        view = map_of(body.get("view"))
        await ack()
        try:
            await form.repository_chosen(view, _ticket(text_of(view.get("private_metadata"))))
        except DevflowError as error:
            log.info("repository_not_noted", why=error.summary)

    async def repositories(ack: AsyncAck, body: dict[str, Any]) -> None:
        await _offer(ack, lambda: form.repositories(_user(body), text_of(body.get("value"))))

    async def branches(ack: AsyncAck, body: dict[str, Any]) -> None:
        # Slack does not tell here what stands in the form: https://github.com/slackapi/bolt-js/issues/1146
        view = map_of(body.get("view"))
        ticket = parse_ticket(text_of(view.get("private_metadata")))
        chosen = (ticket.repository if ticket is not None else None) or form_fields(view).repository
        await _offer(ack, lambda: form.branches(_user(body), chosen, text_of(body.get("value"))))

    async def work_on_this(ack: AsyncAck, body: dict[str, Any], respond: AsyncRespond) -> None:
        message = map_of(body.get("message"))
        user_id, channel_id = _user(body), text_of(map_of(body.get("channel")).get("id"))
        message_ts = text_of(message.get("ts")) or text_of(body.get("message_ts"))
        thread_ts = text_of(message.get("thread_ts")) or message_ts
        try:
            view = await form.work_on(
                text_of(body.get("trigger_id")),
                user_id,
                channel_id,
                message_ts,
                thread_ts,
                text_of(message.get("text")),
                attached_of(message.get("files")),
            )
        except TemporaryError:
            raise
        except DevflowError as error:
            view = view_of(error, where="shortcut", language=await desk.language(user_id))
        await ack()
        await told(view, respond)

    app.block_action(re.compile(f"^{action_ids.START_PRESS}[0-9]+$"))(start_press)
    app.block_action(action_ids.START_FORM)(start_form)
    app.block_action(action_ids.START_DISMISS)(dismiss)
    app.block_action(action_ids.FORM_REPOSITORY)(repository_chosen)
    app.block_suggestion(action_ids.FORM_REPOSITORY)(repositories)
    app.block_suggestion(action_ids.FORM_BASE)(branches)
    app.view(action_ids.START_FORM_CALLBACK)(submitted)
    app.shortcut(action_ids.WORK_ON_THIS)(work_on_this)


async def _offer(ack: AsyncAck, find: Any) -> None:
    """What matches; nothing where it cannot be found out, for nobody can be told why in a menu."""
    try:
        found = await find()
    except DevflowError as error:
        log.info("options_not_found", why=error.summary)
        found = []
    await ack(options=[option(name) for name in found])


def _ticket(text: str) -> StartTicket:
    ticket = parse_ticket(text)
    if ticket is None:
        raise Refused("This button or form is too old, so nothing was started.", "Begin again with `/devflow`.")
    return ticket


def _user(body: dict[str, Any]) -> str:
    return text_of(map_of(body.get("user")).get("id"))
