"""A post that was repeated because its first try could not be found may turn out to stand twice: the late one goes.

Slack may take a post, answer nothing, and show it only later. The thread writer names what it repeated; here it is
looked for some moments after, and the one that the session's item names stays, whichever replica posted it. What is not
seen by then is never deleted, and a restart forgets it: a double is a blemish, not a loss.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from slackbot.core.effects import is_lasting, owed
from slackbot.core.errors import DevflowError
from slackbot.core.ports import Chat, Message, Metadata
from slackbot.core.session import Session

log = structlog.get_logger()

LOOKS_AFTER_SECONDS = (10.0, 60.0, 300.0)
MAX_WATCHED = 500

LoadSession = Callable[[str], Awaitable[Session | None]]
"""The session as it is stored, by its id; None where there is none any more."""


class LateDoubles:
    """Looks in the background, each look a task of its own, and so many at once at most."""

    def __init__(self, chat: Chat, load: LoadSession) -> None:
        self._chat = chat
        self._load = load
        self._tasks: set[asyncio.Task[None]] = set()

    def watch(self, session: Session, metadata: Metadata, ts: str) -> None:
        """`ts` was posted for what `metadata` names; of all posts with the same metadata in the thread one stays."""
        if len(self._tasks) >= MAX_WATCHED:
            return
        task = asyncio.create_task(self._look(session, metadata), name=f"late_doubles:{ts}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look(self, session: Session, metadata: Metadata) -> None:
        channel_id, since = session.thread.channel_id, 0.0
        for after in LOOKS_AFTER_SECONDS:
            await asyncio.sleep(after - since)
            since = after
            try:
                for double in await self._doubles(session, metadata):
                    log.info("late_double_deleted", channel_id=channel_id, message_ts=double.ts)
                    await self._chat.delete_message(channel_id, double.ts)
            except DevflowError as error:
                log.info("late_double_not_looked_for", channel_id=channel_id, why=error.summary)

    async def _doubles(self, session: Session, metadata: Metadata) -> list[Message]:
        thread, wanted = session.thread, dict(metadata.event_payload)
        posts = await self._chat.find_messages(thread.channel_id, thread.thread_ts, event_type=metadata.event_type)
        same = [post for post in posts if (post.metadata or {}).get("event_payload") == wanted]
        if len(same) < 2:
            return []
        stored = await self._load(session.session_id)
        named = _named(stored) if stored is not None else frozenset()
        stays = next((post for post in same if post.ts in named), None)
        if stays is None:
            if stored is not None and _may_name_one(stored):
                return []
            # Every replica sees the same one as the first: two that look at once do not delete each other's.
            stays = min(same, key=lambda post: post.ts)
        return [post for post in same if post is not stays]


def _named(session: Session) -> frozenset[str]:
    """The `ts` of every post that the item names."""
    kept = [session.thread.status_ts, session.pull_request.card_ts, session.stay.warning_ts]
    kept += [turn.response_ts for turn in session.history]
    kept += [question.message_ts for question in session.permissions]
    return frozenset(ts for ts in kept if ts)


def _may_name_one(session: Session) -> bool:
    """Whether something is still to be told in the thread: it may stand there already, and be recorded in a moment."""
    return any(effect.lane == "thread" and is_lasting(effect, session) for effect in owed(session))
