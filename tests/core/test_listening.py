"""Who is meant: whether a reply is a prompt or talk between people, by who spoke and what was asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slackbot.core import events as ev
from slackbot.core.attachments import FILES_ALONE, MAX_TOTAL_BYTES
from slackbot.core.errors import UsageError
from slackbot.core.item import from_item, to_item
from slackbot.core.listening import needs_mention
from slackbot.core.session import Session, Thread
from slackbot.core.transitions import decide
from tests.core.builders import T0, THREAD_TS, answered, prompt, tell

ADA, GRACE = "U0000001", "U0000002"


def ours() -> Session:
    """In a thread that DevFlow began: the card is its root."""
    session = answered()
    return replace(session, thread=replace(session.thread, status_ts=THREAD_TS))


def theirs() -> Session:
    """In a thread that people began: the card is a reply."""
    session = answered()
    return replace(session, thread=replace(session.thread, status_ts="1790000001.000100"))


def said(number: int, user_id: str = ADA, *, mentioned: bool = False) -> ev.PromptReceived:
    return replace(prompt(number, user_id=user_id), mentioned=mentioned)


def prompts(session: Session) -> list[str]:
    return [turn.prompt for turn in session.history[1:]]


def test_while_one_person_speaks_every_reply_is_a_prompt() -> None:
    session = tell(ours(), said(2), said(3))
    assert prompts(session) == ["do thing 2", "do thing 3"]
    assert not needs_mention(session)


def test_the_second_person_changes_it_and_all_are_told_once() -> None:
    """What is said without a mention is context of the next prompt, with who said it."""
    session = tell(ours(), said(2, GRACE), said(3), said(4, GRACE))
    assert prompts(session) == []
    assert session.asides == (f"<@{GRACE}> do thing 2", f"<@{ADA}> do thing 3", f"<@{GRACE}> do thing 4")
    assert [notice.kind for notice in session.thread.notices] == ["mentions_needed"]
    session = tell(session, said(5, mentioned=True))
    assert session.history[-1].context == (
        f"<@{GRACE}> do thing 2",
        f"<@{ADA}> do thing 3",
        f"<@{GRACE}> do thing 4",
    )
    assert session.asides == ()
    assert from_item(to_item(session)) == session


def test_the_second_persons_mention_is_a_prompt_and_changes_it_too() -> None:
    session = tell(ours(), said(2, GRACE, mentioned=True), said(3))
    assert prompts(session) == ["do thing 2"]
    assert len(session.thread.notices) == 1


def test_in_a_thread_that_people_began_prompts_need_a_mention() -> None:
    """From the owner as well; the card says it, so no notice does."""
    session = tell(theirs(), said(2), said(3, mentioned=True), said(4, GRACE))
    assert prompts(session) == ["do thing 3"]
    assert session.thread.notices == ()


def test_in_a_direct_message_every_reply_is_a_prompt() -> None:
    thread = Thread("T0000001", "D0000001", THREAD_TS, status_ts="1790000001.000100")
    session = tell(replace(answered(), thread=thread), said(2))
    assert prompts(session) == ["do thing 2"]


def test_what_was_overheard_is_heard_once_and_may_become_a_prompt() -> None:
    """Delivered again it changes nothing; a prompt it is once its author says so, and context no more."""
    session = tell(theirs(), said(2), said(3))
    assert decide(session, said(2), T0) is session
    session = tell(session, said(2, mentioned=True))
    assert prompts(session) == ["do thing 2"]
    assert session.history[-1].context == (f"<@{ADA}> do thing 3",)
    assert decide(session, said(2), T0) is session


def test_what_is_attached_to_talk_goes_along_within_the_limits_of_one_prompt() -> None:
    """Named in the context; a prompt's own files come first, and the newest of the talk's are kept."""
    log = {"file_id": "F1", "name": "server.log", "size_bytes": 10}
    shot = {"file_id": "F2", "name": "shot.png", "size_bytes": MAX_TOTAL_BYTES - 20}
    own = {"file_id": "F3", "name": "spec.md", "size_bytes": 15}
    session = tell(
        theirs(),
        replace(said(2), files=(log,)),
        ev.AsideSaid("look", None, GRACE, (shot,)),
        replace(said(3), prompt=FILES_ALONE, files=({**log, "file_id": "F4"},)),
    )
    assert session.asides == (
        f"<@{ADA}> do thing 2 (attached: server.log)",
        f"<@{GRACE}> look (attached: shot.png)",
        f"<@{ADA}> (attached: server.log)",
    )
    assert from_item(to_item(session)) == session
    asked = tell(session, replace(said(4, mentioned=True), files=(own,)))
    assert [file["file_id"] for file in asked.history[-1].files] == ["F3", "F1", "F4"]
    assert asked.aside_files == ()
    # The words that were taken for talk, as a prompt: their file is not attached twice.
    asked = tell(session, replace(said(2, mentioned=True), files=(log,)))
    assert [file["file_id"] for file in asked.history[-1].files] == ["F1", "F2", "F4"]
    many = tuple({**log, "file_id": f"F{n}"} for n in range(10, 25))
    asked = tell(theirs(), replace(said(2), files=many), replace(said(3, mentioned=True), files=(own,)))
    assert [file["file_id"] for file in asked.history[-1].files] == ["F3", *(f"F{n}" for n in range(16, 25))]


def test_talk_that_is_edited_or_deleted_goes_along_as_it_reads_now() -> None:
    log = {"file_id": "F1", "name": "server.log", "size_bytes": 10}
    session = tell(theirs(), said(2), replace(said(3), files=(log,)))
    session = tell(session, ev.TalkChanged(ADA, "do thing 2", "do thing two"))
    session = tell(session, ev.TalkChanged(ADA, "do thing 3", None, (log,)))
    assert session.asides == (f"<@{ADA}> do thing two",)
    assert session.aside_files == ()
    assert decide(session, ev.TalkChanged(GRACE, "do thing two", None), T0) is session
    assert decide(session, said(2), T0) is session


def test_listen_brings_every_reply_back_and_takes_it_away() -> None:
    """All are told; asked for twice it is told once."""
    session = tell(theirs(), ev.ListenRequested(GRACE, "all", "press:1"), ev.ListenRequested(ADA, "all", "press:2"))
    assert [notice.kind for notice in session.thread.notices] == ["listen_all"]
    session = tell(session, said(2, GRACE), said(3))
    assert prompts(session) == ["do thing 2", "do thing 3"]
    session = tell(session, ev.ListenRequested(ADA, "mentions"), said(4))
    assert prompts(session) == ["do thing 2", "do thing 3"]
    with pytest.raises(UsageError, match="listen"):
        decide(session, ev.ListenRequested(ADA, "everything"), T0)


def test_talk_wakes_no_session() -> None:
    """Only a prompt does."""
    session = tell(theirs(), ev.WorkerLeft(theirs().launch, "idle"))
    assert not tell(session, said(2)).status.is_live
    assert tell(session, said(2), said(3, mentioned=True)).status.is_live
