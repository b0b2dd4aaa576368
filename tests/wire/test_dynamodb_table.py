"""The DynamoDB table: how it is made, what a repeat does, and what is told of a table that is not the expected one."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from slackbot.__main__ import main
from slackbot.adapters import dynamodb_create
from slackbot.adapters.dynamodb_create import create_table, describe
from slackbot.adapters.dynamodb_table import INDEX, PROJECTED, TableState, definition, differences
from slackbot.core.errors import PermanentError, TemporaryError
from tests.fakes.moto_dynamodb import moto_client, new_table_name
from tests.fakes.scripted_dynamodb import Exchange, ScriptedDynamo, Step, refuse, say, scripted_dynamodb


@pytest.fixture
def name() -> str:
    """A table that is not there."""
    return new_table_name()


@pytest.fixture
def dynamo(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedDynamo]:
    """An endpoint that fails as scripted; waiting takes no time."""
    monkeypatch.setattr(dynamodb_create, "POLL_SECONDS", 0.001)
    with scripted_dynamodb() as endpoint:
        yield endpoint


def state_of(name: str) -> TableState:
    """The table as it is described."""
    state = describe(moto_client(), name)
    assert state is not None
    return state


def right_state() -> TableState:
    """What AWS describes of a table that is right."""
    made = definition("t")
    table = {**made, "TableStatus": "ACTIVE", "BillingModeSummary": {"BillingMode": made.pop("BillingMode")}}
    table["GlobalSecondaryIndexes"][0]["IndexStatus"] = "ACTIVE"
    return TableState(table, {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"})


# -------------------------------------------------------------------------------------- creation


def test_the_table_is_the_one_given(name: str) -> None:
    """Keys, index, projection, billing and TTL as plain boto3 describes them."""
    create_table(moto_client(), name)
    table = moto_client().describe_table(TableName=name)["Table"]
    assert table["KeySchema"] == [{"AttributeName": "session_id", "KeyType": "HASH"}]
    assert {part["AttributeName"]: part["AttributeType"] for part in table["AttributeDefinitions"]} == {
        "session_id": "S",
        "user_id": "S",
        "created_at": "N",
    }
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    (index,) = table["GlobalSecondaryIndexes"]
    assert index["IndexName"] == "user_id-created_at-index"
    assert index["KeySchema"] == [
        {"AttributeName": "user_id", "KeyType": "HASH"},
        {"AttributeName": "created_at", "KeyType": "RANGE"},
    ]
    assert index["Projection"]["ProjectionType"] == "INCLUDE"
    assert sorted(index["Projection"]["NonKeyAttributes"]) == sorted(
        "status updated_at ttl due_at launch repository_owner repository_name branch_name pr_number pr_url".split()
    )
    ttl = moto_client().describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}
    assert differences(state_of(name)) == []


def test_a_repeat_changes_nothing(dynamo: ScriptedDynamo, name: str) -> None:
    """The second time only looks."""
    client = dynamo.client()
    lines = create_table(client, name)
    assert [line.split(":")[0] for line in lines] == [f"Table {name}", "TTL"]
    dynamo.requests.clear()
    assert create_table(client, name) == [f"Table {name}: was there before."]
    assert {request.removeprefix("Describe") for request in dynamo.requests} == {"Table", "TimeToLive"}
    client.close()


def test_two_at_once_make_one_table(dynamo: ScriptedDynamo, name: str) -> None:
    """Who comes second finds the table being made, waits for it, and finds its TTL switched on."""
    client = dynamo.client()

    def made_meanwhile(exchange: Exchange) -> None:
        create_table(moto_client(), name)
        refuse("ResourceInUseException", "Table already exists")(exchange)

    dynamo.script = [refuse("ResourceNotFoundException"), made_meanwhile]
    assert create_table(client, name) == [f"Table {name}: was there before."]
    client.close()


def test_it_waits_until_the_table_can_be_used(dynamo: ScriptedDynamo, name: str) -> None:
    """CREATING, and an answer that does not know the table yet, are waited out."""
    client = dynamo.client()
    create_table(client, name)
    creating = say(b'{"Table": {"TableStatus": "CREATING"}}')
    dynamo.script = [creating, refuse("ResourceNotFoundException"), creating]
    assert create_table(client, name) == [f"Table {name}: was there before."]
    client.close()


def test_waiting_has_an_end(dynamo: ScriptedDynamo, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that does not become ready is told, and that a repeat is safe."""
    monkeypatch.setattr(dynamodb_create, "WAIT_SECONDS", 0)
    client = dynamo.client()
    dynamo.script = [say(b'{"Table": {"TableStatus": "CREATING"}}')] * 9
    with pytest.raises(TemporaryError, match=r"not ready yet.*again"):
        create_table(client, name)
    client.close()


