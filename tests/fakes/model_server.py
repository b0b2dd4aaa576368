"""A scripted model provider on loopback: Anthropic messages, OpenAI responses and chat completions, Gemini, Bedrock.

A `Script` decides from what the agent sent what the model says or which tool it calls; this server says it in the
provider's own stream. Shapes: the pages named in slackbot/core/model_usage.py. What was asked is kept in `calls`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

KEYS = {
    "anthropic": "sk-ant-real-key-of-the-test",
    "openai": "sk-real-key-of-the-test",
    "gemini": "AIzaRealKeyOfTheTest",
}
INPUT, CACHED, OUTPUT = 1_000, 200, 50
"""The usage that every answer tells (for OpenAI and Gemini the input holds what was cached)."""


@dataclass(frozen=True)
class Say:
    """The model says `text`, in pieces; with `hold` it goes quiet after the first piece until it is cut off."""

    text: str
    hold: bool = False


@dataclass(frozen=True)
class UseTool:
    """The model calls a tool."""

    name: str
    arguments: dict[str, Any]


Turn = Say | UseTool


@dataclass(frozen=True)
class Asked:
    """What an agent sent."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def tools(self) -> list[str]:
        """The names of the tools that the agent offers, whatever the provider calls them."""
        found: list[str] = []
        for tool in self.body.get("tools") or []:
            for one in tool.get("functionDeclarations") or [tool.get("function") or tool]:
                found.append(str(one.get("name") or one.get("type")))
        return found

    @property
    def text(self) -> str:
        """All that was said so far, as JSON: enough to look for words in."""
        return json.dumps(self.body, ensure_ascii=False)


Script = Callable[[Asked], Turn]


