"""The contract suites of the code host once more, with every call of the adapter and every answer of the stand-in held
against GitHub's own OpenAPI description, and the GraphQL against GitHub's own schema.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from graphql import GraphQLSchema, build_schema, parse, validate

from slackbot.adapters.github import GithubCodeHost
from slackbot.adapters.github_query import LOOK, ONE, READY
from slackbot.gateway.webhooks import EVENTS
from slackbot.sandbox.github.graphql_api import schema
from slackbot.sandbox.github.rest_base import API_PREFIX
from slackbot.sandbox.github.server import GithubStandIn
from tests.contract import test_code_host as suite
from tests.contract import test_code_host_pulls as pulls_suite
from tests.contract.test_code_host import *  # noqa: F403  its tests run here too
from tests.contract.test_code_host import Hub, hub, shop  # noqa: F401
from tests.fakes.github_support import app_key
from tests.github_schemas.openapi import Exchange, description, published

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Recorder:
    """Remembers what is on the wire of the API."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        sent = await request.read() if request.path.startswith(API_PREFIX) else b""
        response = await handler(request)
        if request.path.startswith(API_PREFIX):
            answered = response.body if isinstance(response, web.Response) and isinstance(response.body, bytes) else b""
            self.exchanges.append(
                Exchange(
                    request.method,
                    request.path.removeprefix(API_PREFIX),
                    dict(request.query),
                    sent,
                    response.status,
                    response.content_type,
                    answered,
                )
            )
        return response


@pytest.fixture(autouse=True)
def checked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """Whatever a test does with the stand-in is held against the description when the test has ended."""
    recorder = Recorder()

    def recorded(*arguments: Any, **options: Any) -> GithubStandIn:
        return GithubStandIn(*arguments, **{**options, "middlewares": [recorder.middleware]})

    monkeypatch.setattr(suite, "GithubStandIn", recorded)
    monkeypatch.setattr(pulls_suite, "GithubStandIn", recorded)
    yield recorder
    described = description(published("generated/api.github.com.json"))
    faults = [fault for exchange in recorder.exchanges for fault in described.faults(exchange)]
    assert faults == []


@pytest.fixture(scope="session")
def github_schema() -> GraphQLSchema:
    text = published("schema.graphql").read_text()
    return build_schema(text, assume_valid=True, assume_valid_sdl=True)


@pytest.mark.parametrize("query", [LOOK, ONE, READY], ids=["look", "one", "ready"])
def test_github_would_take_the_query(github_schema: GraphQLSchema, query: str) -> None:
    """Fields, arguments and types are those of GitHub's schema."""
    assert validate(github_schema, parse(query)) == []


def test_the_stand_ins_schema_is_a_part_of_githubs(github_schema: GraphQLSchema) -> None:
    """Each field has GitHub's type and takes only GitHub's arguments."""
    for name, mine in schema().type_map.items():
        theirs = github_schema.type_map.get(name)
        if name.startswith("__") or name == "DatabaseId":
            continue
        assert theirs is not None, name
        for field, shape in getattr(mine, "fields", {}).items():
            real = theirs.fields[field]  # type: ignore[attr-defined]
            assert str(shape.type).replace("DatabaseId", "Int") == str(real.type), f"{name}.{field}"
            assert set(getattr(shape, "args", {})) <= set(getattr(real, "args", {})), f"{name}.{field}"
        for value in getattr(mine, "values", {}):
            assert value in theirs.values, f"{name}.{value}"  # type: ignore[attr-defined]


async def test_what_the_check_asks_of_the_app(checked: Recorder, tmp_path: Path) -> None:
    """The App, its installations and its webhook, which no suite of the port asks for."""
    stand_in = GithubStandIn(tmp_path, private_key_pem=app_key(), middlewares=[checked.middleware])
    await stand_in.start()
    await stand_in.create_repository("acme/shop")
    stand_in.send_webhooks("http://127.0.0.1:1/github/webhook", "a secret of sixteen and more")
    code_host = GithubCodeHost(api_url=stand_in.api_url, app_id=stand_in.app_id, private_key=app_key())
    assert [one.account for one in (await code_host.describe_app()).installations] == ["acme"]
    assert (await code_host.describe_webhook()).events >= EVENTS
    await code_host.close()
    await stand_in.stop()
