"""The gateway's HTTP server: what workers dial, and the health of the bot.

Requests come from workers (worker_api) and from whoever watches the bot; everything goes to the engine.
"""

from __future__ import annotations

import math
import socket
import uuid
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from slackbot.core.errors import ConfigError, DevflowError, Fenced, IllegalTransition, NotFound, TemporaryError
from slackbot.gateway.models_api import ModelsApi
from slackbot.gateway.worker_api import Malformed, WorkerApi
from slackbot.worker_protocol import MAX_BODY_BYTES, ErrorReply, written

log = structlog.get_logger()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def listen(host: str, port: int, *, setting: str = "DEVFLOW_GATEWAY_LISTEN") -> socket.socket:
    """A listening socket (port 0 = any free one); `ConfigError` names `setting` when it cannot be had."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        where = f"cannot listen on {host}:{port} ({error.strerror})"
        raise ConfigError([f"{setting}: {where}; end what uses it, or name another port"]) from error


class Gateway:
    """Serves on `listening`, which `listen` made. `is_ready` says whether Slack is heard and the store answers."""

    def __init__(
        self,
        api: WorkerApi,
        models: ModelsApi,
        listening: socket.socket,
        *,
        is_ready: Callable[[], Awaitable[dict[str, bool]]],
    ) -> None:
        self._api = api
        self._models = models
        self._listening = listening
        self._is_ready = is_ready
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Begins to answer."""
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_errors_as_json])
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._api.add_routes(app.router)
        self._models.add_routes(app.router)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0, handler_cancellation=True)
        await self._runner.setup()
        await web.SockSite(self._runner, self._listening).start()

    async def stop(self) -> None:
        """Ends long polls and closes; workers keep what they have and come back."""
        self._api.stop_polls()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def _readyz(self, request: web.Request) -> web.Response:
        parts = await self._is_ready()
        return web.json_response(parts, status=200 if all(parts.values()) else 503)

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every fault becomes a status that tells the worker what to do, and a sentence."""
    try:
        return await handler(request)
    except web.HTTPRequestEntityTooLarge:
        return _reply(413, f"The body is larger than {MAX_BODY_BYTES // 2**20} MiB. Send less.")
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _reply(error.status, error.reason)
    except Malformed as error:
        return _reply(400, f"The request is malformed at: {error.place[:500]}.")
    except (Fenced, IllegalTransition, NotFound) as error:
        return _reply(409, f"{error.summary} {error.remedy}".strip())
    except TemporaryError as error:
        wait = {"Retry-After": str(math.ceil(error.retry_after_seconds))} if error.retry_after_seconds else None
        return _reply(503, error.summary, wait)
    except DevflowError as error:
        return _reply(422, f"{error.summary} {error.remedy}".strip())
    except Exception:
        reference = uuid.uuid4().hex[:12]
        log.exception("gateway_failed", path=request.path, reference=reference)
        return _reply(500, f"Something went wrong in DevFlow; reference {reference} stands in its log.")


def _reply(status: int, sentence: str, headers: dict[str, str] | None = None) -> web.Response:
    body = written(ErrorReply(error=sentence))
    return web.Response(status=status, body=body, content_type="application/json", charset="utf-8", headers=headers)
