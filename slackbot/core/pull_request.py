"""Two looks at a pull request -> what changed, and what people must act on, each told once. Pure.

`core.pull_request_rules` applies it to the session. What was told is part of the stored state, so another bot, a
restart, or the same look handed in ten times tells nothing again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from slackbot.core.clipping import one_line
from slackbot.core.code_host import CheckRun, PullRequestSnapshot, Review, ReviewThread
from slackbot.core.pull_request_state import (
    MAX_FAILING,
    MAX_OPINIONS,
    MAX_TOLD,
    FailingCheck,
    Opinion,
    Picture,
    PullRequestState,
)

COLLABORATORS = frozenset({"owner", "member", "collaborator"})
"""Whose reviews and comments count: those who may write, as GitHub counts them for its own decision.
https://docs.github.com/en/graphql/reference/enums#commentauthorassociation"""

REPLY_MARK = "<!-- devflow-turn: "
"""Stands in every reply of DevFlow's to a review comment."""

MAX_URL = 170

_OPINIONS = ("approved", "changes_requested")


@dataclass(frozen=True)
class News:
    """Something people must act on; becomes a notice of this kind."""

    kind: str
    values: Mapping[str, str] = field(default_factory=dict)


def observe(
    state: PullRequestState, snapshot: PullRequestSnapshot, *, looked_at: int, now: int
) -> tuple[PullRequestState, tuple[News, ...]]:
    """The state after a look that began at `looked_at` (milliseconds), and what is to be told of it.

    The same object comes back when nothing changed, or when a later look was already taken in.
    """
    if state.looked_at is not None and looked_at < state.looked_at:
        return state, ()
    if state.state == "merged" and snapshot.state != "merged":
        # Begun before it was merged from the thread: what is merged stays so.
        return state, ()
    picture = draw(snapshot, state.seen)
    seen = replace(state, node_id=snapshot.node_id or state.node_id, state=snapshot.state, picture=picture.as_map())
    if snapshot.state == "open":
        if seen.ended_at is not None:
            # Opened again: it is watched again.
            seen = replace(seen, ended_at=None, watch_ended_at=None, branch_gone=False, branch_seen_at=None)
        seen, news = _tell_open(seen, snapshot, picture)
    else:
        seen, news = _tell_end(state, seen, snapshot, now)
    if seen == state:
        return state, ()
    return replace(seen, looked_at=looked_at, changed_at=now), news


def draw(snapshot: PullRequestSnapshot, before: Picture | None) -> Picture:
    """What the card shows of it. What GitHub has not worked out yet stays as it was."""
    checks = snapshot.checks
    failing = sorted((check for check in checks if check.state == "failed"), key=lambda check: check.name)
    mergeable = snapshot.mergeable
    if mergeable == "unknown" and before is not None:
        mergeable = before.mergeable
    return Picture(
        title=one_line(snapshot.title, 200),
        draft=snapshot.draft,
        mergeable=mergeable,
        review_decision=snapshot.review_decision,
        head_sha=snapshot.head_sha,
        base_ref=snapshot.base_ref,
        additions=snapshot.additions,
        deletions=snapshot.deletions,
        changed_files=snapshot.changed_files,
        checks_total=max(snapshot.checks_total, len(checks)),
        passed=_count(checks, "passed", "neutral"),
        pending=_count(checks, "pending"),
        failed=len(failing),
        failing=tuple(
            FailingCheck(one_line(check.name, 80), _short_url(check.url), check.check_run_id)
            for check in failing[:MAX_FAILING]
        ),
        opinions=tuple(Opinion(one.user_login, one.state) for one in opinions(snapshot)[:MAX_OPINIONS]),
        unresolved=len(open_threads(snapshot)),
        merged_by=snapshot.merged_by,
    )


def opinions(snapshot: PullRequestSnapshot) -> list[Review]:
    """Each collaborator's latest review that says yes or no, unless it was dismissed; by login."""
    latest: dict[str, Review] = {}
    for review in sorted(snapshot.reviews, key=lambda one: (one.submitted_at, one.review_id)):
        if review.author_association in COLLABORATORS and review.state in (*_OPINIONS, "dismissed"):
            latest[review.user_login] = review
    return [latest[login] for login in sorted(latest) if latest[login].state in _OPINIONS]