def test_recovery_is_an_option(name: str) -> None:
    """Off unless asked for; switched on once."""
    client = moto_client()

    def recovery() -> str:
        backups = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
        return backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]

    create_table(client, name)
    assert recovery() == "DISABLED"
    lines = create_table(client, name, point_in_time_recovery=True)
    assert "switched on" in lines[-1]
    assert "35 days" in lines[-1]
    assert recovery() == "ENABLED"
    assert create_table(client, name, point_in_time_recovery=True)[-1] == "Point-in-time recovery: is on."


def test_recovery_waits_for_a_new_table(dynamo: ScriptedDynamo, name: str) -> None:
    """AWS cannot switch it on for the first moments of a table."""
    client = dynamo.client()
    create_table(client, name)
    not_yet = refuse("ContinuousBackupsUnavailableException", "Backups are being enabled")
    right = right_answer
    dynamo.script = [right, right, right, right, not_yet, not_yet]
    assert "switched on" in create_table(client, name, point_in_time_recovery=True)[-1]
    assert dynamo.requests[-3:] == ["UpdateContinuousBackups"] * 3
    client.close()


def right_answer(exchange: Exchange) -> None:
    """Whatever is asked, done."""
    status, _, body = exchange.done()
    exchange.send(status, body)


@pytest.mark.parametrize(
    ("script", "action"),
    [
        ([], "DescribeTable"),
        ([refuse("ResourceNotFoundException")], "CreateTable"),
        ([right_answer, right_answer], "DescribeTimeToLive"),
        ([right_answer] * 3, "DescribeContinuousBackups"),
        ([right_answer] * 4, "UpdateContinuousBackups"),
    ],
)
def test_a_permission_that_lacks_is_named(dynamo: ScriptedDynamo, name: str, script: list[Step], action: str) -> None:
    """Whichever call AWS does not allow, the sentence names it."""
    client = dynamo.client()
    create_table(client, name)
    dynamo.script = [*script, refuse("AccessDeniedException", "not authorized")]
    with pytest.raises(PermanentError, match=f"dynamodb:{action} on the table"):
        create_table(client, name, point_in_time_recovery=True)
    client.close()


# ------------------------------------------------------------------------- tables that are there


def made_otherwise(name: str, **changes: Any) -> None:
    """A table that somebody made with other parameters."""
    parameters = {**definition(name), **changes}
    moto_client().create_table(**{key: value for key, value in parameters.items() if value is not None})


PROVISIONED = {"BillingMode": None, "ProvisionedThroughput": {"ReadCapacityUnits": 4, "WriteCapacityUnits": 5}}


def test_a_missing_ttl_and_index_are_added(name: str) -> None:
    """What is missing is made, what is there stays: here its provisioned capacity, which is told."""
    only_key = [{"AttributeName": "session_id", "AttributeType": "S"}]
    made_otherwise(name, GlobalSecondaryIndexes=None, AttributeDefinitions=only_key, **PROVISIONED)
    lines = create_table(moto_client(), name)
    assert [line.split(":")[0] for line in lines] == [f"Table {name}", f"Index {INDEX}", "TTL", "Differs"]
    assert "provisioned" in lines[-1]
    assert "update-table" in lines[-1]
    assert [difference.is_fatal for difference in differences(state_of(name))] == [False]
    (index,) = state_of(name).table["GlobalSecondaryIndexes"]
    assert index["ProvisionedThroughput"]["WriteCapacityUnits"] == 5


def test_a_foreign_table_is_left_alone(name: str) -> None:
    """A table with another key is somebody else's: refused, untouched, and every difference told."""
    made_otherwise(
        name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "at", "AttributeType": "N"},
        ],
        GlobalSecondaryIndexes=None,
    )
    before = state_of(name)
    with pytest.raises(PermanentError, match=r"id \(S, HASH\) and at \(N, RANGE\).*no index.*DEVFLOW_TABLE"):
        create_table(moto_client(), name, point_in_time_recovery=True)
    assert state_of(name) == before


def index_with(**changes: Any) -> list[dict[str, Any]]:
    """The index, made otherwise."""
    (index,) = copy.deepcopy(definition("t")["GlobalSecondaryIndexes"])
    return [{**index, **changes}]


