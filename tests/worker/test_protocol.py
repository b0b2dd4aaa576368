"""The messages between gateway and worker: what is read of them, and what is told of one that cannot be read."""

from __future__ import annotations

import pytest

from slackbot.worker_protocol import Answer, GithubToken, Progress, Unreadable, WireModel, read, written


@pytest.mark.parametrize(
    ("kind", "text", "place"),
    [
        (Progress, b"[]", "body"),
        (Progress, b"{", "body"),
        (Progress, b'{"text": "\xff"}', "body"),
        (Progress, b'{"x": ' + b"[" * 100_000, "body"),
        (Progress, b'{"elapsed_seconds": NaN}', "body"),
        (Progress, b'{"elapsed_seconds": "5"}', "elapsed_seconds"),
        (Progress, b'{"plan": [{"content": "a"}, {"content": "b", "status": "perhaps"}]}', "plan[1].status"),
        (Progress, b'{"plan": [{}]}', "plan[0].content"),
        (Answer, b"{}", "outcome"),
        (Answer, b'{"outcome": "answered", "usage": {"a` - at `$.b": "x"}}', "usage[...]"),
    ],
    ids=["list", "half", "no-text", "deep", "nan", "quoted", "choice", "missing-below", "missing", "map"],
)
def test_the_place_that_is_wrong(kind: type[WireModel], text: bytes, place: str) -> None:
    """And not what stands there, which may be anybody's."""
    with pytest.raises(Unreadable) as caught:
        read(text, kind)
    assert caught.value.place == place


def test_what_is_written_is_read() -> None:
    """Unknown fields are passed over, so that a newer side may say more."""
    answer = Answer(outcome="answered", response="naïve \0 ✓", usage={"input_tokens": 2**60}, files_changed=0)
    text = written(answer)
    assert read(text, Answer) == answer
    assert read(text[:-1] + b', "from_the_future": {"a": [1.5]}}', Answer) == answer


def test_a_secret_is_not_shown() -> None:
    assert repr(GithubToken(token="ghs_secret", expires_at=1)) == "GithubToken(expires_at=1)"
