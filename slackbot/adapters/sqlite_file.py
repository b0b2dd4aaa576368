"""The file of the SQLite store: opening it, its schema, and its errors in words.

Called by `adapters.sqlite` with a path; gives back connections. Facts about SQLite: https://sqlite.org/wal.html,
https://sqlite.org/pragma.html, https://sqlite.org/rescode.html.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import time
from pathlib import Path

from slackbot.core.errors import DevflowError, PermanentError, TemporaryError

SCHEMA_VERSION = 2
"""Kept in `PRAGMA user_version`; 0 is a file in which nothing was made yet."""

BUSY_SECONDS = 5.0
"""How long a write waits for another process. Longer than that, Slack's 3 seconds are over anyway."""

_AUTOCHECKPOINT_PAGES = 8000
"""SQLite's own bound on the write-ahead log (32 MB); the writer folds it in long before, between two batches."""

_JOURNAL_LIMIT_BYTES = 16 * 1024 * 1024
"""What is left of the write-ahead log's file after a burst."""

_SCHEMA = (
    """
    CREATE TABLE devflow_sessions (
        session_id TEXT PRIMARY KEY NOT NULL,
        user_id TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        ttl INTEGER NOT NULL,
        due_at INTEGER,
        write_version INTEGER NOT NULL,
        item TEXT NOT NULL,
        live INTEGER NOT NULL DEFAULT 0
    )
    """,
    "CREATE INDEX devflow_sessions_by_user ON devflow_sessions (user_id, created_at, session_id)",
    "CREATE INDEX devflow_sessions_due ON devflow_sessions (due_at, session_id) WHERE due_at IS NOT NULL",
    "CREATE INDEX devflow_sessions_live ON devflow_sessions (session_id) WHERE live",
)

# Up to schema 1 an index on the item's status itself was written anew with every item.
_FROM_SCHEMA_1 = (
    "ALTER TABLE devflow_sessions ADD COLUMN live INTEGER NOT NULL DEFAULT 0",
    """
    UPDATE devflow_sessions SET live = 1
        WHERE json_extract(item, '$.status') IN ('starting', 'running')
    """,
    "DROP INDEX devflow_sessions_live",
    _SCHEMA[-1],
)


def prepare_file(path: Path) -> None:
    """Makes the directory and the file, both for this user alone: the file holds what people wrote."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        # Not opened to look at it: closing any descriptor of the file would drop this process's locks on it.
        # https://sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise PermanentError(f"The session store {path} is not a file.", _OTHER_FILE)
        if stat.S_IMODE(mode) & 0o077:
            path.chmod(0o600)
    except OSError as error:
        raise PermanentError(f"The session store {path} cannot be opened: {error.strerror}.", _OTHER_FILE) from error


def open_writer(path: Path, *, busy_seconds: float = BUSY_SECONDS) -> sqlite3.Connection:
    """A connection whose commits are on the disk when they return, with the schema in place.

    Once open it waits `busy_seconds` for another's lock.

    `PermanentError` when the file is of a newer DevFlow, is no database or cannot be written.
    """
    connection = _connect(path)
    try:
        _check_schema(connection, path)
        _use_write_ahead_log(connection, path)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_AUTOCHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {_JOURNAL_LIMIT_BYTES}")
        _make_schema(connection, path)
        connection.execute(f"PRAGMA busy_timeout = {int(busy_seconds * 1000)}")
    except sqlite3.Error as error:
        connection.close()
        raise in_words(error, path) from error
    except DevflowError:
        connection.close()
        raise
    return connection


def open_reader(path: Path, *, busy_seconds: float = BUSY_SECONDS) -> sqlite3.Connection:
    """A connection that cannot write. The file was made by `open_writer`."""
    connection = _connect(path, busy_seconds)
    try:
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error as error:
        connection.close()
        raise in_words(error, path) from error
    return connection


def concerns_one_statement(error: sqlite3.Error) -> bool:
    """Whether SQLite refused what a statement holds: undone by itself, while its transaction goes on."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & 0xFF
    return code in _OF_ONE_STATEMENT


def is_locked(error: sqlite3.Error) -> bool:
    """Whether another connection has what this one needs."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & 0xFF in _LOCKED


def in_words(error: sqlite3.Error, path: Path, *, writing: bool = False) -> DevflowError:
    """What SQLite said, as an error that a person can act on. https://sqlite.org/rescode.html"""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    if code in _LOCKED:
        return TemporaryError(
            f"The session store {path} was locked by another process for {BUSY_SECONDS:.0f} seconds.",
            f"Try again; if it stays so, see who holds it: fuser {path}",
            retry_after_seconds=1,
        )
    if code == sqlite3.SQLITE_FULL:
        return TemporaryError(f"The disk of the session store {path} is full; nothing was stored.", "Free some space.")
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT):
        return TemporaryError(
            f"The session store {path} could not be {'written' if writing else 'read'} ({name}).",
            "Look at the disk and the system's log, then try again.",
            outcome_unknown=writing,
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return PermanentError(f"{path} is damaged or is no SQLite database ({name}).", _OTHER_FILE)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return PermanentError(f"The session store {path} may not be opened or written ({name}).", _OTHER_FILE)
    return PermanentError(f"The session store {path} refused: {error} ({name}).", "Look at the log for what was asked.")


_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}

_OF_ONE_STATEMENT = {
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_MISUSE,
    sqlite3.SQLITE_RANGE,
}

_OTHER_FILE = "Put it right, or name another file: DEVFLOW_STORE=sqlite:PATH."


def _connect(path: Path, busy_seconds: float = BUSY_SECONDS) -> sqlite3.Connection:
    try:
        # Made here, then used by one thread alone (or the event loop's); transactions are begun by hand.
        return sqlite3.connect(path, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise in_words(error, path) from error


def _user_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _check_schema(connection: sqlite3.Connection, path: Path) -> int:
    version = _user_version(connection)
    if version > SCHEMA_VERSION:
        raise PermanentError(
            f"The session store {path} was written by a newer DevFlow (schema {version}; this one knows up to "
            f"{SCHEMA_VERSION}).",
            "Start that DevFlow, or name another file: DEVFLOW_STORE=sqlite:PATH.",
        )
    return version


def _use_write_ahead_log(connection: sqlite3.Connection, path: Path) -> None:
    # Changing the mode does not wait by itself when two processes open a new file at once.
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
            continue
        if mode != "wal":
            raise PermanentError(
                f"The file system of {path} cannot hold a write-ahead log (SQLite chose {mode}).",
                "Put the session store on a local disk: DEVFLOW_STORE=sqlite:PATH.",
            )
        return


def _make_schema(connection: sqlite3.Connection, path: Path) -> None:
    if _user_version(connection) == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Looked at again under the lock: another process may have been first.
        for statement in {0: _SCHEMA, 1: _FROM_SCHEMA_1}.get(_check_schema(connection, path), ()):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
