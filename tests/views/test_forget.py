"""What is said of a session that is to be forgotten."""

from __future__ import annotations

from dataclasses import replace

from slackbot.core.ports import Metadata
from slackbot.views.card import parse_root_metadata
from slackbot.views.forget import FORGOTTEN_EVENT_TYPE, forget_question, forgotten, forgotten_card
from tests.core.builders import stopped, with_commit
from tests.views.block_limits import check


def test_what_remains_is_named_with_its_link() -> None:
    """Thread, branch, pull request and logs, as far as there are any."""
    session = replace(with_commit(), pr_number=7, pr_url="https://github.com/acme/shop/pull/7")
    for language, word in (("en", "remains"), ("ja", "残る")):
        for view in (
            forget_question(session, permalink="https://acme.example/archives/C1/p1", language=language),
            forgotten(session, permalink="https://acme.example/archives/C1/p1", language=language),
        ):
            check(view)
            said = str(view.blocks)
            for part in (word, "https://acme.example/archives/C1/p1", session.branch_name, "/pull/7"):
                assert part in said
    bare = str(forgotten(stopped(), permalink=None).blocks)
    assert "/pull/" not in bare


def test_the_card_of_a_forgotten_session_begins_nothing() -> None:
    """Its metadata is no root's."""
    assert "<@U1>" in forgotten_card(stopped(), "U1").text
    assert parse_root_metadata(Metadata(FORGOTTEN_EVENT_TYPE, {}).__dict__) is None
