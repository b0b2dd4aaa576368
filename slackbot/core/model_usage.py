"""Reads the usage that model providers tell in their answers, streamed or whole. Pure: bytes in, counts out.

Shapes: https://docs.claude.com/en/api/messages-streaming, https://platform.openai.com/docs/api-reference/responses-streaming,
https://platform.openai.com/docs/api-reference/chat-streaming, https://ai.google.dev/api/generate-content#UsageMetadata
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from slackbot.core.spending import Counted

MAX_LINE_BYTES = 16 * 1024 * 1024
"""A line of a stream, or a whole answer, that is longer is passed on but not read."""

Read = Callable[[Mapping[str, Any], dict[str, int]], str | None]
"""Takes one JSON object of an answer, notes its usage (the last word counts), and gives the model's name if told."""


class Meter:
    """Watches one answer go by. `counted()` is what it has used: the provider's own figures where they came."""

    def __init__(self, read: Read, *, model: str = "", is_stream: bool, request_bytes: Callable[[], int]) -> None:
        self.model = model
        self._read = read
        self._is_stream = is_stream
        self._request_bytes = request_bytes
        self._usage: dict[str, int] = {}
        self._line = bytearray()
        self._too_long = False
        self._events = 0
        self._ended = False

    def feed(self, data: bytes) -> None:
        """The next bytes of the body, cut anywhere."""
        if not self._is_stream:
            self._keep(data)
            return
        first, *rest = data.split(b"\n")
        self._keep(first)
        for part in rest:
            self._take_line()
            self._keep(part)

    def tell(self, answer: Mapping[str, Any]) -> None:
        """One object of the answer, where it is not lines of text (Bedrock's event stream)."""
        self._events += 1
        self._note(answer)

    def end(self) -> None:
        """The body came to its end."""
        self._ended = True
        if self._is_stream:
            self._take_line()
            return
        if not self._too_long:
            try:
                answer = json.loads(bytes(self._line))
            except ValueError:
                answer = None
            # Gemini streams a list of chunks where it is not asked for events.
            for part in answer if isinstance(answer, list) else [answer]:
                self._note(part)
        self._line.clear()

    def counted(self) -> Counted:
        """Empty when nothing was used: an answer that ended without a word of usage (a list of models, an error)."""
        usage = dict(self._usage)
        if not usage and not self._events:
            return {}
        if not (self._ended and "output_tokens" in usage) and self._events > usage.get("output_tokens", -1):
            # Cut off before the last word: at least a token an event, and a token for each 4 bytes that were asked.
            usage["output_tokens"] = self._events
            usage.setdefault("input_tokens", self._request_bytes() // 4)
            usage["estimated_calls"] = 1
        return {**{name: value for name, value in usage.items() if value}, "calls": 1}

    def _keep(self, data: bytes) -> None:
        if len(self._line) + len(data) > MAX_LINE_BYTES:
            self._too_long = True
            self._line.clear()
        if not self._too_long:
            self._line += data

    def _take_line(self) -> None:
        line, too_long = bytes(self._line), self._too_long
        self._line.clear()
        self._too_long = False
        if too_long or not line.startswith(b"data:"):
            return
        self._events += 1
        # Most events are pieces of text; only those that can hold usage are worth parsing.
        if b'"usage' in line:
            try:
                self._note(json.loads(line[5:]))
            except ValueError:
                return

    def _note(self, answer: Any) -> None:
        if isinstance(answer, Mapping):
            self.model = self._read(answer, self._usage) or self.model


def read_anthropic(answer: Mapping[str, Any], usage: dict[str, int]) -> str | None:
    """Messages: whole, or the events `message_start` and `message_delta`, whose figures are sums so far."""
    message = _map(answer.get("message")) or answer
    told = _map(message.get("usage"))
    _set(usage, "input_tokens", told.get("input_tokens"))
    _set(usage, "output_tokens", told.get("output_tokens"))
    _set(usage, "cached_read_tokens", told.get("cache_read_input_tokens"))
    _set(usage, "cached_write_tokens", told.get("cache_creation_input_tokens"))
    _set(usage, "cached_write_1h_tokens", _map(told.get("cache_creation")).get("ephemeral_1h_input_tokens"))
    return _text(message.get("model"))


def read_openai(answer: Mapping[str, Any], usage: dict[str, int]) -> str | None:
    """Responses (whole, or `response.completed` and its like) and chat completions (whole, or the last chunk)."""
    response = _map(answer.get("response")) or answer
    told = _map(response.get("usage"))
    asked = _number(told.get("input_tokens", told.get("prompt_tokens")))
    details = _map(told.get("input_tokens_details")) or _map(told.get("prompt_tokens_details"))
    cached = _number(details.get("cached_tokens")) or 0
    if asked is not None:
        # What a cache served is part of the input here; it has a price of its own.
        usage["input_tokens"] = max(asked - cached, 0)
        usage["cached_read_tokens"] = cached
    _set(usage, "output_tokens", told.get("output_tokens", told.get("completion_tokens")))
    return _text(response.get("model"))


def read_gemini(answer: Mapping[str, Any], usage: dict[str, int]) -> str | None:
    """generateContent: each chunk of a stream tells the sums so far."""
    told = _map(answer.get("usageMetadata"))
    asked = _number(told.get("promptTokenCount"))
    if asked is not None:
        cached = _number(told.get("cachedContentTokenCount")) or 0
        usage["input_tokens"] = max(asked - cached, 0) + (_number(told.get("toolUsePromptTokenCount")) or 0)
        usage["cached_read_tokens"] = cached
        thoughts = _number(told.get("thoughtsTokenCount")) or 0
        usage["output_tokens"] = (_number(told.get("candidatesTokenCount")) or 0) + thoughts
    return _text(answer.get("modelVersion"))


def _set(usage: dict[str, int], name: str, value: Any) -> None:
    number = _number(value)
    if number is not None:
        usage[name] = number


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
