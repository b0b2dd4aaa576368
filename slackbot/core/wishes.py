"""What the verbs of commands, `!` words and buttons ask of a session: the right they need, and their event. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from slackbot.core import events as ev
from slackbot.core.access import Action
from slackbot.core.limits import Limits


@dataclass(frozen=True)
class Wish:
    """Who asked, and what the asking is named: the same `press_id` twice is one wish.

    `message_ts` is the message whose button was pressed, `value` the button's value; both absent for words.
    """

    user_id: str
    press_id: str
    message_ts: str | None = None
    value: str = ""
    limits: Limits = field(default_factory=Limits)
    """Those of the session's repository."""


EVENTS: dict[str, tuple[Action, Callable[[Wish], ev.Event]]] = {
    "stop": (Action.STOP, lambda wish: ev.StopRequested(wish.user_id, request_id=wish.press_id)),
    "cancel": (Action.CANCEL, lambda wish: ev.CancelRequested(wish.user_id, wish.press_id, wish.value or None)),
    "now": (Action.CANCEL, lambda wish: ev.PromptHurried(wish.value, wish.user_id, wish.press_id)),
    "listen": (Action.REPLY, lambda wish: ev.ListenRequested(wish.user_id, wish.value, wish.press_id)),
    "extend": (Action.EXTEND, lambda wish: ev.StayExtended(wish.user_id, wish.limits, wish.press_id)),
    "pr": (Action.OPEN_PULL_REQUEST, lambda wish: ev.PullRequestRequested(wish.user_id, wish.press_id)),
    "undo": (Action.UNDO, lambda wish: ev.UndoRequested(wish.press_id, wish.user_id, wish.value)),
    "retry": (Action.RETRY, lambda wish: ev.RetryRequested(wish.press_id, wish.user_id, wish.message_ts)),
}
