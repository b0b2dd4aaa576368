"""What every `SessionStore` promises (core.ports), asked of each one in the same words.

A new adapter adds one entry to STORES. Items are made by `to_item`, as the engine makes them.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from slackbot.adapters.sqlite import SqliteStore
from slackbot.core.errors import DevflowError, UsageError
from slackbot.core.item import from_item, index_entry, to_item
from slackbot.core.ledger_item import LedgerPage, to_page_item
from slackbot.core.ports import IndexEntry, Item, SessionStore
from slackbot.core.repository_name import RepositoryName
from slackbot.core.session import TTL_SECONDS, Session, Status, Thread, Turn, TurnState
from tests.fakes.moto_dynamodb import moto_store
from tests.fakes.session_store import FakeStore

NOW = 1_800_000_000

STORES: dict[str, Callable[[Path], SessionStore]] = {
    "fake": lambda directory: FakeStore(),
    "sqlite": lambda directory: SqliteStore(directory / "sessions.db"),
    "dynamodb": lambda directory: moto_store(),
}


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SessionStore]:
    """An empty store of each kind."""
    opened = STORES[request.param](tmp_path)
    yield opened
    await opened.close()


def make_session(**changes: Any) -> Session:
    """A session of U1 created now; `changes` are attributes of `Session`."""
    values: dict[str, Any] = {
        "session_id": str(uuid.uuid4()),
        "user_id": "U1",
        "repository": RepositoryName("acme", "shop"),
        "repository_url": "https://github.com/acme/shop",
        "branch_name": "devflow/fix-checkout",
        "status": Status.RUNNING,
        "initial_prompt": "fix the flaky checkout test",
        "github_installation_id": 4711,
        "created_at": NOW,
        "updated_at": NOW,
        "ttl": NOW + TTL_SECONDS,
        "base_branch": "main",
        "agent": "shell",
        "thread": Thread("T1", "C1", "1800000000.000100"),
        "launch": NOW * 1000,
        "write_version": 1,
    }
    return Session(**(values | changes))


def make_item(**changes: Any) -> Item:
    """The item of `make_session(**changes)`."""
    return to_item(make_session(**changes))


async def stored(store: SessionStore, **changes: Any) -> Item:
    """An item that is in the store."""
    item = make_item(**changes)
    assert await store.create(item, NOW)
    return item


async def found(store: SessionStore, now: int = NOW, **condition: Any) -> list[str]:
    """The ids that a scan gives, sorted; twice the same one would show."""
    return sorted([entry.session_id async for entry in store.scan(now, **condition)])


def ids(*items: Item) -> list[str]:
    """The ids of items, sorted."""
    return sorted(item["session_id"] for item in items)


# ----------------------------------------------------------------------------------- get and create


async def test_an_unknown_session_is_absent(store: SessionStore) -> None:
    """Nothing is found where nothing was stored."""
    assert await store.get(str(uuid.uuid4()), NOW) is None


async def test_create_stores_once(store: SessionStore) -> None:
    """The second create of the same session fails and changes nothing."""
    item = await stored(store)
    assert not await store.create({**item, "branch_name": "another"}, NOW)
    assert await store.get(item["session_id"], NOW) == item


async def test_of_fifty_creates_at_once_one_wins(store: SessionStore) -> None:
    """Two attempts to begin one thread's session collide, however close they are."""
    items = [make_item(session_id="00000000-0000-4000-8000-000000000000", branch_name=f"b{n}") for n in range(50)]
    won = await asyncio.gather(*(store.create(item, NOW) for item in items))
    assert won.count(True) == 1
    assert await store.get(items[0]["session_id"], NOW) == items[won.index(True)]


async def test_an_item_is_absent_from_its_ttl_on(store: SessionStore) -> None:
    """The last second before `ttl` still finds the item, `ttl` itself does not."""
    item = await stored(store, ttl=NOW + 10)
    assert await store.get(item["session_id"], NOW + 9) == item
    assert await store.get(item["session_id"], NOW + 10) is None


