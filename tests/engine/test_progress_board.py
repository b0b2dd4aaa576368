"""The progress message of a turn where more than one process sees the turn: none of them is left in the thread."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from slackbot.core.session import Session
from slackbot.progress_board import ProgressBoard
from slackbot.views.progress import ProgressPicture
from tests.core.builders import working
from tests.fakes.chat import FakeChat
from tests.wire.bot_world import until

PICTURE = ProgressPicture(text="at it", plan=(), tool_calls=(), elapsed_seconds=1)


def shown(chat: FakeChat) -> list[str]:
    """The progress messages in the workspace."""
    return [message.ts for message in chat.messages.values() if message.metadata is not None]


def a_thread() -> tuple[FakeChat, Session]:
    """A session with a turn in work, whose root stands."""
    session = working()
    chat = FakeChat(channels=[session.thread.channel_id])
    root_ts = chat.say("U1", session.thread.channel_id, "fix it")
    return chat, replace(session, thread=replace(session.thread, thread_ts=root_ts))


async def board_that_shows(chat: FakeChat, session: Session, ended: asyncio.Event | None = None) -> ProgressBoard:
    """A replica that has drawn the session's progress."""

    async def is_working(session_id: str, turn_id: str) -> bool:
        return ended is None or not ended.is_set()

    board = ProgressBoard(chat, clock=time.monotonic, first_delay_seconds=0.0, is_working=is_working)
    before = len(shown(chat))
    assert board.report(session, session.history[0], PICTURE, None) is None
    await until(lambda: len(shown(chat)) > before, "a progress message")
    return board


async def test_an_answer_that_comes_in_on_another_replica_takes_the_message_along() -> None:
    """It brings no handle, but says that there was a report: so the thread is searched."""
    chat, session = a_thread()
    first = await board_that_shows(chat, session)
    second = ProgressBoard(chat, clock=time.monotonic)
    second.note_handle(session, session.history[0].turn_id, None, reports=1)
    await second.clear(session, session.history[0], look=False)
    assert shown(chat) == []
    await first.close()


async def test_two_replicas_that_both_showed_it() -> None:
    """The one that gets the answer has a message of its own, and was told of one report fewer than there were."""
    chat, session = a_thread()
    first, second = await board_that_shows(chat, session), await board_that_shows(chat, session)
    assert len(shown(chat)) == 2
    second.note_handle(session, session.history[0].turn_id, None, reports=2)
    await second.clear(session, session.history[0], look=False)
    assert shown(chat) == []
    await first.close()


async def test_a_replica_that_never_hears_of_the_end_takes_its_message_away() -> None:
    """The turn ended elsewhere, before this message stood: nobody else knows of it."""
    ended = asyncio.Event()
    chat, session = a_thread()
    board = await board_that_shows(chat, session, ended)
    ended.set()
    await until(lambda: not shown(chat), "an empty thread")
    await board.close()


async def test_a_message_that_slack_took_without_saying_so_goes_with_the_turn() -> None:
    """The connection was cut behind the post: it is found before another one is posted, and when the turn ends."""
    chat, session = a_thread()
    chat.lose_answer("post_message")
    board = await board_that_shows(chat, session)
    await until(lambda: len(chat.called("post_message")) == 1, "one post")
    await board.clear(session, session.history[0], look=False)
    assert shown(chat) == []


async def test_turns_whose_end_another_replica_told_never_fill_the_board(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their answers came in here, so they are noted here, and nobody here ever clears them."""
    monkeypatch.setattr("slackbot.progress_board._MAX_ENTRIES", 5)
    chat, session = a_thread()
    board = ProgressBoard(chat, clock=time.monotonic, first_delay_seconds=0.0)
    for number in range(20):
        board.note_handle(session, f"C1:{number}", "1.1", reports=1)
    assert board.report(session, session.history[0], PICTURE, None) is None
    await until(lambda: shown(chat), "a progress message all the same")
    assert len(board._entries) <= 5
    await board.close()
