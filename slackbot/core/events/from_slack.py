"""What Slack answered and told, and that time passed."""

from __future__ import annotations

from dataclasses import dataclass, field

from slackbot.core.events.event import Event
from slackbot.core.limits import Limits


@dataclass(frozen=True)
class AnswerPosted(Event):
    turn_id: str
    response_ts: str


@dataclass(frozen=True)
class WarningPosted(Event):
    """The thread was told of the end that comes at `until` (Unix seconds)."""

    until: int
    ts: str


@dataclass(frozen=True)
class WarningRemoved(Event):
    """The message about the end at `until` is gone."""

    until: int


@dataclass(frozen=True)
class NoticePosted(Event):
    notice_id: str
    ts: str


@dataclass(frozen=True)
class PermissionShown(Event):
    permission_id: str
    message_ts: str


@dataclass(frozen=True)
class PermissionTold(Event):
    """The message of a question says how it ended."""

    permission_id: str


@dataclass(frozen=True)
class CardTold(Event):
    """The card shows what `card` stands for; `status_ts` is the message that is the card."""

    card: str
    status_ts: str


@dataclass(frozen=True)
class PullRequestCardTold(Event):
    """The pull request's card, the message `card_ts`, shows what `card` stands for."""

    card: str
    card_ts: str
    card_number: int


@dataclass(frozen=True)
class OldCardRemoved(Event):
    card_ts: str


@dataclass(frozen=True)
class ThreadLost(Event):
    """Nothing can be posted in this thread any more, and why."""

    reason: str


@dataclass(frozen=True)
class ChannelShared(Event):
    """People of another organisation read along in the session's channel."""


@dataclass(frozen=True)
class ChannelUnshared(Event):
    """The session's channel is the workspace's own again."""


@dataclass(frozen=True)
class RootDeleted(Event):
    """The first message of the session's thread is gone."""


@dataclass(frozen=True)
class TimePassed(Event):
    """Somebody looked at the clock. `listening_since`: when this bot began to hear workers (Unix seconds)."""

    limits: Limits = field(default_factory=Limits)
    listening_since: int = 0
