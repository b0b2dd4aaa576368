"""Calls over HTTP whose connections are kept for the next one, and files as they come: aiohttp, for a worker's turns.

Data: as in `plain_http`, which serves until this is loaded; the bytes of files go to disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import aiohttp
from yarl import URL

from slackbot.worker.plain_http import CONNECT_SECONDS, MAX_REPLY_BYTES, NoReply, Reply, TooLarge


class KeptHttp:
    """Made and closed on one event loop."""

    def __init__(self) -> None:
        self._http = aiohttp.ClientSession()

    async def close(self) -> None:
        await self._http.close()

    async def call(
        self, method: str, url: str, headers: Mapping[str, str], data: bytes | None, seconds: float
    ) -> Reply:
        """As `plain_http.call`."""
        try:
            async with self._request(method, url, headers, data, seconds) as response:
                return await _reply(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NoReply(type(error).__name__) from error

    async def save(self, url: str, headers: Mapping[str, str], target: Path, limit_bytes: int, seconds: float) -> Reply:
        """GETs a file into `target`; the reply of a status other than 200 holds the body instead.

        TooLarge beyond `limit_bytes`, NoReply when it did not come whole; then `target` holds a part of it.
        """
        try:
            async with self._request("GET", url, headers, None, seconds) as response:
                if response.status != 200:
                    return await _reply(response)
                received = 0
                with target.open("wb") as file:
                    async for piece in response.content.iter_chunked(64 * 1024):
                        received += len(piece)
                        if received > limit_bytes:
                            raise TooLarge
                        file.write(piece)
                return Reply(200, b"", None)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NoReply(type(error).__name__) from error

    def _request(
        self, method: str, url: str, headers: Mapping[str, str], data: bytes | None, seconds: float
    ) -> aiohttp.client._RequestContextManager:
        return self._http.request(
            method,
            URL(url, encoded=True),
            data=data,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS),
            allow_redirects=False,
        )


async def _reply(response: aiohttp.ClientResponse) -> Reply:
    body = bytearray()
    async for piece in response.content.iter_chunked(64 * 1024):
        body += piece
        if len(body) > MAX_REPLY_BYTES:
            raise TooLarge
    return Reply(response.status, bytes(body), response.headers.get("Retry-After"))
