"""Slack's text: what people type, as it is stored and sent (escaped, linked), and as rich text.

Used by `people.py` and `conversation.py`; pure.
https://docs.slack.dev/messaging/formatting-message-text
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_REFERENCE = re.compile(r"<(?:@[UW][A-Z0-9]+|#C[A-Z0-9]+|!(?:here|channel|everyone))(?:\|[^<>|]*)?>")
_URL = re.compile(r"https?://[^\s<>|`]+")
_ANGLE = re.compile(r"<([^<>]+)>")
_ENTITY = re.compile(r"&(?!(?:amp|lt|gt);)")
_MENTION = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^<>]*)?>")
_NAME = re.compile(r"(?<![\w@/.<])@([a-z0-9][a-z0-9._-]*)", re.IGNORECASE)
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def unescape(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def typed_by_person(text: str, user_ids_by_name: Mapping[str, str]) -> str:
    """The text of a message as Slack stores it: escaped, mentions and URLs between angle brackets.

    `@name` of a member becomes a mention, as the composer's completion does, except inside code.
    """
    stored: list[str] = []
    position = 0
    for code in _CODE.finditer(text):
        stored.append(_prose(text[position : code.start()], user_ids_by_name))
        stored.append(_prose(code.group(), {}))
        position = code.end()
    stored.append(_prose(text[position:], user_ids_by_name))
    return "".join(stored)


def _prose(text: str, user_ids_by_name: Mapping[str, str]) -> str:
    def mention(match: re.Match[str]) -> str:
        name = match[1].rstrip(".-_")
        user_id = user_ids_by_name.get(name.lower())
        return match[0] if user_id is None else f"<@{user_id}>" + match[1][len(name) :]

    text = _NAME.sub(mention, text)
    stored: list[str] = []
    position = 0
    for match in sorted([*_REFERENCE.finditer(text), *_URL.finditer(text)], key=lambda found: found.start()):
        if match.start() < position:
            continue
        stored.append(escape(text[position : match.start()]))
        if match[0].startswith("<"):
            stored.append(match[0])
            position = match.end()
        else:
            url = match[0].rstrip(".,;:!?)\"'")
            stored.append(f"<{escape(url)}>")
            position = match.start() + len(url)
    stored.append(escape(text[position:]))
    return "".join(stored)


def written_by_app(text: str) -> str:
    """An app's text as Slack stores it: lone ampersands escaped, bare URLs linked, what is in <> left alone."""
    text = _ENTITY.sub("&amp;", text)
    stored: list[str] = []
    position = 0
    for angle in _ANGLE.finditer(text):
        stored.append(_linked(text[position : angle.start()]))
        stored.append(angle.group())
        position = angle.end()
    stored.append(_linked(text[position:]))
    return "".join(stored)


def _linked(text: str) -> str:
    def link(match: re.Match[str]) -> str:
        url = match[0].rstrip(".,;:!?)\"'")
        return f"<{url}>" + match[0][len(url) :]

    return _URL.sub(link, text)


def mentions(text: str, user_id: str) -> bool:
    return any(match[1] == user_id for match in _MENTION.finditer(text))


def command_text(text: str, *, should_escape: bool, names: Mapping[str, str]) -> str:
    """The text of a slash command: raw, or with people, channels and URLs escaped where the manifest asks for it."""
    if not should_escape:
        return text
    by_name = {name.lower(): user_id for user_id, name in names.items()}
    stored = typed_by_person(text, by_name)
    return _MENTION.sub(lambda match: f"<@{match[1]}|{names.get(match[1], match[1])}>", stored)


def rich_text(text: str, block_id: str) -> dict[str, Any]:
    """The `rich_text` block that Slack's own clients put beside a person's text."""
    elements: list[dict[str, Any]] = []
    position = 0
    for angle in _ANGLE.finditer(text):
        if angle.start() > position:
            elements.append({"type": "text", "text": unescape(text[position : angle.start()])})
        inner = angle.group(1).partition("|")[0]
        if inner.startswith("@"):
            elements.append({"type": "user", "user_id": inner[1:]})
        elif inner.startswith("#"):
            elements.append({"type": "channel", "channel_id": inner[1:]})
        elif inner.startswith("!"):
            elements.append({"type": "broadcast", "range": inner[1:]})
        else:
            elements.append({"type": "link", "url": unescape(inner)})
        position = angle.end()
    if position < len(text):
        elements.append({"type": "text", "text": unescape(text[position:])})
    section = {"type": "rich_text_section", "elements": elements}
    return {"type": "rich_text", "block_id": block_id, "elements": [section]}
