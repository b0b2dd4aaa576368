"""Work that can wait for a moment in which nothing comes in: marks on prompts, cards of live sessions.

The engine adds sessions and says when it stored something; `begin` is called for one session after the other. What
comes in between is one piece of work, and nothing that people wait for stands behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

QUIET_SECONDS = 0.05
"""So long nothing may have been stored: less than people notice, more than lies between the saves of one reply."""

AT_MOST_SECONDS = 1.0
"""Quiet or not, nothing waits longer for its turn to come."""

SPACING_SECONDS = 0.005
"""Between two beginnings, so that what was put off by many sessions does not come back all at once."""


class QuietTime:
    """Belongs to one event loop. `begin` must not raise."""

    def __init__(self, begin: Callable[[str], None]) -> None:
        self._begin = begin
        self._waiting: dict[str, float] = {}
        self._disturbed_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def disturb(self) -> None:
        """Something was just stored: more may follow."""
        self._disturbed_at = asyncio.get_running_loop().time()

    def add(self, session_id: str) -> None:
        """Begins with `session_id` soon; harmless when it waits already."""
        loop = asyncio.get_running_loop()
        self._waiting.setdefault(session_id, loop.time())
        if self._timer is None:
            self._timer = loop.call_later(min(QUIET_SECONDS, AT_MOST_SECONDS), self._look, loop)

    def discard(self, session_id: str) -> None:
        """It was begun with for another reason."""
        self._waiting.pop(session_id, None)

    def begin_all(self) -> None:
        """Waits no longer with any."""
        for session_id in list(self._waiting):
            self._waiting.pop(session_id, None)
            self._begin(session_id)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begins with the one that waits longest, if it may begin now, and comes back for the next one."""
        self._timer = None
        if not self._waiting:
            return
        session_id, since = next(iter(self._waiting.items()))
        wait_seconds = min(self._disturbed_at + QUIET_SECONDS, since + AT_MOST_SECONDS) - loop.time()
        if wait_seconds <= 0:
            del self._waiting[session_id]
            self._begin(session_id)
            wait_seconds = SPACING_SECONDS
        self._timer = loop.call_later(wait_seconds, self._look, loop)
