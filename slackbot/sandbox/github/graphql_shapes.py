"""Rows of the store -> objects of GraphQL, as plain dicts with the schema's field names. Pure but for the reading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError, GraphQLResolveInfo

from slackbot.sandbox.github.rest_shapes import node_id, timestamp
from slackbot.sandbox.github.review_store import CheckRow, CommentRow, ReviewRow, ReviewStore, ThreadRow
from slackbot.sandbox.github.store import PullRow, RepositoryRow

Json = dict[str, Any]
_MOST = 100
_ROLLUP = ("FAILURE", "PENDING", "SUCCESS")


class Fault(GraphQLError):
    """An error with GitHub's `type` beside its message."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.type = kind


def connection(entries: Sequence[Json], name: str) -> Callable[..., Json]:
    """A field that takes `first` or `last`, one of them, of at most 100.

    https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api#node-limit
    """

    def resolve(info: GraphQLResolveInfo[Any], first: int | None = None, last: int | None = None) -> Json:
        if (first is None) == (last is None):
            raise Fault(
                "MISSING_PAGINATION_BOUNDARIES",
                f"You must provide a `first` or `last` value to properly paginate the `{name}` connection.",
            )
        wanted = first if first is not None else last or 0
        if not 0 <= wanted <= _MOST:
            raise Fault(
                "EXCESSIVE_PAGINATION",
                f"Requesting {wanted} records on the `{name}` connection exceeds the `first` limit of {_MOST} records.",
            )
        shown = entries[:wanted] if first is not None else entries[len(entries) - min(wanted, len(entries)) :]
        return {"totalCount": len(entries), "nodes": list(shown)}

    return resolve


@dataclass(frozen=True)
class Shapes:
    """`base` is the address people use; `app_login` is the App's, with `[bot]`."""

    base: str
    app_login: str
    store: ReviewStore

    def actor(self, login: str | None) -> Json | None:
        """An App has its name without `[bot]` in GraphQL."""
        if login is None:
            return None
        if login == self.app_login:
            name = login.removesuffix("[bot]")
            return {
                "__typename": "Bot",
                "id": node_id("Bot", login),
                "login": name,
                "url": f"{self.base}/apps/{name}",
            }
        person = self.store.person(login)
        name = person.name if person else login
        url = f"{self.base}/{login}"
        return {"__typename": "User", "id": node_id("User", login), "login": login, "url": url, "name": name}

    def association(self, login: str) -> str:
        if login == self.app_login:
            return "CONTRIBUTOR"
        person = self.store.person(login)
        return "COLLABORATOR" if person is not None and person.collaborator else "NONE"

    def pull(self, row: RepositoryRow, pull: PullRow, facts: Json, may_read_checks: bool) -> Json:
        """`facts`: what git and the rules say (additions, deletions, changedFiles, mergeable, decision, opinions)."""
        url = f"{self.base}/{row.full_name}/pull/{pull.number}"
        comments = self.store.all_comments(pull.id)
        return {
            "__typename": "PullRequest",
            "id": node_id("PullRequest", pull.id),
            "number": pull.number,
            "url": url,
            "title": pull.title,
            "state": "MERGED" if pull.merged else pull.state.upper(),
            "isDraft": pull.draft,
            "merged": pull.merged,
            "mergeable": facts["mergeable"],
            "reviewDecision": facts["decision"],
            "createdAt": timestamp(pull.created_at),
            "updatedAt": timestamp(pull.updated_at),
            "closedAt": timestamp(pull.closed_at),
            "mergedAt": timestamp(pull.closed_at) if pull.merged else None,
            "headRefName": pull.head_ref,
            "headRefOid": pull.head_sha,
            "baseRefName": pull.base_ref,
            "additions": facts["additions"],
            "deletions": facts["deletions"],
            "changedFiles": facts["changedFiles"],
            "author": self.actor(pull.login),
            "mergedBy": self.actor(pull.merged_by) if pull.merged else None,
            "commits": connection([self._commit(row, pull, may_read_checks)], "commits"),
            "latestOpinionatedReviews": connection(
                [self._review(url, one) for one in facts["opinions"]], "latestOpinionatedReviews"
            ),
            "reviews": connection([self._review(url, one) for one in self.store.reviews(pull.id)], "reviews"),
            "comments": connection([self._comment(url, one) for one in comments if one.thread_id is None], "comments"),
            "reviewThreads": connection(
                [self._thread(url, pull, one, comments) for one in self.store.threads(pull.id)], "reviewThreads"
            ),
        }

    def _commit(self, row: RepositoryRow, pull: PullRow, may_read_checks: bool) -> Json:
        checks = self.store.checks(row.id, pull.head_sha)

        def rollup(info: GraphQLResolveInfo[Any]) -> Json | None:
            if not may_read_checks:
                raise Fault("FORBIDDEN", "Resource not accessible by integration")
            if not checks:
                return None
            states = {
                "FAILURE" if one.conclusion == "FAILURE" else "SUCCESS" if one.conclusion else "PENDING"
                for one in checks
            }
            state = next(word for word in _ROLLUP if word in states)
            return {"state": state, "contexts": connection([self._check(row, one) for one in checks], "contexts")}

        commit = {"id": node_id("Commit", f"{row.id}:{pull.head_sha}"), "oid": pull.head_sha}
        return {"commit": {**commit, "statusCheckRollup": rollup}}

    def _check(self, row: RepositoryRow, check: CheckRow) -> Json:
        if check.kind == "status":
            return {
                "__typename": "StatusContext",
                "id": node_id("StatusContext", check.id),
                "context": check.name,
                "state": check.conclusion or "PENDING",
                "targetUrl": None,
                "description": check.title or None,
                "createdAt": timestamp(check.started_at),
            }
        return {
            "__typename": "CheckRun",
            "id": node_id("CheckRun", check.id),
            "databaseId": check.id,
            "name": check.name,
            "status": check.status,
            "conclusion": check.conclusion,
            "detailsUrl": f"{self.base}/{row.full_name}/actions/runs/{check.id}/job/{check.id}",
            "startedAt": timestamp(check.started_at),
            "completedAt": timestamp(check.completed_at),
            "title": check.title or None,
        }

    def _review(self, url: str, review: ReviewRow) -> Json:
        return {
            "id": node_id("PullRequestReview", review.id),
            "fullDatabaseId": str(review.id),
            "state": review.state,
            "body": review.body,
            "url": f"{url}#pullrequestreview-{review.id}",
            "submittedAt": timestamp(review.submitted_at),
            "authorAssociation": self.association(review.login),
            "author": self.actor(review.login),
        }

    def _comment(self, url: str, comment: CommentRow) -> Json:
        place = "issuecomment-" if comment.thread_id is None else "discussion_r"
        return {
            "id": node_id("Comment", comment.id),
            "fullDatabaseId": str(comment.id),
            "authorAssociation": self.association(comment.login),
            "body": comment.body,
            "url": f"{url}#{place}{comment.id}",
            "createdAt": timestamp(comment.created_at),
            "author": self.actor(comment.login),
        }

    def _thread(self, url: str, pull: PullRow, thread: ThreadRow, comments: Sequence[CommentRow]) -> Json:
        outdated = thread.commit_sha != pull.head_sha
        mine = [self._comment(url, one) for one in comments if one.thread_id == thread.id]
        return {
            "id": node_id("PullRequestReviewThread", thread.id),
            "isResolved": thread.resolved,
            "isOutdated": outdated,
            "path": thread.path,
            "line": thread.line,
            "comments": connection(mine, "comments"),
        }