async def test_an_expired_item_is_found_by_who_asks_for_an_earlier_moment_and_can_be_kept(store: SessionStore) -> None:
    """A bot that was away takes up what expired meanwhile: seen as of then, and written as any other."""
    item = await stored(store, ttl=NOW + 10, due_at=NOW, status=Status.RUNNING)
    session_id = item["session_id"]
    assert await found(store, NOW + 5_000, due_by=NOW + 5_000) == []
    assert await found(store, NOW + 9, due_by=NOW + 5_000) == [session_id]
    assert await store.get(session_id, NOW + 9) == item
    kept = {**item, "ttl": NOW + 90_000, "write_version": item["write_version"] + 1}
    assert await store.replace(kept, item["write_version"])
    assert await store.get(session_id, NOW + 5_000) == kept


async def test_create_replaces_an_expired_item_whole(store: SessionStore) -> None:
    """An expired item does not stand in the way, and nothing of it is left in the new one."""
    old = await stored(store, ttl=NOW + 10, pr_number=7, due_at=NOW, user_id="U-before", status=Status.RUNNING)
    new = make_item(session_id=old["session_id"], status=Status.STOPPED, created_at=NOW + 10, user_id="U-after")
    assert not await store.create(new, NOW + 9)
    assert await store.create(new, NOW + 10)
    assert await store.get(old["session_id"], NOW + 10) == new
    assert await found(store, NOW + 10, due_by=NOW + 100, live=True) == []
    assert (await store.list_by_user("U-before", NOW + 10, 10)).entries == ()
    assert [entry.pr_number for entry in (await store.list_by_user("U-after", NOW + 10, 10)).entries] == [None]


# -------------------------------------------------------------------------------- replace and delete


async def test_replace_stores_over_the_version_it_read(store: SessionStore) -> None:
    """A write on top of the present version is there for the next read, and what it left out is gone."""
    item = await stored(store, editor_url="https://editor.example")
    changed = {**item, "write_version": 2, "status": "stopped"}
    del changed["editor_url"]
    assert await store.replace(changed, 1)
    assert await store.get(item["session_id"], NOW) == changed


async def test_a_session_that_is_handed_over_is_in_the_new_owners_list(store: SessionStore) -> None:
    """And in nobody else's."""
    item = await stored(store, user_id="U-before")
    assert await store.replace({**item, "write_version": 2, "user_id": "U-after"}, 1)
    assert (await store.list_by_user("U-before", NOW, 10)).entries == ()
    assert [entry.session_id for entry in (await store.list_by_user("U-after", NOW, 10)).entries] == [
        item["session_id"]
    ]


async def test_a_lost_race_changes_nothing(store: SessionStore) -> None:
    """A write on top of an older version is refused."""
    item = await stored(store)
    second = {**item, "write_version": 2}
    assert await store.replace(second, 1)
    assert not await store.replace({**item, "write_version": 2, "branch_name": "late"}, 1)
    assert await store.get(item["session_id"], NOW) == second


async def test_of_fifty_replaces_of_one_version_one_wins(store: SessionStore) -> None:
    """Only one writer may go on from one version."""
    item = await stored(store)
    attempts = [{**item, "write_version": 2, "branch_name": f"b{n}"} for n in range(50)]
    won = await asyncio.gather(*(store.replace(attempt, 1) for attempt in attempts))
    assert won.count(True) == 1
    assert await store.get(item["session_id"], NOW) == attempts[won.index(True)]


async def test_writers_that_load_again_lose_no_write(store: SessionStore) -> None:
    """Twenty writers that repeat after a lost race all get their turn in, once."""
    item = await stored(store)

    async def add(turn_id: str) -> None:
        while True:
            present = await store.get(item["session_id"], NOW)
            assert present is not None
            session = from_item(present)
            turn = Turn(turn_id, "U1", "prompt", TurnState.QUEUED, NOW)
            version = session.write_version
            changed = make_session(
                session_id=session.session_id, history=(*session.history, turn), write_version=version + 1
            )
            if await store.replace(to_item(changed), version):
                return

    await asyncio.gather(*(add(f"C1:{n}") for n in range(20)))
    last = await store.get(item["session_id"], NOW)
    assert last is not None
    assert last["write_version"] == 21
    assert sorted(turn["turn_id"] for turn in last["history"]) == sorted(f"C1:{n}" for n in range(20))


