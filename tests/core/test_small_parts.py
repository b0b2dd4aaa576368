"""Naming, clipping, redaction, what tasks report, deadlines, ids, and the page with the diagram."""

from __future__ import annotations

import base64
import re
import subprocess
from dataclasses import replace
from urllib.parse import quote
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slackbot.core import state_diagram
from slackbot.core.card_key import card_key
from slackbot.core.clipping import clip, one_line
from slackbot.core.deadlines import PULL_REQUEST_SECONDS, TOUCH_SECONDS, must_stay, next_deadline
from slackbot.core.errors import ConfigError, DevflowError, TemporaryError
from slackbot.core.events import CancelRequested, PullRequestOpened, TimePassed, WorkerHeard
from slackbot.core.limits import Limits
from slackbot.core.naming import branch_name_for, client_token_for, title_for
from slackbot.core.notices import MAX_NOTICES, with_notice
from slackbot.core.ports import TaskObservation
from slackbot.core.redaction import MASK, redact
from slackbot.core.session import Session, Status, TurnState, derive_session_id
from slackbot.core.staying import WARNING_SECONDS, Stay
from slackbot.core.task_report import report_task
from tests.core.builders import (
    T0,
    a_session,
    answered,
    ended_turn,
    failed,
    prompt,
    running,
    starting,
    stopped,
    tell,
    with_commit,
    working,
)

LIMITS = Limits()


# ---------------------------------------------------------------------------------------------- naming


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("Fix the flaky checkout test", "devflow/fix-the-flaky-checkout-test-1a2b3c4d"),
        ("Füge Größe hinzu", "devflow/fuge-groe-hinzu-1a2b3c4d"),
        ("日本語で直して", "devflow/session-1a2b3c4d"),
        ("", "devflow/session-1a2b3c4d"),
        ("--upload-pack=../../x @{1} ~^:?*[ .lock", "devflow/upload-pack-x-1-lock-1a2b3c4d"),
        ("x" * 300, f"devflow/{'x' * 40}-1a2b3c4d"),
        ("word " * 40, "devflow/word-word-word-word-word-word-word-word-1a2b3c4d"),
    ],
)
def test_branch_names(asked: str, name: str) -> None:
    """Readable, ASCII, bounded."""
    assert branch_name_for(asked, "1a2b3c4d-0000-4000-8000-000000000000") == name


def is_ref(name: str) -> bool:
    return subprocess.run(["git", "check-ref-format", "--branch", name], capture_output=True).returncode == 0


@settings(max_examples=60)
@given(st.text(max_size=60))
def test_git_agrees_with_every_branch_name(asked: str) -> None:
    """Git itself accepts whatever is made of a prompt."""
    name = branch_name_for(asked, "1a2b3c4d-0000-4000-8000-000000000000")
    assert is_ref(name)
    assert re.fullmatch(r"devflow/[a-z0-9-]{1,60}", name)


@pytest.mark.parametrize(
    ("asked", "title"),
    [
        ("fix the test", "Fix the test"),
        ("\n\n## fix *the* test\nmore", "Fix *the* test"),
        ("```\ncode\n```", "Code"),
        ("python3 -m unittest", "python3 -m unittest"),
        ("echo hi >> README.md", "echo hi >> README.md"),
        ("w" * 100, "W" + "w" * 70 + "…"),
        (" \n ", "Work from a DevFlow session"),
        ("", "Work from a DevFlow session"),
    ],
)
def test_pull_request_titles(asked: str, title: str) -> None:
    """The first line that says something."""
    assert title_for(asked) == title


def test_client_tokens() -> None:
    """One for a launch, at most 64 characters."""
    session = a_session()
    token = client_token_for(session.session_id, session.launch)
    assert len(token) <= 64
    assert token == client_token_for(session.session_id, session.launch)
    assert token != client_token_for(session.session_id, session.launch + 1)


def test_session_ids() -> None:
    """UUID v4 in form, the same for the same thread, another for each part that differs."""
    one = derive_session_id("T1", "C1", "1.000001")
    assert one == derive_session_id("T1", "C1", "1.000001")
    assert (UUID(one).version, UUID(one).variant, str(UUID(one))) == (4, "specified in RFC 4122", one)
    others = {
        derive_session_id(*key) for key in (("T2", "C1", "1.000001"), ("T1", "C2", "1.000001"), ("T1", "C1", "2"))
    }
    assert one not in others
    assert len(others) == 3


