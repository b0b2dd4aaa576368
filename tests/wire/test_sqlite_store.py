"""What only the SQLite store promises of its writes: several processes, kill -9, batches, errors in words."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from slackbot.adapters import sqlite_file
from slackbot.adapters.sqlite import SqliteStore
from slackbot.core.errors import PermanentError, TemporaryError
from slackbot.core.ports import Item
from tests.contract.test_session_store import NOW, ids, make_item, stored

ROOT = Path(__file__).resolve().parents[2]

INCREMENT = """
import asyncio, sys
from pathlib import Path
from slackbot.adapters.sqlite import SqliteStore

async def main(path, session_id, times, now):
    store = SqliteStore(Path(path))
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(int(times)):
        won = False
        while not won:
            item = await store.get(session_id, int(now))
            version = item["write_version"]
            won = await store.replace({**item, "write_version": version + 1, "launch": item["launch"] + 1}, version)
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""

WRITE_FOR_EVER = """
import asyncio, sys
from pathlib import Path
from slackbot.adapters.sqlite import SqliteStore

async def write(store, session_id, now):
    item = await store.get(session_id, now)
    while True:
        version = item["write_version"]
        item = {**item, "write_version": version + 1}
        assert await store.replace(item, version)
        print(session_id, version + 1, flush=True)

async def main(path, now, *session_ids):
    store = SqliteStore(Path(path))
    await asyncio.gather(*(write(store, session_id, int(now)) for session_id in session_ids))

asyncio.run(main(*sys.argv[1:]))
"""


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


