"""Where the SQLite store is written: on the event loop while the disk is quick, else on a thread.

`adapters.sqlite` submits functions of a connection and awaits the futures. What is submitted in one round of the event
loop is one transaction, and one wait for the disk; while they come one by one, each is written as it comes.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import structlog

from slackbot.adapters.sqlite_file import concerns_one_statement, in_words, is_locked
from slackbot.adapters.sqlite_threads import DatabaseThread, Job, settle, unfit

log = structlog.get_logger()

T = TypeVar("T")

QUICK_SECONDS = 0.02
"""A commit that takes less is made on the event loop. A thread would give the loop this time, and take more of it: for
every statement it waits until the loop lets go of the interpreter's lock (sys.getswitchinterval)."""

_ROUNDS_ALONE = 4
"""After so many rounds with one write each, the next is written as it comes: nobody is there to wait for."""

_SLOW_FOR = 20
"""So many times what a slow commit took the next ones are left to the thread: a twentieth of the loop's time."""
_SLOW_SECONDS_AT_MOST = 20.0

CHECKPOINT_BYTES = 4 * 1024 * 1024
"""So much is written before the log is folded in, as soon as nothing was written for a while; with twice as much
that waits no longer. https://sqlite.org/wal.html#avoiding_excessively_large_wal_files"""

_QUIET_SECONDS = 0.1

_BYTES_AROUND_AN_ITEM = 5 * 4096
"""What a write adds to the log beside the item: a page of the table and of each index."""


class SqliteWriter(DatabaseThread):
    """Commits all that is written together, each call conditional on its own.

    No result leaves before the commit. A call that SQLite refuses for what it holds fails alone; anything else (locked,
    disk full, I/O) fails the whole transaction, and then nothing of it is stored.

    `at_once` is a second connection to the file, for the event loop, and waits for no lock: while another process
    holds it, and for a while after a commit that took long, the thread does what there is to do, over its own.
    """

    def __init__(self, name: str, connection: sqlite3.Connection, at_once: sqlite3.Connection, path: Path) -> None:
        self._at_once = at_once
        self._gathered: list[Job] = []
        self._submitted = 0
        """In this round of the event loop."""
        self._rounds_alone = 0
        """How many of the latest rounds in which there was a write had but one."""
        self._in_thread = 0
        self._slow_until = 0.0
        self._bytes_since_checkpoint = 0
        self._written_at = 0.0
        self._quiet_timer: asyncio.TimerHandle | None = None
        super().__init__(name, connection, path)

    def submit(
        self, run: Callable[[sqlite3.Connection], T], size_bytes: int = 0, *, by_thread: bool = False
    ) -> asyncio.Future[T]:
        """Writes in this round of the event loop, or has it written. `PermanentError` when the store is closed.

        `by_thread`: it may take long, and nobody waits for it.
        """
        self._check_open()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if by_thread:
            self._hand_over([Job(run, future, size_bytes)])
            return future
        if not self._submitted:
            loop.call_soon(self._end_round)
        self._submitted += 1
        self._gathered.append(Job(run, future, size_bytes))
        if self._submitted == 1 and self._rounds_alone >= _ROUNDS_ALONE:
            self._write_gathered()
        return future

    def stop(self) -> None:
        self._write_gathered()
        super().stop()

    def join(self) -> None:
        super().join()
        self._at_once.close()

    # ----------------------------------------------------------------------- on the event loop

    def _end_round(self) -> None:
        self._write_gathered()
        self._rounds_alone = self._rounds_alone + 1 if self._submitted == 1 else 0
        self._submitted = 0

    def _write_gathered(self) -> None:
        jobs, self._gathered = self._gathered, []
        if not jobs:
            return
        # What the thread has not done yet was asked for earlier, and comes first.
        if not self._in_thread and self._commit_at_once(jobs):
            settle(jobs)
            self._written(jobs)
        else:
            self._hand_over(jobs)

    def _commit_at_once(self, jobs: list[Job]) -> bool:
        began_at = time.monotonic()
        if began_at < self._slow_until or not self._commit(self._at_once, jobs):
            return False
        seconds = time.monotonic() - began_at
        if seconds > QUICK_SECONDS:
            self._slow_until = began_at + min(seconds * _SLOW_FOR, _SLOW_SECONDS_AT_MOST)
        return True

    def _settle(self, jobs: list[Job]) -> None:
        self._in_thread -= len(jobs)
        super()._settle(jobs)
        self._written(jobs)

    def _written(self, jobs: list[Job]) -> None:
        self._bytes_since_checkpoint += sum(job.size_bytes + _BYTES_AROUND_AN_ITEM for job in jobs)
        if self._bytes_since_checkpoint < CHECKPOINT_BYTES:
            return
        loop = asyncio.get_running_loop()
        self._written_at = loop.time()
        if self._bytes_since_checkpoint >= 2 * CHECKPOINT_BYTES:
            self._fold_in(loop)
        elif self._quiet_timer is None:
            self._quiet_timer = loop.call_later(_QUIET_SECONDS, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._quiet_timer = None
        wait_seconds = self._written_at + _QUIET_SECONDS - loop.time()
        if wait_seconds > 0:
            self._quiet_timer = loop.call_later(wait_seconds, self._look, loop)
        elif self._bytes_since_checkpoint and not self._stopped:
            self._fold_in(loop)

    def _fold_in(self, loop: asyncio.AbstractEventLoop) -> None:
        self._bytes_since_checkpoint = 0
        # What is written meanwhile waits for it: the log begins anew only where all of it was folded in.
        self._hand_over([Job(_fold_in, loop.create_future(), 0)])

    def _hand_over(self, jobs: list[Job]) -> None:
        self._in_thread += len(jobs)
        for job in jobs:
            self._queue.put(job)

    # ----------------------------------------------------------------------------- on the thread

    def _perform(self, jobs: list[Job]) -> None:
        writes = [job for job in jobs if job.run is not _fold_in]
        if writes:
            self._commit(self._connection, writes)
        self._hand_back(writes)
        if len(writes) < len(jobs):
            try:
                _fold_in(self._connection)
            except sqlite3.Error as error:
                # Nothing is lost by it: the log stays longer until the next one.
                log.warning("store_checkpoint_failed", path=str(self._path), error=str(error))
            self._hand_back([job for job in jobs if job.run is _fold_in])

    # ------------------------------------------------------------------------------------- on both

    def _commit(self, connection: sqlite3.Connection, jobs: list[Job]) -> bool:
        """False: another process has the lock, for which `at_once` does not wait, and nothing was done."""
        try:
            if len(jobs) == 1:
                # A statement outside a transaction is one: two calls less, and on the thread two turns of the
                # interpreter's lock.
                self._run(connection, jobs[0])
            else:
                connection.execute("BEGIN IMMEDIATE")
                for job in jobs:
                    self._run(connection, job)
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back(connection)
            if connection is self._at_once and is_locked(error):
                return False
            for job in jobs:
                job.error = in_words(error, self._path, writing=True)
        return True

    def _run(self, connection: sqlite3.Connection, job: Job) -> None:
        job.error = None
        try:
            job.value = job.run(connection)
        except sqlite3.Error as error:
            if not concerns_one_statement(error):
                raise
            job.error = in_words(error, self._path, writing=True)
        except Exception as error:
            job.error = unfit(error)

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            log.error("store_rollback_failed", path=str(self._path), error=str(error))


def _fold_in(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
