"""A post that was repeated because its first try could not be found may turn out to stand twice: the late one goes.

Slack may take a post, answer nothing, and show it only later. The thread writer names what it repeated; here it is
looked for some moments after. What is not seen by then is never deleted, and a restart forgets it: a double is a
blemish, not a loss.
"""

from __future__ import annotations

import asyncio

import structlog

from slackbot.core.errors import DevflowError
from slackbot.core.ports import Chat, Metadata

log = structlog.get_logger()

LOOKS_AFTER_SECONDS = (10.0, 60.0, 300.0)
MAX_WATCHED = 500


class LateDoubles:
    """Looks in the background, each look a task of its own, and so many at once at most."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._tasks: set[asyncio.Task[None]] = set()

    def watch(self, channel_id: str, thread_ts: str, metadata: Metadata, ts: str) -> None:
        """`ts` stands for what `metadata` names; any other post of the same metadata in the thread is a double."""
        if len(self._tasks) >= MAX_WATCHED:
            return
        task = asyncio.create_task(self._look(channel_id, thread_ts, metadata, ts), name=f"late_doubles:{ts}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look(self, channel_id: str, thread_ts: str, metadata: Metadata, ts: str) -> None:
        since = 0.0
        for after in LOOKS_AFTER_SECONDS:
            await asyncio.sleep(after - since)
            since = after
            try:
                posts = await self._chat.find_messages(channel_id, thread_ts, event_type=metadata.event_type)
                wanted = dict(metadata.event_payload)
                same = [post for post in posts if (post.metadata or {}).get("event_payload") == wanted]
                if not any(post.ts == ts for post in same):
                    return  # somebody deleted it, so what is left is the only one
                for double in same:
                    if double.ts != ts:
                        log.info("late_double_deleted", channel_id=channel_id, message_ts=double.ts)
                        await self._chat.delete_message(channel_id, double.ts)
            except DevflowError as error:
                log.info("late_double_not_looked_for", channel_id=channel_id, why=error.summary)
