"""In which order envelopes of Socket Mode begin, and how many at once.

`socket_intake` lets each envelope wait for its turn here, by the time at which what it tells of was written.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from typing import Any

STARTS_A_ROUND = 8
ROUNDS_BEFORE = 1


class Turnstile:
    """Lets so many begin in one round of the event loop, those that were written first before the others.

    Of a hundred envelopes that came together, the first are acknowledged while the last have not begun; begun all
    at once, each would wait for all the others. And what was written in one breath comes over several sockets, which
    are read one after the other: a few rounds of the loop pass before anything begins, and then it goes by its ts.
    """

    def __init__(self, starts_a_round: int = STARTS_A_ROUND) -> None:
        self._starts_a_round = starts_a_round
        self._numbers = itertools.count()
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._is_round_due = False

    async def turn(self, written_at: float = 0.0) -> None:
        """Returns when it is the caller's turn. `written_at`: Unix seconds; of equal ones, first come, first served."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._waiting, (written_at, next(self._numbers), waiting))
        if not self._is_round_due:
            self._is_round_due = True
            self._let_pass(loop, ROUNDS_BEFORE)
        await waiting

    def _let_pass(self, loop: asyncio.AbstractEventLoop, rounds: int) -> None:
        if rounds:
            loop.call_soon(self._let_pass, loop, rounds - 1)
        else:
            self._next_round(loop)

    def _next_round(self, loop: asyncio.AbstractEventLoop) -> None:
        started = 0
        while self._waiting and started < self._starts_a_round:
            _, _, waiting = heapq.heappop(self._waiting)
            if not waiting.done():  # else its task was cancelled
                waiting.set_result(None)
                started += 1
        self._is_round_due = bool(self._waiting)
        if self._waiting:
            # What these store is committed in the round between, and is acknowledged before the next ones begin.
            loop.call_soon(loop.call_soon, self._next_round, loop)


def written_at(message: dict[str, Any]) -> float:
    """When what an event tells of happened, by its ts; now, for commands and buttons."""
    payload = message.get("payload")
    event = payload.get("event") if isinstance(payload, dict) else None
    # `event_ts` is there for all events, not for messages alone: an edit has its own, a channel's news too.
    ts = event.get("event_ts") or event.get("ts") if isinstance(event, dict) else None
    now = time.time()
    try:
        return min(now, float(ts)) if isinstance(ts, str) else now
    except ValueError:
        return now
