"""The file of the SQLite store: who may read it, what stands in it, how large it grows, and files that are not ours."""

from __future__ import annotations

import json
import sqlite3
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from slackbot.adapters import sqlite as sqlite_store
from slackbot.adapters import sqlite_file
from slackbot.adapters.sqlite import SqliteStore
from slackbot.core.errors import PermanentError
from slackbot.core.session import Status
from tests.contract.test_session_store import NOW, found, ids, stored
from tests.wire.test_sqlite_store import another_connection, written


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store's file will be, in a directory that is not there yet."""
    return tmp_path / "state" / "sessions.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    """An empty store."""
    opened = SqliteStore(path)
    yield opened
    await opened.close()


async def test_the_file_is_for_its_user_alone(path: Path, store: SqliteStore) -> None:
    """Directory, file and write-ahead log are closed to others; a file that was open is closed."""
    await stored(store)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["sessions.db", "sessions.db-shm", "sessions.db-wal"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    await store.close()
    path.chmod(0o644)
    await SqliteStore(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_the_table_is_readable_by_its_attribute_names(path: Path, store: SqliteStore) -> None:
    """Plain SQLite reads the columns of docs/table.md and the item in JSON, also while the store is open."""
    item = await stored(store, due_at=NOW + 5, initial_prompt="日本")
    with another_connection(path) as connection:
        connection.row_factory = sqlite3.Row
        row = dict(connection.execute("SELECT * FROM devflow_sessions").fetchone())
        status = connection.execute("SELECT item ->> '$.status' FROM devflow_sessions").fetchone()[0]
        assert connection.execute("PRAGMA user_version").fetchone()[0] == sqlite_file.SCHEMA_VERSION
    assert list(row) == ["session_id", "user_id", "created_at", "ttl", "due_at", "write_version", "item", "live"]
    assert json.loads(row["item"]) == item
    assert row.pop("live") == 1
    assert {name: row[name] for name in row if name != "item"} == {name: item[name] for name in row if name != "item"}
    assert "日本" in row["item"]
    assert status == "running"


async def test_commits_wait_for_the_disk(store: SqliteStore) -> None:
    """WAL with synchronous FULL (2): acknowledged means on the disk, also when the power goes."""

    def pragma(name: str) -> Any:
        return store._writer.submit(lambda connection: connection.execute(f"PRAGMA {name}").fetchone()[0])

    assert (await pragma("journal_mode"), await pragma("synchronous")) == ("wal", 2)


async def test_half_a_character_comes_back(store: SqliteStore) -> None:
    """Text cut in the middle of a surrogate pair has no UTF-8; it is stored all the same."""
    item = await stored(store, initial_prompt="cut \ud83d here, 日本 🧪")
    assert await store.get(item["session_id"], NOW) == item
    assert await found(store, live=True) == ids(item)


async def test_the_write_ahead_log_stays_small(path: Path, store: SqliteStore) -> None:
    """After 25 MB of writes the log beside the file is a few megabytes."""
    item = await stored(store)
    for version in range(1, 101):
        # Different each time: SQLite does not write a page again that is as it was.
        item = written(item, initial_prompt=f"{version:05}" * 50_000)
        assert await store.replace(item, version)
    assert path.with_name("sessions.db-wal").stat().st_size < 10_000_000


async def test_what_expired_a_day_ago_leaves_the_file(path: Path, store: SqliteStore) -> None:
    """Housekeeping removes it at the first scan and then hourly; what expired lately stays in the file."""
    day = sqlite_store.PURGE_AFTER_SECONDS
    old = await stored(store, ttl=NOW + 10)
    younger = await stored(store, ttl=NOW + 11)
    fresh = await stored(store, ttl=NOW + 3 * day)

    async def in_file(now: int) -> list[str]:
        assert await found(store, now) == ids(fresh)
        await store.create(fresh, now)  # Behind the housekeeping, in the writer's queue.
        with another_connection(path) as connection:
            return sorted(row[0] for row in connection.execute("SELECT session_id FROM devflow_sessions"))

    assert await in_file(NOW + 10 + day) == ids(younger, fresh)
    assert old["session_id"] not in ids(younger, fresh)
    assert await in_file(NOW + 20 + day) == ids(younger, fresh)
    assert await in_file(NOW + 10 + day + sqlite_store.PURGE_EVERY_SECONDS) == ids(fresh)


async def test_an_unreadable_item_does_not_hide_the_others(path: Path, store: SqliteStore) -> None:
    """Somebody edited an item by hand: a scan gives the rest."""
    broken, whole = await stored(store), await stored(store, status=Status.STOPPED)
    with another_connection(path) as connection:
        connection.execute(
            "UPDATE devflow_sessions SET item = json_remove(item, '$.status') WHERE session_id = ?",
            (broken["session_id"],),
        )
    assert await found(store) == ids(whole)


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (sqlite_store._LIST.replace("?", "1"), "devflow_sessions_by_user"),
        (sqlite_store._SCAN_DUE, "devflow_sessions_due"),
        (sqlite_store._SCAN_LIVE, "devflow_sessions_live"),
        (sqlite_store._SCAN_ALL, "sqlite_autoindex_devflow_sessions_1"),
    ],
)
async def test_each_list_has_its_index(path: Path, store: SqliteStore, query: str, index: str) -> None:
    """No list and no scan reads the whole table or sorts it."""
    values = {"now": 1, "due_by": 1, "number": 1, "session_id": ""}
    with another_connection(path) as connection:
        plan = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + query, values)]
    assert len(plan) == 1
    assert plan[0].startswith(f"SEARCH devflow_sessions USING INDEX {index}")


# ------------------------------------------------------------------------------------ files not ours


async def test_a_file_of_schema_1_is_taken_over(path: Path, store: SqliteStore) -> None:
    """As DevFlow made it before sessions had a column `live`: all that is in it is found as before."""
    live, over = await stored(store), await stored(store, status=Status.STOPPED)
    await store.close()
    with another_connection(path) as connection:
        connection.executescript("""
            DROP INDEX devflow_sessions_live;
            ALTER TABLE devflow_sessions DROP COLUMN live;
            CREATE INDEX devflow_sessions_live ON devflow_sessions (session_id)
                WHERE json_extract(item, '$.status') IN ('starting', 'running');
            PRAGMA user_version = 1;
        """)
    store = SqliteStore(path)
    try:
        assert [entry.session_id async for entry in store.scan(NOW, live=True)] == [live["session_id"]]
        assert await found(store) == ids(live, over)
        assert await store.replace({**live, "status": "stopped", "write_version": 2}, 1)
        assert [entry async for entry in store.scan(NOW, live=True)] == []
    finally:
        await store.close()


async def test_a_newer_schema_is_refused(path: Path, store: SqliteStore) -> None:
    """An older DevFlow leaves a newer file alone, and says what to do."""
    await store.close()
    with another_connection(path) as connection:
        connection.execute(f"PRAGMA user_version = {sqlite_file.SCHEMA_VERSION + 1}")
    before = path.read_bytes()
    with pytest.raises(PermanentError, match=r"newer DevFlow \(schema 3; this one knows up to 2\)"):
        SqliteStore(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """Somebody's notes are not overwritten."""
    notes = tmp_path / "notes.txt"
    notes.write_text("not a database, but long enough to be looked at as one" * 50)
    before = notes.read_bytes()
    with pytest.raises(PermanentError, match="no SQLite database"):
        SqliteStore(notes)
    assert notes.read_bytes() == before


def test_a_directory_is_refused(tmp_path: Path) -> None:
    """DEVFLOW_STORE names a file; a directory in its place is left as it is."""
    mode = tmp_path.stat().st_mode
    with pytest.raises(PermanentError, match="is not a file"):
        SqliteStore(tmp_path)
    assert tmp_path.stat().st_mode == mode


def test_a_place_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """A path that leads through a file is an error with the path in it."""
    (tmp_path / "file").touch()
    with pytest.raises(PermanentError, match="cannot be opened"):
        SqliteStore(tmp_path / "file" / "sessions.db")
