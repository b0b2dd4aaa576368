"""What the stand-in answers when something is wrong: Slack's own errors, and faults that a test injects.

Raised by the rules (`workspace.py`, `conversation.py`, `views.py`, ...), answered by `web_api.py`; `Fault`
comes from `SlackStandIn.fault`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class SlackError(Exception):
    """A refusal under Slack's own error name; `messages` become `response_metadata.messages`."""

    def __init__(self, error: str, messages: list[str] | None = None, **fields: Any) -> None:
        super().__init__(error)
        self.error = error
        self.messages = messages or []
        self.fields = fields

    def answer(self) -> dict[str, Any]:
        body: dict[str, Any] = {"ok": False, "error": self.error, **self.fields}
        if self.messages:
            body["response_metadata"] = {"messages": self.messages}
        return body


class PersonRefusedError(Exception):
    """Slack's page would not let the person do this. The message is a sentence for that person."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one API call.

    `error` and `status` replace the answer and the call is not done (429 with `retry_after` seconds is Slack's
    `ratelimited`). `drop_before` closes the connection with the call not done; `drop_after` does the call and
    then closes it, so that the caller cannot know the outcome. `delay_seconds` comes before all else.
    """

    error: str | None = None
    status: int | None = None
    retry_after: int | None = None
    delay_seconds: float = 0.0
    drop_before: bool = False
    drop_after: bool = False


FaultHook = Callable[[str, dict[str, Any]], Fault | None]


@dataclass(frozen=True)
class ApiCall:
    """One call of the Web API as it was answered; `args` without the token, `at` in Unix seconds."""

    method: str
    args: dict[str, Any]
    answer: dict[str, Any] = field(repr=False)
    at: float

    def as_json(self) -> dict[str, Any]:
        return {"method": self.method, "args": self.args, "answer": self.answer, "at": self.at}
