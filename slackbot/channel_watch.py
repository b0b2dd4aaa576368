"""A channel changed (shared, archived, the bot removed, the app uninstalled): its sessions are told what that means.

Listeners call it for such events; it asks Slack afresh how the channel is now, and tells the engine. Whatever is missed
here shows later: the performer looks before it posts, and a post that is refused ends its session.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import structlog

from slackbot.core import events as ev
from slackbot.core.errors import DevflowError, IllegalTransition, NotFound, ThreadUnreachable
from slackbot.core.ports import Channel, Chat, SessionStore
from slackbot.core.session import Session
from slackbot.engine import Engine

log = structlog.get_logger()


class ChannelWatch:
    """May be asked any number of times: what is so already changes nothing. Raises `TemporaryError` for another try."""

    def __init__(self, *, engine: Engine, store: SessionStore, chat: Chat) -> None:
        self._engine = engine
        self._store = store
        self._chat = chat

    async def changed(self, channel_id: str) -> None:
        """Something happened to this channel."""
        self._chat.forget_channel(channel_id)
        event = _meaning(await self._channel(channel_id))
        # What is frozen is over, too; it is the only news of the channel that those who are over need.
        async for session in self._sessions(live=not isinstance(event, ev.ChannelUnshared)):
            if session.thread.channel_id == channel_id:
                await self._tell(session.session_id, event)

    async def look(self, session: Session) -> None:
        """Whether this session's channel changed while nobody listened."""
        event = _meaning(await self._channel(session.thread.channel_id))
        if not isinstance(event, ev.ChannelUnshared) or session.thread.frozen_at is not None:
            await self._tell(session.session_id, event)

    def reopened(self, channel_id: str) -> None:
        """The channel is in use again, or the bot was invited: who asks next is not told what was so before."""
        self._chat.forget_channel(channel_id)

    async def uninstalled(self) -> None:
        """The app was taken out of the workspace: nothing can be told anywhere, so nothing is left running."""
        async for session in self._sessions(live=True):
            await self._tell(session.session_id, ev.ThreadLost("The app was uninstalled from the workspace."))

    async def root_deleted(self, session_id: str) -> None:
        """The first message of a session's thread was deleted, it is said; it ends only if that is so."""
        session = await self._engine.load(session_id)
        if session is None or not session.status.is_live:
            return
        thread = session.thread
        try:
            if await self._chat.get_message(thread.channel_id, thread.thread_ts, thread.thread_ts) is not None:
                return
        except (NotFound, ThreadUnreachable) as error:
            log.info("root_not_read", session_id=session_id, why=error.summary)
        await self._tell(session_id, ev.RootDeleted())

    async def _channel(self, channel_id: str) -> Channel | None:
        try:
            return await self._chat.get_channel(channel_id)
        except NotFound:
            return None

    async def _sessions(self, *, live: bool) -> AsyncIterator[Session]:
        async for entry in self._store.scan(self._engine.now(), live=live):
            try:
                session = await self._engine.load(entry.session_id)
            except DevflowError as error:
                log.warning("session_unreadable", session_id=entry.session_id, why=error.summary)
                continue
            if session is not None:
                yield session

    async def _tell(self, session_id: str, event: ev.Event) -> None:
        try:
            await self._engine.handle(session_id, event)
        except (IllegalTransition, NotFound):
            return
        log.info("channel_changed", session_id=session_id, event_type=type(event).__name__)


def _meaning(channel: Channel | None) -> ev.Event:
    if channel is None:
        return ev.ThreadLost("The channel is gone, or DevFlow was removed from it.")
    if channel.is_archived:
        return ev.ThreadLost("The channel is archived.")
    if not (channel.is_member or channel.is_direct):
        return ev.ThreadLost("DevFlow was removed from the channel.")
    return ev.ChannelShared() if channel.is_shared_outside else ev.ChannelUnshared()
