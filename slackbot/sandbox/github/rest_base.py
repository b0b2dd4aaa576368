"""What every REST room of the stand-in uses: errors and answers in GitHub's form, callers, limits, paging.

Requests pass `rest_middleware` first; handlers find who calls by `caller_of`, and may raise `ApiError`.
https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import jwt
from aiohttp import web

from slackbot.sandbox.github.store import RepositoryRow
from slackbot.sandbox.github.world import World

Json = dict[str, Any]
API_PREFIX = "/api/v3"
_DOCUMENTATION = "https://docs.github.com/rest"
_LEVELS = {"read": 1, "write": 2, "admin": 3}
_JWT_SECONDS = 600
_LEEWAY_SECONDS = 60
_WINDOW_SECONDS = 3600


class ApiError(Exception):
    """An answer of 400 or more: `status`, GitHub's `message`, and `errors` where GitHub lists them."""

    def __init__(self, status: int, message: str, errors: Sequence[Any] = (), headers: Mapping[str, str] = {}) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = list(errors)
        self.headers = dict(headers)


class Moved(Exception):
    """The repository has another name now: GitHub redirects to its id."""

    def __init__(self, repository: RepositoryRow) -> None:
        super().__init__(repository.full_name)
        self.repository = repository


@dataclass(frozen=True)
class Caller:
    """Who asks: nobody (anonymous), the App itself by JWT, or an installation by token."""

    kind: str = "anonymous"
    account_id: int | None = None
    permissions: Mapping[str, str] = field(default_factory=dict)
    repository_ids: frozenset[int] | None = None
    token_sha256: str = ""

    def reaches(self, repository: RepositoryRow) -> bool:
        """Whether the token's installation and scope hold the repository."""
        return (
            self.kind == "installation"
            and repository.installed
            and repository.account.id == self.account_id
            and (self.repository_ids is None or repository.id in self.repository_ids)
        )

    def may(self, permission: str, level: str) -> bool:
        return _LEVELS.get(self.permissions.get(permission, ""), 0) >= _LEVELS[level]


def not_found() -> ApiError:
    return ApiError(404, "Not Found")


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def caller_by_token(world: World, token: str) -> Caller | None:
    """The installation whose unexpired token this is."""
    digest = token_hash(token)
    row = world.store.token(digest)
    if row is None or row.expires_at <= world.now():
        return None
    return Caller("installation", row.account_id, row.permissions, row.repository_ids, digest)


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

    def rate(self, caller: Caller, *, count: bool) -> Json:
        """The caller's `core` rate after this request."""
        key = caller.token_sha256 or caller.kind
        now = self._world.now()
        used, reset = self._windows.get(key, (0, 0))
        if reset <= now:
            used, reset = 0, now + _WINDOW_SECONDS
            if len(self._windows) > 1000:
                self._windows = {name: window for name, window in self._windows.items() if window[1] > now}
        if count:
            used += 1
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
                response = error_response(ApiError(403, "API rate limit exceeded for installation."))
            else:
                request[CALLER] = caller
                response = await handler(request)
        except ApiError as error:
            response = error_response(error)
        except Moved as moved:
            response = self._redirect(request, moved.repository)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            response = error_response(
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
        url = f"{request.scheme}://{request.host}{path}" + (f"?{request.query_string}" if request.query_string else "")
        permanent = request.method in {"GET", "HEAD"}
        body = {
            "message": "Moved Permanently",
            "url": url,
            "documentation_url": f"{_DOCUMENTATION}/guides/best-practices-for-using-the-rest-api#follow-redirects",
        }
        return web.json_response(body, status=301 if permanent else 307, headers={"Location": url})


CALLER: web.RequestKey[Caller] = web.RequestKey("caller", Caller)


def caller_of(request: web.Request) -> Caller:
    return request[CALLER]


def error_response(error: ApiError) -> web.Response:
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


def base_of(request: web.Request) -> str:
    """Scheme and host as the client wrote them: PyGithub refuses URLs of any other."""
    return f"{request.scheme}://{request.host}"


async def body_of(request: web.Request) -> Json:
    """The JSON object in the body; {} when there is none."""
    if not request.body_exists:
        return {}
    try:
        found = json.loads(await request.read() or b"{}")
    except ValueError:
        raise ApiError(400, "Problems parsing JSON") from None
    if not isinstance(found, dict):
        raise ApiError(400, "Body should be a JSON object")
    return found


def repository_of(
    request: web.Request, world: World, permission: str = "metadata", level: str = "read"
) -> RepositoryRow:
    """The repository in the URL, if the caller may do `level` on `permission` there.

    404 when it is unknown or hidden, 401 or 403 when it can be seen and not written; `Moved` after a rename.
    """
    caller = caller_of(request)
    info = request.match_info
    if "repository_id" in info:
        found = world.store.repository_by_id(int(info["repository_id"]))
    else:
        full_name = f"{info['owner']}/{info['name']}"
        found = world.store.repository(full_name)
        moved = None if found else world.store.renamed(full_name)
        if moved is not None and (caller.reaches(moved) or not moved.private or caller.kind == "app"):
            raise Moved(moved)
    if caller.kind == "app":
        raise ApiError(401, "Bad credentials")
    if found is None or (found.private and not caller.reaches(found)):
        raise not_found()
    if level == "read" and not found.private:
        return found
    if caller.kind == "anonymous":
        raise ApiError(401, "Requires authentication")
    if not caller.reaches(found) or not caller.may(permission, level):
        raise ApiError(403, "Resource not accessible by integration")
    if level == "write" and found.archived:
        raise ApiError(403, "Repository was archived so is read-only.")
    return found


def page_of(request: web.Request, default: int = 30) -> tuple[int, int]:
    """(page, entries a page) as asked for, within GitHub's bounds."""

    def number(name: str, otherwise: int, most: int) -> int:
        text = request.query.get(name, "")
        return min(max(1, int(text)), most) if re.fullmatch("[0-9]{1,9}", text) else otherwise

    return number("page", 1, 1_000_000), number("per_page", default, 100)


def paged(request: web.Request, total: int) -> dict[str, str]:
    """The Link header for a list of `total` entries.

    https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api
    """
    page, per_page = page_of(request)
    last = max(1, -(-total // per_page))
    wanted = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
    if page >= last:
        del wanted["next"], wanted["last"]
    if page == 1:
        del wanted["prev"], wanted["first"]
    links = []
    for relation, number in wanted.items():
        query = urlencode({**dict(request.query), "page": str(number)})
        links.append(f'<{base_of(request)}{request.path}?{query}>; rel="{relation}"')
    return {"Link": ", ".join(links)} if links else {}


def slice_of(request: web.Request, entries: Sequence[Any]) -> Sequence[Any]:
    page, per_page = page_of(request)
    return entries[(page - 1) * per_page : page * per_page]
