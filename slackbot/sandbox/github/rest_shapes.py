"""Rows of the store and objects of git -> the JSON that GitHub's REST API answers. Pure.

Field names and nesting follow GitHub's published description: https://github.com/github/rest-api-description
"""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from urllib.parse import quote

from slackbot.sandbox.github.git_commands import Commit
from slackbot.sandbox.github.git_diff import ChangedFile
from slackbot.sandbox.github.rest_base import API_PREFIX, Caller, Json
from slackbot.sandbox.github.review_store import Ways
from slackbot.sandbox.github.store import Account, PullRow, RepositoryRow

APP_USER_ID = 41_898_282
"""The id of the App's bot user: its no-reply address begins with it."""

INSTALLATION_PERMISSIONS = {
    "actions": "read",
    "checks": "read",
    "contents": "write",
    "metadata": "read",
    "pull_requests": "write",
    "statuses": "read",
}
"""What the sandbox's App was granted on every installation."""

APP_EVENTS = [
    *("check_run", "issue_comment", "pull_request", "pull_request_review", "pull_request_review_comment"),
    *("pull_request_review_thread", "push", "status"),
]

_USER_LINKS = {
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
    "organizations_url": "/orgs",
    "repos_url": "/repos",
    "events_url": "/events{/privacy}",
    "received_events_url": "/received_events",
}
_REPOSITORY_LINKS = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}


