"""`SessionStore` in one SQLite file: what `devflow sandbox` keeps its sessions in.

Items come from the engine and go into the table `devflow_sessions`; what a list or the reconciler needs is taken out of
the stored JSON by SQLite itself. Several processes may use one file. File: `sqlite_file`; writing: `sqlite_writer`.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import fields
from pathlib import Path

import msgspec
import structlog

from slackbot.adapters.list_cursor import make_cursor, read_cursor
from slackbot.adapters.sqlite_file import open_reader, open_writer, prepare_file
from slackbot.adapters.sqlite_threads import ReaderThread
from slackbot.adapters.sqlite_writer import SqliteWriter
from slackbot.core.errors import DevflowError, PermanentError
from slackbot.core.item import index_entry
from slackbot.core.ports import IndexEntry, Item, Page

log = structlog.get_logger()

SCAN_PAGE = 100
"""Entries a scan reads at a time; between two pages nothing is held open."""

PURGE_EVERY_SECONDS = 3600
PURGE_AFTER_SECONDS = 15 * 24 * 3600
"""An item leaves the file this long after its `ttl`: a bot that was away takes up what is not over."""
PURGE_ROWS = 500

# Of these, ?1 to ?8 are the columns in the order of the table, ?9 what a write depends on.
_CREATE = """
    INSERT INTO devflow_sessions (session_id, user_id, created_at, ttl, due_at, write_version, item, live)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    ON CONFLICT (session_id) DO UPDATE SET user_id = excluded.user_id, created_at = excluded.created_at,
        ttl = excluded.ttl, due_at = excluded.due_at, write_version = excluded.write_version, item = excluded.item,
        live = excluded.live
    WHERE devflow_sessions.ttl <= ?9
"""
# SQLite writes the index of each column that a statement names anew, changed or not. Most writes change none of them:
# that is tried first. When a session began never changes.
_REPLACE = """
    UPDATE devflow_sessions SET ttl = ?4, write_version = ?6, item = ?7
    WHERE session_id = ?1 AND write_version = ?9 AND user_id = ?2 AND due_at IS ?5 AND live = ?8
"""
_REPLACE_INDEXED = """
    UPDATE devflow_sessions SET ttl = ?4, write_version = ?6, item = ?7, user_id = ?2, due_at = ?5, live = ?8
    WHERE session_id = ?1 AND write_version = ?9
"""
_DELETE = "DELETE FROM devflow_sessions WHERE session_id = ? AND write_version = ?"
_GET = "SELECT item FROM devflow_sessions WHERE session_id = ? AND ttl > ?"
_PURGE = """
    DELETE FROM devflow_sessions WHERE session_id IN (SELECT session_id FROM devflow_sessions WHERE ttl <= ? LIMIT ?)
"""

_PROJECTED = tuple(field.name for field in fields(IndexEntry))
_PROJECTION = "json_extract(item, " + ", ".join(f"'$.{name}'" for name in _PROJECTED) + ")"
_LIVE = ("starting", "running")

_LIST = f"""
    SELECT session_id, created_at, {_PROJECTION} FROM devflow_sessions
    WHERE user_id = ? AND (created_at, session_id) < (?, ?) AND ttl > ?
    ORDER BY created_at DESC, session_id DESC LIMIT ?
"""  # noqa: S608 - made of the constants above
# Each scan goes on behind the key of the last row it gave: (due_at, session_id), or session_id alone.
_SCAN_DUE = f"""
    SELECT session_id, due_at, {_PROJECTION} FROM devflow_sessions
    WHERE due_at <= :due_by AND (due_at, session_id) > (:number, :session_id) AND ttl > :now
    ORDER BY due_at, session_id LIMIT {SCAN_PAGE}
"""  # noqa: S608
_SCAN_LIVE = f"""
    SELECT session_id, 0, {_PROJECTION} FROM devflow_sessions
    WHERE live AND session_id > :session_id AND ttl > :now ORDER BY session_id LIMIT {SCAN_PAGE}
"""  # noqa: S608
_SCAN_ALL = f"""
    SELECT session_id, 0, {_PROJECTION} FROM devflow_sessions
    WHERE session_id > :session_id AND ttl > :now AND user_id <> '' ORDER BY session_id LIMIT {SCAN_PAGE}
