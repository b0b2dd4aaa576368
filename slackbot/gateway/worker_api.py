"""The worker protocol's server side (docs/worker-protocol.md): checks the token, parses, calls the worker desk."""

from __future__ import annotations

from typing import TypeVar

from aiohttp import web

from slackbot import worker_protocol as wp
from slackbot.core.errors import PermanentError
from slackbot.core.worker_token import WorkerIdentity, verify_worker_token
from slackbot.gateway.turn_desk import TurnDesk
from slackbot.gateway.worker_desk import WorkerDesk

M = TypeVar("M", bound=wp.WireModel)


class Malformed(Exception):
    """A request is not what the protocol says; `place` is what is wrong in it."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.place = place


class WorkerApi:
    """Routes under /worker/v1. Every one refuses (401) a missing, foreign or forged token before anything else."""

    def __init__(self, desk: WorkerDesk, turns: TurnDesk, *, secret: str) -> None:
        self._desk = desk
        self._turns = turns
        self._secret = secret

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get(wp.SESSION_PATH, self._session)
        router.add_post(wp.READY_PATH, self._ready)
        router.add_post(wp.STAY_PATH, self._stay)
        router.add_post(wp.NEXT_TURN_PATH, self._next_turn)
        router.add_post(wp.PROGRESS_PATH, self._progress)
        router.add_post(wp.CANCEL_PATH, self._cancel)
        router.add_post(wp.ANSWER_PATH, self._answer)
        router.add_post(wp.PERMISSION_PATH, self._permission)
        router.add_get(wp.FILE_PATH, self._file, allow_head=False)
        router.add_post(wp.PUSHING_PATH, self._pushing)
        router.add_post(wp.SHOWN_PATH, self._shown)
        router.add_post(wp.GITHUB_TOKEN_PATH, self._github_token)
        router.add_post(wp.LEAVING_PATH, self._leaving)

    def stop_polls(self) -> None:
        self._desk.stop_polls()
        self._turns.stop_polls()

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

    async def _permission(self, request: web.Request) -> web.Response:
        identity = self._identity(request)
        body = await _body(request, wp.PermissionAsk)
        reply = await self._turns.ask_permission(identity, request.match_info["turn_id"], body)
        return web.Response(status=204) if reply is None else _json(reply)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        """The bytes as Slack gives them; what fails after the first of them cuts the connection."""
        identity, number = self._identity(request), request.match_info["number"]
        if not (number.isascii() and number.isdigit() and len(number) < 5):
            raise Malformed("number")
        pieces = await self._turns.attached_file(identity, request.match_info["turn_id"], int(number))
        first = await anext(pieces, b"")
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        await response.write(first)
        async for piece in pieces:
            await response.write(piece)
        await response.write_eof()
        return response

    async def _pushing(self, request: web.Request) -> web.Response:
        identity = self._identity(request)
        await self._turns.push_begun(identity, request.match_info["turn_id"], await _body(request, wp.Push))
        return web.json_response({})

    async def _shown(self, request: web.Request) -> web.Response:
        identity = self._identity(request)
        content = bytearray()
        async for piece in request.content.iter_chunked(64 * 1024):
            content += piece
            if len(content) > wp.MAX_FILE_BYTES:
                raise PermanentError(f"The file is larger than {wp.MAX_FILE_BYTES // 2**20} MiB.")
        if not content:
            raise Malformed("body")
        name = request.query.get("name", "")
        await self._turns.take_shown(identity, request.match_info["turn_id"], name, bytes(content))
        return web.json_response({})

    async def _github_token(self, request: web.Request) -> web.Response:
        identity = self._identity(request)
        token = await self._desk.github_token(identity, await _body(request, wp.GithubTokenAsk))
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
        return wp.read(await request.read() or b"{}", model)
    except wp.Unreadable as error:
        raise Malformed(error.place) from error


def _json(message: wp.WireModel, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=wp.written(message), content_type="application/json", charset="utf-8", headers=headers)
