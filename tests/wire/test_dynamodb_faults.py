"""The DynamoDB store when AWS or the network fails: what is repeated, what is told, what is never mistaken."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from slackbot.adapters import dynamodb_calls
from slackbot.adapters.dynamodb import DynamoStore
from slackbot.adapters.dynamodb_calls import ATTEMPTS, make_client
from slackbot.adapters.dynamodb_create import create_table
from slackbot.adapters.dynamodb_values import to_wire
from slackbot.core.errors import PermanentError, TemporaryError
from tests.contract.test_session_store import NOW, make_item
from tests.fakes.moto_dynamodb import moto_client, new_table_name
from tests.fakes.scripted_dynamodb import (
    ScriptedDynamo,
    Step,
    cut,
    do,
    do_and_cut,
    half,
    hang,
    refuse,
    say,
    scripted_dynamodb,
)

THROTTLED = refuse("ThrottlingException", "Rate exceeded")


@pytest.fixture
def dynamo(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedDynamo]:
    """An endpoint that fails as scripted, to a store that does not pause long."""
    monkeypatch.setattr(dynamodb_calls, "_FIRST_PAUSE_SECONDS", 0.005)
    with scripted_dynamodb() as endpoint:
        yield endpoint


@pytest.fixture
def table() -> str:
    """A new, empty table."""
    name = new_table_name()
    create_table(moto_client(), name)
    return name


@pytest.fixture
async def store(dynamo: ScriptedDynamo, table: str) -> AsyncIterator[DynamoStore]:
    """A store of `table` behind the endpoint."""
    client = dynamo.client(threads=4)
    opened = DynamoStore(table=table, client=client, threads=4)
    yield opened
    dynamo.release.set()
    await opened.close()
    client.close()


# ------------------------------------------------------------------------------- what passes by itself


@pytest.mark.parametrize(
    "fault",
    [
        THROTTLED,
        refuse("ProvisionedThroughputExceededException"),
        refuse("RequestLimitExceeded"),
        refuse("InternalServerError", status=500),
        refuse("ServiceUnavailable", status=503),
        cut,
        half,
        say(b""),
        say(b"<html>log in</html>"),
        say(b'{"Item": {}}', x_amz_crc32="1"),
        say(b"upstream timed out", status=504),
    ],
)
async def test_a_passing_fault_is_repeated(store: DynamoStore, dynamo: ScriptedDynamo, fault: Step) -> None:
    """One that lasts for fewer attempts than there are is not noticed, in reads as in writes."""
    item = make_item()
    dynamo.script = [fault, fault]
    assert await store.create(item, NOW)
    dynamo.script = [fault] * (ATTEMPTS - 1)
    assert await store.get(item["session_id"], NOW) == item
    dynamo.script = [fault]
    assert [entry.session_id async for entry in store.scan(NOW)] == [item["session_id"]]
    dynamo.script = [fault]
    assert len((await store.list_by_user("U1", NOW, 10)).entries) == 1


@pytest.mark.parametrize(
    ("fault", "words", "in_doubt"),
    [
        (THROTTLED, "slow down", False),
        (refuse("ProvisionedThroughputExceededException"), "slow down", False),
        (refuse("InternalServerError", status=500), "could not do PutItem", True),
        (refuse("ServiceUnavailable", status=503), "could not do PutItem", True),
        (cut, "did not answer PutItem", True),
        (half, "did not answer PutItem", True),
    ],
)
async def test_a_lasting_fault_is_temporary(
    store: DynamoStore, dynamo: ScriptedDynamo, fault: Step, words: str, in_doubt: bool
) -> None:
    """After so many attempts the caller is told, and whether the write may have been done."""
    dynamo.script = [fault] * ATTEMPTS
    with pytest.raises(TemporaryError, match=words) as raised:
        await store.create(make_item(), NOW)
    assert raised.value.outcome_unknown is in_doubt
    assert dynamo.requests == ["PutItem"] * ATTEMPTS


async def test_an_answer_that_does_not_come_is_given_up(
    dynamo: ScriptedDynamo, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that takes the request and is silent: each attempt ends by itself, and a write is in doubt."""
    monkeypatch.setattr(dynamodb_calls, "READ_SECONDS", 0.1)
    client = dynamo.client(threads=1)
    store = DynamoStore(table=table, client=client, threads=1)
    dynamo.script = [hang] * ATTEMPTS * 2
    with pytest.raises(TemporaryError, match="did not answer PutItem") as raised:
        await store.create(make_item(), NOW)
    assert raised.value.outcome_unknown
    with pytest.raises(TemporaryError, match="did not answer GetItem") as raised:
        await store.get("x", NOW)
    assert not raised.value.outcome_unknown
    dynamo.release.set()
    await store.close()
    client.close()


