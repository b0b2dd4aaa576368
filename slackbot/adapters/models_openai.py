"""OpenAI's Responses and Chat Completions as a `ModelProvider`, and whatever speaks them at another address.

https://platform.openai.com/docs/api-reference/responses, https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

from slackbot.adapters.models_http import HttpAnswer, ModelHttp, headers_for, read_whole
from slackbot.core.errors import PermanentError
from slackbot.core.model_port import ModelCall
from slackbot.core.model_usage import Meter, read_openai

API_URL = "https://api.openai.com/v1"

# Not /responses/{id}: what runs in the background there is paid for and never counted.
_POST = re.compile(r"(?:v1/)?(?:responses|chat/completions)")
_EVENT_END = re.compile(rb"(\r?\n\r?\n)")
"""https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream"""
_GET = re.compile(r"(?:v1/)?models(?:/[A-Za-z0-9._:%-]{1,100})?")


class OpenAIModels:
    """`base_url` as the SDK's OPENAI_BASE_URL, with /v1."""

    name = "openai"

    def __init__(self, *, key: str, base_url: str | None = None) -> None:
        self._key = key
        self._base_url = (base_url or API_URL).rstrip("/")
        self._http = ModelHttp(self.name)

    def allows(self, method: str, path: str) -> bool:
        return bool((method == "POST" and _POST.fullmatch(path)) or (method == "GET" and _GET.fullmatch(path)))

    async def call(self, call: ModelCall) -> HttpAnswer:
        headers = {**headers_for(call, ("openai-beta", "x-stainless-")), "authorization": f"Bearer {self._key}"}
        query = f"?{call.query}" if call.query else ""
        url = f"{self._base_url}/{call.path.removeprefix('v1/')}{query}"
        if call.path.endswith("responses"):
            body = await read_whole(call)
            _check_told(body)
            return await self._http.send(call, url, headers, _meter, body=body)
        if not call.path.endswith("chat/completions"):
            return await self._http.send(call, url, headers, _meter)
        # A stream of chat completions tells its usage only when asked to.
        body, was_added = with_usage(await read_whole(call))
        answer = await self._http.send(call, url, headers, _meter, body=body)
        return _WithoutUsage(answer.name, answer.response, answer.meter) if was_added else answer

    def refusal(self, status: int, sentence: str) -> bytes:
        """https://platform.openai.com/docs/guides/error-codes"""
        kind = "invalid_request_error" if status < 500 else "server_error"
        return json.dumps({"error": {"message": sentence, "type": kind, "param": None, "code": None}}).encode()

    async def probe(self) -> str:
        answer = await self._http.ask(f"{self._base_url}/models", {"authorization": f"Bearer {self._key}"})
        return f"the key is accepted; {len(answer.get('data', []))} models"

    async def close(self) -> None:
        await self._http.close()


def with_usage(body: bytes) -> tuple[bytes, bool]:
    """A request for chat completions that asks for the usage at the end of its stream; whether that had to be added."""
    try:
        asked = json.loads(body)
    except ValueError:
        return body, False
    if not isinstance(asked, dict) or not asked.get("stream"):
        return body, False
    options = asked.get("stream_options")
    options = options if isinstance(options, dict) else {}
    if options.get("include_usage"):
        return body, False
    return json.dumps({**asked, "stream_options": {**options, "include_usage": True}}).encode(), True


def _check_told(body: bytes) -> None:
    """`PermanentError` for a response that would go on in the background: what it uses is told to nobody here.

    https://platform.openai.com/docs/guides/background
    """
    # Few requests name it at all, and they are long: parsed is only what may, in escapes or in another encoding too.
    if body.lstrip()[:1] == b"{" and not any(sign in body for sign in (b"background", b"\\u", b"\0")):
        return
    try:
        asked = json.loads(body)
    except ValueError as error:
        raise PermanentError("The request's body is no JSON that DevFlow can read.", "Send it uncompressed.") from error
    if isinstance(asked, dict) and asked.get("background"):
        raise PermanentError("DevFlow passes on no responses that run in the background.", "Ask without `background`.")


class _WithoutUsage(HttpAnswer):
    """The stream without its last chunk, which the agent did not ask for and may not expect: it has no choices."""

    async def chunks(self) -> AsyncIterator[bytes]:
        rest = b""
        async for data in super().chunks():
            *parts, rest = _EVENT_END.split(rest + data)
            events = zip(parts[::2], parts[1::2], strict=True)
            passed = b"".join(event + end for event, end in events if not _is_usage_alone(event))
            if passed:
                yield passed
        if rest:
            yield rest


def _is_usage_alone(event: bytes) -> bool:
    if b'"usage"' not in event or not event.startswith(b"data:"):
        return False
    try:
        chunk: Any = json.loads(event[5:])
    except ValueError:
        return False
    return isinstance(chunk, dict) and bool(chunk.get("usage")) and chunk.get("choices") == []


def _meter(is_stream: bool, request_bytes: Callable[[], int]) -> Meter:
    return Meter(read_openai, is_stream=is_stream, request_bytes=request_bytes)
