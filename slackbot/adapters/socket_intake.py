"""What happens to an envelope of Socket Mode: it is checked, given to Bolt, and acknowledged when Bolt is done.

An event with a listener of its own (`straight_events.py`) is given to that.

Envelopes come from the connections (`socket_connection.py`); acknowledgements go back over the same one, or over
another when it is gone. https://docs.slack.dev/apis/events-api/using-socket-mode
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from slack_bolt.adapter.socket_mode.async_internals import send_async_response
from slack_bolt.adapter.socket_mode.internals import build_headers
from slack_bolt.async_app import AsyncApp
from slack_bolt.listener.async_listener_start_handler import AsyncListenerStartHandler
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest

from slackbot.adapters.socket_turnstile import Turnstile, written_at
from slackbot.adapters.straight_events import StraightEvents

log = structlog.get_logger()

_STARTED = "devflow_listener_started"
NOT_AUTHORIZED = "devflow_not_authorized"
"""In the context of a request about which Slack did not say who the bot is."""
_SAID_ONCE_ENTRIES = 256
_MOST_RETRIES = 16
"""Slack makes three."""
_KINDS = frozenset({"events_api", "slash_commands", "interactive"})

FindClient = Callable[[AsyncBaseSocketModeClient], Awaitable[AsyncBaseSocketModeClient | None]]
"""A client that can send now: the given one if it can, else any."""


class SocketIntake:
    """Gives envelopes to `app`, each in a task that is kept here until it ends.

    At most `concurrency` run at once and `queued` wait; what comes beyond that is left unacknowledged, so that
    Slack delivers it again. A listener that raises leaves its envelope unacknowledged too. An event that comes again
    while its first envelope is here waits for what comes of that: acknowledged with it, or worked on if it fails. Else
    a bot that is three seconds behind would have twice as much to do. https://docs.slack.dev/apis/events-api#retries
    `on_worked_off` is called once it can take more after it had to refuse some, with the Unix time of the first
    refusal: Slack may have given up on those.
    """

    def __init__(
        self,
        app: AsyncApp,
        find_client: FindClient,
        *,
        straight: StraightEvents | None = None,
        concurrency: int = 200,
        queued: int = 2000,
        on_worked_off: Callable[[int], None] = lambda refused_since: None,
    ) -> None:
        self._app = app
        self._find_client = find_client
        self._straight = straight
        self._places = asyncio.Semaphore(concurrency)
        self._most = concurrency + queued
        self._tasks: dict[asyncio.Task[None], AsyncBaseSocketModeClient] = {}
        self._events: dict[str, _Event] = {}
        self._turnstile = Turnstile()
        self._said: set[tuple[str, ...]] = set()
        self._refused = 0
        self._refused_since = 0
        self._on_worked_off = on_worked_off
        self.is_open = True
        runner = app.listener_runner
        if not isinstance(runner.listener_start_handler, _NoteStart):
            runner.listener_start_handler = _NoteStart(runner.listener_start_handler)

    @property
    def in_flight(self) -> int:
        return len(self._tasks)

    def is_busy(self, client: AsyncBaseSocketModeClient) -> bool:
        """Whether an envelope that came over `client` is still being worked on."""
        return client in self._tasks.values()

    def receive(self, client: AsyncBaseSocketModeClient, message: dict[str, Any]) -> None:
        """Takes one message of a socket. Without `envelope_id` (hello and the like) there is nothing to do."""
        envelope_id = message.get("envelope_id")
        if not isinstance(envelope_id, str) or not envelope_id:
            return
        if not self.is_open:
            # Not acknowledged: Slack delivers it again, to whoever runs then.
            return
        event = _event(message)
        known = self._events.get(event.event_id) if event is not None else None
        is_same = event is not None and known is not None and known.payload == event.payload
        if known is not None and is_same and len(known.again) < _MOST_RETRIES:
            known.again.append((client, envelope_id))
            return
        if len(self._tasks) >= self._most:
            self._refuse()
            return
        if event is not None and known is None:
            self._events[event.event_id] = event
        else:
            event = None  # its id is another one's
        task = asyncio.create_task(self._handle(client, envelope_id, message, event))
        self._tasks[task] = client
        task.add_done_callback(self._ended)

    async def drain(self, deadline_seconds: float) -> int:
        """Waits until every envelope taken is done, `deadline_seconds` at most; the number that is not."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=deadline_seconds)
        return len(self._tasks)

    async def cancel(self) -> None:
        """Ends what still runs; its envelopes stay unacknowledged."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _refuse(self) -> None:
        if not self._refused:
            self._refused_since = int(time.time())
            log.error("slack_envelopes_refused", in_flight=len(self._tasks), remedy="Slack sends them again.")
        self._refused += 1

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if self._refused and len(self._tasks) <= self._most // 2:
            refused, self._refused = self._refused, 0
            log.info("slack_envelopes_taken_again", refused=refused)
            self._on_worked_off(self._refused_since)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("slack_envelope_failed", exc_info=error)

    async def _handle(
        self, client: AsyncBaseSocketModeClient, envelope_id: str, message: dict[str, Any], event: _Event | None
    ) -> None:
        try:
            is_done = await self._work_on(client, envelope_id, message)
            while event is not None and event.again:
                client, envelope_id = event.again.pop()
                if is_done:
                    await self._acknowledge(client, envelope_id, "events_api")
                else:
                    is_done = await self._work_on(client, envelope_id, message)
        finally:
            if event is not None:
                del self._events[event.event_id]

    async def _work_on(self, client: AsyncBaseSocketModeClient, envelope_id: str, message: dict[str, Any]) -> bool:
        """Whether it was acknowledged."""
        async with self._places:
            await self._turnstile.turn(written_at(message))
            listener = self._straight.listener(message) if self._straight is not None else None
            if self._straight is not None and listener is not None:
                if await self._straight.hear(listener, message["payload"]["event"]):
                    await self._acknowledge(client, envelope_id, "events_api")
                    return True
                attempt = _number(message.get("retry_attempt"))
                self._say_unacknowledged(envelope_id, "events_api", attempt)
                return False
            request, bolt_request = _parsed(envelope_id, message)
            if isinstance(bolt_request, str):
                self._say_once("slack_envelope_malformed", fault=bolt_request, kind=str(message.get("type"))[:50])
                await self._acknowledge(client, envelope_id, request.type)
                return True
            response = await self._app.async_dispatch(bolt_request)
            is_started = bool(bolt_request.context.get(_STARTED))
            if response.status == 200:
                await self._acknowledge(client, envelope_id, request.type, response)
            elif response.status == 404 and not is_started:
                # Nobody listens for it. Unacknowledged, Slack would send it three times more.
                self._say_once("slack_envelope_unknown", kind=request.type, name=_name(request.payload))
                await self._acknowledge(client, envelope_id, request.type)
            elif not is_started and not bolt_request.context.get(NOT_AUTHORIZED):
                # Seen by no listener, and not for want of an answer of Slack's: Bolt cannot stand its form, and never
                # will.
                self._say_once("slack_envelope_indigestible", kind=request.type, name=_name(request.payload))
                await self._acknowledge(client, envelope_id, request.type)
            else:
                self._say_unacknowledged(envelope_id, request.type, request.retry_attempt)
                return False
            return True

    def _say_unacknowledged(self, envelope_id: str, kind: str, attempt: int | None) -> None:
        log.warning("slack_envelope_unacknowledged", envelope_id=envelope_id, kind=kind, attempt=attempt)

    async def _acknowledge(
        self, client: AsyncBaseSocketModeClient, envelope_id: str, kind: str, response: BoltResponse | None = None
    ) -> None:
        """With what `response` says, where there is one that says something."""
        sender = await self._find_client(client)
        if sender is not None:
            try:
                if response is None:
                    await sender.send_socket_mode_response({"envelope_id": envelope_id})
                else:
                    bare = SocketModeRequest(type=kind, envelope_id=envelope_id, payload={})
                    await send_async_response(sender, bare, response, time.time())
                return
            except (ConnectionError, RuntimeError, AttributeError) as error:
                # The socket went between the look and the word; aiohttp and slack_sdk say so in these ways.
                log.debug("slack_acknowledgement_failed", error=type(error).__name__)
        log.warning("slack_acknowledgement_lost", envelope_id=envelope_id, kind=kind)

    def _say_once(self, event: str, **fields: str) -> None:
        key = (event, *fields.values())
        if key not in self._said and len(self._said) < _SAID_ONCE_ENTRIES:
            self._said.add(key)
            log.warning(event, **fields)


@dataclass
class _Event:
    """One that is being worked on."""

    event_id: str
    payload: dict[str, Any]
    again: list[tuple[AsyncBaseSocketModeClient, str]] = field(default_factory=list)
    """The other envelopes, by their ids, in which it came meanwhile."""


def _event(message: dict[str, Any]) -> _Event | None:
    """The event in an envelope; None for anything else."""
    payload = message.get("payload")
    if message.get("type") != "events_api" or not isinstance(payload, dict):
        return None
    event_id = payload.get("event_id")
    return _Event(event_id, payload) if isinstance(event_id, str) else None


class _NoteStart(AsyncListenerStartHandler):
    """Notes on the request that a listener began; Bolt's answer alone does not tell."""

    def __init__(self, inner: AsyncListenerStartHandler) -> None:
        self._inner = inner

    async def handle(self, request: AsyncBoltRequest, response: BoltResponse | None) -> None:
        request.context[_STARTED] = True
        await self._inner.handle(request=request, response=response)


