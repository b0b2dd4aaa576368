"""REST routes of the App itself: who it is, where it is installed, its tokens, the rate limit, users.

https://docs.github.com/en/rest/apps
"""

from __future__ import annotations

import secrets

from aiohttp import web

from slackbot.sandbox.github import rest_shapes as shapes
from slackbot.sandbox.github.rest_base import (
    API_PREFIX,
    REPOSITORY_PATHS,
    ApiError,
    Caller,
    Json,
    base_of,
    body_of,
    caller_of,
    named_repository,
    not_found,
    paged,
    slice_of,
    token_hash,
)
from slackbot.sandbox.github.rest_guard import RestGuard
from slackbot.sandbox.github.store import Account, RepositoryRow, TokenRow
from slackbot.sandbox.github.world import World

TOKEN_SECONDS = 3600
_LEVELS = ("read", "write", "admin")


class AppRoutes:
    """Data comes from the store; only hashes of tokens go back to it."""

    def __init__(self, world: World, guard: RestGuard) -> None:
        self._world = world
        self._guard = guard

    def add_to(self, app: web.Application) -> None:
        app.router.add_get(f"{API_PREFIX}/app", self._get_app)
        app.router.add_get(f"{API_PREFIX}/app/hook/config", self._hook)
        app.router.add_get(f"{API_PREFIX}/app/installations", self._list_installations)
        app.router.add_get(f"{API_PREFIX}/app/installations/{{id:[0-9]{{1,15}}}}", self._get_installation)
        app.router.add_post(f"{API_PREFIX}/app/installations/{{id:[0-9]{{1,15}}}}/access_tokens", self._mint)
        app.router.add_delete(f"{API_PREFIX}/installation/token", self._revoke)
        app.router.add_get(f"{API_PREFIX}/installation/repositories", self._list_repositories)
        for path in REPOSITORY_PATHS:
            app.router.add_get(path + "/installation", self._repository_installation)
        app.router.add_get(f"{API_PREFIX}/rate_limit", self._rate_limit)
        app.router.add_get(f"{API_PREFIX}/users/{{login}}", self._get_user)

    async def _get_app(self, request: web.Request) -> web.Response:
        _app_only(request)
        installations = len(self._world.store.installed_accounts())
        return web.json_response(shapes.app(base_of(request), self._world.app_id, self._world.app_slug, installations))

    async def _hook(self, request: web.Request) -> web.Response:
        """https://docs.github.com/en/rest/apps/webhooks#get-a-webhook-configuration-for-an-app"""
        _app_only(request)
        if self._world.webhook_url is None:
            raise not_found()
        hook = {"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": self._world.webhook_url}
        return web.json_response(hook)

    async def _list_installations(self, request: web.Request) -> web.Response:
        _app_only(request)
        accounts = self._world.store.installed_accounts()
        return web.json_response(
            [self._installation(request, account) for account in slice_of(request, accounts)],
            headers=paged(request, len(accounts)),
        )

    async def _get_installation(self, request: web.Request) -> web.Response:
        _app_only(request)
        return web.json_response(self._installation(request, self._installed_account(request)))

    async def _repository_installation(self, request: web.Request) -> web.Response:
        _app_only(request)
        found = named_repository(request, self._world)
        if found is None or not found.installed:
            raise not_found()
        return web.json_response(self._installation(request, found.account))

    async def _mint(self, request: web.Request) -> web.Response:
        """https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app"""
        _app_only(request)
        account = self._installed_account(request)
        wanted = await body_of(request)
        permissions = _granted(wanted.get("permissions"))
        installed = [row for row in self._world.store.repositories(account.id) if row.installed]
        scoped = _scoped(wanted, installed)
        token = "ghs_" + secrets.token_urlsafe(30).replace("-", "x").replace("_", "y")
        expires_at = self._world.now() + TOKEN_SECONDS
        ids = None if scoped is None else frozenset(row.id for row in scoped)
        self._world.store.add_token(
            token_hash(token), TokenRow(account.id, permissions, ids, expires_at), self._world.now()
        )
        answer: Json = {
            "token": token,
            "expires_at": shapes.timestamp(expires_at),
            "permissions": permissions,
            "repository_selection": "selected",
        }
        if scoped is not None:
            answer["repositories"] = [await self._repository(request, row, caller_of(request)) for row in scoped]
        return web.json_response(answer, status=201)

    async def _revoke(self, request: web.Request) -> web.Response:
        caller = _installation_only(request)
        self._world.store.remove_token(caller.token_sha256)
        return web.Response(status=204)

    async def _list_repositories(self, request: web.Request) -> web.Response:
        caller = _installation_only(request)
        rows = [row for row in self._world.store.repositories(caller.account_id) if caller.reaches(row)]
        listed = [await self._repository(request, row, caller) for row in slice_of(request, rows)]
        answer = {"total_count": len(rows), "repositories": listed, "repository_selection": "selected"}
        return web.json_response(answer, headers=paged(request, len(rows)))

    async def _rate_limit(self, request: web.Request) -> web.Response:
        core = self._guard.rate(caller_of(request), count=False)
        unused = {**core, "used": 0, "remaining": core["limit"]}
        return web.json_response({"resources": {"core": core, "search": unused, "graphql": unused}, "rate": core})

    async def _get_user(self, request: web.Request) -> web.Response:
        login = request.match_info["login"]
        base = base_of(request)
        account = self._world.store.account(login)
        if login == self._world.app_login:
            shape = shapes.user(base, login, shapes.APP_USER_ID, "Bot")
        elif account is not None:
            shape = shapes.account(base, account)
        else:
            raise not_found()
        unknown = dict.fromkeys(("name", "company", "blog", "location", "email", "hireable", "bio"))
        counts = dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0)
        dates = dict.fromkeys(("created_at", "updated_at"), "2026-01-01T00:00:00Z")
        return web.json_response(shape | unknown | counts | dates)

    def _installation(self, request: web.Request, account: Account) -> Json:
        return shapes.installation(base_of(request), self._world.app_id, self._world.app_slug, account)

    def _installed_account(self, request: web.Request) -> Account:
        installation_id = int(request.match_info["id"])
        for account in self._world.store.installed_accounts():
            if account.id == installation_id:
                return account
        raise not_found()

    async def _repository(self, request: web.Request, row: RepositoryRow, caller: Caller) -> Json:
        return shapes.repository(
            base_of(request),
            row,
            size=await self._world.size_kilobytes(row),
            open_pulls=len(self._world.store.pulls(row.id, state="open")),
            caller=caller,
        )


