"""Anthropic's Messages API as a `ModelProvider`: https://docs.claude.com/en/api/messages"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from slackbot.adapters.models_http import HttpAnswer, ModelHttp, headers_for
from slackbot.core.model_port import ModelCall
from slackbot.core.model_usage import Meter, read_anthropic

API_URL = "https://api.anthropic.com"
VERSION = "2023-06-01"

# Files and batches are left out: what they use is not told in an answer.
_POST = re.compile(r"v1/messages(?:/count_tokens)?")
_GET = re.compile(r"v1/models(?:/[A-Za-z0-9._:%-]{1,100})?")

_ERRORS = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
           413: "request_too_large", 429: "rate_limit_error"}  # fmt: skip


class AnthropicModels:
    """`base_url` as the SDK's ANTHROPIC_BASE_URL, without /v1."""

    name = "anthropic"

    def __init__(self, *, key: str, base_url: str | None = None) -> None:
        self._key = key
        self._base_url = (base_url or API_URL).rstrip("/")
        self._http = ModelHttp(self.name)

    def allows(self, method: str, path: str) -> bool:
        return bool((method == "POST" and _POST.fullmatch(path)) or (method == "GET" and _GET.fullmatch(path)))

    async def call(self, call: ModelCall) -> HttpAnswer:
        headers = {"anthropic-version": VERSION, **headers_for(call, ("anthropic-", "x-stainless-", "x-app"))}
        query = f"?{call.query}" if call.query else ""
        url = f"{self._base_url}/{call.path}{query}"
        return await self._http.send(call, url, {**headers, "x-api-key": self._key}, _meter)

    def refusal(self, status: int, sentence: str) -> bytes:
        """https://docs.claude.com/en/api/errors"""
        return anthropic_error(status, sentence)

    async def probe(self) -> str:
        answer = await self._http.ask(
            f"{self._base_url}/v1/models?limit=1000", {"x-api-key": self._key, "anthropic-version": VERSION}
        )
        return f"the key is accepted; {len(answer.get('data', []))} models"

    async def close(self) -> None:
        await self._http.close()


def anthropic_error(status: int, sentence: str) -> bytes:
    """An error as Anthropic words it."""
    error = {"type": _ERRORS.get(status, "api_error"), "message": sentence}
    return json.dumps({"type": "error", "error": error}).encode()


def _meter(is_stream: bool, request_bytes: Callable[[], int]) -> Meter:
    return Meter(read_anthropic, is_stream=is_stream, request_bytes=request_bytes)
