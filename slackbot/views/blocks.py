"""Block Kit's building blocks as plain dictionaries, each within Slack's limits. Used by every view.

Limits: https://docs.slack.dev/reference/block-kit/blocks and https://docs.slack.dev/reference/block-kit/block-elements
"""

from __future__ import annotations

from typing import Any

from slackbot.core.slack_text import clean, harmless_markdown

Block = dict[str, Any]
Element = dict[str, Any]

MAX_SECTION = 3_000
MAX_FIELD = 2_000
MAX_BUTTON_TEXT = 75
MAX_PLACEHOLDER = 150
MAX_CONFIRM_TITLE, MAX_CONFIRM_TEXT, MAX_CONFIRM_BUTTON = 100, 300, 30


def section(mrkdwn: str, *, accessory: Element | None = None) -> Block:
    """A paragraph, and a button beside it. Callers bound what they put in; this cut is the last resort."""
    block: Block = {"type": "section", "text": _mrkdwn(mrkdwn, MAX_SECTION)}
    return {**block, "accessory": accessory} if accessory else block


def fields(*pairs: tuple[str, str]) -> Block:
    """Up to ten small facts in two columns, each with its name above it."""
    return {"type": "section", "fields": [_mrkdwn(f"*{name}*\n{value}", MAX_FIELD) for name, value in pairs[:10]]}


def context(*parts: str) -> Block:
    """One small grey line; the parts stand beside each other."""
    return {"type": "context", "elements": [_mrkdwn(" · ".join(parts), MAX_SECTION)]}


def quoted(text: str) -> Block:
    """Text exactly as it is, as a quotation: nothing in it is a mention, a link or formatting."""
    return _rich("rich_text_quote", text)


def preformatted(text: str) -> Block:
    """Text exactly as it is, in code type."""
    return _rich("rich_text_preformatted", text)


def markdown(text: str) -> Block:
    """Markdown of an agent, unable to notify anybody. `text` is bounded by the caller (see `markdown_cut`)."""
    return {"type": "markdown", "text": harmless_markdown(clean(text))}


def actions(*buttons: Element | None) -> list[Block]:
    """A row of the buttons that are there; no row when there are none."""
    present = [button for button in buttons if button is not None]
    return [{"type": "actions", "elements": present}] if present else []


def button(
    text: str, action_id: str, value: str, *, style: str | None = None, confirm: dict[str, Any] | None = None
) -> Element:
    element: Element = {"type": "button", "action_id": action_id, "text": _plain(text, MAX_BUTTON_TEXT)}
    if value:
        element["value"] = value
    if style:
        element["style"] = style
    if confirm:
        element["confirm"] = confirm
    return element


def user_menu(placeholder: str, action_id: str) -> Element:
    """A list of the workspace's people."""
    return {"type": "users_select", "action_id": action_id, "placeholder": _plain(placeholder, MAX_PLACEHOLDER)}


def link_button(text: str, action_id: str, url: str) -> Element:
    return {"type": "button", "action_id": action_id, "text": _plain(text, MAX_BUTTON_TEXT), "url": url}


MAX_MODAL_TITLE, MAX_MODAL_BLOCKS, MAX_PRIVATE_METADATA = 24, 100, 3_000


def modal(title: str, blocks: list[Block], *, close: str, private_metadata: str = "") -> dict[str, Any]:
    """A form without anything to send. https://docs.slack.dev/reference/views/modal-views"""
    view: dict[str, Any] = {
        "type": "modal",
        "title": _plain(title, MAX_MODAL_TITLE),
        "close": _plain(close, MAX_MODAL_TITLE),
        "blocks": blocks[:MAX_MODAL_BLOCKS],
    }
    if private_metadata:
        view["private_metadata"] = private_metadata[:MAX_PRIVATE_METADATA]
    return view


def confirm(title: str, text: str, yes: str, no: str) -> dict[str, Any]:
    """The question before something that cannot be taken back."""
    return {
        "title": _plain(title, MAX_CONFIRM_TITLE),
        "text": _plain(text, MAX_CONFIRM_TEXT),
        "confirm": _plain(yes, MAX_CONFIRM_BUTTON),
        "deny": _plain(no, MAX_CONFIRM_BUTTON),
        "style": "danger",
    }


def _mrkdwn(text: str, limit: int) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": _bounded(text, limit)}


def _plain(text: str, limit: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": _bounded(text, limit), "emoji": False}


def _bounded(text: str, limit: int) -> str:
    # Slack refuses the whole message for one empty text.
    text = text if text.strip() else "–"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _rich(kind: str, text: str) -> Block:
    shown = clean(text).strip("\n") or "–"
    return {"type": "rich_text", "elements": [{"type": kind, "elements": [{"type": "text", "text": shown}]}]}
