"""Whatever people, agents and systems write: Slack takes the message, and nobody is notified who should not be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slackbot.core.errors import DevflowError, IllegalTransition
from slackbot.core.ports import IndexEntry
from slackbot.core.session import Notice, Session, Turn
from slackbot.core.slack_text import escape, plain_text
from slackbot.views.answer import answer, answer_metadata
from slackbot.views.card import (
    MAX_ROOT_TEXT,
    NO_WORDS,
    card,
    card_metadata,
    parse_root_metadata,
    prompt_of_root,
    root,
    root_metadata,
)
from slackbot.views.errors import error_view, illegal, unknown_error
from slackbot.views.markdown_cut import cut, open_fence
from slackbot.views.notice import notice, notice_metadata
from slackbot.views.progress import ProgressPicture, progress, progress_metadata
from slackbot.views.pull_request_notices import PULL_REQUEST_KINDS
from slackbot.views.replies import choose_session, none_found, session_list, session_status
from slackbot.views.view import View
from tests.core.builders import T0, a_session, answered, working
from tests.core.strategies import sessions
from tests.views.block_limits import MAX_TEXT, as_read, check, mentions

ROOT_NAMES = ("repository", "base_branch", "agent", "user_id")

wild = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=()), max_size=60),
    st.builds(
        lambda piece, times: piece * times,
        st.sampled_from(
            [
                "<@U0BAD0000> ",
                "<!channel> ",
                "@here ",
                "&<>",
                "```\n",
                "*_~`",
                "日本語",
                "x",
                "\n",
                "\x00",
                "🟢",
                "> ",
                "|",
            ]
        ),
        st.sampled_from([1, 3, 700, 4_000, 41_000]),
    ),
)
"""Short texts of anything at all, and long ones of what is awkward."""


def only(view: View, *meant: str, max_text: int = MAX_TEXT) -> None:
    """The view is within the limits, and mentions nobody but those."""
    check(view, max_text)
    assert mentions(view) <= {f"<@{user_id}>" for user_id in meant}, as_read(view)[:500]


def people_of(session: Session) -> list[str]:
    people = {session.user_id, session.ended.user_id if session.ended else None}
    for turn in session.history:
        people |= {turn.user_id, turn.cancelled_by}
    for told in session.thread.notices:
        people.add(told.values.get("user_id"))
    return [user_id for user_id in people if user_id]


@settings(max_examples=50)
@given(sessions, wild)
def test_all_that_a_session_shows(session: Session, text: str) -> None:
    """Its card, answers and notices: one session for all of them, for it takes longest to make one up."""
    the_card(session, text)
    answers(session, text)
    notices(session, text)


def the_card(session: Session, text: str) -> None:
    """Of any session, with anything in what is foreign."""
    awkward = replace(
        session, initial_prompt=text, branch_name=text, base_branch=text, agent=text, error_message=text,
        error_remedy=text, pr_url=text, editor_url=text, repository_url=text,
        task=replace(session.task, last_status=text, stopped_reason=text),
        pull_request=replace(session.pull_request, state=text),
    )  # fmt: skip
    for each in (session, awkward):
        only(card(each, agent_note=text), *people_of(each))
        only(session_status(each, T0, permalink=text), *people_of(each))
        assert card_metadata(each).event_payload["session_id"] == session.session_id


@settings(max_examples=50)
@given(wild)
def test_the_root(text: str) -> None:
    """Whatever the prompt: its text is the prompt, cut only where Slack would refuse it."""
    session = a_session()
    view = root(text, session.repository, text, text, "U0000001", repository_url=text)
    only(view, "U0000001", max_text=MAX_ROOT_TEXT)
    if len(text) < 500 and text.strip() != NO_WORDS:
        assert prompt_of_root(view.text) == plain_text(escape(text)).strip()


def answers(session: Session, text: str) -> None:
    """Of any turn, with any response; what does not fit goes into a file, whole."""
    for turn in session.history:
        awkward = replace(turn, response=text, commit_sha=text or None)
        for each, full in ((turn, None), (awkward, None), (turn, text)):
            shown = answer(session, each, full_text=full)
            only(shown.view, *people_of(session))
            assert answer_metadata(session, each).event_payload["turn_id"] == turn.turn_id
        if len(text) < 1_000:
            assert answer(session, turn, full_text=text).overflow is None


@pytest.mark.parametrize("kind", sorted(PULL_REQUEST_KINDS))
def test_a_notice_that_lists_ten_thousand(kind: str) -> None:
    """Of a newer version, or by hand: what is shown of it stays within Slack's limits."""
    many = "\n".join(["https://h.example/1"] * 10_000)
    told = Notice("n", kind, T0, dict.fromkeys(("names", "urls", "by", "words"), many))
    only(notice(a_session(), told))


def notices(session: Session, text: str) -> None:
    """Of any kind, of newer versions too, with any values."""
    for told in session.thread.notices:
        only(notice(session, told), *people_of(session))
        awkward = replace(told, values={name: text for name in told.values if name != "user_id"})
        only(notice(session, awkward), *people_of(session))
        assert notice_metadata(session, told).event_payload["notice_id"] == told.notice_id


@settings(max_examples=50)
@given(wild, st.integers(0, 40), st.integers(-5, 10**7), st.booleans())
def test_progress(text: str, number: int, seconds: int, shell: bool) -> None:
    """However much the agent plans, does and writes."""
    session = replace(working(), agent="shell" if shell else "claude")
    turn = replace(session.history[0], prompt=text)
    statuses = ["pending", "in_progress", "completed", "failed", text]
    pairs = tuple((text, statuses[n % 5]) for n in range(number))
    only(progress(session, turn, ProgressPicture(text, pairs, pairs, seconds)))
    assert progress_metadata(session, turn).event_payload["turn_id"] == turn.turn_id


