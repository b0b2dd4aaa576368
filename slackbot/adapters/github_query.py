"""The GraphQL that asks for pull requests, and its answers as `PullRequestSnapshot`. Pure.

`github_graphql.py` sends the text and hands in what came back. One call serves up to 100 pull requests of an
installation; by GitHub's formula a look costs about 20 points of 5,000 an hour.
https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from slackbot.core.code_host import CheckRun, PullRequestSnapshot, Review, ReviewComment, ReviewThread

Json = Mapping[str, Any]

NODES_A_LOOK = 100
"""GitHub's limit for `nodes(ids:)`."""

_PULL = """
fragment Pull on PullRequest {
  id number url title state isDraft mergeable reviewDecision updatedAt headRefName headRefOid baseRefName
  additions deletions changedFiles
  author { __typename login }
  mergedBy { __typename login }
  commits(last: 1) { nodes { commit { oid statusCheckRollup { state contexts(first: 100) { totalCount nodes {
    __typename
    ... on CheckRun { databaseId name status conclusion detailsUrl }
    ... on StatusContext { context state targetUrl }
  } } } } } }
  latestOpinionatedReviews(last: 20) { nodes { ...Opinion } }
  reviews(last: 10) { nodes { ...Opinion } }
  comments(last: 10) { nodes { fullDatabaseId authorAssociation body url createdAt author { __typename login } } }
  reviewThreads(last: $threads) { nodes { id isResolved path line ...Said } }
}
fragment Remark on PullRequestReviewComment {
  fullDatabaseId authorAssociation body url createdAt author { __typename login }
}
fragment Opinion on PullRequestReview {
  fullDatabaseId state body url submittedAt authorAssociation author { __typename login }
}
"""
# Who has the last word says whether a thread is open; each connection more costs a look some 15 points.
_LAST_WORDS = """
fragment Said on PullRequestReviewThread { comments(last: 10) { nodes { ...Remark } } }
"""
# A reply goes to the first comment, and those that a thread got already are its last.
_FIRST_AND_LAST_WORDS = """
fragment Said on PullRequestReviewThread {
  comments(first: 10) { nodes { ...Remark } }
  latest: comments(last: 30) { nodes { ...Remark } }
}
"""
LOOK = (
    """
query PullRequests($ids: [ID!]!, $threads: Int!) {
  rateLimit { cost remaining resetAt }
  nodes(ids: $ids) { __typename ...Pull }
}
"""
    + _PULL
    + _LAST_WORDS
)
ONE = (
    """
query PullRequest($owner: String!, $name: String!, $number: Int!, $threads: Int!) {
  rateLimit { cost remaining resetAt }
  repository(owner: $owner, name: $name) { pullRequest(number: $number) { __typename ...Pull } }
}
"""
    + _PULL
    + _FIRST_AND_LAST_WORDS
)
READY = """
mutation ReadyForReview($pullRequestId: ID!) {
  markPullRequestReadyForReview(input: {pullRequestId: $pullRequestId}) { pullRequest { id isDraft } }
}
"""
THREADS_OF_MANY = 15
THREADS_OF_ONE = 100

_STATES = {
    # CheckConclusionState and StatusState; what is missing here is passed on as it is.
    **dict.fromkeys(("SUCCESS",), "passed"),
    **dict.fromkeys(("NEUTRAL", "SKIPPED"), "neutral"),
    **dict.fromkeys(
        ("FAILURE", "ERROR", "TIMED_OUT", "CANCELLED", "ACTION_REQUIRED", "STARTUP_FAILURE"),
        "failed",
    ),
    **dict.fromkeys(("STALE", "PENDING", "EXPECTED"), "pending"),
}
_WRITERS = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})
_JOB = re.compile(r"/actions/runs/\d+/job/(\d+)")
_ORDER = {"failed": 0, "pending": 1}
_REVIEWS_KEPT = 30
_OTHERS = "other checks"


def snapshot(pull: Json) -> PullRequestSnapshot:
    """A `PullRequest` of GraphQL. KeyError, TypeError or ValueError when it is none."""
    checks, total = _checks(pull)
    reviews = {
        review.review_id: review
        for source in ("latestOpinionatedReviews", "reviews")
        for node in _nodes(pull.get(source))
        if (review := _review(node)) is not None
    }
    return PullRequestSnapshot(
        node_id=str(pull["id"]),
        number=int(pull["number"]),
        url=str(pull["url"]),
        title=str(pull["title"]),
        state=str(pull["state"]).lower(),
        draft=bool(pull["isDraft"]),
        mergeable=str(pull["mergeable"]).lower(),
        review_decision=_decision(pull),
        head_ref=str(pull["headRefName"]),
        head_sha=str(pull["headRefOid"]),
        base_ref=str(pull["baseRefName"]),
        additions=int(pull["additions"]),
        deletions=int(pull["deletions"]),
        changed_files=int(pull["changedFiles"]),
        updated_at=unix_seconds(pull["updatedAt"]),
        merged_by=_login(pull["mergedBy"]) if pull.get("mergedBy") else None,
        checks=checks,
        checks_total=total,
        reviews=tuple(sorted(reviews.values(), key=lambda one: (one.submitted_at, one.review_id))[-_REVIEWS_KEPT:]),
        comments=_comments(pull),
        threads=tuple(
            ReviewThread(
                thread_id=str(node["id"]),
                is_resolved=bool(node["isResolved"]),
                path=str(node["path"]),
                line=int(node["line"]) if node.get("line") is not None else None,
                comments=_comments(node),
            )
            for node in _nodes(pull.get("reviewThreads"))
        ),
        author_login=_login(pull.get("author")),
    )