async def test_a_call_that_took_too_long_is_not_begun_again(
    store: DynamoStore, dynamo: ScriptedDynamo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attempts have an end in time, too, not only in number."""
    monkeypatch.setattr(dynamodb_calls, "NO_ATTEMPT_AFTER_SECONDS", 0)
    dynamo.script = [THROTTLED]
    with pytest.raises(TemporaryError):
        await store.get("x", NOW)
    assert dynamo.requests == ["GetItem"]


@pytest.mark.parametrize("fault", [THROTTLED, cut, refuse("InternalServerError", status=500)])
async def test_a_read_is_never_in_doubt(store: DynamoStore, dynamo: ScriptedDynamo, fault: Step) -> None:
    """A read that was not answered has changed nothing."""
    dynamo.script = [fault] * ATTEMPTS
    with pytest.raises(TemporaryError) as raised:
        await store.get("x", NOW)
    assert not raised.value.outcome_unknown


async def test_what_was_in_doubt_once_stays_in_doubt(store: DynamoStore, dynamo: ScriptedDynamo) -> None:
    """A lost answer followed by refusals: the write may still have been done."""
    dynamo.script = [do_and_cut, *[THROTTLED] * (ATTEMPTS - 1)]
    with pytest.raises(TemporaryError, match="slow down") as raised:
        await store.create(make_item(), NOW)
    assert raised.value.outcome_unknown


async def test_nobody_at_the_address_is_temporary(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection is repeated, and no write is in doubt: nothing was sent."""
    monkeypatch.setattr(dynamodb_calls, "_FIRST_PAUSE_SECONDS", 0.001)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        client = ScriptedDynamo(f"http://127.0.0.1:{taken.getsockname()[1]}").client()
        store = DynamoStore(table=table, client=client)
        with pytest.raises(TemporaryError, match="could not be reached") as raised:
            await store.create(make_item(), NOW)
        await store.close()
        client.close()
    assert not raised.value.outcome_unknown


# ----------------------------------------------------------------------------------- lost answers


@pytest.mark.parametrize("lost", [do_and_cut, half, say(b"", status=502), refuse("InternalServerError", status=500)])
async def test_a_write_whose_answer_was_lost_is_not_a_lost_race(
    store: DynamoStore, dynamo: ScriptedDynamo, lost: Step
) -> None:
    """The repeat of a write that was done finds its own item in the way: that is a yes."""
    item = make_item()
    dynamo.script = [lost]
    assert await store.create(item, NOW)
    changed = {**item, "write_version": 2, "status": "stopped", "numbers": [1.5, 10**20]}
    dynamo.script = [lost, THROTTLED]
    assert await store.replace(changed, 1)
    assert await store.get(item["session_id"], NOW) == changed
    dynamo.script = [lost]
    assert await store.delete(item["session_id"], 2)
    assert await store.get(item["session_id"], NOW) is None


async def test_a_lost_answer_does_not_win_a_lost_race(store: DynamoStore, dynamo: ScriptedDynamo) -> None:
    """When the write was not done and somebody else's was, the repeat loses as it should."""
    item = make_item()
    assert await store.create(item, NOW)
    theirs = {**item, "write_version": 2, "branch_name": "theirs"}
    assert await store.replace(theirs, 1)
    dynamo.script = [cut]
    assert not await store.replace({**item, "write_version": 2, "branch_name": "ours"}, 1)
    dynamo.script = [cut]
    assert not await store.create({**item, "branch_name": "ours"}, NOW)
    dynamo.script = [cut]
    assert not await store.delete(item["session_id"], 1)
    assert await store.get(item["session_id"], NOW) == theirs


async def test_without_a_lost_answer_an_equal_item_is_a_lost_race(store: DynamoStore, dynamo: ScriptedDynamo) -> None:
    """A refused attempt was not done: the equal item that stands there is another writer's, and it won."""
    item = make_item()
    assert await store.create(item, NOW)
    assert not await store.create(item, NOW)
    dynamo.script = [THROTTLED]
    assert not await store.create(item, NOW)
    changed = {**item, "write_version": 2}
    assert await store.replace(changed, 1)
    dynamo.script = [THROTTLED]
    assert not await store.replace(changed, 1)
    assert await store.delete(item["session_id"], 2)
    dynamo.script = [THROTTLED]
    assert not await store.delete(item["session_id"], 2)


async def test_a_client_that_repeats_by_itself_is_seen_through(dynamo: ScriptedDynamo, table: str) -> None:
    """With botocore's own repeats, too, the item of an earlier attempt is a yes."""
    client = dynamo.client(attempts=3)
    store = DynamoStore(table=table, client=client)
    dynamo.script = [do_and_cut]
    assert await store.create(make_item(), NOW)
    await store.close()
    client.close()


async def test_a_number_written_differently_is_the_same(store: DynamoStore, dynamo: ScriptedDynamo) -> None:
    """DynamoDB gives 1E2 back as 100 and sets in any order; the item is still recognised as ours."""
    item = {**make_item(), "numbers": {3, 1, 2}, "cost": 1e-7, "texts": {"b", "a"}}
    found: dict[str, Any] = to_wire(item) | {
        "numbers": {"NS": ["2.0", "1", "3"]},
        "cost": {"N": "0.0000001"},
        "texts": {"SS": ["a", "b"]},
    }
    lost_race = refuse("ConditionalCheckFailedException", "The conditional request failed", Item=found)
    dynamo.script = [cut, lost_race]
    assert await store.create(item, NOW)
    other = refuse("ConditionalCheckFailedException", Item={**found, "cost": {"N": "0.0000002"}})
    dynamo.script = [cut, other]
    assert not await store.create(item, NOW)


# ------------------------------------------------------------------------- what a person has to mend


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            refuse("ResourceNotFoundException", "Requested resource not found"),
            r"no DynamoDB table .*us-east-1.*create-t",
        ),
        (
            refuse("AccessDeniedException", "User: arn:aws:iam::1:role/bot is not authorized to perform it"),
            r"dynamodb:PutItem on the table .*role/bot.*Allow dynamodb:PutItem",
        ),
        (refuse("ValidationException", "Item size has exceeded the maximum allowed size"), "400 KB.*new session"),
        (refuse("ValidationException", "The table does not have the specified index: x"), "lacks the index.*create-t"),
        (refuse("ValidationException", "Something else"), "refused PutItem.*Something else"),
        (
            refuse("UnrecognizedClientException", "The security token is invalid"),
            "did not accept the bot's credentials",
        ),
        (refuse("ExpiredTokenException"), "did not accept the bot's credentials.*Renew"),
        (refuse("InvalidSignatureException"), "credentials.*clock"),
        (refuse("NewestException", "of a later year"), r"refused PutItem .*NewestException.*of a later year"),
    ],
)
async def test_a_lasting_refusal_is_told_at_once(
    store: DynamoStore, dynamo: ScriptedDynamo, fault: Step, words: str
) -> None:
    """One request, and a sentence that says what to do."""
    dynamo.script = [fault]
    with pytest.raises(PermanentError, match=words):
        await store.create(make_item(), NOW)
    assert dynamo.requests == ["PutItem"]


