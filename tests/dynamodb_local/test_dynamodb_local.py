"""The DynamoDB store on Amazon's own emulator: the whole contract, the real 400 KB, types, the table's making.

Run by start.py. moto lets pass what DynamoDB refuses, so this is the yardstick.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from slackbot.adapters.dynamodb import DynamoStore
from slackbot.adapters.dynamodb_calls import make_client
from slackbot.adapters.dynamodb_create import create_table, describe
from slackbot.adapters.dynamodb_table import INDEX, definition, differences
from slackbot.core.errors import PermanentError
from slackbot.core.history_budget import fit
from slackbot.core.item import BUDGET_BYTES, MAX_ITEM_BYTES, from_item, item_size_bytes, to_item
from slackbot.core.session import Turn, TurnState
from tests.contract.test_session_store import *  # noqa: F403 - the contract's tests are collected here again
from tests.contract.test_session_store import NOW, make_item, make_session
from tests.fakes.moto_dynamodb import new_table_name

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture(scope="session")
def client() -> Iterator[DynamoDBClient]:
    """A client of the emulator, made as the bot makes its own."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in (
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_REGION", "local"),
        ):
            environment.setenv(name, value)
        made = make_client(endpoint_url=os.environ["DYNAMODB_LOCAL_URL"], threads=16)
        yield made
        made.close()


@pytest.fixture
def table(client: DynamoDBClient) -> Iterator[str]:
    """An empty table, made by `create_table`."""
    name = new_table_name()
    create_table(client, name)
    yield name
    client.delete_table(TableName=name)


@pytest.fixture
async def store(client: DynamoDBClient, table: str) -> AsyncIterator[DynamoStore]:
    """What the contract's tests are asked of."""
    opened = DynamoStore(table=table, client=client)
    yield opened
    await opened.close()


LAUNCH = NOW * 1000 + 123
"""DynamoDB counts two digits to a byte from the decimal point on; of 1800000000000 ours is a byte less."""


def padded(size_bytes: int, **more: Any) -> dict[str, Any]:
    """An item of exactly this size by DynamoDB's rule."""
    item = make_item(launch=LAUNCH) | {"padding": ""} | more
    item["padding"] = "x" * (size_bytes - item_size_bytes(item))
    assert item_size_bytes(item) == size_bytes
    return item


async def test_an_item_of_400_kb_is_the_largest(store: DynamoStore) -> None:
    """Our count of an item's bytes is DynamoDB's: 409,600 are stored, one more is refused in words."""
    largest = padded(MAX_ITEM_BYTES)
    assert await store.create(largest, NOW)
    assert await store.get(largest["session_id"], NOW) == largest
    with pytest.raises(PermanentError, match="400 KB"):
        await store.create(padded(MAX_ITEM_BYTES + 1), NOW)
    grown = {**largest, "write_version": 2, "padding": largest["padding"] + "x"}
    with pytest.raises(PermanentError, match="400 KB"):
        await store.replace(grown, 1)
    assert await store.get(largest["session_id"], NOW) == largest


async def test_our_count_of_bytes_is_dynamodbs_for_every_type(store: DynamoStore) -> None:
    """Numbers of all lengths, text outside ASCII, maps and lists in each other: the last byte decides."""
    numbers = [7, -7, 10, 100, 123, 1234567, -1234567, 10**15, 2**53 + 1, 1_800_000_000_123]
    extra = {"numbers": numbers, "text": ["試験🧪", "\u2028\x07", ""], "deep": {"ä": [{"yes": True}, [], {}]}}
    item = padded(MAX_ITEM_BYTES, extra=extra)
    assert await store.create(item, NOW)
    assert await store.get(item["session_id"], NOW) == item
    with pytest.raises(PermanentError, match="400 KB"):
        await store.replace({**item, "write_version": 2, "padding": item["padding"] + "x"}, 1)


async def test_a_session_within_its_budget_fits(store: DynamoStore) -> None:
    """A history that is much too long is cut to the budget, and what is left is stored."""
    turns = tuple(
        Turn(
            f"C1:{n}", "U1", "試" * 5000, TurnState.ANSWERED, NOW + n, response="答" * 10000, response_ts=f"{NOW + n}.1"
        )
        for n in range(60)
    )
    session = make_session(history=turns)
    assert item_size_bytes(to_item(session)) > 2 * MAX_ITEM_BYTES
    item = to_item(fit(session))
    assert item_size_bytes(item) <= BUDGET_BYTES
    assert await store.create(item, NOW)
    present = await store.get(session.session_id, NOW)
    assert present is not None
    assert from_item(present).history[-1].turn_id == turns[-1].turn_id


