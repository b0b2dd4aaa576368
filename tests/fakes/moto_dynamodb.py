"""A DynamoDB in this process: moto behind the real boto3, one request at a time.

moto loses concurrent writes (two conditional writes may both win), DynamoDB does not: hence the lock. Requests of the
clients made here never leave the process; botocore is not patched for anybody else.
"""

from __future__ import annotations

import functools
import threading
import uuid
from typing import TYPE_CHECKING, Any

from botocore import UNSIGNED
from botocore.awsrequest import AWSResponse
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse

from slackbot.adapters.dynamodb import DynamoStore
from slackbot.adapters.dynamodb_calls import make_client
from slackbot.adapters.dynamodb_create import create_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

REGION = "us-east-1"

_moto = BotocoreStubber()
_one_at_a_time = threading.RLock()


@functools.cache
def moto_client() -> DynamoDBClient:
    """A real client whose requests moto answers. One for all: making it takes a quarter of a second."""
    client = make_client(region=REGION, endpoint_url=f"https://dynamodb.{REGION}.amazonaws.com", threads=16)
    sign_nothing(client)
    client.meta.events.register_last("before-send.dynamodb", _answer)
    return client


def moto_store(**options: Any) -> DynamoStore:
    """A store on a new, empty table."""
    client = moto_client()
    table = new_table_name()
    create_table(client, table)
    return DynamoStore(table=table, client=client, **options)


def new_table_name() -> str:
    """A name that no table has."""
    return f"devflow-{uuid.uuid4().hex}"


def sign_nothing(client: DynamoDBClient) -> None:
    """Makes the client work on a machine without credentials."""
    client.meta.events.register("choose-signer.dynamodb", lambda **_: UNSIGNED)


def _answer(request: Any, **_: Any) -> AWSResponse:
    with _one_at_a_time:
        answer = _moto.process_request(request)
    assert answer is not None
    status, headers, body = answer
    return AWSResponse(request.url, status, headers, MockRawResponse(body))
