"""The port `Chat` on slack_sdk: what DevFlow says in Slack, and what it reads there.

Calls come from the engine, the gateway and the listeners; each becomes a call of Slack's Web API over one shared
HTTP session. Posts are sent once and never repeated here; reads and changes may be.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Any

import structlog
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from slackbot.adapters.slack_cache import TtlCache
from slackbot.adapters.slack_client import DEFAULT_API_URL, SlackConnection
from slackbot.adapters.slack_directory import BotIdentity, SlackDirectory
from slackbot.adapters.slack_errors import FOREIGN_ERRORS, error_code, translate
from slackbot.adapters.slack_files import SlackFiles
from slackbot.adapters.slack_modals import SlackModals
from slackbot.adapters.slack_pacing import ChannelPacer
from slackbot.adapters.slack_text import cleaned_blocks, message_text
from slackbot.adapters.slack_threads import GONE, SlackThreads, text_or_none
from slackbot.core.errors import DevflowError, NotFound, PermanentError, TemporaryError
from slackbot.core.ports import Blocks, Channel, Message, Metadata, Person

__all__ = ["BotIdentity", "SlackChat"]

log = structlog.get_logger()

_NO_NEW_REACTION = GONE | {"already_reacted", "too_many_reactions", "too_many_emoji"}
_NO_REACTION_LEFT = GONE | {"no_reaction"}


class SlackChat:
    """Slack as the engine sees it. Make it inside a running event loop; `close` it at the end.

    `api_url` may point to a stand-in. `team_id` is ours; None takes it from auth.test. `posts_per_second` paces
    posts and changes per channel (None or 0: no pacing). `total_seconds` bounds one call, `connect_seconds`
    its connection.
    """

    def __init__(
        self,
        *,
        token: str,
        api_url: str = DEFAULT_API_URL,
        team_id: str | None = None,
        posts_per_second: float | None = 1.0,
        total_seconds: float = 15.0,
        connect_seconds: float = 5.0,
        retry_interval_seconds: float = 0.5,
    ) -> None:
        self._connection = SlackConnection(
            token,
            api_url,
            total_seconds=total_seconds,
            connect_seconds=connect_seconds,
            retry_interval_seconds=retry_interval_seconds,
        )
        self._team_id = team_id
        self._identity: TtlCache[str, BotIdentity] = TtlCache(math.inf)
        self._directory = SlackDirectory(self._connection, self._our_team_id)
        self.files = SlackFiles(self._connection)
        self._modals = SlackModals(self._connection)
        self._threads = SlackThreads(self._connection)
        self._pacer = ChannelPacer(posts_per_second)

    @property
    def web_client(self) -> AsyncWebClient:
        """The client for calls that may be repeated: views, conversations and the like."""
        return self._connection.reading

    @property
    def connection(self) -> SlackConnection:
        """Session and clients, for Bolt (`socket_mode.build_app`)."""
        return self._connection

    async def identify(self) -> BotIdentity:
        """Who the bot is (auth.test), asked once. `PermanentError` when the bot token is not good."""
        return await self._identity.get("", self._load_identity)

    async def _load_identity(self) -> BotIdentity:
        answer = await self._connection.call("auth.test", self.web_client.auth_test())
        team_id = self._team_id or answer.get("team_id")
        user_id = answer.get("user_id")
        if not team_id or not user_id:
            raise PermanentError(
                "Slack did not say which workspace and bot user SLACK_BOT_TOKEN belongs to.",
                "Check that it is a bot token (xoxb-...) and that SLACK_API_URL is Slack's.",
            )
        return BotIdentity(
            team_id=str(team_id),
            user_id=str(user_id),
            bot_id=text_or_none(answer.get("bot_id")),
            team_name=text_or_none(answer.get("team")),
            url=text_or_none(answer.get("url")),
            app_id=text_or_none(answer.get("app_id")),
        )

    async def granted_scopes(self) -> frozenset[str] | None:
        """The bot token's scopes, which Slack names in a header of each answer; None where there is no such header.

        https://docs.slack.dev/legacy/legacy-authentication/legacy-oauth-scopes
        """
        try:
            answer = await self.web_client.auth_test()
        except FOREIGN_ERRORS as error:
            raise translate(error, "auth.test") from error
        for name, value in answer.headers.items():
            if name.lower() == "x-oauth-scopes":
                return frozenset(scope.strip() for scope in str(value).split(",") if scope.strip())
        return None

    async def _our_team_id(self) -> str:
        return self._team_id or (await self.identify()).team_id

    # Messages

    async def post_message(
        self,
        channel_id: str,
        *,
        text: str,
        blocks: Blocks | None = None,
        thread_ts: str | None = None,
        metadata: Metadata | None = None,
    ) -> str:
        """Posts once, at the channel's pace, and returns the `ts`. `ThreadUnreachable`: never again there."""
        await self._pacer.turn(channel_id)
        client = self._connection.posting
        request = client.chat_postMessage(
            channel=channel_id,
            text=message_text(text, blocks),
            blocks=cleaned_blocks(blocks) if blocks else None,
            thread_ts=thread_ts,
            metadata=_metadata(metadata),
            unfurl_links=False,
            unfurl_media=False,
        )
        try:
            answer = await self._connection.call("chat.postMessage", request)
        except TemporaryError as error:
            if error.retry_after_seconds is not None:
                self._pacer.hold(channel_id, error.retry_after_seconds)
            raise
        ts = answer.get("ts")
        if not ts:
            raise TemporaryError("Slack took the message but named no ts for it.", outcome_unknown=True)
        return str(ts)

    async def update_message(
        self,
        channel_id: str,
        ts: str,
        *,
        text: str,
        blocks: Blocks | None = None,
        metadata: Metadata | None = None,
    ) -> None:
        """Replaces a message of the bot's. `NotFound` when it is gone. Waiting posts of the channel go first."""
        await self._pacer.turn(channel_id, is_change=True)
        request = self.web_client.chat_update(
            channel=channel_id,
            ts=ts,
            text=message_text(text, blocks),
            # Blocks that are not named would stay; an empty list takes them away.
            blocks=cleaned_blocks(blocks) if blocks else [],
            metadata=_metadata(metadata),
        )
        await self._connection.call("chat.update", request)

    async def delete_message(self, channel_id: str, ts: str) -> None:
        await self._harmlessly("chat.delete", self.web_client.chat_delete(channel=channel_id, ts=ts), GONE)

    async def post_ephemeral(
        self,
        channel_id: str,
        user_id: str,
        *,
        text: str,
        blocks: Blocks | None = None,
        thread_ts: str | None = None,
    ) -> None:
        request = self._connection.posting.chat_postEphemeral(
            channel=channel_id,
            user=user_id,
            text=message_text(text, blocks),
            blocks=cleaned_blocks(blocks) if blocks else None,
            thread_ts=thread_ts,
        )
        await self._connection.call("chat.postEphemeral", request)

    # Reactions

    async def add_reaction(self, channel_id: str, ts: str, name: str) -> None:
        request = self.web_client.reactions_add(channel=channel_id, timestamp=ts, name=name.strip(":"))
        await self._harmlessly("reactions.add", request, _NO_NEW_REACTION)

    async def remove_reaction(self, channel_id: str, ts: str, name: str) -> None:
        request = self.web_client.reactions_remove(channel=channel_id, timestamp=ts, name=name.strip(":"))
        await self._harmlessly("reactions.remove", request, _NO_REACTION_LEFT)

    async def _harmlessly(self, method: str, request: Awaitable[AsyncSlackResponse], codes: frozenset[str]) -> None:
        """A call for which the refusals named in `codes` mean that all is as it should be."""
        try:
            await self._connection.call(method, request)
        except DevflowError as error:
            code = None if error.__cause__ is None else error_code(error.__cause__)
            if code == "unknown_method" and method.startswith("reactions."):
                # Not Slack, then; a missing reaction is no reason to fail.
                log.warning("slack_method_missing", method=method)
                return
            if code not in codes:
                raise

    # Reading a thread

    async def find_messages(
        self, channel_id: str, thread_ts: str, *, event_type: str, oldest: str | None = None
    ) -> list[Message]:
        """The bot's own messages of the thread with metadata of `event_type`, oldest first (2,000 looked at)."""
        identity = await self.identify()
        return await self._threads.find(channel_id, thread_ts, identity, event_type=event_type, oldest=oldest)

    async def get_message(self, channel_id: str, thread_ts: str, ts: str) -> Message | None:
        return await self._threads.get(channel_id, thread_ts, ts)

    async def list_replies(
        self, channel_id: str, thread_ts: str, *, oldest: str | None = None, limit: int = 200
    ) -> list[Message]:
        return await self._threads.latest(channel_id, thread_ts, oldest=oldest, limit=limit)

    # Home

    async def publish_home(self, user_id: str, view: Mapping[str, Any]) -> None:
        request = self.web_client.views_publish(user_id=user_id, view=dict(view))
        await self._connection.call("views.publish", request)

    # Files

    async def upload_file(self, channel_id: str, thread_ts: str, *, filename: str, title: str, content: str) -> str:
        return await self.files.upload(channel_id, thread_ts, filename=filename, title=title, content=content)

    async def read_file(self, file_id: str, limit_bytes: int) -> str:
        return await self.files.read(file_id, limit_bytes)

    def stream_file(self, file_id: str, limit_bytes: int) -> AsyncIterator[bytes]:
        return self.files.stream(file_id, limit_bytes)

    async def upload_bytes(self, filename: str, content: bytes) -> str:
        return await self.files.upload_bytes(filename, content)

    async def share_file(
        self, channel_id: str, thread_ts: str, file_id: str, *, title: str, look_first: bool = False
    ) -> None:
        await self._pacer.turn(channel_id)
        await self.files.share(channel_id, thread_ts, file_id, title=title, look_first=look_first)

    # Modals

    async def open_modal(self, trigger_id: str, view: Mapping[str, Any]) -> str:
        return await self._modals.open(trigger_id, view)

    async def update_modal(self, view_id: str, view: Mapping[str, Any]) -> None:
        await self._modals.update(view_id, view)

    # People and places

    async def get_person(self, user_id: str) -> Person:
        """Kept five minutes. `NotFound` when there is no such person."""
        return await self._directory.person(user_id)

    async def get_channel(self, channel_id: str) -> Channel:
        """Kept a minute. `NotFound` when the bot cannot see it."""
        return await self._directory.channel(channel_id)

    def forget_channel(self, channel_id: str) -> None:
        """The channel changed (the bot was invited, it was archived ...): the next question is asked afresh."""
        self._directory.forget_channel(channel_id)

    async def user_group_members(self, user_group_id: str) -> frozenset[str]:
        """Kept five minutes. `NotFound` when there is no such group."""
        return await self._directory.user_group_members(user_group_id)

    async def get_permalink(self, channel_id: str, ts: str) -> str | None:
        request = self.web_client.chat_getPermalink(channel=channel_id, message_ts=ts)
        try:
            answer = await self._connection.call("chat.getPermalink", request)
        except (NotFound, PermanentError):
            return None
        return text_or_none(answer.get("permalink"))

    async def close(self) -> None:
        await self._connection.close()


def _metadata(metadata: Metadata | None) -> dict[str, Any] | None:
    if metadata is None:
        return None
    return {"event_type": metadata.event_type, "event_payload": dict(metadata.event_payload)}
