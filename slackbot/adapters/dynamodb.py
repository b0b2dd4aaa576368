"""`SessionStore` in the DynamoDB table `devflow-sessions`: what `devflow run` keeps its sessions in.

Items come from the engine and are stored as docs/table.md says; lists and scans read the index. Calls, threads and
repeats: `dynamodb_calls`; types: `dynamodb_values`; the table itself: `dynamodb_table`; errors: `dynamodb_errors`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import structlog

from slackbot.adapters.dynamodb_calls import DynamoCalls, make_client
from slackbot.adapters.dynamodb_table import INDEX
from slackbot.adapters.dynamodb_values import WireItem, from_wire, is_same, to_wire
from slackbot.adapters.list_cursor import make_cursor, read_cursor
from slackbot.core.errors import DevflowError
from slackbot.core.item import index_entry
from slackbot.core.ports import IndexEntry, Item, Page

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

log = structlog.get_logger()

THREADS = 16
"""Calls in flight at once; a bot makes some tens a second, of some milliseconds each."""

MORE_THAN_A_PAGE = 25
"""Entries a list reads beyond those it gives: expired ones stay in the index for days."""

_ABSENT_OR_EXPIRED = "attribute_not_exists(session_id) OR #ttl <= :now"
_AT_VERSION = "write_version = :expected"

_PROJECTED = {f"#{f.name}": f.name for f in fields(IndexEntry)}
"""Aliases, because `status`, `ttl` and others are reserved words of DynamoDB's expressions."""
_READ_INDEX: Mapping[str, Any] = {
    "IndexName": INDEX,
    "ProjectionExpression": ", ".join(_PROJECTED),
    "ExpressionAttributeNames": _PROJECTED,
}


class DynamoStore:
    """See `core.ports.SessionStore`. Every item is one item of `table`, written whole.

    `client` comes from `make_client`; without one the store makes its own from boto3's settings, and closes it.
    `PermanentError` when no region is set. Nothing is asked of AWS before the first call.
    """

    def __init__(self, *, table: str, client: DynamoDBClient | None = None, threads: int = THREADS) -> None:
        self.table = table
        self._owns_client = client is None
        self._client = client if client is not None else make_client(threads=threads)
        self._calls = DynamoCalls(self._client, table, threads)
        self._unreadable: set[str] = set()

    async def get(self, session_id: str, now: int) -> Item | None:
        answer = await self._calls.call("GetItem", {"Key": _key(session_id), "ConsistentRead": True})
        if not answer.get("Item"):
            return None
        item = from_wire(answer["Item"])
        ttl = item.get("ttl")
        # DynamoDB removes an expired item within days, not at once.
        return None if isinstance(ttl, int) and ttl <= now else item

    async def create(self, item: Item, now: int) -> bool:
        wire = to_wire(item)
        request = {
            "Item": wire,
            "ConditionExpression": _ABSENT_OR_EXPIRED,
            "ExpressionAttributeNames": {"#ttl": "ttl"},
            "ExpressionAttributeValues": {":now": _number(now)},
        }
        return await self._calls.write("PutItem", request, _was_written(wire))

    async def replace(self, item: Item, expected_write_version: int) -> bool:
        wire = to_wire(item)
        request = {"Item": wire, **_if_at(expected_write_version)}
        return await self._calls.write("PutItem", request, _was_written(wire))

    async def delete(self, session_id: str, expected_write_version: int) -> bool:
        request = {"Key": _key(session_id), **_if_at(expected_write_version)}
        # After an attempt that may have been done, an item that is gone was removed by it.
        return await self._calls.write("DeleteItem", request, lambda found: found is None)

    async def list_by_user(self, user_id: str, now: int, limit: int, cursor: str | None = None) -> Page:
        limit = min(max(limit, 1), 100)
        request: dict[str, Any] = {
            **_READ_INDEX,
            "KeyConditionExpression": "#user_id = :user_id",
            "FilterExpression": "#ttl > :now",
            "ExpressionAttributeValues": {":user_id": {"S": user_id}, ":now": _number(now)},
            "ScanIndexForward": False,
            "Limit": limit + MORE_THAN_A_PAGE,
        }
        if cursor is not None:
            created_at, session_id = read_cursor(cursor, user_id)
            request["ExclusiveStartKey"] = {
                **_key(session_id),
                "user_id": {"S": user_id},
                "created_at": _number(created_at),
            }
        entries: list[IndexEntry] = []
        # One more than asked for tells whether there is a next page.
        while len(entries) <= limit:
            answer = await self._calls.call("Query", request)
            entries += self._entries(answer)
            if not answer.get("LastEvaluatedKey"):
                break
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        page = entries[:limit]
        following = make_cursor(user_id, page[-1].created_at, page[-1].session_id) if len(entries) > limit else None
        return Page(entries=tuple(page), cursor=following)

    async def scan(self, now: int, *, due_by: int | None = None, live: bool = False) -> AsyncIterator[IndexEntry]:
        wanted = []
        values = {":now": _number(now)}
        if due_by is not None:
            wanted.append("#due_at <= :due_by")
            values[":due_by"] = _number(due_by)
        if live:
            wanted.append("#status IN (:starting, :running)")
            values |= {":starting": {"S": "starting"}, ":running": {"S": "running"}}
        request: dict[str, Any] = {
            **_READ_INDEX,
            "FilterExpression": "#ttl > :now" + (f" AND ({' OR '.join(wanted)})" if wanted else ""),
            "ExpressionAttributeValues": values,
        }
        # A session that is created anew while this goes on moves in the index: it is given once.
        given: set[str] = set()
        while True:
            answer = await self._calls.call("Scan", request)
            for entry in self._entries(answer):
                if entry.session_id not in given:
                    given.add(entry.session_id)
                    yield entry
            if not answer.get("LastEvaluatedKey"):
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    @property
    def unreadable(self) -> frozenset[str]:
        """Sessions that lists and scans passed over, because what the index holds of them is of no known form."""
        return frozenset(self._unreadable)

    async def close(self) -> None:
        """Finishes what runs, then closes the connections. May be called again."""
        await self._calls.close()
        if self._owns_client:
            self._client.close()

    def _entries(self, answer: Mapping[str, Any]) -> list[IndexEntry]:
        entries = []
        for wire in answer["Items"]:
            try:
                entries.append(index_entry(from_wire(wire)))
            except (TypeError, DevflowError) as error:
                # An item somebody made by hand must not hide all the others.
                self._tell_once(wire, error)
        return entries

    def _tell_once(self, wire: WireItem, error: Exception) -> None:
        session_id = str(wire.get("session_id", {}).get("S", "?"))
        if session_id not in self._unreadable:
            self._unreadable.add(session_id)
            log.warning("store_item_unreadable", session_id=session_id, error=str(error))


def _key(session_id: str) -> WireItem:
    return {"session_id": {"S": session_id}}


def _number(value: int) -> dict[str, str]:
    return {"N": str(value)}


def _if_at(write_version: int) -> dict[str, Any]:
    return {
        "ConditionExpression": _AT_VERSION,
        "ExpressionAttributeValues": {":expected": _number(write_version)},
    }


def _was_written(wire: WireItem) -> Any:
    """Tells whether the item found is the one this write put there: then its lost answer was a yes."""
    return lambda found: found is not None and is_same(found, wire)
