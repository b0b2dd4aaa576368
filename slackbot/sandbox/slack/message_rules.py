"""What Slack takes as an app's message: its text, blocks and metadata, with their limits.

Called with the arguments of chat.* methods and with responses to interactions, before `conversation.py`. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from slackbot.sandbox.slack import block_rules
from slackbot.sandbox.slack.faults import SlackError
from slackbot.sandbox.slack.store import Document

TEXT_CHARACTERS = 40_000
UPDATE_TEXT_CHARACTERS = 4_000
"""https://docs.slack.dev/reference/methods/chat.update answers `msg_too_long` far below chat.postMessage."""
METADATA_BYTES = 16_000


def checked_body(arguments: Mapping[str, Any], *, text_limit: int = TEXT_CHARACTERS) -> Document:
    """text, blocks and attachments of an app's message, or Slack's refusal of them."""
    text, blocks, attachments = (arguments.get(key) for key in ("text", "blocks", "attachments"))
    markdown = arguments.get("markdown_text")
    if markdown is not None:
        if text or blocks:
            raise SlackError("markdown_text_conflict")
        blocks, text = [{"type": "markdown", "text": markdown}], markdown
    if blocks:
        problems = block_rules.message_problems(blocks)
        if problems:
            raise SlackError("invalid_blocks", problems, errors=[problem[8:] for problem in problems])
        if block_rules.is_too_long(blocks):
            raise SlackError("msg_blocks_too_long")
    if text is not None and len(text) > text_limit:
        raise SlackError("msg_too_long")
    if not (text or "").strip() and not blocks and not attachments:
        raise SlackError("no_text")
    return {"text": text, "blocks": blocks, "attachments": attachments}


def checked_metadata(metadata: Any) -> Document | None:
    """https://docs.slack.dev/messaging/message-metadata"""
    if metadata is None or metadata == {}:
        return None
    valid = isinstance(metadata, dict) and isinstance(metadata.get("event_payload"), dict)
    if not valid or not isinstance(metadata.get("event_type"), str) or not metadata["event_type"]:
        raise SlackError("invalid_metadata_format")
    if len(json.dumps(metadata["event_payload"]).encode()) > METADATA_BYTES:
        raise SlackError("metadata_too_large")
    return {"event_type": metadata["event_type"], "event_payload": metadata["event_payload"]}
