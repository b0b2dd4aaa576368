"""Socket Mode: tickets, connections, and what goes over them.

Events come from `deliveries.py`, which sends them until they are acknowledged; commands and interactions come
from `interactions.py` and wait for their answer. Each envelope goes to any one connection.
https://docs.slack.dev/apis/events-api/using-socket-mode
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiohttp import WSMsgType, web

from slackbot.sandbox.slack.deliveries import EventDeliveries
from slackbot.sandbox.slack.faults import SlackError
from slackbot.sandbox.slack.store import Document, Store

log = structlog.get_logger()

MAX_CONNECTIONS = 10


@dataclass(frozen=True)
class Ack:
    """How a command or an interaction ended: acknowledged with `payload`, or one of two failures."""

    payload: Any = None
    error: str | None = None
    """`operation_timeout` (no acknowledgement in time) or `dispatch_failed` (no socket was open)."""


@dataclass(eq=False)
class _Connection:
    socket: web.WebSocketResponse
    request: web.Request
    outgoing: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    is_retiring: bool = False

    def send(self, envelope: Document) -> None:
        self.outgoing.put_nowait(json.dumps(envelope))


class SocketMode:
    """All sockets of the app. `on_change` is told the number of connections, `on_lost` an event given up."""

    def __init__(
        self,
        store: Store,
        app_id: str,
        *,
        ack_timeout_seconds: float,
        retry_delays_seconds: Sequence[float],
        undelivered_seconds: float,
        on_change: Callable[[int], None],
        on_lost: Callable[[Document], None],
    ) -> None:
        self._app_id = app_id
        self._on_change = on_change
        self._tickets: set[str] = set()
        self._connections: list[_Connection] = []
        self._turn = 0
        self._requests: dict[str, asyncio.Future[Ack]] = {}
        self._is_running = False
        self._deliveries = EventDeliveries(
            store,
            self._pick,
            ack_timeout_seconds=ack_timeout_seconds,
            retry_delays_seconds=retry_delays_seconds,
            undelivered_seconds=undelivered_seconds,
            on_lost=on_lost,
        )
        self.deliver = self._deliveries.add

    @property
    def connection_count(self) -> int:
        return len(self._connections)

    @property
    def undelivered_count(self) -> int:
        return len(self._deliveries)  # sent, waiting for a retry, or waiting for a socket

    def start(self) -> None:
        """Takes up what an earlier run left unacknowledged."""
        self._is_running = True
        self._deliveries.start()

    async def stop(self) -> None:
        """Closes every socket; what is unacknowledged stays in the store."""
        self._is_running = False
        self._deliveries.stop()
        for future in self._requests.values():
            if not future.done():
                future.set_result(Ack(error="dispatch_failed"))
        closing = [connection.socket.close(code=1001) for connection in self._connections]
        await asyncio.gather(*closing, return_exceptions=True)

    # Connecting

    def new_ticket(self) -> str:
        ticket = secrets.token_urlsafe(18)
        self._tickets.add(ticket)
        return ticket

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One WebSocket, from its ticket (good once) to its end."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets or not self._is_running:
            return web.json_response({"ok": False, "error": "invalid_ticket"}, status=404)
        self._tickets.discard(ticket)
        socket = web.WebSocketResponse(timeout=1.0, heartbeat=30.0, max_msg_size=1 << 20)
        await socket.prepare(request)
        if len(self._connections) >= MAX_CONNECTIONS:
            await socket.send_json(_disconnect("too_many_websockets"))
            await socket.close()
            return socket
        connection = _Connection(socket, request)
        self._connections.append(connection)
        connection.send(
            {
                "type": "hello",
                "num_connections": len(self._connections),
                "connection_info": {"app_id": self._app_id},
                "debug_info": {"host": "applink-sandbox", "started": "", "build_number": 1,
                               "approximate_connection_time": 18060},
            }
        )  # fmt: skip
        self._on_change(len(self._connections))
        self._deliveries.socket_opened()
        writer = asyncio.create_task(self._write(connection))
        try:
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    self._received(message.data)
        finally:
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
            self._closed(connection)
        return socket

    async def _write(self, connection: _Connection) -> None:
        while True:
            text = await connection.outgoing.get()
            try:
                await connection.socket.send_str(text)
            except ConnectionError:
                return  # the reader sees the end too, and what was in flight is delivered again

    def _closed(self, connection: _Connection) -> None:
        self._connections.remove(connection)
        if not self._is_running:
            return
        self._on_change(len(self._connections))
        self._deliveries.socket_closed(connection)

    async def disconnect(self, reason: str, *, abruptly: bool = False) -> None:
        """Tells every socket to reconnect, as Slack does now and then; or cuts them with no word."""
        for connection in list(self._connections):
            if abruptly:
                if connection.request.transport is not None:
                    connection.request.transport.abort()
                continue
            connection.is_retiring = True
            if reason == "link_disabled":
                await connection.socket.send_json(_disconnect(reason))
                await connection.socket.close()
            else:
                connection.send(_disconnect(reason))

    def _pick(self) -> _Connection | None:
        ready = [connection for connection in self._connections if not connection.is_retiring] or self._connections
        if not ready:
            return None
        self._turn += 1
        return ready[self._turn % len(ready)]

    # Commands and interactions: one try, answered in time or failed

    async def request(self, kind: str, payload: Document, timeout_seconds: float) -> Ack:
        """Sends a `slash_commands` or `interactive` envelope and waits for its acknowledgement."""
        connection = self._pick()
        if connection is None:
            return Ack(error="dispatch_failed")
        envelope_id = str(uuid.uuid4())
        future: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()
        self._requests[envelope_id] = future
        connection.send(
            {"envelope_id": envelope_id, "payload": payload, "type": kind, "accepts_response_payload": True}
        )
        try:
            return await asyncio.wait_for(future, timeout_seconds)
        except TimeoutError:
            return Ack(error="operation_timeout")
        finally:
            del self._requests[envelope_id]

    def _received(self, text: str) -> None:
        try:
            message = json.loads(text)
        except ValueError:
            log.warning("slack_ack_not_json")
            return
        envelope_id = message.get("envelope_id") if isinstance(message, dict) else None
        if not isinstance(envelope_id, str):
            return
        future = self._requests.get(envelope_id)
        if future is not None:
            if not future.done():
                future.set_result(Ack(payload=message.get("payload")))
            return
        self._deliveries.acknowledged(envelope_id)


def _disconnect(reason: str) -> Document:
    return {"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-sandbox"}}


def websocket_url(base_url: str, ticket: str) -> str:
    """The address that apps.connections.open gives away."""
    if not base_url:
        raise SlackError("internal_error")
    return base_url.replace("http://", "ws://", 1) + f"/link/?ticket={ticket}"
