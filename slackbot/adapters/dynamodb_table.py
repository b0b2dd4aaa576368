"""The DynamoDB table itself: its definition, and in what a table that exists differs from it. Pure.

`dynamodb_create` makes the table of this definition and gives DescribeTable's answer to be compared; `devflow check`
tells the differences. docs/table.md describes the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from slackbot.core.ports import IndexEntry

INDEX = "user_id-created_at-index"
TTL_ATTRIBUTE = "ttl"

KEYS = {"session_id": "HASH"}
INDEX_KEYS = {"user_id": "HASH", "created_at": "RANGE"}
ATTRIBUTE_TYPES = {"session_id": "S", "user_id": "S", "created_at": "N"}
TTL_OFF = "its TTL is off: sessions stay in it for ever"

PROJECTED = tuple(f.name for f in fields(IndexEntry) if f.name not in ATTRIBUTE_TYPES)
"""What the index holds beside the keys: what a list shows and the reconciler needs, never `history`."""


@dataclass(frozen=True)
class Difference:
    """One way in which a table is not the expected one.

    `is_fatal`: sessions cannot be kept in it as it is. Otherwise it works, but costs more or keeps more than it should.
    """

    summary: str
    remedy: str
    is_fatal: bool


@dataclass(frozen=True)
class TableState:
    """What AWS tells of a table: answers of DescribeTable and DescribeTimeToLive, in AWS's names."""

    table: Mapping[str, Any]
    time_to_live: Mapping[str, Any]


def definition(table: str) -> dict[str, Any]:
    """The parameters of CreateTable.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CreateTable.html
    """
    return {
        "TableName": table,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": attribute_definitions(),
        "KeySchema": _key_schema(KEYS),
        "GlobalSecondaryIndexes": [index_definition()],
    }


def differences(state: TableState) -> list[Difference]:
    """In what a table differs from the expected one, what is fatal first; empty when it is right. Pure."""
    table = state.table
    found = [*key_differences(table), *_index_differences(table), *ttl_differences(state.time_to_live)]
    if not is_on_demand(table):
        found.append(
            Difference(
                "its capacity is provisioned, not on demand: bursts are throttled",
                f"aws dynamodb update-table --table-name {table.get('TableName')} --billing-mode PAY_PER_REQUEST",
                is_fatal=False,
            )
        )
    return sorted(found, key=lambda difference: not difference.is_fatal)


def is_on_demand(table: Mapping[str, Any]) -> bool:
    """Whether each request is billed for itself. AWS leaves the mode out for a table that never was on demand."""
    return bool(table.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST")


def find_index(table: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The index of sessions by person among a table's indexes."""
    indexes: Sequence[Mapping[str, Any]] = table.get("GlobalSecondaryIndexes", ())
    return next((index for index in indexes if index.get("IndexName") == INDEX), None)


def key_differences(table: Mapping[str, Any]) -> list[Difference]:
    """The difference of the table's own key, if there is one."""
    types = _types(table)
    keys = _keys(table.get("KeySchema", []))
    if keys == KEYS and types.get("session_id") == "S":
        return []
    return [
        Difference(
            f"its key is {_written(keys, types)}, not session_id (S) alone",
            "Choose another name with DEVFLOW_TABLE; the key of a table cannot be changed.",
            is_fatal=True,
        )
    ]


def _index_differences(table: Mapping[str, Any]) -> list[Difference]:
    index = find_index(table)
    if index is None:
        return [Difference(f"it has no index {INDEX}", "Run `devflow create-table`.", is_fatal=True)]
    types = _types(table)
    keys = _keys(index.get("KeySchema", []))
    rebuild = f"Delete the index {INDEX}, then run `devflow create-table`; lists fail in between, sessions stay."
    found = []
    if keys != INDEX_KEYS or any(types.get(name) != ATTRIBUTE_TYPES[name] for name in INDEX_KEYS):
        expected = _written(INDEX_KEYS, ATTRIBUTE_TYPES)
        found.append(
            Difference(
                f"the key of the index {INDEX} is {_written(keys, types)}, not {expected}", rebuild, is_fatal=True
            )
        )
    projection = index.get("Projection", {})
    kind = projection.get("ProjectionType")
    missing = sorted(set(PROJECTED) - set(projection.get("NonKeyAttributes", ())))
    more = sorted(set(projection.get("NonKeyAttributes", ())) - set(PROJECTED))
    if kind == "ALL":
        found.append(
            Difference(f"the index {INDEX} holds all attributes: each write is paid twice", rebuild, is_fatal=False)
        )
    elif missing:
        found.append(Difference(f"the index {INDEX} lacks {', '.join(missing)}", rebuild, is_fatal=True))
    elif more:
        found.append(
            Difference(f"the index {INDEX} also holds {', '.join(more)}, which nothing reads", rebuild, is_fatal=False)
        )
    status = index.get("IndexStatus", "ACTIVE")
    if status not in ("ACTIVE", "UPDATING"):
        found.append(Difference(f"the index {INDEX} is {status}", "Wait until it is ACTIVE.", is_fatal=True))
    return found


def ttl_differences(time_to_live: Mapping[str, Any]) -> list[Difference]:
    """The difference of its TTL, if there is one; `TTL_OFF` is the one that `create_table` mends."""
    status, attribute = time_to_live.get("TimeToLiveStatus"), time_to_live.get("AttributeName")
    if status in ("ENABLED", "ENABLING"):
        if attribute == TTL_ATTRIBUTE:
            return []
        return [
            Difference(
                f"items expire by the attribute {attribute}, not by {TTL_ATTRIBUTE}",
                "Switch off the table's TTL, wait an hour, then run `devflow create-table`.",
                is_fatal=False,
            )
        ]
    if status == "DISABLING":
        return [
            Difference("its TTL is being switched off", "Run `devflow create-table` again in an hour.", is_fatal=False)
        ]
    return [Difference(TTL_OFF, "Run `devflow create-table`.", is_fatal=False)]


def attribute_definitions() -> list[dict[str, str]]:
    """The key attributes of table and index with their types; all others have no declared type."""
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in ATTRIBUTE_TYPES.items()]


def _key_schema(keys: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()]


def index_definition() -> dict[str, Any]:
    """The index as CreateTable and UpdateTable take it."""
    return {
        "IndexName": INDEX,
        "KeySchema": _key_schema(INDEX_KEYS),
        "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(PROJECTED)},
    }


def _keys(schema: Sequence[Mapping[str, str]]) -> dict[str, str]:
    return {part["AttributeName"]: part["KeyType"] for part in schema}


def _types(table: Mapping[str, Any]) -> dict[str, str]:
    return {part["AttributeName"]: part["AttributeType"] for part in table.get("AttributeDefinitions", ())}


def _written(keys: Mapping[str, str], types: Mapping[str, str]) -> str:
    return " and ".join(f"{name} ({types.get(name, '?')}, {kind})" for name, kind in keys.items()) or "none"
