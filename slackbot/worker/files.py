"""Files between the thread and the agent: what came with a prompt, and what the agent wants to show.

Both lie in the checkout, outside version control (`Checkout` keeps `.devflow/attachments` and `.devflow/show` out of
every commit). They come from the gateway and go to it; the worker has no Slack token. Nothing that the agent can
write is believed.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import mimetypes
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from acp import image_block, resource_link_block, text_block

from slackbot.core.attachments import safe_name
from slackbot.core.errors import DevflowError, PermanentError
from slackbot.worker.gateway_client import Fenced, GatewayClient, ToldToStop, patiently
from slackbot.worker.logs import log
from slackbot.worker.place import ATTACHMENTS, SHOW, Place
from slackbot.worker.processes import exited
from slackbot.worker_protocol import MAX_FILE_BYTES, TurnWork

MAX_SHOWN = 5
"""Files shown in one turn; more are named in the answer."""
MAX_LOOKED_AT = 50
FETCH_SECONDS, SHOW_SECONDS, SCRIPT_SECONDS = 120.0, 60.0, 30.0
MAX_IMAGE_BYTES = 4 * 1024 * 1024
"""A larger image is a file to read for the agent and no part of the prompt."""
_IMAGE_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp")
"""What models take as images."""


@dataclass(frozen=True)
class Attachment:
    """A file that came with the prompt, in the checkout; `image` is its content where a model can look at it."""

    path: Path
    size_bytes: int
    mimetype: str | None = None
    image: bytes | None = None


class Files:
    """The files of one worker's turns. What lies in the checkout is handled as the agent, never as the worker."""

    def __init__(self, place: Place, gateway: GatewayClient) -> None:
        self._place = place
        self._gateway = gateway
        self._names: set[str] = set()
        self._shown: set[str] = set()

    async def prepare(self) -> None:
        """Makes the two directories, so that commands may just write there."""
        try:
            directories = [str(self._place.checkout / relative) for relative in (ATTACHMENTS, SHOW)]
            await self._as_agent('mkdir -p -- "$@"', *directories)
        except DevflowError as error:
            log.info("directories_not_made", why=error.summary)

    async def fetch(self, work: TurnWork) -> tuple[list[Attachment], str]:
        """Brings the prompt's files into the checkout; and what the agent is told of them ("" = there were none)."""
        if not work.files:
            return [], ""
        fetched: list[Attachment] = []
        lines: list[str] = []
        for number, file in enumerate(work.files):
            try:
                attachment = await self._fetch(work.turn_id, number, file.name)
            except (Fenced, ToldToStop):
                raise
            except (DevflowError, OSError) as error:
                why = error.summary if isinstance(error, DevflowError) else str(error.strerror)
                log.warning("file_not_fetched", number=number, why=why)
                lines.append(f"- {safe_name(file.name)} could not be fetched: {why}")
                continue
            fetched.append(attachment)
            lines.append(f"- {ATTACHMENTS}/{attachment.path.name} ({attachment.size_bytes:,} bytes)")
        log.info("files_fetched", turn_id=work.turn_id, files=len(fetched))
        head = "Files came with the prompt that follows. They lie in your checkout, outside version control:"
        return fetched, "\n".join([head, *lines])

    async def _fetch(self, turn_id: str, number: int, name: str) -> Attachment:
        part = self._place.scratch / "attachment"

        async def call() -> None:
            await self._gateway.file(turn_id, number, part, MAX_FILE_BYTES)

        try:
            await patiently(call, deadline=time.monotonic() + FETCH_SECONDS, what="file")
            path = self._place.checkout / ATTACHMENTS / self._free_name(name)
            with part.open("rb") as content:
                await self._as_agent('cat > "$1"', str(path), stdin=content)
            size, mimetype = part.stat().st_size, mimetypes.guess_type(path.name)[0]
            image = part.read_bytes() if mimetype in _IMAGE_TYPES and size <= MAX_IMAGE_BYTES else None
            return Attachment(path, size, mimetype, image)
        finally:
            part.unlink(missing_ok=True)

    def _free_name(self, name: str) -> str:
        plain = first = safe_name(name)
        stem, dot, extension = first.rpartition(".")
        number = 2
        while plain in self._names:
            plain = f"{stem}-{number}.{extension}" if dot else f"{first}-{number}"
            number += 1
        self._names.add(plain)
        return plain

    async def show(self, turn_id: str, said: Sequence[tuple[str, bytes]]) -> str:
        """Shows in the thread what lies in `.devflow/show` and was not shown yet, and `said`: images that the agent
        sent. Returns what there is to say about those that could not be shown.
        """
        notes: list[str] = []
        shown = 0
        for name, content in [*await self._to_show(notes), *said]:
            digest = hashlib.sha256(content).hexdigest()
            if digest in self._shown or not content:
                continue
            if shown >= MAX_SHOWN:
                notes.append(f"{name} was not shown: one prompt shows {MAX_SHOWN} files at most.")
                continue
            try:
                await patiently(
                    self._showing(turn_id, name, content), deadline=time.monotonic() + SHOW_SECONDS, what="show"
                )
            except (Fenced, ToldToStop):
                raise
            except DevflowError as error:
                notes.append(f"{name} was not shown: {error.summary}")
                continue
            self._shown.add(digest)
            shown += 1
        return "\n".join(notes)

    def _showing(self, turn_id: str, name: str, content: bytes) -> Callable[[], Awaitable[None]]:
        async def call() -> None:
            await self._gateway.show(turn_id, name, content)

        return call

    async def _to_show(self, notes: list[str]) -> list[tuple[str, bytes]]:
        """Plain files alone, read as the agent: it can show nothing that it may not read."""
        script = (
            'cd -- "$1" 2>/dev/null || exit 0; [ ! -L "$1" ] || exit 0; '
            'for file in *; do [ -f "$file" ] && [ ! -L "$file" ] && printf "%s\\0" "$file"; done; :'
        )
        directory = self._place.checkout / SHOW
        found: list[tuple[str, bytes]] = []
        try:
            names = (await self._as_agent(script, str(directory))).decode("utf-8", "surrogateescape").split("\0")
            for name in list(filter(None, names))[:MAX_LOOKED_AT]:
                content = await self._as_agent(
                    'head -c "$1" -- "$2"', str(MAX_FILE_BYTES + 1), os.fsencode(directory / name)
                )
                shown = safe_name(name.encode("utf-8", "replace").decode())
                if len(content) > MAX_FILE_BYTES:
                    notes.append(f"{shown} was not shown: it has more than {MAX_FILE_BYTES // 2**20} MB.")
                else:
                    found.append((shown, content))
        except DevflowError as error:
            log.info("nothing_to_show", why=error.summary)
        return found

    async def _as_agent(self, script: str, *arguments: str | bytes, stdin: BinaryIO | None = None) -> bytes:
        """What a small script of the worker's writes that runs as the agent's user."""
        process = await asyncio.create_subprocess_exec(
            *self._place.confinement.plain(("/bin/sh", "-c", script, "sh")),
            *arguments,
            stdin=stdin if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
            process_group=0,
        )
        try:
            async with asyncio.timeout(SCRIPT_SECONDS):
                written, _ = await process.communicate()
        except TimeoutError as error:
            await self._place.confinement.kill_group(process.pid)
            await exited(process, 10.0)
            raise PermanentError("The checkout did not answer in time.") from error
        if process.returncode != 0:
            raise PermanentError(f"The checkout could not be written to or read (exit status {process.returncode}).")
        return written


def prompt_blocks(texts: list[str], attachments: Sequence[Attachment], *, images: bool) -> list[Any]:
    """What the agent is sent: what it must know, the files that came along, and last the prompt itself.

    Every agent takes resource links; `images` says whether it takes images as well.
    https://agentclientprotocol.com/protocol/content
    """
    blocks: list[Any] = [text_block(text) for text in texts[:-1]]
    for file in attachments:
        if images and file.image is not None and file.mimetype is not None:
            blocks.append(image_block(base64.b64encode(file.image).decode(), file.mimetype))
        else:
            uri = file.path.as_uri()
            blocks.append(resource_link_block(file.path.name, uri, mime_type=file.mimetype, size=file.size_bytes))
    return [*blocks, *(text_block(text) for text in texts[-1:])]
