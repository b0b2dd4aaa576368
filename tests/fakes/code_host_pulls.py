"""The part of `FakeCodeHost` that stands for a pull request's life: reviewers, CI, merges. A test scripts it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from slackbot.core.errors import NotFound, PermanentError
from slackbot.core.ports import (
    BranchTaken,
    CheckDetails,
    MergeOptions,
    PullRequest,
    PullRequestSnapshot,
    Repository,
)

APP_LOGIN = "devflow[bot]"


@dataclass
class FakeRepository:
    """`branches`, `refs` (full names beside branches), `commits` may be looked at and changed by a test."""

    repository: Repository
    installed: bool = True
    branches: dict[str, str] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    commits: dict[str, tuple[str | None, dict[str, str]]] = field(default_factory=dict)
    pulls: dict[int, PullRequest] = field(default_factory=dict)
    heads: dict[int, str] = field(default_factory=dict)
    titles: dict[int, str] = field(default_factory=dict)
    told: dict[int, dict[str, Any]] = field(default_factory=dict)
    """What reviewers and CI say of a pull request: fields of `PullRequestSnapshot`, by number."""
    reviewers: list[str] = field(default_factory=lambda: ["ada", "grace"])
    requested: dict[int, list[str]] = field(default_factory=dict)
    merge_options: MergeOptions = field(default_factory=lambda: MergeOptions(("merge", "squash", "rebase"), False))
    check_details: dict[int, CheckDetails] = field(default_factory=dict)
    replies: list[tuple[int, int, str]] = field(default_factory=list)
    """(number, comment_id, body) of each reply to a review comment."""


class FakePullRequests:
    """`PullRequests` of `core.code_host` in memory. `gone` holds node ids that are hidden from the App."""

    repositories: dict[str, FakeRepository]
    gone: set[str]
    unanswered: set[str]
    looks: list[tuple[str, ...]]
    clock: Callable[[], float] = time.time
    _called: Callable[[str], None]
    _of: Callable[[Repository], FakeRepository]
    _writable: Callable[[Repository], FakeRepository]

    # ------------------------------------------------------------------------------- what a test scripts

    def tell(self, full_name: str, number: int, **changes: Any) -> None:
        """Reviewers and CI act: any fields of `PullRequestSnapshot`. `updated_at` moves unless it is given."""
        fake = self.repositories[full_name.lower()]
        fake.told.setdefault(number, {}).update({"updated_at": int(self.clock()), **changes})

    def snapshot(self, full_name: str, number: int) -> PullRequestSnapshot:
        """The truth of this moment."""
        fake = self.repositories[full_name.lower()]
        pull = fake.pulls[number]
        base: dict[str, Any] = {
            "node_id": pull.node_id or "",
            "number": number,
            "url": pull.url,
            "title": fake.titles.get(number, f"Pull request {number}"),
            "state": "merged" if pull.merged else pull.state,
            "draft": pull.draft,
            "mergeable": "mergeable",
            "review_decision": None,
            "head_ref": fake.heads[number],
            "head_sha": pull.head_sha or "",
            "base_ref": pull.base_ref or "main",
            "additions": 0,
            "deletions": 0,
            "changed_files": 0,
            "updated_at": int(self.clock()),
            "author_login": APP_LOGIN,
        }
        told = fake.told.get(number, {})
        checks = told.get("checks", ())
        return PullRequestSnapshot(**{**base, "checks_total": len(checks), **told})

    # ------------------------------------------------------------------------------------------ the port

    async def look_at_pull_requests(
        self, installation_id: int, node_ids: Sequence[str]
    ) -> dict[str, PullRequestSnapshot | None]:
        found: dict[str, PullRequestSnapshot | None] = {}
        for start in range(0, len(node_ids), 100):
            self._called("look_at_pull_requests")
            self.looks.append(tuple(node_ids[start : start + 100]))
            found |= dict.fromkeys(node_ids[start : start + 100])
        for name, fake in self.repositories.items():
            for number, pull in fake.pulls.items():
                mine = fake.installed and fake.repository.installation_id == installation_id
                if pull.node_id in found and mine and pull.node_id not in self.gone:
                    found[pull.node_id] = self.snapshot(name, number)
        return {node_id: one for node_id, one in found.items() if node_id not in self.unanswered}

    async def get_pull_request_snapshot(self, repository: Repository, number: int) -> PullRequestSnapshot:
        self._called("get_pull_request_snapshot")
        if number not in self._of(repository).pulls:
            raise NotFound(f"Pull request #{number} of `{repository.name}` was not found.")
        return self.snapshot(repository.name.full_name, number)

    async def pull_request_template(self, repository: Repository, ref: str) -> str | None:
        self._called("pull_request_template")
        fake = self._of(repository)
        files = fake.commits.get(fake.branches.get(ref, ref), (None, {}))[1]
        for directory in (".github/", "", "docs/"):
            for path, content in sorted(files.items()):
                name = path.removeprefix(directory).lower()
                wanted = {"pull_request_template.md", "pull_request_template.txt", "pull_request_template"}
                if path.startswith(directory) and name in wanted:
                    return content
        return None

    async def list_branches(self, repository: Repository, prefix: str, limit: int) -> list[str]:
        self._called("list_branches")
        return sorted(name for name in self._of(repository).branches if name.startswith(prefix))[:limit]

    async def list_reviewers(self, repository: Repository, prefix: str, limit: int) -> list[str]:
        self._called("list_reviewers")
        wanted = prefix.lower()
        return sorted(login for login in self._of(repository).reviewers if login.lower().startswith(wanted))[:limit]

    async def mark_ready_for_review(self, repository: Repository, node_id: str) -> None:
        self._called("mark_ready_for_review")
        fake = self._writable(repository)
        for number, pull in fake.pulls.items():
            if pull.node_id == node_id:
                fake.pulls[number] = replace(pull, draft=False)
                return
        raise NotFound(f"The pull request of `{repository.name}` was not found.")

    async def merge_options(self, repository: Repository) -> MergeOptions:
        self._called("merge_options")
        return self._of(repository).merge_options

    async def merge_pull_request(self, repository: Repository, number: int, *, method: str, head_sha: str) -> str:
        self._called("merge_pull_request")
        fake = self._writable(repository)
        pull = fake.pulls.get(number)
        if pull is None:
            raise NotFound(f"Pull request #{number} of `{repository.name}` was not found.")
        if pull.head_sha != head_sha:
            raise PermanentError(f"Pull request #{number} has newer commits than those you saw.", "Look again.")
        merge_sha = hashlib.sha1(f"merge {number} {head_sha} {method}".encode()).hexdigest()
        if pull.merged:
            return merge_sha
        if method not in fake.merge_options.allowed:
            raise PermanentError(f"`{repository.name}` does not allow this way of merging ({method}).")
        if pull.state != "open" or self.snapshot(repository.name.full_name, number).mergeable == "conflicting":
            raise PermanentError(f"Pull request #{number} cannot be merged.", "Look at it on GitHub.")
        base = pull.base_ref or "main"
        fake.commits[merge_sha] = fake.branches[base], {**fake.commits[fake.branches[base]][1]}
        fake.commits[merge_sha][1].update(fake.commits[head_sha][1])
        fake.branches[base] = merge_sha
        fake.pulls[number] = replace(pull, state="closed", merged=True)
        fake.told.setdefault(number, {})["merged_by"] = APP_LOGIN
        return merge_sha

    async def check_details(self, repository: Repository, check_run_id: int, limit_bytes: int) -> CheckDetails:
        self._called("check_details")
        found = self._of(repository).check_details.get(check_run_id)
        if found is None:
            raise NotFound(f"The check {check_run_id} of `{repository.name}` was not found.")
        log = found.log_tail.encode()[-limit_bytes:].decode(errors="replace")
        return replace(found, summary=found.summary[:limit_bytes], log_tail=log)

    async def reply_to_review_comment(self, repository: Repository, number: int, comment_id: int, body: str) -> None:
        self._called("reply_to_review_comment")
        self._writable(repository).replies.append((number, comment_id, body))

    async def get_ref(self, repository: Repository, ref: str) -> str | None:
        self._called("get_ref")
        return self._all_refs(self._of(repository)).get(ref)

    async def create_ref(self, repository: Repository, ref: str, sha: str) -> None:
        self._called("create_ref")
        fake = self._writable(repository)
        for taken in self._all_refs(fake):
            if f"{taken}/".startswith(f"{ref}/") or f"{ref}/".startswith(f"{taken}/"):
                raise BranchTaken(ref)
        self._set_ref(fake, ref, sha)

    async def update_ref(self, repository: Repository, ref: str, sha: str) -> None:
        self._called("update_ref")
        fake = self._writable(repository)
        old = self._all_refs(fake).get(ref)
        if old is None:
            raise NotFound(f"`{ref}` of `{repository.name}` was not found.")
        seen: str | None = sha
        while seen is not None and seen != old:
            seen = fake.commits[seen][0] if seen in fake.commits else None
        if seen is None:
            raise PermanentError(f"`{ref}` has commits that are not in what it was to be moved to.")
        self._set_ref(fake, ref, sha)

    async def delete_ref(self, repository: Repository, ref: str) -> None:
        self._called("delete_ref")
        fake = self._writable(repository)
        fake.refs.pop(ref, None)
        fake.branches.pop(ref.removeprefix("refs/heads/"), None)

    def _all_refs(self, fake: FakeRepository) -> Mapping[str, str]:
        return {**fake.refs, **{f"refs/heads/{name}": sha for name, sha in fake.branches.items()}}

    def _set_ref(self, fake: FakeRepository, ref: str, sha: str) -> None:
        if sha not in fake.commits:
            raise PermanentError("There is no such commit.")
        if ref.startswith("refs/heads/"):
            fake.branches[ref.removeprefix("refs/heads/")] = sha
        else:
            fake.refs[ref] = sha
