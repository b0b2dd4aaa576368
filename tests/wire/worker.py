"""A worker whose moves a test makes: a bare client of the worker protocol, with no git and no agent behind it.

It shows statuses and bodies as they come, so that tests can also say what no honest worker says.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from slackbot import worker_protocol as wp


class ScriptedWorker:
    """`environment` is what its task was started with."""

    def __init__(self, http: aiohttp.ClientSession, environment: Mapping[str, str]) -> None:
        self._http = http
        self.gateway_url = environment["DEVFLOW_GATEWAY_URL"]
        self.token = environment["DEVFLOW_WORKER_TOKEN"]

    async def call(
        self, method: str, path: str, body: Any = None, *, data: bytes | None = None, token: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        """(status, JSON body). `data` goes out as it is, `body` as JSON; `token` "" sends none."""
        token = self.token if token is None else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = URL(self.gateway_url + path, encoded=True)
        async with self._http.request(
            method, url, json=body, data=None if data is None else io.BytesIO(data), headers=headers
        ) as answer:
            return answer.status, await answer.json() if answer.content_type == "application/json" else {}

    async def ready(self) -> None:
        assert await self.call("POST", wp.READY_PATH, {}) == (200, {})

    async def next(self) -> dict[str, Any]:
        """The next turn, which must come."""
        status, body = await self.call("POST", wp.NEXT_TURN_PATH)
        assert status == 200, (status, body)
        return body

    async def progress(self, turn_id: str, **fields: Any) -> tuple[int, dict[str, Any]]:
        return await self.call("POST", turn_path(wp.PROGRESS_PATH, turn_id), fields)

    async def answer(self, turn_id: str, response: str = "Done.", outcome: str = "answered", **fields: Any) -> None:
        body = {"outcome": outcome, "response": response, **fields}
        assert await self.call("POST", turn_path(wp.ANSWER_PATH, turn_id), body) == (200, {})

    async def works(self, response: str = "Done.", **fields: Any) -> dict[str, Any]:
        """Takes the next turn and answers it; the turn as it was given."""
        work = await self.next()
        await self.answer(work["turn_id"], response, **fields)
        return work

    async def leaves(self, reason: str = "idle", detail: str = "") -> None:
        assert await self.call("POST", wp.LEAVING_PATH, {"reason": reason, "detail": detail}) == (200, {})


def turn_path(template: str, turn_id: str) -> str:
    """The address of one turn."""
    return template.replace("{turn_id}", quote(turn_id, safe=""))