@dataclass
class ModelServer:
    """`script` may be changed at any time. `cut` counts streams that the other side ended before their end."""

    script: Script
    calls: list[Asked] = field(default_factory=list)
    refused: int = 0
    cut: int = 0
    holding: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 2**20)
        post, get = app.router.add_post, app.router.add_get
        post("/v1/messages", self._anthropic)
        post("/v1/messages/count_tokens", self._count)
        post("/v1/responses", self._responses)
        post("/v1/chat/completions", self._chat)
        get("/v1/models", self._models)
        get("/v1beta/models", self._models)
        post("/v1beta/models/{call}", self._gemini)
        post("/model/{model}/{call}", self._bedrock)
        return app

    # ------------------------------------------------------------------------------- Anthropic

    async def _anthropic(self, request: web.Request) -> web.StreamResponse:
        asked = await self._asked(request, "x-api-key", KEYS["anthropic"])
        if not asked.body.get("stream"):
            return web.json_response(anthropic_message(self.script(asked), str(asked.body.get("model"))))
        return await self._stream(request, anthropic_events(self.script(asked), str(asked.body.get("model"))), True)

    async def _count(self, request: web.Request) -> web.Response:
        await self._asked(request, "x-api-key", KEYS["anthropic"])
        return web.json_response({"input_tokens": INPUT})

    async def _bedrock(self, request: web.Request) -> web.StreamResponse:
        model = request.match_info["model"]
        asked = await self._asked(request, "", "")
        turn = self.script(asked)
        if request.match_info["call"] == "invoke":
            return web.json_response(anthropic_message(turn, model))
        response = web.StreamResponse(headers={"Content-Type": "application/vnd.amazon.eventstream"})
        await response.prepare(request)
        for _, event, hold in anthropic_events(turn, model):
            payload = json.dumps({"bytes": base64.b64encode(json.dumps(event).encode()).decode()}).encode()
            await response.write(event_stream_message("chunk", payload))
            if hold:
                await self._hold(request)
        await response.write_eof()
        return response

    # ---------------------------------------------------------------------------------- OpenAI

    async def _responses(self, request: web.Request) -> web.StreamResponse:
        asked = await self._asked(request, "authorization", f"Bearer {KEYS['openai']}")
        turn, model = self.script(asked), str(asked.body.get("model"))
        if not asked.body.get("stream"):
            return web.json_response(openai_response(turn, model))
        return await self._stream(request, openai_events(turn, model), True)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        asked = await self._asked(request, "authorization", f"Bearer {KEYS['openai']}")
        turn, model = self.script(asked), str(asked.body.get("model"))
        if not asked.body.get("stream"):
            return web.json_response(chat_completion(turn, model))
        with_usage = bool((asked.body.get("stream_options") or {}).get("include_usage"))
        return await self._stream(request, chat_chunks(turn, model, with_usage), False, last=b"data: [DONE]\n\n")

    # ---------------------------------------------------------------------------------- Gemini

    async def _gemini(self, request: web.Request) -> web.StreamResponse:
        asked = await self._asked(request, "x-goog-api-key", KEYS["gemini"])
        model, _, method = request.match_info["call"].partition(":")
        if method == "countTokens":
            return web.json_response({"totalTokens": INPUT})
        turn = self.script(asked)
        if method == "generateContent":
            return web.json_response(gemini_answer(turn, model))
        return await self._stream(request, gemini_chunks(turn, model), False)

    # ----------------------------------------------------------------------------------- parts

    async def _models(self, request: web.Request) -> web.Response:
        key = request.headers.get("x-api-key") or request.headers.get("x-goog-api-key")
        key = key or request.headers.get("authorization", "").removeprefix("Bearer ")
        if key not in KEYS.values():
            raise web.HTTPUnauthorized(text="{}")
        return web.json_response({"data": [{"id": "m"}], "models": [{"name": "models/m"}]})

    async def _asked(self, request: web.Request, header: str, value: str) -> Asked:
        if header and request.headers.get(header) != value:
            self.refused += 1
            raise web.HTTPUnauthorized(text=json.dumps({"error": {"message": f"bad key {request.headers}"}}))
        body = json.loads(await request.read() or b"{}")
        headers = {name.lower(): text for name, text in request.headers.items()}
        asked = Asked(request.path_qs, headers, body)
        self.calls.append(asked)
        return asked

    async def _stream(
        self, request: web.Request, events: list[tuple[str, Any, bool]], named: bool, last: bytes = b""
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for name, event, hold in events:
            head = f"event: {name}\n" if named else ""
            await response.write(f"{head}data: {json.dumps(event)}\n\n".encode())
            if hold:
                await self._hold(request)
        await response.write(last)
        await response.write_eof()
        return response

    async def _hold(self, request: web.Request) -> None:
        """Until the other side goes away."""
        self.holding.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cut += 1
            self.holding.clear()


@asynccontextmanager
async def model_server(script: Script) -> AsyncIterator[ModelServer]:
    """A server on a free port of loopback."""
    server = ModelServer(script)
    runner = web.AppRunner(server.app(), access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


def _pieces(text: str) -> list[str]:
    return [text[start : start + 12] for start in range(0, len(text), 12)] or [""]


# ---------------------------------------------------------------------------------------- Anthropic


def anthropic_message(turn: Turn, model: str) -> dict[str, Any]:
    usage = {
        "input_tokens": INPUT - CACHED,
        "cache_read_input_tokens": CACHED,
        "cache_creation_input_tokens": 0,
        "output_tokens": OUTPUT,
    }
    content: dict[str, Any] = {"type": "text", "text": turn.text} if isinstance(turn, Say) else _tool_use(turn)
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [content],
        "stop_reason": "end_turn" if isinstance(turn, Say) else "tool_use",
        "stop_sequence": None,
        "usage": usage,
    }


def anthropic_events(turn: Turn, model: str) -> list[tuple[str, Any, bool]]:
    whole = anthropic_message(turn, model)
    begun = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    events: list[tuple[str, Any, bool]] = [("message_start", {"type": "message_start", "message": begun}, False)]
    if isinstance(turn, Say):
        block: dict[str, Any] = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(turn.text)]
    else:
        block = {**_tool_use(turn), "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in _pieces(json.dumps(turn.arguments))]
    events.append(("content_block_start", {"type": "content_block_start", "index": 0, "content_block": block}, False))
    for number, delta in enumerate(deltas):
        hold = isinstance(turn, Say) and turn.hold and number == 0
        events.append(("content_block_delta", {"type": "content_block_delta", "index": 0, "delta": delta}, hold))
    events.append(("content_block_stop", {"type": "content_block_stop", "index": 0}, False))
    ended = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    usage = {"output_tokens": OUTPUT}
    events.append(("message_delta", {"type": "message_delta", "delta": ended, "usage": usage}, False))
    events.append(("message_stop", {"type": "message_stop"}, False))
    return events


def _tool_use(turn: UseTool) -> dict[str, Any]:
    return {
        "type": "tool_use",
        "id": f"toolu_{abs(hash(str(turn))) % 10**9}",
        "name": turn.name,
        "input": turn.arguments,
    }


# ------------------------------------------------------------------------------------------- OpenAI

_USAGE = {
    "input_tokens": INPUT,
    "input_tokens_details": {"cached_tokens": CACHED},
    "output_tokens": OUTPUT,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": INPUT + OUTPUT,
}
_CHAT_USAGE = {
    "prompt_tokens": INPUT,
    "prompt_tokens_details": {"cached_tokens": CACHED},
    "completion_tokens": OUTPUT,
    "total_tokens": INPUT + OUTPUT,
}


def openai_response(turn: Turn, model: str) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": model,
        "output": [_output_item(turn)],
        "usage": _USAGE,
    }


