"""What was asked lately: answers kept for some seconds, and one flight for all who ask at once.

Used by `slack_directory.py` for people, channels and user groups; knows nothing of Slack.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class TtlCache(Generic[K, V]):
    """At most `entries` answers, each kept `kept_seconds`; the least lately used goes first. Errors are not kept."""

    def __init__(self, kept_seconds: float, entries: int = 1024, clock: Callable[[], float] = time.monotonic) -> None:
        self._kept_seconds = kept_seconds
        self._entries = entries
        self._clock = clock
        self._values: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._flights: dict[K, asyncio.Future[V]] = {}

    async def get(self, key: K, load: Callable[[], Awaitable[V]]) -> V:
        """The kept value, or what `load` returns; who is cancelled does not cancel the others' flight."""
        kept = self._values.get(key)
        if kept is not None and kept[0] > self._clock():
            self._values.move_to_end(key)
            return kept[1]
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.ensure_future(load())
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(flight)

    def forget(self, key: K) -> None:
        """The next to ask gets a fresh answer, also when a flight is under way."""
        self._values.pop(key, None)
        self._flights.pop(key, None)

    def _landed(self, key: K, flight: asyncio.Future[V]) -> None:
        is_current = self._flights.get(key) is flight
        if is_current:
            del self._flights[key]
        # Asking for the exception also marks it as seen, should every asker have gone.
        if flight.cancelled() or flight.exception() is not None or not is_current:
            return
        self._values[key] = (self._clock() + self._kept_seconds, flight.result())
        self._values.move_to_end(key)
        while len(self._values) > self._entries:
            self._values.popitem(last=False)
