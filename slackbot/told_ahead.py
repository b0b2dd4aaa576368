"""Messages whose edit or deletion Slack told before the messages themselves: they are taken as they are now.

Kept by the front desk, for messages of sessions' threads; a restart forgets it, and reads the threads anew.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")

MAX_AHEAD = 2_000
"""Slack tells of a message again for some minutes at most. https://docs.slack.dev/apis/events-api#retries"""


class ToldAhead(Generic[T]):
    """By channel and `ts`: what a message says now; None = it was deleted."""

    def __init__(self) -> None:
        self._told: OrderedDict[tuple[str, str], T | None] = OrderedDict()

    def note(self, channel_id: str, message_ts: str, said: T | None) -> None:
        """It says this now, though nobody here has heard it yet."""
        key = (channel_id, message_ts)
        self._told[key] = said
        self._told.move_to_end(key)
        while len(self._told) > MAX_AHEAD:
            self._told.popitem(last=False)

    def now(self, channel_id: str, message_ts: str, said: T) -> T | None:
        """What the message says now: `said`, where nothing else was told before it; None = it is gone."""
        return self._told.get((channel_id, message_ts), said)
