"""A DynamoDB in this process: moto behind the real boto3, one request at a time.

moto loses concurrent writes (two conditional writes may both win), DynamoDB does not: hence the lock. Requests of the
clients made here never leave the process; botocore is not patched for anybody else.
"""

from __future__ import annotations

import functools
import threading
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore import UNSIGNED
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse

from slackbot.adapters.dynamodb import DynamoStore
from slackbot.adapters.dynamodb_calls import make_client
from slackbot.adapters.dynamodb_create import create_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

REGION = "us-east-1"
URL = f"https://dynamodb.{REGION}.amazonaws.com/"

_moto = BotocoreStubber()
_one_at_a_time = threading.RLock()


@functools.cache
def moto_client() -> DynamoDBClient:
    """A real client whose requests moto answers. One for all: making it takes a quarter of a second."""
    client = make_client(region=REGION, endpoint_url=URL, threads=16)
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


def answer(body: bytes, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
    """What DynamoDB answers to a request that came over a wire: status, headers, body."""
    request = AWSPreparedRequest("POST", URL, HTTPHeaders.from_dict(dict(headers)), body, stream_output=False)
    with _one_at_a_time:
        made = _moto.process_request(request)
    assert made is not None
    status, answered, text = made
    return status, dict(answered), text if isinstance(text, bytes) else text.encode()


def _answer(request: Any, **_: Any) -> AWSResponse:
    with _one_at_a_time:
        made = _moto.process_request(request)
    assert made is not None
    status, headers, body = made
    return AWSResponse(request.url, status, headers, MockRawResponse(body))
