"""What happened -> the payload of GitHub's webhook event. Data comes from the store and from git.

https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from __future__ import annotations

from typing import Any

from slackbot.sandbox.github import review_shapes
from slackbot.sandbox.github.happenings import Happening
from slackbot.sandbox.github.pull_shapes import PullShapes
from slackbot.sandbox.github.rest_base import API_PREFIX, Caller, Json
from slackbot.sandbox.github.rest_shapes import commit, node_id, timestamp
from slackbot.sandbox.github.review_store import CheckRow
from slackbot.sandbox.github.store import PullRow
from slackbot.sandbox.github.world import World

_NOTHING = "0" * 40
_COMMITS_SHOWN = 20
_LIST_ONLY = (
    *("merged", "mergeable", "rebaseable", "mergeable_state", "merged_by", "comments", "review_comments"),
    *("maintainer_can_modify", "commits", "additions", "deletions", "changed_files"),
)


_NEWER = frozenset({"user_view_type", "client_id", "verified_at"})
"""What REST has gained since the webhooks' schemas were published, which allow nothing beside what they name."""


async def payload(world: World, base: str, happening: Happening) -> Json:
    """The JSON object of one event."""
    found: Json = _without(await _payload(world, base, happening))
    return found


def _without(shape: Any) -> Any:
    if isinstance(shape, dict):
        return {key: _without(value) for key, value in shape.items() if key not in _NEWER}
    return [_without(one) for one in shape] if isinstance(shape, list) else shape


async def _payload(world: World, base: str, happening: Happening) -> Json:
    shapes = PullShapes(world, base, Caller())
    row, rows = happening.repository, happening.rows
    repository = {key: value for key, value in (await shapes.repository(row)).items() if key != "permissions"}
    repository["custom_properties"] = {}
    common: Json = {
        "repository": repository,
        "sender": shapes.context.user(happening.sender),
        "installation": {"id": row.account.id, "node_id": node_id("Installation", row.account.id)},
    }
    if happening.action:
        common = {"action": happening.action, **common}
    if happening.event == "check_run":
        pulls = [happening.pull] if happening.pull is not None else []
        return {**common, "check_run": _check_run(shapes, happening, rows["check"], pulls)}
    if happening.event == "status":
        return {**common, **await _status(shapes, happening, rows["check"])}
    if happening.event == "push":
        return {**common, **await _push(shapes, happening, repository)}
    pull = happening.pull
    if pull is None:
        return common
    shown = await shapes.full(row, pull)
    for side in ("head", "base"):
        shown[side] = {**shown[side], "repo": repository}
    if happening.event == "pull_request":
        return {**common, **_pull_request(shapes, happening, pull, shown)}
    if happening.event == "issue_comment":
        comment = review_shapes.issue_comment(shapes.context, row, pull, rows["comment"])
        return {**common, "issue": _issue(shown), "comment": comment}
    short = {key: value for key, value in shown.items() if key not in _LIST_ONLY}
    common["pull_request"] = short
    if happening.event == "pull_request_review":
        review = review_shapes.review(shapes.context, row, pull, rows["review"])
        return {**common, "review": {**review, "state": review["state"].lower()}}
    thread = rows["thread"]
    if happening.event == "pull_request_review_comment":
        comment = review_shapes.review_comment(shapes.context, row, pull, thread, rows["comment"])
        return {**common, "comment": comment}
    comments = [
        review_shapes.review_comment(shapes.context, row, pull, thread, one)
        for one in world.store.reviews.comments(pull.id, thread.id)
    ]
    return {**common, "thread": {"node_id": node_id("PullRequestReviewThread", thread.id), "comments": comments}}


def _pull_request(shapes: PullShapes, happening: Happening, pull: PullRow, shown: Json) -> Json:
    found: Json = {"number": pull.number, "pull_request": shown}
    if happening.action == "synchronize":
        found |= {"before": happening.rows["before"], "after": pull.head_sha}
    if happening.action == "review_requested":
        found["requested_reviewer"] = shapes.context.user(happening.rows["person"].login)
    return found