async def test_replace_never_creates(store: SessionStore) -> None:
    """A deleted session stays deleted, whoever still holds it; so does one that never was."""
    item = await stored(store)
    assert await store.delete(item["session_id"], 1)
    assert not await store.replace({**item, "write_version": 2}, 1)
    assert not await store.replace(make_item(), 0)
    assert await found(store) == []


async def test_delete_is_conditional(store: SessionStore) -> None:
    """Only the version that was read is deleted, and only once."""
    item = await stored(store)
    assert await store.replace({**item, "write_version": 2}, 1)
    assert not await store.delete(item["session_id"], 1)
    assert await store.get(item["session_id"], NOW) is not None
    assert await store.delete(item["session_id"], 2)
    assert not await store.delete(item["session_id"], 2)
    assert await store.get(item["session_id"], NOW) is None


async def test_each_of_many_different_writes_has_its_own_result(store: SessionStore) -> None:
    """Writes that are in flight together do not share their fate."""
    items = [await stored(store) for _ in range(30)]
    expected = [1 if n % 3 else 99 for n in range(30)]
    won = await asyncio.gather(
        *(store.replace({**i, "write_version": 2}, e) for i, e in zip(items, expected, strict=True))
    )
    assert won == [e == 1 for e in expected]
    for item, version in zip(items, expected, strict=True):
        present = await store.get(item["session_id"], NOW)
        assert present is not None
        assert present["write_version"] == (2 if version == 1 else 1)


# ------------------------------------------------------------------------------ what an item may hold


async def test_a_session_comes_back_as_it_was(store: SessionStore) -> None:
    """Session -> item -> store -> item -> session is the same session; unknown attributes are kept at every depth."""
    session = make_session(
        extra={"of_a_newer_version": {"deep": [1, {"er": "x"}], "yes": True}},
        history=(
            Turn(
                "C1:1", "U1", "tëst 日本語 👩‍👩‍👧 & <@U1> \u2028 \x07", TurnState.ANSWERED, NOW, extra={"mood": "good"}
            ),
        ),
        thread=Thread("T1", "C1", "1800000000.000100", extra={"later": 1}),
    )
    await store.create(to_item(session), NOW)
    item = await store.get(session.session_id, NOW)
    assert item == to_item(session)
    assert item is not None
    assert from_item(item) == session


async def test_numbers_stay_integers(store: SessionStore) -> None:
    """No Decimal and no float comes back, at any depth, nor is a large number rounded."""
    item = await stored(store, pr_number=0, launch=2**53 + 1, extra={"usage": {"tokens": -5, "list": [10**15]}})
    present = await store.get(item["session_id"], NOW)
    assert present is not None
    numbers = [present["launch"], present["pr_number"], present["usage"]["tokens"], present["usage"]["list"][0]]
    assert numbers == [2**53 + 1, 0, -5, 10**15]
    assert {type(number) for number in numbers} == {int}
    entries = [entry async for entry in store.scan(NOW)]
    assert entries == [index_entry(item)]
    assert type(entries[0].launch) is int


async def test_a_large_item_comes_back_whole(store: SessionStore) -> None:
    """300 KB, most of it outside ASCII, are stored, replaced and read exactly."""
    turns = tuple(Turn(f"C1:{n}", "U1", "試験🧪" * 1200, TurnState.ANSWERED, NOW + n) for n in range(25))
    item = await stored(store, history=turns)
    assert await store.get(item["session_id"], NOW) == item
    changed = {**item, "write_version": 2, "history": list(reversed(item["history"]))}
    assert await store.replace(changed, 1)
    assert await store.get(item["session_id"], NOW) == changed


