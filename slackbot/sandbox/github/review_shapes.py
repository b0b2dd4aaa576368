"""Reviews, comments, checks and people -> the JSON of GitHub's REST API and of its webhooks. Pure but for names.

Field names and nesting follow GitHub's published description: https://github.com/github/rest-api-description
"""

from __future__ import annotations

from dataclasses import dataclass

from slackbot.sandbox.github import rest_shapes
from slackbot.sandbox.github.rest_base import API_PREFIX, Json
from slackbot.sandbox.github.rest_shapes import APP_USER_ID, node_id, timestamp
from slackbot.sandbox.github.review_store import (
    CheckRow,
    CommentRow,
    Person,
    ReviewRow,
    ReviewStore,
    ThreadRow,
)
from slackbot.sandbox.github.store import PullRow, RepositoryRow

_ACTIONS_ID = 15_368
"""The id of the App "GitHub Actions" on github.com."""


@dataclass(frozen=True)
class Context:
    """`base` is the address people use; `app_login` is the App's, with `[bot]`."""

    base: str
    app_login: str
    store: ReviewStore

    def user(self, login: str) -> Json:
        if login == self.app_login:
            return rest_shapes.user(self.base, login, APP_USER_ID, "Bot")
        person = self.store.person(login)
        return rest_shapes.user(self.base, login, person.id if person else 1, "User")

    def association(self, login: str) -> str:
        if login == self.app_login:
            return "CONTRIBUTOR"
        person = self.store.person(login)
        return "COLLABORATOR" if person is not None and person.collaborator else "NONE"


def _links(context: Context, row: RepositoryRow, pull: PullRow, anchor: str) -> tuple[str, str, Json]:
    """(API address of the pull request, page of the comment, `_links`)."""
    api = f"{context.base}{API_PREFIX}/repos/{row.full_name}/pulls/{pull.number}"
    html = f"{context.base}/{row.full_name}/pull/{pull.number}#{anchor}"
    return api, html, {"html": {"href": html}, "pull_request": {"href": api}}


def review(context: Context, row: RepositoryRow, pull: PullRow, found: ReviewRow) -> Json:
    api, html, links = _links(context, row, pull, f"pullrequestreview-{found.id}")
    return {
        "id": found.id,
        "node_id": node_id("PullRequestReview", found.id),
        "user": context.user(found.login),
        "body": found.body,
        "state": found.state,
        "html_url": html,
        "pull_request_url": api,
        "author_association": context.association(found.login),
        "_links": links,
        "submitted_at": timestamp(found.submitted_at),
        "commit_id": found.commit_sha,
    }


def review_comment(context: Context, row: RepositoryRow, pull: PullRow, thread: ThreadRow, found: CommentRow) -> Json:
    api, html, links = _links(context, row, pull, f"discussion_r{found.id}")
    url = f"{context.base}{API_PREFIX}/repos/{row.full_name}/pulls/comments/{found.id}"
    first = context.store.comments(pull.id, thread.id)[0]
    shape: Json = {
        "id": found.id,
        "node_id": node_id("PullRequestReviewComment", found.id),
        "url": url,
        "pull_request_review_id": found.review_id,
        "diff_hunk": f"@@ -{thread.line} +{thread.line} @@",
        "path": thread.path,
        "position": 1,
        "original_position": 1,
        "commit_id": pull.head_sha,
        "original_commit_id": thread.commit_sha,
        "user": context.user(found.login),
        "body": found.body,
        "created_at": timestamp(found.created_at),
        "updated_at": timestamp(found.created_at),
        "html_url": html,
        "pull_request_url": api,
        "author_association": context.association(found.login),
        "_links": {"self": {"href": url}, **links},
        "reactions": _reactions(url),
        "start_line": None,
        "original_start_line": None,
        "start_side": None,
        "line": thread.line,
        "original_line": thread.line,
        "side": "RIGHT",
        "subject_type": "line",
    }
    if first.id != found.id:
        shape["in_reply_to_id"] = first.id
    return shape


