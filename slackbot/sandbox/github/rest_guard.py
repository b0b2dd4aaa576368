"""The middleware before every REST route: who calls, rate limit, errors, redirects and ETags in GitHub's form.

Requests come from the server; handlers find the caller by `rest_base.caller_of`, and what they raise ends here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import jwt
from aiohttp import web

from slackbot.sandbox.github.rest_base import (
    API_PREFIX,
    CALLER,
    ApiError,
    Caller,
    Json,
    Moved,
    base_of,
    caller_by_token,
    not_found,
)
from slackbot.sandbox.github.store import RepositoryRow
from slackbot.sandbox.github.world import World

_DOCUMENTATION = "https://docs.github.com/rest"
_JWT_SECONDS = 600
_LEEWAY_SECONDS = 60
_WINDOW_SECONDS = 3600


class RestGuard:
    """Authenticates, counts against the rate limit, and puts answers into GitHub's form."""

    def __init__(self, world: World, public_key: Any, requests_per_hour: int) -> None:
        self._world = world
        self._public_key = public_key
        self._limit = requests_per_hour
        self._windows: dict[str, tuple[int, int]] = {}

    def caller(self, request: web.Request) -> Caller:
        header = request.headers.get("Authorization", "")
        if not header:
            return Caller()
        scheme, _, credential = header.partition(" ")
        credential = credential.strip()
        if scheme.lower() not in {"bearer", "token"} or not credential:
            raise ApiError(401, "Bad credentials")
        if credential.count(".") == 2 and not credential.startswith("gh"):
            self._check_jwt(credential)
            return Caller("app")
        found = caller_by_token(self._world, credential)
        if found is None:
            raise ApiError(401, "Bad credentials")
        return found

    def _check_jwt(self, credential: str) -> None:
        """https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app"""
        now = self._world.now()
        try:
            claims = jwt.decode(
                credential,
                self._public_key,
                algorithms=["RS256"],
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_sub": False},
            )
        except jwt.PyJWTError:
            raise ApiError(401, "A JSON web token could not be decoded") from None
        issued, expires = claims.get("iat"), claims.get("exp")
        if not isinstance(expires, int | float):
            raise ApiError(
                401,
                "'Expiration time' claim ('exp') must be a numeric value representing the future time at which "
                "the assertion expires",
            )
        if expires <= now:
            raise ApiError(401, "'Expiration time' claim ('exp') is too far in the past")
        if expires > now + _JWT_SECONDS + _LEEWAY_SECONDS:
            raise ApiError(401, "'Expiration time' claim ('exp') is too far in the future")
        if not isinstance(issued, int | float) or issued > now + _LEEWAY_SECONDS:
            raise ApiError(
                401, "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
            )
        if str(claims.get("iss")) != self._world.app_id:
            raise ApiError(404, "Integration not found")

    def rate(self, caller: Caller, *, count: bool, resource: str = "core", cost: int = 1) -> Json:
        """The caller's rate of `resource` (core or graphql) after this request."""
        key = (caller.token_sha256 or caller.kind) + ("" if resource == "core" else f":{resource}")
        now = self._world.now()
        used, reset = self._windows.get(key, (0, 0))
        if reset <= now:
            used, reset = 0, now + _WINDOW_SECONDS
            if len(self._windows) > 1000:
                self._windows = {name: window for name, window in self._windows.items() if window[1] > now}
        if count:
            used += cost
        self._windows[key] = used, reset
        return {"limit": self._limit, "used": used, "remaining": max(0, self._limit - used), "reset": reset}

    @web.middleware
    async def middleware(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if not request.path.startswith(API_PREFIX):
            return await handler(request)
        caller = Caller()
        response: web.StreamResponse
        try:
            caller = self.caller(request)
            rate = self.rate(caller, count=not request.path.endswith("/rate_limit"))
            if rate["used"] > self._limit:
                response = _error_response(ApiError(403, "API rate limit exceeded for installation."))
            else:
                request[CALLER] = caller
                response = await handler(request)
        except ApiError as error:
            response = _error_response(error)
        except Moved as moved:
            response = self._redirect(request, moved.repository)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            response = _error_response(
                not_found() if error.status in {404, 405} else ApiError(error.status, error.reason)
            )
        response = _conditional(request, response)
        if response.status == 304 and caller.kind != "anonymous":
            used, reset = self._windows.get(caller.token_sha256 or caller.kind, (1, 0))
            self._windows[caller.token_sha256 or caller.kind] = max(0, used - 1), reset
        rate = self.rate(caller, count=False)
        for name, value in rate.items():
            response.headers[f"X-RateLimit-{name.capitalize()}"] = str(value)
        response.headers["X-RateLimit-Resource"] = "core"
        response.headers["X-GitHub-Media-Type"] = "github.v3; format=json"
        return response

    def _redirect(self, request: web.Request, repository: RepositoryRow) -> web.Response:
        """https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects"""
        rest = request.path.split("/", 6)[6:]  # "", api, v3, repos, owner, name, rest
        path = "/".join([f"{API_PREFIX}/repositories/{repository.id}", *rest])
        url = f"{base_of(request)}{path}" + (f"?{request.query_string}" if request.query_string else "")
        permanent = request.method in {"GET", "HEAD"}
        body = {
            "message": "Moved Permanently",
            "url": url,
            "documentation_url": f"{_DOCUMENTATION}/guides/best-practices-for-using-the-rest-api#follow-redirects",
        }
        return web.json_response(body, status=301 if permanent else 307, headers={"Location": url})


def _error_response(error: ApiError) -> web.Response:
    body: Json = {"message": error.message, "documentation_url": _DOCUMENTATION, "status": str(error.status)}
    if error.errors:
        body["errors"] = error.errors
    return web.json_response(body, status=error.status, headers=error.headers)


def _conditional(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    if request.method != "GET" or response.status != 200 or not isinstance(response, web.Response):
        return response
    body = response.body if isinstance(response.body, bytes) else b""
    tag = f'W/"{hashlib.sha256(body).hexdigest()}"'
    wanted = request.headers.get("If-None-Match", "")
    if tag.removeprefix("W/") in wanted or wanted == "*":
        response = web.Response(status=304)
    response.headers["ETag"] = tag
    response.headers["Cache-Control"] = "private, max-age=60, s-maxage=60"
    return response