async def test_a_table_that_is_not_there_is_named(dynamo: ScriptedDynamo) -> None:
    """Every call says which table is missing and which command makes it."""
    client = dynamo.client()
    store = DynamoStore(table="nobodys-table", client=client)
    for call in (store.get("x", NOW), store.create(make_item(), NOW), store.list_by_user("U1", NOW, 10)):
        with pytest.raises(PermanentError, match=r"nobodys-table.*devflow create-table"):
            await call
    with pytest.raises(PermanentError, match=r"nobodys-table.*devflow create-table"):
        [entry async for entry in store.scan(NOW)]
    await store.close()
    client.close()


def without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No region and no credentials, wherever boto3 may look."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_without_a_region_there_is_no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting that is missing is named."""
    without_settings(monkeypatch)
    with pytest.raises(PermanentError, match="AWS_REGION"):
        DynamoStore(table="devflow-sessions")


def test_the_region_comes_from_aws_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_REGION goes before AWS_DEFAULT_REGION, as in the AWS CLI; boto3 alone would not read it."""
    without_settings(monkeypatch)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-3")
    clients = [make_client()]
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    clients += [make_client(), make_client(region="us-west-2")]
    assert [client.meta.region_name for client in clients] == ["eu-west-3", "eu-central-1", "us-west-2"]
    for client in clients:
        client.close()


@pytest.mark.parametrize("half_of_them", [False, True])
async def test_missing_credentials_are_told(monkeypatch: pytest.MonkeyPatch, half_of_them: bool) -> None:
    """No credentials, or an id without its secret: a sentence, and no request."""
    without_settings(monkeypatch)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    if half_of_them:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")

    async def ask() -> None:
        store = DynamoStore(table="devflow-sessions")
        try:
            await store.get("x", NOW)
        finally:
            await store.close()

    with pytest.raises(PermanentError, match="AWS credentials"):
        await ask()


async def test_credentials_that_cannot_be_fetched_are_temporary(
    dynamo: ScriptedDynamo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container's credentials endpoint that does not answer may answer later."""
    without_settings(monkeypatch)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamo.url)
    store = DynamoStore(table="devflow-sessions")

    def fail(**_: Any) -> None:
        from botocore.exceptions import CredentialRetrievalError

        raise CredentialRetrievalError(provider="container-role", error_msg="no answer")

    store._client.meta.events.register("before-sign.dynamodb", fail)
    store._client.meta.events.register("choose-signer.dynamodb", fail)
    with pytest.raises(TemporaryError, match="credentials could not be fetched") as raised:
        await store.create(make_item(), NOW)
    assert not raised.value.outcome_unknown
    await store.close()


