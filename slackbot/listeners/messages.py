"""Messages in threads: a prompt, a `!` word, words between people; and what became of them (edited, deleted).

Events: https://docs.slack.dev/reference/events/message/ - with `process_before_response` the envelope is
acknowledged when the listener returns, so whatever it raises makes Slack deliver the event again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp

from slackbot.address_desk import AddressDesk
from slackbot.channel_watch import ChannelWatch
from slackbot.core.attachments import attached_of
from slackbot.core.errors import DevflowError, NotAdmitted, TemporaryError
from slackbot.front_desk import FrontDesk, Reply
from slackbot.listeners.faults import view_of
from slackbot.listeners.told import Told
from slackbot.views.view import View

log = structlog.get_logger()

_SPOKEN = (None, "thread_broadcast", "file_share")
"""Subtypes in which a person says something. All others are Slack's own news."""


Bind = Callable[[str, Callable[[dict[str, Any], dict[str, Any]], Awaitable[None]]], None]
"""Binds a listener to a type of event, whatever its subtype; it gets the event, and a context with `bot_user_id`."""


def register(app: AsyncApp, bind: Bind, desk: FrontDesk, told: Told, watch: ChannelWatch, address: AddressDesk) -> None:
    """Binds one listener to the event `message`, every subtype of it, and one to `app_mention`."""

    async def message(event: dict[str, Any], context: dict[str, Any]) -> None:
        subtype = event.get("subtype")
        if subtype == "message_changed":
            await _changed(event, desk, told, watch, address)
        elif subtype == "message_deleted":
            await _deleted(event, context, desk, watch)
        elif subtype in _SPOKEN and not event.get("bot_id"):
            await _spoken(event, context, desk, told, address)

    async def app_mention(event: dict[str, Any], context: dict[str, Any]) -> None:
        # In direct messages every message is meant for the bot, and comes as `message`. An edited mention comes as
        # `message_changed` too, which says what it was before. https://github.com/slackapi/bolt-js/issues/960
        is_direct = str(event.get("channel") or "").startswith("D")
        if not event.get("bot_id") and not event.get("edited") and not is_direct:
            reply = _reply(event, event.get("channel"), context.get("bot_user_id"), roots=True)
            if reply is not None:
                await hear(reply, desk, told, take=address.addressed)

    bind("message", message)
    app.event("app_mention")(app_mention)


async def _spoken(
    event: dict[str, Any], context: dict[str, Any], desk: FrontDesk, told: Told, address: AddressDesk
) -> None:
    is_direct = event.get("channel_type") == "im" or str(event.get("channel") or "").startswith("D")
    reply = _reply(event, event.get("channel"), context.get("bot_user_id"), roots=is_direct)
    if reply is not None:
        await hear(reply, desk, told, take=address.addressed if is_direct else None)


async def hear(
    reply: Reply,
    desk: FrontDesk,
    told: Told,
    *,
    late: bool = False,
    take: Callable[[Reply], Awaitable[View | None]] | None = None,
) -> None:
    """Takes a reply, and tells its author alone what is to be told. `late`: found when the thread was read again.

    `take` is what takes it, where that is not the front desk.
    """
    try:
        view = await (take or desk.reply)(reply)
    except TemporaryError:
        raise
    except DevflowError as error:
        if late and isinstance(error, NotAdmitted):
            # Said when it was written, or not worth saying any more.
            return
        told.tell_once(
            view_of(error, where="reply", language=await desk.language(reply.user_id)),
            channel_id=reply.channel_id,
            user_id=reply.user_id,
            thread_ts=_thread_of(reply),
            # Who is not let in hears so once; a prompt that was not taken is never passed over in silence.
            about="" if isinstance(error, NotAdmitted) else reply.message_ts,
        )
        return
    if view is not None:
        told.tell(view, channel_id=reply.channel_id, user_id=reply.user_id, thread_ts=_thread_of(reply))


