"""The worker's own end of the airlock: a server on loopback that agents take for their model provider.

An agent's request comes in with a key that is worth nothing elsewhere, and goes on to the gateway
(`/worker/v1/models/{provider}/...`) with the worker's token; the answer goes back as it arrives.
"""

from __future__ import annotations

import contextlib
import hmac
import re
import secrets
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, unquote

import aiohttp
from aiohttp import web
from yarl import URL

from slackbot.worker.logs import log

CONNECT_SECONDS = 15.0

_HOP = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding "
    "upgrade host content-length expect".split()
)
"""https://www.rfc-editor.org/rfc/rfc9110#name-connection"""

_CREDENTIALS = frozenset("authorization x-api-key x-goog-api-key cookie".split())


class ModelProxy:
    """One worker's proxy. `key` is what agents are given as the key of every provider."""

    def __init__(self, gateway_url: str, token: str) -> None:
        self._gateway = f"{gateway_url.rstrip('/')}/worker/v1/models"
        self._token = token
        self.key = f"devflow-{secrets.token_urlsafe(24)}"
        self._runner: web.AppRunner | None = None
        self._http: aiohttp.ClientSession | None = None
        self._port = 0

    def url(self, provider: str) -> str:
        """The base address of a provider, as agents are told it."""
        return f"http://127.0.0.1:{self._port}/{provider}"

    async def start(self) -> None:
        """Listens on any free port of loopback."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
        self._http = aiohttp.ClientSession(
            timeout=timeout, connector=aiohttp.TCPConnector(limit=0), auto_decompress=False
        )
        app = web.Application()
        app.router.add_route("*", "/{provider}", self._hello)
        app.router.add_route("*", "/{provider}/{path:.*}", self._pass_on)
        # Bodies go on as they are, compressed too: their headers say so.
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True, auto_decompress=False
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Ends every call that is in progress."""
        if self._runner is not None:
            await self._runner.cleanup()
        if self._http is not None:
            await self._http.close()

    async def _hello(self, request: web.Request) -> web.Response:
        return web.Response(text="")

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        if request.method == "HEAD":
            return web.Response()  # Claude Code asks so whether the address is there
        if not self._is_own_agent(request):
            return web.json_response({"error": {"message": "This address is for DevFlow's agent alone."}}, status=401)
        if _climbs(request.rel_url.raw_path):
            # Whatever stands before the gateway may take `..` for a way to what the agent's token is not for.
            return web.json_response({"error": {"message": "This is no path of a model provider."}}, status=404)
        query = f"?{request.rel_url.raw_query_string}" if request.rel_url.raw_query_string else ""
        headers = [
            (name, value)
            for name, value in request.headers.items()
            if name.lower() not in _HOP and name.lower() not in _CREDENTIALS
        ]
        body: Any = request.content.iter_any() if request.can_read_body else None
        assert self._http is not None  # noqa: S101  start() comes first
        try:
            answer = await self._http.request(
                request.method,
                URL(f"{self._gateway}{request.rel_url.raw_path}{query}", encoded=True),
                headers=[*headers, ("Authorization", f"Bearer {self._token}")],
                data=body,
                allow_redirects=False,
                skip_auto_headers=("User-Agent", "Content-Type", "Accept-Encoding"),
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            log.warning("model_gateway_not_reached", why=type(error).__name__)
            told = {"error": {"type": "api_error", "message": "DevFlow's gateway could not be reached; try again."}}
            return web.json_response(told, status=503)
        try:
            return await _pass_back(request, answer)
        finally:
            answer.close() if not answer.content.at_eof() else answer.release()

    def _is_own_agent(self, request: web.Request) -> bool:
        """Other users and pages of this machine can reach the port; the agent alone has the key."""
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        given = (
            request.headers.get("x-api-key", ""),
            request.headers.get("x-goog-api-key", ""),
            bearer.strip() if scheme.lower() == "bearer" else "",
            dict(parse_qsl(request.rel_url.raw_query_string)).get("key", ""),
        )
        return any(hmac.compare_digest(one.encode(), self.key.encode()) for one in given)


def _climbs(raw_path: str) -> bool:
    """Whether a part of the path is `.` or `..`, however it is written."""
    while (path := unquote(raw_path)) != raw_path:
        raw_path = path
    return any(part.partition(";")[0] in (".", "..") for part in re.split(r"[/\\]", path))


async def _pass_back(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status)
    for name, value in answer.headers.items():
        if name.lower() not in _HOP and name.lower() not in ("date", "server"):
            response.headers.add(name, value)
    await response.prepare(request)
    try:
        async for data in _arriving(answer):
            await response.write(data)
        await response.write_eof()
    except _BrokenOff:
        # The agent must not take the end of the connection for the end of the answer.
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError:
        pass  # the agent went away
    return response


class _BrokenOff(Exception):
    pass


async def _arriving(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for data in answer.content.iter_any():
            yield data
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise _BrokenOff from error


@contextlib.asynccontextmanager
async def model_proxy(gateway_url: str, token: str) -> AsyncIterator[ModelProxy]:
    """A proxy that listens as long as the context lasts."""
    proxy = ModelProxy(gateway_url, token)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.close()
