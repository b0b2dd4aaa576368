"""chat.*, reactions.* and assistant.threads.*: what the app says.

Called by `web_api.py` with checked arguments; ends in `conversation.py`.
https://docs.slack.dev/reference/methods
"""

from __future__ import annotations

from typing import Any

from slackbot.sandbox.slack import shapes
from slackbot.sandbox.slack.faults import SlackError
from slackbot.sandbox.slack.message_rules import UPDATE_TEXT_CHARACTERS, checked_body, checked_metadata
from slackbot.sandbox.slack.store import Document
from slackbot.sandbox.slack.web_api import Answer, Arguments, Method, Rooms

LOADING_MESSAGES = 10

_CONTENT = {
    "text": "str",
    "blocks": "json",
    "attachments": "json",
    "markdown_text": "str",
    "as_user": "bool",
    "link_names": "bool",
    "parse": "str",
}
_IDENTITY = {"username": "str", "icon_emoji": "str", "icon_url": "str"}


def writable_channel(rooms: Rooms, channel_id: str) -> Document:
    """Where the app may post: a channel it is in, a public one with chat:write.public, a person's DM."""
    workspace = rooms.workspace
    if channel_id.startswith(("U", "W")):
        user = workspace.find_user(channel_id)
        if user is None or user["id"] == workspace.app.bot_user_id:
            raise SlackError("channel_not_found")
        channel_id = workspace.add_dm(channel_id)
    channel = workspace.channel(channel_id)
    if channel["is_archived"]:
        raise SlackError("is_archived")
    may_post_anywhere = workspace.app.scopes is not None and "chat:write.public" in workspace.app.scopes
    if not workspace.is_bot_in(channel) and not may_post_anywhere:
        raise SlackError("not_in_channel")
    return channel


def _post_message(rooms: Rooms, arguments: Arguments) -> Answer:
    channel = writable_channel(rooms, arguments["channel"])
    body = checked_body(arguments)
    message = rooms.conversation.post_as_app(
        channel,
        text=body["text"] or "",
        blocks=body["blocks"],
        attachments=body["attachments"],
        metadata=checked_metadata(arguments.get("metadata")),
        thread_ts=arguments.get("thread_ts"),
        broadcast=arguments.get("reply_broadcast", False),
        username=arguments.get("username"),
    )
    shape = shapes.api_message(rooms.workspace, channel["id"], message, include_metadata=True)
    return {"channel": channel["id"], "ts": message["ts"], "message": shape}


def _post_ephemeral(rooms: Rooms, arguments: Arguments) -> Answer:
    channel = writable_channel(rooms, arguments["channel"])
    user_id = arguments["user"]
    if not rooms.workspace.store.is_member(channel["id"], user_id):
        raise SlackError("user_not_in_channel")
    body = checked_body(arguments)
    thread_ts = arguments.get("thread_ts")
    message = rooms.conversation.post_ephemeral(
        channel,
        user_id,
        text=body["text"] or "",
        blocks=body["blocks"],
        thread_ts=rooms.conversation.root_of(channel["id"], thread_ts)["ts"] if thread_ts else None,
        username=arguments.get("username"),
    )
    return {"message_ts": message["ts"]}


def _own_message(rooms: Rooms, channel: Document, ts: str, refusal: str) -> Document:
    message = rooms.conversation.message(channel["id"], ts)
    if message.get("bot_id") != rooms.workspace.app.bot_id:
        raise SlackError(refusal)
    return message


def _update(rooms: Rooms, arguments: Arguments) -> Answer:
    channel = rooms.workspace.channel(arguments["channel"])
    if channel["is_archived"]:
        raise SlackError("is_archived")
    message = _own_message(rooms, channel, arguments["ts"], "cant_update_message")
    metadata: Any = arguments.get("metadata")
    body: Document = {}
    if metadata is None or set(arguments) & {"text", "blocks", "attachments", "markdown_text"}:
        body = checked_body(arguments, text_limit=UPDATE_TEXT_CHARACTERS)
    if metadata:
        metadata = checked_metadata(metadata)
    changed = rooms.conversation.change_as_app(channel, message, body, metadata)
    shape = shapes.api_message(rooms.workspace, channel["id"], changed, include_metadata=True)
    return {"channel": channel["id"], "ts": changed["ts"], "text": changed.get("text", ""), "message": shape}


def _delete(rooms: Rooms, arguments: Arguments) -> Answer:
    channel = rooms.workspace.channel(arguments["channel"])
    message = _own_message(rooms, channel, arguments["ts"], "cant_delete_message")
    rooms.conversation.delete(channel, message)
    return {"channel": channel["id"], "ts": message["ts"]}


