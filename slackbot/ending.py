"""The end of a process has one budget of time for all its parts: what one of them takes, the later ones lack.

`app` hands every part's closing through it. What is cut off here was stored before, and is done by the next process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger()

LEAST_SECONDS = 0.05
"""What a part gets when the budget is used up: enough to close a socket."""


class Ending:
    """`seconds` in all, counted from `begin`, or from the first part that ends."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until: float | None = None

    def begin(self) -> None:
        if self._until is None:
            self._until = time.monotonic() + self._seconds

    def left(self, at_most: float) -> float:
        """Seconds for the next part."""
        self.begin()
        assert self._until is not None  # noqa: S101  begin() saw to it
        return max(LEAST_SECONDS, min(at_most, self._until - time.monotonic()))

    async def drain(self, drain: Callable[[float], Awaitable[object]], at_most: float) -> None:
        """A part that waits for its work and knows how long it may."""
        seconds = self.left(at_most)
        # It gives up by itself; the second more is for what it then puts in order.
        await self._bounded(lambda: drain(seconds), seconds + 1.0, drain)

    async def close(self, close: Callable[[], Awaitable[object]], at_most: float = 3.0) -> None:
        """A part that just closes; cut off when it takes too long."""
        await self._bounded(close, self.left(at_most), close)

    async def _bounded(self, close: Callable[[], Awaitable[object]], seconds: float, part: object) -> None:
        try:
            async with asyncio.timeout(seconds):
                await close()
        except TimeoutError:
            log.warning("close_cut_off", part=getattr(part, "__qualname__", repr(part)))
