"""What belongs to an answer: the diff and the steps as forms, the agent's questions, files that were left out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from slackbot.core import events as ev
from slackbot.core.attachments import LeftOut
from slackbot.core.errors import PermanentError
from slackbot.core.ports import ChangedFile
from slackbot.core.session import Session
from slackbot.views.answer import answer
from slackbot.views.attachments import files_left_out
from slackbot.views.diff import DiffPlace, diff_failed, diff_loading, diff_modal, diff_pages
from slackbot.views.language import LANGUAGES
from slackbot.views.permission import permission, permission_metadata
from slackbot.views.steps import steps_modal
from slackbot.views.view import View
from tests.core.builders import T0, answered, ended_turn, tell, with_commit, working
from tests.views.block_limits import as_read, buttons, check, labels, mentions

PLACE = DiffPlace("C1", "1.1", "C1:1.1")
OPTIONS = tuple(
    {"option_id": f"o{number}", "name": name, "kind": kind}
    for number, (name, kind) in enumerate(
        [("Run it", "allow_once"), ("Always", "allow_always"), ("No <!here>", "reject_once")]
    )
)


def asked(**values: Any) -> Session:
    session = working()
    turn = session.working_turn
    assert turn is not None
    given: dict[str, Any] = {"title": "rm -rf <!channel>", "detail": "rm -rf build", **values}
    event = ev.PermissionAsked(
        session.launch, turn.turn_id, "p1", options=OPTIONS, wait_seconds=900, kind="execute", **given
    )
    return tell(session, event)


def check_modal(view: dict[str, Any]) -> None:
    """What Slack takes as a modal. https://docs.slack.dev/reference/views/modal-views"""
    assert view["type"] == "modal"
    assert 0 < len(view["title"]["text"]) <= 24
    assert 0 < len(view["close"]["text"]) <= 24
    assert 0 < len(view["blocks"]) <= 100
    assert len(view.get("private_metadata", "")) <= 3_000
    assert len(json.dumps(view)) < 250_000
    for start in range(0, len(view["blocks"]), 3):
        check(View("x", view["blocks"][start : start + 3]))


def test_a_question_reads() -> None:
    session = asked()
    view = check(permission(session, session.permissions[0]))
    assert as_read(view).splitlines()[:3] == [
        "🟠 <@U0000001>, the agent asks leave for: *rm -rf &lt;!channel&gt;*",
        "rm -rf build",
        "[Run it] [Always] [No <!here>]",
    ]
    assert f"<!date^{T0 + 900}^{{time}}|" in as_read(view)
    assert [each.get("style") for each in buttons(view)] == ["primary", None, "danger"]
    assert [each["value"] for each in buttons(view)] == ["p1:0", "p1:1", "p1:2"]
    assert permission_metadata(session, session.permissions[0]).event_payload["permission_id"] == "p1"


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_how_a_question_ended(language: str) -> None:
    """No buttons any more; who answered, or why nobody did. A hostile title pings nobody."""
    session = asked()
    session = replace(session, thread=replace(session.thread, language=language))
    for changes in (
        {"outcome": "selected", "option_id": "o0", "answered_by": "U0000002"},
        {"outcome": "selected", "option_id": "o2", "answered_by": "U0000002"},
        {"outcome": "timed_out"},
        {"outcome": "cancelled"},
    ):
        view = check(permission(session, replace(session.permissions[0], **changes)))
        assert buttons(view) == []
        assert mentions(view) <= {"<@U0000002>"}


def test_a_huge_question_fits() -> None:
    session = asked(title="t" * 900, detail="d" * 90_000)
    check(permission(session, session.permissions[0]))


def changed(name: str = "a.py", lines: int = 10, width: int = 20) -> ChangedFile:
    patch = "@@ -0,0 +1 @@\n" + "\n".join(f"+{number:06d}" + "x" * width for number in range(lines))
    return ChangedFile(name, "modified", lines, 0, patch)


