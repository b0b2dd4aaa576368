"""Files of a thread: text uploaded into it, and text read from what people attached.

Called by `slack.py`; goes to files.* of the Web API and to the address that files.info names. The token is sent
to Slack's own hosts and to the host of the API address, never elsewhere.
"""

from __future__ import annotations

import codecs
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from slackbot.adapters.slack_client import SlackConnection, proxy_for
from slackbot.adapters.slack_errors import FOREIGN_ERRORS, translate
from slackbot.core.errors import NotFound, PermanentError, TemporaryError
from slackbot.core.slack_text import clean

_FILENAME_CHARACTERS = 200
_DOWNLOAD_SECONDS = 30.0


class SlackFiles:
    """Uploads and downloads through one `SlackConnection`."""

    def __init__(self, connection: SlackConnection) -> None:
        self._connection = connection

    async def upload(self, channel_id: str, thread_ts: str, *, filename: str, title: str, content: str) -> str:
        # Slack takes no empty file.
        request = self._connection.posting.files_upload_v2(
            filename=clean(filename)[-_FILENAME_CHARACTERS:] or "file.txt",
            title=clean(title)[:_FILENAME_CHARACTERS] or "file",
            content=content.replace("\x00", "").encode("utf-8", "replace") or b"\n",
            channel=channel_id,
            thread_ts=thread_ts,
        )
        answer = await self._connection.call("files.completeUploadExternal", request)
        file = answer.get("file")
        file_id = file.get("id") if isinstance(file, Mapping) else None
        if not file_id:
            raise TemporaryError("Slack took the file but named no id for it.", outcome_unknown=True)
        return str(file_id)

    async def upload_bytes(self, filename: str, content: bytes) -> str:
        """The first two steps of an upload; the third, `share`, shows the file.

        https://docs.slack.dev/messaging/working-with-files#upload
        """
        request = self._connection.posting.files_getUploadURLExternal(
            filename=clean(filename)[-_FILENAME_CHARACTERS:] or "file", length=len(content)
        )
        answer = await self._connection.call("files.getUploadURLExternal", request)
        url, file_id = answer.get("upload_url"), answer.get("file_id")
        if not isinstance(url, str) or not isinstance(file_id, str):
            raise TemporaryError("Slack named no address to upload the file to.")
        try:
            async with self._connection.session.post(
                url,
                data=content,
                proxy=proxy_for(url, self._connection.reading.proxy),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=_DOWNLOAD_SECONDS),
            ) as response:
                if response.status != 200:
                    raise TemporaryError(f"Slack did not take the file's content (HTTP {response.status}).")
        except FOREIGN_ERRORS as error:
            raise translate(error, "the upload of a file") from error
        return file_id

    async def share(self, channel_id: str, thread_ts: str, file_id: str, *, title: str, look_first: bool) -> None:
        if look_first and await self._is_shared(file_id, channel_id, thread_ts):
            return
        request = self._connection.posting.files_completeUploadExternal(
            files=[{"id": file_id, "title": clean(title)[:_FILENAME_CHARACTERS] or "file"}],
            channel_id=channel_id,
            thread_ts=thread_ts,
        )
        await self._connection.call("files.completeUploadExternal", request)

    async def _is_shared(self, file_id: str, channel_id: str, thread_ts: str) -> bool:
        try:
            file = await self._info(file_id)
        except NotFound:
            return False
        shares = file.get("shares")
        places = (
            [place for place in shares.values() if isinstance(place, Mapping)] if isinstance(shares, Mapping) else []
        )
        return any(
            isinstance(share, Mapping) and share.get("thread_ts") == thread_ts
            for place in places
            for share in place.get(channel_id) or []
        )

    async def stream(self, file_id: str, limit_bytes: int) -> AsyncIterator[bytes]:
        """The bytes of a file as they come. What is not the file (a page to sign in) is refused."""
        file = await self._info(file_id)
        url = file.get("url_private_download") or file.get("url_private")
        if not isinstance(url, str) or not url:
            raise NotFound(f"The file {file_id} has no content that DevFlow can read (it may be deleted).")
        sent = 0
        try:
            async with self._get(url, file_id) as response:
                _check_download(response, file_id, str(file.get("mimetype") or ""))
                async for chunk in response.content.iter_chunked(64 * 1024):
                    sent += len(chunk)
                    if sent > limit_bytes:
                        raise PermanentError(f"The file {file_id} is larger than {limit_bytes} bytes.")
                    yield chunk
        except FOREIGN_ERRORS as error:
            raise translate(error, "the download of a file") from error

    async def _info(self, file_id: str) -> Mapping[str, Any]:
        answer = await self._connection.call("files.info", self._connection.reading.files_info(file=file_id))
        file = answer.get("file")
        return file if isinstance(file, Mapping) else {}

    async def read(self, file_id: str, limit_bytes: int) -> str:
        file = await self._info(file_id)
        url = file.get("url_private_download") or file.get("url_private")
        if not isinstance(url, str) or not url:
            return self._inline_content(file, file_id, limit_bytes)
        try:
            return await self._download(url, file_id, limit_bytes)
        except FOREIGN_ERRORS as error:
            raise translate(error, "the download of a file") from error

    def may_get_token(self, url: str) -> bool:
        """Whether `url` is Slack's own (over TLS), or on the host that the API address names."""
        parts, api = urlsplit(url), urlsplit(self._connection.api_url)
        host = (parts.hostname or "").lower()
        if host and host == (api.hostname or "").lower():
            return parts.scheme == api.scheme
        return parts.scheme == "https" and (host == "slack.com" or host.endswith(".slack.com"))

    @staticmethod
    def _inline_content(file: Mapping[str, Any], file_id: str, limit_bytes: int) -> str:
        content = file.get("content")
        if not isinstance(content, str):
            raise NotFound(f"The file {file_id} has no content that DevFlow can read (it may be deleted).")
        return _decoded(content.encode("utf-8", "replace"), limit_bytes)

    async def _download(self, url: str, file_id: str, limit_bytes: int) -> str:
        async with self._get(url, file_id) as response:
            _check_download(response, file_id)
            raw = bytearray()
            # One byte more than asked for tells whether the file goes on.
            while len(raw) <= limit_bytes and (chunk := await response.content.read(limit_bytes + 1 - len(raw))):
                raw += chunk
        return _decoded(bytes(raw), limit_bytes)

    def _get(self, url: str, file_id: str) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        if not self.may_get_token(url):
            raise PermanentError(
                f"The file {file_id} is kept at {urlsplit(url).hostname}, not at Slack, and is not read.",
                "Paste its text into the thread instead.",
            )
        return self._connection.session.get(
            url,
            headers={"Authorization": f"Bearer {self._connection.token}"},
            proxy=proxy_for(url, self._connection.reading.proxy),
            # Slack sends whoever lacks the scope to its login page; following would also take the token along.
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=_DOWNLOAD_SECONDS),
        )


def _check_download(response: aiohttp.ClientResponse, file_id: str, mimetype: str | None = None) -> None:
    """`mimetype` is what Slack says of the file: a page in place of what is none is Slack's login."""
    if response.status in (404, 410):
        raise NotFound(f"The file {file_id} is gone.")
    if response.status >= 500 or response.status == 429:
        raise TemporaryError(f"Slack did not hand out the file {file_id} (HTTP {response.status}).")
    is_page = mimetype is not None and response.content_type == "text/html" and mimetype != "text/html"
    if response.status != 200 or is_page:
        what = "it sent a page to sign in" if is_page else f"HTTP {response.status}"
        raise PermanentError(
            f"Slack did not hand out the file {file_id} ({what}).",
            "The app needs the scope files:read; add it on the page OAuth & Permissions and install it again.",
        )


def _decoded(raw: bytes, limit_bytes: int) -> str:
    """At most `limit_bytes` of UTF-8, a character cut in two left out, other bad bytes shown as such."""
    is_cut = len(raw) > limit_bytes
    return codecs.getincrementaldecoder("utf-8")("replace").decode(raw[:limit_bytes], final=not is_cut)
