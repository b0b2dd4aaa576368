"""What only the DynamoDB store promises: the table's types, other writers' attributes, and lists over many pages."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from slackbot.adapters import dynamodb
from slackbot.adapters.dynamodb import DynamoStore
from slackbot.adapters.dynamodb_create import create_table
from slackbot.adapters.dynamodb_table import INDEX
from slackbot.adapters.dynamodb_values import REQUIRED, from_wire, is_same, to_wire
from slackbot.app_parts import build_store
from slackbot.config import Settings
from slackbot.core.errors import PermanentError
from slackbot.core.session import Lease, Turn, TurnState
from tests.contract.test_session_store import NOW, found, ids, make_item, stored
from tests.fakes.moto_dynamodb import moto_client, new_table_name


@pytest.fixture
def table() -> str:
    """A new, empty table."""
    name = new_table_name()
    create_table(moto_client(), name)
    return name


@pytest.fixture
async def store(table: str) -> AsyncIterator[DynamoStore]:
    """A store of `table`."""
    opened = DynamoStore(table=table, client=moto_client())
    yield opened
    await opened.close()


def plain(table: str, session_id: str) -> dict[str, Any]:
    """The item as anybody with boto3 reads it."""
    item: dict[str, Any] = moto_client().get_item(TableName=table, Key={"session_id": {"S": session_id}})["Item"]
    return item


def written(table: str, item: dict[str, Any]) -> None:
    """An item of another writer."""
    moto_client().put_item(TableName=table, Item=item)


# ------------------------------------------------------------------------------------------- types


async def test_every_attribute_has_the_name_and_type_of_the_table(store: DynamoStore, table: str) -> None:
    """Plain boto3 finds docs/table.md, and no NULL anywhere."""
    turns = (Turn("C1:1", "U1", "prompt", TurnState.ANSWERED, NOW, response="done", responded_at=NOW + 5, additions=7),)
    item = await stored(
        store,
        history=turns,
        ecs_cluster_arn="arn:aws:ecs:::cluster/c",
        ecs_task_arn="arn:aws:ecs:::task/c/1",
        ecs_task_definition_arn="arn:aws:ecs:::task-definition/worker:1",
        pr_number=12,
        pr_url="https://github.com/acme/shop/pull/12",
        editor_url="https://editor.example",
        error_message="it broke",
        due_at=NOW + 5,
        lease=Lease("replica-1", NOW + 60),
    )
    stored_item = plain(table, item["session_id"])
    strings = (
        "session_id user_id repository_url repository_owner repository_name branch_name ecs_cluster_arn ecs_task_arn "
        "ecs_task_definition_arn pr_url editor_url status initial_prompt error_message base_branch agent"
    ).split()
    numbers = "pr_number github_installation_id created_at updated_at ttl write_version launch due_at".split()
    types = {name: next(iter(value)) for name, value in stored_item.items()}
    assert types == {
        **dict.fromkeys(strings, "S"),
        **dict.fromkeys(numbers, "N"),
        "history": "L",
        "slack": "M",
        "lease": "M",
    }
    assert stored_item["status"] == {"S": "running"}
    assert stored_item["created_at"] == {"N": str(NOW)}
    (turn,) = stored_item["history"]["L"]
    assert turn["M"]["prompt"] == {"S": "prompt"}
    assert turn["M"]["prompted_at"] == {"N": str(NOW)}
    assert turn["M"]["additions"] == {"N": "7"}
    assert "NULL" not in str(stored_item)


@pytest.mark.parametrize("name", REQUIRED)
async def test_a_required_attribute_cannot_be_missing(store: DynamoStore, name: str) -> None:
    """An item without one is refused by name, and nothing is stored."""
    item = make_item()
    session_id = item["session_id"]
    del item[name]
    with pytest.raises(PermanentError, match=f"'{name}'"):
        await store.create(item, NOW)
    assert await store.get(session_id, NOW) is None


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("created_at", str(NOW), "'created_at' is of type S, the table wants N"),
        ("created_at", True, "'created_at' is of type BOOL"),
        ("pr_number", "12", "'pr_number' is of type S"),
        ("pr_url", None, "'pr_url' is of type NULL"),
        ("editor_url", "", "'editor_url' is empty"),
        ("user_id", "", "'user_id' is empty"),
        ("history", {}, "'history' is of type M"),
        ("usage", {"cost": math.nan}, "'usage' holds nan"),
        ("usage", {"tokens": 10**38 + 1}, "38 digits"),
        ("usage", {"of": object()}, "'usage' holds a object"),
        ("usage", set(), "'usage' holds a set"),
        ("usage", {1: "x"}, "a map in 'usage' has the key 1"),
    ],
)
async def test_what_the_table_does_not_take_is_refused(store: DynamoStore, name: str, value: Any, words: str) -> None:
    """Another type, an empty text, a number DynamoDB would refuse: named before anything is sent."""
    with pytest.raises(PermanentError, match=words.replace("(", r"\(")):
        await store.create({**make_item(), name: value}, NOW)


async def test_half_a_character_does_not_stop_a_session(store: DynamoStore) -> None:
    """A lone surrogate has no UTF-8 and is stored as U+FFFD; two halves are stored as the character they are."""
    item = {**make_item(), "initial_prompt": "cut \ud83d, whole \ud83e\uddea", "notes": {"\udc00": ["\udc00x"]}}
    assert await store.create(item, NOW)
    read = await store.get(item["session_id"], NOW)
    assert read is not None
    assert read["initial_prompt"] == "cut \ufffd, whole 🧪"
    assert read["notes"] == {"\ufffd": ["\ufffdx"]}


UNKNOWN: dict[str, Any] = {
    "strings": {"SS": ["a", "b"]},
    "numbers": {"NS": ["1", "-2.5"]},
    "binaries": {"BS": [b"\x00\xff"]},
    "binary": {"B": b"\x00\x01"},
    "nothing": {"NULL": True},
    "exact": {"N": "0.12345678901234567890123456789012345678"},
    "money": {"N": "0.1"},
    "empty": {"S": ""},
    "no": {"BOOL": False},
    "map": {"M": {"deep": {"L": [{"NULL": True}, {"M": {}}, {"SS": ["x"]}]}}},
}


async def test_another_writers_attributes_are_carried_through(store: DynamoStore, table: str) -> None:
    """Sets, binary, NULL and exact numbers that we do not know are the same after our write."""
    item = await stored(store)
    written(table, {**plain(table, item["session_id"]), **UNKNOWN})
    read = await store.get(item["session_id"], NOW)
    assert read is not None
    assert read["exact"] == Decimal("0.12345678901234567890123456789012345678")
    assert await store.replace({**read, "write_version": 2}, 1)
    after = plain(table, item["session_id"])
    assert after["write_version"] == {"N": "2"}
    assert is_same({name: after[name] for name in UNKNOWN}, UNKNOWN)


async def test_null_in_an_attribute_of_the_table_is_absent(store: DynamoStore, table: str) -> None:
    """Somebody who empties `pr_url` in the console does not make the session unreadable."""
    item = await stored(store)
    written(table, {**plain(table, item["session_id"]), "pr_url": {"NULL": True}})
    assert await store.get(item["session_id"], NOW) == item


numbers = st.integers(-(10**37), 10**37) | st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda x: x == 0 or 1e-120 < abs(x) < 1e15
)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text() | st.binary() | st.sets(st.text(), min_size=1),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=100)
@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), values))
def test_values_come_back_as_they_were(extra: dict[str, Any]) -> None:
    """Item -> typed values -> item -> typed values: nothing is lost and no type changes."""
    item = {**make_item(), **extra}
    wire = to_wire(item)
    read = from_wire(wire)
    assert read == item
    assert is_same(to_wire(read), wire)
    assert not is_same(wire, {**wire, "write_version": {"N": "99"}})
    assert not is_same(wire, {**wire, "more": {"BOOL": True}})


@settings(max_examples=100)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=20, min_value=-(10**12), max_value=10**12))
def test_no_number_of_another_writer_is_rounded(number: Decimal) -> None:
    """int where whole, float where exact, Decimal elsewhere; written again it is the same number."""
    read = from_wire({"n": {"N": str(number)}})["n"]
    assert (type(read) is int) == (number == number.to_integral_value())
    assert is_same({"n": to_wire({**make_item(), "n": read})["n"]}, {"n": {"N": str(number)}})


# ------------------------------------------------------------------------------------------- reads


async def test_a_decision_reads_strongly(store: DynamoStore, table: str) -> None:
    """GetItem asks for what was written last, not for what a replica has seen."""
    asked: list[Any] = []
    client = moto_client()

    def note(params: dict[str, Any], **_: Any) -> None:
        asked.append(params)

    client.meta.events.register("provide-client-params.dynamodb.GetItem", note)
    try:
        await store.get("x", NOW)
    finally:
        client.meta.events.unregister("provide-client-params.dynamodb.GetItem", note)
    assert [params["ConsistentRead"] for params in asked] == [True]


async def test_a_page_is_filled_over_many_answers(
    store: DynamoStore, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many expired sessions lie between, a page has as many as asked for, and the last one no cursor."""
    monkeypatch.setattr(dynamodb, "MORE_THAN_A_PAGE", 0)
    live = [await stored(store, created_at=NOW + 20 * n) for n in range(4)]
    for n in range(60):
        await stored(store, created_at=NOW + n, ttl=NOW)
    first = await store.list_by_user("U1", NOW, 3)
    assert [entry.session_id for entry in first.entries] == [item["session_id"] for item in live[:0:-1]]
    last = await store.list_by_user("U1", NOW, 3, first.cursor)
    assert [entry.session_id for entry in last.entries] == [live[0]["session_id"]]
    assert last.cursor is None