@pytest.mark.parametrize(
    "files",
    [
        [],
        [changed()],
        [changed(f"{number}.py") for number in range(300)],
        [changed(lines=9_000)],
        [changed(lines=1, width=40_000)],
        [ChangedFile("pic.png", "added"), ChangedFile("new.py", "renamed", 1, 1, "@@\n+x", "old.py")],
        [ChangedFile("<!channel>`x`", "removed", 0, 1, "@@ -1 +0,0 @@\n-<!here> ```")],
    ],
    ids=["nothing", "one", "many", "long", "wide", "odd", "hostile"],
)
@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_a_diff_fits_on_its_pages(files: list[ChangedFile], language: str) -> None:
    """Every page is one that Slack takes; together they show every line that is shown at all."""
    session = with_commit()
    pages = diff_pages(files, language)
    for page in range(len(pages) + 1):
        check_modal(diff_modal(session, session.history[0], ("b" * 40, "c" * 40), files, PLACE, page, language))
    text = json.dumps(pages)
    for file in files[:50]:
        for line in (file.patch or "").split("\n")[:500]:
            assert json.dumps(line[:2_000])[1:-1] in text


def test_the_forms_before_and_instead() -> None:
    check_modal(diff_loading(PLACE, "en"))
    check_modal(diff_failed(PLACE, PermanentError("<!here> GitHub is away.", "Try later."), "ja"))
    assert DiffPlace.parse(PLACE.text()) == PLACE
    for forged in ("", "[]", "{}", "[1,2,3]", "x", '["a","b"]'):
        assert DiffPlace.parse(forged) is None


def test_the_steps_of_a_turn() -> None:
    steps = tuple({"title": f"step {number} " + "x" * 200, "status": "completed"} for number in range(40))
    session = answered(steps=steps)
    check_modal(steps_modal(session, session.history[0], "en"))
    check_modal(steps_modal(session, replace(session.history[0], steps=(), prompt="p" * 9_000), "ja"))
    assert labels(answer(session, session.history[0]).view) == ["What I did"]


def test_an_undone_answer_and_the_undoing() -> None:
    """The answer that was undone offers it no more; the undoing says what it took back, and can itself be undone."""
    session = with_commit()
    first = session.history[0]
    session = tell(session, ev.UndoRequested("C0000001:p", "U0000002", first.turn_id), now=T0 + 70)
    assert "Undo" not in labels(answer(session, first).view)
    session = tell(session, ev.TurnClaimed(session.launch, "C0000001:p"), now=T0 + 71)
    session = tell(session, ended_turn(session, response="", commit_sha="d" * 40), now=T0 + 72)
    view = check(answer(session, session.history[1]).view)
    assert "*Undone:* what came with <https://github.com/acme/shop/commit/" in as_read(view)
    assert "Undo" in labels(view)
    nothing = replace(session.history[1], commit_sha=None)
    assert "Nothing to undo" in as_read(answer(session, nothing).view)


def test_the_facts_of_a_prompt_that_cost_and_waited() -> None:
    session = answered(usage={"total_tokens": 1200, "cost_microdollars": 123_456})
    turn = replace(session.history[0], waited_seconds=20)
    read = as_read(check(answer(session, turn).view))
    assert "took 40 s · waited 20 s for an answer" in read
    assert "1,200 tokens · $0.12" in read
    cheap = replace(turn, usage={"cost_microdollars": 12})
    assert "$&lt;0.01" in as_read(answer(session, cheap).view)


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_files_that_were_left_out(language: str) -> None:
    left_out = [LeftOut("<!here>.mp4", "kind"), LeftOut("b", "size"), LeftOut("c", "total"), LeftOut("d", "number")]
    view = check(files_left_out(left_out, language=language))
    assert mentions(view) == set()
    assert "20 MB" in as_read(view)


def test_a_long_answer_comes_with_what_it_says_further_on() -> None:
    """The beginning, the headings of the rest, how it ends; the whole of it is the file. Code is no heading."""
    parts = [f"## Part {number}\n\n" + "word " * 300 + "\n\n```sh\n# no heading\n```\n" for number in range(20)]
    text = "\n".join(parts) + "\n\nSo it is done, @channel."
    session = answered(response=text)
    shown = answer(session, session.history[0], full_text=text)
    assert shown.overflow == text.strip()
    read = as_read(check(shown.view))
    assert "*Further on:* Part 5 · Part 6" in read
    assert "no heading ·" not in read
    assert "So it is done, @\u200bchannel." in read
    short = answer(session, session.history[0], full_text="# One\n\nshort")
    assert short.overflow is None
    assert "Further on" not in as_read(short.view)
