"""What became of the branch and of the pull request, made by the performer and the watch."""

from __future__ import annotations

from dataclasses import dataclass, field

from slackbot.core.code_host import PullRequestSnapshot
from slackbot.core.events.event import Event
from slackbot.core.limits import PullRequestTerms


@dataclass(frozen=True)
class BranchMade(Event):
    """`ref`: where the session's commits are kept in place of the branch, until its pull request is opened."""

    branch_name: str
    base_sha: str
    ref: str | None = None


@dataclass(frozen=True)
class BranchNameTaken(Event):
    branch_name: str


@dataclass(frozen=True)
class BranchTidied(Event):
    """The session is over and its branch was looked at; `deleted` when it was empty."""

    deleted: bool


@dataclass(frozen=True)
class PullRequestOpened(Event):
    number: int
    url: str
    node_id: str | None = None
    draft: bool = False
    reviewers_refused: tuple[str, ...] = ()
    terms: PullRequestTerms = field(default_factory=PullRequestTerms)


@dataclass(frozen=True)
class PullRequestRefused(Event):
    summary: str
    remedy: str = ""


@dataclass(frozen=True)
class PullRequestObserved(Event):
    """A look at the pull request, begun at `looked_at` (milliseconds)."""

    snapshot: PullRequestSnapshot
    looked_at: int
    terms: PullRequestTerms = field(default_factory=PullRequestTerms)


@dataclass(frozen=True)
class PullRequestWatchEnded(Event):
    """It is not looked at any more. `reason`: quiet (nothing moved for too long) or gone (hidden or deleted)."""

    reason: str


@dataclass(frozen=True)
class PullRequestActDone(Event):
    """What was asked for is done. `merged_sha` goes with `merge`."""

    act_id: str
    action: str
    merged_sha: str | None = None


@dataclass(frozen=True)
class PullRequestActRefused(Event):
    act_id: str
    action: str
    summary: str
    remedy: str = ""


@dataclass(frozen=True)
class PullRequestWorkPrepared(Event):
    """What the agent needs to know was fetched: its prompt. `comment_ids`: review comments the turn shall answer."""

    act_id: str
    prompt: str
    comment_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class ReviewAnswered(Event):
    """What the turn did was told in the threads of the review."""

    turn_id: str


@dataclass(frozen=True)
class MergedBranchSeen(Event):
    """The pull request is over, and its branch was looked for."""

    is_there: bool
