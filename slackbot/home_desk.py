"""The app's Home: a person's sessions, and for administrators all live ones; drawn when it is opened, and again when
something of it changes while it may still be looked at.

Listeners say that it was opened and what was pressed; the engine says what it saved. Who looked lately is kept in
memory alone: the next opening draws everything afresh.
"""

from __future__ import annotations

import asyncio
import functools
from collections import OrderedDict

import structlog

from slackbot.admission import Admission
from slackbot.command_desk import CommandDesk
from slackbot.core.card_key import card_key
from slackbot.core.errors import DevflowError, NotAdmitted
from slackbot.core.ports import Chat
from slackbot.core.session import Session
from slackbot.engine import Engine
from slackbot.session_finder import SessionFinder
from slackbot.views.errors import error_view
from slackbot.views.home import home, home_notice
from slackbot.views.view import View

log = structlog.get_logger()

LOOKED_AT_SECONDS = 1800
"""A Home that was opened so long ago is not drawn again by itself: Slack does not say when one is closed."""

PAUSE_SECONDS = 1.0
"""Between two drawings of one Home; views.publish is a method of Slack's fourth tier.
https://docs.slack.dev/reference/methods/views.publish"""

_MAX_LOOKING = 500


class HomeDesk:
    """`pause_seconds` is `PAUSE_SECONDS` unless a test has no time."""

    def __init__(
        self,
        *,
        engine: Engine,
        chat: Chat,
        admission: Admission,
        commands: CommandDesk,
        finder: SessionFinder,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._engine = engine
        self._chat = chat
        self._admission = admission
        self._commands = commands
        self._finder = finder
        self._pause_seconds = pause_seconds
        self._looking: OrderedDict[str, int] = OrderedDict()
        self._drawing: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()

    async def opened(self, user_id: str, *, cursor: str | None = None, notice: View | None = None) -> None:
        """Draws the person's Home. `cursor`: an older page; `notice`: what came of a press, on top."""
        self._looking[user_id] = self._engine.now()
        self._looking.move_to_end(user_id)
        while len(self._looking) > _MAX_LOOKING:
            self._looking.popitem(last=False)
        await self._chat.publish_home(user_id, await self._view(user_id, cursor, notice))

    async def press(self, verb: str, user_id: str, session_id: str, press_id: str) -> None:
        """Stop or Retry on Home. What is to be said about it stands on Home; raised where that cannot be drawn."""
        language = await self._admission.language(user_id)
        refusal: DevflowError | None = None
        try:
            told = await self._commands.ask(verb, user_id, session_id, press_id)
        except DevflowError as error:
            refusal, told = error, error_view(error, language=language)
        try:
            await self.opened(user_id, notice=told)
        except DevflowError as error:
            if refusal is not None:
                raise refusal from None
            # It is done; only Home does not show it yet.
            log.info("home_not_drawn", user_id=user_id, why=error.summary)

    def saved(self, before: Session | None, after: Session) -> None:
        """The engine wrote a session: the Homes that show it are drawn again, soon."""
        if not self._looking or (before is not None and card_key(before) == card_key(after)):
            return
        users = {after.user_id, *self._admission.policy.admins}
        if before is not None:
            users.add(before.user_id)
        for user_id in users & self._looking.keys():
            if self._engine.now() - self._looking[user_id] > LOOKED_AT_SECONDS:
                del self._looking[user_id]
            elif user_id in self._drawing:
                self._again.add(user_id)
            else:
                self._begin_drawing(user_id)

    async def close(self) -> None:
        """Draws nothing more."""
        self._looking.clear()
        for task in list(self._drawing.values()):
            task.cancel()
        await asyncio.gather(*self._drawing.values(), return_exceptions=True)

    def _begin_drawing(self, user_id: str) -> None:
        task = asyncio.create_task(self._draw(user_id))
        self._drawing[user_id] = task
        task.add_done_callback(functools.partial(self._drawn, user_id))

    def _drawn(self, user_id: str, task: asyncio.Task[None]) -> None:
        self._drawing.pop(user_id, None)
        if user_id in self._again and user_id in self._looking:
            # Something changed between the drawing's last look and its end.
            self._begin_drawing(user_id)

    async def _draw(self, user_id: str) -> None:
        while True:
            self._again.discard(user_id)
            try:
                await self._chat.publish_home(user_id, await self._view(user_id, None, None))
            except DevflowError as error:
                log.info("home_not_drawn", user_id=user_id, why=error.summary)
            await asyncio.sleep(self._pause_seconds)
            if user_id not in self._again:
                return

    async def _view(self, user_id: str, cursor: str | None, notice: View | None) -> dict[str, object]:
        language = await self._admission.language(user_id)
        try:
            await self._admission.person(user_id)
        except NotAdmitted as error:
            return home_notice(error_view(error, language=language))
        live = await self._finder.live()
        ended, more = await self._finder.ended(user_id, cursor)
        others = [s for s in live if s.user_id != user_id] if user_id in self._admission.policy.admins else None
        shown = [session for session in live if session.user_id == user_id] + ended + (others or [])
        return home(
            own_live=[session for session in live if session.user_id == user_id],
            ended=ended,
            others_live=others,
            now=self._engine.now(),
            permalinks={s.session_id: link for s in shown if (link := self._finder.permalink(s))},
            cursor=more,
            is_first_page=cursor is None,
            notice=notice,
            language=language,
        )
