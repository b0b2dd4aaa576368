"""Every view there is, filled to the brim and in every language, within the limits that Slack publishes.

https://docs.slack.dev/reference/block-kit/blocks, .../block-elements, .../composition-objects, and
https://docs.slack.dev/reference/views. A view that is not in this list fails a test.
"""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from slackbot.core.attachments import LeftOut
from slackbot.core.errors import DevflowError, IllegalTransition
from slackbot.core.ports import ChangedFile, CheckRun, IndexEntry, Review
from slackbot.core.repository_name import RepositoryName
from slackbot.core.session import Notice, Permission, Session, Turn, TurnState
from slackbot.core.start_ticket import Along, StartTicket
from slackbot.core.staying import AGE
from slackbot.sandbox.slack.block_rules import is_too_long, message_problems, view_problems
from slackbot.views import (
    answer,
    attachments,
    card,
    diff,
    editor,
    errors,
    forget,
    hand_over,
    home,
    listening,
    notice,
    permission,
    progress,
    pull_request_card,
    pull_request_form,
    replies,
    spending,
    start,
    start_form,
    steps,
    warning,
)  # fmt: skip
from slackbot.views.language import LANGUAGES
from slackbot.views.view import View
from tests.core.builders import FAILING, T0, look, opened, stopped, with_commit, working

LONG = "<@U0BAD0000> *`_~& 日本語 🟢 " * 130
WORD = "w" * 9_000
URL = "https://x.slack.com/archives/C1/p1"
PERSON = "U" + "0" * 10
TICKET = StartTicket(
    channel_id="C1", thread_ts="1.2", message_ts="3.4", repository="o" * 39 + "/" + "n" * 100, base_branch="b" * 200,
    agent="x" * 100, along=Along.THREAD,
)  # fmt: skip
NAMES = [RepositoryName("o" * 39, "n" * 100), *(RepositoryName("acme", f"shop{number}") for number in range(30))]

Made = View | dict[str, Any]


def full(session: Session, language: str) -> Session:
    """With everything that anybody may have written as long as can be, and as many of all as there may be."""
    turns = tuple(
        replace(
            turn, turn_id=f"C1:{number}", prompt=LONG, response=LONG, commit_sha="c" * 40, files_changed=9_999,
            additions=10**9, deletions=10**9, usage={"total_tokens": 10**12, "cost_microdollars": 10**12},
            steps=tuple({"title": LONG[:900], "status": "failed"} for _ in range(60)),
        )
        for number, turn in enumerate([*session.history] * 5)
    )  # fmt: skip
    waiting = tuple(
        Turn(f"C1:w{number}", PERSON, LONG, TurnState.QUEUED, T0, prompt_ts=f"{T0}.{number + 1:06d}")
        for number in range(10)
    )
    options = tuple({"option_id": str(n), "name": LONG, "kind": "allow_once"} for n in range(8))
    question = Permission("p" * 40, "C1:0", LONG, options, T0, T0 + 900, detail=LONG, shortened=True)
    return replace(
        session,
        history=(*turns, *waiting),
        initial_prompt=LONG,
        branch_name="b" * 240,
        base_branch="b" * 240,
        agent=LONG,
        error_message=LONG,
        error_remedy=LONG,
        permissions=(question,),
        thread=replace(session.thread, language=language, listen="mentions"),
        task=replace(session.task, last_status=LONG, stopped_reason=LONG, unpushed_files=10**6, delayed_by=LONG),
        stay=replace(session.stay, warned=AGE, warned_until=T0),
    )


def told(kind: str, **values: str) -> Notice:
    return Notice(kind, kind, T0, values)


def pull_request(language: str) -> Session:
    """A card with all it can hold."""
    checks = tuple(CheckRun(f"{number} {WORD}", "failed", URL, number) for number in range(60))
    reviews = tuple(Review(number, f"p{number}", "approved", LONG, URL, T0, "member") for number in range(60))
    session = look(opened(), checks=(*FAILING, *checks), reviews=reviews, mergeable="conflicting", title=LONG)
    return replace(full(session, language), pr_url=URL, pr_number=10**9)


