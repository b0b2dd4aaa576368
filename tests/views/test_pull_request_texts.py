"""The pull request's card and news, as people read them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from slackbot.core import events as ev
from slackbot.core.limits import PullRequestTerms
from slackbot.core.ports import CheckRun, Review, ReviewComment, ReviewThread
from slackbot.core.pull_request_text import MAX_TITLE, proposed_body, proposed_title
from slackbot.core.session import Session
from slackbot.views.notice import notice
from slackbot.views.pull_request import pull_request_body, review_reply
from slackbot.views.pull_request_card import pull_request_card
from tests.core.builders import FAILING, T0, a_session, a_snapshot, answered, look, opened, tell, with_commit
from tests.core.strategies import sessions
from tests.views.block_limits import as_read, check, labels, mentions

PR = "https://github.com/acme/shop/pull/12"
MERGE = PullRequestTerms(may_merge=True)
REVIEWS = (
    Review(1, "grace", "changes_requested", "No <!channel>.", f"{PR}#r1", T0, "member"),
    Review(2, "stranger", "approved", "", f"{PR}#r2", T0, "none"),
)
THREADS = (ReviewThread("t", False, "a.py", 3, (ReviewComment(7, "grace", "owner", "Why?", f"{PR}#c7", T0),)),)


def told(session: Session) -> list[str]:
    return [as_read(check(notice(session, one))) for one in session.thread.notices]


def seen(terms: PullRequestTerms = PullRequestTerms(), **facts: Any) -> Session:  # noqa: B008  frozen
    return look(opened(), terms=terms, **facts)


def test_a_fresh_one() -> None:
    """As it is the moment it was opened, before anybody looked."""
    view = check(pull_request_card(opened()))
    assert as_read(view) == (
        f"🟢 <{PR}|Pull request #12> is open\nprompted by <@U0000001> · asked for by <@U0000007>\n[View PR #12]"
    )


def test_everything_at_once() -> None:
    """State, review with who, checks with links, conflicts, size, who prompted, and the buttons that make sense."""
    checks = (*FAILING, CheckRun("build", "pending"))
    session = seen(checks=checks, reviews=REVIEWS, threads=THREADS, mergeable="conflicting")
    assert as_read(check(pull_request_card(session))) == (
        f"🟢 <{PR}|Pull request #12> is open – *Fix the flaky checkout test*\n"
        "🔴 Changes asked for by *grace*\n🟡 1 review thread is open\n"
        "🔴 Checks: 1 failing: <https://ci.example/1|lint>, 1 running, 1 passed\n🔴 It conflicts with `main`\n"
        "2 files, +10 −3 · into `main` · prompted by <@U0000001> · asked for by <@U0000007>\n"
        "[View PR #12] [Fix checks] [Address review] [Resolve conflicts]"
    )
    assert told(session) == [
        f"🔴 Checks of <{PR}|Pull request #12> failed: <https://ci.example/1|lint>.\n"
        "*Fix checks* on the pull request's card gives them to the agent.",
        f"🔴 *grace* asks for changes to <{PR}|Pull request #12>.\n“No &lt;!channel&gt;.” · <{PR}#r1|The review> · "
        "*Address review* on the pull request's card gives them to the agent.",
        f"🔴 <{PR}|Pull request #12> conflicts with `main`.\n"
        "*Resolve conflicts* on the pull request's card gives it to the agent.",
    ]


@pytest.mark.parametrize(
    ("facts", "terms", "buttons"),
    [
        ({"draft": True}, MERGE, ["View PR #12", "Ready for review"]),
        ({}, MERGE, ["View PR #12", "Merge…"]),
        ({}, PullRequestTerms(), ["View PR #12"]),
        ({"review_decision": "review_required"}, MERGE, ["View PR #12"]),
        ({"checks": (CheckRun("build", "pending"),)}, MERGE, ["View PR #12"]),
        ({"mergeable": "unknown"}, MERGE, ["View PR #12"]),
        ({"state": "merged", "merged_by": "grace"}, MERGE, ["View PR #12"]),
        ({"state": "closed"}, MERGE, ["View PR #12"]),
    ],
)
def test_the_buttons_make_sense(facts: dict[str, Any], terms: PullRequestTerms, buttons: list[str]) -> None:
    """Merge only where the settings allow it, and nothing that GitHub tells is against it."""
    assert labels(pull_request_card(seen(terms, **facts))) == buttons


def test_the_end() -> None:
    """Merged, by whom; the branch can be deleted once it was seen to be there; then it says so."""
    session = seen(state="merged", merged_by="grace")
    assert as_read(pull_request_card(session)).startswith(f"🟣 <{PR}|Pull request #12> is merged by *grace*")
    assert told(session)[0].startswith(f"🟣 <{PR}|Pull request #12> is merged by *grace*.\nThe session ends")
    session = tell(session, ev.MergedBranchSeen(True))
    assert labels(pull_request_card(session)) == ["View PR #12", "Delete branch"]
    session = tell(session, ev.PullRequestActRequested("delete_branch", "U1", "press:1"))
    assert "Its branch is being deleted, as <@U1> asked" in as_read(pull_request_card(session))
    session = tell(session, ev.PullRequestActDone("press:1", "delete_branch"))
    assert labels(pull_request_card(session)) == ["View PR #12"]
    assert "its branch is deleted" in as_read(pull_request_card(session))


@settings(max_examples=25)
@given(sessions)
def test_any_card_is_within_limits(session: Session) -> None:
    """Whatever GitHub said: Slack takes it, and nobody is mentioned but who prompted or asked."""
    people = {session.user_id, session.pull_request.opened_by, *session.dropped_user_ids}
    people |= {turn.user_id for turn in session.history}
    people |= {str(one.get("user_id")) for one in session.pull_request.asked}
    view = check(pull_request_card(session))
    assert mentions(view) <= {f"<@{user_id}>" for user_id in people if user_id}


def test_a_long_list_of_checks_is_within_limits() -> None:
    """Ten are named with their links, the others counted."""
    checks = tuple(
        CheckRun(f"{number:03d} " + "c" * 200, "failed", "https://x.example/" + "u" * 140) for number in range(90)
    )
    session = seen(checks=checks, checks_total=120)
    assert "90 failing" in as_read(check(pull_request_card(session)))
    assert "and 80 more" in as_read(check(pull_request_card(session)))
    assert "and 80 more" in told(session)[0]


def test_what_it_is_proposed_with() -> None:
    """The agent's heading is the title; its answer, the prompts and the template are the body; nobody is notified."""
    said = "# Read the clock once\n\nThe test read it twice. cc @team, fixes #12"
    session = answered(commit_sha="c" * 40, response=said)
    assert proposed_title(session) == "Read the clock once"
    body = proposed_body(session, "## Checklist\n- [ ] tests")
    assert body.index("Read the clock once") < body.index("```text\ndo thing 1\n```") < body.index("## Checklist")
    assert "@team" not in body
    assert "fixes #12" not in body
    assert "@\u200bteam" in body
    assert proposed_title(a_session()) == "Fix the flaky checkout test"
    long = answered(commit_sha="c" * 40, response="word " * 9_000)
    assert len(proposed_body(long, "t" * 1_000, limit_bytes=2_900).encode()) <= 2_900
    assert len(proposed_title(long)) <= MAX_TITLE
    whole = pull_request_body(session, "https://s.example/p1", body)
    assert whole.endswith(f"[The thread](https://s.example/p1)\n\n<!-- devflow-session: {session.session_id} -->\n")


def test_a_reply_to_a_review_says_what_was_done() -> None:
    """With the commit, or that nothing was changed; it notifies nobody, and is found again by its mark."""
    turn = replace(with_commit().history[0], response="Done, @grace.")
    assert review_reply(with_commit(), turn).startswith(f"Addressed in {'c' * 40}.\n\nDone, @\u200bgrace.")
    assert f"<!-- devflow-turn: {turn.turn_id} -->" in review_reply(with_commit(), turn)
    assert review_reply(answered(), replace(turn, commit_sha=None)).startswith("Looked at; nothing was changed.")


def test_a_snapshot_of_another_pull_request_is_passed_over() -> None:
    """What was seen of an earlier one says nothing of this one."""
    session = opened()
    other = ev.PullRequestObserved(a_snapshot(number=11, state="merged"), 1)
    assert tell(session, other) is session
