"""The question, the preview, the form and Home: within Slack's limits whatever they hold, in every language."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slackbot.core.repository_name import RepositoryName
from slackbot.core.session import PullRequestState
from slackbot.core.start_ticket import MAX_PRIVATE_METADATA, Along, StartTicket, parse_ticket
from slackbot.sandbox.slack.block_rules import view_problems
from slackbot.views.home import home, home_notice
from slackbot.views.language import LANGUAGES
from slackbot.views.start import Why, before_start, has_session, started_on, what_shall_be_done, which_repository
from slackbot.views.start_form import FormFields, form_fields, start_form
from tests.core.builders import T0, answered, stopped, working
from tests.views.block_limits import as_read, check

LONG = RepositoryName("o" * 39, "n" * 100)
TICKET = StartTicket(thread_ts="1.2", message_ts="3.4", base_branch="b" * 200, agent="x" * 100)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_asked_and_told_fits(language: str) -> None:
    """With the longest names, many repositories and long threads."""
    names = [LONG, *(RepositoryName("acme", f"shop{number}") for number in range(30))]
    lines = [f"{number}: {'word ' * 300}" for number in range(40)]
    for view in (
        which_repository(replace(TICKET, prompt="fix " * 200), names, language=language),
        which_repository(TICKET, [], language=language),
        before_start(TICKET, lines, why=None, offered=names, language=language),
        before_start(replace(TICKET, repository="acme/shop"), lines, why=Why.LAST, offered=(), language=language),
        what_shall_be_done(TICKET, language=language),
        has_session("https://x.slack.com/archives/C1/p1", language=language),
        *(started_on(working(), why, permalink="https://x.slack.com/p1", language=language) for why in Why),
    ):
        check(view)


def test_what_is_asked_reads() -> None:
    """A person sees what would go along, what it is for, and what can be done."""
    view = before_start(
        StartTicket(thread_ts="1.2", message_ts="3.4", repository="acme/shop"),
        ["ada: checkout is broken", "grace: since Monday"],
        why=Why.NAMED,
        offered=(),
    )
    assert as_read(view) == (
        "Nothing has begun yet. 2 earlier messages of this thread would go along:\n"
        "ada: checkout is broken\ngrace: since Monday\n"
        "The agent gets them as conversation, marked as untrusted: it is told not to follow them.\n"
        "Repository: `acme/shop` – your prompt names it\n"
        "[Start] [Start without them] [Change…] [Not now]"
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_form_is_one_that_slack_takes(language: str) -> None:
    """Empty, and filled to the brim; what it carries comes back as it was."""
    ticket = replace(TICKET, channel_id="C1", repository=LONG.full_name, along=Along.THREAD)
    for view in (
        start_form(StartTicket(), prompt="", agents=["shell"], language=language),
        start_form(
            ticket, prompt="x" * 9_000, agents=["y" * 300, *map(str, range(150))], notes=["a"], language=language
        ),
    ):
        assert view_problems(view) == []
        assert len(view["private_metadata"]) <= MAX_PRIVATE_METADATA
    assert parse_ticket(view["private_metadata"]) == ticket


def test_what_stands_in_the_form() -> None:
    """Whatever is missing or of another type is nothing."""
    values = {
        "form_repository": {"form_repository": {"selected_option": {"value": "acme/shop"}}},
        "form_prompt": {"form_prompt": {"value": "fix it"}},
        "form_base": {"form_base": {"selected_option": None}},
        "form_agent": {"form_agent": []},
    }
    assert form_fields({"state": {"values": values}}) == FormFields(repository="acme/shop", prompt="fix it")
    for broken in ({}, {"state": []}, {"state": {"values": {"form_prompt": {"form_prompt": {"value": 3}}}}}):
        assert form_fields(broken) == FormFields()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "3", '{"a":"b"}', '{"thread_ts":1}', '{"thread_ts":"x"}', '{"channel_id":"../.."}',
     '{"replaces":"no id"}', '{"along":"everything"}', '{"prompt":""}', '{"message_ts":"1.2\\n"}', "[" * 5_000],
)  # fmt: skip
def test_a_ticket_that_is_none(text: str) -> None:
    """Nothing but what views wrote is taken."""
    assert parse_ticket(text) is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_home_fits_and_reads(language: str) -> None:
    """Live ones first with Stop, ended ones with Retry; more than fit are counted; others' only for administrators."""
    with_pr = replace(
        answered(),
        pr_number=7,
        pr_url="https://github.com/acme/shop/pull/7",
        pull_request=PullRequestState(state="open"),
    )
    view = home(
        own_live=[working(), with_pr] * 6,
        ended=[stopped()] * 10,
        others_live=[working()] * 40,
        now=T0 + 600,
        permalinks={working().session_id: "https://x.slack.com/archives/C1/p1"},
        cursor="abc",
        notice=has_session(None),
        language=language,
    )
    assert view_problems(view) == []
    assert len(view["blocks"]) <= 100
    ids = [e["action_id"] for block in view["blocks"] if block["type"] == "actions" for e in block["elements"]]
    assert {"start_form", "home_stop", "home_older", "link_thread", "link_pull_request"} <= set(ids)
    alone = home(own_live=[], ended=[], others_live=None, now=T0, permalinks={}, language=language)
    assert view_problems(alone) == []
    assert len(alone["blocks"]) == 4
    assert view_problems(home_notice(has_session(None, language=language))) == []
