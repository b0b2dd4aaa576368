"""git over smart HTTP: who may read or push is decided here, the work is done by `git http-backend`.

Requests of git clients come from the server; their bodies are piped to the backend, its answer is streamed back.
https://git-scm.com/docs/git-http-backend, https://git-scm.com/docs/http-protocol
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import structlog
from aiohttp import web

from slackbot.sandbox.github.git_process import git_environment
from slackbot.sandbox.github.rest_base import Caller, base_of, caller_by_token
from slackbot.sandbox.github.store import RepositoryRow
from slackbot.sandbox.github.world import World

log = structlog.get_logger()

_SERVICES = ("git-upload-pack", "git-receive-pack")
_CHUNK_BYTES = 65_536
_HEADER_LIMIT_BYTES = 65_536
_STDERR_KEPT_BYTES = 4096
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="GitHub"'}


class GitHttp:
    """Serves `/{owner}/{name}.git/...`, with or without `.git`, as GitHub does."""

    def __init__(self, world: World) -> None:
        self._world = world

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/{owner}/{name}/info/refs", self._info_refs)
        app.router.add_post("/{owner}/{name}/{service:git-upload-pack|git-receive-pack}", self._service)

    async def _info_refs(self, request: web.Request) -> web.StreamResponse:
        service = request.query.get("service", "")
        if service not in _SERVICES:
            return _said(403, "Please upgrade your git client.\nGitHub speaks the smart HTTP protocol only.")
        return await self._serve(request, service, "info/refs")

    async def _service(self, request: web.Request) -> web.StreamResponse:
        service = request.match_info["service"]
        if request.content_type != f"application/x-{service}-request":
            return _said(415, "Unsupported media type")
        return await self._serve(request, service, service)

    async def _serve(self, request: web.Request, service: str, path: str) -> web.StreamResponse:
        push = service == "git-receive-pack"
        allowed = self._admit(request, push)
        if isinstance(allowed, web.StreamResponse):
            return allowed
        row, caller = allowed
        if not push or request.method != "POST":
            return await self._backend(request, row, caller, path)
        followed = False

        async def follow() -> None:
            nonlocal followed
            await asyncio.shield(self._world.after_push(row))
            followed = True

        try:
            # Before the answer ends, so that whoever pushed finds the pull request moved.
            return await self._backend(request, row, caller, path, before_end=follow)
        finally:
            if not followed:
                # The client left, but its refs may have moved.
                await asyncio.shield(self._world.after_push(row))

    def _admit(self, request: web.Request, push: bool) -> tuple[RepositoryRow, Caller] | web.StreamResponse:
        """The repository and who asks, or the refusal, worded and numbered as GitHub's."""
        caller = self._caller(request.headers.get("Authorization", ""))
        if caller is None:
            return _said(401, "Invalid username or token.", _CHALLENGE)
        name = request.match_info["name"].removesuffix(".git")
        full_name = f"{request.match_info['owner']}/{name}"
        row = self._world.store.repository(full_name)
        if row is None and (moved := self._world.store.renamed(full_name)) is not None:
            if request.method == "GET":
                where = f"{base_of(request)}/{moved.full_name}.git/info/refs?{request.query_string}"
                return web.Response(status=301, headers={"Location": where})
            row = moved
        hidden = row is None or (row.private and not caller.reaches(row))
        if caller.kind == "anonymous" and (hidden or push):
            # git sends no credentials before it is asked for them.
            return _said(401, "Authentication required.", _CHALLENGE)
        if row is None or hidden:
            return _said(404, "Repository not found.")
        if push and row.archived:
            return _said(403, "This repository was archived so it is read-only.")
        if push and not (caller.reaches(row) and caller.may("contents", "write")):
            return _said(403, f"Permission to {row.full_name}.git denied to {self._world.app_login}.")
        if row.private and not caller.may("contents", "read"):
            return _said(403, f"Permission to {row.full_name}.git denied to {self._world.app_login}.")
        return row, caller

    def _caller(self, header: str) -> Caller | None:
        """None when credentials were sent and are no good."""
        if not header:
            return Caller()
        scheme, _, encoded = header.partition(" ")
        try:
            _, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return caller_by_token(self._world, password) if scheme.lower() == "basic" and colon else None

    async def _backend(
        self,
        request: web.Request,
        row: RepositoryRow,
        caller: Caller,
        path: str,
        before_end: Callable[[], Awaitable[None]] | None = None,
    ) -> web.StreamResponse:
        git = self._world.git(row)
        configuration = {
            "http.receivepack": "true",
            "receive.hideRefs": "refs/pull",
            "transfer.hideRefs": "refs/devflow-import",
            "uploadpack.allowFilter": "true",
            "uploadpack.allowAnySHA1InWant": "true",
            "core.hooksPath": str(self._world.hooks_directory),
            "receive.autogc": "false",
        }
        environment = git_environment(
            GIT_PROJECT_ROOT=str(git.path.parent),
            GIT_HTTP_EXPORT_ALL="1",
            PATH_INFO=f"/{git.path.name}/{path}",
            REQUEST_METHOD=request.method,
            QUERY_STRING=request.query_string,
            CONTENT_TYPE=request.headers.get("Content-Type", ""),
            REMOTE_ADDR=request.remote or "",
            SANDBOX_PROTECTED_BRANCHES=" ".join(self._world.store.reviews.protected_branches(row.id)),
            SANDBOX_MAY_CHANGE_WORKFLOWS="1" if caller.may("workflows", "write") else "0",
            **_as_environment(configuration),
        )
        # CONTENT_LENGTH and HTTP_CONTENT_ENCODING stay unset: aiohttp has already undone both.
        if protocol := request.headers.get("Git-Protocol", ""):
            environment["GIT_PROTOCOL"] = protocol
        process = await asyncio.create_subprocess_exec(
            *("git", "http-backend"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        feeding = asyncio.create_task(_feed(request, process))
        listening = asyncio.create_task(_drain(process))
        try:
            response = await _answer(request, process, before_end)
            await process.wait()
            said = await listening
            if process.returncode:
                log.warning("git_http_backend_failed", repository=row.full_name, said=said)
            return response
        finally:
            # Killed before anything is awaited, for the wait may be cancelled as well. The backend's children
            # outlive it when only it is killed; its group takes them all.
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            for task in (feeding, listening):
                task.cancel()
            await asyncio.gather(feeding, listening, process.wait(), return_exceptions=True)


async def _feed(request: web.Request, process: asyncio.subprocess.Process) -> None:
    if process.stdin is None:
        return
    with suppress(BrokenPipeError, ConnectionResetError):
        async for chunk in request.content.iter_chunked(_CHUNK_BYTES):
            process.stdin.write(chunk)
            await process.stdin.drain()
    process.stdin.close()


async def _drain(process: asyncio.subprocess.Process) -> str:
    """All of stderr is read, lest the backend blocks; its end is kept."""
    kept = b""
    while process.stderr is not None and (chunk := await process.stderr.read(_CHUNK_BYTES)):
        kept = (kept + chunk)[-_STDERR_KEPT_BYTES:]
    return kept.decode(errors="replace").strip()


async def _answer(
    request: web.Request, process: asyncio.subprocess.Process, before_end: Callable[[], Awaitable[None]] | None
) -> web.StreamResponse:
    """The backend's CGI answer: header lines, an empty line, the body."""
    if process.stdout is None:
        raise RuntimeError("git http-backend was started without a pipe")
    response = web.StreamResponse(status=200)
    size = 0
    while (line := (await process.stdout.readline()).rstrip(b"\r\n")) and size < _HEADER_LIMIT_BYTES:
        size += len(line)
        name, _, value = line.decode("latin-1").partition(":")
        if name.lower() == "status":
            response.set_status(int(value.split()[0]))
        else:
            response.headers[name] = value.strip()
    if size == 0:
        return _said(500, "git http-backend gave no answer")
    await response.prepare(request)
    while chunk := await process.stdout.read(_CHUNK_BYTES):
        await response.write(chunk)
    await process.wait()
    if before_end is not None:
        await before_end()
    await response.write_eof()
    return response


def _as_environment(configuration: Mapping[str, str]) -> dict[str, str]:
    """https://git-scm.com/docs/git-config#Documentation/git-config.txt-GITCONFIGCOUNT"""
    pairs = {"GIT_CONFIG_COUNT": str(len(configuration))}
    for index, (key, value) in enumerate(configuration.items()):
        pairs |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    return pairs


def _said(status: int, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """git shows a text/plain body to the person, each line after `remote:`."""
    return web.Response(status=status, text=text + "\n", headers=headers)