async def test_what_is_stored_is_a_copy(store: SessionStore) -> None:
    """Changing an item after a call, or one that was read, changes nothing in the store."""
    item = make_item(history=(Turn("C1:1", "U1", "before", TurnState.QUEUED, NOW),))
    writing = asyncio.ensure_future(store.create(item, NOW))
    await writing
    item["history"][0]["prompt"] = "after"
    read = await store.get(item["session_id"], NOW)
    assert read is not None
    read["history"][0]["prompt"] = "after"
    again = await store.get(item["session_id"], NOW)
    assert again is not None
    assert again["history"][0]["prompt"] == "before"


# ----------------------------------------------------------------------------------------------- lists


async def pages(store: SessionStore, limit: int, user_id: str = "U1") -> list[tuple[IndexEntry, ...]]:
    """All pages of a person's list."""
    page = await store.list_by_user(user_id, NOW, limit)
    result = [page.entries]
    while page.cursor is not None:
        page = await store.list_by_user(user_id, NOW, limit, page.cursor)
        result.append(page.entries)
    return result


async def test_a_list_is_newest_first_and_only_ones_own(store: SessionStore) -> None:
    """Three sessions of a person, none of others, none that has expired."""
    items = [await stored(store, created_at=NOW + n) for n in (1, 3, 2)]
    await stored(store, user_id="U2", created_at=NOW + 9)
    await stored(store, created_at=NOW + 8, ttl=NOW)
    page = await store.list_by_user("U1", NOW, 10)
    assert page.cursor is None
    assert list(page.entries) == [index_entry(items[n]) for n in (1, 2, 0)]
    assert (await store.list_by_user("U-nobody", NOW, 10)).entries == ()


