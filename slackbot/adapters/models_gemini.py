"""Google's Gemini API as a `ModelProvider`: https://ai.google.dev/api/generate-content"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from urllib.parse import parse_qsl, unquote, urlencode

from slackbot.adapters.models_http import HttpAnswer, ModelHttp, headers_for
from slackbot.core.model_port import ModelCall
from slackbot.core.model_usage import Meter, read_gemini

API_URL = "https://generativelanguage.googleapis.com"

_MODEL = r"[A-Za-z0-9._%-]{1,100}"
_POST = re.compile(
    rf"v1(?:beta|alpha)?/models/({_MODEL})(?::|%3A)(?:generateContent|streamGenerateContent|countTokens)"
)
_GET = re.compile(rf"v1(?:beta|alpha)?/models(?:/{_MODEL})?")

_STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
           409: "ABORTED", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}  # fmt: skip


class GeminiModels:
    """`base_url` as the SDK's GOOGLE_GEMINI_BASE_URL, without /v1beta."""

    name = "gemini"

    def __init__(self, *, key: str, base_url: str | None = None) -> None:
        self._key = key
        self._base_url = (base_url or API_URL).rstrip("/")
        self._http = ModelHttp(self.name)

    def allows(self, method: str, path: str) -> bool:
        return bool((method == "POST" and _POST.fullmatch(path)) or (method == "GET" and _GET.fullmatch(path)))

    async def call(self, call: ModelCall) -> HttpAnswer:
        headers = headers_for(call, ("x-goog-api-client",))
        # Here a key may stand in the query as well.
        asked = [(name, value) for name, value in parse_qsl(call.query, keep_blank_values=True) if name != "key"]
        query = f"?{urlencode(asked)}" if asked else ""
        named = _POST.fullmatch(call.path)
        meter = partial(_meter, unquote(named.group(1)) if named else "")
        url = f"{self._base_url}/{call.path}{query}"
        return await self._http.send(call, url, {**headers, "x-goog-api-key": self._key}, meter)

    def refusal(self, status: int, sentence: str) -> bytes:
        """https://ai.google.dev/gemini-api/docs/troubleshooting"""
        error = {"code": status, "message": sentence, "status": _STATUS.get(status, "UNKNOWN")}
        return json.dumps({"error": error}).encode()

    async def probe(self) -> str:
        answer = await self._http.ask(f"{self._base_url}/v1beta/models?pageSize=1000", {"x-goog-api-key": self._key})
        return f"the key is accepted; {len(answer.get('models', []))} models"

    async def close(self) -> None:
        await self._http.close()


def _meter(model: str, is_stream: bool, request_bytes: Callable[[], int]) -> Meter:
    return Meter(read_gemini, model=model, is_stream=is_stream, request_bytes=request_bytes)
