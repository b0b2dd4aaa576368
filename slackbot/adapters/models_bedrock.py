"""Anthropic's models on Amazon Bedrock as a `ModelProvider`, by the bot's own AWS role: requests signed by botocore.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModelWithResponseStream.html
The agent signs nothing; what it sends is signed here, so the body is read whole before it goes on.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any
from urllib.parse import unquote

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.eventstream import EventStreamBuffer
from botocore.exceptions import BotoCoreError

from slackbot.adapters.aws_region import environment_region
from slackbot.adapters.models_http import HttpAnswer, ModelHttp, headers_for, read_whole
from slackbot.core.errors import PermanentError, TemporaryError
from slackbot.core.model_port import ModelCall
from slackbot.core.model_usage import Meter, read_anthropic

_POST = re.compile(
    r"model/((?:[A-Za-z0-9._-]|%3A|%3a|:|%2F|%2f){1,200})/(?:invoke|invoke-with-response-stream|count-tokens)"
)


class BedrockModels:
    """Region, endpoint (AWS_ENDPOINT_URL_BEDROCK_RUNTIME) and credentials are found as botocore finds them."""

    name = "bedrock"

    def __init__(self) -> None:
        session = boto3.session.Session(region_name=environment_region())
        try:
            client = session.client("bedrock-runtime")
        except (BotoCoreError, ValueError) as error:
            raise PermanentError(f"Bedrock cannot be used: {error}.", "Set AWS_REGION.") from error
        self._endpoint = client.meta.endpoint_url.rstrip("/")
        self._region = client.meta.region_name
        client.close()
        self._session = session
        self._http = ModelHttp(self.name)

    def allows(self, method: str, path: str) -> bool:
        return method == "POST" and _POST.fullmatch(path) is not None

    async def call(self, call: ModelCall) -> HttpAnswer:
        body = await read_whole(call)
        headers = headers_for(call, ("anthropic-", "x-amzn-bedrock-"))
        url = f"{self._endpoint}/{call.path}"
        # Finding credentials may ask the task's metadata service.
        signed = await asyncio.to_thread(self._signed, url, headers, body)
        named = _POST.fullmatch(call.path)
        meter = partial(_meter, unquote(named.group(1)) if named else "")
        answer = await self._http.send(call, url, signed, meter, body=body)
        is_stream = "eventstream" in answer.headers.get("content-type", "")
        return _EventStreamAnswer(answer.name, answer.response, answer.meter) if is_stream else answer

    def refusal(self, status: int, sentence: str) -> bytes:
        """https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html"""
        return json.dumps({"message": sentence}).encode()

    async def probe(self) -> str:
        """Whether there are credentials; that the role may invoke a model shows with the first call."""
        try:
            credentials = await asyncio.to_thread(self._session.get_credentials)
        except BotoCoreError as error:
            raise TemporaryError(f"AWS credentials could not be read: {error}") from error
        if credentials is None:
            raise PermanentError("Bedrock: there are no AWS credentials", "Give the bot's task a role")
        return f"{self._region}, by the bot's own AWS credentials (which models they may use shows with the first call)"

    async def close(self) -> None:
        await self._http.close()

    def _signed(self, url: str, headers: dict[str, str], body: bytes) -> dict[str, str]:
        try:
            credentials = self._session.get_credentials()
            if credentials is None:
                raise PermanentError("Bedrock: there are no AWS credentials.", "Give the bot's task a role.")
            request = AWSRequest(method="POST", url=url, data=body, headers=headers)
            SigV4Auth(credentials.get_frozen_credentials(), "bedrock", self._region).add_auth(request)
        except BotoCoreError as error:
            raise TemporaryError(f"AWS credentials could not be read: {error}.") from error
        return dict(request.headers.items())


class _EventStreamAnswer(HttpAnswer):
    """The meter is told the messages within the event stream; the bytes go on as they came."""

    async def chunks(self) -> AsyncIterator[bytes]:
        buffer: EventStreamBuffer | None = EventStreamBuffer()
        async for data in super().chunks():
            buffer = self._tell(buffer, data)
            yield data

    def _tell(self, buffer: EventStreamBuffer | None, data: bytes) -> EventStreamBuffer | None:
        if buffer is None:
            return None
        try:
            buffer.add_data(data)
            for event in buffer:
                answer = _message_in(event.payload)
                if answer is not None:
                    self.meter.tell(answer)
        except Exception:  # a stream that cannot be read is the agent's to complain of; here it is only not counted
            return None
        return buffer


def _message_in(payload: bytes) -> dict[str, Any] | None:
    """The message that `chunk` events wrap: {"bytes": base64 of JSON}."""
    try:
        inner = json.loads(base64.b64decode(json.loads(payload)["bytes"], validate=True))
    except (ValueError, KeyError, TypeError, binascii.Error):
        return None
    return inner if isinstance(inner, dict) else None


def _meter(model: str, is_stream: bool, request_bytes: Callable[[], int]) -> Meter:
    def read(answer: Any, usage: dict[str, int]) -> str:
        read_anthropic(answer, usage)
        # Priced and told by the name that was asked for, which says where it ran.
        return model

    return Meter(read, model=model, is_stream=is_stream, request_bytes=request_bytes)
