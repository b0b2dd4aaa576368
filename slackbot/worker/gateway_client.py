"""The worker's side of the worker protocol: messages of slackbot.worker_protocol over HTTP to the gateway.

Every call is safe to repeat, so whatever may pass is tried again with growing pauses. The first calls go out by
`plain_http`, so that the checkout begins before more is loaded; `load` brings `kept_http` for the rest.
"""

from __future__ import annotations

import asyncio
import importlib
import math
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import quote

from slackbot.core.errors import DevflowError, PermanentError, TemporaryError
from slackbot.worker import plain_http
from slackbot.worker.logs import log
from slackbot.worker.plain_http import NoReply, Reply, TooLarge
from slackbot.worker_protocol import (
    ANSWER_PATH,
    CANCEL_PATH,
    FILE_PATH,
    GITHUB_TOKEN_PATH,
    LEAVING_PATH,
    LONG_POLL_SECONDS,
    NEXT_TURN_PATH,
    PERMISSION_PATH,
    PROGRESS_PATH,
    PUSHING_PATH,
    READY_PATH,
    SESSION_PATH,
    SHOWN_PATH,
    STAY_PATH,
    Answer,
    ErrorReply,
    GithubToken,
    GithubTokenAsk,
    Leaving,
    NextTurn,
    PermissionAsk,
    PermissionReply,
    Progress,
    ProgressReply,
    Push,
    Ready,
    SessionInfo,
    Stay,
    StayReply,
    TurnWork,
    Unreadable,
    WireModel,
    read,
    written,
)

if TYPE_CHECKING:
    from slackbot.worker.kept_http import KeptHttp

FILE_SECONDS = 60.0
"""How long one file may take."""
CALL_SECONDS = 30.0
"""How long any call but the long poll may take."""
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 15.0

_Reply = TypeVar("_Reply", bound=WireModel)
_Result = TypeVar("_Result")


class Fenced(DevflowError):
    """This worker is no longer wanted: its session is over, or another launch has taken its place."""


class ToldToStop(DevflowError):
    """The gateway asks the worker to save and leave, or to drop what it works on."""


