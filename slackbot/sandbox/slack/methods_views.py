"""views.* and files.*: forms, the Home tab, and files of the app.

Called by `web_api.py` with checked arguments; ends in `views.py` and `files.py`.
https://docs.slack.dev/reference/methods
"""

from __future__ import annotations

from slackbot.sandbox.slack import shapes
from slackbot.sandbox.slack.faults import SlackError
from slackbot.sandbox.slack.message_rules import checked_body
from slackbot.sandbox.slack.methods_chat import writable_channel
from slackbot.sandbox.slack.views import shape as view_shape
from slackbot.sandbox.slack.web_api import Answer, Arguments, Method, Rooms


def _user_of_trigger(rooms: Rooms, arguments: Arguments) -> str:
    trigger_id = arguments.get("trigger_id") or arguments.get("interactivity_pointer")
    if not trigger_id:
        raise SlackError("invalid_arguments", ["[ERROR] missing required field: trigger_id"])
    return rooms.interactions.exchange_trigger(trigger_id)


def _open(rooms: Rooms, arguments: Arguments) -> Answer:
    return {"view": view_shape(rooms.views.open(_user_of_trigger(rooms, arguments), arguments["view"]))}


def _push(rooms: Rooms, arguments: Arguments) -> Answer:
    return {"view": view_shape(rooms.views.push(_user_of_trigger(rooms, arguments), arguments["view"]))}


def _update(rooms: Rooms, arguments: Arguments) -> Answer:
    view = rooms.views.update(
        arguments["view"],
        view_id=arguments.get("view_id"),
        external_id=arguments.get("external_id"),
        view_hash=arguments.get("hash"),
    )
    return {"view": view_shape(view)}


def _publish(rooms: Rooms, arguments: Arguments) -> Answer:
    view = rooms.views.publish(arguments["user_id"], arguments["view"], arguments.get("hash"))
    return {"view": view_shape(view)}


# Files


def _get_upload_url(rooms: Rooms, arguments: Arguments) -> Answer:
    file = rooms.files.announce(
        arguments["filename"],
        arguments["length"],
        alt_txt=arguments.get("alt_txt"),
        snippet_type=arguments.get("snippet_type"),
    )
    return {
        "upload_url": f"{rooms.workspace.base_url}/upload/v1/{file['upload_token']}",
        "file_id": file["id"],
    }


def _complete_upload(rooms: Rooms, arguments: Arguments) -> Answer:
    """Makes the files readable and, where channels are named, posts one message with all of them."""
    given = arguments["files"]
    if not isinstance(given, list) or not given or not all(isinstance(item, dict) and "id" in item for item in given):
        raise SlackError("invalid_arguments", ["[ERROR] files must be a list of objects with an id"])
    channel_ids = list(arguments.get("channels") or [])
    if arguments.get("channel_id"):
        channel_ids.append(arguments["channel_id"])
    text, blocks = arguments.get("initial_comment") or "", arguments.get("blocks")
    if text or blocks:
        checked_body({"text": text, "blocks": blocks})
    thread_ts = arguments.get("thread_ts")
    channels = [writable_channel(rooms, channel_id) for channel_id in channel_ids]
    if thread_ts:
        for channel in channels:
            rooms.conversation.root_of(channel["id"], thread_ts)
    with rooms.workspace.store.transaction():
        files = [rooms.files.complete(str(item["id"]), item.get("title")) for item in given]
    file_ids = [file["id"] for file in files]
    for channel in channels:
        message = rooms.conversation.post_as_app(
            channel, text=text, blocks=blocks, thread_ts=thread_ts, file_ids=file_ids
        )
        for file_id in file_ids:
            rooms.files.note_share(file_id, channel, message)
    return {"files": [shapes.file_object(rooms.workspace, file_id) for file_id in file_ids]}


def _file_info(rooms: Rooms, arguments: Arguments) -> Answer:
    file = rooms.files.get(arguments["file"])
    return {
        "file": shapes.file_object(rooms.workspace, file["id"]),
        "comments": [],
        "response_metadata": {"next_cursor": ""},
    }


def _file_delete(rooms: Rooms, arguments: Arguments) -> Answer:
    file = rooms.files.get(arguments["file"])
    if file["user"] != rooms.workspace.app.bot_user_id:
        raise SlackError("cant_delete_file")
    rooms.files.delete(file["id"])
    return {}


_TRIGGERED = {"trigger_id": "str", "interactivity_pointer": "str", "view": "json"}

METHODS = (
    Method("views.open", _open, _TRIGGERED, required=("view",)),
    Method("views.push", _push, _TRIGGERED, required=("view",)),
    Method(
        "views.update",
        _update,
        {"view": "json", "view_id": "str", "external_id": "str", "hash": "str"},
        required=("view",),
    ),
    Method(
        "views.publish",
        _publish,
        {"user_id": "str", "view": "json", "hash": "str"},
        required=("user_id", "view"),
    ),
    Method(
        "files.getUploadURLExternal",
        _get_upload_url,
        {"filename": "str", "length": "int", "alt_txt": "str", "snippet_type": "str"},
        required=("filename", "length"),
        scopes=("files:write",),
    ),
    Method(
        "files.completeUploadExternal",
        _complete_upload,
        {
            "files": "json", "channel_id": "str", "channels": "list", "initial_comment": "str",
            "thread_ts": "str", "blocks": "json",
        },
        required=("files",),
        scopes=("files:write",),
    ),
    Method(
        "files.info",
        _file_info,
        {"file": "str", "count": "int", "cursor": "str", "limit": "int", "page": "int"},
        required=("file",),
        scopes=("files:read",),
    ),
    Method("files.delete", _file_delete, {"file": "str"}, required=("file",), scopes=("files:write",)),
)  # fmt: skip
