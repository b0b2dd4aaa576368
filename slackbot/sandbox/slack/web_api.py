"""The Web API's door: reads the call, checks token, scopes and arguments, runs the method, answers.

Requests come from the routes of `server.py`; the methods are in `methods_*.py`. Every call is logged in memory
(`calls`), without its token. https://docs.slack.dev/apis/web-api
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import web

from slackbot.sandbox.slack.conversation import Conversation
from slackbot.sandbox.slack.faults import ApiCall, Fault, FaultHook, SlackError
from slackbot.sandbox.slack.files import Files
from slackbot.sandbox.slack.interactions import Interactions
from slackbot.sandbox.slack.socket_mode import SocketMode
from slackbot.sandbox.slack.views import Views
from slackbot.sandbox.slack.workspace import Workspace

log = structlog.get_logger()

Arguments = dict[str, Any]
Answer = dict[str, Any]
KEPT_CALLS = 1000
_EVERYWHERE = {"team_id": "str"}
"""Bolt's client sends it along with every call."""


@dataclass(frozen=True)
class Rooms:
    """What the methods work with."""

    workspace: Workspace
    conversation: Conversation
    interactions: Interactions
    views: Views
    files: Files
    sockets: SocketMode


@dataclass(frozen=True)
class Method:
    """One method. `arguments` maps each argument it knows to `str`, `int`, `bool`, `json` or `list`."""

    name: str
    run: Callable[[Rooms, Arguments], Answer]
    arguments: dict[str, str]
    required: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    """Any one of these is enough."""
    is_app_level: bool = False


class WebApi:
    """Answers `/api/{method}`. `fault` may be replaced at any time."""

    def __init__(self, rooms: Rooms, methods: Iterable[Method]) -> None:
        self._rooms = rooms
        self._methods = {method.name: method for method in methods}
        self.fault: FaultHook | None = None
        self.calls: deque[ApiCall] = deque(maxlen=KEPT_CALLS)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["method"]
        try:
            raw, token = await _read(request)
        except SlackError as error:
            return web.json_response(error.answer())
        fault = self.fault(name, raw) if self.fault is not None else None
        if fault is not None:
            if fault.delay_seconds:
                await asyncio.sleep(fault.delay_seconds)
            if fault.drop_before or fault.error or fault.status:
                return self._failed(request, name, raw, fault)
        answer = self._answer(name, raw, token)
        self._log(name, raw, answer)
        if fault is not None and fault.drop_after:
            return _dropped(request)
        return web.json_response(answer, headers=self._scopes_of(token))

    def _scopes_of(self, token: str | None) -> dict[str, str]:
        """Slack names a bot token's scopes in each answer to it."""
        app = self._rooms.workspace.app
        if app.scopes is None or token != app.bot_token:
            return {}
        return {"X-OAuth-Scopes": ",".join(sorted(app.scopes))}

    def _answer(self, name: str, raw: Arguments, token: str | None) -> Answer:
        try:
            method = self._methods.get(name)
            if method is None:
                raise SlackError("unknown_method", req_method=name)
            self._authorize(method, token)
            arguments = _checked(method, raw)
            return {"ok": True, **method.run(self._rooms, arguments)}
        except SlackError as error:
            return error.answer()
        except Exception:
            log.exception("slack_stand_in_method_failed", method=name)
            return {"ok": False, "error": "internal_error"}

    def _authorize(self, method: Method, token: str | None) -> None:
        app = self._rooms.workspace.app
        if not token:
            raise SlackError("not_authed")
        if token not in (app.bot_token, app.app_token):
            raise SlackError("invalid_auth")
        if (token == app.app_token) != method.is_app_level:
            raise SlackError("not_allowed_token_type")
        if app.scopes is not None and method.scopes and not app.scopes.intersection(method.scopes):
            raise SlackError("missing_scope", needed=",".join(method.scopes), provided=",".join(sorted(app.scopes)))

    def _failed(self, request: web.Request, name: str, raw: Arguments, fault: Fault) -> web.StreamResponse:
        if fault.drop_before:
            self._log(name, raw, {"ok": False, "error": "(connection dropped)"})
            return _dropped(request)
        status = fault.status or 200
        error = fault.error or ("ratelimited" if status == 429 else "internal_error")
        answer = {"ok": False, "error": error}
        self._log(name, raw, answer)
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        return web.json_response(answer, status=status, headers=headers)

    def _log(self, name: str, arguments: Arguments, answer: Answer) -> None:
        call = ApiCall(name, arguments, answer, self._rooms.workspace.clock())
        self.calls.append(call)
        if name == "apps.connections.open":
            # The answer holds a ticket.
            answer = {"ok": answer["ok"]}
        summary = {"method": name, "args": arguments, "ok": answer["ok"], "error": answer.get("error"), "at": call.at}
        self._rooms.workspace.feed.publish({"type": "call", "call": summary})


def _dropped(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def _read(request: web.Request) -> tuple[Arguments, str | None]:
    """The arguments as they came, and the token, from wherever a client may put them."""
    arguments: Arguments = dict(request.query)
    if request.method == "POST":
        if request.content_type == "application/json":
            try:
                body = await request.json()
            except ValueError as error:
                raise SlackError("invalid_json") from error
            if not isinstance(body, dict):
                raise SlackError("json_not_object")
            arguments.update(body)
        elif request.can_read_body:
            form = await request.post()
            arguments.update({key: value for key, value in form.items() if isinstance(value, str)})
    in_arguments = arguments.pop("token", None)
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    token = credential.strip() if scheme.lower() == "bearer" else in_arguments
    return arguments, token


def _checked(method: Method, raw: Arguments) -> Arguments:
    """The arguments in their types. The real one ignores unknown names; here they are refused, to find typos."""
    known = {**_EVERYWHERE, **method.arguments}
    problems = [f"[ERROR] unknown argument: {name} [json-pointer:/{name}]" for name in raw if name not in known]
    problems += [
        f"[ERROR] missing required field: {name} [json-pointer:/{name}]"
        for name in method.required
        if raw.get(name) in (None, "")
    ]
    checked: Arguments = {}
    for name, value in raw.items():
        kind = known.get(name)
        if kind is None or value is None:
            continue
        try:
            checked[name] = _converted(kind, value)
        except ValueError as error:
            problems.append(f"[ERROR] {error} [json-pointer:/{name}]")
    if problems:
        raise SlackError("invalid_arguments", problems)
    return checked


def _converted(kind: str, value: Any) -> Any:
    if kind == "str":
        if isinstance(value, dict | list | bool):
            raise ValueError("must provide a string")
        return str(value)
    if kind == "int":
        try:
            return int(value)
        except (TypeError, ValueError):
            raise ValueError("must be an integer") from None
    if kind == "bool":
        words = {"1": True, "true": True, "0": False, "false": False}
        if str(value).lower() not in words:
            raise ValueError("must be a boolean")
        return words[str(value).lower()]
    if kind == "list":
        if isinstance(value, list):
            return [str(item) for item in value]
        return [item.strip() for item in str(value).split(",") if item.strip()]
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError("must be valid JSON") from None
    return value