async def test_a_list_is_paged_without_gap_or_double(store: SessionStore) -> None:
    """25 sessions, some of one second, come in pages of 10, 10 and 5."""
    items = [await stored(store, created_at=NOW + n // 3) for n in range(25)]
    for n in range(5):
        await stored(store, created_at=NOW + n, ttl=NOW)
    result = await pages(store, 10)
    assert [len(page) for page in result] == [10, 10, 5]
    listed = [entry for page in result for entry in page]
    assert sorted(entry.session_id for entry in listed) == ids(*items)
    assert [entry.created_at for entry in listed] == sorted((i["created_at"] for i in items), reverse=True)


async def test_a_full_last_page_has_no_cursor(store: SessionStore) -> None:
    """20 sessions by 10 are two pages, not three."""
    for n in range(20):
        await stored(store, created_at=NOW + n)
    assert [len(page) for page in await pages(store, 10)] == [10, 10]


async def test_a_new_session_does_not_disturb_paging(store: SessionStore) -> None:
    """What is created while somebody pages does not push an entry to the next page again."""
    items = [await stored(store, created_at=NOW + n) for n in range(4)]
    first = await store.list_by_user("U1", NOW, 2)
    await stored(store, created_at=NOW + 50)
    second = await store.list_by_user("U1", NOW, 2, first.cursor)
    assert sorted(entry.session_id for entry in (*first.entries, *second.entries)) == ids(*items)


@pytest.mark.parametrize("cursor", ["", "x", "e30", "W10", "not a cursor", "日本", "[]", "ey" * 200, "bnVsbA", "AAAA"])
async def test_a_garbled_cursor_is_the_callers_fault(store: SessionStore, cursor: str) -> None:
    """A cursor comes back through Slack, so anything may stand in it."""
    await stored(store)
    with pytest.raises(UsageError):
        await store.list_by_user("U1", NOW, 10, cursor)


async def test_a_cursor_of_another_list_is_refused(store: SessionStore) -> None:
    """A cursor serves the person it was made for."""
    for n in range(3):
        await stored(store, created_at=NOW + n)
    page = await store.list_by_user("U1", NOW, 2)
    assert page.cursor is not None
    with pytest.raises(UsageError):
        await store.list_by_user("U2", NOW, 2, page.cursor)


# ----------------------------------------------------------------------------------------------- scans


async def test_a_scan_finds_what_is_due_and_what_lives(store: SessionStore) -> None:
    """Each condition alone, both together (either will do, each session once), and none."""
    due = await stored(store, status=Status.STOPPED, due_at=NOW)
    both = await stored(store, status=Status.STARTING, due_at=NOW - 5)
    live = await stored(store, status=Status.RUNNING)
    later = await stored(store, status=Status.RUNNING, due_at=NOW + 1)
    neither = await stored(store, status=Status.ERROR)
    await stored(store, status=Status.RUNNING, due_at=NOW, ttl=NOW)
    assert await found(store, due_by=NOW) == ids(due, both)
    assert await found(store, due_by=NOW + 1) == ids(due, both, later)
    assert await found(store, live=True) == ids(both, live, later)
    assert await found(store, due_by=NOW, live=True) == ids(due, both, live, later)
    assert await found(store) == ids(due, both, live, later, neither)


async def test_a_scan_gives_what_the_index_projects(store: SessionStore) -> None:
    """An entry of a scan is the one of the list, and is made of the item."""
    item = await stored(store, due_at=NOW, pr_number=12, pr_url="https://github.com/acme/shop/pull/12")
    assert [entry async for entry in store.scan(NOW, live=True)] == [index_entry(item)]
    assert list((await store.list_by_user("U1", NOW, 1)).entries) == [index_entry(item)]


async def test_a_scan_sees_what_a_replace_changed(store: SessionStore) -> None:
    """What is owed and what lives follow from the latest write."""
    item = await stored(store, status=Status.RUNNING, due_at=NOW)
    changed = {**item, "status": "stopped", "write_version": 2}
    del changed["due_at"]
    assert await store.replace(changed, 1)
    assert await found(store, due_by=NOW + 9, live=True) == []
    assert await found(store) == ids(item)


async def test_a_scan_goes_through_all_its_pages(store: SessionStore) -> None:
    """250 sessions are found, each once, whatever is asked for, also where many are due in the same second."""
    items = [make_item(due_at=NOW + n % 2) for n in range(250)]
    assert all(await asyncio.gather(*(store.create(item, NOW) for item in items)))
    conditions: list[dict[str, Any]] = [{}, {"live": True}, {"due_by": NOW + 5}, {"live": True, "due_by": NOW + 5}]
    for condition in conditions:
        assert await found(store, **condition) == ids(*items), condition


async def test_a_scan_may_write_what_it_finds(store: SessionStore) -> None:
    """The reconciler writes while it scans: nothing blocks, and no session is given twice or left out."""
    items = [make_item(due_at=NOW - n) for n in range(230)]
    await asyncio.gather(*(store.create(item, NOW) for item in items))
    by_id = {item["session_id"]: item for item in items}
    seen = []
    async for entry in store.scan(NOW, due_by=NOW, live=True):
        seen.append(entry.session_id)
        assert await store.replace({**by_id[entry.session_id], "due_at": NOW, "write_version": 2}, 1)
    assert sorted(seen) == ids(*items)


# ----------------------------------------------------------------------------------------------- close


async def test_a_closed_store_says_so(store: SessionStore) -> None:
    """Closing twice is harmless; using a closed store is an error, not a hang."""
    item = await stored(store)
    await store.close()
    await store.close()
    with pytest.raises(DevflowError, match="closed"):
        await store.get(item["session_id"], NOW)
    with pytest.raises(DevflowError, match="closed"):
        await store.replace({**item, "write_version": 2}, 1)
    with pytest.raises(DevflowError, match="closed"):
        await found(store)


async def test_an_item_without_the_indexs_keys_is_read_by_its_key_alone(store: SessionStore) -> None:
    """The ledger's pages are no sessions: no list and no scan meets them."""
    page = to_page_item(LedgerPage("2027-01", counted={"calls": 1}, write_version=1), NOW)
    item = await stored(store)
    assert await store.create(page, NOW)
    assert await store.get(page["session_id"], NOW) == page
    assert await found(store) == [item["session_id"]]
    assert await found(store, live=True, due_by=NOW + 10**6) == [item["session_id"]]
    assert [entry.session_id for entry in (await store.list_by_user("U1", NOW, 10)).entries] == [item["session_id"]]
    assert await store.replace({**page, "write_version": 2}, 1)
    assert not await store.replace({**page, "write_version": 2}, 1)
