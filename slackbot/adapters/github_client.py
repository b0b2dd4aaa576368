"""PyGithub made safe for several threads: clients, the App's JWT, installation tokens; and a small cache.

`adapters/github.py` runs its calls in threads and takes from here one client per thread and installation.
Data goes to GitHub's REST API. Keys and tokens stay in here.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import structlog
from github import Auth, Github, GithubException, GithubIntegration
from github.GithubException import BadCredentialsException
from urllib3.util import Retry

from slackbot.core.errors import ConfigError

log = structlog.get_logger()
T = TypeVar("T")
K = TypeVar("K")

REQUEST_TIMEOUT_SECONDS = 10
"""For connecting and for each read. PyGithub takes whole seconds only."""

_JWT_LIFETIME_SECONDS = 540
_JWT_KEPT_SECONDS = 240
_TOKEN_MARGIN_SECONDS = 300
_CLIENTS_PER_THREAD = 32
_NEEDED_PERMISSIONS = {"contents": "write", "metadata": "read", "pull_requests": "write"}
_OWN_PERMISSIONS = {**_NEEDED_PERMISSIONS, "actions": "read", "checks": "read", "statuses": "read"}
"""With what the App cannot do without, what it takes to tell of CI; an App without those is used as it is."""


def web_host(api_url: str) -> str:
    """The `host[:port]` under which people see the repositories that `api_url` serves.

    `https://api.github.com` -> `github.com`, `https://api.acme.ghe.com` -> `acme.ghe.com`; GitHub Enterprise
    Server and the sandbox serve both from one host (`https://HOST/api/v3`).
    https://docs.github.com/en/enterprise-cloud@latest/admin/data-residency/network-details-for-ghecom
    """
    parts = urlsplit(api_url)
    host = parts.netloc.rpartition("@")[2].lower()
    return host if parts.path.rstrip("/") else host.removeprefix("api.")


class _AppAuth(Auth.AppAuth):
    """The App's JWT, signed once for some minutes: a signature costs 31 ms, and every thread needs one.

    https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app
    """

    def __init__(self, app_id: int | str, private_key: str) -> None:
        super().__init__(app_id, private_key, jwt_expiry=_JWT_LIFETIME_SECONDS)
        self._lock = threading.Lock()
        self._jwt = ""
        self._jwt_at = float("-inf")

    def create_jwt(self, expiration: int | None = None) -> str:
        with self._lock:
            now = time.time()
            if not 0 <= now - self._jwt_at < _JWT_KEPT_SECONDS:
                self._jwt, self._jwt_at = super().create_jwt(expiration), now
            return self._jwt

    def forget(self) -> None:
        with self._lock:
            self._jwt_at = float("-inf")

    def __repr__(self) -> str:
        return f"<App {self.app_id}>"


class _InstallationAuth(Auth.Auth):
    """Asks for the installation's present token at every request, so that all threads share one."""

    def __init__(self, installation_id: int, current_token: Callable[[int], str]) -> None:
        self._installation_id = installation_id
        self._current_token = current_token

    @property
    def token_type(self) -> str:
        return "token"

    @property
    def token(self) -> str:
        return self._current_token(self._installation_id)

    def __repr__(self) -> str:
        return f"<installation {self._installation_id}>"


class _ThreadClients(threading.local):
    """This thread's own: PyGithub mixes up the answers of two threads on one connection (its issue 1257)."""

    def __init__(self) -> None:
        self.by_installation: OrderedDict[int, Github] = OrderedDict()
        self.app: GithubIntegration | None = None


