"""Text of any size kept in bounded memory, head and tail, and made fit to be read.

Bytes come from a command (shell agent) or text from an agent (turn), and leave as a string for Slack.
"""

from __future__ import annotations

import re

from slackbot.core.redaction import drop_cut_words

_ESCAPE_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor moves
    r"|[\]PX^_].*?(?:\x07|\x1b\\|$)"  # OSC, DCS and their like: titles, links
    r"|[ -/]*[0-~])",  # the short ones
    re.DOTALL,
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_OVERWRITTEN = re.compile(r"^[^\n]*\r(?=[^\n\r])", re.MULTILINE)


class Bounded:
    """Keeps the first `head_bytes` and the last `tail_bytes` of what is added; counts the rest."""

    def __init__(self, head_bytes: int, tail_bytes: int) -> None:
        self._head_bytes = head_bytes
        self._tail_bytes = tail_bytes
        self._head = bytearray()
        self._tail = bytearray()
        self.total_bytes = 0

    def add(self, data: bytes) -> None:
        """Takes `data` in; memory stays below head + 2 tails + len(data)."""
        self.total_bytes += len(data)
        room = self._head_bytes - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        if len(self._tail) > 2 * self._tail_bytes:
            del self._tail[: len(self._tail) - self._tail_bytes]

    @property
    def left_out_bytes(self) -> int:
        """How much of what was added `text` does not show."""
        return max(0, self.total_bytes - self._head_bytes - self._tail_bytes)

    def text(self) -> str:
        """Readable text: UTF-8 with what is broken replaced, no control sequences, a line where it was cut."""
        if not self.left_out_bytes:
            return readable(bytes(self._head + self._tail).decode("utf-8", "replace"))
        # The cut may be in the middle of a token, of which neither half would be known for one.
        head = drop_cut_words(bytes(self._head).decode("utf-8", "ignore"), at_end=True)
        tail = drop_cut_words(bytes(self._tail[-self._tail_bytes :]).decode("utf-8", "ignore"), at_start=True)
        return f"{readable(head)}\n[... {size_in_words(self.left_out_bytes)} left out ...]\n{readable(tail)}"

    def last(self, count: int) -> str:
        """At most the last `count` characters, readable."""
        whole = self._head + self._tail
        text = bytes(whole[-4 * count :]).decode("utf-8", "ignore")
        text = readable(text)
        if len(text) <= count and len(whole) <= 4 * count:
            return text
        return drop_cut_words(text[-count:], at_start=True)


def readable(text: str) -> str:
    """Without terminal control sequences, overwritten progress lines, NUL and lone surrogates."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    text = _ESCAPE_SEQUENCE.sub("", text)
    text = text.replace("\r\n", "\n")
    text = _OVERWRITTEN.sub("", text).replace("\r", "")
    return _CONTROL.sub("", text)


def cut(text: str, limit_bytes: int) -> str:
    """`text` itself, or its head and tail within `limit_bytes` of UTF-8 and a line that says what is missing."""
    data = text.encode("utf-8", "replace")
    if len(data) <= limit_bytes:
        return text
    part = max(0, (limit_bytes - 60) // 2)
    head = data[:part].decode("utf-8", "ignore")
    tail = data[len(data) - part :].decode("utf-8", "ignore")
    return f"{head}\n[... {size_in_words(len(data) - 2 * part)} left out ...]\n{tail}"


def fenced(text: str, language: str = "") -> str:
    """`text` in a Markdown fence longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text.rstrip(chr(10))}\n{fence}"


def size_in_words(count: int) -> str:
    """12 bytes, 3.4 KB, 9.5 MB."""
    if count < 1000:
        return f"{count} bytes"
    if count < 1_000_000:
        return f"{count / 1000:.1f} KB"
    return f"{count / 1_000_000:.1f} MB"
