"""What the page is told live: numbered events in a bounded buffer, each for everyone or for some people.

The rules publish; `page_api.py` streams them as Server-Sent Events and resumes from `Last-Event-ID`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

BUFFERED_EVENTS = 2000
SUBSCRIBER_EVENTS = 4000
"""A page that falls this far behind is cut off and resynchronises; memory stays bounded."""


@dataclass(frozen=True)
class FeedEvent:
    """One event; `audience` None is everyone."""

    number: int
    data: dict[str, Any]
    audience: frozenset[str] | None

    def is_for(self, user_id: str) -> bool:
        return self.audience is None or user_id in self.audience


class PageFeed:
    """The buffer and its subscribers. Numbers begin at the clock, so that they grow across restarts."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._number = int(clock() * 1000)
        self._buffer: deque[FeedEvent] = deque(maxlen=BUFFERED_EVENTS)
        self._subscribers: set[asyncio.Queue[FeedEvent | None]] = set()

    @property
    def latest(self) -> int:
        return self._number

    def publish(self, data: dict[str, Any], audience: frozenset[str] | None = None) -> None:
        self._number += 1
        event = FeedEvent(self._number, data, audience)
        self._buffer.append(event)
        for queue in list(self._subscribers):
            if queue.qsize() >= SUBSCRIBER_EVENTS:
                self._subscribers.discard(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait(event)

    def since(self, number: int) -> list[FeedEvent] | None:
        """What came after event `number`; None when that is not known any more (or never was)."""
        if number == self._number:
            return []
        if not self._buffer or number > self._number or number < self._buffer[0].number - 1:
            return None
        return [event for event in self._buffer if event.number > number]

    def subscribe(self) -> asyncio.Queue[FeedEvent | None]:
        queue: asyncio.Queue[FeedEvent | None] = asyncio.Queue()
        self._subscribers.add(queue)
        return queue

    def unsubscribe(self, queue: asyncio.Queue[FeedEvent | None]) -> None:
        self._subscribers.discard(queue)

    def close(self) -> None:
        """Ends every stream."""
        for queue in self._subscribers:
            queue.put_nowait(None)
        self._subscribers.clear()
