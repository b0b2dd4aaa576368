"""What a button or a form of the start carries, so that nothing about it needs to be kept: text <-> data. Pure.

Views write it into a button's `value` or a modal's `private_metadata`; the start desk reads it, checks every field,
and reads the message again that it names.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields
from enum import StrEnum

MAX_VALUE = 2_000
"""https://docs.slack.dev/reference/block-kit/block-elements/button-element"""

MAX_PRIVATE_METADATA = 3_000
"""https://docs.slack.dev/reference/views/modal-views"""

_TS = re.compile(r"\d{1,12}\.\d{1,12}\Z", re.ASCII)
_CHANNEL = re.compile(r"[CGD][A-Z0-9]{1,30}\Z", re.ASCII)
_SESSION = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.ASCII)


class Along(StrEnum):
    """What goes along with the first prompt as untrusted context."""

    NOTHING = ""
    THREAD = "thread"
    """The messages of the thread before the one that holds the prompt."""
    MESSAGE = "message"
    """The message itself, where a form could not hold all of it."""
    FILES = "files"
    """What is attached to the message, and nothing else."""


@dataclass(frozen=True)
class StartTicket:
    """A start that is not made yet. `thread_ts`: the thread it shall live in; None = a new one, begun by DevFlow."""

    channel_id: str | None = None
    thread_ts: str | None = None
    message_ts: str | None = None
    """The message that holds the prompt."""
    prompt: str | None = None
    """The prompt, where no message holds it."""
    repository: str | None = None
    base_branch: str | None = None
    agent: str | None = None
    along: Along = Along.NOTHING
    replaces: str | None = None
    """`session_id` of the session that this one takes the place of."""

    def as_text(self) -> str:
        """Short JSON; see `MAX_VALUE` and `MAX_PRIVATE_METADATA` for what Slack takes."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return json.dumps({name: value for name, value in given.items() if value}, separators=(",", ":"))


def parse_ticket(text: str | None) -> StartTicket | None:
    """The ticket; None when it is none, has a field of another form, or one that is not known."""
    try:
        found = json.loads(text or "")
        if not isinstance(found, dict) or not all(isinstance(value, str) and value for value in found.values()):
            return None
        ticket = StartTicket(**{**found, "along": Along(found.get("along", ""))})
    except (ValueError, TypeError, RecursionError):
        return None
    forms = (
        (_CHANNEL, ticket.channel_id),
        (_TS, ticket.thread_ts),
        (_TS, ticket.message_ts),
        (_SESSION, ticket.replaces),
    )
    return ticket if all(value is None or form.match(value) for form, value in forms) else None
