"""Threads that own a SQLite connection, so that the event loop never waits for a disk.

`adapters.sqlite` submits functions of a connection and awaits the futures; a thread takes all that is queued at once,
and hands all the results back in one call into the loop. What writes is in `sqlite_writer`.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import structlog

from slackbot.adapters.sqlite_file import in_words
from slackbot.core.errors import DevflowError, PermanentError

log = structlog.get_logger()

T = TypeVar("T")

MAX_BATCH = 256
"""Calls in one transaction; more of them wait for the next one."""


class Job:
    """One call: what to run, who waits for it, and what came of it."""

    __slots__ = ("error", "future", "run", "size_bytes", "value")

    def __init__(self, run: Callable[[sqlite3.Connection], Any], future: asyncio.Future[Any], size_bytes: int) -> None:
        self.run = run
        self.future = future
        self.size_bytes = size_bytes
        self.value: Any = None
        self.error: DevflowError | None = None


class DatabaseThread:
    """One thread with one connection, which it closes at its end. `submit` and `stop` belong to the event loop."""

    def __init__(self, name: str, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, run: Callable[[sqlite3.Connection], T], size_bytes: int = 0) -> asyncio.Future[T]:
        """Queues `run`, which must execute one statement. `PermanentError` when the store is closed."""
        self._check_open()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put(Job(run, future, size_bytes))
        return future

    def stop(self) -> None:
        """Takes nothing more; what is queued is still done."""
        if not self._stopped:
            self._stopped = True
            self._queue.put(None)

    def join(self) -> None:
        """Waits for the end of the thread. To be called off the event loop."""
        self._thread.join()

    def _work(self) -> None:
        more = True
        while more:
            jobs, more = self._take()
            self._perform(jobs)
            # Held over the wait for the next call, they would keep the last items alive.
            del jobs
        self._connection.close()

    def _take(self) -> tuple[list[Job], bool]:
        """What is queued, without waiting for company; False when the thread was asked to stop."""
        jobs: list[Job] = []
        job = self._queue.get()
        while job is not None:
            jobs.append(job)
            if len(jobs) == MAX_BATCH:
                return jobs, True
            try:
                job = self._queue.get_nowait()
            except Empty:
                return jobs, True
        return jobs, False

    def _perform(self, jobs: list[Job]) -> None:
        """Does what was taken, and hands each back."""
        raise NotImplementedError

    def _check_open(self) -> None:
        if self._stopped:
            raise PermanentError(f"The session store {self._path} is closed.", "DevFlow is stopping; try again later.")

    def _hand_back(self, jobs: list[Job]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
        for job in jobs:
            by_loop.setdefault(job.future.get_loop(), []).append(job)
        for loop, done in by_loop.items():
            try:
                loop.call_soon_threadsafe(self._settle, done)
            except RuntimeError:
                log.warning("store_result_unclaimed", calls=len(done))

    def _settle(self, jobs: list[Job]) -> None:
        settle(jobs)


class ReaderThread(DatabaseThread):
    """Each call sees the latest commit, and holds no transaction when it returns."""

    def _perform(self, jobs: list[Job]) -> None:
        for job in jobs:
            try:
                job.value = job.run(self._connection)
            except sqlite3.Error as error:
                job.error = in_words(error, self._path)
            except Exception as error:
                job.error = unfit(error)
        self._hand_back(jobs)


def unfit(error: Exception) -> DevflowError:
    """Something that a column cannot hold: a number past 64 bits, half a character in an id."""
    unfit = PermanentError(f"The session store cannot hold this: {type(error).__name__}: {error}.", "")
    unfit.__cause__ = error
    return unfit


def settle(jobs: list[Job]) -> None:
    """Gives their results to those who wait. To be called on the event loop."""
    for job in jobs:
        if job.future.done():
            continue  # Cancelled by who waited.
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.value)