async def _changed(
    event: dict[str, Any], desk: FrontDesk, told: Told, watch: ChannelWatch, address: AddressDesk
) -> None:
    message, previous = event.get("message"), event.get("previous_message")
    if not isinstance(message, dict) or message.get("bot_id"):
        return
    if isinstance(previous, dict) and previous.get("text") == message.get("text"):
        # Slack unfurled a link, or counted a reply: nobody said anything new.
        return
    is_deleted = message.get("subtype") == "tombstone"
    channel_id, ts = event.get("channel"), message.get("ts")
    if is_deleted and message.get("thread_ts") in (None, ts) and isinstance(channel_id, str) and isinstance(ts, str):
        # A first message with replies below it leaves a stone in its place.
        await _quietly(watch.root_deleted(desk.session_id_of(channel_id, ts)))
        return
    # The prompt of a session may stand at the root of its thread: where somebody mentioned DevFlow.
    reply = _reply(message, channel_id, None, roots=True)
    if reply is None:
        return
    was = _reply(previous, channel_id, None, roots=True) if isinstance(previous, dict) else None
    if is_deleted:
        await _quietly(desk.deleted(reply.channel_id, reply.thread_ts, reply.message_ts, was))
    elif desk.mention_is_new(reply, was):
        await hear(reply, desk, told, take=lambda reply: address.edited(reply, was))
    else:
        await _quietly(desk.edited(reply, was))


async def _deleted(event: dict[str, Any], context: dict[str, Any], desk: FrontDesk, watch: ChannelWatch) -> None:
    previous = event.get("previous_message")
    channel_id, deleted_ts = event.get("channel"), event.get("deleted_ts")
    if not isinstance(previous, dict) or not isinstance(channel_id, str) or not isinstance(deleted_ts, str):
        return
    thread_ts = previous.get("thread_ts")
    if isinstance(thread_ts, str) and thread_ts != deleted_ts:
        if previous.get("user") == context.get("bot_user_id"):
            return  # its own words in the thread come and go
        was = _reply(previous, channel_id, None)
        await _quietly(desk.deleted(channel_id, thread_ts, deleted_ts, was))
    elif _is_ts(deleted_ts):
        await _quietly(watch.root_deleted(desk.session_id_of(channel_id, deleted_ts)))


async def _quietly(work: Any) -> None:
    """An edit that comes too late changes nothing, and nobody waits for an answer to it."""
    try:
        await work
    except TemporaryError:
        raise
    except DevflowError as error:
        log.info("edit_ignored", why=error.summary)


def _thread_of(reply: Reply) -> str | None:
    """Where a word to its author belongs: the thread, or beside a message that has none below it yet."""
    return reply.thread_ts if reply.thread_ts != reply.message_ts else None


def _reply(message: dict[str, Any], channel_id: object, bot_user_id: object, *, roots: bool = False) -> Reply | None:
    """The reply an event tells of; None for whatever lacks a field or has it in another type.

    A message that is in no thread is taken only where `roots` says so; it is the root of its own.
    """
    user_id, ts, thread_ts = message.get("user"), message.get("ts"), message.get("thread_ts")
    text = message.get("text")
    if not (isinstance(channel_id, str) and isinstance(user_id, str) and isinstance(ts, str)):
        return None
    if roots and thread_ts is None:
        thread_ts = ts
    if not isinstance(thread_ts, str) or not _is_ts(ts) or not _is_ts(thread_ts):
        return None
    if thread_ts == ts and not roots:
        return None
    parent = message.get("parent_user_id")
    ours = parent == bot_user_id if isinstance(parent, str) and isinstance(bot_user_id, str) else None
    return Reply(
        channel_id=channel_id,
        thread_ts=thread_ts,
        message_ts=ts,
        user_id=user_id,
        text=text if isinstance(text, str) else "",
        root_is_ours=ours,
        files=attached_of(message.get("files")),
    )


def _is_ts(value: str) -> bool:
    seconds, _, fraction = value.partition(".")
    return seconds.isascii() and seconds.isdigit() and fraction.isascii() and fraction.isdigit() and len(value) < 40