def _issue(shown: Json) -> Json:
    """A pull request as the issue that it is as well."""
    issue = shown["issue_url"]
    kept = (
        *(
            "id",
            "node_id",
            "number",
            "title",
            "user",
            "state",
            "locked",
            "labels",
            "assignee",
            "assignees",
            "milestone",
        ),
        *("created_at", "updated_at", "closed_at", "author_association", "active_lock_reason", "body", "draft"),
    )
    links = ("url", "html_url", "diff_url", "patch_url")
    reactions = {"url": f"{issue}/reactions", "total_count": 0}
    kinds = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")
    return {
        **{name: shown[name] for name in kept},
        "url": issue,
        "repository_url": issue.rpartition("/issues/")[0],
        "labels_url": f"{issue}/labels{{/name}}",
        "comments_url": f"{issue}/comments",
        "events_url": f"{issue}/events",
        "html_url": shown["html_url"],
        "comments": shown["comments"],
        "pull_request": {**{name: shown[name] for name in links}, "merged_at": shown["merged_at"]},
        "reactions": {**reactions, **dict.fromkeys(kinds, 0)},
        "timeline_url": f"{issue}/timeline",
        "performed_via_github_app": None,
        "state_reason": None,
    }


def _check_run(shapes: PullShapes, happening: Happening, check: CheckRow, pulls: list[PullRow]) -> Json:
    row, context = happening.repository, shapes.context
    shown = review_shapes.check_run(context, row, check, pulls)
    url = f"{context.base}{API_PREFIX}/repos/{row.full_name}/check-suites/{check.id}"
    suite = {
        "id": check.id,
        "node_id": node_id("CheckSuite", check.id),
        "head_branch": pulls[0].head_ref if pulls else None,
        "head_sha": check.head_sha,
        "status": shown["status"],
        "conclusion": shown["conclusion"],
        "url": url,
        "before": pulls[0].base_sha if pulls else None,
        "after": check.head_sha,
        "pull_requests": shown["pull_requests"],
        "app": shown["app"],
        "created_at": timestamp(check.started_at),
        "updated_at": timestamp(check.completed_at or check.started_at),
    }
    return {**shown, "check_suite": suite}


async def _status(shapes: PullShapes, happening: Happening, check: CheckRow) -> Json:
    row, base = happening.repository, shapes.base
    git = shapes.world.git(row)
    found = (await git.commits(check.head_sha, limit=1))[0]
    api = f"{base}{API_PREFIX}/repos/{row.full_name}"
    branches = [
        {"name": name, "commit": {"sha": sha, "url": f"{api}/commits/{sha}"}, "protected": False}
        for name, sha in (await git.branches()).items()
        if sha == check.head_sha
    ]
    at = check.completed_at or check.started_at
    return {
        "id": check.id,
        "sha": check.head_sha,
        "name": row.full_name,
        "target_url": None,
        "avatar_url": f"{base}/static/avatar.svg",
        "context": check.name,
        "description": check.title or None,
        "state": (check.conclusion or "PENDING").lower(),
        "commit": commit(base, row, found),
        "branches": branches,
        "created_at": timestamp(check.started_at),
        "updated_at": timestamp(at),
    }


async def _push(shapes: PullShapes, happening: Happening, repository: Json) -> Json:
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#push"""
    row, rows = happening.repository, happening.rows
    git = shapes.world.git(row)
    before, after = rows["before"], rows["after"]
    html = f"{shapes.base}/{row.full_name}"
    found = await git.commits(after, without=before, limit=_COMMITS_SHOWN) if after and before else []
    commits = [
        {
            "id": one.sha,
            "tree_id": one.tree_sha,
            "distinct": True,
            "message": one.message,
            "timestamp": one.committed_at,
            "url": f"{html}/commit/{one.sha}",
            "author": {"name": one.author_name, "email": one.author_email},
            "committer": {"name": one.committer_name, "email": one.committer_email},
            "added": [],
            "removed": [],
            "modified": [],
        }
        for one in found[::-1]
    ]
    owner = {"name": row.account.login, "email": None, **repository["owner"]}
    times = {"created_at": row.created_at, "pushed_at": row.pushed_at}
    return {
        "ref": rows["ref"],
        "before": before or _NOTHING,
        "after": after or _NOTHING,
        "created": before is None,
        "deleted": after is None,
        "forced": bool(before and after and not await git.is_ancestor(before, after)),
        "base_ref": None,
        "compare": f"{html}/compare/{(before or _NOTHING)[:12]}...{(after or _NOTHING)[:12]}",
        "commits": commits,
        "head_commit": commits[-1] if commits else None,
        "repository": {**repository, **times, "owner": owner, "master_branch": row.default_branch, "stargazers": 0},
        "pusher": {"name": happening.sender, "email": None},
    }
