"""conversations.*, users.*, usergroups.*, team, bots, auth and apps.connections: what the app may know.

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
from slackbot.sandbox.slack.socket_mode import websocket_url
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


def _page(name: str, items: Sequence[Any], arguments: Arguments, default: int = 100) -> Answer:
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
    return _page("members", rooms.workspace.store.members(channel["id"]), arguments)


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
    return _page("channels", found, arguments)


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


# users.*, usergroups.*


def _user_info(rooms: Rooms, arguments: Arguments) -> Answer:
    user = rooms.workspace.user(arguments["user"])
    return {"user": {**user, "locale": "en-GB"} if arguments.get("include_locale") else user}


def _users_list(rooms: Rooms, arguments: Arguments) -> Answer:
    answer = _page("members", rooms.workspace.store.all("user"), arguments)
    return {**answer, "cache_ts": int(rooms.workspace.clock())}


def _usergroup_users(rooms: Rooms, arguments: Arguments) -> Answer:
    group = rooms.workspace.store.get("usergroup", arguments["usergroup"])
    if group is None:
        raise SlackError("no_such_subteam")
    return {"users": group["users"]}


def _usergroups(rooms: Rooms, arguments: Arguments) -> Answer:
    groups = rooms.workspace.store.all("usergroup")
    if not arguments.get("include_users"):
        groups = [{key: value for key, value in group.items() if key != "users"} for group in groups]
    return {"usergroups": groups}


# The app itself


def _auth_test(rooms: Rooms, arguments: Arguments) -> Answer:
    workspace = rooms.workspace
    return {
        "url": f"{workspace.base_url}/",
        "team": workspace.app.team_name,
        "user": workspace.app.bot_name,
        "team_id": workspace.app.team_id,
        "user_id": workspace.app.bot_user_id,
        "bot_id": workspace.app.bot_id,
        "is_enterprise_install": False,
    }


def _bot_info(rooms: Rooms, arguments: Arguments) -> Answer:
    bot = rooms.workspace.presence()
    if arguments.get("bot") not in (None, bot["id"]):
        raise SlackError("bot_not_found")
    return {"bot": bot}


def _team_info(rooms: Rooms, arguments: Arguments) -> Answer:
    app = rooms.workspace.app
    if arguments.get("team") not in (None, app.team_id):
        raise SlackError("team_not_found")
    return {
        "team": {
            "id": app.team_id,
            "name": app.team_name,
            "domain": app.team_domain,
            "url": f"{rooms.workspace.base_url}/",
            "email_domain": "",
            "icon": {},
        }
    }


def _connections_open(rooms: Rooms, arguments: Arguments) -> Answer:
    return {"url": websocket_url(rooms.workspace.base_url, rooms.sockets.new_ticket())}


_PAGED = {"cursor": "str", "limit": "int"}
_TIMES = {"oldest": "str", "latest": "str", "inclusive": "bool", "include_all_metadata": "bool"}

METHODS = (
    Method("auth.test", _auth_test, {"team_id": "str"}),
    Method("apps.connections.open", _connections_open, {}, is_app_level=True),
    Method("bots.info", _bot_info, {"bot": "str"}, scopes=("users:read",)),
    Method(
        "team.info",
        _team_info,
        {"team": "str", "domain": "str", "include_slackbot_availability": "bool"},
        scopes=("team:read",),
    ),
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
        {"channel": "str", "ts": "str", **_TIMES, **_PAGED},
        required=("channel", "ts"),
        scopes=_HISTORY,
    ),
    Method(
        "conversations.history",
        _history,
        {"channel": "str", **_TIMES, **_PAGED},
        required=("channel",),
        scopes=_HISTORY,
    ),
    Method("conversations.members", _members, {"channel": "str", **_PAGED}, required=("channel",), scopes=_READ),
    Method("conversations.list", _list, {"types": "list", "exclude_archived": "bool", **_PAGED}, scopes=_READ),
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
        {"user": "str", "types": "list", "exclude_archived": "bool", **_PAGED},
        scopes=_READ,
    ),
    Method(
        "users.info",
        _user_info,
        {"user": "str", "include_locale": "bool"},
        required=("user",),
        scopes=("users:read",),
    ),
    Method("users.list", _users_list, {"include_locale": "bool", **_PAGED}, scopes=("users:read",)),
    Method(
        "usergroups.users.list",
        _usergroup_users,
        {"usergroup": "str", "include_disabled": "bool"},
        required=("usergroup",),
        scopes=("usergroups:read",),
    ),
    Method(
        "usergroups.list",
        _usergroups,
        {"include_count": "bool", "include_disabled": "bool", "include_users": "bool"},
        scopes=("usergroups:read",),
    ),
)
