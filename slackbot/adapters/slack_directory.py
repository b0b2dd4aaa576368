"""Who and where: people, channels and user groups as Slack describes them, asked seldom.

`slack.py` hands the questions on; answers come from users.info, conversations.info and usergroups.users.list.
A field that an answer lacks takes its harmless value, a refusal of users.info does not: it is raised.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from slackbot.adapters.slack_cache import TtlCache
from slackbot.adapters.slack_client import SlackConnection
from slackbot.adapters.slack_errors import error_code
from slackbot.core.errors import NotFound, PermanentError, ThreadUnreachable
from slackbot.core.ports import Channel, Person

log = structlog.get_logger()

PERSON_KEPT_SECONDS = 300.0
CHANNEL_KEPT_SECONDS = 60.0
USER_GROUP_KEPT_SECONDS = 300.0
_SLACKBOT_USER_ID = "USLACKBOT"


@dataclass(frozen=True)
class BotIdentity:
    """What auth.test says of the bot token."""

    team_id: str
    user_id: str
    bot_id: str | None
    team_name: str | None = None
    url: str | None = None
    app_id: str | None = None


class SlackDirectory:
    """Cached answers about people, channels and user groups."""

    def __init__(self, connection: SlackConnection, our_team_id: Callable[[], Awaitable[str]]) -> None:
        self._connection = connection
        self._our_team_id = our_team_id
        self._people: TtlCache[str, Person] = TtlCache(PERSON_KEPT_SECONDS, entries=2048)
        self._channels: TtlCache[str, Channel] = TtlCache(CHANNEL_KEPT_SECONDS)
        self._user_groups: TtlCache[str, frozenset[str]] = TtlCache(USER_GROUP_KEPT_SECONDS, entries=128)

    async def person(self, user_id: str) -> Person:
        return await self._people.get(user_id, lambda: self._load_person(user_id))

    async def channel(self, channel_id: str) -> Channel:
        return await self._channels.get(channel_id, lambda: self._load_channel(channel_id))

    def forget_channel(self, channel_id: str) -> None:
        self._channels.forget(channel_id)

    async def user_group_members(self, user_group_id: str) -> frozenset[str]:
        return await self._user_groups.get(user_group_id, lambda: self._load_user_group(user_group_id))

    async def _load_person(self, user_id: str) -> Person:
        our_team_id = await self._our_team_id()
        answer = await self._connection.call(
            "users.info", self._connection.reading.users_info(user=user_id, include_locale=True)
        )
        return person_from(_mapping(answer.get("user")), user_id, our_team_id)

    async def _load_channel(self, channel_id: str) -> Channel:
        client = self._connection.reading
        try:
            answer = await self._connection.call("conversations.info", client.conversations_info(channel=channel_id))
        except ThreadUnreachable as error:
            raise NotFound(error.summary, error.remedy) from error
        except PermanentError as error:
            # Only something that is not Slack lacks this method; posting there will tell whether the channel is good.
            if error.__cause__ is None or error_code(error.__cause__) != "unknown_method":
                raise
            log.warning("slack_channel_unknown_method", channel_id=channel_id)
            answer = {}
        return channel_from(_mapping(answer.get("channel")), channel_id)

    async def _load_user_group(self, user_group_id: str) -> frozenset[str]:
        client = self._connection.reading
        answer = await self._connection.call(
            "usergroups.users.list", client.usergroups_users_list(usergroup=user_group_id)
        )
        users = answer.get("users")
        return frozenset(str(user) for user in users) if isinstance(users, list) else frozenset()


def person_from(user: Mapping[str, Any], user_id: str, our_team_id: str) -> Person:
    """A `user` object (https://docs.slack.dev/reference/objects/user-object) as access is decided on.

    Someone of another team is a stranger, unless both teams are workspaces of one organisation.
    """
    profile = _mapping(user.get("profile"))
    name = profile.get("display_name") or user.get("real_name") or profile.get("real_name") or user.get("name")
    team_id = user.get("team_id") or profile.get("team")
    organisation_teams = _mapping(user.get("enterprise_user")).get("teams")
    is_of_us = (
        not team_id
        or team_id == our_team_id
        or (isinstance(organisation_teams, list) and our_team_id in organisation_teams)
    )
    return Person(
        user_id=user_id,
        name=str(name or user_id),
        team_id=str(team_id) if team_id else None,
        is_bot=bool(user.get("is_bot")) or user_id == _SLACKBOT_USER_ID,
        is_guest=bool(user.get("is_restricted")) or bool(user.get("is_ultra_restricted")),
        is_stranger=bool(user.get("is_stranger")) or not is_of_us,
        deleted=bool(user.get("deleted")),
        locale=str(user["locale"]) if user.get("locale") else None,
    )


def channel_from(channel: Mapping[str, Any], channel_id: str) -> Channel:
    """A `conversation` object: https://docs.slack.dev/reference/objects/conversation-object."""
    is_direct = bool(channel.get("is_im")) or bool(channel.get("is_mpim"))
    # `is_shared` alone tells of a share of either kind; only one inside the organisation is no concern.
    is_shared_outside = (
        bool(channel.get("is_ext_shared"))
        or bool(channel.get("is_pending_ext_shared"))
        or (bool(channel.get("is_shared")) and not channel.get("is_org_shared"))
    )
    name = channel.get("name")
    return Channel(
        channel_id=channel_id,
        name=str(name) if name else None,
        is_member=is_direct or bool(channel.get("is_member", True)),
        is_shared_outside=is_shared_outside,
        is_archived=bool(channel.get("is_archived")),
        is_direct=is_direct,
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