# -------------------------------------------------------------------------------------------- clipping


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=600), st.integers(1, 400))
def test_clip_keeps_to_its_bytes(text: str, limit: int) -> None:
    """Never more, never half a character; untouched when it fits."""
    kept, shortened = clip(text, limit)
    whole = text.encode("utf-8", "replace")
    assert len(kept.encode()) <= limit
    assert shortened == (len(whole) > limit)
    assert shortened or kept.encode() == whole


def test_clip_keeps_head_and_tail() -> None:
    """And says how much is missing."""
    kept, _ = clip("X" * 5000 + "Y" * 5000, 1000)
    assert kept.startswith("XXX")
    assert kept.endswith("YYY")
    count = re.search(r"… (\d+) characters", kept)
    assert count is not None
    assert int(count[1]) == 10_000 - kept.count("X") - kept.count("Y")


def test_one_line() -> None:
    """Whitespace is one space; the cut is marked."""
    assert one_line(" a\n b\t c ", 10) == "a b c"
    assert one_line("abcdef", 4) == "abc…"


# ------------------------------------------------------------------------------------------- redaction

JWT = "eyJhbGciOiJSUzI1NiJ9." + "A1b2-_" * 76 + "." + "x" * 30


@pytest.mark.parametrize(
    "secret",
    [
        "ghp_" + "a1B2" * 9,
        "gho_" + "a1B2" * 9,
        "ghs_" + "a1B2" * 9,
        f"ghs_123456_{JWT}",
        "github_pat_" + "11ABCDEFG0" * 8,
        "xoxb-" + "1234567890-" * 2 + "AbCdEfGhIjKl",
        "xoxp-12345678-abcdefgh",
        "xoxe.xoxp-1-Mi0yLTEyMzQ1Njc4OTAtMTIz",
        "xapp-1-A0123456789-1234567890-" + "0123456789abcdef" * 4,
        "AKIA" + "ABCDEFGH12345678",
        "ASIA" + "ABCDEFGH12345678",
        "sk-ant-api03-" + "Ab1-" * 20,
        "AIza" + "Ab1_" * 9,
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nMIIE and the end was cut off",
    ],
    ids=lambda secret: secret[:12],
)
def test_known_shapes(secret: str) -> None:
    """Tokens as they look today, in the middle of a log."""
    shown = redact(f"before '{secret}' after" if "cut off" not in secret else f"before '{secret}")
    assert MASK in shown
    assert shown.startswith("before '")
    for piece in (secret, secret[8:40], secret[-12:]):
        assert piece not in shown


def test_credentials_around() -> None:
    """In addresses and headers, whatever they look like; what is around them stays readable."""
    assert redact("https://x-access-token:v1.abc@github.com/a/b") == f"https://{MASK}@github.com/a/b"
    assert redact("https://me:hunter2@example.com/x") == f"https://{MASK}@example.com/x"
    assert redact("Authorization: Bearer abcdefghijklmnop1234==") == f"Authorization: Bearer {MASK}"
    plain = "task-skills https://example.com:8080/a ghp_short AKIA xoxb- me@example.com"
    assert redact(plain) == plain


def test_the_long_installation_token_is_520_characters() -> None:
    """The form that GitHub introduced in 2026, dots and dashes and all."""
    assert 480 <= len(f"ghs_123456_{JWT}") <= 560
    assert redact(f"token=ghs_123456_{JWT}") == f"token={MASK}"


@given(st.text(min_size=8, max_size=40).filter(lambda text: text.strip() == text))
def test_known_values_go_in_every_form(secret: str) -> None:
    """As they are, in base64 (both alphabets, with and without padding), and as part of an address."""
    raw = secret.encode()
    forms = [
        secret,
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        quote(secret, safe=""),
    ]
    for form in forms:
        assert form not in redact(f"\n{form}\n", [secret]).replace(MASK, "")


def test_short_values_are_not_searched_for() -> None:
    """A secret of three letters would take half of every sentence with it."""
    assert redact("a cat sat", ["cat"]) == "a cat sat"


# -------------------------------------------------------------------------------------- what tasks report