def _parsed(envelope_id: str, message: dict[str, Any]) -> tuple[SocketModeRequest, AsyncBoltRequest | str]:
    """The envelope for the SDK, and for Bolt; or, instead of the latter, why it is none."""
    kind, payload = message.get("type"), message.get("payload")
    request = SocketModeRequest(
        type=kind if isinstance(kind, str) else "",
        envelope_id=envelope_id,
        payload=payload if isinstance(payload, dict) else {},
        retry_attempt=_number(message.get("retry_attempt")),
        retry_reason=str(message["retry_reason"]) if message.get("retry_reason") else None,
    )
    fault = _fault(kind, payload)
    if fault is not None:
        return request, fault
    try:
        return request, AsyncBoltRequest(mode="socket_mode", body=request.payload, headers=build_headers(request))
    except (TypeError, ValueError, AttributeError, KeyError, IndexError) as error:
        return request, f"Bolt cannot read it ({type(error).__name__})"


def _fault(kind: Any, payload: Any) -> str | None:
    if not isinstance(kind, str) or not kind:
        return "no type"
    if not isinstance(payload, dict):
        return "payload is no object"
    if kind not in _KINDS:
        return "unknown type"
    if kind == "events_api":
        event = payload.get("event")
        if not isinstance(event, dict) or not isinstance(event.get("type"), str):
            return "no event with a type"
    elif kind == "slash_commands" and not isinstance(payload.get("command"), str):
        return "no command"
    elif kind == "interactive" and not isinstance(payload.get("type"), str):
        return "no type of interaction"
    return None


def _name(payload: dict[str, Any]) -> str:
    event = payload.get("event")
    name = event.get("type") if isinstance(event, dict) else payload.get("command") or payload.get("type")
    return str(name)[:50]


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