@contextlib.contextmanager
def another_connection(path: Path) -> Iterator[sqlite3.Connection]:
    """The file as any SQLite client sees it."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another client holds the write lock."""
    with another_connection(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def run_script(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process that uses the store."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def written(item: Item, **changes: Any) -> Item:
    """The next version of an item."""
    return {**item, "write_version": item["write_version"] + 1, **changes}


@pytest.fixture(params=["loop", "thread"])
def way(request: pytest.FixtureRequest) -> str:
    """Who writes: the event loop, or the thread to which it leaves that while the file is locked."""
    return str(request.param)


async def in_one_batch(way: str, store: SqliteStore, *calls: Any) -> list[Any]:
    """Results (or errors) of calls that are written together; for the thread another call keeps it busy meanwhile."""
    if way == "loop":
        store._writer._rounds_alone = 0  # else the first would not wait for the others
        return await asyncio.gather(*calls, return_exceptions=True)
    with locked(store.path):
        busy = asyncio.ensure_future(store.delete("no session", 0))
        while not store._writer._in_thread or not store._writer._queue.empty():
            await asyncio.sleep(0.005)
        writing = [asyncio.ensure_future(call) for call in calls]
        while store._writer._queue.qsize() < len(calls):
            await asyncio.sleep(0)
    assert not await busy
    return await asyncio.gather(*writing, return_exceptions=True)


# --------------------------------------------------------------------------------- several processes


async def test_two_processes_lose_no_increment(path: Path, store: SqliteStore) -> None:
    """Both count up the same session, each on top of what it read: every increment is there."""
    item = await stored(store)
    processes = [run_script(INCREMENT, path, item["session_id"], 50, NOW) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        await asyncio.to_thread(process.communicate, timeout=60)
        assert process.returncode == 0
    last = await store.get(item["session_id"], NOW)
    assert last == {**item, "write_version": 101, "launch": item["launch"] + 100}


async def test_processes_that_open_a_new_file_at_once_all_can(path: Path) -> None:
    """The schema is made once, whoever is first."""
    stores = await asyncio.gather(*(asyncio.to_thread(SqliteStore, path) for _ in range(6)))
    item = await stored(stores[0])
    for opened in stores:
        assert await opened.get(item["session_id"], NOW) == item
        await opened.close()


async def test_every_acknowledged_write_survives_kill_9(path: Path) -> None:
    """A process is killed in the middle of its writes: what it said was stored, is stored."""
    store = SqliteStore(path)
    items = [await stored(store) for _ in range(8)]
    await store.close()
    process = run_script(WRITE_FOR_EVER, path, NOW, *ids(*items))
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(400)]
    process.send_signal(signal.SIGKILL)
    with process:
        rest = process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL
    # A line without its end was cut off by the kill.
    lines += [line for line in rest if line.endswith("\n")]
    acknowledged: dict[str, int] = {}
    for line in lines:
        session_id, number = line.split()
        acknowledged[session_id] = int(number)
    assert sum(acknowledged.values()) >= 400
    reopened = SqliteStore(path)
    for session_id, version in acknowledged.items():
        item = await reopened.get(session_id, NOW)
        assert item is not None
        # One more may have been stored whose line was never printed.
        assert item["write_version"] in (version, version + 1)
    await reopened.close()


async def test_another_process_is_waited_for(path: Path, store: SqliteStore) -> None:
    """A write that finds the file locked is stored once the lock is gone; reads do not wait at all."""
    item = await stored(store)
    with locked(path):
        writing = asyncio.ensure_future(store.replace(written(item), 1))
        assert await store.get(item["session_id"], NOW) == item
        assert not writing.done()
    assert await writing


async def test_a_lock_that_stays_is_a_temporary_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time a write may wait, the caller learns why, nothing is stored, and the store goes on."""
    monkeypatch.setattr(sqlite_file, "BUSY_SECONDS", 0.05)
    store = SqliteStore(path)
    items = [await stored(store) for _ in range(3)]
    with locked(path):
        results = await asyncio.gather(*(store.replace(written(i), 1) for i in items), return_exceptions=True)
    assert [type(result) for result in results] == [TemporaryError] * 3
    assert "locked by another process" in str(results[0])
    assert [await store.get(item["session_id"], NOW) for item in items] == items
    assert await store.replace(written(items[0]), 1)
    await store.close()


# -------------------------------------------------------------------------------------------- batches


async def test_a_conflict_in_a_batch_leaves_the_others_true(way: str, store: SqliteStore) -> None:
    """Writes of one transaction are each conditional on their own."""
    items = [await stored(store) for _ in range(6)]
    results = await in_one_batch(
        way, store, *(store.replace(written(i), 9 if n == 3 else 1) for n, i in enumerate(items))
    )
    assert results == [True, True, True, False, True, True]
    versions = [(await store.get(item["session_id"], NOW) or {})["write_version"] for item in items]
    assert versions == [2, 2, 2, 1, 2, 2]


async def test_what_sqlite_refuses_fails_alone(way: str, store: SqliteStore) -> None:
    """An item that no column can hold, or that nests too deep for SQLite, harms nobody in its transaction."""
    items = [await stored(store) for _ in range(5)]
    deep: list[Any] = []
    for _ in range(2500):
        deep = [deep]
    changed = [written(item) for item in items]
    changed[1]["ttl"] = 2**70
    changed[2]["due_at"] = -(2**70)
    changed[3]["nested"] = deep
    sys_limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        results = await in_one_batch(way, store, *(store.replace(item, 1) for item in changed))
    finally:
        sys.setrecursionlimit(sys_limit)
    assert [results[0], results[4]] == [True, True]
    assert [type(result) for result in results[1:4]] == [PermanentError] * 3
    for item in items[1:4]:
        assert await store.get(item["session_id"], NOW) == item


async def test_a_full_disk_stores_nothing_of_a_batch(way: str, store: SqliteStore) -> None:
    """All writes of the transaction fail in words, none is half there, and the store works when there is room again."""
    items = [await stored(store) for _ in range(4)]
    # A limit on the pages is how SQLite itself lets one try a full disk: the same SQLITE_FULL.
    connections = (store._writer._connection, store._writer._at_once)
    for connection in connections:
        connection.execute("PRAGMA max_page_count = 1").fetchall()
    big = {"initial_prompt": "x" * 200_000}
    changed = [written(item, **(big if n == 2 else {})) for n, item in enumerate(items)]
    results = await in_one_batch(way, store, *(store.replace(item, 1) for item in changed))
    assert [type(result) for result in results] == [TemporaryError] * 4
    assert "full" in str(results[0])
    for item in items:
        assert await store.get(item["session_id"], NOW) == item
    for connection in connections:
        connection.execute("PRAGMA max_page_count = 100000").fetchall()
    assert await store.replace(changed[2], 1)


async def test_a_disk_that_fails_in_a_batch_undoes_it(way: str, store: SqliteStore) -> None:
    """What was already done of the transaction is rolled back, its callers are told, and the next write is stored."""
    items = [await stored(store) for _ in range(2)]

    def fail(connection: sqlite3.Connection) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR_WRITE, "SQLITE_IOERR_WRITE"
        raise error

    async def failing() -> None:
        await store._writer.submit(fail)

    results = await in_one_batch(
        way, store, store.replace(written(items[0]), 1), failing(), store.replace(written(items[1]), 1)
    )
    assert [type(result) for result in results] == [TemporaryError] * 3
    assert results[0].outcome_unknown
    assert [await store.get(item["session_id"], NOW) for item in items] == items
    assert await store.replace(written(items[0]), 1)
    assert await store.get(items[0]["session_id"], NOW) == written(items[0])


async def test_close_finishes_what_was_asked_for(path: Path) -> None:
    """Writes that wait when the store closes are stored, and their callers told so."""
    store = SqliteStore(path)
    items = [await stored(store) for _ in range(20)]
    writing = [asyncio.ensure_future(store.replace(written(item), 1)) for item in items]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*writing) == [True] * 20
    with another_connection(path) as connection:
        assert connection.execute("SELECT DISTINCT write_version FROM devflow_sessions").fetchall() == [(2,)]
    assert not path.with_name("sessions.db-wal").exists()


async def test_a_caller_that_gave_up_harms_nobody(path: Path, store: SqliteStore) -> None:
    """A cancelled call takes no result; the next one is served."""
    item = await stored(store)
    with locked(path):
        writing = asyncio.ensure_future(store.replace(written(item), 1))
        await asyncio.sleep(0)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    assert await store.create(make_item(), NOW)