def timestamp(seconds: int | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _utc(iso: str) -> str:
    return datetime.fromisoformat(iso).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def node_id(kind: str, number: int | str) -> str:
    """Opaque to clients, as GitHub's are: https://docs.github.com/en/graphql/guides/using-global-node-ids"""
    return b64encode(f"{len(kind):03d}:{kind}{number}".encode()).decode()


def user(base: str, login: str, user_id: int, kind: str) -> Json:
    api = f"{base}{API_PREFIX}/users/{quote(login)}"
    return {
        "login": login,
        "id": user_id,
        "node_id": node_id(kind, user_id),
        "avatar_url": f"{base}/static/avatar.svg",
        "gravatar_id": "",
        "url": api,
        "html_url": f"{base}/apps/{login.removesuffix('[bot]')}" if kind == "Bot" else f"{base}/{login}",
        **{name: api + path for name, path in _USER_LINKS.items()},
        "type": kind,
        "user_view_type": "public",
        "site_admin": False,
    }


def account(base: str, owner: Account) -> Json:
    return user(base, owner.login, owner.id, owner.type)


def app(base: str, app_id: str, slug: str, installations: int) -> Json:
    owner = user(base, "sandbox", 1, "User")
    return {
        "id": int(app_id) if app_id.isdigit() else 1,
        "client_id": f"Iv1.sandbox{app_id}",
        "slug": slug,
        "node_id": node_id("App", app_id),
        "owner": owner,
        "name": "DevFlow sandbox",
        "description": "Stands in for a GitHub App on this machine.",
        "external_url": base,
        "html_url": f"{base}/apps/{slug}",
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "permissions": INSTALLATION_PERMISSIONS,
        "events": APP_EVENTS,
        "installations_count": installations,
    }


def installation(base: str, app_id: str, slug: str, owner: Account) -> Json:
    api = f"{base}{API_PREFIX}"
    return {
        "id": owner.id,
        "client_id": f"Iv1.sandbox{app_id}",
        "account": account(base, owner),
        "access_tokens_url": f"{api}/app/installations/{owner.id}/access_tokens",
        "repositories_url": f"{api}/installation/repositories",
        "html_url": f"{base}/settings/installations/{owner.id}",
        "app_id": int(app_id) if app_id.isdigit() else 1,
        "app_slug": slug,
        "target_id": owner.id,
        "target_type": owner.type,
        "permissions": INSTALLATION_PERMISSIONS,
        "events": APP_EVENTS,
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "single_file_name": None,
        "has_multiple_single_files": False,
        "single_file_paths": [],
        "repository_selection": "selected",
        "suspended_by": None,
        "suspended_at": None,
        "contact_email": None,
    }


def repository(base: str, row: RepositoryRow, *, size: int, open_pulls: int, caller: Caller) -> Json:
    """What a list shows of a repository; `full_repository` adds what only the single one has."""
    api = f"{base}{API_PREFIX}/repos/{row.full_name}"
    html = f"{base}/{row.full_name}"
    host = base.partition("://")[2]
    writes = caller.reaches(row) and caller.may("contents", "write")
    return {
        "id": row.id,
        "node_id": node_id("Repository", row.id),
        "name": row.name,
        "full_name": row.full_name,
        "private": row.private,
        "owner": account(base, row.account),
        "html_url": html,
        "description": row.description or None,
        "fork": False,
        "url": api,
        **{name: api + path for name, path in _REPOSITORY_LINKS.items()},
        "git_url": f"git://{host}/{row.full_name}.git",
        "ssh_url": f"git@{host}:{row.full_name}.git",
        "clone_url": f"{html}.git",
        "svn_url": html,
        "mirror_url": None,
        "homepage": None,
        "language": None,
        "forks_count": 0,
        "stargazers_count": 0,
        "watchers_count": 0,
        "size": size,
        "default_branch": row.default_branch,
        "open_issues_count": open_pulls,
        "is_template": False,
        "topics": [],
        "has_issues": True,
        "has_projects": False,
        "has_wiki": False,
        "has_pages": False,
        "has_downloads": False,
        "has_discussions": False,
        "archived": row.archived,
        "disabled": False,
        "visibility": "private" if row.private else "public",
        "pushed_at": timestamp(row.pushed_at),
        "created_at": timestamp(row.created_at),
        "updated_at": timestamp(row.pushed_at),
        "permissions": {
            "admin": False,
            "maintain": False,
            "push": writes,
            "triage": False,
            "pull": True,
        },
        "allow_forking": True,
        "web_commit_signoff_required": False,
        "license": None,
        "forks": 0,
        "open_issues": open_pulls,
        "watchers": 0,
    }


def full_repository(base: str, row: RepositoryRow, *, size: int, open_pulls: int, caller: Caller, ways: Ways) -> Json:
    shape = repository(base, row, size=size, open_pulls=open_pulls, caller=caller)
    if caller.reaches(row) and caller.may("contents", "write"):
        # GitHub tells how one may merge only to those who may write contents.
        shape |= {
            "allow_squash_merge": ways.allow_squash,
            "allow_merge_commit": ways.allow_merge,
            "allow_rebase_merge": ways.allow_rebase,
            "allow_auto_merge": False,
            "delete_branch_on_merge": ways.delete_branch,
        }
    return shape | {"temp_clone_token": None, "network_count": 0, "subscribers_count": 0}


def git_ref(base: str, row: RepositoryRow, ref: str, sha: str) -> Json:
    api = f"{base}{API_PREFIX}/repos/{row.full_name}/git"
    return {
        "ref": ref,
        "node_id": node_id("Ref", f"{row.id}:{ref}"),
        "url": f"{api}/{quote(ref)}",
        "object": {"sha": sha, "type": "commit", "url": f"{api}/commits/{sha}"},
    }


def commit(base: str, row: RepositoryRow, found: Commit) -> Json:
    api, html = f"{base}{API_PREFIX}/repos/{row.full_name}", f"{base}/{row.full_name}"
    return {
        "sha": found.sha,
        "node_id": node_id("Commit", f"{row.id}:{found.sha}"),
        "commit": {
            "author": {
                "name": found.author_name,
                "email": found.author_email,
                "date": _utc(found.authored_at),
            },
            "committer": {
                "name": found.committer_name,
                "email": found.committer_email,
                "date": _utc(found.committed_at),
            },
            "message": found.message,
            "tree": {"sha": found.tree_sha, "url": f"{api}/git/trees/{found.tree_sha}"},
            "url": f"{api}/git/commits/{found.sha}",
            "comment_count": 0,
            "verification": {
                "verified": False,
                "reason": "unsigned",
                "signature": None,
                "payload": None,
                "verified_at": None,
            },
        },
        "url": f"{api}/commits/{found.sha}",
        "html_url": f"{html}/commit/{found.sha}",
        "comments_url": f"{api}/commits/{found.sha}/comments",
        "author": None,
        "committer": None,
        "parents": [
            {"sha": sha, "url": f"{api}/commits/{sha}", "html_url": f"{html}/commit/{sha}"} for sha in found.parents
        ],
    }


def changed_file(base: str, row: RepositoryRow, file: ChangedFile, head_sha: str) -> Json:
    path = quote(file.filename)
    html = f"{base}/{row.full_name}"
    shape = {
        "sha": file.sha,
        "filename": file.filename,
        "status": file.status,
        "additions": file.additions,
        "deletions": file.deletions,
        "changes": file.additions + file.deletions,
        "blob_url": f"{html}/blob/{head_sha}/{path}",
        "raw_url": f"{html}/raw/{head_sha}/{path}",
        "contents_url": f"{base}{API_PREFIX}/repos/{row.full_name}/contents/{path}?ref={head_sha}",
    }
    if file.patch is not None:
        shape["patch"] = file.patch
    if file.previous_filename is not None:
        shape["previous_filename"] = file.previous_filename
    return shape


def pull(base: str, row: RepositoryRow, found: PullRow, repo: Json, author: Json) -> Json:
    """What a list shows of a pull request."""
    api = f"{base}{API_PREFIX}/repos/{row.full_name}"
    html = f"{base}/{row.full_name}/pull/{found.number}"
    links = {
        "self": f"{api}/pulls/{found.number}",
        "html": html,
        "issue": f"{api}/issues/{found.number}",
        "comments": f"{api}/issues/{found.number}/comments",
        "review_comments": f"{api}/pulls/{found.number}/comments",
        "review_comment": f"{api}/pulls/comments{{/number}}",
        "commits": f"{api}/pulls/{found.number}/commits",
        "statuses": f"{api}/statuses/{found.head_sha}",
    }

    def side(ref: str, sha: str) -> Json:
        label = f"{row.account.login}:{ref}"
        return {"label": label, "ref": ref, "sha": sha, "user": repo["owner"], "repo": repo}

    return {
        "url": links["self"],
        "id": found.id,
        "node_id": node_id("PullRequest", found.id),
        "html_url": html,
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        "issue_url": links["issue"],
        "commits_url": links["commits"],
        "review_comments_url": links["review_comments"],
        "review_comment_url": links["review_comment"],
        "comments_url": links["comments"],
        "statuses_url": links["statuses"],
        "number": found.number,
        "state": found.state,
        "locked": False,
        "title": found.title,
        "user": author,
        "body": found.body,
        "labels": [],
        "milestone": None,
        "active_lock_reason": None,
        "created_at": timestamp(found.created_at),
        "updated_at": timestamp(found.updated_at),
        "closed_at": timestamp(found.closed_at),
        "merged_at": timestamp(found.closed_at) if found.merged else None,
        "merge_commit_sha": found.merge_commit_sha,
        "assignee": None,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "head": side(found.head_ref, found.head_sha),
        "base": side(found.base_ref, found.base_sha),
        "_links": {name: {"href": url} for name, url in links.items()},
        "author_association": "CONTRIBUTOR",
        "auto_merge": None,
        "draft": found.draft,
    }
