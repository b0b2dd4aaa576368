"""Text of any size and any bytes becomes readable text of bounded size."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from slackbot.worker.output import Bounded, cut, fenced, readable


def test_small_output_is_kept_whole() -> None:
    """What fits is not touched."""
    output = Bounded(10, 10)
    for part in (b"0123456789", b"abcdefghij"):
        output.add(part)
    assert output.text() == "0123456789abcdefghij"
    assert output.left_out_bytes == 0


def test_large_output_keeps_head_and_tail_in_bounded_memory() -> None:
    """Ten megabytes leave their beginning, their end, and a line that says what is missing."""
    output = Bounded(1000, 1000)
    output.add(b"first\n")
    for _ in range(1000):
        output.add(b"x" * 10_000)
    output.add(b"\nlast")
    assert output.text().startswith("first\n")
    assert output.text().endswith("\nlast")
    assert "[... 10.0 MB left out ...]" in output.text()
    assert len(output.text()) < 2100
    assert len(output._head) + len(output._tail) <= 3000


def test_a_character_cut_in_two_is_left_out() -> None:
    """The cut falls between characters."""
    output = Bounded(4, 4)
    output.add("ああああ".encode())
    assert "�" not in output.text()


def test_terminal_noise_is_taken_out() -> None:
    """Colours, titles, overwritten progress lines, NUL and broken UTF-8 do not reach Slack."""
    assert readable("\x1b[31mred\x1b[0m \x1b]0;title\x07ok") == "red ok"
    assert readable("10%\r50%\r100%\ndone\r\n") == "100%\ndone\n"
    assert readable("a\x00b\x08c\td") == "abc\td"
    assert readable("\ud800!") == "?!"
    output = Bounded(10, 10)
    output.add(b"\xff\xfe ok")
    assert output.text() == "�� ok"


@given(st.text())
def test_a_fence_is_longer_than_any_inside(text: str) -> None:
    """No text can close the fence around it."""
    block = fenced(f"```` {text} ```", "sh")
    fence = block.split("sh", 1)[0]
    assert set(fence) == {"`"}
    assert fence not in block[len(fence) : -len(fence)]
    assert block.endswith(f"\n{fence}")


@given(st.text(max_size=300), st.integers(min_value=100, max_value=400))
def test_a_cut_fits(text: str, limit: int) -> None:
    """`cut` keeps within its limit and leaves alone what fits."""
    data = text.encode("utf-8", "replace")
    result = cut(text, limit)
    assert result == text if len(data) <= limit else len(result.encode()) <= limit
