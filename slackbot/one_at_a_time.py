"""One holder of a key at a time, the others behind it in the order in which they came.

Used by the front desk for the messages of a thread and by the engine for the writes of a session. Nothing is kept of a
key that nobody holds, and taking a free one makes no object but its entry.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Hashable
from types import TracebackType


class OneAtATime:
    """Belongs to one event loop. `async with one_at_a_time.of(key):`"""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, deque[asyncio.Future[None]] | None] = {}
        """By key: who waits behind its holder; None = nobody."""

    def is_held(self, key: Hashable) -> bool:
        return key in self._waiting

    def of(self, key: Hashable) -> _Turn:
        return _Turn(self, key)

    async def take(self, key: Hashable) -> None:
        if key not in self._waiting:
            self._waiting[key] = None
            return
        queue = self._waiting[key]
        if queue is None:
            queue = self._waiting[key] = deque()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                # Not there any more where it was passed over before this task came to know of its end.
                with contextlib.suppress(ValueError):
                    queue.remove(turn)
            else:
                self.give_back(key)  # it was given just now
            raise

    def give_back(self, key: Hashable) -> None:
        """To the one that waits longest."""
        queue = self._waiting[key]
        while queue:
            turn = queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._waiting[key]


class _Turn:
    __slots__ = ("_key", "_turns")

    def __init__(self, turns: OneAtATime, key: Hashable) -> None:
        self._turns = turns
        self._key = key

    async def __aenter__(self) -> None:
        await self._turns.take(self._key)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._turns.give_back(self._key)
