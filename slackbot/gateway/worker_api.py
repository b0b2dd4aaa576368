"""The worker protocol's server side (docs/worker-protocol.md): checks the token, parses, calls the worker desk."""

from __future__ import annotations

from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from slackbot import worker_protocol as wp
from slackbot.core.worker_token import WorkerIdentity, verify_worker_token
from slackbot.gateway.worker_desk import WorkerDesk

M = TypeVar("M", bound=BaseModel)


class Malformed(Exception):
    """A body is not what the protocol says; `places` are the fields that are wrong."""

    def __init__(self, places: list[str]) -> None:
        super().__init__(", ".join(places))
        self.places = places


class WorkerApi:
    """Routes under /worker/v1. Every one refuses (401) a missing, foreign or forged token before anything else."""

    def __init__(self, desk: WorkerDesk, *, secret: str) -> None:
        self._desk = desk
        self._secret = secret

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get(wp.SESSION_PATH, self._session)
        router.add_post(wp.READY_PATH, self._ready)
        router.add_post(wp.STAY_PATH, self._stay)
        router.add_post(wp.NEXT_TURN_PATH, self._next_turn)
        router.add_post(wp.PROGRESS_PATH, self._progress)
        router.add_post(wp.CANCEL_PATH, self._cancel)
        router.add_post(wp.ANSWER_PATH, self._answer)
        router.add_post(wp.GITHUB_TOKEN_PATH, self._github_token)
        router.add_post(wp.LEAVING_PATH, self._leaving)

    def stop_polls(self) -> None:
        self._desk.stop_polls()

    async def _session(self, request: web.Request) -> web.Response:
        return _json(await self._desk.session_info(self._identity(request)))

    async def _ready(self, request: web.Request) -> web.Response:
        identity = self._identity(request)
        await self._desk.ready(identity, await _body(request, wp.Ready), peer=request.remote or "")
        return web.json_response({})

    async def _next_turn(self, request: web.Request) -> web.Response:
        identity = self._identity(request)
        work = await self._desk.next_turn(identity, await _body(request, wp.NextTurn))
        return web.Response(status=204) if work is None else _json(work)

    async def _progress(self, request: web.Request) -> web.Response:
        identity = self._identity(request)
        body = await _body(request, wp.Progress)
        return _json(await self._desk.progress(identity, request.match_info["turn_id"], body))

    async def _stay(self, request: web.Request) -> web.Response:
        return _json(await self._desk.stay(self._identity(request), await _body(request, wp.Stay)))

    async def _cancel(self, request: web.Request) -> web.Response:
        reply = await self._desk.cancel_wished(self._identity(request), request.match_info["turn_id"])
        return web.Response(status=204) if reply is None else _json(reply)

    async def _answer(self, request: web.Request) -> web.Response:
        identity = self._identity(request)
        await self._desk.answer(identity, request.match_info["turn_id"], await _body(request, wp.Answer))
        return web.json_response({})

    async def _github_token(self, request: web.Request) -> web.Response:
        token = await self._desk.github_token(self._identity(request))
        return _json(token, headers={"Cache-Control": "no-store"})

    async def _leaving(self, request: web.Request) -> web.Response:
        identity = self._identity(request)
        await self._desk.leaving(identity, await _body(request, wp.Leaving))
        return web.json_response({})

    def _identity(self, request: web.Request) -> WorkerIdentity:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        identity = verify_worker_token(self._secret, token.strip()) if scheme.lower() == "bearer" else None
        if identity is None:
            raise web.HTTPUnauthorized(reason="This needs a worker's token.")
        return identity


async def _body(request: web.Request, model: type[M]) -> M:
    try:
        return model.model_validate_json(await request.read() or b"{}")
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False)
        places = [".".join(str(part) for part in fault["loc"]) or "body" for fault in faults]
        raise Malformed(places) from error


def _json(model: BaseModel, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(text=model.model_dump_json(), content_type="application/json", headers=headers)
