"""One progress message for each turn in work: worker -> gateway -> here -> Slack, coalesced, never stored.

The message's `ts` goes to the worker as a handle and comes back with each report, so that a restarted bot goes on
with the same message. Posting happens in the background: a worker never waits for Slack.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from slackbot.core.errors import DevflowError, TemporaryError
from slackbot.core.ports import Chat
from slackbot.core.session import Session, Turn
from slackbot.own_messages import find_own, take_away
from slackbot.views.progress import PROGRESS_EVENT_TYPE, ProgressPicture, progress, progress_metadata

log = structlog.get_logger()

INTERVALS_SECONDS = (6.0, 7.0, 9.0, 11.0, 13.0, 15.0)
"""Between two updates of one message; the last one repeats. A turn of five seconds is told of once, so that with marks,
card and answer it takes eight calls of Slack, which allows some 50 updates a minute in all.
https://docs.slack.dev/apis/web-api/rate-limits/"""

MOMENT_SECONDS = 1.0
"""Between a picture and the next one, when something changed that people look for (a prompt waits, for example)."""

_MAX_ENTRIES = 2_000


class ProgressBoard:
    """What turns in work show. `clock` is monotonic, in seconds; `first_delay_seconds` spares quick turns a message.

    `since`: Unix seconds; turns that were claimed before it may have a message that an earlier process posted.
    `is_working(session_id, turn_id)` reads the store: the end of a turn may be reported to another replica.
    """

    def __init__(
        self,
        chat: Chat,
        *,
        clock: Callable[[], float],
        first_delay_seconds: float = 0.25,
        since: int = 0,
        is_working: Callable[[str, str], Awaitable[bool]] | None = None,
    ) -> None:
        self._chat = chat
        self._clock = clock
        self._first_delay_seconds = first_delay_seconds
        self._since = since
        self._is_working = is_working
        self._entries: dict[tuple[str, str], _Entry] = {}
        self._paused_until = 0.0

    def report(self, session: Session, turn: Turn, picture: ProgressPicture, handle: str | None) -> str | None:
        """Takes the newest picture and returns at once the handle known so far."""
        key = (session.session_id, turn.turn_id)
        entry = self._entry(key)
        if entry is None:
            return handle
        entry.reports += 1
        entry.message_ts = entry.message_ts or handle
        if not entry.closed and session.thread.lost is None:
            entry.latest = (session, turn, picture)
            entry.picture = picture
            if entry.task is None:
                entry.task = asyncio.create_task(self._show(key, entry), name=f"progress:{turn.turn_id}")
        return entry.message_ts

    def refresh(self, session: Session) -> None:
        """The session changed: what waits behind the turn in work, and whether it is being cancelled, is shown soon."""
        turn = session.working_turn
        entry = self._entries.get((session.session_id, turn.turn_id)) if turn is not None else None
        if turn is None or entry is None or entry.picture is None or entry.closed or session.thread.lost is not None:
            return
        is_asked = session.open_permission is not None
        shows = (turn.cancelled_at, is_asked, [waiting.turn_id for waiting in session.waiting_turns])
        if shows == entry.shows:
            return
        entry.shows = shows
        entry.latest = (session, turn, entry.picture)
        entry.shown = min(entry.shown, 1)
        entry.wake.set()

    def note_handle(self, session: Session, turn_id: str, handle: str | None, *, reports: int) -> None:
        """The worker told which message it is, with its answer; and how often it reported, here and elsewhere."""
        key = (session.session_id, turn_id)
        entry = self._entry(key) if handle or reports else None
        if entry is not None:
            entry.message_ts = entry.message_ts or handle
            entry.is_unknown = entry.is_unknown or entry.reports < reports

    def _entry(self, key: tuple[str, str]) -> _Entry | None:
        """The turn's entry, a new one if need be; None where so many turns are shown that there is no place."""
        entry = self._entries.get(key)
        if entry is None:
            if len(self._entries) >= _MAX_ENTRIES:
                # Noted when the answer came, and its end was told by another replica: nobody clears that here.
                stale = next((known for known, each in self._entries.items() if each.task is None), None)
                if stale is None:
                    return None
                del self._entries[stale]
            entry = self._entries[key] = _Entry()
        return entry

    async def clear(self, session: Session, turn: Turn, *, look: bool) -> None:
        """The turn has ended: its progress message goes. `look`: search the thread for one this process forgot."""
        entry = self._entries.pop((session.session_id, turn.turn_id), None)
        stale = set()
        if entry is not None:
            entry.closed = True
            entry.wake.set()
            if entry.task is not None:
                await asyncio.gather(entry.task, return_exceptions=True)
            if entry.message_ts:
                stale.add(entry.message_ts)
            look = look or entry.is_unknown
        if look or (turn.claimed_at is not None and turn.claimed_at <= self._since):
            stale.update(await self._find(session, turn.turn_id))
        for ts in sorted(stale):
            await take_away(self._chat, session, ts)

    async def close(self) -> None:
        """Ends the updates; the messages stay for the next process."""
        tasks = []
        for entry in self._entries.values():
            entry.closed = True
            entry.wake.set()
            if entry.task is not None:
                tasks.append(entry.task)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _show(self, key: tuple[str, str], entry: _Entry) -> None:
        """Draws the latest picture at growing intervals until the turn ends, here or elsewhere."""
        await self._wait(entry, self._first_delay_seconds)
        try:
            while not entry.closed:
                if entry.latest is not None:
                    session, turn, picture = entry.latest
                    entry.latest = None
                    await self._draw(entry, session, turn, picture)
                elif await self._has_ended(key):
                    await self._forget(key, entry, session)
                    return
                await self._wait(entry, INTERVALS_SECONDS[min(entry.shown, len(INTERVALS_SECONDS) - 1)])
                entry.shown += 1
                if entry.wake.is_set() and not entry.closed:
                    # Something changed that people look for; still not sooner than a moment after the last picture.
                    entry.wake.clear()
                    await self._wait(entry, MOMENT_SECONDS)
        finally:
            entry.task = None

    async def _has_ended(self, key: tuple[str, str]) -> bool:
        try:
            return self._is_working is not None and not await self._is_working(*key)
        except DevflowError:
            return False

    async def _forget(self, key: tuple[str, str], entry: _Entry, session: Session) -> None:
        """The turn ended by way of another replica, which may not have seen this message."""
        try:
            stale = set(await self._find(session, key[1])) if entry.is_unknown else set()
            for ts in sorted(stale | ({entry.message_ts} if entry.message_ts else set())):
                await take_away(self._chat, session, ts)
        except DevflowError as error:
            log.info("progress_not_deleted", session_id=session.session_id, why=error.summary)
        if not entry.closed:
            self._entries.pop(key, None)

    async def _find(self, session: Session, turn_id: str) -> list[str]:
        """The `ts` of the turn's progress messages that stand in the thread."""
        found = await find_own(self._chat, session, PROGRESS_EVENT_TYPE)
        payloads = [(message.ts, (message.metadata or {}).get("event_payload")) for message in found]
        return [ts for ts, payload in payloads if isinstance(payload, dict) and payload.get("turn_id") == turn_id]

    async def _draw(self, entry: _Entry, session: Session, turn: Turn, picture: ProgressPicture) -> None:
        if self._clock() < self._paused_until:
            return
        view = progress(session, turn, picture)
        metadata = progress_metadata(session, turn)
        thread = session.thread
        try:
            if entry.message_ts is None and entry.is_unknown:
                entry.message_ts = next(iter(await self._find(session, turn.turn_id)), None)
            if entry.message_ts is None:
                entry.is_unknown = True
                entry.message_ts = await self._chat.post_message(
                    thread.channel_id,
                    text=view.text,
                    blocks=view.blocks,
                    thread_ts=thread.thread_ts,
                    metadata=metadata,
                )
                entry.is_unknown = False
            else:
                await self._chat.update_message(
                    thread.channel_id, entry.message_ts, text=view.text, blocks=view.blocks, metadata=metadata
                )
        except TemporaryError as error:
            # Progress gives way first: all of it pauses, so that answers have what Slack still allows.
            self._paused_until = self._clock() + max(error.retry_after_seconds or 0.0, 5.0)
        except DevflowError as error:
            log.info("progress_not_shown", session_id=session.session_id, why=error.summary)

    async def _wait(self, entry: _Entry, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await entry.wake.wait()
        except TimeoutError:
            return


class _Entry:
    """The message of one turn."""

    def __init__(self) -> None:
        self.message_ts: str | None = None
        self.shown = 0
        self.latest: tuple[Session, Turn, ProgressPicture] | None = None
        self.picture: ProgressPicture | None = None
        self.shows: tuple[int | None, bool, list[str]] = (None, False, [])
        """When the turn was cancelled, whether leave is asked for, and which turns wait, as they are shown."""
        self.task: asyncio.Task[None] | None = None
        self.closed = False
        self.reports = 0
        self.is_unknown = False
        """There may be a message, posted by another process, and nobody here knows which."""
        self.wake = asyncio.Event()
