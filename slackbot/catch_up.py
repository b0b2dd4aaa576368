"""After silence (a start, a deaf while) the threads of live sessions are read: what people wrote becomes prompts.

Slack sends an event again for some minutes only. `app` calls `want` whenever Slack is heard again; replies go the way
of any other, through the front desk, which knows by its ts each one that was heard before.
https://docs.slack.dev/apis/events-api#retries
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from slackbot.channel_watch import ChannelWatch
from slackbot.core.command_text import ThreadCommand, parse_reply
from slackbot.core.errors import DevflowError, TemporaryError
from slackbot.core.ports import Chat, Message, SessionStore
from slackbot.core.session import Session
from slackbot.engine import Engine
from slackbot.front_desk import Reply

log = structlog.get_logger()

PAUSE_SECONDS = 2.5
"""Between two threads: conversations.replies may be asked some fifty times a minute, and half of that is for answers.
https://docs.slack.dev/apis/web-api/rate-limits"""

MOST_THREADS = 1000
"""In one pass, those that were busy last; it takes most of an hour."""

MARGIN_SECONDS = 60
"""A silence is noticed late, and clocks differ. What is read twice is one prompt."""

_SPOKEN = (None, "thread_broadcast", "file_share")
_ASKED_NOW = ("status", "help")
"""Words whose answer nobody waits for any more."""

_MAX_TRIES = 5
_MOST_REPLIES = 2000


class CatchUp:
    """`hear` takes a reply as the listener of messages does. `started_at`: Unix seconds since when this bot listens."""

    def __init__(
        self,
        *,
        engine: Engine,
        store: SessionStore,
        chat: Chat,
        watch: ChannelWatch,
        hear: Callable[[Reply], Awaitable[None]],
        bot_user_id: str,
        started_at: int,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._engine = engine
        self._store = store
        self._chat = chat
        self._watch = watch
        self._hear = hear
        self._bot_user_id = bot_user_id
        self._started_at = started_at
        self._pause_seconds = pause_seconds
        self._silent_since: int | None = None
        self._look = asyncio.Event()

    def want(self, silent_since: int) -> None:
        """Slack is heard again. `silent_since`: Unix seconds; 0 = not known, so each session's last prompt counts."""
        self._silent_since = min(silent_since, self._silent_since if self._silent_since is not None else silent_since)
        self._look.set()

    async def run(self) -> None:
        """Passes whenever they are wanted, one at a time, for ever."""
        while True:
            await self._look.wait()
            self._look.clear()
            silent_since, self._silent_since = self._silent_since or 0, None
            try:
                await self.run_once(silent_since)
            except DevflowError as error:
                log.warning("catch_up_put_off", why=error.summary)
                await asyncio.sleep(max(self._pause_seconds, 5.0))
                self.want(silent_since)

    async def run_once(self, silent_since: int) -> None:
        """One pass over the live sessions, those that were busy last first."""
        live = [entry async for entry in self._store.scan(self._engine.now(), live=True)]
        heard = 0
        latest = sorted(live, key=lambda entry: entry.updated_at, reverse=True)[:MOST_THREADS]
        left = [entry.session_id for entry in latest]
        for tried in range(1, _MAX_TRIES + 1):
            put_off = []
            for session_id in left:
                replies, is_done = await self._tried(session_id, silent_since)
                heard += replies
                if not is_done:
                    put_off.append(session_id)
                await asyncio.sleep(self._pause_seconds)
            left = put_off
            if not left:
                break
            # Slack may have given up on what was found there: nobody else brings it.
            await asyncio.sleep(self._pause_seconds * 2**tried)
        log.info("caught_up", sessions=len(latest), left_out=len(live) - len(latest), replies=heard, unread=len(left))

    async def _tried(self, session_id: str, silent_since: int) -> tuple[int, bool]:
        """As `_session`, and whether that is all; one session's trouble is its own."""
        try:
            return await self._session(session_id, silent_since), True
        except DevflowError as error:
            log.warning("thread_not_read", session_id=session_id, why=error.summary)
            return 0, not isinstance(error, TemporaryError)
        except Exception:
            log.exception("thread_not_read", session_id=session_id)
            return 0, False

    async def _session(self, session_id: str, silent_since: int) -> int:
        """Hears what is new in one thread; how many replies that was."""
        session = await self._engine.load(session_id)
        if session is None or not session.status.is_live:
            return 0
        await self._watch.look(session)
        oldest = max(
            read_until(session, self._started_at), f"{max(0, silent_since - MARGIN_SECONDS)}.000000", key=float
        )
        new = [
            message
            for message in await self._read(session, oldest)
            if float(message.ts) > float(oldest) and self._is_new(session, message)
        ]
        for message in new:
            thread = session.thread
            reply = Reply(
                channel_id=thread.channel_id,
                thread_ts=thread.thread_ts,
                message_ts=message.ts,
                user_id=message.user_id or "",
                text=message.text,
                root_is_ours=True,
                files=message.files,
            )
            log.info("reply_found", session_id=session_id, message_ts=message.ts)
            await self._hear(reply)
        return len(new)

    async def _read(self, session: Session, oldest: str) -> list[Message]:
        for tried in range(1, _MAX_TRIES + 1):
            try:
                return await self._chat.list_replies(
                    session.thread.channel_id, session.thread.thread_ts, oldest=oldest, limit=_MOST_REPLIES
                )
            except TemporaryError as error:
                if tried == _MAX_TRIES:
                    raise
                await asyncio.sleep(max(error.retry_after_seconds or 0.0, self._pause_seconds * 2**tried))
        raise AssertionError("unreachable")

    def _is_new(self, session: Session, message: Message) -> bool:
        if (
            message.ts == session.thread.thread_ts
            or message.bot_id
            or not message.user_id
            or message.subtype not in _SPOKEN
        ):
            return False
        request_id = f"{session.thread.channel_id}:{message.ts}"
        if session.turn(request_id) is not None or request_id in session.heard:
            return False
        said = parse_reply(message.text, self._bot_user_id)
        return not (isinstance(said, ThreadCommand) and said.verb in _ASKED_NOW)


def read_until(session: Session, started_at: int) -> str:
    """The ts up to which everything in the thread was heard: the last prompt that was stored before `started_at`.

    What was stored since then says nothing of what came before it: Slack may have given up on that.
    """
    known = [session.thread.thread_ts, session.dropped_ts or "0"]
    known += [turn.prompt_ts for turn in session.history if turn.prompt_ts and turn.prompted_at < started_at]
    return max(known, key=float)