def entry(text: str) -> IndexEntry:
    return IndexEntry("1a2b3c4d-0", "U1", T0, T0, text, T0, text, text, text, pr_number=3, pr_url=text)


@settings(max_examples=50)
@given(wild, st.integers(1, 60))
def test_replies_and_errors(text: str, number: int) -> None:
    """Lists of any length, and errors that quote what was typed."""
    entries = [entry(text)] * number
    only(session_list(entries, T0 + 90, cursor=text, permalinks={"1a2b3c4d-0": text}))
    only(choose_session(entries, "stop", T0 + 90))
    only(none_found(text, text))
    only(error_view(DevflowError(text, text), text))
    only(unknown_error(text or "x"))
    only(illegal(IllegalTransition(text or "x"), working(), text))


@settings(max_examples=150)
@given(
    st.lists(
        st.sampled_from(["a line\n", "\n", "```\n", "```py\n", "~~~~\n", "x" * 30, "long " * 9, "`````\n"]), max_size=60
    ),
    st.integers(60, 400),
)
def test_cut(pieces: list[str], limit: int) -> None:
    """Never longer than asked, with no fence left open, and a beginning of what it was."""
    text = "".join(pieces)
    kept, is_cut = cut(text, limit)
    assert len(kept) <= limit
    assert is_cut == (len(text) > limit)
    assert text.startswith((kept, kept.rsplit("\n", 1)[0]))
    if is_cut:
        assert open_fence(kept) == ""


def test_cut_prefers_paragraphs_then_lines_then_words() -> None:
    """Where a reader would stop; not in the middle of code, if there is a border before it."""
    assert cut("one\n\n" + "word " * 20, 60)[0].endswith("word")
    assert cut("a" * 40 + "\n\n" + "b" * 40, 60)[0] == "a" * 40
    assert cut("a" * 40 + "\n" + "b" * 40, 60)[0] == "a" * 40
    assert cut("a" * 100, 60)[0] == "a" * 59
    code = "intro " * 8 + "\n\n```\ncode\n\nmore\n\n" + "code\n" * 20 + "```\n"
    assert cut(code, 90)[0] == ("intro " * 8).rstrip()
    assert cut("```\n" + "code\n" * 40, 60)[0].endswith("code\n```")
    assert cut("```\nopen", 60) == ("```\nopen\n```", False)


def test_a_long_answer_goes_into_a_file_whole() -> None:
    """The message shows the beginning and says where the rest is."""
    text = "\n\n".join(f"Paragraph {n} <@U0BAD0000>." for n in range(2_000))
    session = answered()
    shown = answer(session, session.history[0], full_text=text)
    assert shown.overflow == text
    assert f"The whole answer, {len(text):,} characters, is in the file below." in as_read(shown.view)
    assert "Paragraph 1999" in as_read(shown.view), "how it ends is said as well"
    only(shown.view, "U0000001")
    markdown = next(block["text"] for block in shown.view.blocks if block["type"] == "markdown")
    assert 6_500 < len(markdown) <= 9_000
    assert markdown.endswith(".")


@pytest.mark.parametrize(
    "garbage",
    [
        None, 5, "x", [], {}, {"event_type": "other"}, {"event_type": "devflow_session"},
        {"event_type": "devflow_session", "event_payload": None},
        {"event_type": "devflow_session", "event_payload": {"repository": "acme/shop"}},
        {"event_type": "devflow_session", "event_payload": dict.fromkeys(ROOT_NAMES, 5)},
        {"event_type": "devflow_session", "event_payload": dict.fromkeys(ROOT_NAMES, "../x")},
        {"event_type": "devflow_session", "event_payload": dict.fromkeys(ROOT_NAMES, "")},
    ],
)  # fmt: skip
def test_garbage_is_no_root(garbage: object) -> None:
    """Metadata of others, of tomorrow, or broken: None, never a crash."""
    assert parse_root_metadata(garbage) is None  # type: ignore[arg-type]


def test_root_metadata_comes_back() -> None:
    """What was asked for is read as it was written, with what a newer version adds; the card adds the branch."""
    session = a_session()
    written = root_metadata(repository=session.repository, base_branch="dev", agent="claude", user_id="U7")
    read = parse_root_metadata(
        {"event_type": written.event_type, "event_payload": {**written.event_payload, "later": 1}}
    )
    assert read is not None
    assert (read.repository, read.base_branch, read.agent, read.user_id) == (session.repository, "dev", "claude", "U7")
    assert read.branch_name is None
    stored = card_metadata(session)
    again = parse_root_metadata({"event_type": stored.event_type, "event_payload": stored.event_payload})
    assert again is not None
    assert again.branch_name == session.branch_name


def test_an_empty_root_has_no_prompt() -> None:
    """The words that stand in for nothing are not taken for a prompt."""
    assert prompt_of_root(root(" ", a_session().repository, "main", "shell", "U1").text) == ""


def test_usage_is_summed() -> None:
    """Whichever way the agent counts."""
    turn: Turn = answered().history[0]
    for usage in ({"total_tokens": 1200}, {"input_tokens": 1000, "output_tokens": 200}):
        assert "1,200 tokens" in as_read(answer(answered(), replace(turn, usage=usage)).view)
    assert "tokens" not in as_read(answer(answered(), replace(turn, usage={"steps": 3})).view)
