"""Passes one browser's requests on to a worker's door: HTTP streamed, WebSockets message by message.

What is open is closed when its session ends, or starts anew: access ends with the launch.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import aiohttp
import structlog
from aiohttp import WSMsgType, web
from yarl import URL

from slackbot.core.errors import DevflowError, TemporaryError
from slackbot.core.public_address import PublicAddress, editor_path
from slackbot.core.session import Session, Status
from slackbot.gateway.editor_requests import DOOR_HEADER, headers_to_browser, headers_to_editor

log = structlog.get_logger()

CONNECT_SECONDS = 10.0
"""An address in the same network answers at once, or never."""
LOOK_SECONDS = 2.0
"""How often the session of what is open is looked at, besides each time this process saves it."""
CHUNK_BYTES = 64 * 1024
_ANSWERING = web.RequestKey("answering", bool)
"""Whether the answer to a request has begun."""

Load = Callable[[str], Awaitable[Session | None]]
Changed = Callable[[str], asyncio.Event]


class EditorProxy:
    """`load` and `changed` are the engine's; `door_secret` gives what a launch's door wants to see."""

    def __init__(
        self, *, address: PublicAddress, load: Load, changed: Changed, door_secret: Callable[[Session], str]
    ) -> None:
        self._address = address
        self._load = load
        self._changed = changed
        self._door_secret = door_secret
        self._http: aiohttp.ClientSession | None = None
        self._open: dict[tuple[str, int], set[asyncio.Task[object]]] = {}
        self._watchers: dict[tuple[str, int], asyncio.Task[None]] = {}

    async def close(self) -> None:
        """Ends all that is open."""
        for task in [*self._watchers.values(), *(task for tasks in self._open.values() for task in tasks)]:
            task.cancel()
        await asyncio.gather(*self._watchers.values(), return_exceptions=True)
        if self._http is not None:
            await self._http.close()

    async def forward(self, request: web.Request, session: Session) -> web.StreamResponse:
        """The editor's answer. 502 when its door does not answer."""
        doing = asyncio.create_task(self._forward(request, session))
        key = (session.session_id, session.launch)
        self._open.setdefault(key, set()).add(doing)
        if key not in self._watchers:
            self._watchers[key] = asyncio.create_task(self._watch(*key))
        try:
            return await doing
        except asyncio.CancelledError:
            doing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await doing
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise  # the browser has gone, or the bot ends
            # The session is over. An answer that has begun can only be cut off.
            if _ANSWERING not in request:
                raise web.HTTPForbidden(reason="This editor is closed to you.") from None
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=403)
        finally:
            self._open.get(key, set()).discard(doing)

    async def _forward(self, request: web.Request, session: Session) -> web.StreamResponse:
        # The raw path: what is encoded in it must arrive as it is.
        prefix = editor_path(session.session_id)
        path = request.raw_path.removeprefix(prefix.rstrip("/"))
        url = URL(f"http://{session.task.editor_address}{path}", encoded=True)
        headers = headers_to_editor(request, own_host=self._address.has_session_hosts)
        headers[DOOR_HEADER] = self._door_secret(session)
        try:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self._websocket(request, url, headers)
            return await self._plain(request, url, headers, session.session_id)
        except (aiohttp.ClientConnectionError, TimeoutError) as error:
            log.info("editor_not_reached", session_id=session.session_id, why=type(error).__name__)
            raise web.HTTPBadGateway(reason="The session's editor does not answer.") from error

    async def _plain(self, request: web.Request, url: URL, headers: object, session_id: str) -> web.StreamResponse:
        body = request.content if request.can_read_body else None
        async with self._client().request(
            request.method,
            url,
            headers=headers,  # type: ignore[arg-type]
            data=body,
            allow_redirects=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        ) as answer:
            passed = headers_to_browser(
                answer.headers.copy(), session_id=session_id, own_host=self._address.has_session_hosts
            )
            response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=passed)
            request[_ANSWERING] = True
            await response.prepare(request)
            async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                await response.write(chunk)
            await response.write_eof()
            return response

    async def _websocket(self, request: web.Request, url: URL, headers: object) -> web.StreamResponse:
        asked = request.headers.get("Sec-WebSocket-Protocol", "")
        protocols = [part.strip() for part in asked.split(",") if part.strip()]
        own = {name: value for name, value in headers.items() if not name.lower().startswith("sec-websocket")}  # type: ignore[attr-defined]
        try:
            inner = await self._client().ws_connect(
                url, headers=own, protocols=protocols, max_msg_size=0, autoping=False, compress=0
            )
        except aiohttp.WSServerHandshakeError as error:
            raise web.HTTPBadGateway(reason="The session's editor refused the connection.") from error
        async with inner:
            chosen = [inner.protocol] if inner.protocol else []
            outer = web.WebSocketResponse(protocols=chosen, max_msg_size=0, autoping=False, compress=False)
            request[_ANSWERING] = True
            await outer.prepare(request)
            ways = {asyncio.create_task(_pass_on(outer, inner)), asyncio.create_task(_pass_on(inner, outer))}
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
                with contextlib.suppress(Exception):
                    await asyncio.wait_for(outer.close(code=inner.close_code or 1001), 1.0)
            return outer

    async def _watch(self, session_id: str, launch: int) -> None:
        """Ends what is open for a launch once it is over."""
        key = (session_id, launch)
        while self._open.get(key):
            changed = self._changed(session_id)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await changed.wait()
            try:
                session = await self._load(session_id)
            except TemporaryError:
                continue
            except DevflowError:
                session = None
            if session is None or session.status is not Status.RUNNING or session.launch != launch:
                for task in self._open.get(key, set()):
                    task.cancel()
                break
        self._open.pop(key, None)
        self._watchers.pop(key, None)

    def _client(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = aiohttp.ClientSession(
                # The door looks at the first request of a connection, so each has one of its own.
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
                auto_decompress=False,
                trust_env=False,
            )
        return self._http


async def _pass_on(
    source: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
    target: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
) -> None:
    """Messages from one side to the other, until one of them closes."""
    async for message in source:
        if message.type is WSMsgType.BINARY:
            await target.send_bytes(message.data)
        elif message.type is WSMsgType.TEXT:
            await target.send_str(message.data)
        elif message.type is WSMsgType.PING:
            await target.ping(message.data)
        elif message.type is WSMsgType.PONG:
            await target.pong(message.data)
