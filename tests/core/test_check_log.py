"""The end of a job's log that says why it failed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from slackbot.core.check_log import relevant_end, tail

LOG = """\
\ufeff2026-01-02T03:04:05.1234567Z ##[group]Run make test
2026-01-02T03:04:05.1234567Z \x1b[36;1mmake test\x1b[0m
2026-01-02T03:04:05.1234567Z ##[endgroup]
2026-01-02T03:04:06.0000000Z \x1b[31mFAIL\x1b[0m test_comma
2026-01-02T03:04:06.0000000Z ##[error]Process completed with exit code 2.
2026-01-02T03:04:07.0000000Z ##[group]Post job
2026-01-02T03:04:07.0000000Z git config --unset
"""


def test_it_ends_where_it_failed() -> None:
    """Without time stamps, colours, folds, and what the runner tidies up afterwards."""
    assert relevant_end(LOG, 1000) == (
        "Run make test\nmake test\nFAIL test_comma\nError: Process completed with exit code 2."
    )


def test_what_follows_an_error_may_explain_it() -> None:
    """Some lines of it are kept; a log without an error is kept to its end."""
    assert relevant_end("a\n##[error]b\nc\nd\ne\nf\ng", 100) == "a\nError: b\nc\nd\ne"
    assert relevant_end("a\nb\n", 100) == "a\nb"


def test_the_end_begins_at_a_whole_line() -> None:
    """Where that costs little; and never in the middle of a character."""
    assert tail("one\ntwo\nthree", 9) == "three"
    assert tail("x" * 20, 5) == "xxxxx"
    assert tail("日本語", 4) == "語"
    assert tail("anything", 0) == ""


@given(st.text(), st.integers(0, 200))
def test_it_is_never_longer_than_asked_for(log: str, limit_bytes: int) -> None:
    """Whatever a log holds, and no control character comes through but the ends of lines and tabs."""
    found = relevant_end(log, limit_bytes)
    assert len(found.encode(errors="replace")) <= limit_bytes
    assert not any(ord(one) < 32 and one not in "\n\t" for one in found)
