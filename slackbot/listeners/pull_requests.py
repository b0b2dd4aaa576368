"""Buttons and forms about the pull request. The thread they belong to says which session is meant.

Payloads: https://docs.slack.dev/reference/interaction-payloads
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from slack_bolt.async_app import AsyncAck, AsyncApp

from slackbot.core.errors import DevflowError, TemporaryError
from slackbot.listeners.faults import view_of
from slackbot.listeners.payloads import Press, map_of, text_of
from slackbot.listeners.told import Told
from slackbot.pull_request_desk import PullRequestDesk
from slackbot.views import action_ids
from slackbot.views import pull_request_form as form
from slackbot.views.language import translated
from slackbot.views.view import View

log = structlog.get_logger()

_ACTIONS = {action_id: action for action, action_id in action_ids.PULL_REQUEST_ACTS.items()}


def register(app: AsyncApp, desk: PullRequestDesk, told: Told) -> None:
    """Binds the buttons of answer and card, the forms and their type-ahead."""

    async def pressed(ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        press = Press(body, action)
        user_id, place = press.user_id, _place(press)
        if place is None or not user_id:
            await ack()
            return
        view: View | None = None
        try:
            if press.action_id == action_ids.SESSION_OPEN_PR:
                view = await desk.open(user_id, place, press.press_id, press.trigger_id)
            elif press.action_id == action_ids.PULL_REQUEST_MERGE:
                await desk.merge(user_id, place, press.trigger_id)
            else:
                view = await desk.act(_ACTIONS[press.action_id], user_id, place, press.press_id)
        except TemporaryError:
            # Nothing was stored: without an acknowledgement Slack shows the person that the button failed.
            raise
        except DevflowError as error:
            view = view_of(error, where="button", language=await desk.language(user_id))
        await ack()
        if view is not None:
            told.tell(view, channel_id=place.channel_id, user_id=user_id, thread_ts=place.thread_ts)

    async def open_submitted(ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        user_id, place = text_of(map_of(body.get("user")).get("id")), form.place_of(view)
        if place is None or not user_id:
            await ack()
            return
        request_id = f"form:{text_of(view.get('id'))}"
        try:
            errors = await desk.submit(user_id, place, request_id, form.fields_of(view))
        except TemporaryError:
            raise
        except DevflowError as error:
            # The form stays, with what was typed.
            errors = {form.TITLE: _sentence(error, await desk.language(user_id))}
            log.info("refused", where="form", why=error.summary)
        await (ack(response_action="errors", errors=errors) if errors else ack())

    async def merge_submitted(ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        user_id, place = text_of(map_of(body.get("user")).get("id")), form.place_of(view)
        if place is None or not user_id:
            await ack()
            return
        request_id, method = f"form:{text_of(view.get('id'))}", form.method_of(view)
        try:
            await desk.act("merge", user_id, place, request_id, method=method or None)
        except TemporaryError:
            raise
        except DevflowError as error:
            log.info("refused", where="form", why=error.summary)
            told_in = await desk.language(user_id)
            await ack(response_action="errors", errors={form.METHOD: _sentence(error, told_in)})
            return
        await ack()

    async def branches(ack: AsyncAck, body: dict[str, Any]) -> None:
        await _offered(ack, body, desk.branches)

    async def reviewers(ack: AsyncAck, body: dict[str, Any]) -> None:
        await _offered(ack, body, desk.reviewers)

    for action_id in (action_ids.SESSION_OPEN_PR, action_ids.PULL_REQUEST_MERGE, *_ACTIONS):
        app.block_action(action_id)(pressed)
    app.view(form.OPEN_CALLBACK)(open_submitted)
    app.view(form.MERGE_CALLBACK)(merge_submitted)
    app.block_suggestion(form.BASE)(branches)
    app.block_suggestion(form.REVIEWERS)(reviewers)


def _sentence(error: DevflowError, language: str) -> str:
    """What went wrong, for the small line under a field of a form."""
    return f"{translated(language, error.summary)} {translated(language, error.remedy)}".strip()


async def _offered(
    ack: AsyncAck, body: dict[str, Any], find: Callable[[str, form.Place, str], Awaitable[list[str]]]
) -> None:
    """What begins as typed; nothing where it cannot be found out, for a list has no room for a sentence."""
    user_id, place = text_of(map_of(body.get("user")).get("id")), form.place_of(map_of(body.get("view")))
    names: list[str] = []
    if place is not None and user_id:
        try:
            names = await find(user_id, place, text_of(body.get("value")))
        except DevflowError as error:
            log.info("nothing_offered", why=error.summary)
    await ack(options=form.options(names))


def _place(press: Press) -> form.Place | None:
    """The thread of the message whose button was pressed."""
    return form.Place(press.channel_id, press.thread_ts) if press.channel_id and press.thread_ts else None
