"""A channel that others read, and a thread without its first message: what the session does and what it still tells."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slackbot.core import events as ev
from slackbot.core.effects import DeliverAnswer, PostNotice, StopTask, UpdateCard, owed
from slackbot.core.item import from_item, to_item
from slackbot.core.session import EndedBy, Session, Status, TurnState
from slackbot.views.notice import notice
from tests.core.builders import (
    BY_STATUS,
    T0,
    answered,
    ended_turn,
    failed,
    observed,
    prompt,
    running,
    stopped,
    tell,
    working,
)


def kinds(session: Session) -> list[str]:
    return [kind.kind for kind in session.thread.notices]


@pytest.mark.parametrize("begin", [running, working], ids=["waiting", "working"])
def test_a_shared_channel_freezes_the_session_and_tells_it_once(begin: object) -> None:
    """The worker is stopped, the turn ends with the session, and one notice says why and what then."""
    session = tell(begin(), ev.ChannelShared(), now=T0 + 50)  # type: ignore[operator]
    assert (session.status, session.ended and session.ended.by) == (Status.STOPPED, EndedBy.SHARED)
    assert kinds(session) == ["frozen"]
    assert session.history[0].state is TurnState.CANCELLED
    assert session.history[0].told_by == session.thread.notices[0].notice_id
    assert tell(session, ev.ChannelShared()) is session
    assert [type(effect) for effect in owed(session)] == [UpdateCard, PostNotice, StopTask]
    told = notice(session, session.thread.notices[0]).text
    assert "shared with another organisation" in told
    assert from_item(to_item(session)) == session


@pytest.mark.parametrize("status", Status)
def test_strangers_read_nothing_but_that_it_is_frozen(status: Status) -> None:
    """Answers and notices that are owed wait until the channel is the workspace's own again."""
    session = BY_STATUS[status]()
    if session.working_turn is not None:
        session = tell(session, ended_turn(session, response="a secret plan"))
    session = tell(session, ev.PullRequestOpened(3, "https://github.com/acme/shop/pull/3"))
    before = [effect for effect in owed(session) if isinstance(effect, DeliverAnswer | PostNotice)]
    frozen = tell(session, ev.ChannelShared())
    told = [effect for effect in owed(frozen) if isinstance(effect, DeliverAnswer | PostNotice)]
    words = {n.notice_id: n.kind for n in frozen.thread.notices}
    assert [words[effect.notice_id] for effect in told if isinstance(effect, PostNotice)] == (
        ["frozen"] if session.status.is_live else []
    )
    assert not [effect for effect in told if isinstance(effect, DeliverAnswer)]
    thawed = tell(frozen, ev.ChannelUnshared(), now=T0 + 900)
    assert set(before) <= set(owed(thawed))


def test_a_thawed_session_says_so_and_a_reply_wakes_it() -> None:
    """On the same branch, with a new launch."""
    frozen = tell(answered(), ev.ChannelShared())
    frozen = tell(frozen, observed(frozen, "STOPPED", exit_code=0))
    thawed = tell(frozen, ev.ChannelUnshared(), now=T0 + 900)
    assert kinds(thawed)[-1] == "thawed"
    assert "reply" in str(notice(thawed, thawed.thread.notices[-1]).blocks)
    assert tell(thawed, ev.ChannelUnshared()) is thawed
    awake = tell(thawed, prompt(9), now=T0 + 901)
    assert awake.status is Status.STARTING
    assert (awake.branch_name, awake.launch > thawed.launch) == (frozen.branch_name, True)


def test_a_reply_that_was_let_in_thaws_though_nobody_told_of_the_end_of_the_share() -> None:
    """Who is let in was asked in this very channel a moment ago."""
    frozen = tell(answered(), ev.ChannelShared())
    awake = tell(frozen, prompt(9), now=T0 + 900)
    assert (awake.status, awake.thread.frozen_at) == (Status.STARTING, None)


@pytest.mark.parametrize("begin", [stopped, failed])
def test_what_is_over_is_frozen_without_a_word(begin: object) -> None:
    """Nobody waits for anything there; what comes later is held back all the same."""
    session: Session = begin()  # type: ignore[operator]
    frozen = tell(session, ev.ChannelShared())
    assert (frozen.status, kinds(frozen)) == (session.status, kinds(session))
    thawed = tell(frozen, ev.ChannelUnshared())
    assert kinds(thawed) == kinds(session)
    assert replace(thawed, write_version=0, updated_at=0) == replace(session, write_version=0, updated_at=0)


def test_a_session_without_its_first_message_ends_and_says_so() -> None:
    """The task is stopped; a reply in what is left of the thread is kept for Retry."""
    session = tell(working(), ev.RootDeleted(), now=T0 + 50)
    assert (session.status, kinds(session)) == (Status.STOPPED, ["stopped"])
    told = notice(session, session.thread.notices[0])
    assert "first message of this thread was deleted" in told.text
    assert "Retry runs it" in str(told.blocks)
    kept = tell(session, prompt(9), now=T0 + 60)
    assert (kept.status, kept.history[-1].state) == (Status.STOPPED, TurnState.CANCELLED)