def openai_events(turn: Turn, model: str) -> list[tuple[str, Any, bool]]:
    whole = openai_response(turn, model)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    item = _output_item(turn)
    events: list[tuple[str, Any, bool]] = [("response.created", {"type": "response.created", "response": begun}, False)]
    if isinstance(turn, Say):
        empty = {**item, "content": [], "status": "in_progress"}
        events.append(_event("response.output_item.added", output_index=0, item=empty))
        part = {"type": "output_text", "text": "", "annotations": []}
        events.append(
            _event("response.content_part.added", item_id=item["id"], output_index=0, content_index=0, part=part)
        )
        for number, piece in enumerate(_pieces(turn.text)):
            name, event, _ = _event(
                "response.output_text.delta", item_id=item["id"], output_index=0, content_index=0, delta=piece
            )
            events.append((name, event, turn.hold and number == 0))
    else:
        events.append(_event("response.output_item.added", output_index=0, item={**item, "status": "in_progress"}))
    events.append(_event("response.output_item.done", output_index=0, item=item))
    events.append(_event("response.completed", response=whole))
    return events


def _event(kind: str, **fields: Any) -> tuple[str, Any, bool]:
    return kind, {"type": kind, "sequence_number": 1, **fields}, False


def _output_item(turn: Turn) -> dict[str, Any]:
    if isinstance(turn, Say):
        content = [{"type": "output_text", "text": turn.text, "annotations": []}]
        return {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": content}
    call_id = f"call_{abs(hash(str(turn))) % 10**9}"
    if isinstance(turn.arguments.get("input"), str) and turn.name == "apply_patch":
        return {
            "type": "custom_tool_call",
            "id": "ctc_1",
            "status": "completed",
            "call_id": call_id,
            "name": turn.name,
            "input": turn.arguments["input"],
        }
    return {
        "type": "function_call",
        "id": "fc_1",
        "status": "completed",
        "call_id": call_id,
        "name": turn.name,
        "arguments": json.dumps(turn.arguments),
    }


def chat_completion(turn: Turn, model: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": turn.text if isinstance(turn, Say) else None}
    if isinstance(turn, UseTool):
        message["tool_calls"] = [_tool_call(turn)]
    reason = "stop" if isinstance(turn, Say) else "tool_calls"
    choices = [{"index": 0, "message": message, "finish_reason": reason}]
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": choices,
        "usage": _CHAT_USAGE,
    }


def chat_chunks(turn: Turn, model: str, with_usage: bool) -> list[tuple[str, Any, bool]]:
    def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]}

    events: list[tuple[str, Any, bool]] = [("", chunk({"role": "assistant", "content": ""}), False)]
    if isinstance(turn, Say):
        for number, piece in enumerate(_pieces(turn.text)):
            events.append(("", chunk({"content": piece}), turn.hold and number == 0))
        events.append(("", chunk({}, "stop"), False))
    else:
        events.append(("", chunk({"tool_calls": [{"index": 0, **_tool_call(turn)}]}), False))
        events.append(("", chunk({}, "tool_calls"), False))
    if with_usage:
        events.append(("", {**chunk({}), "choices": [], "usage": _CHAT_USAGE}, False))
    return events


def _tool_call(turn: UseTool) -> dict[str, Any]:
    function = {"name": turn.name, "arguments": json.dumps(turn.arguments)}
    return {"id": f"call_{abs(hash(str(turn))) % 10**9}", "type": "function", "function": function}


# ------------------------------------------------------------------------------------------- Gemini


def gemini_answer(turn: Turn, model: str) -> dict[str, Any]:
    part = {"text": turn.text} if isinstance(turn, Say) else _function_call(turn)
    return _gemini(model, [part], last=True)


def gemini_chunks(turn: Turn, model: str) -> list[tuple[str, Any, bool]]:
    if isinstance(turn, UseTool):
        return [("", _gemini(model, [_function_call(turn)], last=True), False)]
    pieces = _pieces(turn.text)
    return [
        ("", _gemini(model, [{"text": piece}], last=number == len(pieces) - 1), turn.hold and number == 0)
        for number, piece in enumerate(pieces)
    ]


def _function_call(turn: UseTool) -> dict[str, Any]:
    return {"functionCall": {"name": turn.name, "args": turn.arguments}}


def _gemini(model: str, parts: list[dict[str, Any]], *, last: bool) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    usage = {"promptTokenCount": INPUT, "cachedContentTokenCount": CACHED, "candidatesTokenCount": OUTPUT - 10}
    if last:
        candidate["finishReason"] = "STOP"
        usage["thoughtsTokenCount"] = 10
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": model, "responseId": "r1"}


# ------------------------------------------------------------------------------------------ Bedrock


def event_stream_message(event_type: str, payload: bytes) -> bytes:
    """One message of AWS's event stream: https://docs.aws.amazon.com/transcribe/latest/dg/event-stream.html"""
    headers = b""
    for name, value in (
        (":event-type", event_type),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ):
        headers += struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack("!I", binascii.crc32(prelude)) + headers + payload
    return message + struct.pack("!I", binascii.crc32(message))