"""  # noqa: S608

_SQLITE_DEPTH = 1000
"""Lists and maps in each other that SQLite reads. https://sqlite.org/json1.html#interface_overview"""

_encode = msgspec.json.Encoder().encode
"""Quicker than the standard library's, for what both can write."""

_LEAST, _GREATEST = -(2**63), 2**63 - 1

Row = tuple[str, int, str]
"""session_id, the number it is ordered by, and the projected attributes as a JSON list."""


class SqliteStore:
    """See `core.ports.SessionStore`. Each write has waited for the disk when it returns (WAL, synchronous FULL).

    Opening reads the disk and may wait for another process, so make it before the loop has work to do.
    `PermanentError` when the file cannot be used, is no store, or is of a newer DevFlow.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        prepare_file(self.path)
        writer = open_writer(self.path)
        try:
            at_once = open_writer(self.path, busy_seconds=0)
        except DevflowError:
            writer.close()
            raise
        self._writer = SqliteWriter("devflow-store-writer", writer, at_once, self.path)
        self._readers: list[ReaderThread] = []
        try:
            # One thread for single items, so that none of them waits behind the page of a scan.
            for name in ("devflow-store-items", "devflow-store-lists"):
                self._readers.append(ReaderThread(name, open_reader(self.path), self.path))
        except DevflowError:
            self._stop()
            raise
        self._items, self._lists = self._readers
        self._unreadable: set[str] = set()
        # A single item is found in memory in less time than it takes to wake a thread (a reader never waits for the
        # writer: https://sqlite.org/wal.html#concurrency), so it is looked up on the loop first.
        self._at_once: sqlite3.Connection | None = open_reader(self.path, busy_seconds=0)
        self._purge_at = 0

    async def get(self, session_id: str, now: int) -> Item | None:
        if self._at_once is not None:
            try:
                return _get(self._at_once, session_id, now)
            except sqlite3.Error:
                pass  # locked just now, or broken: the thread can wait for it, and finds the words
        return await self._items.submit(lambda connection: _get(connection, session_id, now))

    async def create(self, item: Item, now: int) -> bool:
        return await self._write(_CREATE, item, now)

    async def replace(self, item: Item, expected_write_version: int) -> bool:
        return await self._write(_REPLACE, item, expected_write_version)

    async def delete(self, session_id: str, expected_write_version: int) -> bool:
        return await self._writer.submit(
            lambda connection: connection.execute(_DELETE, (session_id, expected_write_version)).rowcount == 1
        )

    async def list_by_user(self, user_id: str, now: int, limit: int, cursor: str | None = None) -> Page:
        limit = min(max(limit, 1), 100)
        # Without a cursor: before every row there can be.
        created_at, session_id = read_cursor(cursor, user_id) if cursor is not None else (_GREATEST, "")
        # One more than asked for tells whether there is a next page.
        values = (user_id, created_at, session_id, now, limit + 1)
        rows = await self._lists.submit(lambda connection: _rows(connection, _LIST, values))
        page = rows[:limit]
        following = make_cursor(user_id, page[-1][1], page[-1][0]) if len(rows) > limit else None
        return Page(entries=tuple(self._entries(page)), cursor=following)

    async def scan(self, now: int, *, due_by: int | None = None, live: bool = False) -> AsyncIterator[IndexEntry]:
        self._purge_when_due(now)
        queries = [_SCAN_DUE] * (due_by is not None) + [_SCAN_LIVE] * live
        # A session can be both due and live, or become due later while this goes on: it is given once.
        given: set[str] = set()
        for query in queries or [_SCAN_ALL]:
            values: dict[str, int | str] = {"now": now, "due_by": due_by or 0, "number": _LEAST, "session_id": ""}
            more = True
            while more:
                rows = await self._lists.submit(_page_of(query, values))
                more = len(rows) == SCAN_PAGE
                for entry in self._entries(rows):
                    if entry.session_id not in given:
                        given.add(entry.session_id)
                        yield entry
                if rows:
                    values = {**values, "session_id": rows[-1][0], "number": rows[-1][1]}

    @property
    def unreadable(self) -> frozenset[str]:
        """Sessions that lists and scans passed over, because what is stored of them is of no known form."""
        return frozenset(self._unreadable)

    def _entries(self, rows: list[Row]) -> list[IndexEntry]:
        entries = []
        for session_id, _, projected in rows:
            values = dict(zip(_PROJECTED, json.loads(projected), strict=True))
            try:
                entries.append(index_entry({name: value for name, value in values.items() if value is not None}))
            except TypeError as error:
                # An item somebody made by hand must not hide all the others.
                self._unreadable.add(session_id)
                log.warning("store_item_unreadable", session_id=session_id, error=str(error))
        return entries

    async def close(self) -> None:
        """Finishes what was asked for, then closes the file. May be called again."""
        self._stop()
        if self._at_once is not None:
            self._at_once.close()
            self._at_once = None
        # Readers first: the last connection to close folds the write-ahead log into the file and removes it.
        for thread in (*self._readers, self._writer):
            await asyncio.to_thread(thread.join)

    def _stop(self) -> None:
        for thread in (*self._readers, self._writer):
            thread.stop()

    async def _write(self, statement: str, item: Item, condition: int) -> bool:
        # Taken down now: the caller may go on changing its item while this one waits.
        text = _to_json(item)
        try:
            # A page of the ledger is no session: without these it stands in no index, as in DynamoDB.
            whose = ("", 0) if "ledger" in item else (item["user_id"], item["created_at"])
            times = (item["ttl"], item.get("due_at"))
            is_live = item.get("status") in _LIVE
            values = (item["session_id"], *whose, *times, item["write_version"], text, is_live, condition)
        except KeyError as error:
            raise PermanentError(f"The session cannot be stored: it has no attribute {error}.") from error

        may_be_too_deep = text.count("[") + text.count("{") > _SQLITE_DEPTH

        def write(connection: sqlite3.Connection) -> bool:
            if may_be_too_deep and not connection.execute("SELECT json_valid(?)", (text,)).fetchone()[0]:
                raise ValueError("SQLite could not read it again")
            written = connection.execute(statement, values).rowcount == 1
            if not written and statement is _REPLACE:
                return connection.execute(_REPLACE_INDEXED, values).rowcount == 1
            return written

        return await self._writer.submit(write, size_bytes=len(text))

    def _purge_when_due(self, now: int) -> None:
        if now < self._purge_at:
            return
        self._purge_at = now + PURGE_EVERY_SECONDS
        before = now - PURGE_AFTER_SECONDS
        future = self._writer.submit(
            lambda connection: connection.execute(_PURGE, (before, PURGE_ROWS)).rowcount, by_thread=True
        )
        future.add_done_callback(self._purged)

    def _purged(self, future: asyncio.Future[int]) -> None:
        if future.cancelled():
            return
        error = future.exception()
        if error is not None:
            log.warning("store_purge_failed", path=str(self.path), error=str(error))
        elif future.result():
            log.info("store_purged", sessions=future.result())
            if future.result() == PURGE_ROWS:
                self._purge_at = 0


def _get(connection: sqlite3.Connection, session_id: str, now: int) -> Item | None:
    # fetchall, here and below: it ends the statement, and with it the read transaction.
    rows = connection.execute(_GET, (session_id, now)).fetchall()
    if not rows:
        return None
    item: Item = json.loads(rows[0][0])
    return item


def _rows(
    connection: sqlite3.Connection, query: str, values: tuple[int | str, ...] | dict[str, int | str]
) -> list[Row]:
    return connection.execute(query, values).fetchall()


def _page_of(query: str, values: dict[str, int | str]) -> Callable[[sqlite3.Connection], list[Row]]:
    return lambda connection: _rows(connection, query, values)


def _to_json(item: Item) -> str:
    try:
        text = _encode(item).decode()
        # A number that is none would become null as well, and must be refused.
        if "null" not in text:
            return text
    except (TypeError, ValueError, OverflowError, RecursionError):
        pass  # the library below finds the words, or can write it after all
    try:
        text = json.dumps(item, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                # Half of a surrogate pair has no UTF-8; escaped it can be stored, and comes back as it was.
                text = json.dumps(item, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise PermanentError(f"The session cannot be stored as JSON: {error}.") from error
    return text
