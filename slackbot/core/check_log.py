"""The log of a CI job -> the end of it that says why it failed. Pure."""

from __future__ import annotations

import re

_STAMP = re.compile(r"^\ufeff?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z ?")
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_COMMANDS = re.compile(r"^##\[(?:group|command|debug|section)\]")
_ENDS = "##[endgroup]"
_LINES_AFTER = 3


def relevant_end(log: str, limit_bytes: int) -> str:
    """The lines up to the last error, without time stamps and colours; at most `limit_bytes` of UTF-8.

    What GitHub Actions does after a failed step (post steps, clean-up) is left out.
    https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
    """
    lines = [_plain(line) for line in log.splitlines()]
    lines = [line for line in lines if line != _ENDS]
    last = max((index for index, line in enumerate(lines) if line.startswith("##[error]")), default=None)
    if last is not None:
        after = lines[last + 1 : last + 1 + _LINES_AFTER]
        stop = next((index for index, line in enumerate(after) if line.startswith(("Post job", "##["))), len(after))
        lines = lines[: last + 1 + stop]
    text = "\n".join(_COMMANDS.sub("", line).replace("##[error]", "Error: ") for line in lines).strip("\n")
    return tail(text, limit_bytes)


def tail(text: str, limit_bytes: int) -> str:
    """The end of `text`, begun at a whole line where that costs little, at most `limit_bytes` of UTF-8."""
    if limit_bytes <= 0:
        return ""
    data = text.encode(errors="replace")
    if len(data) <= limit_bytes:
        return text
    kept = data[-limit_bytes:].decode(errors="ignore")
    head, newline, rest = kept.partition("\n")
    return rest if newline and rest and len(head) < len(kept) // 2 else kept


def _plain(line: str) -> str:
    return _CONTROLS.sub("", _ESCAPES.sub("", _STAMP.sub("", line))).rstrip()
