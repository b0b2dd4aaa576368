"""Where the SQLite store writes: on the event loop while the disk is quick and nobody else has the lock."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from slackbot.adapters import sqlite_writer
from slackbot.adapters.sqlite import SqliteStore
from slackbot.core.ports import Item
from tests.contract.test_session_store import NOW, stored
from tests.wire.test_sqlite_store import locked, written


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "sessions.db")
    yield opened
    await opened.close()


async def writing_thread(store: SqliteStore) -> threading.Thread:
    """Who commits the next write."""
    return await store._writer.submit(lambda connection: threading.current_thread())


async def test_what_is_written_in_one_round_is_one_transaction(store: SqliteStore) -> None:
    """One wait for the disk for all of it; alone, a statement needs no more."""
    items = [await stored(store) for _ in range(3)]
    statements: list[str] = []
    store._writer._at_once.set_trace_callback(lambda statement: statements.append(statement.split()[0]))
    assert await asyncio.gather(*(store.replace(written(item), 1) for item in items)) == [True] * 3
    assert statements == ["BEGIN", "UPDATE", "UPDATE", "UPDATE", "COMMIT"]
    statements.clear()
    assert await store.replace(written(written(items[0])), 2)
    assert statements == ["UPDATE"]


async def test_what_comes_alone_is_written_as_it_comes_until_there_is_company(store: SqliteStore) -> None:
    """Nobody else's write is waited for where for a while there was none; what comes with it is still one wait."""
    items = [await stored(store) for _ in range(3)]
    versions = dict.fromkeys((item["session_id"] for item in items), 1)

    def write(item: Item) -> asyncio.Task[bool]:
        version = versions[item["session_id"]]
        versions[item["session_id"]] += 1
        changed = {**item, "write_version": version + 1}
        return asyncio.create_task(store.replace(changed, version))

    for _ in range(sqlite_writer._ROUNDS_ALONE):
        assert await write(items[0])
    alone = write(items[0])
    await asyncio.sleep(0)
    assert alone.done()
    assert alone.result()
    statements: list[str] = []
    store._writer._at_once.set_trace_callback(lambda statement: statements.append(statement.split()[0]))
    assert await asyncio.gather(*map(write, items)) == [True] * 3
    assert statements == ["UPDATE", "BEGIN", "UPDATE", "UPDATE", "COMMIT"]
    statements.clear()
    assert await asyncio.gather(*map(write, items)) == [True] * 3
    assert statements == ["BEGIN", "UPDATE", "UPDATE", "UPDATE", "COMMIT"]


async def test_a_slow_disk_is_left_to_the_thread_for_a_while(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop waits once for it, then goes on while the thread writes; and later tries again."""
    assert await writing_thread(store) is threading.main_thread()
    await store._writer.submit(lambda connection: time.sleep(2 * sqlite_writer.QUICK_SECONDS))
    assert (await writing_thread(store)).name == "devflow-store-writer"
    monkeypatch.setattr(store._writer, "_slow_until", 0.0)
    assert await writing_thread(store) is threading.main_thread()


async def test_another_process_lock_does_not_stop_the_loop(store: SqliteStore) -> None:
    """The thread waits for it; what is written meanwhile comes behind, and all of it is done."""
    item = await stored(store)
    with locked(store.path):
        first = asyncio.ensure_future(store.replace(written(item), 1))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not first.done()
        second = asyncio.ensure_future(store.replace(written(written(item)), 2))
        await asyncio.sleep(0)
        assert await store.get(item["session_id"], NOW) == item
    assert await asyncio.gather(first, second) == [True, True]


async def test_what_was_asked_for_just_before_the_end_is_still_written(store: SqliteStore) -> None:
    item = await stored(store)
    writing = asyncio.ensure_future(store.replace(written(item), 1))
    while not store._writer._gathered:
        await asyncio.sleep(0)
    await store.close()
    assert await writing
    again = SqliteStore(store.path)
    assert (await again.get(item["session_id"], NOW) or {})["write_version"] == 2
    await again.close()