class GatewayClient:
    """One worker's calls. The token is sent to `base_url` alone; redirects are not followed. End it with `close`."""

    def __init__(self, base_url: str, token: str) -> None:
        self._kept: KeptHttp | None = None
        self.base_url = base_url.rstrip("/")
        self.token = token
        self._headers = {"Authorization": f"Bearer {token}"}

    async def load(self) -> KeptHttp:
        """Keeps connections from now on. What that needs is imported (a third of a second of work) beside the loop."""
        kept_http = await asyncio.to_thread(importlib.import_module, "slackbot.worker.kept_http")
        if self._kept is None:
            self._kept = kept_http.KeptHttp()
        return self._kept

    async def close(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            await kept.close()

    async def session(self) -> SessionInfo:
        """What to work on. A 409 means that the session is over."""
        try:
            return await self._expect("GET", SESSION_PATH, None, SessionInfo)
        except ToldToStop as told:
            raise Fenced(told.summary) from told

    async def ready(self, editor_port: int | None = None) -> None:
        """Tells that the checkout is there, the agent answers, and where the door to the editor is, if there is one."""
        await self._call("POST", READY_PATH, Ready(editor_port=editor_port), None)

    async def next_turn(self, *, in_editor: bool = False, unpushed_files: int = 0) -> TurnWork | None:
        """Waits for a turn; None when there was none for about LONG_POLL_SECONDS. ToldToStop for a 409."""
        seen = NextTurn(in_editor=in_editor, unpushed_files=unpushed_files)
        return await self._call("POST", NEXT_TURN_PATH, seen, TurnWork, seconds=LONG_POLL_SECONDS + 15)

    async def progress(self, turn_id: str, progress: Progress) -> ProgressReply:
        """Reports on a turn; ToldToStop when the turn is no longer this worker's."""
        return await self._expect("POST", _path(PROGRESS_PATH, turn_id), progress, ProgressReply)

    async def cancel_wished(self, turn_id: str) -> bool:
        """Waits for a person to cancel the turn; False when nobody did for about LONG_POLL_SECONDS."""
        path = _path(CANCEL_PATH, turn_id)
        reply = await self._call("POST", path, None, ProgressReply, seconds=LONG_POLL_SECONDS + 15)
        return reply is not None and reply.cancel

    async def ask_permission(self, turn_id: str, question: PermissionAsk) -> PermissionReply | None:
        """Passes on what the agent asks leave for; None when nobody has answered yet. A gateway that is away is
        asked again until it is back."""
        path = _path(PERMISSION_PATH, turn_id)

        async def call() -> PermissionReply | None:
            return await self._call("POST", path, question, PermissionReply, seconds=LONG_POLL_SECONDS + 15)

        return await patiently(call, deadline=math.inf, what="permission")

    async def file(self, turn_id: str, number: int, target: Path, limit_bytes: int) -> None:
        """Writes the file `number` of the prompt to `target`. PermanentError when it is larger than `limit_bytes`."""
        path = _path(FILE_PATH, turn_id).replace("{number}", str(number))
        kept = await self.load()
        try:
            reply = await kept.save(self.base_url + path, self._headers, target, limit_bytes, FILE_SECONDS)
        except TooLarge as error:
            raise PermanentError(f"The file is larger than {limit_bytes // 2**20} MiB.") from error
        except NoReply as error:
            raise TemporaryError(f"The gateway did not send the file ({error}).") from error
        if reply.status != 200:
            raise _refusal(reply, path)

    async def show(self, turn_id: str, name: str, content: bytes) -> None:
        """Hands a file over that the thread shall show; sent twice, it is shown once."""
        path = f"{_path(SHOWN_PATH, turn_id)}?name={quote(name, safe='')}"
        await self._call("POST", path, None, None, seconds=FILE_SECONDS, raw=content)

    async def answer(self, turn_id: str, answer: Answer) -> None:
        """Hands the answer over; ToldToStop when nobody wants it."""
        await self._call("POST", _path(ANSWER_PATH, turn_id), answer, None)

    async def pushing(self, turn_id: str, push: Push) -> None:
        """Says what is about to be pushed."""
        await self._call("POST", _path(PUSHING_PATH, turn_id), push, None)

    async def github_token(self, *, renew: bool = False) -> GithubToken:
        """A token for the session's repository; with `renew` one that nobody had before."""
        return await self._expect("POST", GITHUB_TOKEN_PATH, GithubTokenAsk(renew=renew), GithubToken)

    async def stay(self, reason: Literal["idle", "age"]) -> int:
        """How many seconds to stay though this limit is reached; 0 where the gateway cannot say: then it is kept."""
        try:
            return (await self._expect("POST", STAY_PATH, Stay(reason=reason), StayReply)).seconds
        except ToldToStop:
            raise
        except DevflowError:
            return 0

    async def leaving(self, leaving: Leaving) -> None:
        """The last word."""
        await self._call("POST", LEAVING_PATH, leaving, None)

    async def _expect(self, method: str, path: str, body: WireModel | None, reply: type[_Reply]) -> _Reply:
        result = await self._call(method, path, body, reply)
        if result is None:
            raise TemporaryError(f"The gateway gave no content for {path}.")
        return result

    async def _call(
        self,
        method: str,
        path: str,
        body: WireModel | None,
        reply: type[_Reply] | None,
        *,
        seconds: float = CALL_SECONDS,
        raw: bytes | None = None,
    ) -> _Reply | None:
        """One call. Fenced for 401, 403, 410; ToldToStop for 409; PermanentError for what a repetition
        cannot mend (400, 413, 422); TemporaryError for all else."""
        headers = dict(self._headers)
        data = raw
        if raw is not None:
            headers["Content-Type"] = "application/octet-stream"
        if body is not None:
            data = written(body)
            headers["Content-Type"] = "application/json"
        http = self._kept or plain_http
        try:
            got = await http.call(method, self.base_url + path, headers, data, seconds)
        except NoReply as error:
            raise TemporaryError(f"The gateway did not answer ({error}).") from error
        if got.status == 204 or (got.status == 200 and reply is None):
            return None
        if got.status != 200 or reply is None:
            raise _refusal(got, path)
        try:
            return read(got.body, reply)
        except Unreadable as error:
            raise TemporaryError(f"The gateway's answer to {path} could not be read ({error.place}).") from error


def _refusal(reply: Reply, path: str) -> DevflowError:
    said = _error_of(reply.body) or f"The gateway answered {reply.status} to {path.partition('?')[0]}."
    if reply.status in (401, 403, 410):
        return Fenced(said)
    if reply.status == 409:
        return ToldToStop(said)
    if reply.status in (400, 413, 422):
        return PermanentError(said)
    return TemporaryError(said, retry_after_seconds=_retry_after(reply.retry_after))


async def patiently(call: Callable[[], Awaitable[_Result]], *, deadline: float, what: str) -> _Result:
    """Repeats `call` with growing pauses while it raises TemporaryError, until `deadline` (time.monotonic)."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            return await call()
        except TemporaryError as error:
            # Full jitter: many workers that lost the same bot shall not come back in step.
            wait = max(random.uniform(pause / 2, pause), error.retry_after_seconds or 0.0)  # noqa: S311
            if time.monotonic() + wait > deadline:
                raise
            log.info("gateway_call_repeated", what=what, wait_seconds=round(wait, 2), why=error.summary)
            await asyncio.sleep(wait)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def _path(template: str, turn_id: str) -> str:
    return template.replace("{turn_id}", quote(turn_id, safe=""))


def _error_of(body: bytes) -> str:
    try:
        return read(body, ErrorReply).error[:1000]
    except Unreadable:
        return ""


def _retry_after(value: str | None) -> float | None:
    try:
        return min(float(value), 60.0) if value is not None else None
    except ValueError:
        return None
