"""What DevFlow writes into a session's thread: the card, answers, notices, and warnings.

Called by the performer, and by the gateway's desk for answers too long to store. Posts carry metadata by which they
are found again; texts come from views; the chat port takes them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from weakref import WeakValueDictionary

import structlog

from slackbot.core import effects as fx
from slackbot.core import events as ev
from slackbot.core.errors import NotFound, PermanentError, TemporaryError, ThreadUnreachable
from slackbot.core.joined_turns import joined_with
from slackbot.core.ports import Chat, Message, Metadata
from slackbot.core.session import Session, Turn
from slackbot.late_doubles import LateDoubles, LoadSession
from slackbot.own_messages import find_own, take_away
from slackbot.performing import NotYet
from slackbot.progress_board import ProgressBoard
from slackbot.prompt_marks import PromptMarks
from slackbot.views.answer import answer, answer_metadata
from slackbot.views.card import card, card_metadata
from slackbot.views.forget import FORGOTTEN_EVENT_TYPE, forgotten_card
from slackbot.views.language import say
from slackbot.views.notice import notice, notice_metadata
from slackbot.views.view import View
from slackbot.views.warning import WARNING_EVENT_TYPE, warning, warning_metadata

log = structlog.get_logger()

_MAX_REMEMBERED = 20_000

_REFRESHED = 3
"""So many answers are drawn again when the pull request opens; older ones are far up the thread."""


class MarksPutOff(TemporaryError):
    """The answer or the notice stands; its marks do not yet, or the progress message does still."""


class ThreadWriter:
    """Every post may be tried again: `first` says that nobody can have tried before, so nothing is looked up."""

    def __init__(self, chat: Chat, board: ProgressBoard, load: LoadSession) -> None:
        self._chat = chat
        self._board = board
        self._doubles = LateDoubles(chat, load)
        self.marks = PromptMarks(chat)
        self._unmarked: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._attached: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._answering: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def update_card(self, effect: fx.UpdateCard, session: Session, *, first: bool) -> ev.Event | None:
        # What waits is shown there as well.
        self._board.refresh(session)
        thread, view, metadata = session.thread, card(session), card_metadata(session)
        status_ts = thread.status_ts
        if status_ts is None:
            found = None if first else await self.find(session, metadata.event_type)
            status_ts = found.ts if found else await self.post(session, view, metadata, again=not first)
        else:
            try:
                await self._chat.update_message(
                    thread.channel_id, status_ts, text=view.text, blocks=view.blocks, metadata=metadata
                )
            except ThreadUnreachable:
                raise
            except (NotFound, PermanentError) as error:
                # Deleted, or not to be drawn: the thread goes on without its card.
                log.info("card_not_updated", session_id=session.session_id, why=error.summary)
        return ev.CardTold(card=effect.card, status_ts=status_ts)

    async def take_card_back(self, effect: fx.ForgetSession, session: Session) -> None:
        """The card says that the session is forgotten: with its metadata a reply would bring the session back."""
        thread, view = session.thread, forgotten_card(session, effect.user_id)
        if thread.status_ts is None:
            return
        try:
            await self._chat.update_message(
                thread.channel_id,
                thread.status_ts,
                text=view.text,
                blocks=view.blocks,
                metadata=Metadata(FORGOTTEN_EVENT_TYPE, {}),
            )
        except (NotFound, PermanentError) as error:
            # No card any more, or nothing can be written there: then nothing brings it back either.
            log.info("card_not_taken_back", session_id=session.session_id, why=error.summary)

    async def deliver_answer(self, effect: fx.DeliverAnswer, session: Session, *, first: bool) -> ev.Event | None:
        turn = session.turn(effect.turn_id)
        if turn is None:
            return None
        try:
            ts = await self.post_answer(session, turn, full_text=None, look_first=not first)
        except MarksPutOff as error:
            # Reactions have a limit of their own, and the next answer does not wait for it.
            log.info("marks_put_off", session_id=session.session_id, turn_id=turn.turn_id, why=error.summary)
            raise NotYet from error
        undone = session.turn(turn.undoes) if turn.undoes and turn.commit_sha else None
        if undone is not None:
            await self._redraw_answers(session, [undone])
        return ev.AnswerPosted(turn_id=turn.turn_id, response_ts=ts)

    async def post_answer(self, session: Session, turn: Turn, *, full_text: str | None, look_first: bool) -> str:
        """Posts the end of a turn, marks its prompt and takes the progress message away; its `ts`.

        `full_text` is the whole response where the stored one is shortened.
        """
        key = (session.session_id, turn.turn_id)
        async with self._answering.setdefault(key, asyncio.Lock()):
            return await self._post_answer(session, turn, full_text=full_text, look_first=look_first)

    async def _post_answer(self, session: Session, turn: Turn, *, full_text: str | None, look_first: bool) -> str:
        key = (session.session_id, turn.turn_id)
        made = answer(session, turn, full_text=full_text)
        ts = self._unmarked.get(key) or await self._post_or_find(session, turn, made.view, look_first=look_first)
        if made.overflow is not None and key not in self._attached:
            # Found, and not attached by this process: a crash may have come between. Better twice than never.
            title = say(session.language, "answer.file_title")
            await self._attach(session, "answer.md", title, made.overflow)
            self._attached[key] = None
            while len(self._attached) > _MAX_REMEMBERED:
                self._attached.popitem(last=False)
        clear = [(turn, look_first or key in self._unmarked)]
        await self._mark_told(key, ts, session, (turn, *joined_with(session, turn)), clear)
        return ts

    async def _post_or_find(self, session: Session, turn: Turn, view: View, *, look_first: bool) -> str:
        """The `ts` of the turn's answer, posted now or before."""
        metadata = answer_metadata(session, turn)
        about: dict[str, str | int] = {"turn_id": turn.turn_id}
        # A held answer may be brought by its worker and, the moment its task is gone, be owed as it is stored.
        found = await self.find(session, metadata.event_type, about) if look_first or turn.held else None
        if found is not None:
            return found.ts
        ts = await self.post(session, view, metadata, again=look_first)
        # Both may have posted, on two replicas: the first one stays.
        stays = await self.find(session, metadata.event_type, about) if turn.held else None
        return stays.ts if stays is not None else ts

    async def post_notice(self, effect: fx.PostNotice, session: Session, *, first: bool) -> ev.Event | None:
        due = next((n for n in session.thread.notices if n.notice_id == effect.notice_id), None)
        if due is None:
            return None
        metadata, key = notice_metadata(session, due), (session.session_id, due.notice_id)
        ts = self._unmarked.get(key)
        if ts is None:
            found = None if first else await self.find(session, metadata.event_type, {"notice_id": due.notice_id})
            ts = found.ts if found else await self.post(session, notice(session, due), metadata, again=not first)
        told = [turn for turn in session.history if turn.told_by == due.notice_id]
        # In work when the session ended: which process showed its progress is not known here.
        clear = [(turn, not first or turn.claimed_at is not None) for turn in told]
        try:
            await self._mark_told(key, ts, session, told, clear)
        except MarksPutOff as error:
            log.info("marks_put_off", session_id=session.session_id, notice_id=due.notice_id, why=error.summary)
            raise NotYet from error
        return ev.NoticePosted(notice_id=due.notice_id, ts=ts)

    async def _mark_told(
        self,
        key: tuple[str, str],
        ts: str,
        session: Session,
        told: Sequence[Turn],
        clear: Sequence[tuple[Turn, bool]],
    ) -> None:
        """The last marks, and the end of the progress messages; neither waits for the other.

        `key` and `ts` are of the post that tells it; `clear`: whose progress ends, and whether it is to be looked up.
        """
        put_off = None
        try:
            for turn in told:
                await self.marks.mark_turn(session, turn)
        except TemporaryError as error:
            put_off = error
        try:
            for turn, look in clear:
                await self._board.clear(session, turn, look=look)
        except TemporaryError as error:
            put_off = error
        if put_off is None:
            self._unmarked.pop(key, None)
            return
        self._unmarked[key] = ts
        while len(self._unmarked) > _MAX_REMEMBERED:
            self._unmarked.popitem(last=False)
        raise MarksPutOff(put_off.summary, put_off.remedy, retry_after_seconds=put_off.retry_after_seconds)

    async def post_warning(self, effect: fx.PostWarning, session: Session, *, first: bool) -> ev.Event:
        metadata = warning_metadata(session)
        found = None if first else await self.find(session, metadata.event_type, {"until": effect.until})
        ts = found.ts if found else await self.post(session, warning(session), metadata, again=not first)
        return ev.WarningPosted(until=effect.until, ts=ts)

    async def remove_warning(self, effect: fx.RemoveWarning, session: Session) -> ev.Event:
        """Nobody needs to read any more what is not so."""
        ts = session.stay.warning_ts
        if ts is None:
            # Owed still when it became untrue: a crash may have come right behind the post.
            found = await self.find(session, WARNING_EVENT_TYPE, {"until": effect.until})
            ts = found.ts if found else None
        if ts is not None:
            await take_away(self._chat, session, ts)
        return ev.WarningRemoved(until=effect.until)

    async def refresh_answers(self, session: Session) -> None:
        """The latest answers that offered to open a pull request now lead to it."""
        await self._redraw_answers(session, [turn for turn in session.history if turn.commit_sha][-_REFRESHED:])

    async def _redraw_answers(self, session: Session, turns: Sequence[Turn]) -> None:
        """Answers whose buttons have changed; one that is not stored whole stays as it is."""
        for turn in turns:
            if not turn.response_ts or turn.shortened:
                continue
            made, channel_id, ts = answer(session, turn), session.thread.channel_id, turn.response_ts or ""
            try:
                await self._chat.update_message(
                    channel_id,
                    ts,
                    text=made.view.text,
                    blocks=made.view.blocks,
                    metadata=answer_metadata(session, turn),
                )
            except (NotFound, PermanentError) as error:
                log.info("answer_not_refreshed", session_id=session.session_id, why=error.summary)

    async def post(self, session: Session, view: View, metadata: Metadata, *, again: bool) -> str:
        """As `_post_once`; `again`: it may have been posted before, though it was not found."""
        ts = await self._post_once(session, view, metadata)
        if again:
            self._doubles.watch(session, metadata, ts)
        return ts

    async def _post_once(self, session: Session, view: View, metadata: Metadata) -> str:
        """Posts into the thread; an unknown outcome is looked up before anything is repeated."""
        try:
            return await self._chat.post_message(
                session.thread.channel_id,
                text=view.text,
                blocks=view.blocks,
                thread_ts=session.thread.thread_ts,
                metadata=metadata,
            )
        except TemporaryError as error:
            if not error.outcome_unknown:
                raise
            found = await self.find(session, metadata.event_type, dict(metadata.event_payload))
            if found is None:
                raise
            return found.ts
        except ThreadUnreachable:
            raise
        except PermanentError as error:
            log.warning("blocks_refused", session_id=session.session_id, why=error.summary)
            return await self._post_bare(session, view, metadata)

    async def _post_bare(self, session: Session, view: View, metadata: Metadata) -> str:
        """Slack refused the blocks: the plain text is better than silence. If that is refused too, all will be."""
        thread = session.thread
        try:
            return await self._chat.post_message(
                thread.channel_id, text=view.text, thread_ts=thread.thread_ts, metadata=metadata
            )
        except PermanentError as error:
            raise ThreadUnreachable(error.summary, error.remedy) from error

    async def _attach(self, session: Session, filename: str, title: str, content: str) -> None:
        thread = session.thread
        try:
            await self._chat.upload_file(
                thread.channel_id, thread.thread_ts, filename=filename, title=title, content=content
            )
        except (PermanentError, TemporaryError) as error:
            log.warning("file_not_attached", session_id=session.session_id, why=error.summary)

    async def find(
        self, session: Session, event_type: str, payload: dict[str, str | int] | None = None
    ) -> Message | None:
        """The first of our posts with this metadata; doubles that Slack hid from us are deleted now."""
        posts = await find_own(self._chat, session, event_type)
        wanted = {"session_id": session.session_id, **(payload or {})}
        matching = [post for post in posts if all(_payload(post).get(name) == value for name, value in wanted.items())]
        for double in matching[1:]:
            log.info("double_deleted", session_id=session.session_id, message_ts=double.ts)
            await take_away(self._chat, session, double.ts)
        return matching[0] if matching else None


def _payload(message: Message) -> dict[str, object]:
    payload = (message.metadata or {}).get("event_payload")
    return dict(payload) if isinstance(payload, dict) else {}
