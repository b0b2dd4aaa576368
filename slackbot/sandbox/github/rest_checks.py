"""REST routes of CI: a check run, its annotations, the log of an Actions job. A job has the id of its check run.

https://docs.github.com/en/rest/checks/runs, https://docs.github.com/en/rest/actions/workflow-jobs
"""

from __future__ import annotations

import secrets

from aiohttp import web

from slackbot.sandbox.github import review_shapes as shapes
from slackbot.sandbox.github.rest_base import (
    REPOSITORY_PATHS,
    base_of,
    not_found,
    paged,
    repository_of,
    slice_of,
)
from slackbot.sandbox.github.review_store import CheckRow
from slackbot.sandbox.github.store import RepositoryRow
from slackbot.sandbox.github.world import World

_LOG_SECONDS = 60
_LOGS_KEPT = 100


class CheckRoutes:
    """The log stands behind an address of its own, good for a minute, as GitHub's storage has it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._logs: dict[str, tuple[str, int]] = {}

    def add_to(self, app: web.Application) -> None:
        for path in REPOSITORY_PATHS:
            one = path + "/check-runs/{check_id:[0-9]{1,15}}"
            app.router.add_get(one, self._get)
            app.router.add_get(one + "/annotations", self._annotations)
            app.router.add_get(path + "/actions/jobs/{check_id:[0-9]{1,15}}/logs", self._log_address)
        app.router.add_get("/_logs/{key}", self._log)

    async def _get(self, request: web.Request) -> web.Response:
        row, check = self._find(request, "checks")
        pulls = [one for one in self._world.store.pulls(row.id, state="open") if one.head_sha == check.head_sha]
        return web.json_response(shapes.check_run(self._context(request), row, check, pulls))

    async def _annotations(self, request: web.Request) -> web.Response:
        row, check = self._find(request, "checks")
        found = shapes.check_annotations(self._context(request), row, check)
        return web.json_response(list(slice_of(request, found)), headers=paged(request, len(found)))

    async def _log_address(self, request: web.Request) -> web.Response:
        """https://docs.github.com/en/rest/actions/workflow-jobs#download-job-logs-for-a-workflow-run"""
        _, check = self._find(request, "actions")
        if check.status != "COMPLETED":
            raise not_found()
        while len(self._logs) >= _LOGS_KEPT:
            del self._logs[next(iter(self._logs))]
        key = secrets.token_urlsafe(24)
        self._logs[key] = check.log, self._world.now() + _LOG_SECONDS
        return web.Response(status=302, headers={"Location": f"{base_of(request)}/_logs/{key}"})

    async def _log(self, request: web.Request) -> web.Response:
        text, until = self._logs.get(request.match_info["key"], ("", 0))
        if until < self._world.now() or "Authorization" in request.headers:
            return web.Response(status=403, text="AuthenticationFailed")
        return web.Response(text=text, content_type="text/plain", charset="utf-8")

    def _find(self, request: web.Request, permission: str) -> tuple[RepositoryRow, CheckRow]:
        row = repository_of(request, self._world, permission)
        check = self._world.store.reviews.check(row.id, int(request.match_info["check_id"]))
        if check is None or check.kind != "check":
            raise not_found()
        return row, check

    def _context(self, request: web.Request) -> shapes.Context:
        return shapes.Context(base_of(request), self._world.app_login, self._world.store.reviews)
