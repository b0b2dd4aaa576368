"""What follows from a write: its line in the log and in the audit log, whoever is woken, what is owed and performed.

The engine's writes and the front desk put it here. One write alone is followed up at once; where one comes after the
other, those who still wait for theirs, and with them Slack, go first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import structlog

log = structlog.get_logger()

CLOSE_SECONDS = 0.005
"""Two writes no further apart than this come one after the other."""

AT_MOST_SECONDS = 0.25
"""However many there are, the first of them waits no longer."""

A_ROUND = 16
"""A few are done in little more time than one: what they need is at hand."""


class Afterwards:
    """Belongs to one event loop. What follows happens in the order in which it was put here."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._since = 0.0
        self._latest_at = float("-inf")
        self._handle: asyncio.Handle | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def do(self, follow: Callable[[], None]) -> None:
        """Soon, and never before the caller's own task has gone on."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        is_alone = now - self._latest_at > CLOSE_SECONDS
        self._latest_at = now
        self._waiting.append(follow)
        if self._handle is None:
            self._since = now
            self._handle = loop.call_soon(self._some, loop) if is_alone else self._later(loop, CLOSE_SECONDS)

    def do_all(self) -> None:
        """Waits no longer with anything."""
        while self._waiting:
            self._next()

    def _some(self, loop: asyncio.AbstractEventLoop) -> None:
        """A few in a round of the loop, so that who comes in meanwhile does not wait for all."""
        for _ in range(min(A_ROUND, len(self._waiting))):
            self._next()
        self._handle = loop.call_soon(self._some, loop) if self._waiting else None

    def _next(self) -> None:
        try:
            self._waiting.popleft()()
        except Exception:
            # What is owed is in the store; the reconciler comes by.
            log.exception("follow_up_failed")

    def _later(self, loop: asyncio.AbstractEventLoop, seconds: float) -> asyncio.Handle:
        return loop.call_later(seconds, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        wait_seconds = min(self._latest_at + CLOSE_SECONDS, self._since + AT_MOST_SECONDS) - loop.time()
        if wait_seconds > 0:
            self._handle = self._later(loop, wait_seconds)
        else:
            self._some(loop)
