"""One Socket Mode connection, kept alive: the SDK's client, and a watchdog that replaces it when it stays dead.

slack_sdk reconnects by itself, but after a refused reconnect it retries the same one-time address for ever; so
whoever is not heard for a while is closed here and made anew with a fresh address. Messages go to `SocketIntake`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import structlog
from slack_bolt.async_app import AsyncApp
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient

from slackbot.adapters.slack_client import proxy_for
from slackbot.core.errors import DevflowError, PermanentError, TemporaryError

log = structlog.get_logger()

_CLOSE_SECONDS = 2.0
_SETTLED_SECONDS = 60.0
_LONGEST_PAUSE_SECONDS = 60.0


@dataclass(frozen=True)
class Intervals:
    """Times of a connection, in seconds. `replace_after`: not heard for so long, it is closed and made anew."""

    ping: float = 5.0
    replace_after: float = 10.0
    check: float = 1.0
    connect: float = 10.0
    first_pause: float = 1.0


OnMessage = Callable[[AsyncBaseSocketModeClient, dict[str, Any]], None]


class _Client(SocketModeClient):
    """The SDK's client, which gives each envelope to `on_message` as it comes in.

    The SDK itself would queue it, make a task of it that nobody keeps, and acknowledge nothing that is malformed.
    """

    def __init__(self, on_message: OnMessage, **options: Any) -> None:
        super().__init__(**options)
        self._on_message = on_message

    async def enqueue_message(self, message: str) -> None:
        if '"envelope_id"' in message:
            try:
                envelope = json.loads(message)
            except (ValueError, RecursionError):
                envelope = None  # the SDK says what is wrong with it
            if isinstance(envelope, dict) and envelope.get("type") != "disconnect":
                self._on_message(self, envelope)
                return
        await super().enqueue_message(message)


class SocketConnection:
    """Keeps one connection open for as long as `run` is not cancelled.

    `open_url` fetches a fresh one-time address and raises `DevflowError`; `on_message` gets each envelope of the
    socket; `on_change` is called when the connection may have come or gone.
    """

    def __init__(
        self,
        index: int,
        app: AsyncApp,
        app_token: str,
        *,
        intervals: Intervals,
        open_url: Callable[[], Awaitable[str]],
        on_message: OnMessage,
        on_change: Callable[[], None],
    ) -> None:
        self._index = index
        self._app = app
        self._app_token = app_token
        self._intervals = intervals
        self._open_url = open_url
        self._on_message = on_message
        self._on_change = on_change
        self._client: SocketModeClient | None = None
        self._heard_at = 0.0
        self._last_pong: float | None = None
        self._disposals: set[asyncio.Task[None]] = set()
        self.last_error: DevflowError | None = None
        """Why the latest attempt failed; None once connected."""

    @property
    def client(self) -> SocketModeClient | None:
        return self._client

    @property
    def is_live(self) -> bool:
        """Open, and heard within three ping intervals."""
        client = self.client
        if client is None or not _is_open(client):
            return False
        if client.last_ping_pong_time != self._last_pong:
            # Only its change is looked at: the time in it is a wall clock's.
            self._last_pong = client.last_ping_pong_time
            self._heard_at = time.monotonic()
        return time.monotonic() - self._heard_at < 3 * self._intervals.ping

    async def run(self, url: str | None = None) -> None:
        """Connects (first with `url`, when one is at hand), watches, connects again; until cancelled."""
        failures = 0
        while True:
            pause_seconds = 0.0
            try:
                await self._connect(url or await self._open_url())
            except DevflowError as error:
                failures += 1
                self._failed(error)
                pause_seconds = self._pause_seconds(failures, error)
            else:
                connected_at = time.monotonic()
                await self._watch()
                log.warning("slack_connection_replaced", connection=self._index)
                await self.close()
                # One that lived long was simply lost; one that did not may be refused again.
                failures = 0 if time.monotonic() - connected_at > _SETTLED_SECONDS else failures + 1
                if failures:
                    pause_seconds = self._pause_seconds(failures, None)
            url = None
            await asyncio.sleep(pause_seconds)

    async def close(self) -> None:
        """Closes the socket and ends every task of the SDK's; bounded, and harmless when there is nothing."""
        client, self._client = self._client, None
        if client is not None:
            self._dispose_of(client)
            self._on_change()
        for disposal in list(self._disposals):
            # Who stops waiting (a cancelled `run`) does not stop the closing; the next `close` waits for it again.
            await asyncio.shield(disposal)

    def _dispose_of(self, client: SocketModeClient) -> None:
        disposal = asyncio.create_task(_dispose(client))
        self._disposals.add(disposal)
        disposal.add_done_callback(self._disposals.discard)

    async def _connect(self, url: str) -> None:
        client = _Client(
            self._on_message,
            app_token=self._app_token,
            logger=_sdk_logger(),
            web_client=self._app.client,
            ping_interval=self._intervals.ping,
        )
        client.proxy = proxy_for(url, client.proxy)
        client.wss_uri = url
        client.on_message_listeners.append(self._frame)
        try:
            # Not asyncio.wait_for, which before 3.12 forgets a cancel that comes with the result: close() would hang.
            async with asyncio.timeout(self._intervals.connect):
                await client.connect()  # type: ignore[no-untyped-call]
        except TimeoutError as error:
            self._dispose_of(client)
            raise TemporaryError("Slack refused the socket that it had just offered.", "It is tried again.") from error
        except BaseException:
            self._dispose_of(client)
            raise
        self._client = client
        self._heard_at = time.monotonic()
        self._last_pong = client.last_ping_pong_time
        self.last_error = None
        self._on_change()

    async def _watch(self) -> None:
        """Returns when the connection was not live for `replace_after` seconds on end."""
        lost_at: float | None = None
        while True:
            await asyncio.sleep(self._intervals.check)
            self._on_change()
            now = time.monotonic()
            if self.is_live:
                lost_at = None
            elif lost_at is None:
                lost_at = now
            elif now - lost_at >= self._intervals.replace_after:
                return

    async def _frame(self, frame: aiohttp.WSMessage) -> None:
        self._heard_at = time.monotonic()
        # The SDK acts on this one itself and passes it to nobody.
        if isinstance(frame.data, str) and '"disconnect"' in frame.data:
            try:
                message = json.loads(frame.data)
            except ValueError:
                return
            if isinstance(message, dict) and message.get("type") == "disconnect":
                log.info("slack_asks_to_reconnect", connection=self._index, reason=message.get("reason"))

    def _failed(self, error: DevflowError) -> None:
        if self.last_error is None or self.last_error.summary != error.summary:
            log.warning("slack_connection_failed", connection=self._index, why=error.summary, remedy=error.remedy)
        self.last_error = error

    def _pause_seconds(self, failures: int, error: DevflowError | None) -> float:
        longest = min(self._intervals.first_pause * 2.0 ** min(failures - 1, 10), _LONGEST_PAUSE_SECONDS)
        if isinstance(error, PermanentError):
            longest = _LONGEST_PAUSE_SECONDS
        pause_seconds = longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads replicas, guards nothing
        asked = error.retry_after_seconds if isinstance(error, TemporaryError) else None
        return max(pause_seconds, asked or 0.0)


def _is_open(client: SocketModeClient) -> bool:
    session = client.current_session
    return not client.closed and not client.stale and session is not None and not session.closed


async def _dispose(client: SocketModeClient) -> None:
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await client.close()  # type: ignore[no-untyped-call]
    except (TimeoutError, OSError, RuntimeError, aiohttp.ClientError) as error:
        log.debug("slack_connection_close_failed", error=type(error).__name__)
    tasks = [
        task
        for task in (client.message_processor, client.current_session_monitor, client.message_receiver)
        if task is not None
    ]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await client.aiohttp_client_session.close()


class _ToDebug(logging.Filter):
    """The SDK writes a traceback for each try; the connection says the same in one line when it matters."""

    def filter(self, record: logging.LogRecord) -> bool:
        log.debug("slack_sdk", message=record.getMessage())
        return False


def _sdk_logger() -> logging.Logger:
    logger = logging.getLogger("devflow.slack_socket")
    if not logger.filters:
        logger.addFilter(_ToDebug())
        # Not DEBUG: there the SDK writes out every message that people send.
        logger.setLevel(logging.INFO)
    return logger
