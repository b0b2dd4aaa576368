"""`ANY /worker/v1/models/{provider}/...`: an agent's request comes in with its worker's token, and the provider's
answer goes back as it arrives (docs/worker-protocol.md). Errors have the provider's own shape, so that every agent
shows them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog
from aiohttp import web

from slackbot import worker_protocol as wp
from slackbot.core.errors import DevflowError, Fenced, IllegalTransition, NotFound, Refused, TemporaryError, UsageError
from slackbot.core.model_port import ModelAnswer, ModelCall, ModelProvider
from slackbot.core.worker_token import WorkerIdentity, verify_worker_token
from slackbot.gateway.models_desk import Admitted, ModelsDesk

log = structlog.get_logger()

_PREFIX = wp.MODELS_PATH.partition("{")[0]


class ModelsApi:
    """Routes under /worker/v1/models. Refuses (401) a missing, foreign or forged token before anything else."""

    def __init__(self, desk: ModelsDesk, *, secret: str) -> None:
        self._desk = desk
        self._secret = secret

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_route("*", wp.MODELS_PATH, self._call)

    async def _call(self, request: web.Request) -> web.StreamResponse:
        identity = self._identity(request)
        name = request.match_info["provider"]
        provider = self._desk.provider(name)
        if provider is None:
            there = ", ".join(self._desk.names) or "none"
            raise web.HTTPNotFound(reason=f"DevFlow has no key for such a model provider; it has: {there}.")
        # As it stands on the wire: what is allowed is judged on exactly what is sent on.
        path = request.rel_url.raw_path.removeprefix(f"{_PREFIX}{name}/")
        if not provider.allows(request.method, path):
            return _error(provider, 403, "DevFlow passes on only requests that agents need; this is none of them.")
        call = ModelCall(
            method=request.method,
            path=path,
            query=request.rel_url.raw_query_string,
            headers=_headers(request),
            body=_chunks(request) if request.can_read_body else None,
        )
        try:
            admitted = await self._desk.admit(identity)
        except Refused as error:
            # 400 is not tried again by any agent, and its sentence is shown.
            return _error(provider, 400, error.summary)
        except (Fenced, IllegalTransition, NotFound) as error:
            return _error(provider, 403, f"DevFlow: {error.summary}")
        return await self._relayed(request, provider, call, identity, admitted)

    async def _relayed(
        self,
        request: web.Request,
        provider: ModelProvider,
        call: ModelCall,
        identity: WorkerIdentity,
        admitted: Admitted,
    ) -> web.StreamResponse:
        """The call and its end of the session race: when the session ends first, the connection is cut."""
        relaying = asyncio.create_task(self._relay(request, provider, call, admitted))
        watching = asyncio.create_task(self._desk.until_unwanted(identity, admitted))
        try:
            await asyncio.wait({relaying, watching}, return_when=asyncio.FIRST_COMPLETED)
            if relaying.done():
                return relaying.result()
            log.info("model_call_cut", session_id=identity.session_id, provider=provider.name)
            relaying.cancel()
            await asyncio.gather(relaying, return_exceptions=True)
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=403)
        finally:
            for task in (relaying, watching):
                task.cancel()
            await asyncio.gather(relaying, watching, return_exceptions=True)

    async def _relay(
        self, request: web.Request, provider: ModelProvider, call: ModelCall, admitted: Admitted
    ) -> web.StreamResponse:
        try:
            answer = await self._desk.call(provider, call)
        except UsageError as error:
            return _error(provider, 413, error.summary)
        except TemporaryError as error:
            return _error(provider, 503, f"{error.summary} {error.remedy}".strip())
        except DevflowError as error:
            log.warning("model_call_refused", provider=provider.name, why=error.summary)
            return _error(provider, 400, f"{error.summary} {error.remedy}".strip())
        try:
            return await self._pass_back(request, provider, answer, admitted)
        finally:
            self._desk.count(admitted, provider, answer)
            await answer.close()

    async def _pass_back(
        self, request: web.Request, provider: ModelProvider, answer: ModelAnswer, admitted: Admitted
    ) -> web.StreamResponse:
        if answer.status == 401 or 300 <= answer.status < 400:
            # What the provider says of a key may hold a part of it; a redirect would lead the agent around the gateway.
            log.error("model_key_refused", provider=provider.name, status=answer.status)
            sentence = f"{provider.name} does not take DevFlow's key ({answer.status}). Tell whoever runs DevFlow."
            return _error(provider, 400, sentence)
        response = web.StreamResponse(status=answer.status, headers=dict(answer.headers))
        await response.prepare(request)
        try:
            async for data in answer.chunks():
                await response.write(data)
            await response.write_eof()
        except TemporaryError as error:
            log.info("model_answer_broke_off", session_id=admitted.session_id, why=error.summary)
            # A cut connection, as the provider's was: an end in good order would be taken for the answer's.
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            log.debug("agent_went_away", session_id=admitted.session_id)
        return response

    def _identity(self, request: web.Request) -> WorkerIdentity:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        identity = verify_worker_token(self._secret, token.strip()) if scheme.lower() == "bearer" else None
        if identity is None:
            raise web.HTTPUnauthorized(reason="This needs a worker's token.")
        return identity


def _headers(request: web.Request) -> dict[str, str]:
    headers = {name.lower(): value for name, value in request.headers.items()}
    # aiohttp has inflated such a body by the time it is read.
    if request._message.compression:
        headers.pop("content-encoding", None)
    return headers


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    with contextlib.suppress(ConnectionError):
        async for data in request.content.iter_any():
            yield data


def _error(provider: ModelProvider, status: int, sentence: str) -> web.Response:
    return web.Response(status=status, body=provider.refusal(status, sentence), content_type="application/json")
