"""The stand-in of GitHub: one aiohttp server for REST (`/api/v3`), git over HTTP and pages, kept in one directory.

The sandbox and the tests start it; the bot's adapter, workers' git and browsers talk to it. Loopback only.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from slackbot.core.repository_name import RepositoryName
from slackbot.sandbox.github.git_commands import NewCommit
from slackbot.sandbox.github.git_http import GitHttp
from slackbot.sandbox.github.graphql_route import GraphqlRoute
from slackbot.sandbox.github.happenings import Happening
from slackbot.sandbox.github.pages import Pages
from slackbot.sandbox.github.rest_app import AppRoutes
from slackbot.sandbox.github.rest_base import API_PREFIX
from slackbot.sandbox.github.rest_checks import CheckRoutes
from slackbot.sandbox.github.rest_contents import ContentRoutes
from slackbot.sandbox.github.rest_guard import RestGuard
from slackbot.sandbox.github.rest_pulls import PullRoutes
from slackbot.sandbox.github.rest_repositories import RepositoryRoutes
from slackbot.sandbox.github.rest_reviews import ReviewRoutes
from slackbot.sandbox.github.reviewing import Reviewing
from slackbot.sandbox.github.store import RepositoryRow
from slackbot.sandbox.github.webhook_sender import WebhookSender
from slackbot.sandbox.github.world import World

_LOOPBACK = re.compile(r"(?:127(?:\.[0-9]{1,3}){3}|localhost|\[::1\])(?::[0-9]{1,5})?\Z", re.IGNORECASE)
_JSON_LIMIT_BYTES = 4 * 1024 * 1024
_KEY_BITS = 2048


class GithubStandIn:
    """`start()` it, use `url` and `api_url`, `stop()` it; a second start on the same `state_dir` goes on.

    `private_key_pem` is the App's key: read from `state_dir`, or made there (mode 0600) when none is given.
    `clock` gives Unix seconds. `requests_per_hour` is the rate limit of each token. `middlewares` run outermost
    (tests put faults there). A port in use is the OSError of the operating system.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        app_id: str = "1",
        app_slug: str = "devflow-sandbox",
        private_key_pem: str | None = None,
        clock: Callable[[], float] = time.time,
        requests_per_hour: int = 100_000,
        middlewares: Sequence[Any] = (),
    ) -> None:
        self._state_dir = state_dir
        self._host = host
        self._port = port
        self._given_key = private_key_pem
        self._requests_per_hour = requests_per_hour
        self._middlewares = middlewares
        self._runner: web.AppRunner | None = None
        self.app_id = app_id
        self.world = World(state_dir, app_id=app_id, app_slug=app_slug, clock=clock)
        self.reviewing = Reviewing(self.world)
        self.world.listeners.append(self._ci_begins)
        self._webhook: WebhookSender | None = None
        self.private_key_pem = ""

    @property
    def url(self) -> str:
        """Where people and git go, without a slash at the end."""
        return f"http://{self._host}:{self._port}"

    @property
    def api_url(self) -> str:
        """What GITHUB_API_URL is set to."""
        return self.url + API_PREFIX

    async def start(self) -> None:
        key = await asyncio.to_thread(_load_key, self._given_key, self._state_dir / "app-key.pem")
        self.private_key_pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        ).decode()
        guard = RestGuard(self.world, key.public_key(), self._requests_per_hour)
        app = web.Application(
            middlewares=[_loopback_only, *self._middlewares, guard.middleware], client_max_size=_JSON_LIMIT_BYTES
        )
        for rooms in (
            AppRoutes(self.world, guard),
            RepositoryRoutes(self.world),
            PullRoutes(self.world),
            ReviewRoutes(self.world, self.reviewing),
            CheckRoutes(self.world),
            ContentRoutes(self.world),
            GraphqlRoute(self.world, guard, self.reviewing),
            GitHttp(self.world),
            Pages(self.world, self.reviewing),
        ):
            rooms.add_to(app)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=2.0)
        await runner.setup()
        site = web.TCPSite(runner, self._host, self._port)
        try:
            await site.start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self._port = runner.addresses[0][1]

    def send_webhooks(self, url: str, secret: str) -> None:
        """From now on what happens is sent there, signed as GitHub signs. Call it after `start`."""
        self._webhook = WebhookSender(self.world, url, secret, lambda: self.url)
        self.world.webhook_url = url
        self.world.listeners.append(self._webhook.listen)
        self._webhook.start()

    async def stop(self) -> None:
        """Ends requests under way (2 s at most) and closes the store; harmless when it never started."""
        if self._webhook is not None:
            await self._webhook.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self.world.close()

    # ------------------------------------------------------------------------------ repositories

    async def create_repository(
        self,
        full_name: str,
        *,
        files: Mapping[str, str | bytes] | None = None,
        commits: Sequence[NewCommit] = (),
        private: bool = False,
        archived: bool = False,
        empty: bool = False,
        installed: bool = True,
        default_branch: str = "main",
        description: str = "",
    ) -> RepositoryRow:
        """Makes a repository; with neither `files` nor `commits` nor `empty` it has one commit with a README."""
        if not (commits or empty):
            readme = {"README.md": f"# {full_name.split('/', 1)[1]}\n"}
            first = NewCommit("Begin", dict(files if files is not None else readme), at=self.world.now())
            commits = [first]
        return await self.world.create_repository(
            full_name,
            commits=commits,
            private=private,
            archived=archived,
            installed=installed,
            default_branch=default_branch,
            description=description,
        )

    async def import_repository(self, path: Path, full_name: str | None = None) -> RepositoryRow:
        """Offers a git repository of this machine, as `local/NAME` unless named; see `World.import_repository`."""
        return await self.world.import_repository(path, full_name or f"local/{local_name(path)}")

    async def commit_files(
        self, full_name: str, branch_name: str, files: Mapping[str, str | bytes | None], message: str
    ) -> str:
        """Adds a commit to a branch, as if someone had pushed it, and returns its id. A file that is None goes."""
        row = self._repository(full_name)
        commit = NewCommit(message, dict(files), at=self.world.now())
        sha = await self.world.git(row).commit_files(branch_name, [commit])
        await self.world.after_push(row)
        return sha

    def set_installed(self, full_name: str, installed: bool) -> None:
        """Installs the App on the repository, or removes it."""
        self.world.store.set_repository(self._repository(full_name).id, installed=installed)

    def set_archived(self, full_name: str, archived: bool) -> None:
        self.world.store.set_repository(self._repository(full_name).id, archived=archived)

    def rename_repository(self, full_name: str, new_name: str) -> None:
        """`owner/new_name` from now on; the old name redirects, as on GitHub."""
        row = self._repository(full_name)
        renamed = RepositoryName(row.account.login, new_name)
        self.world.store.rename(row.id, row.full_name, renamed.full_name)

    def repositories(self) -> list[RepositoryRow]:
        return self.world.store.repositories()

    def _ci_begins(self, happening: Happening) -> None:
        begins = happening.event == "pull_request" and happening.action in {"opened", "reopened", "synchronize"}
        if begins and happening.pull is not None:
            self.reviewing.begin_checks(happening.repository, happening.pull.head_sha)

    def _repository(self, full_name: str) -> RepositoryRow:
        found = self.world.store.repository(full_name)
        if found is None:
            raise LookupError(f"The sandbox has no repository {full_name}.")
        return found


def local_name(path: Path) -> str:
    """A directory's name as a repository name: other characters become `-`."""
    resolved = path.resolve()
    plain = resolved.parent.name if resolved.name == ".git" else resolved.name
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", plain.removesuffix(".git")).strip("-.")[:100]
    return name or "repository"


@web.middleware
async def _loopback_only(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """A page on the internet that points its own name here (DNS rebinding) gets nothing: its Host is not ours."""
    if not _LOOPBACK.match(request.headers.get("Host", "")):
        return web.Response(status=421, text="The sandbox answers to 127.0.0.1 and localhost only.\n")
    return await handler(request)


def _load_key(given_pem: str | None, path: Path) -> rsa.RSAPrivateKey:
    if given_pem is None and not path.exists():
        made = rsa.generate_private_key(public_exponent=65_537, key_size=_KEY_BITS)
        pem = made.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        unfinished = path.with_suffix(".part")
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
        unfinished.replace(path)
    pem = given_pem.encode() if given_pem else path.read_bytes()
    # Validation costs 30 ms at every start, and this key is our own.
    key = serialization.load_pem_private_key(pem, password=None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("The App's key must be an RSA key.")
    return key
