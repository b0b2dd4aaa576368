"""One HTTP session to Slack, and two Web API clients on it: one that never repeats a call, one that may.

Made by `slack.py`; every call of the Slack adapters goes through `SlackConnection.call`, which turns whatever
fails into the errors of `core.errors`.
"""

from __future__ import annotations

import ipaddress
import logging
import random
import urllib.request
from collections.abc import Awaitable, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.http_retry.async_handler import AsyncRetryHandler
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncRateLimitErrorRetryHandler,
    AsyncServerErrorRetryHandler,
)
from slack_sdk.http_retry.builtin_interval_calculators import BackoffRetryIntervalCalculator
from slack_sdk.http_retry.jitter import Jitter
from slack_sdk.http_retry.request import HttpRequest
from slack_sdk.http_retry.response import HttpResponse
from slack_sdk.http_retry.state import RetryState
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from slackbot.adapters.slack_errors import FOREIGN_ERRORS, translate
from slackbot.core.errors import TemporaryError

DEFAULT_API_URL = "https://slack.com/api/"
_LONGEST_RATE_LIMIT_WAIT_SECONDS = 10


class _BoundedRateLimitRetryHandler(AsyncRateLimitErrorRetryHandler):
    """Waits as `Retry-After` says, but never longer than ten seconds: whoever asked can plan better."""

    async def _can_retry_async(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> bool:
        if response is None or response.status_code != 429:
            return False
        named = {name.lower(): value for name, value in response.headers.items()}
        asked = named.get("retry-after", ["1"])[0]
        return asked.isdigit() and int(asked) <= _LONGEST_RATE_LIMIT_WAIT_SECONDS


class _HalfJitter(Jitter):
    """Between half and the whole of the pause; the SDK's own adds up to a second, whatever the pause."""

    def recalculate(self, duration: float) -> float:
        return duration * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, guards nothing


class SlackConnection:
    """The session (to be made inside a running event loop, and closed) with `posting` and `reading` on it.

    `posting` sends each call once. `reading` repeats: rate limits and server errors twice, broken connections once.
    """

    def __init__(
        self,
        token: str,
        api_url: str,
        *,
        total_seconds: float,
        connect_seconds: float,
        retry_interval_seconds: float,
    ) -> None:
        self.api_url = api_url if api_url.endswith("/") else api_url + "/"
        self.token = token
        self.session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=total_seconds, connect=connect_seconds)
        )
        interval = BackoffRetryIntervalCalculator(backoff_factor=retry_interval_seconds, jitter=_HalfJitter())
        self.posting = self._client([])
        self.reading = self._client(
            [
                AsyncConnectionErrorRetryHandler(max_retry_count=1, interval_calculator=interval),
                _BoundedRateLimitRetryHandler(max_retry_count=2),
                AsyncServerErrorRetryHandler(max_retry_count=2, interval_calculator=interval),
            ]
        )

    def _client(self, handlers: list[AsyncRetryHandler]) -> AsyncWebClient:
        client = AsyncWebClient(
            token=self.token,
            base_url=self.api_url,
            session=self.session,
            retry_handlers=handlers,
            logger=_sdk_logger(),
        )
        client.proxy = proxy_for(self.api_url, client.proxy)
        return client

    def tokenless_client(self) -> AsyncWebClient:
        """A reading client for Bolt, which puts the token in itself."""
        client = self._client(list(self.reading.retry_handlers))
        client.token = None
        return client

    async def call(self, method: str, request: Awaitable[AsyncSlackResponse]) -> Mapping[str, Any]:
        """The answer of one call, as a mapping; every failure as a `DevflowError`. `method` is for its words."""
        try:
            if self.session.closed:
                # slack_sdk would open a session of its own, which nobody closes.
                _discard(request)
                raise TemporaryError(f"DevFlow is closing; {method} was not sent.")
            response = await request
        except FOREIGN_ERRORS as error:
            raise translate(error, method) from error
        data = response.data
        return data if isinstance(data, Mapping) else {}

    async def close(self) -> None:
        await self.session.close()


def _sdk_logger() -> logging.Logger:
    logger = logging.getLogger("devflow.slack_web")
    # Below INFO slack_sdk writes out every message; with no level of its own it prepares those lines for nobody.
    logger.setLevel(logging.INFO)
    return logger


def _discard(request: Awaitable[AsyncSlackResponse]) -> None:
    close = getattr(request, "close", None)
    if close is not None:
        close()


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def proxy_for(url: str, proxy: str | None) -> str | None:
    """The proxy for `url`: slack_sdk takes the environment's, but knows no NO_PROXY and no loopback."""
    host = urlsplit(url).hostname or ""
    if proxy is None or is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    return proxy
