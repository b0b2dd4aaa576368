"""Threads read back: the bot's own posts by their metadata, and single messages by their ts.

Called by `slack.py`; reads conversations.replies page by page.
https://docs.slack.dev/reference/methods/conversations.replies
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Any

import structlog

from slackbot.adapters.slack_client import SlackConnection
from slackbot.adapters.slack_directory import BotIdentity
from slackbot.adapters.slack_errors import error_code
from slackbot.core.attachments import attached_of
from slackbot.core.errors import DevflowError
from slackbot.core.ports import Message

log = structlog.get_logger()

GONE = frozenset({"message_not_found", "thread_not_found"})
_PAGE_MESSAGES = 200
_PAGES = 10


class SlackThreads:
    """Reads threads through one `SlackConnection`."""

    def __init__(self, connection: SlackConnection) -> None:
        self._connection = connection

    async def find(
        self, channel_id: str, thread_ts: str, identity: BotIdentity, *, event_type: str, oldest: str | None
    ) -> list[Message]:
        found = {}
        async for raw in self._replies(channel_id, thread_ts, oldest=oldest):
            message = message_from(raw)
            is_own = message.user_id == identity.user_id or (
                message.bot_id is not None and message.bot_id == identity.bot_id
            )
            if is_own and message.metadata is not None and message.metadata.get("event_type") == event_type:
                found[message.ts] = message
        return sorted(found.values(), key=lambda message: _moment(message.ts))

    async def get(self, channel_id: str, thread_ts: str, ts: str) -> Message | None:
        # The root comes first whatever the bounds are, hence the look at each ts.
        async for raw in self._replies(channel_id, thread_ts, oldest=ts, latest=ts):
            if raw.get("ts") == ts:
                return None if raw.get("subtype") == "tombstone" else message_from(raw)
        return None

    async def latest(self, channel_id: str, thread_ts: str, *, oldest: str | None, limit: int) -> list[Message]:
        """The root, and the last of the thread's other messages: at most `limit` in all."""
        root: Message | None = None
        kept: deque[Message] = deque(maxlen=max(limit - 1, 0))
        seen: set[str] = set()
        async for raw in self._replies(channel_id, thread_ts, oldest=oldest):
            message = message_from(raw)
            if message.ts in seen or message.subtype == "tombstone":
                continue
            seen.add(message.ts)
            if message.ts == thread_ts:
                root = message
            else:
                kept.append(message)
        found = sorted(kept, key=lambda message: _moment(message.ts))
        return [root, *found] if root is not None else found

    async def _replies(
        self, channel_id: str, thread_ts: str, *, oldest: str | None, latest: str | None = None
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Root and replies between the bounds (inclusive), page by page; nothing when the thread is gone."""
        cursor: str | None = None
        for _ in range(_PAGES):
            request = self._connection.reading.conversations_replies(
                channel=channel_id,
                ts=thread_ts,
                oldest=oldest,
                latest=latest,
                inclusive=True,
                limit=_PAGE_MESSAGES,
                cursor=cursor,
                include_all_metadata=True,
            )
            try:
                answer = await self._connection.call("conversations.replies", request)
            except DevflowError as error:
                if error.__cause__ is not None and error_code(error.__cause__) in GONE:
                    return
                raise
            messages = answer.get("messages")
            for raw in messages if isinstance(messages, list) else []:
                if isinstance(raw, Mapping) and raw.get("ts"):
                    yield raw
            notes = answer.get("response_metadata")
            cursor = notes.get("next_cursor") if isinstance(notes, Mapping) else None
            if not cursor:
                return
        log.warning("slack_thread_read_in_part", channel_id=channel_id, thread_ts=thread_ts, pages=_PAGES)


def message_from(raw: Mapping[str, Any]) -> Message:
    """A message of the Web API as DevFlow reads it."""
    metadata = raw.get("metadata")
    return Message(
        ts=str(raw["ts"]),
        user_id=text_or_none(raw.get("user")),
        text=str(raw.get("text") or "") or _said_elsewhere(raw),
        bot_id=text_or_none(raw.get("bot_id")),
        thread_ts=text_or_none(raw.get("thread_ts")),
        metadata=metadata if isinstance(metadata, Mapping) else None,
        subtype=text_or_none(raw.get("subtype")),
        files=attached_of(raw.get("files")),
    )


def _said_elsewhere(raw: Mapping[str, Any]) -> str:
    """What a message without `text` says: alerts of other apps often speak in attachments or blocks alone."""
    lines: list[str] = []
    attachments = raw.get("attachments")
    for attachment in attachments if isinstance(attachments, list) else []:
        if isinstance(attachment, Mapping):
            given = [text_or_none(attachment.get(name)) for name in ("pretext", "title", "text")]
            lines += [line for line in given if line] or [text_or_none(attachment.get("fallback")) or ""]
    blocks = raw.get("blocks")
    for block in blocks if isinstance(blocks, list) else []:
        if isinstance(block, Mapping) and block.get("type") in ("section", "header", "markdown"):
            text = block.get("text")
            lines.append(text_or_none(text.get("text") if isinstance(text, Mapping) else text) or "")
    return "\n".join(line for line in lines if line)


def _moment(ts: str) -> tuple[int, str]:
    """A ts as a sort key: seconds as a number, the rest as it is."""
    seconds, _, rest = ts.partition(".")
    return (int(seconds) if seconds.isdigit() else 0, rest)


def text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
