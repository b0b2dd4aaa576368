"""HTTP to model providers: passes a call on as it comes in, and its answer back as it arrives, fed to a meter.

Shared by models_anthropic, models_openai, models_gemini and models_bedrock, which know what each provider wants.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import structlog
from yarl import URL

from slackbot.core.errors import PermanentError, TemporaryError, UsageError
from slackbot.core.model_port import ModelCall
from slackbot.core.model_usage import Meter

log = structlog.get_logger()

CONNECT_SECONDS = 15.0
SILENCE_SECONDS = 900.0
"""A model that thinks for long may say nothing for so long; a connection that is dead must end some time."""
MAX_REQUEST_BYTES = 64 * 1024 * 1024
"""More than any provider takes."""
PROBE_SECONDS = 15.0

_ASKED = ("accept", "content-type", "content-encoding", "user-agent")
_ANSWERED = ("content-type", "retry-after", "retry-after-ms", "request-id", "x-request-id", "x-should-retry")
_ANSWERED_PREFIXES = ("anthropic-ratelimit-", "x-ratelimit-", "openai-processing-ms", "x-amzn-")


def headers_for(call: ModelCall, prefixes: tuple[str, ...]) -> dict[str, str]:
    """Of the agent's headers, those the provider needs: never a credential, a cookie, or anything of a hop."""
    return {name: value for name, value in call.headers.items() if name in _ASKED or name.startswith(prefixes)}


async def read_whole(call: ModelCall) -> bytes:
    """The body, for a provider that must see all of it before it can be sent; `UsageError` when it is too large."""
    body = bytearray()
    async for data in call.body or _nothing():
        body += data
        if len(body) > MAX_REQUEST_BYTES:
            raise UsageError(f"The request is larger than {MAX_REQUEST_BYTES // 2**20} MiB.", "Send less.")
    return bytes(body)


async def _nothing() -> AsyncIterator[bytes]:
    nothing: tuple[bytes, ...] = ()
    for data in nothing:
        yield data


class ModelHttp:
    """The connections to one provider. Made without a loop; opens with the first call."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._http: aiohttp.ClientSession | None = None

    async def send(
        self,
        call: ModelCall,
        url: str,
        headers: Mapping[str, str],
        meter: Callable[[bool, Callable[[], int]], Meter],
        *,
        body: bytes | None = None,
    ) -> HttpAnswer:
        """Sends `call` to `url` with `headers` and nothing else of it but its body (or `body` in its place).

        `meter` makes the meter: whether the answer is a stream, and a function that tells how much was sent.
        """
        sent = _Counted(call, body)
        data: Any = None if call.method in ("GET", "HEAD") else body if body is not None else sent.pass_on()
        try:
            # Not followed: a redirect would carry the key to wherever it points.
            answer = await self._session().request(
                call.method,
                URL(url, encoded=True),
                data=data,
                headers={**headers, "accept-encoding": "identity"},
                allow_redirects=False,
                proxy=_proxy_of(url),
                skip_auto_headers=("User-Agent", "Content-Type"),
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise TemporaryError(
                f"The model provider {self._name} could not be reached ({type(error).__name__}).", "Try again."
            ) from error
        kind = answer.headers.get("content-type", "").lower()
        is_stream = "event-stream" in kind or "eventstream" in kind
        return HttpAnswer(self._name, answer, meter(is_stream, lambda: sent.size))

    async def ask(self, url: str, headers: Mapping[str, str]) -> Any:
        """One small GET with the key, for `devflow check`: the JSON it answers, or a `DevflowError` in words."""
        try:
            async with self._session().get(
                url,
                headers=dict(headers),
                allow_redirects=False,
                proxy=_proxy_of(url),
                timeout=aiohttp.ClientTimeout(total=PROBE_SECONDS),
            ) as answer:
                if answer.status in (401, 403):
                    raise PermanentError(f"{self._name} refuses the key ({answer.status})", "Set a key that works")
                if answer.status != 200:
                    raise PermanentError(
                        f"{self._name} answers {answer.status}", "Look at its base URL and status page"
                    )
                return await answer.json(content_type=None)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            what = f"{self._name} could not be asked ({type(error).__name__})"
            raise TemporaryError(what, "Look at its base URL and the network") from error

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
            self._http = aiohttp.ClientSession(
                timeout=timeout,
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._http


def _proxy_of(url: str) -> str | None:
    """The proxy that the environment names for this address (aiohttp's `trust_env` asks a thread at every call)."""
    parts = urlsplit(url)
    return _proxy(parts.scheme, parts.hostname or "")


@functools.lru_cache(maxsize=64)
def _proxy(scheme: str, host: str) -> str | None:
    return None if proxy_bypass(host) else getproxies().get(scheme)


@dataclass
class HttpAnswer:
    """See `core.model_port.ModelAnswer`."""

    name: str
    response: aiohttp.ClientResponse
    meter: Meter
    headers: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        given = ((name.lower(), value) for name, value in self.response.headers.items())
        self.headers = {
            name: value for name, value in given if name in _ANSWERED or name.startswith(_ANSWERED_PREFIXES)
        }

    @property
    def status(self) -> int:
        return self.response.status

    async def chunks(self) -> AsyncIterator[bytes]:
        """As they arrive; the meter sees each first."""
        try:
            async for data in self.response.content.iter_any():
                self.meter.feed(data)
                yield data
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise TemporaryError(f"{self.name} broke off its answer ({type(error).__name__}).", "Try again.") from error
        self.meter.end()

    async def close(self) -> None:
        # Not released to be used again: what of the answer is still to come is not wanted.
        self.response.close()


class _Counted:
    """A body on its way, counted."""

    def __init__(self, call: ModelCall, whole: bytes | None) -> None:
        self._call = call
        self.size = len(whole or b"")

    async def pass_on(self) -> AsyncIterator[bytes]:
        async for data in self._call.body or _nothing():
            self.size += len(data)
            yield data
