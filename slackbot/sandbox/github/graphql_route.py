"""`POST /api/graphql`: who asks, and under which rate; what is answered comes from `graphql_api`.

https://docs.github.com/en/graphql/guides/forming-calls-with-graphql
"""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from slackbot.sandbox.github.rest_base import ApiError, base_of, body_of
from slackbot.sandbox.github.rest_guard import RestGuard
from slackbot.sandbox.github.reviewing import Reviewing
from slackbot.sandbox.github.world import World

if TYPE_CHECKING:
    from slackbot.sandbox.github.graphql_api import GraphqlApi

PATH = "/api/graphql"
POINTS_PER_HOUR = 5000


class GraphqlRoute:
    """Only installations are answered, as only they ask."""

    def __init__(self, world: World, guard: RestGuard, reviewing: Reviewing) -> None:
        self._world = world
        self._guard = guard
        self._reviewing = reviewing

    @functools.cached_property
    def _api(self) -> GraphqlApi:
        # Imported with the first question: graphql-core takes longer than all else of the stand-in.
        from slackbot.sandbox.github.graphql_api import GraphqlApi

        return GraphqlApi(self._world, self._guard, self._reviewing)

    def add_to(self, app: web.Application) -> None:
        app.router.add_post(PATH, self._post)

    async def _post(self, request: web.Request) -> web.Response:
        try:
            caller = self._guard.caller(request)
            if caller.kind != "installation":
                raise ApiError(401, "This endpoint requires you to be authenticated.")
            wanted = await body_of(request)
        except ApiError as error:
            body = {"message": error.message, "documentation_url": "https://docs.github.com/graphql"}
            return web.json_response(body, status=error.status)
        answer = await self._api.answer(wanted, caller, base_of(request))
        rate = self._guard.rate(caller, count=False, resource="graphql")
        headers = {f"X-RateLimit-{name.capitalize()}": str(value) for name, value in within(rate).items()}
        return web.Response(
            text=json.dumps(answer),
            content_type="application/json",
            headers={**headers, "X-RateLimit-Resource": "graphql", "X-GitHub-Media-Type": "github.v4; format=json"},
        )


def within(rate: dict[str, Any]) -> dict[str, Any]:
    """A rate by the fields of GraphQL."""
    used = int(rate["used"])
    return {
        "limit": POINTS_PER_HOUR,
        "used": used,
        "remaining": max(0, POINTS_PER_HOUR - used),
        "reset": rate["reset"],
    }
