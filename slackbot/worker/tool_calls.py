"""What exactly a tool call of the agent would do, in words people can judge. Pure."""

from __future__ import annotations

import difflib
import json
from typing import Any

from acp.schema import (
    ContentToolCallContent,
    FileEditToolCallContent,
    TextContentBlock,
    ToolCallProgress,
    ToolCallStart,
    ToolCallUpdate,
)

from slackbot.worker.output import readable


def detail_of(call: ToolCallUpdate | ToolCallStart | ToolCallProgress) -> tuple[str, bool]:
    """What exactly a tool call would do, and whether that is a diff: the change, the command, or what it was given."""
    diffs = [_diff(part) for part in call.content or [] if isinstance(part, FileEditToolCallContent)]
    if any(diffs):
        return readable("\n".join(filter(None, diffs))), True
    given: Any = call.raw_input
    command = given.get("command") if isinstance(given, dict) else given
    if isinstance(command, list):
        command = " ".join(str(part) for part in command)
    if isinstance(command, str) and command.strip():
        return readable(command), False
    texts = [
        part.content.text
        for part in call.content or []
        if isinstance(part, ContentToolCallContent) and isinstance(part.content, TextContentBlock)
    ]
    if texts:
        return readable("\n".join(texts)), False
    if given:
        return readable(json.dumps(given, indent=2, ensure_ascii=False, default=str)), False
    return "", False


def _diff(part: FileEditToolCallContent) -> str:
    old, new = (part.old_text or "").splitlines(), part.new_text.splitlines()
    lines = difflib.unified_diff(old, new, part.path if old else "/dev/null", part.path, lineterm="")
    return "\n".join(lines)
