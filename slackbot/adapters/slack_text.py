"""Text and blocks made fit for Slack's Web API: its limits kept, what it cannot store taken out. Pure.

Called by `slack.py` for everything that goes out.
"""

from __future__ import annotations

import re
from typing import Any

from slackbot.core.errors import PermanentError
from slackbot.core.slack_text import clean

TEXT_CHARACTERS = 3_900
"""chat.update answers `msg_too_long` a little above 4,000, though the documentation allows more."""

_FALLBACK_TEXT = "DevFlow"
_CUT_ENTITY = re.compile(r"&[a-z]{0,3}$")
_ELLIPSIS = "…"


def clipped(text: str, limit: int = TEXT_CHARACTERS) -> str:
    """`text` in at most `limit` characters, cut neither inside `&amp;` nor inside `<...>`."""
    text = clean(text)
    if len(text) <= limit:
        return text
    head = _CUT_ENTITY.sub("", text[: limit - len(_ELLIPSIS)])
    opened = head.rfind("<")
    if opened > head.rfind(">") and len(head) - opened < limit // 2:
        head = head[:opened]
    return head.rstrip() + _ELLIPSIS


def message_text(text: str, blocks: list[dict[str, Any]] | None) -> str:
    """What goes into `text`: with blocks it is the notification, and may not be empty either.

    `PermanentError` for a message with neither.
    """
    fitting = clipped(text)
    if not fitting.strip() and not blocks:
        raise PermanentError(
            "The message is empty; Slack takes none such.", "This is a fault of DevFlow; please report it."
        )
    return fitting if fitting.strip() else _FALLBACK_TEXT


def cleaned_blocks(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The blocks without NUL, other control characters and lone surrogates in any of their texts."""
    return [_cleaned(block) for block in blocks]


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {key: _cleaned(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    return value
