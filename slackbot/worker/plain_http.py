"""Calls over HTTP with what Python brings along: for those a worker makes before anything large is loaded.

Data: a request of `gateway_client` in; status and body out. Each call has a thread and a connection of its own; it
follows no redirect, asks no proxy, and trusts whom the system trusts. `kept_http` does the same with connections kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

CONNECT_SECONDS = 10.0
MAX_REPLY_BYTES = 16 * 2**20
"""The longest answer that is taken."""


class NoReply(Exception):
    """There was no answer, or none that is HTTP; says why in a word."""


class TooLarge(NoReply):
    """It is longer than is taken."""

    def __init__(self) -> None:
        super().__init__("TooLarge")


@dataclass(frozen=True)
class Reply:
    """What came back, whatever its status."""

    status: int
    body: bytes
    retry_after: str | None
    """The header as it came."""


async def call(method: str, url: str, headers: Mapping[str, str], data: bytes | None, seconds: float) -> Reply:
    """One request to an http or https `url`, which is quoted already; NoReply when nothing came of it in `seconds`.

    A call that is cancelled is over at once.
    """
    exchange = _Exchange(method, url, headers, data, seconds)
    try:
        async with asyncio.timeout(seconds):
            return await exchange.begin()
    except TimeoutError as error:
        raise NoReply("TimeoutError") from error
    finally:
        exchange.cut()


class _Exchange:
    """A request and its answer, in a thread that no one has to wait for: the look-up of a name cannot be cut short."""

    def __init__(self, method: str, url: str, headers: Mapping[str, str], data: bytes | None, seconds: float) -> None:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname or "", parts.port, timeout=min(CONNECT_SECONDS, seconds))
        self._request = (method, parts._replace(scheme="", netloc="").geturl() or "/", data, dict(headers))
        self._seconds = seconds
        self._socket: socket.socket | None = None
        self._is_cut = False

    def begin(self) -> asyncio.Future[Reply]:
        """Starts the thread; the future is settled by it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply] = loop.create_future()

        def settle(outcome: Reply | NoReply) -> None:
            if future.done():
                return
            if isinstance(outcome, Reply):
                future.set_result(outcome)
            else:
                future.set_exception(outcome)

        def run() -> None:
            outcome: Reply | NoReply
            try:
                outcome = self._run()
            except NoReply as failure:
                outcome = failure
            except Exception as error:  # who waits must hear of it, whatever it was
                outcome = NoReply(type(error).__name__)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, outcome)

        threading.Thread(target=run, name="plain-http", daemon=True).start()
        return future

    def _run(self) -> Reply:
        connection = self._connection
        try:
            connection.connect()
            self._socket = connection.sock
            if self._is_cut:
                raise NoReply("Cancelled")
            self._socket.settimeout(self._seconds)
            connection.request(*self._request)
            response = connection.getresponse()
            body = response.read(MAX_REPLY_BYTES + 1)
            if len(body) > MAX_REPLY_BYTES:
                raise TooLarge
            if response.length:  # read(amount) does not mind an answer that breaks off
                raise NoReply("IncompleteRead")
            return Reply(response.status, body, response.headers.get("Retry-After"))
        finally:
            connection.close()

    def cut(self) -> None:
        """Wakes the thread, if it waits for the other side still."""
        self._is_cut = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
