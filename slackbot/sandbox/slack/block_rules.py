"""Block Kit's limits, as Slack enforces them on blocks that an app sends.

Called by the Web API methods and the responses to interactions; pure. Each problem is a sentence with a JSON
pointer, in the form of Slack's `response_metadata.messages`.
https://docs.slack.dev/reference/block-kit/blocks and .../block-elements
"""

from __future__ import annotations

import json
import secrets
from typing import Any

from slackbot.sandbox.slack.block_check import MESSAGE_TYPES, VIEW_TYPES, BlockCheck

Json = dict[str, Any]

MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
MESSAGE_BLOCK_CHARACTERS = 13_000
"""Undocumented and dependent on overhead at the real one: https://github.com/slackapi/bolt-js/issues/2509"""


def message_problems(blocks: Any) -> list[str]:
    """What Slack would refuse in a message's blocks; empty when it would take them."""
    check = BlockCheck()
    check.blocks(blocks, MESSAGE_BLOCKS, MESSAGE_TYPES)
    return check.problems


def view_problems(view: Any) -> list[str]:
    """What Slack would refuse in a modal or a Home tab."""
    check = BlockCheck()
    if not isinstance(view, dict):
        return ["[ERROR] must provide an object [json-pointer:/view]"]
    kind = view.get("type")
    if kind not in ("modal", "home"):
        check.add("must be one of: modal, home", "/view/type")
        return check.problems
    known = {"type", "blocks", "private_metadata", "callback_id", "external_id"}
    if kind == "modal":
        known |= {"title", "close", "submit", "clear_on_close", "notify_on_close", "submit_disabled"}
        check.text(view, "title", 24, "/view", plain=True, required=True)
        check.text(view, "submit", 24, "/view", plain=True)
        check.text(view, "close", 24, "/view", plain=True)
    check.unknown(set(view) - known, "/view")
    check.string(view, "private_metadata", 3000, "/view")
    check.string(view, "callback_id", 255, "/view")
    check.string(view, "external_id", 255, "/view")
    check.blocks(view.get("blocks"), VIEW_BLOCKS, VIEW_TYPES, "/view/blocks")
    blocks = view.get("blocks")
    has_input = isinstance(blocks, list) and any(
        isinstance(block, dict) and block.get("type") == "input" for block in blocks
    )
    if kind == "modal" and has_input and not view.get("submit"):
        check.add("missing required field: submit (the view has an input)", "/view")
    return check.problems


def is_too_long(blocks: list[Json]) -> bool:
    """Whether the text in all blocks together passes what Slack takes (`msg_blocks_too_long`)."""
    return sum(_characters(block) for block in blocks) > MESSAGE_BLOCK_CHARACTERS


def _characters(value: Any) -> int:
    if isinstance(value, dict):
        own = len(value["text"]) if isinstance(value.get("text"), str) else 0
        return own + sum(_characters(item) for item in value.values() if isinstance(item, dict | list))
    return sum(_characters(item) for item in value) if isinstance(value, list) else 0


def with_ids(blocks: list[Json]) -> list[Json]:
    """A copy in which every block and every interactive element has its id, as Slack adds them."""
    copied: list[Json] = json.loads(json.dumps(blocks))
    for block in copied:
        block.setdefault("block_id", secrets.token_urlsafe(4))
        for element in interactive(block):
            element.setdefault("action_id", secrets.token_urlsafe(4))
    return copied


def interactive(block: Json) -> list[Json]:
    """The elements of a block that a person can use."""
    found = [*block.get("elements", []), block.get("accessory"), block.get("element")]
    return [
        element
        for element in found
        if isinstance(element, dict) and element.get("type") not in (None, "image", "mrkdwn", "plain_text")
        and not str(element.get("type")).startswith("rich_text_")
    ]  # fmt: skip
