"""When what is owed is performed: for each session at most one piece of work of a kind at a time, tried again later.

The engine kicks a lane when it saved something; the lane calls the engine's `perform` until nothing is left, or until
something must wait. Nothing here is stored: after a crash the reconciler kicks whatever is due.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger()

_MAX_DOUBLINGS = 6


class Lane:
    """One session's work of one kind: a task, or a timer for the next try."""

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.again = False
        self.must_wait = False
        """Something failed: a new event is no reason to try before the wait is over."""
        self.failures = 0
        self.no_picture_before = 0.0
        """By the loop's clock: until then no card is drawn, and whatever else is owed goes on without it."""

    def back_off_seconds(self, base_seconds: float, most_seconds: float, factor: float = 2.0) -> float:
        """The pause after one more failure: growing, and bounded."""
        self.failures += 1
        return min(most_seconds, base_seconds * factor ** min(self.failures, _MAX_DOUBLINGS))


class Lanes:
    """`perform(session_id, name, lane)` does what is owed and returns the seconds after which to try again, or None."""

    def __init__(
        self,
        perform: Callable[[str, str, Lane], Awaitable[float | None]],
        *,
        retry_seconds: float,
        on_begin: Callable[[str, str], None],
    ) -> None:
        self._perform = perform
        self._retry_seconds = retry_seconds
        self._on_begin = on_begin
        self._lanes: dict[tuple[str, str], Lane] = {}
        self.draining = False

    @property
    def is_busy(self) -> bool:
        """Whether anything is being performed right now; what waits for its next try is not."""
        return any(lane.task is not None for lane in self._lanes.values())

    def kick(self, session_id: str, name: str, *, after_wait: bool = False) -> None:
        """There may be something to do: begins, or sees to it that the work under way looks once more."""
        if self.draining:
            return
        lane = self._lanes.setdefault((session_id, name), Lane())
        if lane.task is not None:
            lane.again = True
            return
        if lane.must_wait and not after_wait:
            return
        self._on_begin(session_id, name)
        if lane.timer is not None:
            lane.timer.cancel()
            lane.timer = None
        lane.task = asyncio.create_task(self._run(session_id, name, lane), name=f"{name}:{session_id}")

    async def drain(self, seconds: float) -> bool:
        """Begins nothing new and waits for what is under way; True when all of it ended in time."""
        self.draining = True
        tasks = {lane.task for lane in self._lanes.values() if lane.task is not None}
        for lane in self._lanes.values():
            if lane.timer is not None:
                lane.timer.cancel()
        if not tasks:
            return True
        _, pending = await asyncio.wait(tasks, timeout=seconds)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        return not pending

    async def _run(self, session_id: str, name: str, lane: Lane) -> None:
        wait_seconds: float | None = None
        try:
            lane.again = True
            # What is waited for is no reason to overlook what came in meanwhile; a failure is.
            while lane.again and not (lane.must_wait and wait_seconds is not None):
                lane.again = lane.must_wait = False
                wait_seconds = await self._perform(session_id, name, lane)
        except Exception:
            # One session's trouble is its own: it is tried again, more and more seldom.
            log.exception("performing_failed", session_id=session_id, lane=name)
            lane.must_wait = True
            wait_seconds = lane.back_off_seconds(self._retry_seconds, 60.0)
        finally:
            lane.task = None
        if wait_seconds is None or self.draining:
            self._lanes.pop((session_id, name), None)
            return
        again = functools.partial(self.kick, session_id, name, after_wait=True)
        lane.timer = asyncio.get_running_loop().call_later(wait_seconds, again)