async def test_another_writers_types_survive_a_replace(store: DynamoStore, client: DynamoDBClient, table: str) -> None:
    """Sets, binary, NULL, long numbers and empty text of attributes we do not know are the same after our write."""
    unknown: dict[str, Any] = {
        "strings": {"SS": ["b", "a", "ä"]},
        "numbers": {"NS": ["1", "-2.5", "12345678901234567890123456789012345678"]},
        "binaries": {"BS": [b"\x00\xff", b"x"]},
        "binary": {"B": b"\x00\x01"},
        "nothing": {"NULL": True},
        "exact": {"N": "0.12345678901234567890123456789012345678"},
        "huge": {"N": "9.9999999999999999999999999999999999999E+125"},
        "tiny": {"N": "1E-130"},
        "money": {"N": "0.1"},
        "empty": {"S": ""},
        "map": {"M": {"deep": {"L": [{"BOOL": False}, {"NULL": True}, {"SS": ["x"]}]}}},
    }
    item = make_item()
    assert await store.create(item, NOW)
    key = {"session_id": {"S": item["session_id"]}}
    before = client.get_item(TableName=table, Key=key)["Item"]
    client.put_item(TableName=table, Item={**before, **unknown})
    before = client.get_item(TableName=table, Key=key)["Item"]
    read = await store.get(item["session_id"], NOW)
    assert read is not None
    assert read["exact"] == Decimal(unknown["exact"]["N"])
    assert await store.replace({**read, "write_version": 2}, 1)
    after = client.get_item(TableName=table, Key=key)["Item"]
    assert after.pop("write_version") == {"N": "2"}
    del before["write_version"]
    for kind, name in (("SS", "strings"), ("NS", "numbers"), ("BS", "binaries")):
        assert sorted(after.pop(name)[kind]) == sorted(before.pop(name)[kind])
    assert after == before


async def test_a_list_goes_through_pages_of_1_mb(store: DynamoStore, client: DynamoDBClient, table: str) -> None:
    """An index that holds too much makes DynamoDB cut pages at 1 MB: lists and scans still find everything."""
    # 1,000 expired entries of 2 KB stand before the three that live.
    long = "b" * 2000
    gone = [make_item(created_at=NOW + 10 + n, ttl=NOW - 1, branch_name=long) for n in range(1000)]
    live = [make_item(created_at=NOW + n) for n in range(3)]
    assert all(await asyncio.gather(*(store.create(item, NOW - 10) for item in [*gone, *live])))
    answer = client.query(
        TableName=table,
        IndexName=INDEX,
        KeyConditionExpression="user_id = :u",
        ExpressionAttributeValues={":u": {"S": "U1"}},
    )
    assert "LastEvaluatedKey" in answer
    first = await store.list_by_user("U1", NOW, 2)
    assert [entry.session_id for entry in first.entries] == [live[2]["session_id"], live[1]["session_id"]]
    last = await store.list_by_user("U1", NOW, 2, first.cursor)
    assert [entry.session_id for entry in last.entries] == [live[0]["session_id"]]
    assert last.cursor is None
    assert len([entry async for entry in store.scan(NOW)]) == 3


def test_create_table_makes_the_table_and_may_be_repeated(client: DynamoDBClient) -> None:
    """What DynamoDB describes is what is expected; a second time nothing is changed."""
    name = new_table_name()
    lines = create_table(client, name)
    assert [line.split(":")[0] for line in lines] == [f"Table {name}", "TTL"]
    state = describe(client, name)
    assert state is not None
    assert differences(state) == []
    assert create_table(client, name) == [f"Table {name}: was there before."]
    client.delete_table(TableName=name)


def test_create_table_adds_a_missing_index_and_keeps_the_sessions(client: DynamoDBClient) -> None:
    """A table without the index gets it, with what it held listed in it."""
    name = new_table_name()
    made = definition(name)
    del made["GlobalSecondaryIndexes"]
    made["AttributeDefinitions"] = [{"AttributeName": "session_id", "AttributeType": "S"}]
    made |= {"BillingMode": "PROVISIONED", "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}}
    client.create_table(**made)
    lines = create_table(client, name)
    assert lines[1] == f"Index {INDEX}: added."
    assert "provisioned" in lines[-1]
    state = describe(client, name)
    assert state is not None
    assert [difference.is_fatal for difference in differences(state)] == [False]
    client.delete_table(TableName=name)
