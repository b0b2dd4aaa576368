"""A git remote over HTTP for the worker's tests: git http-backend behind aiohttp, with Basic auth.

Repositories lie in a directory of the test; what the worker pushes ends there.
"""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

TOKEN = "ghs_" + "1234_abcdefghijklmnopqrstuvwxyz.ABCDEFGHIJ-0123456789"


def git(repository: Path, *arguments: str, stdin: str | None = None) -> str:
    """Runs git as a person of the test would, with no configuration from outside."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(repository),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Ada",
        "GIT_AUTHOR_EMAIL": "ada@example.com",
        "GIT_COMMITTER_NAME": "Ada",
        "GIT_COMMITTER_EMAIL": "ada@example.com",
    }
    done = subprocess.run(
        ["git", *arguments], cwd=repository, env=environment, input=stdin, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class GitServer:
    """Serves `root/NAME.git`. `tokens` are those it accepts; `refuse` may look at each request's path."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tokens = {TOKEN}
        self.seen_tokens: list[str] = []
        self.before_push: list[Callable[[], None]] = []
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def __aenter__(self) -> GitServer:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}.git"

    def create(self, name: str, files: dict[str, str], branch: str = "devflow/work") -> Path:
        """A repository with one commit on main, and the working branch at the same commit."""
        bare = self.root / f"{name}.git"
        source = self.root / f"{name}-source"
        source.mkdir(parents=True)
        git(source, "init", "--quiet", "--initial-branch=main")
        for path, text in files.items():
            target = source / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        git(source, "add", "-A")
        git(source, "commit", "--quiet", "-m", "Begin")
        git(source, "branch", branch)
        git(source, "clone", "--quiet", "--bare", str(source), str(bare))
        git(bare, "config", "http.receivepack", "true")
        git(bare, "config", "receive.fsckObjects", "true")
        return bare

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        kind, _, value = request.headers.get("Authorization", "").partition(" ")
        token = base64.b64decode(value).decode().partition(":")[2] if kind == "Basic" else ""
        if token not in self.tokens:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="git"'})
        self.seen_tokens.append(token)
        if request.path.endswith("/git-receive-pack") and request.method == "POST" and self.before_push:
            self.before_push.pop(0)()
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            "REQUEST_METHOD": request.method,
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query_string,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "REMOTE_USER": "worker",
        }
        process = await asyncio.create_subprocess_exec(
            "git",
            "http-backend",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
        )
        output, _ = await process.communicate(await request.read())
        head, _, body = output.partition(b"\r\n\r\n")
        status, headers = 200, {}
        for line in head.decode().splitlines():
            name, _, text = line.partition(": ")
            if name == "Status":
                status = int(text.split()[0])
            else:
                headers[name] = text
        return web.Response(status=status, headers=headers, body=body)