def _app_only(request: web.Request) -> None:
    kind = caller_of(request).kind
    if kind != "app":
        message = "Requires authentication" if kind == "anonymous" else "A JSON web token could not be decoded"
        raise ApiError(401, message)


def _installation_only(request: web.Request) -> Caller:
    caller = caller_of(request)
    if caller.kind != "installation":
        raise ApiError(401, "Requires authentication" if caller.kind == "anonymous" else "Bad credentials")
    return caller


def _granted(wanted: object) -> dict[str, str]:
    """The permissions of the new token: all that were granted, or the part that was asked for."""
    granted = shapes.INSTALLATION_PERMISSIONS
    if not wanted:
        return dict(granted)
    refused = ApiError(422, "The permissions requested are not granted to this installation.")
    if not isinstance(wanted, dict):
        raise ApiError(422, "Invalid request.\n\nFor 'properties/permissions', it is not an object.")
    for name, level in wanted.items():
        if level not in _LEVELS or name not in granted or _LEVELS.index(level) > _LEVELS.index(granted[name]):
            raise refused
    return {**wanted, "metadata": "read"}


def _scoped(wanted: Json, installed: list[RepositoryRow]) -> list[RepositoryRow] | None:
    """The repositories the new token is for; None for all of the installation."""
    names, ids = wanted.get("repositories"), wanted.get("repository_ids")
    if names is None and ids is None:
        return None
    if not isinstance(names or [], list) or not isinstance(ids or [], list):
        raise ApiError(422, "Invalid request.\n\nFor 'properties/repositories', it is not an array.")
    asked = {str(name).lower() for name in names or []} | {str(number) for number in ids or []}
    found = [row for row in installed if row.name.lower() in asked or str(row.id) in asked]
    if not asked or len(found) < len(asked):
        raise ApiError(
            422,
            "There is at least one repository that does not exist or is not accessible to the parent installation.",
        )
    return found