def issue_comment(context: Context, row: RepositoryRow, pull: PullRow, found: CommentRow) -> Json:
    api = f"{context.base}{API_PREFIX}/repos/{row.full_name}/issues"
    url = f"{api}/comments/{found.id}"
    return {
        "id": found.id,
        "node_id": node_id("IssueComment", found.id),
        "url": url,
        "html_url": f"{context.base}/{row.full_name}/pull/{pull.number}#issuecomment-{found.id}",
        "issue_url": f"{api}/{pull.number}",
        "user": context.user(found.login),
        "created_at": timestamp(found.created_at),
        "updated_at": timestamp(found.created_at),
        "author_association": context.association(found.login),
        "body": found.body,
        "reactions": _reactions(url),
        "performed_via_github_app": None,
    }


def _reactions(url: str) -> Json:
    kinds = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")
    return {"url": f"{url}/reactions", "total_count": 0, **dict.fromkeys(kinds, 0)}


def collaborator(context: Context, person: Person) -> Json:
    permissions = {"admin": False, "maintain": False, "push": True, "triage": True, "pull": True}
    return {**context.user(person.login), "permissions": permissions, "role_name": "write"}


def check_run(context: Context, row: RepositoryRow, found: CheckRow, pulls: list[PullRow]) -> Json:
    api = f"{context.base}{API_PREFIX}/repos/{row.full_name}"
    page = f"{context.base}/{row.full_name}/actions/runs/{found.id}/job/{found.id}"
    url = f"{api}/check-runs/{found.id}"
    return {
        "id": found.id,
        "name": found.name,
        "node_id": node_id("CheckRun", found.id),
        "head_sha": found.head_sha,
        "external_id": f"job-{found.id}",
        "url": url,
        "html_url": page,
        "details_url": page,
        "status": found.status.lower(),
        "conclusion": found.conclusion.lower() if found.conclusion else None,
        "started_at": timestamp(found.started_at),
        "completed_at": timestamp(found.completed_at),
        "output": {
            "title": found.title or None,
            "summary": found.summary or None,
            "text": None,
            "annotations_count": len(check_annotations(context, row, found)),
            "annotations_url": f"{url}/annotations",
        },
        "check_suite": {"id": found.id},
        "app": actions_app(context),
        "pull_requests": [check_pull(context, row, one) for one in pulls],
    }


def check_annotations(context: Context, row: RepositoryRow, found: CheckRow) -> list[Json]:
    """As Actions leaves them on a failed job."""
    if found.conclusion != "FAILURE":
        return []
    api = f"{context.base}{API_PREFIX}/repos/{row.full_name}"
    return [
        {
            "path": ".github",
            "start_line": 1,
            "end_line": 1,
            "start_column": None,
            "end_column": None,
            "annotation_level": "failure",
            "title": "",
            "message": "Process completed with exit code 1.",
            "raw_details": "",
            "blob_href": f"{api}/contents/.github?ref={found.head_sha}",
        }
    ]


def actions_app(context: Context) -> Json:
    owner = rest_shapes.user(context.base, "github", 9919, "Organization")
    return {
        "id": _ACTIONS_ID,
        "client_id": "Iv1.sandbox-actions",
        "slug": "github-actions",
        "node_id": node_id("App", _ACTIONS_ID),
        "owner": owner,
        "name": "GitHub Actions",
        "description": "Automate your workflow from idea to production",
        "external_url": "https://help.github.com/en/actions",
        "html_url": f"{context.base}/apps/github-actions",
        "created_at": "2018-07-30T09:30:17Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "permissions": {"actions": "write", "checks": "write", "contents": "write", "metadata": "read"},
        "events": ["check_run", "check_suite", "push"],
    }


def check_pull(context: Context, row: RepositoryRow, pull: PullRow) -> Json:
    """A pull request as a check names it."""
    repo = f"{context.base}{API_PREFIX}/repos/{row.full_name}"
    small = {"id": row.id, "url": repo, "name": row.name}
    return {
        "id": pull.id,
        "number": pull.number,
        "url": f"{repo}/pulls/{pull.number}",
        "head": {"ref": pull.head_ref, "sha": pull.head_sha, "repo": small},
        "base": {"ref": pull.base_ref, "sha": pull.base_sha, "repo": small},
    }
