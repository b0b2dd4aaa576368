"""An in-memory `SessionStore`: for tests of what stands on the port. Passes tests/contract/test_session_store.py."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator

from slackbot.core.errors import DevflowError, PermanentError, UsageError
from slackbot.core.item import index_entry
from slackbot.core.ports import IndexEntry, Item, Page


class FakeStore:
    """`items` may be read and changed by a test; `fail_next` is raised by the next call, once."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.fail_next: DevflowError | None = None
        self.closed = False

    async def get(self, session_id: str, now: int) -> Item | None:
        self._check()
        item = self.items.get(session_id)
        return copy.deepcopy(item) if item is not None and item["ttl"] > now else None

    async def create(self, item: Item, now: int) -> bool:
        self._check()
        present = self.items.get(item["session_id"])
        if present is not None and present["ttl"] > now:
            return False
        self.items[item["session_id"]] = copy.deepcopy(item)
        return True

    async def replace(self, item: Item, expected_write_version: int) -> bool:
        self._check()
        if not self._is_at(item["session_id"], expected_write_version):
            return False
        self.items[item["session_id"]] = copy.deepcopy(item)
        return True

    async def delete(self, session_id: str, expected_write_version: int) -> bool:
        self._check()
        if not self._is_at(session_id, expected_write_version):
            return False
        del self.items[session_id]
        return True

    async def list_by_user(self, user_id: str, now: int, limit: int, cursor: str | None = None) -> Page:
        self._check()
        own = [index_entry(item) for item in self._indexed() if item["user_id"] == user_id and item["ttl"] > now]
        own.sort(key=_position, reverse=True)
        if cursor is not None:
            behind = _read_cursor(cursor, user_id)
            own = [entry for entry in own if _position(entry) < behind]
        page = tuple(own[:limit])
        return Page(page, json.dumps([user_id, *_position(page[-1])]) if len(own) > limit else None)

    async def scan(self, now: int, *, due_by: int | None = None, live: bool = False) -> AsyncIterator[IndexEntry]:
        self._check()
        for item in self._indexed():
            entry = index_entry(item)
            is_due = due_by is not None and entry.due_at is not None and entry.due_at <= due_by
            is_live = live and entry.status in ("starting", "running")
            if entry.ttl > now and (is_due or is_live or (due_by is None and not live)):
                yield entry

    async def close(self) -> None:
        self.closed = True

    def _check(self) -> None:
        if self.closed:
            raise PermanentError("The session store is closed.")
        error, self.fail_next = self.fail_next, None
        if error is not None:
            raise error

    def _indexed(self) -> list[Item]:
        """What stands in the index: items with both of its keys."""
        return [item for item in self.items.values() if "user_id" in item and "created_at" in item]

    def _is_at(self, session_id: str, write_version: int) -> bool:
        return session_id in self.items and self.items[session_id]["write_version"] == write_version


def _position(entry: IndexEntry) -> tuple[int, str]:
    return entry.created_at, entry.session_id


def _read_cursor(cursor: str, user_id: str) -> tuple[int, str]:
    try:
        owner, created_at, session_id = json.loads(cursor)
    except (ValueError, TypeError) as error:
        raise UsageError("This page of the list is not known.", "Ask for the list again.") from error
    if owner != user_id:
        raise UsageError("This page is of another person's list.", "Ask for the list again.")
    return int(created_at), str(session_id)
