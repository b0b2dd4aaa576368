"""The port to model providers: what the gateway's model desk needs of Anthropic, OpenAI, Gemini, Bedrock.

An agent's request comes in as `ModelCall`, goes to the provider with the real key, and its answer comes back as it
arrives (`ModelAnswer`). One adapter a provider; no exception of an SDK crosses the port.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from slackbot.core.model_usage import Meter


@dataclass(frozen=True)
class ModelCall:
    """One request of an agent. `path` and `query` are as they stand on the wire (percent-encoded, no leading slash);
    names of `headers` are lower case. Credentials in it are the worker's, and never passed on."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: AsyncIterable[bytes] | None = None


class ModelAnswer(Protocol):
    """The provider's answer, whatever its status; `close` ends it at once, also in mid-stream."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Those that may go back to the agent."""
        ...

    @property
    def meter(self) -> Meter: ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, fed to the meter on the way. `TemporaryError` when it breaks off."""
        ...

    async def close(self) -> None: ...


class ModelProvider(Protocol):
    """One provider, with its key. `name` stands in the path of the worker protocol."""

    name: str

    def allows(self, method: str, path: str) -> bool:
        """Whether this is one of the few requests that an agent needs: models, and what is counted."""
        ...

    async def call(self, call: ModelCall) -> ModelAnswer:
        """Passes the request on. `TemporaryError` when the provider cannot be reached, `UsageError` when the request
        is too large or is none."""
        ...

    def refusal(self, status: int, sentence: str) -> bytes:
        """The body of an error of `status` in the provider's own shape, so that every agent shows the sentence."""
        ...

    async def probe(self) -> str:
        """Asks with the key for what costs nothing; a sentence about what was found. `DevflowError` when refused."""
        ...

    async def close(self) -> None: ...
