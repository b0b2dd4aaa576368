"""What tests of GitHub share: one RSA key for the whole run (making one is slow), and faults on the stand-in's wire."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@functools.cache
def app_key() -> str:
    """The App's private key in PEM form."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@dataclass
class Fault:
    """Answers requests of `method` whose path ends with `path`, `times` times, with `make()`.

    `after` lets the stand-in do the work first, so that only the answer is lost.
    """

    method: str
    path: str
    make: Callable[[], web.StreamResponse]
    times: int = 1
    after: bool = False


class Faults:
    """A middleware for `GithubStandIn(middlewares=[faults.middleware])` that also remembers every request
    (`seen`) and the status of what the stand-in itself answered (`answered`)."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.seen: list[str] = []
        self.answered: list[int] = []

    def add(
        self,
        method: str,
        path: str,
        status: int,
        message: str = "",
        *,
        headers: dict[str, str] | None = None,
        times: int = 1,
        after: bool = False,
    ) -> None:
        def make() -> web.Response:
            return web.json_response({"message": message, "status": str(status)}, status=status, headers=headers)

        self.faults.append(Fault(method, path, make, times, after))

    def count(self, method: str, ending: str) -> int:
        return sum(one.startswith(f"{method} ") and one.endswith(ending) for one in self.seen)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.seen.append(f"{request.method} {request.path}")
        for fault in self.faults:
            if fault.times > 0 and request.method == fault.method and request.path.endswith(fault.path):
                fault.times -= 1
                if fault.after:
                    await handler(request)
                return fault.make()
        response = await handler(request)
        self.answered.append(response.status)
        return response
