"""Events on their way to the app: each kept in the store, and sent until acknowledged or given up.

`workspace.emit` adds them; `socket_mode.py` lends its connections and reports what it hears on them.
https://docs.slack.dev/apis/events-api#retries
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from slackbot.sandbox.slack.store import Document, Store

log = structlog.get_logger()

EVENT_RETRY_DELAYS_SECONDS = (0.0, 60.0, 300.0)


class Connection(Protocol):
    """A socket that takes envelopes."""

    def send(self, envelope: Document) -> None: ...


@dataclass(eq=False)
class _Delivery:
    event_id: str
    payload: Document
    attempt: int = 0
    envelope_id: str | None = None
    connection: Connection | None = None
    timer: asyncio.TimerHandle | None = None
    is_waiting: bool = False
    """No socket is open; it goes out with the next one."""

    def cancel_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class EventDeliveries:
    """All events not yet acknowledged.

    `pick` gives a connection, or None. An event without an acknowledgement after `ack_timeout_seconds`, or whose
    socket closed, is sent again after each of `retry_delays_seconds`. One that finds no socket waits for the next
    one, for at most `undelivered_seconds` (the real one waits for as long as its retries last).
    """

    def __init__(
        self,
        store: Store,
        pick: Callable[[], Connection | None],
        *,
        ack_timeout_seconds: float,
        retry_delays_seconds: Sequence[float],
        undelivered_seconds: float,
        on_lost: Callable[[Document], None],
    ) -> None:
        self._store = store
        self._pick = pick
        self._ack_timeout_seconds = ack_timeout_seconds
        self._retry_delays_seconds = tuple(retry_delays_seconds)
        self._undelivered_seconds = undelivered_seconds
        self._on_lost = on_lost
        self._deliveries: dict[str, _Delivery] = {}
        self._events_by_envelope: dict[str, str] = {}
        self._is_running = False

    def __len__(self) -> int:
        return len(self._deliveries)

    def start(self) -> None:
        """Takes up what an earlier run left unacknowledged."""
        self._is_running = True
        for event_id, attempt, payload in self._store.deliveries():
            delivery = _Delivery(event_id, payload, attempt)
            self._deliveries[event_id] = delivery
            self._wait_for_socket(delivery)

    def stop(self) -> None:
        """Sends nothing more; what is unacknowledged stays in the store."""
        self._is_running = False
        for delivery in self._deliveries.values():
            delivery.cancel_timer()

    def add(self, event_id: str, payload: Document) -> None:
        """Sends an event that the store keeps, once the transaction that wrote it has ended."""
        if self._is_running:
            delivery = _Delivery(event_id, payload)
            self._deliveries[event_id] = delivery
            asyncio.get_running_loop().call_soon(self._send, delivery)

    def socket_opened(self) -> None:
        for delivery in list(self._deliveries.values()):
            if delivery.is_waiting:
                self._send(delivery)

    def socket_closed(self, connection: Connection) -> None:
        """What was in flight on it was not acknowledged, and will not be."""
        for delivery in list(self._deliveries.values()):
            if delivery.connection is connection:
                self._failed(delivery)

    def acknowledged(self, envelope_id: str) -> None:
        event_id = self._events_by_envelope.pop(envelope_id, None)
        delivery = self._deliveries.pop(event_id, None) if event_id is not None else None
        if delivery is not None:
            delivery.cancel_timer()
            self._store.remove_delivery(delivery.event_id)

    def _send(self, delivery: _Delivery) -> None:
        delivery.cancel_timer()
        if not self._is_running or delivery.event_id not in self._deliveries:
            return
        connection = self._pick()
        if connection is None:
            self._wait_for_socket(delivery)
            return
        delivery.is_waiting = False
        delivery.connection = connection
        delivery.envelope_id = str(uuid.uuid4())
        self._events_by_envelope[delivery.envelope_id] = delivery.event_id
        connection.send(
            {
                "envelope_id": delivery.envelope_id,
                "payload": delivery.payload,
                "type": "events_api",
                "accepts_response_payload": False,
                "retry_attempt": delivery.attempt,
                "retry_reason": "timeout" if delivery.attempt else "",
            }
        )
        loop = asyncio.get_running_loop()
        delivery.timer = loop.call_later(self._ack_timeout_seconds, self._failed, delivery)

    def _wait_for_socket(self, delivery: _Delivery) -> None:
        # The first attempt found nobody; what comes later is a retry, as Slack marks it.
        delivery.cancel_timer()
        delivery.is_waiting = True
        if delivery.attempt == 0:
            delivery.attempt = 1
            self._store.set_attempt(delivery.event_id, 1)
        loop = asyncio.get_running_loop()
        delivery.timer = loop.call_later(self._undelivered_seconds, self._give_up, delivery)

    def _failed(self, delivery: _Delivery) -> None:
        delivery.cancel_timer()
        delivery.connection = None
        if delivery.envelope_id is not None:
            self._events_by_envelope.pop(delivery.envelope_id, None)
            delivery.envelope_id = None
        if not self._is_running:
            return
        if delivery.attempt >= len(self._retry_delays_seconds):
            self._give_up(delivery)
            return
        delivery.attempt += 1
        self._store.set_attempt(delivery.event_id, delivery.attempt)
        if self._pick() is None:
            self._wait_for_socket(delivery)
        else:
            delay = self._retry_delays_seconds[delivery.attempt - 1]
            delivery.timer = asyncio.get_running_loop().call_later(delay, self._send, delivery)

    def _give_up(self, delivery: _Delivery) -> None:
        delivery.cancel_timer()
        self._deliveries.pop(delivery.event_id, None)
        self._store.remove_delivery(delivery.event_id)
        log.warning("slack_event_given_up", event_id=delivery.event_id, attempts=delivery.attempt + 1)
        self._on_lost(delivery.payload)
