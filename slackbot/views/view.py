"""What a view gives back: a message, ready for the chat port. Made by every module of this room."""

from __future__ import annotations

from dataclasses import dataclass, field

from slackbot.core.ports import Blocks

MAX_TEXT = 3_900
"""Characters of `text`; Slack's own limit lies near 4,000 for updates.

https://docs.slack.dev/reference/methods/chat.update
"""


@dataclass(frozen=True)
class View:
    """`text` is what notifications and screen readers say, already escaped; `blocks` is what people see."""

    text: str
    blocks: Blocks = field(default_factory=list)
