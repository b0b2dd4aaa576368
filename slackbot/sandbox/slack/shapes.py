"""How stored messages, files and channels look to the app (Web API, events) and to the page.

Reads `store.py`; called by `conversation.py`, the Web API methods and `page_api.py`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from slackbot.sandbox.slack import text as slack_text
from slackbot.sandbox.slack.store import Document
from slackbot.sandbox.slack.workspace import Workspace

_PRIVATE_KEYS = frozenset({"metadata", "file_ids", "pair", "is_ephemeral", "thread_hidden"})


def event_message(workspace: Workspace, message: Document) -> Document:
    """A message as events carry it: no metadata, no reactions, no counts."""
    shape = {key: value for key, value in message.items() if key not in _PRIVATE_KEYS}
    if "blocks" not in shape and not message.get("bot_id") and message.get("text"):
        shape["blocks"] = [slack_text.rich_text(message["text"], "rt" + message["ts"][-6:])]
    if message.get("file_ids"):
        shape["files"] = [file_object(workspace, file_id) for file_id in message["file_ids"]]
        shape["upload"] = True
        shape["display_as_bot"] = False
    if message.get("bot_id"):
        shape["bot_profile"] = workspace.presence()
    return shape


def api_message(
    workspace: Workspace, channel_id: str, message: Document, *, include_metadata: bool = False
) -> Document:
    """A message as the Web API returns it."""
    shape = event_message(workspace, message)
    if include_metadata and message.get("metadata"):
        shape["metadata"] = message["metadata"]
    reactions = workspace.store.reactions(channel_id, message["ts"])
    if reactions:
        shape["reactions"] = reactions
    if message.get("thread_ts") in (None, message["ts"]):
        shape.update(_thread_fields(workspace, channel_id, message["ts"]))
    return shape


def _thread_fields(workspace: Workspace, channel_id: str, root_ts: str) -> Document:
    count, latest, users = workspace.store.thread_summary(channel_id, root_ts)
    if not count:
        return {}
    return {
        "thread_ts": root_ts,
        "reply_count": count,
        "reply_users_count": len(users),
        "latest_reply": latest,
        "reply_users": users,
        "is_locked": False,
        "subscribed": True,
    }


def page_message(workspace: Workspace, channel_id: str, message: Document) -> Document:
    """A message as the page draws it."""
    is_bot = bool(message.get("bot_id"))
    user_id = str(message.get("user") or workspace.app.bot_user_id)
    shape: Document = {
        "channel_id": channel_id,
        "ts": message["ts"],
        "user_id": user_id,
        "bot": is_bot,
        "name": message.get("username") or _display_name(workspace, user_id),
        "text": message.get("text", ""),
        "reactions": [
            {"name": item["name"], "users": item["users"]}
            for item in workspace.store.reactions(channel_id, message["ts"])
        ],
    }
    for key in ("thread_ts", "blocks", "metadata", "is_ephemeral", "subtype"):
        if message.get(key):
            shape[key] = message[key]
    if message.get("edited"):
        shape["edited"] = True
    if message.get("subtype") == "tombstone":
        shape["deleted"] = True
    if message.get("file_ids"):
        shape["files"] = [_page_file(workspace, file_id) for file_id in message["file_ids"]]
    if message.get("thread_ts") in (None, message["ts"]):
        fields = _thread_fields(workspace, channel_id, message["ts"])
        shape.update(
            {key: fields[key] for key in ("thread_ts", "reply_count", "latest_reply", "reply_users") if key in fields}
        )
    return shape


def _display_name(workspace: Workspace, user_id: str) -> str:
    user = workspace.find_user(user_id)
    return user_id if user is None else str(user["real_name"])


# Files


def file_object(workspace: Workspace, file_id: str) -> Document:
    """A file as the Web API and events carry it, with addresses that hold for this run's port."""
    file = workspace.store.get("file", file_id)
    if file is None:
        return {"id": file_id, "mode": "tombstone"}
    shape = {key: value for key, value in file.items() if key not in ("upload_token", "is_complete", "length")}
    address = f"{workspace.base_url}/files-pri/{workspace.app.team_id}-{file_id}"
    name = quote(file["name"])
    shape["url_private"] = f"{address}/{name}"
    shape["url_private_download"] = f"{address}/download/{name}"
    shape["permalink"] = f"{workspace.base_url}/sandbox/files/{file_id}/{name}"
    return shape


def _page_file(workspace: Workspace, file_id: str) -> Document:
    file = workspace.store.get("file", file_id)
    if file is None:
        return {"id": file_id, "name": "deleted file", "title": "This file was deleted.", "size": 0, "deleted": True}
    shape = {key: file[key] for key in ("id", "name", "title", "mimetype", "size")}
    return {**shape, "url": f"/sandbox/files/{file_id}/{quote(file['name'])}"}


# Channels


def api_channel(workspace: Workspace, channel: Document, *, with_members: bool = False) -> dict[str, Any]:
    """A channel as `conversations.info` returns it."""
    shape: dict[str, Any] = {key: value for key, value in channel.items() if key not in _PRIVATE_KEYS}
    shape["is_member"] = workspace.is_bot_in(channel)
    if channel["is_im"]:
        shape["is_open"] = True
    if with_members:
        shape["num_members"] = len(workspace.store.members(channel["id"]))
    return shape


def page_channel(workspace: Workspace, channel: Document, user_id: str) -> dict[str, Any]:
    """A channel as the page's side bar shows it to one person."""
    if channel["is_im"]:
        other = next((member for member in channel["pair"] if member != user_id), user_id)
        other_user = workspace.find_user(other)
        name = str(other_user["name"]) if other_user else other
    else:
        name = str(channel["name"])
    return {
        "channel_id": channel["id"],
        "name": name,
        "is_private": channel["is_private"],
        "is_im": channel["is_im"],
        "is_archived": channel["is_archived"],
        "is_ext_shared": channel["is_ext_shared"],
        "is_member_bot": workspace.is_bot_in(channel),
        "topic": channel.get("topic", {}).get("value", ""),
    }
