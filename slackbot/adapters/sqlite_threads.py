"""Threads that own a SQLite connection, so that the event loop never waits for a disk.

`adapters.sqlite` submits functions of a connection and awaits the futures; a thread takes all that is queued at once,
and hands all the results back in one call into the loop. The writer makes one transaction of what it took.
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

from slackbot.adapters.sqlite_file import concerns_one_statement, in_words
from slackbot.core.errors import DevflowError, PermanentError

log = structlog.get_logger()

T = TypeVar("T")

MAX_BATCH = 256
"""Calls in one transaction; more of them wait for the next one."""

CHECKPOINT_BYTES = 4 * 1024 * 1024
"""About so much is written between two checkpoints. https://sqlite.org/wal.html#avoiding_excessively_large_wal_files"""

_BYTES_AROUND_AN_ITEM = 5 * 4096
"""What a write adds to the log beside the item: a page of the table and of each index."""


class _Job:
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
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, run: Callable[[sqlite3.Connection], T], size_bytes: int = 0) -> asyncio.Future[T]:
        """Queues `run`, which must execute one statement. `PermanentError` when the store is closed."""
        if self._stopped:
            raise PermanentError(f"The session store {self._path} is closed.", "DevFlow is stopping; try again later.")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put(_Job(run, future, size_bytes))
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
            _hand_back(jobs)
            self._after(jobs)
            # Held over the wait for the next call, they would keep the last items alive.
            del jobs
        self._connection.close()

    def _take(self) -> tuple[list[_Job], bool]:
        """What is queued, without waiting for company; False when the thread was asked to stop."""
        jobs: list[_Job] = []
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

    def _perform(self, jobs: list[_Job]) -> None:
        raise NotImplementedError

    def _after(self, jobs: list[_Job]) -> None:
        """Runs once the results are on their way."""


class ReaderThread(DatabaseThread):
    """Each call sees the latest commit, and holds no transaction when it returns."""

    def _perform(self, jobs: list[_Job]) -> None:
        for job in jobs:
            try:
                job.value = job.run(self._connection)
            except sqlite3.Error as error:
                job.error = in_words(error, self._path)
            except Exception as error:
                job.error = _unfit(error)


class WriterThread(DatabaseThread):
    """Commits all that is queued together (one wait for the disk), each call conditional on its own.

    No result leaves before the commit. A call that SQLite refuses for what it holds fails alone; anything else (locked,
    disk full, I/O) fails the whole transaction, and then nothing of it is stored.
    """

    _bytes_since_checkpoint = 0

    def _perform(self, jobs: list[_Job]) -> None:
        try:
            if len(jobs) == 1:
                # A statement outside a transaction is one: a single turn of the interpreter's lock instead of three.
                self._run(jobs[0])
            elif jobs:
                self._connection.execute("BEGIN IMMEDIATE")
                for job in jobs:
                    self._run(job)
                self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            for job in jobs:
                job.error = in_words(error, self._path, writing=True)

    def _run(self, job: _Job) -> None:
        try:
            job.value = job.run(self._connection)
        except sqlite3.Error as error:
            if not concerns_one_statement(error):
                raise
            job.error = in_words(error, self._path, writing=True)
        except Exception as error:
            job.error = _unfit(error)

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            log.error("store_rollback_failed", path=str(self._path), error=str(error))

    def _after(self, jobs: list[_Job]) -> None:
        self._bytes_since_checkpoint += sum(job.size_bytes + _BYTES_AROUND_AN_ITEM for job in jobs)
        if self._bytes_since_checkpoint < CHECKPOINT_BYTES:
            return
        self._bytes_since_checkpoint = 0
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:
            # Nothing is lost by it: the log stays longer until the next one.
            log.warning("store_checkpoint_failed", path=str(self._path), error=str(error))


def _unfit(error: Exception) -> DevflowError:
    """Something that a column cannot hold: a number past 64 bits, half a character in an id."""
    unfit = PermanentError(f"The session store cannot hold this: {type(error).__name__}: {error}.", "")
    unfit.__cause__ = error
    return unfit


def _hand_back(jobs: list[_Job]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.future.get_loop(), []).append(job)
    for loop, done in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, done)
        except RuntimeError:
            log.warning("store_result_unclaimed", calls=len(done))


def _settle(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue  # Cancelled by who waited.
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.value)
