"""Live sessions as this process last read or wrote them, so that the next prompt of a busy thread need not be read for.

Filled by the engine; asked by it for the front desk. Only ever a guess: what is decided on it is written on condition
that the session is still so, and what changes nothing or is refused is decided again on what the store says.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from slackbot.core.session import Session

MAX_BYTES = 32 * 1024 * 1024
"""Of items, by DynamoDB's count; in memory it may be twice as much."""

KEPT_SECONDS = 600
"""Not longer, so that a session which was forgotten and begun anew elsewhere is never taken for the old one."""


@dataclass
class _Entry:
    session: Session
    size_bytes: int
    at: int


class Recollection:
    """The sessions used last, within `max_bytes`."""

    def __init__(self, *, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def keep(self, session: Session, size_bytes: int, now: int) -> None:
        """`session` as it was just read or written. One that is over is not kept: replies to it are rare."""
        self.drop(session.session_id)
        if not session.status.is_live or size_bytes > self._max_bytes:
            return
        self._entries[session.session_id] = _Entry(session, size_bytes, now)
        self._bytes += size_bytes
        while self._bytes > self._max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self._bytes -= oldest.size_bytes

    def get(self, session_id: str, now: int) -> Session | None:
        """The session, if it was seen lately and has not expired since."""
        entry = self._entries.get(session_id)
        if entry is None:
            return None
        if entry.at + KEPT_SECONDS <= now or entry.session.ttl <= now:
            self.drop(session_id)
            return None
        self._entries.move_to_end(session_id)
        return entry.session

    def drop(self, session_id: str) -> None:
        """It is not as it was thought to be."""
        entry = self._entries.pop(session_id, None)
        if entry is not None:
            self._bytes -= entry.size_bytes
