"""Gathers from Slack what `core.access` decides on: is this person, in this channel, to be listened to?

Asked by the front desk before anything is stored; the adapter caches, so that a reply costs no extra call.
"""

from __future__ import annotations

from slackbot.core.access import AccessPolicy, check_channel, check_person
from slackbot.core.errors import DevflowError, NotAdmitted, NotFound
from slackbot.core.ports import Channel, Chat, Person
from slackbot.views.language import DEFAULT, language_of


class Admission:
    """Default-deny: raises `NotAdmitted` with a sentence, or returns who or where it is."""

    def __init__(self, chat: Chat, policy: AccessPolicy) -> None:
        self._chat = chat
        self.policy = policy

    async def person(self, user_id: str) -> Person:
        """The person, when they may use DevFlow."""
        try:
            person = await self._chat.get_person(user_id)
        except NotFound as error:
            raise NotAdmitted("Slack does not say who you are, so nothing was done.", error.remedy) from error
        in_group = False
        if self.policy.must_ask_groups(user_id):
            for group_id in sorted(self.policy.groups):
                if user_id in await self._chat.user_group_members(group_id):
                    in_group = True
                    break
        check_person(person, self.policy, in_group=in_group)
        return person

    async def language(self, user_id: str) -> str:
        """What this person reads, by their Slack locale; English where Slack does not say. Never raises."""
        try:
            return language_of((await self._chat.get_person(user_id)).locale)
        except DevflowError:
            return DEFAULT

    async def channel(self, channel_id: str, *, must_post: bool) -> Channel:
        """The channel, when DevFlow may work in it; `must_post`: and is a member of it."""
        invite = "Invite it with `/invite @DevFlow`, then try again."
        try:
            channel = await self._chat.get_channel(channel_id)
        except NotFound as error:
            raise NotAdmitted("DevFlow is not in this channel, so nothing was started.", invite) from error
        check_channel(channel, self.policy)
        if must_post and not (channel.is_member or channel.is_direct):
            raise NotAdmitted("DevFlow is not in this channel, so nothing was started.", invite)
        return channel
