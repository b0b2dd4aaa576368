"""What people want: words, commands, presses and forms, made by the desks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from slackbot.core.events.event import Event
from slackbot.core.limits import Limits, PullRequestTerms
from slackbot.core.session import EndedBy


@dataclass(frozen=True)
class PromptReceived(Event):
    """Somebody wrote what the agent shall do. The same `turn_id` twice is one prompt."""

    turn_id: str
    user_id: str
    prompt: str
    prompt_ts: str | None = None
    prompt_file: str | None = None
    mentioned: bool = True
    """Whether DevFlow is surely meant; a reply that does not name it may be talk between people."""
    files: tuple[Mapping[str, str | int], ...] = ()
    """What was attached: `file_id`, `name`, `size_bytes`."""


@dataclass(frozen=True)
class PromptEdited(Event):
    """The message that holds a prompt now says something else."""

    prompt_ts: str
    prompt: str


@dataclass(frozen=True)
class PromptDeleted(Event):
    """The message that holds a prompt is gone."""

    prompt_ts: str


@dataclass(frozen=True)
class AsideSaid(Event):
    """People spoke to each other; context of the next prompt."""

    text: str
    request_id: str | None = None
    user_id: str = ""
    files: tuple[Mapping[str, str | int], ...] = ()
    """What was attached, as in `PromptReceived`."""


@dataclass(frozen=True)
class TalkChanged(Event):
    """Words between people now read otherwise; `text` None = they were deleted."""

    user_id: str
    was: str
    text: str | None
    files: tuple[Mapping[str, str | int], ...] = ()


@dataclass(frozen=True)
class ListenRequested(Event):
    """Which replies are prompts from now on: `all`, or those with `mentions`."""

    user_id: str
    listen: str
    request_id: str | None = None


@dataclass(frozen=True)
class EditorLinkRedeemed(Event):
    """Somebody came into the editor by the link `nonce`, which ends at `expires_at`."""

    user_id: str
    nonce: str
    expires_at: int


@dataclass(frozen=True)
class CancelRequested(Event):
    """The prompt in work shall end; with a `turn_id` this very one, and no other."""

    user_id: str
    request_id: str | None = None
    turn_id: str | None = None


@dataclass(frozen=True)
class PromptHurried(Event):
    """Somebody wants a waiting prompt now: it goes first, and the one in work ends."""

    turn_id: str
    user_id: str
    request_id: str | None = None


@dataclass(frozen=True)
class StopRequested(Event):
    """The session shall end. `user_id` is None when the bot itself is being shut down."""

    user_id: str | None
    by: EndedBy = EndedBy.PERSON
    request_id: str | None = None


@dataclass(frozen=True)
class ForgetRequested(Event):
    """The session, which is over, shall be removed from the store."""

    user_id: str


@dataclass(frozen=True)
class RetryRequested(Event):
    """Run a failed or kept turn again; `turn_id` names the press of the button, or the word.

    `message_ts`: the message whose button was pressed. Where it tells the end of a turn, that turn is meant; else, and
    for a word, the last one.
    """

    turn_id: str
    user_id: str
    message_ts: str | None = None

    @property
    def request_id(self) -> str:
        return self.turn_id


@dataclass(frozen=True)
class UndoRequested(Event):
    """Take back what the turn `undoes` has pushed; `turn_id` names the press of the button."""

    turn_id: str
    user_id: str
    undoes: str

    @property
    def request_id(self) -> str:
        return self.turn_id


@dataclass(frozen=True)
class PermissionAnswered(Event):
    """Somebody pressed the button for `option_id`, as the agent offered it."""

    permission_id: str
    option_id: str
    user_id: str
    request_id: str | None = None


@dataclass(frozen=True)
class HandedOver(Event):
    """The session is somebody else's from now on. `language`: theirs; None = English."""

    user_id: str
    to_user_id: str
    language: str | None = None
    request_id: str | None = None


@dataclass(frozen=True)
class StayExtended(Event):
    """The end that the session warned of (else that of idleness) shall come later."""

    user_id: str
    limits: Limits = field(default_factory=Limits)
    request_id: str | None = None


@dataclass(frozen=True)
class PullRequestRequested(Event):
    """Open the pull request, or show its card again. Without a `title` the rest is made when it is opened."""

    user_id: str
    request_id: str | None = None
    title: str | None = None
    body: str | None = None
    draft: bool = False
    base_ref: str | None = None
    reviewers: tuple[str, ...] = ()


@dataclass(frozen=True)
class PullRequestActRequested(Event):
    """Something is to be done with the pull request. `action`: one of `core.pull_request_rules.ACTIONS`.

    `method` (merge, squash, rebase) goes with `merge`. `terms` are the settings at this moment.
    """

    action: str
    user_id: str
    request_id: str
    method: str | None = None
    terms: PullRequestTerms = field(default_factory=PullRequestTerms)