# -------------------------------------------------------------------------------------- event loop


async def test_a_call_that_hangs_holds_up_nobody_else(
    dynamo: ScriptedDynamo, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While calls wait for AWS the loop runs, no more go out than there are threads, and others follow."""
    monkeypatch.setattr(dynamodb_calls, "READ_SECONDS", 60)
    client = dynamo.client(threads=2)
    store = DynamoStore(table=table, client=client, threads=2)
    item = make_item()
    dynamo.script = [do, hang, hang]
    assert await store.create(item, NOW)
    calls = [asyncio.create_task(store.get(item["session_id"], NOW)) for _ in range(6)]
    turns = 0
    while len(dynamo.requests) < 3:
        await asyncio.sleep(0.005)
    for _ in range(100):
        await asyncio.sleep(0)
        turns += 1
    assert turns == 100
    assert dynamo.requests == ["PutItem", "GetItem", "GetItem"]
    assert not any(call.done() for call in calls)
    dynamo.release.set()
    assert await asyncio.gather(*calls) == [item] * 6
    await store.close()
    client.close()


async def test_closing_finishes_what_runs(store: DynamoStore, dynamo: ScriptedDynamo) -> None:
    """A write that is on its way when the store is closed is done and answered."""
    dynamo.script = [hang]
    item = make_item()
    writing = asyncio.create_task(store.create(item, NOW))
    while not dynamo.requests:
        await asyncio.sleep(0.005)
    closing = asyncio.create_task(store.close())
    await asyncio.sleep(0)
    dynamo.release.set()
    assert await writing
    await closing


async def test_repeats_are_logged_without_the_item(store: DynamoStore, dynamo: ScriptedDynamo) -> None:
    """The log names action, table and reason, and nothing of what people wrote."""
    dynamo.script = [THROTTLED, do_and_cut]
    with capture_logs() as logs:
        assert await store.create(make_item(), NOW)
    assert [line["event"] for line in logs] == ["store_call_repeated", "store_call_repeated", "store_write_was_done"]
    assert [line.get("why") for line in logs[:2]] == ["ThrottlingException", "ConnectionClosedError"]
    assert "checkout" not in str(logs)
