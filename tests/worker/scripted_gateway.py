"""A gateway for the worker's tests that speaks slackbot.worker_protocol and does what the test says.

The test puts turns into it and reads what the worker told it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from slackbot.worker_protocol import (
    ANSWER_PATH,
    CANCEL_PATH,
    GITHUB_TOKEN_PATH,
    LEAVING_PATH,
    NEXT_TURN_PATH,
    PERMISSION_PATH,
    PROGRESS_PATH,
    PUSHING_PATH,
    READY_PATH,
    SESSION_PATH,
    Answer,
    ErrorReply,
    GithubToken,
    Leaving,
    Progress,
    ProgressReply,
    Push,
    SessionInfo,
    TurnWork,
    WireModel,
    read,
    written,
)
from tests.ports import lasting_port

WORKER_TOKEN = "worker-token-0123456789abcdef"
POLL_SECONDS = 0.3


class ScriptedGateway:
    """`turns` are handed out in order; `answers`, `progress`, `pushes`, `leaving` are what came in.

    `status_of[NAME]` makes a call (session, next, progress, answer, ...) answer with that status instead,
    `once[NAME]` only the next one.
    """

    def __init__(self, session: SessionInfo, github_token: str) -> None:
        self.session = session
        self.github_token = github_token
        self.turns: asyncio.Queue[TurnWork] = asyncio.Queue()
        self.answers: list[tuple[str, Answer]] = []
        self.progress: list[tuple[str, Progress, float]] = []
        self.leaving: list[Leaving] = []
        self.pushes: list[tuple[str, Push]] = []
        self.calls: list[str] = []
        self.cancel: set[str] = set()
        self.tells_cancel = False
        """Whether it has the long poll for cancels; an older gateway has not."""
        self.status_of: dict[str, int] = {}
        self.once: dict[str, int] = {}
        self.port = 0
        self._changed = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def start(self, port: int = 0) -> None:
        app = web.Application(client_max_size=8 << 20)
        app.router.add_get(SESSION_PATH, self._answer("session", lambda _: self._session()))
        app.router.add_post(READY_PATH, self._answer("ready", lambda _: None))
        app.router.add_post(GITHUB_TOKEN_PATH, self._answer("token", lambda _: self._token()))
        app.router.add_post(NEXT_TURN_PATH, self._next)
        app.router.add_post(PROGRESS_PATH, self._answer("progress", self._on_progress))
        app.router.add_post(CANCEL_PATH, self._watch_cancel)
        app.router.add_post(PERMISSION_PATH, self._ask)
        app.router.add_post(PUSHING_PATH, self._answer("pushing", self._on_pushing))
        app.router.add_post(ANSWER_PATH, self._answer("answer", self._on_answer))
        app.router.add_post(LEAVING_PATH, self._answer("leaving", self._on_leaving))
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port or self.port or lasting_port())
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def give(self, prompt: str, turn_id: str = "C1:1.0001", **more: Any) -> str:
        """Puts a turn up; gives its id."""
        self.turns.put_nowait(TurnWork(turn_id=turn_id, prompt=prompt, user_id="U0ADA", user_name="Ada L.", **more))
        return turn_id

    async def until(self, condition: Callable[[], Any], seconds: float = 60.0) -> Any:
        """Waits until `condition` is true of what has come in; gives its value."""
        deadline = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            left = deadline - time.monotonic()
            assert left > 0, f"it did not come to that; calls: {self.calls[-20:]}, answers: {self.answers}"
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), min(left, 0.05))
            except TimeoutError:
                continue

    async def answer_to(self, turn_id: str = "C1:1.0001") -> Answer:
        """The answer to a turn, once it is there."""
        found = await self.until(lambda: [answer for key, answer in self.answers if key == turn_id])
        return found[-1]

    def _answer(self, name: str, handle: Callable[[web.Request], Any]) -> Any:
        async def handler(request: web.Request) -> web.Response:
            refused = self._begin(name, request)
            if refused is not None:
                return refused
            request["body"] = await request.read()
            reply = handle(request)
            self._changed.set()
            if isinstance(reply, WireModel):
                return _json(reply)
            return web.json_response({})

        return handler

    def _begin(self, name: str, request: web.Request) -> web.Response | None:
        self.calls.append(name)
        self._changed.set()
        if request.headers.get("Authorization") != f"Bearer {WORKER_TOKEN}":
            return _json(ErrorReply(error="Wrong token."), status=401)
        status = self.once.pop(name, None) or self.status_of.get(name)
        if status is not None:
            return _json(ErrorReply(error=f"Scripted {status}."), status=status)
        return None

    def _session(self) -> SessionInfo:
        return self.session

    def _token(self) -> GithubToken:
        return GithubToken(token=self.github_token, expires_at=int(time.time()) + 3600)

    async def _next(self, request: web.Request) -> web.Response:
        refused = self._begin("next", request)
        if refused is not None:
            return refused
        try:
            turn = await asyncio.wait_for(self.turns.get(), POLL_SECONDS)
        except TimeoutError:
            return web.Response(status=204)
        return _json(turn)

    def _on_progress(self, request: web.Request) -> ProgressReply:
        turn_id = request.match_info["turn_id"]
        self.progress.append((turn_id, read(request["body"], Progress), time.monotonic()))
        return ProgressReply(cancel=turn_id in self.cancel, handle="handle-1")

    def _on_pushing(self, request: web.Request) -> None:
        self.pushes.append((request.match_info["turn_id"], read(request["body"], Push)))

    async def _watch_cancel(self, request: web.Request) -> web.Response:
        if not self.tells_cancel:
            return web.json_response({"error": "There is nothing here."}, status=404)
        while request.match_info["turn_id"] not in self.cancel:
            await asyncio.sleep(0.01)
        return web.json_response({"cancel": True})

    async def _ask(self, request: web.Request) -> web.Response:
        """Nobody answers: the worker asks again."""
        refused = self._begin("permission", request)
        await asyncio.sleep(POLL_SECONDS)
        return refused or web.Response(status=204)

    def _on_answer(self, request: web.Request) -> None:
        self.answers.append((request.match_info["turn_id"], read(request["body"], Answer)))

    def _on_leaving(self, request: web.Request) -> None:
        self.leaving.append(read(request["body"], Leaving))


def _json(message: WireModel, status: int = 200) -> web.Response:
    return web.Response(body=written(message), status=status, content_type="application/json")