def _get_permalink(rooms: Rooms, arguments: Arguments) -> Answer:
    channel = rooms.workspace.channel(arguments["channel"])
    message = rooms.conversation.message(channel["id"], arguments["message_ts"])
    link = f"{rooms.workspace.base_url}/archives/{channel['id']}/p{message['ts'].replace('.', '')}"
    if message.get("thread_ts"):
        link += f"?thread_ts={message['thread_ts']}&cid={channel['id']}"
    return {"channel": channel["id"], "permalink": link}


# Reactions


def _reacted_message(rooms: Rooms, arguments: Arguments) -> tuple[Document, Document]:
    if not arguments.get("channel") or not arguments.get("timestamp"):
        raise SlackError("no_item_specified")
    channel = rooms.workspace.channel(arguments["channel"])
    if not rooms.workspace.is_bot_in(channel):
        raise SlackError("not_in_channel")
    return channel, rooms.conversation.message(channel["id"], arguments["timestamp"])


def _react(rooms: Rooms, arguments: Arguments, *, add: bool) -> Answer:
    channel, message = _reacted_message(rooms, arguments)
    if channel["is_archived"]:
        raise SlackError("is_archived")
    rooms.conversation.react(channel, message, arguments["name"], rooms.workspace.app.bot_user_id, add=add)
    return {}


def _get_reactions(rooms: Rooms, arguments: Arguments) -> Answer:
    channel, message = _reacted_message(rooms, arguments)
    shape = shapes.api_message(rooms.workspace, channel["id"], message)
    return {"type": "message", "channel": channel["id"], "message": shape}


# Status of a thread


def _set_status(rooms: Rooms, arguments: Arguments) -> Answer:
    channel = rooms.workspace.channel(arguments["channel_id"])
    if not rooms.workspace.is_bot_in(channel):
        raise SlackError("not_in_channel")
    root = rooms.conversation.root_of(channel["id"], arguments["thread_ts"])
    loading_messages = arguments.get("loading_messages") or []
    if not isinstance(loading_messages, list) or len(loading_messages) > LOADING_MESSAGES:
        raise SlackError("invalid_arguments", [f"[ERROR] no more than {LOADING_MESSAGES} loading_messages allowed"])
    rooms.workspace.feed.publish(
        {
            "type": "status",
            "channel_id": channel["id"],
            "thread_ts": root["ts"],
            "status": arguments.get("status", ""),
            "loading_messages": loading_messages,
        },
        rooms.workspace.audience(channel),
    )
    return {}


METHODS = (
    Method(
        "chat.postMessage",
        _post_message,
        {
            "channel": "str", "thread_ts": "str", "reply_broadcast": "bool", "metadata": "json", "mrkdwn": "bool",
            "unfurl_links": "bool", "unfurl_media": "bool", "container_id": "str", **_CONTENT, **_IDENTITY,
        },
        required=("channel",),
        scopes=("chat:write",),
    ),
    Method(
        "chat.postEphemeral",
        _post_ephemeral,
        {"channel": "str", "user": "str", "thread_ts": "str", **_CONTENT, **_IDENTITY},
        required=("channel", "user"),
        scopes=("chat:write",),
    ),
    Method(
        "chat.update",
        _update,
        {
            "channel": "str", "ts": "str", "metadata": "json", "reply_broadcast": "bool", "file_ids": "json",
            "unfurl_links": "bool", "unfurl_media": "bool", **_CONTENT,
        },
        required=("channel", "ts"),
        scopes=("chat:write",),
    ),
    Method(
        "chat.delete",
        _delete,
        {"channel": "str", "ts": "str", "as_user": "bool"},
        required=("channel", "ts"),
        scopes=("chat:write",),
    ),
    Method(
        "chat.getPermalink",
        _get_permalink,
        {"channel": "str", "message_ts": "str"},
        required=("channel", "message_ts"),
    ),
    Method(
        "reactions.add",
        lambda rooms, arguments: _react(rooms, arguments, add=True),
        {"channel": "str", "name": "str", "timestamp": "str"},
        required=("channel", "name", "timestamp"),
        scopes=("reactions:write",),
    ),
    Method(
        "reactions.remove",
        lambda rooms, arguments: _react(rooms, arguments, add=False),
        {"channel": "str", "name": "str", "timestamp": "str", "file": "str", "file_comment": "str"},
        required=("name",),
        scopes=("reactions:write",),
    ),
    Method(
        "reactions.get",
        _get_reactions,
        {"channel": "str", "timestamp": "str", "full": "bool", "file": "str", "file_comment": "str"},
        scopes=("reactions:read",),
    ),
    Method(
        "assistant.threads.setStatus",
        _set_status,
        {"channel_id": "str", "thread_ts": "str", "status": "str", "loading_messages": "json", **_IDENTITY},
        required=("channel_id", "thread_ts"),
        scopes=("chat:write", "assistant:write"),
    ),
)  # fmt: skip
