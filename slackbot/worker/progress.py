"""What an agent has done in a turn so far, and telling the gateway about it.

session/update messages of the agent go into a `TurnView`; `Reporter` sends pictures of it to the gateway
and hears from there whether somebody cancelled.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Literal

from acp.schema import (
    AgentMessageChunk,
    AgentPlanUpdate,
    ContentToolCallContent,
    ImageContentBlock,
    TextContentBlock,
    ToolCallProgress,
    ToolCallStart,
    ToolCallUpdate,
    UsageUpdate,
)

from slackbot.core.errors import DevflowError, TemporaryError
from slackbot.core.redaction import drop_cut_words
from slackbot.worker.gateway_client import Fenced, ToldToStop
from slackbot.worker.logs import log
from slackbot.worker.output import Bounded, cut, readable
from slackbot.worker.tool_calls import detail_of
from slackbot.worker_protocol import (
    MAX_FILE_BYTES,
    MAX_PERMISSION_DETAIL_BYTES,
    MAX_RESPONSE_BYTES,
    PROGRESS_SECONDS,
    PlanEntry,
    Progress,
    ProgressReply,
    Step,
    ToolCall,
)

PROGRESS_TEXT_CHARACTERS = 2000
CHANGE_SECONDS = 1.0
"""At most this often a change is reported."""
MAX_TOOL_CALLS = 200
SHOWN_TOOL_CALLS = 20
TITLE_CHARACTERS = 200
MAX_IMAGES = 5
_EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp"}

ToolStatus = Literal["pending", "in_progress", "completed", "failed"]


class TurnView:
    """The present picture of one turn, in bounded memory. `changed` is set by every visible change."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact
        self._text = Bounded(MAX_RESPONSE_BYTES // 2, MAX_RESPONSE_BYTES // 2 - 4096)
        self._calls: dict[str, ToolCall] = {}
        self._images: list[tuple[str, bytes]] = []
        self._asked_about: dict[str, tuple[str, str, bool]] = {}
        self._live = ""
        self._plan: tuple[PlanEntry, ...] = ()
        self._new_paragraph = False
        self._began = time.monotonic()
        self.changed = asyncio.Event()

    def update(self, update: object) -> None:
        """Takes one session/update in; kinds that are not shown are passed over."""
        match update:
            case AgentMessageChunk(content=TextContentBlock(text=text)):
                if self._new_paragraph and self._text.total_bytes:
                    text = "\n\n" + text.lstrip("\n")
                self._new_paragraph = False
                self._text.add(text.encode("utf-8", "replace"))
            case AgentMessageChunk(content=ImageContentBlock() as image):
                self._image(image)
            case ToolCallStart() | ToolCallProgress() | ToolCallUpdate():
                self._new_paragraph = True
                self._tool_call(update)
            case AgentPlanUpdate(entries=entries):
                self._plan = tuple(
                    PlanEntry(content=self._line(entry.content), status=entry.status) for entry in entries[:50]
                )
            case UsageUpdate():
                return
            case _:
                return
        self.changed.set()

    def _tool_call(self, update: ToolCallStart | ToolCallProgress | ToolCallUpdate) -> None:
        # Some agents update a call that they never announced, hence insert-or-update.
        call_id = update.tool_call_id
        known = self._calls.get(call_id)
        if known is None and len(self._calls) >= MAX_TOOL_CALLS:
            oldest = next(iter(self._calls))
            del self._calls[oldest]
            self._asked_about.pop(oldest, None)
        title = self._line(update.title or "") or (known.title if known else "Tool call")
        status: ToolStatus = update.status or (known.status if known else "pending")
        self._calls[call_id] = ToolCall(id=call_id[:200], title=title, status=status)
        kind, detail, is_diff = self._asked_about.get(call_id, ("", "", False))
        if status in ("completed", "failed"):
            self._asked_about.pop(call_id, None)
        else:
            said, said_is_diff = detail_of(update)
            more = (cut(said, MAX_PERMISSION_DETAIL_BYTES), said_is_diff) if said else (detail, is_diff)
            self._asked_about[call_id] = (update.kind or kind, *more)
        for content in update.content or []:
            if isinstance(content, ContentToolCallContent) and isinstance(content.content, ImageContentBlock):
                self._image(content.content)
            if isinstance(content, ContentToolCallContent) and isinstance(content.content, TextContentBlock):
                said = content.content.text
                cut_off = len(said) > PROGRESS_TEXT_CHARACTERS
                self._live = drop_cut_words(said[-PROGRESS_TEXT_CHARACTERS:], at_start=cut_off)

    def _image(self, image: ImageContentBlock) -> None:
        """An image that the agent sends is one it wants to show; so many, and so large, as are kept in memory."""
        if len(self._images) >= MAX_IMAGES or len(image.data) * 3 // 4 > MAX_FILE_BYTES:
            return
        try:
            content = base64.b64decode(image.data, validate=True)
        except ValueError:
            return
        extension = _EXTENSIONS.get(image.mime_type)
        if extension is not None and content not in [known for _, known in self._images]:
            self._images.append((f"image-{len(self._images) + 1}.{extension}", content))

    def images(self) -> list[tuple[str, bytes]]:
        """The images the agent sent in this turn, with names of ours."""
        return list(self._images)

    def kind_of(self, call_id: str) -> str:
        """ACP's kind of a tool call that is not done yet, as far as the agent said it."""
        return self._asked_about.get(call_id, ("", "", False))[0]

    def detail_of(self, call_id: str) -> tuple[str, bool]:
        """The command or the diff of a tool call that is not done yet, and whether it is a diff."""
        return self._asked_about.get(call_id, ("", "", False))[1:]

    def title_of(self, call_id: str) -> str:
        call = self._calls.get(call_id)
        return call.title if call else ""

    def _line(self, text: str) -> str:
        kept = drop_cut_words(text[: 4 * TITLE_CHARACTERS], at_end=len(text) > 4 * TITLE_CHARACTERS)
        return self._redact(" ".join(readable(kept).split()))[:TITLE_CHARACTERS]

    def progress(self, handle: str | None) -> Progress:
        """The picture to report: the tail of what the agent says, or of what its tool writes meanwhile."""
        text = self._text.last(2 * PROGRESS_TEXT_CHARACTERS) or readable(self._live)
        return Progress(
            text=self._redact(text)[-PROGRESS_TEXT_CHARACTERS:],
            plan=self._plan,
            tool_calls=tuple(self._calls.values())[-SHOWN_TOOL_CALLS:],
            elapsed_seconds=int(time.monotonic() - self._began),
            handle=handle,
        )

    def response(self) -> str:
        """All that the agent said, bounded and redacted."""
        return self._redact(self._text.text()).strip()

    def steps(self) -> tuple[Step, ...]:
        """What the agent did, in order."""
        return tuple(Step(title=call.title, status=call.status) for call in self._calls.values())


class Reporter:
    """Reports a view until it is closed: at once on the first change, then at most every CHANGE_SECONDS
    when something changed, and at least every PROGRESS_SECONDS. Used as an async context manager.

    `cancelled` is set when a person cancelled the turn; `lost` when the turn is no longer this worker's.
    """

    def __init__(
        self,
        send: Callable[[Progress], Awaitable[ProgressReply]],
        cancel_wished: Callable[[], Awaitable[bool]],
        view: TurnView,
    ) -> None:
        self._send = send
        self._cancel_wished = cancel_wished
        self._view = view
        self._tasks: list[asyncio.Task[None]] = []
        self.handle: str | None = None
        self.reports = 0
        self.cancelled = asyncio.Event()
        self.lost: DevflowError | None = None

    async def __aenter__(self) -> Reporter:
        self._tasks = [asyncio.create_task(self._report()), asyncio.create_task(self._watch())]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _watch(self) -> None:
        """Hears of a cancel at once. Where the gateway cannot tell, the next report does."""
        while not self.cancelled.is_set():
            try:
                if await self._cancel_wished():
                    self.cancelled.set()
            except (Fenced, ToldToStop) as error:
                self.lost = error
                self.cancelled.set()
            except TemporaryError:
                await asyncio.sleep(PROGRESS_SECONDS)
            except DevflowError as error:
                log.info("cancel_not_watched", why=error.summary)
                return

    async def _report(self) -> None:
        sent_at = time.monotonic()
        pause = 0.0
        while True:
            # No asyncio.wait_for: that of Python 3.11 loses a cancel that comes together with the change.
            # https://github.com/python/cpython/issues/86296
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, sent_at + PROGRESS_SECONDS - time.monotonic())):
                    await self._view.changed.wait()
                await asyncio.sleep(max(0.0, sent_at + pause - time.monotonic()))
            self._view.changed.clear()
            sent_at, pause = time.monotonic(), CHANGE_SECONDS
            self.reports += 1
            try:
                reply = await self._send(self._view.progress(self.handle))
            except TemporaryError as error:
                log.info("progress_not_reported", why=error.summary)
                continue
            except (Fenced, ToldToStop) as error:
                self.lost = error
                self.cancelled.set()
                return
            except DevflowError as error:
                log.warning("progress_refused", why=error.summary)
                continue
            self.handle = reply.handle or self.handle
            if reply.cancel:
                self.cancelled.set()