def open_threads(snapshot: PullRequestSnapshot) -> list[ReviewThread]:
    """Threads that a collaborator wrote in, that nobody has resolved, and where DevFlow has not the last word."""
    return [
        thread
        for thread in snapshot.threads
        if not thread.is_resolved
        and any(comment.author_association in COLLABORATORS for comment in thread.comments)
        and not (thread.comments and REPLY_MARK in thread.comments[-1].body)
    ]


def _tell_open(
    state: PullRequestState, snapshot: PullRequestSnapshot, picture: Picture
) -> tuple[PullRequestState, tuple[News, ...]]:
    news: list[News] = []
    failing = [check for check in snapshot.checks if check.state == "failed"]
    keys = {_check_key(snapshot.head_sha, check) for check in failing}
    if keys and not keys & set(state.told_checks):
        # While one that was told of still fails, people know: the card names the others.
        news.append(News("pull_request_checks_failed", _failing(picture)))
        state = replace(state, told_checks=(*state.told_checks, *sorted(keys))[-MAX_TOLD:])
    said = opinions(snapshot)
    fresh = [review for review in said if review.review_id not in state.told_reviews]
    for kind, word in (("changes_requested", "changes_requested"), ("approved", "approved")):
        of_kind = [review for review in fresh if review.state == word]
        if of_kind:
            news.append(News(f"pull_request_{kind}", _said(of_kind)))
    if fresh:
        # A review that is not among those shown any more does not come back.
        shown = {review.review_id for review in snapshot.reviews}
        kept = [one for one in state.told_reviews if one in shown]
        told = (*kept, *(review.review_id for review in fresh))[-MAX_TOLD:]
        state = replace(state, told_reviews=told)
    if picture.mergeable == "conflicting" and not state.told_conflict:
        news.append(News("pull_request_conflict", {"base": picture.base_ref}))
        state = replace(state, told_conflict=True)
    elif picture.mergeable == "mergeable" and state.told_conflict:
        state = replace(state, told_conflict=False)
    return state, tuple(news)


def _tell_end(
    before: PullRequestState, state: PullRequestState, snapshot: PullRequestSnapshot, now: int
) -> tuple[PullRequestState, tuple[News, ...]]:
    if before.state == snapshot.state:
        return state, ()
    state = replace(state, ended_at=now, asked=_still_possible(state), auto_fixes=None)
    values = {"by": snapshot.merged_by} if snapshot.merged_by else {}
    return state, (News(f"pull_request_{snapshot.state}", values),)


def _still_possible(state: PullRequestState) -> tuple[Mapping[str, object], ...]:
    """What was asked for before the end and makes sense after it."""
    return tuple(asked for asked in state.asked if asked.get("action") == "delete_branch")


def _check_key(head_sha: str, check: CheckRun) -> str:
    """Names one failure: a check that is run again has another id."""
    return hashlib.sha256(f"{head_sha}:{check.name}:{check.check_run_id}".encode()).hexdigest()[:12]


def _short_url(url: str | None) -> str | None:
    """One that leaves room for the others in a message; a part of an address would lead nowhere."""
    return url if url and len(url) <= MAX_URL else None


def _count(checks: tuple[CheckRun, ...], *states: str) -> int:
    return sum(check.state in states for check in checks)


def _failing(picture: Picture) -> dict[str, str]:
    """Names and links in the same order, one a line."""
    values = {"names": "\n".join(check.name for check in picture.failing), "head_sha": picture.head_sha}
    values["urls"] = "\n".join(check.url or "-" for check in picture.failing)
    if picture.failed > len(picture.failing):
        values["more"] = str(picture.failed - len(picture.failing))
    return values


def _said(reviews: list[Review]) -> dict[str, str]:
    newest = reviews[-1]
    return {
        "by": "\n".join(review.user_login for review in reviews[:MAX_OPINIONS]),
        "url": _short_url(newest.url) or "",
        "words": one_line(newest.body, 300),
    }
