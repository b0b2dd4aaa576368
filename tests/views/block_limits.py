"""Slack's published limits of messages and blocks, as a check of whole views; and what a person reads of them.

https://docs.slack.dev/reference/block-kit/blocks and https://docs.slack.dev/reference/block-kit/block-elements
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from slackbot.views.view import View

MAX_TEXT = 3_900
MAX_BLOCKS = 50
MAX_MESSAGE = 10_000

_MENTION = re.compile(r"<[@!#][^>]*>")


def check(view: View, max_text: int = MAX_TEXT) -> View:
    """The view, if Slack would take it. A post takes more text than the update that follows it."""
    assert isinstance(view.text, str)
    assert 0 < len(view.text) <= max_text, f"text has {len(view.text)} characters"
    assert 0 < len(view.blocks) <= MAX_BLOCKS
    for block in view.blocks:
        _BLOCKS[block["type"]](block)
    total = sum(len(text) for _, text in texts(view))
    assert total <= MAX_MESSAGE, f"the message has {total} characters"
    action_ids = [button["action_id"] for button in buttons(view)]
    assert len(action_ids) == len(set(action_ids)), "an action_id stands twice"
    for _, text in [("mrkdwn", view.text), *texts(view)]:
        text.encode()
        assert "\x00" not in text
    return view


def texts(view: View) -> Iterator[tuple[str, str]]:
    """Every piece of text of the blocks: (its type, the text). `literal` is shown letter for letter."""
    for block in view.blocks:
        yield from _texts(block)


def _texts(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, dict):
        text = value.get("text")
        if isinstance(text, str):
            yield {"text": "literal"}.get(value["type"], value["type"]), text
        yield from _texts([inner for inner in value.values() if isinstance(inner, dict | list)])


def mentions(view: View) -> set[str]:
    """Everything in the view that Slack would make a mention of: where it parses text, and only there."""
    parsed = [view.text, *(text for kind, text in texts(view) if kind in ("mrkdwn", "markdown"))]
    found = {match for text in parsed for match in _MENTION.findall(text)}
    # Bare words have power in `markdown` alone: chat.postMessage links no names elsewhere unless told to.
    written = [text for kind, text in texts(view) if kind == "markdown"]
    return found | {word for text in written for word in ("@here", "@channel", "@everyone") if word in text}


def buttons(view: View) -> list[dict[str, Any]]:
    """Those in rows; one that stands beside a paragraph is not among them."""
    return [element for block in view.blocks if block["type"] == "actions" for element in block["elements"]]


def labels(view: View) -> list[str]:
    return [button["text"]["text"] for button in buttons(view)]


def as_read(view: View) -> str:
    """The message as a page of text: for golden examples."""
    lines = []
    for block in view.blocks:
        pieces = [text for _, text in _texts(block)]
        if block["type"] == "actions":
            lines.append(" ".join(f"[{label}]" for label in (b["text"]["text"] for b in block["elements"])))
        elif "fields" in block:
            lines += [": ".join(piece.split("\n", 1)) for piece in pieces]
        elif "accessory" in block:
            lines.append(f"{pieces[0]} [{pieces[1]}]")
        else:
            lines += pieces
    return "\n".join(lines)


# ------------------------------------------------------------------------------------- block by block


def _section(block: dict[str, Any]) -> None:
    assert set(block) <= {"type", "text", "fields", "accessory"}
    if "accessory" in block:
        _element(block["accessory"])
    assert ("text" in block) != ("fields" in block)
    if "text" in block:
        _text(block["text"], 3_000, "mrkdwn")
    else:
        assert 1 <= len(block["fields"]) <= 10
        for field in block["fields"]:
            _text(field, 2_000, "mrkdwn")


def _context(block: dict[str, Any]) -> None:
    assert set(block) == {"type", "elements"}
    assert 1 <= len(block["elements"]) <= 10
    for element in block["elements"]:
        _text(element, 3_000, "mrkdwn")


def _markdown(block: dict[str, Any]) -> None:
    assert set(block) == {"type", "text"}
    assert 1 <= len(block["text"]) <= 12_000


def _rich_text(block: dict[str, Any]) -> None:
    assert set(block) == {"type", "elements"}
    for element in block["elements"]:
        assert element["type"] in ("rich_text_quote", "rich_text_preformatted")
        for inner in element["elements"]:
            assert inner.keys() == {"type", "text"}
            assert inner["type"] == "text"
            assert inner["text"]


def _actions(block: dict[str, Any]) -> None:
    assert set(block) == {"type", "elements"}
    assert 1 <= len(block["elements"]) <= 25
    for element in block["elements"]:
        _element(element)


def _element(element: dict[str, Any]) -> None:
    assert set(element) <= {"type", "action_id", "text", "value", "url", "style", "confirm"}
    assert element["type"] == "button"
    assert 1 <= len(element["action_id"]) <= 255
    _text(element["text"], 75, "plain_text")
    assert 0 < len(element.get("value", "x")) <= 2_000
    assert 0 < len(element.get("url", "x")) <= 3_000
    assert element.get("style", "primary") in ("primary", "danger")
    if "confirm" in element:
        _confirm(element["confirm"])


def _confirm(confirm: dict[str, Any]) -> None:
    assert set(confirm) == {"title", "text", "confirm", "deny", "style"}
    _text(confirm["title"], 100, "plain_text")
    _text(confirm["text"], 300, "plain_text")
    _text(confirm["confirm"], 30, "plain_text")
    _text(confirm["deny"], 30, "plain_text")


def _text(text: dict[str, Any], limit: int, kind: str) -> None:
    assert text["type"] == kind
    assert set(text) <= ({"type", "text"} if kind == "mrkdwn" else {"type", "text", "emoji"})
    assert 1 <= len(text["text"]) <= limit
    assert not text["text"].isspace()


_BLOCKS = {
    "section": _section,
    "context": _context,
    "markdown": _markdown,
    "rich_text": _rich_text,
    "actions": _actions,
}
