"""The marks on prompts: reactions that say how far the work on each one is.

Called by the thread's writer with the session as it is stored; goes to the chat port. What is marked already is
remembered, and a mark that is set twice is harmless: a restart may forget it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from weakref import WeakValueDictionary

import structlog

from slackbot.core.errors import PermanentError, TemporaryError
from slackbot.core.ports import Chat
from slackbot.core.session import Session, Turn, TurnState

log = structlog.get_logger()

MARKS = {
    TurnState.QUEUED: "eyes",
    TurnState.WORKING: "eyes",
    TurnState.ANSWERED: "white_check_mark",
    TurnState.FAILED: "x",
    TurnState.CANCELLED: "octagonal_sign",
}
"""The reaction on a prompt, by the state of its turn."""

WAITS = "hourglass_flowing_sand"
"""The reaction on a prompt that waits behind one that is in work; it gives way to the eyes."""

_MAX_MARKS = 20_000


class PromptMarks:
    """Marks may be set again at any time; one never goes back to what it was before."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._marked: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._rid_of_hourglass: set[tuple[str, str]] = set()
        self._no_marks_before = 0.0
        self._marking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def are_owed(self, session: Session) -> bool:
        return session.thread.lost is None and any(True for _ in self._unmarked(session))

    async def mark(self, session: Session) -> frozenset[str]:
        """Eyes on every prompt that is stored and not ended; harmless where they are already. The turns so marked."""
        unmarked = self._unmarked(session)
        for turn in unmarked:
            await self.mark_turn(session, turn)
        return frozenset(turn.turn_id for turn in unmarked)

    async def mark_over(self, session: Session, turn_ids: frozenset[str]) -> None:
        """Right after `mark`: those of its turns that ended meanwhile, by way of another process, get their last mark.

        Else the eyes, or the hourglass, may have come after that process took them away.
        """
        for turn in session.history:
            if turn.turn_id in turn_ids and turn.state.is_ended:
                await self.mark_turn(session, turn)

    def _unmarked(self, session: Session) -> list[Turn]:
        return [
            turn
            for turn in session.history
            if not turn.state.is_ended
            and turn.prompt_ts is not None
            and self._marked.get((session.session_id, turn.turn_id)) != mark_of(session, turn)
        ]

    async def mark_turn(self, session: Session, turn: Turn) -> None:
        """The mark that the turn's prompt is to carry now, in place of those before. `TemporaryError`: not yet."""
        # An answer that the worker brings is posted beside what this session is owed: their marks must not cross.
        async with self._marking.setdefault(session.session_id, asyncio.Lock()):
            await self._mark_alone(session, turn)

    async def _mark_alone(self, session: Session, turn: Turn) -> None:
        key = (session.session_id, turn.turn_id)
        known = self._marked.get(key)
        channel_id, mark = session.thread.channel_id, mark_of(session, turn)
        # What was read of the session may be older than what is marked; a mark never goes back.
        if turn.prompt_ts is None or _rank(known) > _rank(mark) or _is_run_again(session, turn):
            return
        if known == mark:
            # Set before something else of the same answer failed: tried again, it goes on from there.
            return
        now = asyncio.get_running_loop().time()
        if now < self._no_marks_before:
            raise TemporaryError("Slack asks to wait before the next mark.")
        try:
            await self._chat.add_reaction(channel_id, turn.prompt_ts, mark)
            may_wait = known == WAITS or (key not in self._rid_of_hourglass and _may_have_waited(session, turn))
            for stale in sorted(_stale_marks(session, turn, may_wait=may_wait)):
                await self._chat.remove_reaction(channel_id, turn.prompt_ts, stale)
                if stale == WAITS:
                    self._rid_of_hourglass.add(key)
        except TemporaryError as error:
            self._no_marks_before = now + (error.retry_after_seconds or 0.0)
            raise
        except PermanentError as error:
            # A missing scope or a full message costs the mark, never the answer.
            log.info("mark_refused", session_id=session.session_id, why=error.summary)
        self._marked[key] = mark
        while len(self._marked) > _MAX_MARKS:
            self._rid_of_hourglass.discard(self._marked.popitem(last=False)[0])


def mark_of(session: Session, turn: Turn) -> str:
    """The reaction that a prompt is to carry now."""
    waits = turn.state is TurnState.QUEUED and session.working_turn is not None
    return WAITS if waits else MARKS[turn.state]


def _rank(mark: str | None) -> int:
    """Marks come in this order: none, the hourglass, the eyes, how it ended."""
    order = (None, WAITS, MARKS[TurnState.QUEUED])
    return order.index(mark) if mark in order else len(order)


def _stale_marks(session: Session, turn: Turn, *, may_wait: bool) -> set[str]:
    """Marks that the prompt's message may still carry: what it had before, and how an earlier try of it ended.

    `may_wait`: it may carry the hourglass, which another process, or this one before it died, has set.
    """
    mark = mark_of(session, turn)
    stale = {MARKS[other.state] for other in session.history if other.prompt_ts == turn.prompt_ts}
    if turn.state.is_ended:
        stale.add(MARKS[TurnState.QUEUED])
    if may_wait:
        stale.add(WAITS)
    return stale - {mark}


def _may_have_waited(session: Session, turn: Turn) -> bool:
    """Whether anything else was in work between the prompt and its turn; seconds are all that is stored of it."""
    if turn.claimed_at is None and turn.state.is_ended:
        return True
    work = turn.joined_to or turn.turn_id
    return any(
        other.claimed_at is not None
        and (turn.claimed_at is None or other.claimed_at <= turn.claimed_at)
        and (other.responded_at is None or other.responded_at >= turn.prompted_at)
        for other in session.history
        if (other.joined_to or other.turn_id) != work
    )


def _is_run_again(session: Session, turn: Turn) -> bool:
    """Whether a later turn has the same prompt: the mark on its message is that one's."""
    latest = next((each for each in reversed(session.history) if each.prompt_ts == turn.prompt_ts), turn)
    return latest.turn_id != turn.turn_id
