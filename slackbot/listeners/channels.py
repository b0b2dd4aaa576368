"""News of channels and of the app itself: shared, archived, left, uninstalled. Each names a channel, nothing is said.

Events: https://docs.slack.dev/reference/events/channel_shared and its siblings; what they mean, Slack is asked.
"""

from __future__ import annotations

from typing import Any

from slack_bolt.async_app import AsyncApp

from slackbot.channel_watch import ChannelWatch

EVENTS = (
    "channel_shared",
    "channel_unshared",
    "channel_archive",
    "channel_deleted",
    "channel_left",
    "group_archive",
    "group_deleted",
    "group_left",
)
REOPENED = ("channel_unarchive", "group_unarchive", "member_joined_channel")


def register(app: AsyncApp, watch: ChannelWatch) -> None:
    """Binds one listener to all of `EVENTS`, one to all of `REOPENED`, and one to the end of the installation."""

    async def changed(event: dict[str, Any]) -> None:
        channel_id = event.get("channel")
        if isinstance(channel_id, str) and channel_id:
            await watch.changed(channel_id)

    async def reopened(event: dict[str, Any]) -> None:
        channel_id = event.get("channel")
        if isinstance(channel_id, str) and channel_id:
            watch.reopened(channel_id)

    async def uninstalled() -> None:
        await watch.uninstalled()

    for name in EVENTS:
        app.event(name)(changed)
    for name in REOPENED:
        app.event(name)(reopened)
    app.event("app_uninstalled")(uninstalled)
