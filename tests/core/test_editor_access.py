"""Links and cookies of the web editor: whose they are, for which launch, until when, and once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slackbot.core import events as ev
from slackbot.core.card_key import card_key
from slackbot.core.editor_access import (
    Ticket,
    door_secret,
    read_cookie,
    read_link,
    sign_cookie,
    sign_link,
)
from slackbot.core.errors import IllegalTransition
from slackbot.core.item import from_item, to_item
from slackbot.core.session import Session, Turn, TurnState, tried_before
from slackbot.core.transitions import decide
from slackbot.views.buttons import stop_button
from tests.core.builders import T0, running

SECRET = "s" * 32
TICKET = Ticket("U0ADA", T0 + 60, "nonce-1234")


def with_editor() -> Session:
    session = running()
    return replace(session, task=replace(session.task, editor_address="10.0.0.7:4000"))


def test_a_ticket_is_good_for_its_session_launch_purpose_and_time() -> None:
    """Everything else about it makes it no ticket at all."""
    session = with_editor()
    link = sign_link(SECRET, session, TICKET)
    assert read_link(SECRET, session, link, T0) == TICKET
    assert read_link(SECRET, session, link, T0 + 60) is None
    assert read_cookie(SECRET, session, link, T0) is None
    assert read_link("t" * 32, session, link, T0) is None
    assert read_link(SECRET, replace(session, launch=session.launch + 1), link, T0) is None
    assert read_link(SECRET, replace(session, session_id="0" * 36), link, T0) is None
    for changed in (link.replace("U0ADA", "U0EVE"), link.replace(str(T0 + 60), str(T0 + 999)), "", "a.b.c.d", "é"):
        assert read_link(SECRET, session, changed, T0) is None
    assert read_cookie(SECRET, session, sign_cookie(SECRET, session, TICKET), T0) == TICKET


def test_a_link_is_used_once_and_forgotten_when_it_would_have_ended() -> None:
    """The second press changes nothing; what is remembered stays small, and survives the table."""
    event = ev.EditorLinkRedeemed("U0ADA", TICKET.nonce, TICKET.expires_at)
    used = decide(with_editor(), event, T0)
    assert used.task.editor_links == (f"{T0 + 60}:nonce-1234",)
    assert from_item(to_item(used)) == used
    with pytest.raises(IllegalTransition):
        decide(used, event, T0 + 1)
    later = decide(used, ev.EditorLinkRedeemed("U0ADA", "another-nonce", T0 + 200), T0 + 100)
    assert later.task.editor_links == (f"{T0 + 200}:another-nonce",)
    with pytest.raises(IllegalTransition):
        decide(running(), event, T0)


def test_doors_of_launches_have_secrets_of_their_own() -> None:
    """What one worker knows opens no other's door."""
    secrets = {door_secret(SECRET, session, launch) for session in ("a", "b") for launch in (1, 2)}
    assert len(secrets) == 4


def test_work_in_the_editor_counts_against_idleness() -> None:
    """Seen by the worker, stored with its sign of life."""
    session = with_editor()
    heard = decide(session, ev.WorkerHeard(session.launch, in_editor=True), T0 + 500)
    assert heard.last_activity_at == T0 + 500
    assert decide(session, ev.WorkerHeard(session.launch), T0 + 500).last_activity_at < T0 + 500


def test_stop_asks_about_what_is_not_pushed() -> None:
    """Reported by the worker at once, shown by the confirmation, gone when it is pushed."""
    session = running()
    heard = decide(session, ev.WorkerHeard(session.launch, unpushed_files=3), T0 + 1)
    assert heard.task.unpushed_files == 3
    button = stop_button(heard)
    assert button is not None
    assert "3 files in its checkout are not pushed" in button["confirm"]["text"]["text"]
    assert card_key(heard) != card_key(session)
    pushed = decide(heard, ev.WorkerHeard(session.launch, unpushed_files=0), T0 + 2)
    plain = stop_button(pushed)
    assert plain is not None
    assert "confirm" not in plain


def test_a_retry_knows_the_turns_of_lost_launches_alone() -> None:
    """Of the same prompt, failed, claimed before this launch, with no commit told."""
    session = running(launch=2000)
    lost = Turn("C:1", "U1", "do it", TurnState.FAILED, T0, prompt_ts="1", claimed_launch=1000)
    again = Turn("C:9", "U1", "do it", TurnState.WORKING, T0, prompt_ts="1", claimed_launch=2000)
    others = (
        replace(lost, turn_id="C:2", claimed_launch=2000),
        replace(lost, turn_id="C:3", commit_sha="a" * 40),
        replace(lost, turn_id="C:4", prompt="other"),
        replace(lost, turn_id="C:5", state=TurnState.CANCELLED),
        replace(lost, turn_id="C:6", claimed_launch=None),
    )
    assert tried_before(replace(session, history=(lost, *others, again)), again) == (lost,)
