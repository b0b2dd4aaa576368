"""The public listener: what it serves to strangers, and that the bot has it where a setting says so."""

from __future__ import annotations

import socket

import aiohttp
import pytest
from aiohttp import web

from slackbot.core.errors import ConfigError, PermanentError, TemporaryError
from slackbot.gateway.public import PublicServer
from slackbot.gateway.server import listen


class Room:
    """Routes that go wrong in every way."""

    closed = False

    def add_routes(self, router: web.UrlDispatcher) -> None:
        for name, error in (
            ("later", TemporaryError("Slack said: xoxb-1", retry_after_seconds=1.2)),
            ("never", PermanentError("It said no.", "Ask again.")),
            ("broken", KeyError("secret")),
        ):
            router.add_get(f"/{name}", _raises(error))

    async def close(self) -> None:
        self.closed = True


def _raises(error: Exception):  # type: ignore[no-untyped-def]
    async def handler(request: web.Request) -> web.Response:
        raise error

    return handler


async def test_faults_are_a_status_and_a_sentence_of_which_nobody_learns_anything() -> None:
    """Health for load balancers, 404 for all else, no exception's text, and rooms are closed at the end."""
    listening, room = listen("127.0.0.1", 0), Room()
    server = PublicServer(listening, [room])
    await server.start()
    base = f"http://127.0.0.1:{listening.getsockname()[1]}"
    async with aiohttp.ClientSession() as http:
        answers = {}
        for path in ("/healthz", "/later", "/never", "/broken", "/worker/v1/session", "/metrics"):
            async with http.get(base + path) as answer:
                answers[path] = (answer.status, await answer.text())
                assert "secret" not in answers[path][1]
                assert "xoxb" not in answers[path][1]
                if path == "/later":
                    assert answer.headers["Retry-After"] == "2"
    await server.stop()
    statuses = [status for status, _ in answers.values()]
    assert statuses == [200, 503, 422, 500, 404, 404]
    assert answers["/never"][1] == "It said no. Ask again."
    assert room.closed
    listening.close()


def test_an_address_in_use_is_told_by_its_setting() -> None:
    """Which of the two listeners it is."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(ConfigError) as caught:
            listen("127.0.0.1", taken.getsockname()[1], setting="DEVFLOW_PUBLIC_LISTEN")
        assert caught.value.faults[0].startswith("DEVFLOW_PUBLIC_LISTEN: cannot listen on 127.0.0.1:")