async def test_lists_and_scans_go_over_pages_of_1_mb(store: DynamoStore, table: str) -> None:
    """DynamoDB cuts an answer at 1 MB, before it filters."""
    long = "b" * 20_000
    items = [make_item(created_at=NOW + n, branch_name=long, ttl=NOW + n % 2) for n in range(120)]
    assert all(await asyncio.gather(*(store.create(item, NOW - 10) for item in items)))
    answer = moto_client().scan(TableName=table, IndexName=INDEX)
    assert "LastEvaluatedKey" in answer
    assert await found(store) == ids(*items[1::2])
    page = await store.list_by_user("U1", NOW, 100)
    assert [entry.session_id for entry in page.entries] == [item["session_id"] for item in items[::-2]]


async def test_an_entry_made_by_hand_hides_no_other(store: DynamoStore, table: str) -> None:
    """An item that lacks what a list shows is left out and told once."""
    item = await stored(store)
    hand_made = {name: {"S": name} for name in ("session_id", "status")}
    written(table, hand_made | {"user_id": {"S": "U1"}, "created_at": {"N": "5"}, "ttl": {"N": str(NOW + 9)}})
    with capture_logs() as logs:
        assert await found(store) == ids(item)
        assert await found(store) == ids(item)
        assert [entry.session_id for entry in (await store.list_by_user("U1", NOW, 10)).entries] == ids(item)
    assert [(line["event"], line["session_id"]) for line in logs] == [("store_item_unreadable", "session_id")]


# ---------------------------------------------------------------------------------------- wiring


async def test_the_setting_chooses_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """DEVFLOW_STORE=dynamodb, which is the default, keeps sessions in DEVFLOW_TABLE."""
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    store = build_store(Settings(DEVFLOW_TABLE="our-sessions"))
    assert isinstance(store, DynamoStore)
    assert store.table == "our-sessions"
    await store.close()
