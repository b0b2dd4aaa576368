"""The workspace: its people, channels and memberships, its clock, and its two outlets.

Built by `server.py` over `store.py`; used by every room. What happens goes out twice: as events to the
app (`emit`, kept until acknowledged; `socket_mode.py` sends them) and to the page (`page_feed.py`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from slackbot.sandbox.slack import events
from slackbot.sandbox.slack.app_description import AppDescription
from slackbot.sandbox.slack.faults import PersonRefusedError, SlackError
from slackbot.sandbox.slack.page_feed import PageFeed
from slackbot.sandbox.slack.store import Document, Store

_COLORS = ("4bbe2e", "e7392d", "3c989f", "9f69e7", "e96699", "674b1b", "e0a729", "684b6c")
STRANGER_TEAM_ID = "T0STRANGER"
DEFAULT_LOCALE = "en-GB"


class Workspace:
    """One team with one app in it. `clock` gives Unix seconds."""

    def __init__(
        self,
        store: Store,
        app: AppDescription,
        feed: PageFeed,
        clock: Callable[[], float],
        deliver: Callable[[str, Document], None],
    ) -> None:
        self.store = store
        self.app = app
        self.feed = feed
        self.clock = clock
        self.base_url = ""
        self._deliver = deliver
        noted = store.get("note", "ts") or {"last": "0000000000.000000"}
        self._last_ts = max(str(noted["last"]), store.latest_ts())

    # Time

    def next_ts(self) -> str:
        """A ts that no message of this workspace had or will have: the clock, or one more than the last."""
        seconds, _, micros = self._last_ts.partition(".")
        now = max(int(self.clock() * 1_000_000), int(seconds) * 1_000_000 + int(micros) + 1)
        self._last_ts = f"{now // 1_000_000:010d}.{now % 1_000_000:06d}"
        self.store.put("note", "ts", {"last": self._last_ts})
        return self._last_ts

    # People

    def add_user(
        self,
        user_id: str,
        name: str,
        real_name: str | None = None,
        *,
        is_restricted: bool = False,
        is_ultra_restricted: bool = False,
        is_stranger: bool = False,
        is_bot: bool = False,
        is_admin: bool = False,
        deleted: bool = False,
        tz: str = "Europe/London",
        locale: str = DEFAULT_LOCALE,
    ) -> str:
        """Adds a person: a member, a guest (`is_restricted`), someone of another team (`is_stranger`), a bot."""
        real_name = real_name or name
        user: Document = {
            "id": user_id,
            "team_id": STRANGER_TEAM_ID if is_stranger else self.app.team_id,
            "name": name,
            "real_name": real_name,
            "deleted": deleted,
            "color": _COLORS[sum(user_id.encode()) % len(_COLORS)],
            "tz": tz,
            "tz_label": tz,
            "tz_offset": 0,
            "locale": locale,
            "is_admin": is_admin,
            "is_owner": False,
            "is_primary_owner": False,
            "is_restricted": is_restricted or is_ultra_restricted,
            "is_ultra_restricted": is_ultra_restricted,
            "is_bot": is_bot,
            "is_app_user": False,
            "updated": int(self.clock()),
            "profile": {"real_name": real_name, "display_name": name, "real_name_normalized": real_name},
        }
        if is_stranger:
            user["is_stranger"] = True
        self.store.put("user", user_id, user)
        return user_id

    def find_user(self, user_id: str) -> Document | None:
        return self.store.get("user", user_id)

    def user(self, user_id: str) -> Document:
        user = self.store.get("user", user_id)
        if user is None:
            raise SlackError("user_not_found")
        return user

    def person(self, user_id: str) -> Document:
        """Who acts on the page; a sentence when there is no such person."""
        user = self.store.get("user", user_id)
        if user is None or user["deleted"]:
            raise PersonRefusedError(f"There is no active person {user_id} in this workspace.")
        if user_id == self.app.bot_user_id:
            raise PersonRefusedError("The app acts by itself; choose a person to act as.")
        return user

    @property
    def bot_display_name(self) -> str:
        """The app as people call it."""
        user = self.find_user(self.app.bot_user_id)
        return str(user["real_name"]) if user else self.app.bot_name

    def user_ids_by_name(self) -> dict[str, str]:
        return {str(user["name"]).lower(): str(user["id"]) for user in self.store.all("user")}

    def add_user_group(self, usergroup_id: str, handle: str, users: Sequence[str]) -> str:
        self.store.put(
            "usergroup",
            usergroup_id,
            {
                "id": usergroup_id,
                "team_id": self.app.team_id,
                "is_usergroup": True,
                "name": handle,
                "handle": handle,
                "date_delete": 0,
                "user_count": len(users),
                "users": list(users),
            },
        )
        return usergroup_id

    # Channels

    def add_channel(
        self,
        channel_id: str,
        name: str,
        *,
        members: Iterable[str] = (),
        is_private: bool = False,
        is_archived: bool = False,
        is_ext_shared: bool = False,
        topic: str = "",
    ) -> str:
        """Adds a channel with its members (the app's bot user id among them when the app was invited)."""
        user_ids = list(members)
        with self.store.transaction():
            self.store.put(
                "channel",
                channel_id,
                {
                    "id": channel_id,
                    "name": name,
                    "name_normalized": name,
                    "is_channel": not is_private,
                    "is_group": is_private,
                    "is_im": False,
                    "is_mpim": False,
                    "is_private": is_private,
                    "is_archived": is_archived,
                    "is_general": False,
                    "is_shared": is_ext_shared,
                    "is_ext_shared": is_ext_shared,
                    "is_org_shared": False,
                    "is_pending_ext_shared": False,
                    "context_team_id": self.app.team_id,
                    "created": int(self.clock()),
                    "creator": user_ids[0] if user_ids else self.app.bot_user_id,
                    "topic": {"value": topic, "creator": "", "last_set": 0},
                    "purpose": {"value": "", "creator": "", "last_set": 0},
                },
            )
            for user_id in user_ids:
                self.store.add_member(channel_id, user_id)
        return channel_id

    def add_dm(self, user_id: str, other_user_id: str | None = None) -> str:
        """The direct messages of a person with the app, or with another person; made when there are none."""
        pair = sorted([user_id, other_user_id or self.app.bot_user_id])
        for channel in self.store.all("channel"):
            if channel["is_im"] and channel["pair"] == pair:
                return str(channel["id"])
        channel_id = "D0" + "".join(member.removeprefix("U0") for member in pair if member != self.app.bot_user_id)
        with self.store.transaction():
            self.store.put(
                "channel",
                channel_id,
                {
                    "id": channel_id,
                    "is_channel": False,
                    "is_group": False,
                    "is_im": True,
                    "is_mpim": False,
                    "is_private": True,
                    "is_archived": False,
                    "is_ext_shared": False,
                    "is_org_shared": False,
                    "created": int(self.clock()),
                    "user": user_id,
                    "pair": pair,
                    "context_team_id": self.app.team_id,
                },
            )
            for member in pair:
                self.store.add_member(channel_id, member)
        return channel_id

    def find_channel(self, channel_id: str) -> Document | None:
        channel = self.store.get("channel", channel_id)
        if channel is None and channel_id.startswith("#"):
            named = (item for item in self.store.all("channel") if item.get("name") == channel_id[1:])
            channel = next(named, None)
        return channel

    def channel(self, channel_id: str) -> Document:
        """A channel as the app may see it: a private one only as a member."""
        channel = self.find_channel(channel_id)
        if channel is None or (channel["is_private"] and not self.is_bot_in(channel)):
            raise SlackError("channel_not_found")
        return channel

    def channel_of_person(self, channel_id: str, user_id: str) -> Document:
        """A channel as a person may see it, for the page."""
        channel = self.find_channel(channel_id)
        if channel is None or not self.may_see(channel, user_id):
            raise PersonRefusedError(f"There is no channel {channel_id} here that you can open.")
        return channel

    def may_see(self, channel: Document, user_id: str) -> bool:
        return not channel["is_private"] or self.store.is_member(channel["id"], user_id)

    def is_bot_in(self, channel: Document) -> bool:
        return self.store.is_member(channel["id"], self.app.bot_user_id)

    def audience(self, channel: Document) -> frozenset[str] | None:
        """Who sees what happens there; None is everyone."""
        return frozenset(self.store.members(channel["id"])) if channel["is_private"] else None

    def name_for_payload(self, channel: Document) -> str:
        """As commands and interactions carry it: private channels and DMs have no name of their own."""
        if channel["is_im"]:
            return "directmessage"
        return "privategroup" if channel["is_private"] else str(channel["name"])

    # Membership

    def join(self, channel_id: str, user_id: str, inviter: str | None = None) -> bool:
        """False when the user was there already."""
        channel = self.find_channel(channel_id)
        if channel is None:
            raise SlackError("channel_not_found")
        with self.store.transaction():
            if not self.store.add_member(channel["id"], user_id):
                return False
            self.emit(events.member_joined(channel, user_id, inviter, self.app.team_id, self.next_ts()), channel)
        self.feed.publish({"type": "notice", "channel_id": channel["id"], "text": f"<@{user_id}> joined."})
        return True

    def leave(self, channel_id: str, user_id: str) -> None:
        """Takes a member out; the app is told `channel_left` when it was the app itself."""
        channel = self.channel(channel_id)
        with self.store.transaction():
            if not self.store.remove_member(channel["id"], user_id):
                return
            if user_id == self.app.bot_user_id:
                self.emit(events.channel_left(channel, user_id, self.next_ts()), channel, member_only=False)
            else:
                self.emit(events.member_left(channel, user_id, self.app.team_id, self.next_ts()), channel)

    def set_archived(self, channel_id: str, archived: bool, user_id: str) -> None:
        channel = self.channel(channel_id)
        with self.store.transaction():
            channel["is_archived"] = archived
            self.store.put("channel", channel["id"], channel)
            self.emit(events.archived(channel, archived, user_id, self.next_ts()), channel)
        self.feed.publish({"type": "resync"})

    def set_shared(self, channel_id: str, shared: bool) -> None:
        """Shares a channel with another organisation, or ends that."""
        channel = self.channel(channel_id)
        with self.store.transaction():
            channel["is_shared"] = channel["is_ext_shared"] = shared
            self.store.put("channel", channel["id"], channel)
            self.emit(events.shared(channel, shared, STRANGER_TEAM_ID, self.next_ts()), channel)
        self.feed.publish({"type": "resync"})

    # Outlets

    def emit(self, event: Document, channel: Document | None, *, member_only: bool = True) -> None:
        """Keeps an event for the app until it is acknowledged, if the app subscribes to it and may see it."""
        if events.subscription(event) not in self.app.bot_events:
            return
        if channel is not None and member_only and not self.is_bot_in(channel):
            return
        self.send(event, channel)

    def send(self, event: Document, channel: Document | None, *, event_id: str | None = None) -> str:
        """Keeps an event for the app until it is acknowledged; returns its event_id."""
        event_id = event_id or "Ev0" + secrets.token_hex(8).upper()
        payload = events.callback(
            event,
            self.app,
            event_id=event_id,
            event_time=int(self.clock()),
            is_ext_shared_channel=bool(channel and channel["is_ext_shared"]),
        )
        self.store.add_delivery(event_id, payload)
        self._deliver(event_id, payload)
        return event_id

    def presence(self) -> dict[str, Any]:
        """The bot as messages carry it."""
        app = self.app
        return {
            "id": app.bot_id,
            "app_id": app.app_id,
            "user_id": app.bot_user_id,
            "name": app.bot_name,
            "team_id": app.team_id,
            "deleted": False,
            "updated": 0,
            "icons": {},
        }
