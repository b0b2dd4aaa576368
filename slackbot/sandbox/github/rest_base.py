"""What every REST room of the stand-in uses: errors, callers, the repository in the URL, paging.

Requests pass `rest_guard.py` first; handlers find who calls by `caller_of`, and may raise `ApiError`.
https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from slackbot.sandbox.github.store import RepositoryRow
from slackbot.sandbox.github.world import World

Json = dict[str, Any]
API_PREFIX = "/api/v3"
REPOSITORY_PATHS = (
    f"{API_PREFIX}/repos/{{owner}}/{{name}}",
    f"{API_PREFIX}/repositories/{{repository_id:[0-9]{{1,15}}}}",
)
_LEVELS = {"read": 1, "write": 2, "admin": 3}


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


CALLER: web.RequestKey[Caller] = web.RequestKey("caller", Caller)


def caller_of(request: web.Request) -> Caller:
    return request[CALLER]


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


def named_repository(request: web.Request, world: World) -> RepositoryRow | None:
    """The repository in the URL, whoever asks; `Moved` after a rename that the caller may know of."""
    caller = caller_of(request)
    info = request.match_info
    if "repository_id" in info:
        return world.store.repository_by_id(int(info["repository_id"]))
    full_name = f"{info['owner']}/{info['name']}"
    found = world.store.repository(full_name)
    moved = None if found else world.store.renamed(full_name)
    if moved is not None and (caller.reaches(moved) or not moved.private or caller.kind == "app"):
        raise Moved(moved)
    return found


def repository_of(
    request: web.Request, world: World, permission: str = "metadata", level: str = "read"
) -> RepositoryRow:
    """The repository in the URL, if the caller may do `level` on `permission` there.

    404 when it is unknown or hidden, 401 or 403 when it can be seen and not written; `Moved` after a rename.
    """
    caller = caller_of(request)
    found = named_repository(request, world)
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
