"""conversations.* and users.conversations: channels, their members and their messages.

Called by `web_api.py` with checked arguments; reads `workspace.py` and `store.py`.
https://docs.slack.dev/reference/methods
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from slackbot.sandbox.slack import shapes
from slackbot.sandbox.slack.faults import SlackError
from slackbot.sandbox.slack.store import Document
from slackbot.sandbox.slack.web_api import Answer, Arguments, Method, Rooms

MAX_LIMIT = 1000
_FUTURE = "9" * 10
_READ = ("channels:read", "groups:read", "im:read", "mpim:read")
_HISTORY = ("channels:history", "groups:history", "im:history", "mpim:history")


# Pages


def _encode_cursor(text: str) -> str:
    return base64.b64encode(f"next:{text}".encode()).decode()


def _decode_cursor(cursor: str) -> str:
    try:
        kind, _, text = base64.b64decode(cursor, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise SlackError("invalid_cursor") from error
    if kind != "next":
        raise SlackError("invalid_cursor")
    return text


def _limit(arguments: Arguments, default: int) -> int:
    limit = int(arguments.get("limit") or default)
    if not 1 <= limit <= MAX_LIMIT:
        raise SlackError("invalid_limit")
    return limit


def page_of(name: str, items: Sequence[Any], arguments: Arguments, default: int = 100) -> Answer:
    """One page of a list that is small enough to be sliced."""
    cursor = arguments.get("cursor")
    offset = _decode_cursor(cursor) if cursor else "0"
    if not offset.isdigit():
        raise SlackError("invalid_cursor")
    start, limit = int(offset), _limit(arguments, default)
    following = start + limit
    next_cursor = _encode_cursor(str(following)) if following < len(items) else ""
    return {name: list(items[start:following]), "response_metadata": {"next_cursor": next_cursor}}


def _bounds(arguments: Arguments) -> tuple[str, str]:
    """(after, before), both exclusive as SQL needs them; `inclusive` takes the given ts in."""
    after, before = arguments.get("oldest") or "", arguments.get("latest") or _FUTURE
    if after == "0":
        after = ""
    if arguments.get("inclusive"):
        # No ts lies between one and the same with a lower, or a higher, last character appended.
        after = after[:-1] + chr(ord(after[-1]) - 1) + "~" if after else after
        before = before + "~"
    return after, before


# conversations.*


def _readable_channel(rooms: Rooms, channel_id: str) -> Document:
    channel = rooms.workspace.channel(channel_id)
    if not rooms.workspace.is_bot_in(channel):
        raise SlackError("not_in_channel")
    return channel


def _info(rooms: Rooms, arguments: Arguments) -> Answer:
    channel = rooms.workspace.channel(arguments["channel"])
    with_members = arguments.get("include_num_members", False)
    return {"channel": shapes.api_channel(rooms.workspace, channel, with_members=with_members)}


def _replies(rooms: Rooms, arguments: Arguments) -> Answer:
    channel = _readable_channel(rooms, arguments["channel"])
    root = rooms.conversation.root_of(channel["id"], arguments["ts"])
    after, before = _bounds(arguments)
    if arguments.get("cursor"):
        after = _decode_cursor(arguments["cursor"])
    limit = _limit(arguments, MAX_LIMIT)
    found = rooms.workspace.store.messages(
        channel["id"], root_ts=root["ts"], after=after, before=before, limit=limit + 1
    )
    return _messages(rooms, channel, arguments, [root, *found[:limit]], found[limit - 1 :] if found[limit:] else [])


def _history(rooms: Rooms, arguments: Arguments) -> Answer:
    channel = _readable_channel(rooms, arguments["channel"])
    after, before = _bounds(arguments)
    if arguments.get("cursor"):
        before = _decode_cursor(arguments["cursor"])
    limit = _limit(arguments, 100)
    found = rooms.workspace.store.messages(
        channel["id"], after=after, before=before, newest_first=True, limit=limit + 1
    )
    return _messages(rooms, channel, arguments, found[:limit], found[limit - 1 :] if found[limit:] else [])


def _messages(
    rooms: Rooms, channel: Document, arguments: Arguments, messages: list[Document], rest: list[Document]
) -> Answer:
    """`rest` begins with the last message of this page when there are more."""
    with_metadata = arguments.get("include_all_metadata", False)
    answer: Answer = {
        "messages": [
            shapes.api_message(rooms.workspace, channel["id"], message, include_metadata=with_metadata)
            for message in messages
        ],
        "has_more": bool(rest),
    }
    if rest:
        answer["response_metadata"] = {"next_cursor": _encode_cursor(rest[0]["ts"])}
    return answer


def _members(rooms: Rooms, arguments: Arguments) -> Answer:
    channel = rooms.workspace.channel(arguments["channel"])
    return page_of("members", rooms.workspace.store.members(channel["id"]), arguments)


def _list(rooms: Rooms, arguments: Arguments, *, member_id: str | None = None) -> Answer:
    """Channels that the app may see; with `member_id` those that user is in."""
    workspace = rooms.workspace
    types = set(arguments.get("types") or ["public_channel"])
    unknown = types - {"public_channel", "private_channel", "mpim", "im"}
    if unknown:
        raise SlackError("invalid_types")
    found = []
    for channel in workspace.store.all("channel"):
        kind = "im" if channel["is_im"] else "private_channel" if channel["is_private"] else "public_channel"
        hidden = channel["is_private"] and not workspace.is_bot_in(channel)
        archived = channel["is_archived"] and arguments.get("exclude_archived")
        absent = member_id is not None and not workspace.store.is_member(channel["id"], member_id)
        if kind in types and not hidden and not archived and not absent:
            found.append(shapes.api_channel(workspace, channel, with_members=not channel["is_im"]))
    return page_of("channels", found, arguments)


def _users_conversations(rooms: Rooms, arguments: Arguments) -> Answer:
    member_id = arguments.get("user") or rooms.workspace.app.bot_user_id
    rooms.workspace.user(member_id)
    return _list(rooms, arguments, member_id=member_id)


def _join(rooms: Rooms, arguments: Arguments) -> Answer:
    channel = rooms.workspace.channel(arguments["channel"])
    if channel["is_private"]:
        raise SlackError("method_not_supported_for_channel_type")
    if channel["is_archived"]:
        raise SlackError("is_archived")
    joined = rooms.workspace.join(channel["id"], rooms.workspace.app.bot_user_id)
    answer: Answer = {"channel": shapes.api_channel(rooms.workspace, channel)}
    if not joined:
        answer["warning"] = "already_in_channel"
        answer["response_metadata"] = {"warnings": ["already_in_channel"]}
    return answer


def _open(rooms: Rooms, arguments: Arguments) -> Answer:
    workspace = rooms.workspace
    if arguments.get("channel"):
        channel = workspace.channel(arguments["channel"])
        if not channel["is_im"]:
            raise SlackError("method_not_supported_for_channel_type")
    else:
        users = arguments.get("users") or []
        if not users:
            raise SlackError("users_list_not_supplied")
        if len(users) > 1:
            raise SlackError("not_enough_users", ["[ERROR] group DMs are not part of this sandbox"])
        user = workspace.user(users[0])
        if user["id"] == workspace.app.bot_user_id or user["is_bot"]:
            raise SlackError("cannot_dm_bot")
        channel = workspace.channel(workspace.add_dm(user["id"]))
    answer: Answer = {"no_op": True, "already_open": True}
    if arguments.get("return_im"):
        return {**answer, "channel": shapes.api_channel(workspace, channel)}
    return {**answer, "channel": {"id": channel["id"]}}


PAGED = {"cursor": "str", "limit": "int"}
_TIMES = {"oldest": "str", "latest": "str", "inclusive": "bool", "include_all_metadata": "bool"}

METHODS = (
    Method(
        "conversations.info",
        _info,
        {"channel": "str", "include_locale": "bool", "include_num_members": "bool"},
        required=("channel",),
        scopes=_READ,
    ),
    Method(
        "conversations.replies",
        _replies,
        {"channel": "str", "ts": "str", **_TIMES, **PAGED},
        required=("channel", "ts"),
        scopes=_HISTORY,
    ),
    Method(
        "conversations.history",
        _history,
        {"channel": "str", **_TIMES, **PAGED},
        required=("channel",),
        scopes=_HISTORY,
    ),
    Method("conversations.members", _members, {"channel": "str", **PAGED}, required=("channel",), scopes=_READ),
    Method("conversations.list", _list, {"types": "list", "exclude_archived": "bool", **PAGED}, scopes=_READ),
    Method("conversations.join", _join, {"channel": "str"}, required=("channel",), scopes=("channels:join",)),
    Method(
        "conversations.open",
        _open,
        {"channel": "str", "users": "list", "return_im": "bool", "prevent_creation": "bool"},
        scopes=("im:write", "mpim:write"),
    ),
    Method(
        "users.conversations",
        _users_conversations,
        {"user": "str", "types": "list", "exclude_archived": "bool", **PAGED},
        scopes=_READ,
    ),
)
