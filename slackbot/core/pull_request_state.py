"""What a session knows of its pull request: attribute `pull_request` of the item (docs/table.md). Pure.

`core.pull_request` compares it with what the code host shows now; `core.pull_request_rules` changes it by events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

MAX_FAILING = 10
"""Failing checks that are named; the rest is counted."""
MAX_OPINIONS = 10
MAX_OLD_CARDS = 5
MAX_ASKED = 5
MAX_TOLD = 100


@dataclass(frozen=True)
class FailingCheck:
    """A failed check of the head commit; `check_run_id` is None for a commit status."""

    name: str
    url: str | None = None
    check_run_id: int | None = None


@dataclass(frozen=True)
class Opinion:
    """A person's latest review that counts. `state`: approved or changes_requested."""

    user_login: str
    state: str


@dataclass(frozen=True)
class Picture:
    """A pull request as it was last seen: all that its card shows of it."""

    title: str = ""
    draft: bool = False
    mergeable: str = "unknown"
    review_decision: str | None = None
    head_sha: str = ""
    base_ref: str = ""
    additions: int = 0
    deletions: int = 0
    changed_files: int = 0
    checks_total: int = 0
    passed: int = 0
    pending: int = 0
    failed: int = 0
    failing: tuple[FailingCheck, ...] = ()
    opinions: tuple[Opinion, ...] = ()
    unresolved: int = 0
    """Threads of collaborators that nobody has resolved."""
    merged_by: str | None = None

    def as_map(self) -> dict[str, Any]:
        """As the item holds it: what is empty is absent."""
        flat = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in ("failing", "opinions")}
        flat["failing"] = [_present(vars(check)) for check in self.failing]
        flat["opinions"] = [_present(vars(opinion)) for opinion in self.opinions]
        return {name: value for name, value in _present(flat).items() if value not in (0, False)}

    @staticmethod
    def from_map(stored: Mapping[str, Any] | None) -> Picture | None:
        """The picture an item holds; what a newer version added to it is passed over."""
        if not stored:
            return None
        names = {one.name for one in fields(Picture)} - {"failing", "opinions"}
        return Picture(
            **{name: value for name, value in stored.items() if name in names},
            failing=tuple(
                FailingCheck(str(one.get("name", "")), one.get("url"), one.get("check_run_id"))
                for one in stored.get("failing", ())
            ),
            opinions=tuple(
                Opinion(str(one.get("user_login", "")), str(one.get("state", ""))) for one in stored.get("opinions", ())
            ),
        )


@dataclass(frozen=True)
class PullRequestState:
    """What was asked for, what was seen, what the thread was told, and what is still owed. Times: Unix seconds."""

    requested_by: str | None = None
    requested_at: int | None = None
    """While one is asked for and not open yet."""
    title: str | None = None
    """What the form said, until it is open; kept after a refusal, so that nothing typed is lost."""
    body: str | None = None
    as_draft: bool = False
    base_ref: str | None = None
    reviewers: tuple[str, ...] = ()
    state: str | None = None
    """open, closed or merged."""
    node_id: str | None = None
    opened_by: str | None = None
    """The Slack user who asked for it."""
    reviewers_refused: tuple[str, ...] = ()
    picture: Mapping[str, Any] | None = None
    """`Picture.as_map`."""
    looked_at: int | None = None
    """Milliseconds; when the look began that changed something last. An older look changes nothing."""
    changed_at: int | None = None
    ended_at: int | None = None
    watch_ended_at: int | None = None
    told_reviews: tuple[int, ...] = ()
    told_checks: tuple[str, ...] = ()
    told_conflict: bool = False
    card: str | None = None
    """`pull_request_card_key` of what the card shows."""
    card_ts: str | None = None
    card_number: int = 0
    """Counts the cards that were asked for: each has its own number in its metadata."""
    old_cards: tuple[str, ...] = ()
    """Messages that were the card, and are to go."""
    may_merge: bool = False
    """Whether the settings allow merging from the thread."""
    asked: tuple[Mapping[str, Any], ...] = ()
    """What people asked to be done with it and is owed: `action`, `request_id`, `user_id`, `at`, `method`."""
    replies: tuple[Mapping[str, Any], ...] = ()
    """Review comments that a turn shall answer: `comment_id`, `turn_id`."""
    auto_fixes: Mapping[str, Any] | None = None
    """Automatic fixes: `head_sha`, `count` (for this commit), `in_row` (since anything else helped)."""
    branch_gone: bool = False
    """After the end: the branch was deleted."""
    branch_seen_at: int | None = None
    """After the end: when it was looked for."""
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seen(self) -> Picture | None:
        return Picture.from_map(self.picture)


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None and value != "" and value != []}
