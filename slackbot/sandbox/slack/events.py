"""Events of the Events API: what the app is told, as Slack shapes it.

`workspace.py` and `conversation.py` build events here from what happened and hand them to the deliveries. Pure.
https://docs.slack.dev/reference/events and https://docs.slack.dev/apis/events-api
"""

from __future__ import annotations

from typing import Any

from slackbot.sandbox.slack.app_description import AppDescription

Json = dict[str, Any]

_SUBSCRIPTIONS = {"channel": "message.channels", "group": "message.groups", "im": "message.im"}


def channel_type(channel: Json) -> str:
    if channel["is_im"]:
        return "im"
    return "group" if channel["is_private"] else "channel"


def subscription(event: Json) -> str:
    """The name in the manifest's `bot_events` that asks for this event."""
    if event["type"] == "message":
        return _SUBSCRIPTIONS[event["channel_type"]]
    return str(event["type"])


def callback(event: Json, app: AppDescription, *, event_id: str, event_time: int, is_ext_shared_channel: bool) -> Json:
    """The outer `event_callback`."""
    return {
        "token": "verification-token-of-the-sandbox",
        "team_id": app.team_id,
        "context_team_id": app.team_id,
        "context_enterprise_id": None,
        "api_app_id": app.app_id,
        "event": event,
        "type": "event_callback",
        "event_id": event_id,
        "event_time": event_time,
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": app.team_id,
                "user_id": app.bot_user_id,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": is_ext_shared_channel,
        "event_context": f"4-{event_id}",
    }


def _in_channel(channel: Json, event_ts: str) -> Json:
    return {"channel": channel["id"], "event_ts": event_ts, "channel_type": channel_type(channel)}


def message(channel: Json, posted: Json) -> Json:
    return {**posted, **_in_channel(channel, posted["ts"])}


def app_mention(channel: Json, posted: Json) -> Json:
    event = {**posted, "type": "app_mention", "channel": channel["id"], "event_ts": posted["ts"]}
    event.pop("subtype", None)
    return event


def message_changed(channel: Json, changed: Json, previous: Json, event_ts: str) -> Json:
    return {
        "type": "message",
        "subtype": "message_changed",
        "message": changed,
        "previous_message": previous,
        "hidden": True,
        "ts": event_ts,
        **_in_channel(channel, event_ts),
    }


def message_deleted(channel: Json, previous: Json, event_ts: str) -> Json:
    return {
        "type": "message",
        "subtype": "message_deleted",
        "previous_message": previous,
        "deleted_ts": previous["ts"],
        "hidden": True,
        "ts": event_ts,
        **_in_channel(channel, event_ts),
    }


def reaction(channel: Json, target: Json, name: str, user_id: str, added: bool, event_ts: str) -> Json:
    event = {
        "type": "reaction_added" if added else "reaction_removed",
        "user": user_id,
        "reaction": name,
        "item": {"type": "message", "channel": channel["id"], "ts": target["ts"]},
        "event_ts": event_ts,
    }
    if target.get("user"):
        event["item_user"] = target["user"]
    return event


def member_joined(channel: Json, user_id: str, inviter: str | None, team_id: str, event_ts: str) -> Json:
    event = {
        "type": "member_joined_channel",
        "user": user_id,
        "channel": channel["id"],
        "channel_type": "G" if channel["is_private"] else "C",
        "team": team_id,
        "event_ts": event_ts,
    }
    return event if inviter is None else {**event, "inviter": inviter}


def member_left(channel: Json, user_id: str, team_id: str, event_ts: str) -> Json:
    return {
        "type": "member_left_channel",
        "user": user_id,
        "channel": channel["id"],
        "channel_type": "G" if channel["is_private"] else "C",
        "team": team_id,
        "event_ts": event_ts,
    }


def channel_left(channel: Json, user_id: str, event_ts: str) -> Json:
    return {
        "type": "group_left" if channel["is_private"] else "channel_left",
        "channel": channel["id"],
        "actor_id": user_id,
        "event_ts": event_ts,
    }


def archived(channel: Json, is_archived: bool, user_id: str, event_ts: str) -> Json:
    kind = "group" if channel["is_private"] else "channel"
    word = "archive" if is_archived else "unarchive"
    return {
        "type": f"{kind}_{word}",
        "channel": channel["id"],
        "user": user_id,
        "is_moved": 0,
        "event_ts": event_ts,
    }


def shared(channel: Json, is_shared: bool, other_team_id: str, event_ts: str) -> Json:
    """https://docs.slack.dev/reference/events/channel_shared and channel_unshared."""
    event = {"channel": channel["id"], "event_ts": event_ts}
    if is_shared:
        return {"type": "channel_shared", "connected_team_id": other_team_id, **event}
    return {
        "type": "channel_unshared",
        "previously_connected_team_id": other_team_id,
        "is_ext_shared": channel["is_ext_shared"],
        **event,
    }


def app_home_opened(user_id: str, channel_id: str, tab: str, view: Json | None, event_ts: str) -> Json:
    event = {"type": "app_home_opened", "user": user_id, "channel": channel_id, "tab": tab, "event_ts": event_ts}
    return event if view is None else {**event, "view": view}