class GithubConnection:
    """Clients and tokens of one GitHub App. Every method blocks: call it from a worker thread only."""

    def __init__(
        self,
        *,
        api_url: str,
        app_id: int | str,
        private_key: str,
        seconds_between_requests: float | None,
        seconds_between_writes: float | None,
    ) -> None:
        # PyGithub logs whole answers at DEBUG, and the answer that mints a token holds the token.
        logger = logging.getLogger("github.Requester")
        logger.setLevel(max(logger.level, logging.INFO))
        is_github = web_host(api_url) == "github.com"
        self._api_url = api_url.rstrip("/")
        if not str(app_id).strip():
            raise ConfigError(["GITHUB_APP_ID is empty"])
        try:
            self._auth = _AppAuth(app_id, private_key)
            self._auth.create_jwt()
        except Exception:
            # The cause is dropped on purpose: it may quote the key.
            raise ConfigError(["GITHUB_APP_PRIVATE_KEY is not an RSA private key in PEM form"]) from None
        # What GitHub asks of integrations: https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
        self._spacing: dict[str, Any] = {
            "seconds_between_requests": (0.25 if is_github else 0.0)
            if seconds_between_requests is None
            else seconds_between_requests,
            "seconds_between_writes": (1.0 if is_github else 0.0)
            if seconds_between_writes is None
            else seconds_between_writes,
        }
        self._local = _ThreadClients()
        self._all_clients: set[Github | GithubIntegration] = set()
        self._lock = threading.Lock()
        self._tokens: dict[int, tuple[str, int]] = {}
        self._mint_locks: dict[int, threading.Lock] = {}

    def app(self) -> GithubIntegration:
        """This thread's client that speaks as the App."""
        if self._local.app is None:
            # Everything asked as the App may be repeated, minting included.
            client = GithubIntegration(**self._options(self._auth, repeat={"GET", "POST"}))
            self._local.app = client
            with self._lock:
                self._all_clients.add(client)
        return self._local.app

    def as_installation(self, installation_id: int, call: Callable[[Github], T]) -> T:
        """Runs `call` with this thread's client of the installation; once more when its token was revoked."""
        try:
            return call(self._client(installation_id))
        except BadCredentialsException:
            with self._lock:
                self._tokens.pop(installation_id, None)
            return call(self._client(installation_id))

    def mint(self, installation_id: int, permissions: dict[str, str], repository: str | None = None) -> tuple[str, int]:
        """A new installation token -> (token, expiry in Unix seconds), for one repository when it is named.

        https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app
        """
        wanted: dict[str, Any] = {"permissions": permissions}
        if repository is not None:
            wanted["repositories"] = [repository]
        path = f"/app/installations/{installation_id}/access_tokens"
        _, answer = self.app().requester.requestJsonAndCheck("POST", path, input=wanted)
        return str(answer["token"]), int(datetime.fromisoformat(answer["expires_at"]).timestamp())

    def forget_jwt(self) -> None:
        """After a refused JWT: sign a new one next time (the clock may have been set)."""
        self._auth.forget()

    def close(self) -> None:
        with self._lock:
            clients, self._all_clients = self._all_clients, set()
            self._tokens.clear()
        for client in clients:
            client.close()

    def _client(self, installation_id: int) -> Github:
        clients = self._local.by_installation
        if installation_id not in clients:
            auth = _InstallationAuth(installation_id, self._installation_token)
            clients[installation_id] = Github(**self._options(auth, repeat={"GET"}))
            with self._lock:
                self._all_clients.add(clients[installation_id])
            if len(clients) > _CLIENTS_PER_THREAD:
                _, oldest = clients.popitem(last=False)
                with self._lock:
                    self._all_clients.discard(oldest)
                oldest.close()
        clients.move_to_end(installation_id)
        return clients[installation_id]

    def _installation_token(self, installation_id: int) -> str:
        with self._lock:
            mint_lock = self._mint_locks.setdefault(installation_id, threading.Lock())
        with mint_lock:
            token, expires_at = self._tokens.get(installation_id, ("", 0))
            if expires_at - time.time() < _TOKEN_MARGIN_SECONDS:
                token, expires_at = self._mint_own(installation_id)
                self._tokens[installation_id] = token, expires_at
            return token

    def _mint_own(self, installation_id: int) -> tuple[str, int]:
        try:
            return self.mint(installation_id, _OWN_PERMISSIONS)
        except GithubException as error:
            if error.status != 422:
                raise
            log.warning("github_ci_permissions_missing", installation_id=installation_id)
            return self.mint(installation_id, _NEEDED_PERMISSIONS)

    def _options(self, auth: Auth.Auth, repeat: set[str]) -> dict[str, Any]:
        # Rate limits are not waited out here: the engine is told how long to wait, and the thread is free.
        # A request that never left is repeated whatever its method; one whose outcome is unknown only when
        # repeating is harmless.
        retry = Retry(
            total=2,
            allowed_methods=repeat,
            status_forcelist=(500, 502, 503, 504),
            backoff_factor=0.2,
            respect_retry_after_header=False,
            raise_on_status=False,
        )
        return {
            "auth": auth,
            "base_url": self._api_url,
            "timeout": REQUEST_TIMEOUT_SECONDS,
            "user_agent": "devflow",
            "per_page": 100,
            "retry": retry,
            "lazy": True,
            **self._spacing,
        }


class Fresh(Generic[K, T]):
    """Keeps what `load` returned for `kept_seconds`, for at most `entries` keys.

    Callers who ask at once share one flight; errors are not kept.
    """

    def __init__(self, kept_seconds: float, entries: int) -> None:
        self._kept_seconds = kept_seconds
        self._entries = entries
        self._values: OrderedDict[K, tuple[float, T]] = OrderedDict()
        self._flights: dict[K, asyncio.Task[T]] = {}

    async def get(self, key: K, load: Callable[[], Awaitable[T]]) -> T:
        loop = asyncio.get_running_loop()
        kept = self._values.get(key)
        if kept is not None and loop.time() - kept[0] < self._kept_seconds:
            return kept[1]
        flight = self._flights.get(key)
        if flight is None:
            flight = loop.create_task(self._fly(key, load))
            self._flights[key] = flight
            # A flight whose callers were all cancelled still ends quietly.
            flight.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(flight)

    async def _fly(self, key: K, load: Callable[[], Awaitable[T]]) -> T:
        try:
            value = await load()
        finally:
            del self._flights[key]
        self._values[key] = asyncio.get_running_loop().time(), value
        self._values.move_to_end(key)
        while len(self._values) > self._entries:
            self._values.popitem(last=False)
        return value

    async def settle(self) -> None:
        await asyncio.gather(*self._flights.values(), return_exceptions=True)
