"""Cutting Markdown where it does not break: between paragraphs, fences closed. Used by answer and progress."""

from __future__ import annotations

import re

_HEADING = re.compile(r"^ {0,3}#{1,6}\s+(\S.*)$")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[^`\n]*$")


def cut(text: str, limit: int) -> tuple[str, bool]:
    """The beginning of `text` in at most `limit` characters, and whether something is missing.

    Cut at the last blank line outside code, else at a line, else at a word; an open fence is closed.
    """
    if len(text) <= limit:
        return close_fence(text, limit), False
    longest = max((len(match.group(1)) for match in map(_FENCE.match, text.split("\n")) if match), default=0)
    room = limit - 1 - min(longest, limit // 4)
    head = text[:room]
    for border in ("\n\n", "\n", " "):
        at = head.rfind(border)
        while border == "\n\n" and at > room // 2 and open_fence(head[:at]):
            at = head.rfind(border, 0, at)
        if at > room // 2:
            head = head[:at]
            break
    head = head.rstrip()
    fence = open_fence(head)
    return (f"{head}\n{fence}" if fence and len(head) + 1 + len(fence) <= limit else head), True


def close_fence(text: str, limit: int) -> str:
    """The text with its last code fence closed, where there is room for that."""
    fence = open_fence(text)
    return f"{text.rstrip()}\n{fence}" if fence and len(text) + len(fence) < limit else text


def open_fence(text: str) -> str:
    """The fence that is still open at the end of `text`, or ""."""
    fence = ""
    for line in text.split("\n"):
        match = _FENCE.match(line)
        if not match:
            continue
        marks = match.group(1)
        if not fence:
            fence = marks
        elif marks[0] == fence[0] and len(marks) >= len(fence) and not line.strip(" " + marks[0]):
            fence = ""
    return fence


def headings(text: str) -> list[tuple[int, str]]:
    """The headings outside code: (where in `text`, the words of it)."""
    found: list[tuple[int, str]] = []
    at, fence = 0, ""
    for line in text.split("\n"):
        match = _FENCE.match(line)
        if match and not fence:
            fence = match.group(1)
        elif match and line.strip().startswith(fence) and not line.strip(" " + fence[0]):
            fence = ""
        elif not fence and (heading := _HEADING.match(line)):
            found.append((at, heading.group(1).strip(" #*_`")))
        at += len(line) + 1
    return found


def ending(text: str, limit: int) -> str:
    """The last paragraph, where it is prose of at most `limit` characters; "" where the end is code or a table."""
    before, _, last = text.rstrip().rpartition("\n\n")
    if not last.strip() or len(last) > limit or open_fence(before):
        return ""
    is_prose = not any(line.lstrip().startswith(("```", "~~~", "|", "#")) for line in last.split("\n"))
    return last.strip() if is_prose else ""
