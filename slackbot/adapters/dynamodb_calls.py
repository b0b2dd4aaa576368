"""Calls of DynamoDB from asyncio: boto3 on threads of its own, repeats with jitter, answers checked.

`adapters.dynamodb` gives an action and its parameters; here it becomes an answer, `LostRace`, or an error of ours.
Each attempt is one HTTP request, so that what is unknown after a lost answer is known to be unknown.
"""

from __future__ import annotations

import asyncio
import random
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import ChecksumError, ClientError, IncompleteReadError
from botocore.parsers import ResponseParserError

from slackbot import __version__
from slackbot.adapters.aws_region import environment_region
from slackbot.adapters.dynamodb_errors import FOREIGN_ERRORS, LOST_RACE, error_code, translate
from slackbot.adapters.dynamodb_values import WireItem
from slackbot.core.errors import PermanentError, TemporaryError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

log = structlog.get_logger()

CONNECT_SECONDS = 3
READ_SECONDS = 5
"""DynamoDB answers within some ten milliseconds; a request that takes so long is lost."""

ATTEMPTS = 4
NO_ATTEMPT_AFTER_SECONDS = 8.0
"""A call that has taken so long is not begun again: whoever waits for it has given up."""

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 1.0

_METHODS = {
    "GetItem": "get_item",
    "PutItem": "put_item",
    "DeleteItem": "delete_item",
    "Query": "query",
    "Scan": "scan",
}


class LostRace(Exception):
    """The condition of a write does not hold."""


def make_client(
    *, region: str | None = None, endpoint_url: str | None = None, threads: int = 1, attempts: int = 1
) -> DynamoDBClient:
    """A DynamoDB client; what is not given comes from boto3's settings (AWS_REGION, AWS_ENDPOINT_URL_DYNAMODB, ...).

    Blocks for a moment (it reads the API's description and looks for credentials), longer where credentials come
    from the network. `attempts` are botocore's own, each a request. `PermanentError` when no region is set.
    """
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=threads,
        tcp_keepalive=True,
        user_agent_extra=f"devflow/{__version__}",
    )
    try:
        client = boto3.session.Session().client(
            "dynamodb", region_name=region or environment_region(), endpoint_url=endpoint_url, config=config
        )
    except (*FOREIGN_ERRORS, ValueError) as error:
        raise translate(error, "a client") from error
    client.meta.events.register("after-call.dynamodb", _check_answer)
    return client


class DynamoCalls:
    """At most `threads` calls at once on one table; more of them wait. Belongs to one event loop."""

    def __init__(self, client: DynamoDBClient, table: str, threads: int) -> None:
        self._client = client
        self._table = table
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="devflow-dynamodb")
        self._closed = False

    async def call(
        self,
        action: str,
        request: Mapping[str, Any],
        *,
        is_write: bool = False,
        is_ours: Callable[[WireItem | None], bool] = lambda found: False,
    ) -> dict[str, Any]:
        """The answer to one action on the table.

        `LostRace` when the condition did not hold. After an attempt whose outcome is unknown the condition may have
        failed because of that very attempt: `is_ours`, given the item that stands there now, tells them apart.
        `TemporaryError` when the attempts are used up, with `outcome_unknown` when one of them may have been done.
        """
        loop = asyncio.get_running_loop()
        no_attempt_after = loop.time() + NO_ATTEMPT_AFTER_SECONDS
        unknown = False
        attempt = 1
        while True:
            try:
                return await self._submit(action, request)
            except FOREIGN_ERRORS as error:
                if error_code(error) == LOST_RACE:
                    if (unknown or _was_repeated(error)) and is_ours(_item_found(error)):
                        log.info("store_write_was_done", action=action, table=self._table, attempt=attempt)
                        return {}
                    raise LostRace from error
                failure = translate(error, action, self._table, self._client.meta.region_name)
                if isinstance(failure, TemporaryError):
                    unknown = is_write and (unknown or failure.outcome_unknown)
                    failure.outcome_unknown = unknown
                    if attempt < ATTEMPTS and loop.time() < no_attempt_after:
                        log.info(
                            "store_call_repeated",
                            action=action,
                            table=self._table,
                            attempt=attempt,
                            why=error_code(error) or type(error).__name__,
                        )
                        await asyncio.sleep(_pause_seconds(attempt))
                        attempt += 1
                        continue
                raise failure from error

    async def write(self, action: str, request: Mapping[str, Any], is_ours: Callable[[WireItem | None], bool]) -> bool:
        """Whether a conditional write was done; False is a lost race."""
        asked = {**request, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        try:
            await self.call(action, asked, is_write=True, is_ours=is_ours)
        except LostRace:
            return False
        return True

    async def close(self) -> None:
        """Finishes what runs. May be called again."""
        self._closed = True
        await asyncio.to_thread(self._pool.shutdown)

    async def _submit(self, action: str, request: Mapping[str, Any]) -> dict[str, Any]:
        if self._closed:
            raise PermanentError("The session store is closed.")
        method = partial(getattr(self._client, _METHODS[action]), TableName=self._table, **request)
        answer: dict[str, Any] = await asyncio.get_running_loop().run_in_executor(self._pool, method)
        return answer


def _pause_seconds(attempt: int) -> float:
    """Full jitter. https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/"""
    longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
    return random.uniform(0, longest)  # noqa: S311 - spreads load, guards nothing


def _was_repeated(error: Exception) -> bool:
    """Whether botocore itself sent the request more than once (a client that was not made here)."""
    response = error.response if isinstance(error, ClientError) else {}
    return bool(response.get("ResponseMetadata", {}).get("RetryAttempts"))


def _item_found(error: Exception) -> WireItem | None:
    """The item that made the condition fail; None when there is none."""
    response: Mapping[str, Any] = error.response if isinstance(error, ClientError) else {}
    return response.get("Item")


def _check_answer(http_response: Any, **_: Any) -> None:
    """Refuses an answer whose body is not whole: botocore takes one that is no JSON for an empty one ("no such item").

    DynamoDB sends the CRC-32 of each body. A fault of the server (5xx) needs no body to be understood.
    """
    if http_response.status_code >= 500:
        return
    body: bytes = http_response.content
    expected_bytes = http_response.headers.get("content-length")
    if expected_bytes is not None and int(expected_bytes) != len(body):
        raise IncompleteReadError(actual_bytes=len(body), expected_bytes=int(expected_bytes))
    expected_crc = http_response.headers.get("x-amz-crc32")
    if expected_crc is not None and int(expected_crc) != zlib.crc32(body):
        raise ChecksumError(
            checksum_type="crc32", expected_checksum=expected_crc, actual_checksum=str(zlib.crc32(body))
        )
    if http_response.status_code == 200 and not (body.startswith(b"{") and body.endswith(b"}")):
        raise ResponseParserError("the answer is no JSON object")