@pytest.mark.parametrize(
    ("status", "stop_code", "reason", "exit_code", "summary", "is_transient"),
    [
        ("MISSING", None, None, None, "no longer knows why", False),
        ("STOPPED", "TaskFailedToStart", "CannotPullContainerError: x", None, "image could not be fetched", True),
        ("STOPPED", "EssentialContainerExited", "OutOfMemoryError: x", 137, "ran out of memory", False),
        ("STOPPED", "TaskFailedToStart", "RESOURCE:MEMORY", None, "no room", True),
        ("STOPPED", "TaskFailedToStart", "Capacity is unavailable at this time", None, "no room", True),
        ("STOPPED", "TaskFailedToStart", "Timeout waiting for network interface provisioning", None, "network", True),
        ("STOPPED", "TaskFailedToStart", "ResourceInitializationError: x", None, "network or its secrets", True),
        ("STOPPED", "TaskFailedToStart", "CannotStartContainerError: x", None, "could not be started", False),
        ("STOPPED", "TaskFailedToStart", "something else", None, "failed to start. (something else)", False),
        ("STOPPED", "SpotInterruption", "Your Spot Task was interrupted.", None, "Spot capacity", True),
        ("STOPPED", "TerminationNotice", None, None, "being taken down", True),
        ("STOPPED", "UserInitiated", None, None, "from outside DevFlow", False),
        ("STOPPED", "EssentialContainerExited", "Essential container in task exited", 1, "exit code 1.", False),
        ("STOPPED", "EssentialContainerExited", None, 0, "before its session did", False),
        ("STOPPED", "EssentialContainerExited", None, 137, "exit code 137", False),
        ("STOPPED", None, None, 143, "signal 15", False),
        ("STOPPED", None, None, None, "without an exit code", False),
        ("STOPPED", "AWordOfTomorrow", None, 2, "exit code 2", False),
    ],
)
def test_task_reports(
    status: str, stop_code: str | None, reason: str | None, exit_code: int | None, summary: str, is_transient: bool
) -> None:
    """What ECS says -> what people read; there is always something to do."""
    report = report_task(
        TaskObservation("arn", status, stop_code=stop_code, stopped_reason=reason, exit_code=exit_code)
    )
    assert summary in report.summary
    assert "\n" not in report.summary
    assert "Retry" in report.remedy
    assert report.is_transient is is_transient


# ------------------------------------------------------------------------------------------- deadlines


def test_deadlines() -> None:
    """Each at the first second at which something changes."""
    begun = starting()
    assert next_deadline(begun, LIMITS) == T0 + LIMITS.start_seconds + 1
    assert next_deadline(begun, Limits(start_seconds=10**6)) == begun.ttl - TOUCH_SECONDS
    assert next_deadline(running(), LIMITS) == T0 + LIMITS.silence_seconds + 1
    far = Limits(silence_seconds=10**5)
    busy = working()
    assert next_deadline(busy, far) == T0 + far.turn_seconds + far.grace_seconds + 1
    asked = tell(busy, CancelRequested("U1"), now=T0 + 30)
    assert next_deadline(asked, far) == T0 + 30 + far.cancel_seconds + 1
    free = answered()
    # First it is warned of, then it comes.
    assert next_deadline(free, far) == T0 + 60 + far.idle_seconds - WARNING_SECONDS
    warned = replace(free, stay=Stay(warned="idle", warned_at=T0, warned_until=T0 + 60 + far.idle_seconds))
    assert next_deadline(warned, far) == T0 + 60 + far.idle_seconds + far.grace_seconds + 1
    aged = replace(far, idle_seconds=10**5, max_session_seconds=1000)
    assert next_deadline(free, aged) == T0 + 1000 - WARNING_SECONDS
    assert next_deadline(tell(free, prompt(2)), far) == T0 + far.max_session_seconds - WARNING_SECONDS
    assert next_deadline(stopped(), LIMITS) is None
    odd = replace(busy, history=(replace(busy.history[0], claimed_at=None),))
    assert next_deadline(odd, far) == T0 + far.max_session_seconds - WARNING_SECONDS


@pytest.mark.parametrize("begin", [starting, running, working, answered])
def test_at_a_deadline_something_changes(begin: object) -> None:
    """Never a moment before, and never in vain (the touch aside): the reconciler neither idles nor misses."""
    session: Session = begin()  # type: ignore[operator]
    for limits in (LIMITS, Limits(silence_seconds=10**6)):
        due = next_deadline(session, limits)
        assert due is not None
        assert tell(session, TimePassed(limits), now=due - 1) is session
        if due != session.ttl - TOUCH_SECONDS:
            assert tell(session, TimePassed(limits), now=due) is not session


def test_what_must_stay() -> None:
    """A live session, and one whose pull request is open, for two weeks after its last launch."""
    assert must_stay(working())
    assert not must_stay(stopped())
    reviewed = tell(stopped(), PullRequestOpened(1, "https://x.example/1"))
    assert must_stay(reviewed)
    assert next_deadline(reviewed, LIMITS) == reviewed.ttl - TOUCH_SECONDS
    assert not must_stay(replace(reviewed, updated_at=reviewed.launched_at + PULL_REQUEST_SECONDS))


