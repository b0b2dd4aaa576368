"""Files that do not reach the agent: a sentence to whoever attached them. Made by the front desk."""

from __future__ import annotations

from collections.abc import Sequence

from slackbot.core.attachments import MAX_FILE_BYTES, MAX_FILES, MAX_TOTAL_BYTES, LeftOut
from slackbot.views.blocks import section
from slackbot.views.language import DEFAULT, say
from slackbot.views.view import View
from slackbot.views.words import code

_WHY = {
    "kind": "files.kind",
    "size": "files.size",
    "total": "files.total",
    "number": "files.number",
}


def files_left_out(left_out: Sequence[LeftOut], *, language: str = DEFAULT) -> View:
    """Which files were left out, each with the reason and the limit."""
    limits = {
        "megabytes": MAX_FILE_BYTES // 2**20,
        "total_megabytes": MAX_TOTAL_BYTES // 2**20,
        "most": MAX_FILES,
    }
    fields = {"kind": (), "size": ("megabytes",), "total": ("total_megabytes",), "number": ("most",)}
    lines = [
        say(language, _WHY[file.why], name=code(file.name, 120), **{name: limits[name] for name in fields[file.why]})
        for file in left_out[:20]
    ]
    return View(say(language, "files.left_out_text"), [section("\n".join(lines))])
