"""The public listener: what browsers and GitHub dial, apart from the one for workers.

Rooms that serve the public bring their routes (`PublicRoutes`); here are health, the answers to what goes wrong, and
nothing that a stranger could learn from.
"""

from __future__ import annotations

import math
import socket
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog
from aiohttp import web

from slackbot.core.errors import DevflowError, TemporaryError

log = structlog.get_logger()

MAX_BODY_BYTES = 25 * 1024 * 1024
"""The largest body that a route may read whole. GitHub sends up to 25 MB.
https://docs.github.com/en/webhooks/webhook-events-and-payloads#payload-cap"""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PublicRoutes(Protocol):
    """A room that serves the public."""

    def add_routes(self, router: web.UrlDispatcher) -> None: ...

    async def close(self) -> None:
        """Ends what is open: long answers, WebSockets."""
        ...


class PublicServer:
    """Serves on `listening` (made by `server.listen`) what the rooms of `routes` add, and /healthz."""

    def __init__(self, listening: socket.socket, routes: Sequence[PublicRoutes]) -> None:
        self._listening = listening
        self._routes = tuple(routes)
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Begins to answer."""
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_errors_as_text])
        app.router.add_get("/healthz", _healthz)
        for room in self._routes:
            room.add_routes(app.router)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0, handler_cancellation=True)
        await self._runner.setup()
        await web.SockSite(self._runner, self._listening).start()

    async def stop(self) -> None:
        """Closes what the rooms have open, then the listener."""
        for room in self._routes:
            await room.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None


async def _healthz(request: web.Request) -> web.Response:
    return web.json_response({"status": "alive"})


@web.middleware
async def _errors_as_text(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A fault is a status and a sentence; nothing of ours is told to whoever asks."""
    try:
        return await handler(request)
    except web.HTTPRequestEntityTooLarge:
        return web.Response(status=413, text=f"The body is larger than {MAX_BODY_BYTES // 2**20} MiB.")
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return web.Response(status=error.status, text=error.reason)
    except TemporaryError as error:
        wait = {"Retry-After": str(math.ceil(error.retry_after_seconds))} if error.retry_after_seconds else None
        return web.Response(status=503, text="DevFlow cannot answer just now; try again in a moment.", headers=wait)
    except DevflowError as error:
        return web.Response(status=422, text=f"{error.summary} {error.remedy}".strip())
    except Exception:
        reference = uuid.uuid4().hex[:12]
        log.exception("public_request_failed", method=request.method, reference=reference)
        return web.Response(
            status=500, text=f"Something went wrong in DevFlow; reference {reference} stands in its log."
        )