# ------------------------------------------------------------------------------------- session and notices


def test_last_activity() -> None:
    """The latest of launch, ready, prompt and answer."""
    assert a_session().last_activity_at == T0
    assert tell(starting(), WorkerHeard(T0 * 1000), now=T0 + 9).last_activity_at == T0
    assert answered().last_activity_at == T0 + 60
    assert tell(answered(), prompt(2), now=T0 + 90).last_activity_at == T0 + 90


def test_the_retryable_turn() -> None:
    """The last that ended, where it was not answered."""
    assert a_session().retryable_turn() is None
    assert answered().retryable_turn() is None
    turn = failed().retryable_turn()
    assert turn is not None
    assert turn.state is TurnState.FAILED


def test_turn_of_message_is_the_latest() -> None:
    """A Retry's turn refers to the same message; it is the one that edits and marks are about."""
    turn = working().history[0]
    session = replace(working(), history=(turn, replace(turn, turn_id="press:1")))
    found = session.turn_of_message(turn.prompt_ts or "")
    assert found is not None
    assert found.turn_id == "press:1"
    assert session.turn_of_message("1.1") is None


@pytest.mark.parametrize(
    "change",
    [
        {"status": Status.STOPPED},
        {"branch_name": "other"},
        {"base_branch": "dev"},
        {"user_id": "U2"},
        {"agent": "claude"},
        {"pr_number": 4},
        {"pr_url": "https://x.example/4"},
        {"editor_url": "https://e.example"},
        {"error_message": "No."},
        {"error_remedy": "Yes."},
        {"history": ()},
    ],
)
def test_the_card_key_follows_the_card(change: dict[str, object]) -> None:
    """Whatever the card shows changes its key; what it does not show does not."""
    session = with_commit()
    assert card_key(replace(session, **change)) != card_key(session)  # type: ignore[arg-type]
    assert card_key(replace(session, write_version=99, updated_at=5, lease=None)) == card_key(session)


def test_notices_are_bounded_and_named_by_the_stored_session() -> None:
    """The same stored session gives the same id, so a repeated post can be found; ten at most wait."""
    session = a_session(write_version=4)
    assert with_notice(session, "x", T0).thread.notices == with_notice(session, "x", T0).thread.notices
    for number in range(MAX_NOTICES + 5):
        session = replace(with_notice(session, "x", T0), write_version=number)
    assert len(session.thread.notices) == MAX_NOTICES


def test_what_usage_a_turn_had_is_kept() -> None:
    """As counts by name."""
    session = tell(working(), ended_turn(working(), usage={"input_tokens": 3}))
    assert session.history[0].usage == {"input_tokens": 3}


def test_errors_read_as_sentences() -> None:
    """Summary and remedy; a temporary one says when to try again and whether to look first."""
    assert str(DevflowError("It broke.", "Mend it.")) == "It broke. Mend it."
    error = TemporaryError("Busy.", retry_after_seconds=2.5, outcome_unknown=True)
    assert (error.retry_after_seconds, error.outcome_unknown, error.remedy) == (2.5, True, "")
    faults = ConfigError(["A is missing", "B is no number"])
    assert "A is missing; B is no number" in faults.summary
    assert faults.faults == ["A is missing", "B is no number"]


# --------------------------------------------------------------------------------------------- the diagram


def test_the_page_shows_the_present_table() -> None:
    """docs/sessions.md is made from TRANSITIONS."""
    page = state_diagram.PAGE.read_text(encoding="utf-8")
    assert page == state_diagram.with_diagram(page), f"docs/sessions.md is out of date; run `{state_diagram.COMMAND}`"


def test_the_diagram_can_be_printed_and_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    """With `--write` into the page, without it to the terminal; a page without markers is refused."""
    state_diagram.main([])
    assert capsys.readouterr().out.startswith("stateDiagram-v2\n    [*] --> starting\n")
    page = tmp_path / "page.md"  # type: ignore[operator]
    page.write_text(f"# A\n{state_diagram.BEGIN}\nold\n{state_diagram.END}\nend\n", encoding="utf-8")
    monkeypatch.setattr(state_diagram, "PAGE", page)
    state_diagram.main(["--write"])
    assert "starting --> running : WorkerReady" in page.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="has no"):
        state_diagram.with_diagram("# A page\n")