def test_an_index_that_lacks_attributes_is_told(name: str) -> None:
    """Lists cannot be made of it, so it is refused; what to do is said."""
    projection = {"ProjectionType": "INCLUDE", "NonKeyAttributes": [p for p in PROJECTED if p not in ("due_at", "ttl")]}
    made_otherwise(name, GlobalSecondaryIndexes=index_with(Projection=projection))
    with pytest.raises(PermanentError, match=r"lacks due_at, ttl.*Delete the index.*create-table"):
        create_table(moto_client(), name)
    assert state_of(name).time_to_live["TimeToLiveStatus"] == "DISABLED"


def test_an_index_of_everything_is_told_but_works(name: str) -> None:
    """It costs twice; sessions can be kept."""
    made_otherwise(name, GlobalSecondaryIndexes=index_with(Projection={"ProjectionType": "ALL"}))
    lines = create_table(moto_client(), name)
    assert lines[-1].startswith("Differs: the index user_id-created_at-index holds all attributes")


@pytest.mark.parametrize(
    ("change", "words", "is_fatal"),
    [
        (lambda t: t.pop("BillingModeSummary"), "provisioned", False),
        (lambda t: t["BillingModeSummary"].update(BillingMode="PROVISIONED"), "provisioned", False),
        (lambda t: t["AttributeDefinitions"][0].update(AttributeType="B"), "session_id (B, HASH)", True),
        (lambda t: t["AttributeDefinitions"][2].update(AttributeType="S"), "created_at (S, RANGE)", True),
        (lambda t: t["GlobalSecondaryIndexes"][0]["KeySchema"].pop(), "key of the index", True),
        (lambda t: t["GlobalSecondaryIndexes"][0].update(IndexName="another"), "no index", True),
        (lambda t: t["GlobalSecondaryIndexes"][0].update(IndexStatus="CREATING"), "is CREATING", True),
        (lambda t: t["GlobalSecondaryIndexes"][0].update(Projection={"ProjectionType": "KEYS_ONLY"}), "lacks", True),
        (lambda t: t["GlobalSecondaryIndexes"][0]["Projection"]["NonKeyAttributes"].append("x"), "also holds x", False),
    ],
)
def test_each_difference_is_told(change: Any, words: str, is_fatal: bool) -> None:
    """One difference gives one sentence and a remedy; whether sessions can be kept follows from it."""
    state = right_state()
    assert differences(state) == []
    change(state.table)
    (difference,) = differences(state)
    assert words in difference.summary
    assert difference.remedy
    assert difference.is_fatal is is_fatal


@pytest.mark.parametrize(
    ("time_to_live", "words"),
    [
        ({"TimeToLiveStatus": "DISABLED"}, "for ever"),
        ({"TimeToLiveStatus": "DISABLING", "AttributeName": "ttl"}, "being switched off"),
        ({"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}, "by the attribute expires"),
    ],
)
def test_a_ttl_that_differs_is_told(time_to_live: dict[str, str], words: str) -> None:
    """Off, going off, and by another attribute; on the way to on is right."""
    table = right_state().table
    (difference,) = differences(TableState(table, time_to_live))
    assert words in difference.summary
    assert not difference.is_fatal
    assert differences(TableState(table, {"TimeToLiveStatus": "ENABLING", "AttributeName": "ttl"})) == []


# ---------------------------------------------------------------------------------------- command


@pytest.fixture
def environment(dynamo: ScriptedDynamo, monkeypatch: pytest.MonkeyPatch) -> ScriptedDynamo:
    """AWS as the environment of a person names it: here the endpoint."""
    for variable, value in (
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret-of-nobody"),
        ("AWS_ENDPOINT_URL_DYNAMODB", dynamo.url),
    ):
        monkeypatch.setenv(variable, value)
    monkeypatch.delenv("DEVFLOW_TABLE", raising=False)
    return dynamo


def test_the_command_makes_the_table_of_the_setting(
    environment: ScriptedDynamo, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`devflow create-table` obeys DEVFLOW_TABLE and boto3's settings, `--table` goes before it; exit 0."""
    monkeypatch.setenv("DEVFLOW_TABLE", name)
    assert main(["create-table"]) == 0
    assert f"Table {name}: made" in capsys.readouterr().out
    other = new_table_name()
    assert main(["create-table", "--table", other, "--point-in-time-recovery"]) == 0
    assert "Point-in-time recovery: switched on" in capsys.readouterr().out
    assert state_of(name).table["TableStatus"] == state_of(other).table["TableStatus"] == "ACTIVE"


def test_the_command_fails_in_words(environment: ScriptedDynamo, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A refusal is told on stderr, without the key; exit 1."""
    environment.script = [refuse("UnrecognizedClientException", "The security token is invalid")]
    assert main(["create-table", "--table", name]) == 1
    told = capsys.readouterr().err
    assert "did not accept the bot's credentials" in told
    assert "secret-of-nobody" not in told