def unix_seconds(iso: str) -> int:
    return int(datetime.fromisoformat(iso).timestamp())


def _nodes(connection: Any) -> list[Json]:
    """The entries of a connection, without those that GitHub left null (hidden, or failed)."""
    return [node for node in (connection or {}).get("nodes") or [] if node]


def _login(actor: Any) -> str:
    """As REST writes it: an App's name has `[bot]` behind it there. A deleted account is `ghost`."""
    if not actor:
        return "ghost"
    login = str(actor["login"])
    return f"{login}[bot]" if actor.get("__typename") == "Bot" and not login.endswith("[bot]") else login


def _checks(pull: Json) -> tuple[tuple[CheckRun, ...], int]:
    """The checks of the head commit. None are told while the newest commit is not the head yet (a push under way)."""
    commits = _nodes(pull.get("commits"))
    commit = commits[-1].get("commit") if commits else None
    if not commit or commit.get("oid") != pull["headRefOid"]:
        return (), 0
    rollup = commit.get("statusCheckRollup") or {}
    contexts = rollup.get("contexts") or {}
    found = [_check(node) for node in _nodes(contexts)]
    total = int(contexts.get("totalCount") or len(found))
    summed_up = _state(rollup.get("state") or "SUCCESS")
    if total > len(found) and summed_up in _ORDER and all(check.state != summed_up for check in found):
        # Among those beyond the hundred: GitHub's sum of all knows of it, and of no name.
        found.append(CheckRun(_OTHERS, summed_up, f"{pull['url']}/checks", None))
    found.sort(key=lambda check: (_ORDER.get(check.state, 2), check.name))
    return tuple(found), total


def _check(node: Json) -> CheckRun:
    if node.get("__typename") == "StatusContext":
        return CheckRun(str(node["context"]), _state(node["state"]), _text(node.get("targetUrl")), None)
    state = _state(node.get("conclusion")) if node.get("status") == "COMPLETED" else "pending"
    url = _text(node.get("detailsUrl"))
    # The schema calls the id an Int of 32 bits, and ids have more; its address has it as well.
    in_url = _JOB.search(url or "")
    number = node.get("databaseId") or (in_url.group(1) if in_url else None)
    return CheckRun(str(node["name"]), state, url, int(number) if number else None)


def _decision(pull: Json) -> str | None:
    """GitHub's own, which is null where no rule asks for a review: then what those who may write last thought.

    https://github.com/orgs/community/discussions/24375
    """
    if pull.get("reviewDecision"):
        return str(pull["reviewDecision"]).lower()
    states = {
        str(node.get("state"))
        for node in _nodes(pull.get("latestOpinionatedReviews"))
        if node.get("authorAssociation") in _WRITERS
    }
    return next((state.lower() for state in ("CHANGES_REQUESTED", "APPROVED") if state in states), None)


def _state(word: Any) -> str:
    return _STATES.get(str(word), str(word).lower()) if word else "pending"


def _text(value: Any) -> str | None:
    return str(value) if value else None


def _review(node: Json) -> Review | None:
    if not node.get("submittedAt") or node.get("state") == "PENDING" or not node.get("fullDatabaseId"):
        return None  # not sent yet, so only its author sees it; or without the id by which it is told once
    return Review(
        review_id=int(node["fullDatabaseId"]),
        user_login=_login(node.get("author")),
        state=str(node["state"]).lower(),
        body=str(node.get("body") or ""),
        url=str(node["url"]),
        submitted_at=unix_seconds(node["submittedAt"]),
        author_association=str(node["authorAssociation"]).lower(),
    )


def _comments(subject: Json) -> tuple[ReviewComment, ...]:
    """Of a thread or of the pull request, oldest first; what lies between the first and the last is left out, and so
    is what GitHub gave no id."""
    nodes = [*_nodes(subject.get("comments")), *_nodes(subject.get("latest"))]
    found = (_comment(node) for node in nodes if node.get("fullDatabaseId"))
    return tuple({one.comment_id: one for one in found}.values())


def _comment(node: Json) -> ReviewComment:
    return ReviewComment(
        comment_id=int(node["fullDatabaseId"]),
        user_login=_login(node.get("author")),
        author_association=str(node["authorAssociation"]).lower(),
        body=str(node.get("body") or ""),
        url=str(node["url"]),
        created_at=unix_seconds(node["createdAt"]),
    )
