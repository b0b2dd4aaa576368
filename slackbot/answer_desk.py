"""What people ask of an answer and of what the agent asks: the diff, the steps, and the buttons that give leave.

Listeners call it with a press; it asks the front desk which session is meant and may this person, and shows forms
through the chat port. What is shown comes from the session and from the code host's comparison.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import structlog

from slackbot.core import events as ev
from slackbot.core.access import Action
from slackbot.core.errors import DevflowError, IllegalTransition, UsageError
from slackbot.core.ports import ChangedFile, Chat, CodeHost
from slackbot.core.session import Session, Turn
from slackbot.core.undo_rules import range_of
from slackbot.engine import Engine
from slackbot.front_desk import FrontDesk
from slackbot.views.diff import DiffPlace, diff_failed, diff_loading, diff_modal
from slackbot.views.replies import session_gone
from slackbot.views.steps import steps_modal
from slackbot.views.view import View

log = structlog.get_logger()

_KEPT_DIFFS = 32
"""Comparisons of two commits never change; turning a page asks GitHub nothing."""
_MAX_TASKS = 200


@dataclass(frozen=True)
class AnswerPress:
    """A button on a message of a session's thread. `trigger_id` opens a form within three seconds."""

    user_id: str
    channel_id: str
    thread_ts: str
    message_ts: str
    press_id: str
    trigger_id: str = ""


class AnswerDesk:
    """One method for each thing people do. Raises `DevflowError`s whose sentences the person is to read."""

    def __init__(self, *, engine: Engine, front_desk: FrontDesk, chat: Chat, code_host: CodeHost) -> None:
        self._engine = engine
        self._front_desk = front_desk
        self._chat = chat
        self._code_host = code_host
        self._diffs: OrderedDict[tuple[str, str, str], tuple[ChangedFile, ...]] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    async def language(self, user_id: str) -> str:
        return await self._front_desk.language(user_id)

    # ------------------------------------------------------------------------- what the agent asks

    async def answer_permission(self, press: AnswerPress, value: str) -> View | None:
        """The button of one offered option: `value` is `permission_id:number`."""
        session = await self._session(press, Action.ANSWER_PERMISSION)
        if session is None:
            return session_gone(language=await self.language(press.user_id))
        permission_id, _, number = value.rpartition(":")
        question = session.permission(permission_id)
        if question is None or question.message_ts not in (None, press.message_ts):
            raise UsageError("The agent no longer waits for this answer.", "Nothing was allowed.")
        if not (number.isascii() and number.isdigit() and int(number) < len(question.options)):
            raise UsageError("The agent did not offer this.", "Press one of the buttons of the message.")
        option_id = question.options[int(number)]["option_id"]
        await self._engine.handle(
            session.session_id, ev.PermissionAnswered(permission_id, option_id, press.user_id, press.press_id)
        )
        log.info("permission_answered", session_id=session.session_id, user_id=press.user_id)
        return None

    # ------------------------------------------------------------------------------------- the diff

    async def open_diff(self, press: AnswerPress, turn_id: str) -> View | None:
        """**View diff**: a form at once, and what changed in it as soon as the code host has told."""
        session = await self._session(press, Action.STATUS)
        if session is None:
            return session_gone(language=await self.language(press.user_id))
        turn = session.turn(turn_id)
        if turn is None or not turn.commit_sha:
            raise UsageError("What this prompt changed is not known any more.", "Its commits are on the branch.")
        language = await self.language(press.user_id)
        place = DiffPlace(press.channel_id, press.thread_ts, turn.turn_id)
        view_id = await self._chat.open_modal(press.trigger_id, diff_loading(place, language))
        self._later(self._show(view_id, session, turn, place, 0, language))
        return None

    async def turn_page(self, user_id: str, view_id: str, private_metadata: str, value: str) -> None:
        """Previous or next page of a diff that is open. Whoever may not see the session sees no more of it."""
        place = DiffPlace.parse(private_metadata)
        if place is None or not (value.isascii() and value.isdigit() and len(value) < 5):
            return
        press = AnswerPress(user_id, place.channel_id, place.thread_ts, "", "")
        session = await self._session(press, Action.STATUS)
        turn = session.turn(place.turn_id) if session is not None else None
        if session is None or turn is None:
            raise UsageError("What this prompt changed is not known any more.", "Its commits are on the branch.")
        self._later(self._show(view_id, session, turn, place, int(value), await self.language(user_id)))

    async def _show(
        self, view_id: str, session: Session, turn: Turn, place: DiffPlace, page: int, language: str
    ) -> None:
        try:
            found = range_of(session, turn)
            if found is None:
                raise UsageError("What this prompt changed is not known any more.", "Its commits are on the branch.")
            files = await self._files(session, *found)
            view = diff_modal(session, turn, found, files, place, page, language)
        except DevflowError as error:
            view = diff_failed(place, error, language)
        await self._chat.update_modal(view_id, view)

    async def _files(self, session: Session, base_sha: str, commit_sha: str) -> tuple[ChangedFile, ...]:
        key = (session.repository.full_name, base_sha, commit_sha)
        files = self._diffs.get(key)
        if files is None:
            repository = await self._code_host.find_repository(session.repository)
            files = self._diffs[key] = await self._code_host.compare_files(repository, base_sha, commit_sha)
        self._diffs.move_to_end(key)
        while len(self._diffs) > _KEPT_DIFFS:
            self._diffs.popitem(last=False)
        return files

    # ------------------------------------------------------------------------------------ the steps

    async def open_steps(self, press: AnswerPress, turn_id: str) -> View | None:
        """**What I did**: the steps the agent took, from the session."""
        session = await self._session(press, Action.STATUS)
        if session is None:
            return session_gone(language=await self.language(press.user_id))
        turn = session.turn(turn_id)
        if turn is None:
            raise UsageError("The steps of this prompt are not known any more.")
        await self._chat.open_modal(press.trigger_id, steps_modal(session, turn, await self.language(press.user_id)))
        return None

    # ---------------------------------------------------------------------------------------- parts

    async def _session(self, press: AnswerPress, action: Action) -> Session | None:
        return await self._front_desk.session_pressed(action, press.user_id, press.channel_id, press.thread_ts)

    def _later(self, showing: Coroutine[Any, Any, None]) -> None:
        """The press is acknowledged meanwhile: Slack waits three seconds, GitHub may take longer."""
        if len(self._tasks) >= _MAX_TASKS:
            showing.close()
            raise IllegalTransition("Too many diffs are being opened at once.", "Try again in a moment.")

        async def show() -> None:
            try:
                await showing
            except DevflowError as error:
                log.info("form_not_shown", why=error.summary)
            except Exception:
                log.exception("form_failed")

        task = asyncio.create_task(show())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self, seconds: float) -> None:
        """Waits for the forms that are still to be filled."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=seconds)