@cache
def views(language: str) -> dict[str, list[Made]]:
    """Function -> what it makes."""
    busy, over = full(working(), language), full(stopped(), language)
    done = full(with_commit(), language)
    turn, waiting = busy.history[0], busy.waiting_turns[0]
    asked = busy.permissions[0]
    entries = [IndexEntry("1a2b3c4d-0", PERSON, T0, T0, LONG, T0, LONG, LONG, LONG, pr_number=3, pr_url=URL)] * 60
    error = DevflowError(LONG, LONG)
    pairs = tuple((LONG, "in_progress") for _ in range(40))
    picture = progress.ProgressPicture(LONG, pairs, pairs, 10**7)
    place = diff.DiffPlace("C1", "1.2", "C1:" + "0" * 200)
    patch = "@@ -0,0 +1 @@\n" + "\n".join(f"+{number} {LONG[:300]}" for number in range(100))
    files = [ChangedFile("a/" * 400 + "b.py", "renamed", 10**6, 10**6, patch) for _ in range(6)]
    lines = [LONG] * 40
    pr = pull_request(language)
    limit = {"scope": "session", "used": "9" * 30, "limit": "9" * 30, "unit": "dollars", "user_id": PERSON}
    spoken = {"language": language}
    return {
        "answer.answer": [answer.answer(done, each).view for each in done.history if each.state.is_ended],
        "attachments.files_left_out": [
            attachments.files_left_out([LeftOut(LONG, why) for why in ("kind", "size", "number")] * 10, **spoken)
        ],
        "card.card": [card.card(each, agent_note=LONG) for each in (busy, over, done, pr)],
        "card.root": [card.root(LONG, NAMES[0], WORD, LONG, PERSON, repository_url=URL, **spoken)],
        "diff.diff_loading": [diff.diff_loading(place, language)],
        "diff.diff_failed": [diff.diff_failed(place, error, language)],
        "diff.diff_modal": [
            diff.diff_modal(done, turn, ("a" * 40, "b" * 40), files, place, page, language) for page in (0, 1, 10**6)
        ],
        "editor.editor_link": [editor.editor_link(busy, "https://e/" + "x" * 2_000, **spoken)],
        "errors.error_view": [errors.error_view(error, LONG, **spoken)],
        "errors.unknown_error": [errors.unknown_error(LONG, **spoken)],
        "errors.illegal": [errors.illegal(IllegalTransition(LONG), over, LONG, **spoken)],
        "forget.forget_question": [forget.forget_question(over, permalink=URL, **spoken)],
        "forget.forget_first_stop": [forget.forget_first_stop(**spoken)],
        "forget.forgotten": [forget.forgotten(over, permalink=URL, done=each, **spoken) for each in (True, False)],
        "forget.forgotten_card": [forget.forgotten_card(over, PERSON)],
        "hand_over.to_whom": [hand_over.to_whom(busy, **spoken)],
        "hand_over.handed_over": [hand_over.handed_over(busy, told("handed_over", by=PERSON, to=PERSON))],
        "hand_over.has_it": [hand_over.has_it(PERSON, **spoken)],
        "home.home": [
            home.home(
                own_live=[busy] * 20, ended=[over] * 20, others_live=[pr] * 20, now=T0 + 600,
                permalinks={busy.session_id: URL}, cursor="c" * 1_900, is_first_page=False,
                notice=errors.error_view(error, LONG, **spoken), **spoken,
            ),
            home.home(own_live=[], ended=[], others_live=None, now=T0, permalinks={}, **spoken),
        ],
        "home.home_notice": [home.home_notice(errors.error_view(error, LONG, **spoken))],
        "listening.mentions_needed": [listening.mentions_needed(busy, told("mentions_needed"))],
        "listening.listen_changed": [listening.listen_changed(busy, told("listen_all", user_id=PERSON))],
        "listening.overheard": [listening.overheard("1.2", "3.4", **spoken)],
        "notice.notice": [
            notice.notice(each, told(kind, user_id=PERSON, summary=LONG, remedy=LONG, number="9" * 20, names=LONG))
            for each in (over, pr)
            for kind in ("stopped", "failed", "pull_request_opened", "pull_request_refused", "merged", "tomorrow's")
        ],
        "permission.permission": [
            permission.permission(busy, asked),
            permission.permission(busy, replace(asked, detail=asked.title)),
            permission.permission(busy, replace(asked, outcome="selected", option_id="3", answered_by=PERSON)),
        ],
        "progress.progress": [progress.progress(busy, each, picture) for each in (turn, waiting)],
        "pull_request_card.pull_request_card": [pull_request_card.pull_request_card(pr)],
        "pull_request_form.open_form": [
            pull_request_form.open_form(
                done, title=LONG, body=LONG, base_ref=base, draft=True, reviewers=["r" * 39] * 15, language=language
            )
            for base in ("main", WORD)
        ],
        "pull_request_form.merge_form": [pull_request_form.merge_form(pr, ["merge", "squash", "rebase"], language)],
        "replies.help_text": [replies.help_text(**spoken)],
        "replies.session_list": [
            replies.session_list(entries, T0, cursor="c" * 9_000, permalinks={"1a2b3c4d-0": URL}, **spoken)
        ],
        "replies.session_status": [replies.session_status(each, T0, permalink=URL, **spoken) for each in (busy, pr)],
        "replies.choose_session": [replies.choose_session(entries, "stop", T0, **spoken)],
        "replies.none_found": [replies.none_found("stop", LONG, **spoken)],
        "replies.session_gone": [replies.session_gone(**spoken)],
        "replies.accepted": [replies.accepted(verb, pr, **spoken) for verb in ("stop", "pr", "cancel", "other")],
        "replies.starting_slowly": [replies.starting_slowly(**spoken)],
        "spending.spending_near": [spending.spending_near(busy, told("spending_near", **limit))],
        "spending.spending_reached": [spending.spending_reached(busy, told("spending_reached", **limit))],
        "spending.spending_extended": [spending.spending_extended(busy, told("spending_extended", **limit))],
        "start.started_on": [start.started_on(busy, why, permalink=URL, **spoken) for why in start.Why],
        "start.which_repository": [start.which_repository(replace(TICKET, prompt="x" * 900), NAMES, **spoken)],
        "start.before_start": [
            start.before_start(each, lines, why=start.Why.LAST, offered=NAMES, **spoken)
            for each in (TICKET, replace(TICKET, repository=None))
        ],
        "start.what_shall_be_done": [start.what_shall_be_done(TICKET, **spoken)],
        "start.has_session": [start.has_session(URL, **spoken)],
        "start_form.start_form": [
            start_form.start_form(
                each, prompt=LONG, agents=[WORD, *map(str, range(200))], notes=[LONG[:500]] * 4, **spoken
            )
            for each in (TICKET, replace(TICKET, channel_id=None))
        ],
        "start_form.with_ticket": [
            start_form.with_ticket(start_form.start_form(TICKET, prompt=LONG, agents=[WORD], **spoken), TICKET)
        ],
        "steps.steps_modal": [steps.steps_modal(done, turn, language)],
        "warning.warning": [warning.warning(replace(busy, stay=replace(busy.stay, warned=by))) for by in (AGE, "idle")],
    }  # fmt: skip


MAKERS = {"View", "AnswerView", "Modal", "dict[str, Any]", "Block"}


def test_none_is_left_out() -> None:
    """Every public function of `views` that makes a message or a form is checked here."""
    found = {
        f"{path.stem}.{node.name}"
        for path in Path(answer.__file__).parent.glob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.returns is not None and ast.unparse(node.returns) in MAKERS
    }
    parts = {name for name in found if name.startswith("blocks.") or "._" in name} | {"start_form.option"}
    assert found - parts == set(views("en"))


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_slack_takes_every_view(language: str) -> None:
    """Types, fields, lengths, numbers of things; the size of the whole."""
    for name, made in views(language).items():
        for each in made:
            if isinstance(each, View):
                assert message_problems(each.blocks) == [], name
                assert not is_too_long(each.blocks), name
                assert 0 < len(each.text) <= (40_000 if name == "card.root" else 3_900), name
            else:
                assert view_problems(each) == [], name
                assert len(json.dumps(each)) < 250_000, name
