"""Cutting text to a number of bytes, head and tail kept. Pure."""

from __future__ import annotations

MAX_PROMPT_BYTES = 16 * 1024
"""A stored prompt; the thread and the agent get the whole text."""

MAX_RESPONSE_BYTES = 32 * 1024
"""A stored response; the thread gets the whole text."""

_GAP = "\n\n[… {count} characters are left out here …]\n\n"


def clip(text: str, limit_bytes: int) -> tuple[str, bool]:
    """`text` in at most `limit_bytes` of UTF-8, and whether it had to be shortened.

    Two thirds of the room go to the head, one third to the tail; no character is cut in two. Lone surrogates,
    which UTF-8 cannot hold, become `?`.
    """
    if len(text) <= limit_bytes and text.isascii():
        return text, False
    raw = text.encode("utf-8", "replace")
    if len(raw) <= limit_bytes:
        return raw.decode("utf-8"), False
    room = limit_bytes - len(_GAP.format(count=len(text)).encode())
    if room < 64:
        return raw[:limit_bytes].decode("utf-8", "ignore"), True
    head = raw[: room * 2 // 3].decode("utf-8", "ignore")
    tail = raw[len(raw) - room // 3 :].decode("utf-8", "ignore")
    return head + _GAP.format(count=len(text) - len(head) - len(tail)) + tail, True


def one_line(text: str, limit: int) -> str:
    """The text on one line, in at most `limit` characters, with an ellipsis where it was cut."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1].rstrip() + "…"
