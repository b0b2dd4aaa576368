"""Tells one person something in private, after the acknowledgement, and keeps the tasks that do so."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

import structlog

from slackbot.core.errors import DevflowError, TemporaryError
from slackbot.core.ports import Chat
from slackbot.views.view import View

log = structlog.get_logger()

FIRST_PAUSE_SECONDS = 1.0
"""Before what Slack did not take is said again; it grows."""

_LONGEST_PAUSE_SECONDS = 60.0
_MAX_TRIES = 4
_MAX_WAITING = 500


class Told:
    """Ephemeral messages in the background: a listener is never slower for what it has to say."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._tasks: set[asyncio.Task[None]] = set()
        self._said_once: OrderedDict[tuple[str, str, str, str], None] = OrderedDict()

    def tell(self, view: View, *, channel_id: str, user_id: str, thread_ts: str | None) -> None:
        """Shows `view` to this person alone."""
        if len(self._tasks) >= _MAX_WAITING:
            log.warning("ephemeral_dropped", channel_id=channel_id)
            return
        self._keep(asyncio.create_task(self._post(view, channel_id, user_id, thread_ts)))

    def tell_later(self, answering: asyncio.Task[View | None], *, channel_id: str, user_id: str) -> None:
        """Shows this person what `answering` has to say, if anything, once it is done."""

        async def wait() -> None:
            view = await answering
            if view is not None:
                await self._post(view, channel_id, user_id, None)

        self._keep(asyncio.create_task(wait()))

    def tell_once(self, view: View, *, channel_id: str, user_id: str, thread_ts: str | None, about: str = "") -> None:
        """The same to the same person only once: about one message (`about`), which Slack may deliver again, or,
        where people go on talking, in one thread.
        """
        key = (user_id, thread_ts or channel_id, about, view.text)
        if key in self._said_once:
            return
        self._said_once[key] = None
        while len(self._said_once) > 5_000:
            self._said_once.popitem(last=False)
        self.tell(view, channel_id=channel_id, user_id=user_id, thread_ts=thread_ts)

    async def drain(self, seconds: float) -> None:
        """Waits for what is still to be said."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=seconds)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _post(self, view: View, channel_id: str, user_id: str, thread_ts: str | None) -> None:
        pause_seconds = FIRST_PAUSE_SECONDS
        for tried in range(1, _MAX_TRIES + 1):
            try:
                await self._chat.post_ephemeral(
                    channel_id, user_id, text=view.text, blocks=view.blocks, thread_ts=thread_ts
                )
                return
            except DevflowError as error:
                if not isinstance(error, TemporaryError) or tried == _MAX_TRIES:
                    log.info("ephemeral_not_posted", channel_id=channel_id, why=error.summary)
                    return
                # Twice is better than never: it is the only word that a prompt was not taken.
                asked_seconds = min(error.retry_after_seconds or 0.0, _LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(max(pause_seconds, asked_seconds))
            pause_seconds *= 4
