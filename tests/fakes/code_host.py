"""An in-memory `CodeHost` with repositories that a test fills. It passes the contract suite of the real adapter.

Commits are whole snapshots of files; a branch is a name for one. Nothing here knows git or GitHub.
What reviewers and CI do to a pull request is scripted by `tell` of `code_host_pulls.py`.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from slackbot.core.errors import DevflowError, NotFound, PermanentError
from slackbot.core.ports import AccessToken, BranchRef, BranchTaken, ChangedFile, Comparison, PullRequest, Repository
from slackbot.core.repository_name import RepositoryName
from tests.fakes.code_host_pulls import FakePullRequests, FakeRepository

_IMPOSSIBLE = re.compile(r"\.\.|[\s~^:?*\[\\]|//|@\{|^[-/.]|[/.]$|\.lock$|^$")
_TOKEN_SECONDS = 3600


class FakeCodeHost(FakePullRequests):
    """`calls` counts each method's calls by name; `tokens` are those that were minted, by repository name."""

    def __init__(self, clone_root: str = "http://127.0.0.1:1") -> None:
        self.repositories: dict[str, FakeRepository] = {}
        self.calls: dict[str, int] = {}
        self.tokens: list[tuple[str, str]] = []
        self.closed = False
        self.gone: set[str] = set()
        self.unanswered: set[str] = set()
        self.looks: list[tuple[str, ...]] = []
        self._clone_root = clone_root
        self._errors: dict[str, list[DevflowError | BranchTaken]] = {}

    # ------------------------------------------------------------------------------- what a test scripts

    def add_repository(
        self,
        full_name: str,
        *,
        files: Mapping[str, str] | None = None,
        empty: bool = False,
        archived: bool = False,
        installed: bool = True,
        private: bool = False,
        default_branch: str = "main",
    ) -> Repository:
        """A repository with one commit, unless `empty`."""
        name = RepositoryName(*full_name.split("/", 1))
        repository = Repository(
            name=name,
            html_url=f"{self._clone_root}/{name}",
            clone_url=f"{self._clone_root}/{name}.git",
            default_branch=default_branch,
            installation_id=1,
            archived=archived,
            empty=empty,
            private=private,
        )
        self.repositories[full_name.lower()] = FakeRepository(repository, installed)
        if not empty:
            self.push(full_name, default_branch, files if files is not None else {"README.md": "# hello\n"})
        return repository

    def push(self, full_name: str, branch_name: str, files: Mapping[str, str | None]) -> str:
        """Adds a commit to a branch (begun at nothing if absent); a file that is None goes. Returns its id."""
        fake = self.repositories[full_name.lower()]
        parent = fake.branches.get(branch_name)
        snapshot = dict(fake.commits[parent][1]) if parent else {}
        for path, content in files.items():
            snapshot.pop(path, None)
            if content is not None:
                snapshot[path] = content
        sha = hashlib.sha1(repr((full_name, parent, sorted(snapshot.items()), len(fake.commits))).encode()).hexdigest()
        fake.commits[sha] = parent, snapshot
        fake.branches[branch_name] = sha
        fake.repository = replace(fake.repository, empty=False)
        for number, head in fake.heads.items():
            if head == branch_name and fake.pulls[number].state == "open":
                fake.pulls[number] = replace(fake.pulls[number], head_sha=sha)
        return sha

    def set_installed(self, full_name: str, installed: bool) -> None:
        self.repositories[full_name.lower()].installed = installed

    def set_pull_request(self, full_name: str, number: int, *, state: str, merged: bool = False) -> None:
        """Someone closed, merged or opened it again on the code host."""
        fake = self.repositories[full_name.lower()]
        fake.pulls[number] = replace(fake.pulls[number], state=state, merged=merged)

    def fail_next(self, method: str, error: DevflowError | BranchTaken) -> None:
        """The next call of `method` raises `error` and does nothing."""
        self._errors.setdefault(method, []).append(error)

    # ------------------------------------------------------------------------------------------ the port

    async def find_repository(self, name: RepositoryName) -> Repository:
        self._called("find_repository")
        fake = self.repositories.get(name.full_name.lower())
        if fake is None or not fake.installed:
            raise NotFound(
                f"There is no repository `{name}`, or the DevFlow GitHub App is not installed on it.",
                "Check the name, or install the App.",
            )
        return fake.repository

    async def list_repositories(self) -> list[RepositoryName]:
        self._called("list_repositories")
        return sorted(
            fake.repository.name
            for fake in self.repositories.values()
            if fake.installed and not fake.repository.archived
        )

    async def get_branch(self, repository: Repository, branch_name: str) -> BranchRef | None:
        self._called("get_branch")
        sha = self._of(repository).branches.get(branch_name)
        return BranchRef(branch_name, sha) if sha else None

    async def create_branch(self, repository: Repository, branch_name: str, sha: str) -> BranchRef:
        self._called("create_branch")
        fake = self._writable(repository)
        if _IMPOSSIBLE.search(branch_name):
            raise PermanentError(f"`{branch_name}` cannot be the name of a branch.")
        if not fake.branches:
            raise PermanentError(f"`{repository.name}` has no commits yet.", "Push a first commit.")
        for taken in fake.branches:
            if f"{taken}/".startswith(f"{branch_name}/") or f"{branch_name}/".startswith(f"{taken}/"):
                raise BranchTaken(branch_name)
        if sha not in fake.commits:
            raise PermanentError("There is no such commit.")
        fake.branches[branch_name] = sha
        return BranchRef(branch_name, sha)

    async def delete_branch(self, repository: Repository, branch_name: str) -> None:
        self._called("delete_branch")
        fake = self._writable(repository)
        fake.branches.pop(branch_name, None)
        for number, head in fake.heads.items():
            if head == branch_name and fake.pulls[number].state == "open":
                fake.pulls[number] = replace(fake.pulls[number], state="closed")

    async def compare(self, repository: Repository, base: str, head: str) -> Comparison:
        self._called("compare")
        fake = self._of(repository)
        ancestors = [self._ancestors(fake, fake.branches.get(name, name)) for name in (base, head)]
        common = next((sha for sha in ancestors[1] if sha in ancestors[0]), None)
        if not all(ancestors) or common is None:
            raise NotFound(f"`{base}` or `{head}` was not found in `{repository.name}`.")
        old, new = fake.commits[common][1], fake.commits[ancestors[1][0]][1]
        changed = [path for path in {*old, *new} if old.get(path) != new.get(path)]
        added = deleted = 0
        for path in changed:
            lines = list(difflib.ndiff(old.get(path, "").splitlines(), new.get(path, "").splitlines()))
            added += sum(line.startswith("+ ") for line in lines)
            deleted += sum(line.startswith("- ") for line in lines)
        return Comparison(
            ahead_by=len([sha for sha in ancestors[1] if sha not in ancestors[0]]),
            behind_by=len([sha for sha in ancestors[0] if sha not in ancestors[1]]),
            files_changed=len(changed),
            additions=added,
            deletions=deleted,
        )

    async def compare_files(self, repository: Repository, base: str, head: str) -> tuple[ChangedFile, ...]:
        await self.compare(repository, base, head)
        fake = self._of(repository)
        before, after = (self._ancestors(fake, fake.branches.get(name, name)) for name in (base, head))
        common = next(sha for sha in after if sha in before)
        old, new = fake.commits[common][1], fake.commits[after[0]][1]
        return tuple(
            _changed_file(path, old.get(path), new.get(path))
            for path in sorted({*old, *new})
            if old.get(path) != new.get(path)
        )

    async def open_pull_request(
        self,
        repository: Repository,
        *,
        head: str,
        base: str,
        title: str,
        body: str,
        draft: bool = False,
        reviewers: Sequence[str] = (),
    ) -> PullRequest:
        self._called("open_pull_request")
        fake = self._writable(repository)
        if head not in fake.branches or base not in fake.branches:
            raise PermanentError(f"There is no branch `{head}` or `{base}`.")
        for number, pull in fake.pulls.items():
            if pull.state == "open" and (fake.heads[number], pull.base_ref) == (head, base):
                return self._request(fake, number, reviewers)
        ancestors = self._ancestors(fake, fake.branches[base])
        if fake.branches[head] in ancestors:
            raise PermanentError(f"There is nothing to open yet: `{head}` has no commits that `{base}` does not have.")
        number = len(fake.pulls) + 1
        fake.heads[number] = head
        fake.pulls[number] = PullRequest(
            number=number,
            url=f"{repository.html_url}/pull/{number}",
            state="open",
            draft=draft,
            head_sha=fake.branches[head],
            base_ref=base,
            node_id=f"PR_{repository.name.full_name.lower()}_{number}",
        )
        fake.titles[number] = title
        return self._request(fake, number, reviewers)

    def _request(self, fake: FakeRepository, number: int, reviewers: Sequence[str]) -> PullRequest:
        taken = [login for login in reviewers if login in fake.reviewers]
        fake.requested.setdefault(number, []).extend(taken)
        refused = tuple(login for login in reviewers if login not in fake.reviewers)
        return replace(fake.pulls[number], reviewers_refused=refused)

    async def get_pull_request(self, repository: Repository, number: int) -> PullRequest:
        self._called("get_pull_request")
        pull = self._of(repository).pulls.get(number)
        if pull is None:
            raise NotFound(f"Pull request #{number} of `{repository.name}` was not found.")
        return pull

    async def mint_token(self, repository: Repository) -> AccessToken:
        self._called("mint_token")
        fake = self._of(repository)
        if not fake.installed:
            raise PermanentError(f"The App is no longer installed on `{repository.name}`.", "Install it again.")
        token = f"ghs_fake{len(self.tokens)}"
        self.tokens.append((repository.name.full_name, token))
        return AccessToken(token, int(time.time()) + _TOKEN_SECONDS)

    async def close(self) -> None:
        self.closed = True

    # ---------------------------------------------------------------------------------------------------

    def _called(self, method: str) -> None:
        self.calls[method] = self.calls.get(method, 0) + 1
        if self._errors.get(method):
            raise self._errors[method].pop(0)

    def _of(self, repository: Repository) -> FakeRepository:
        return self.repositories[repository.name.full_name.lower()]

    def _writable(self, repository: Repository) -> FakeRepository:
        fake = self._of(repository)
        if fake.repository.archived:
            raise PermanentError(f"`{repository.name}` is archived.", "Unarchive it first.")
        return fake

    def _ancestors(self, fake: FakeRepository, sha: str | None) -> list[str]:
        """The commit itself first; [] when there is none."""
        found: list[str] = []
        while sha is not None and sha in fake.commits:
            found.append(sha)
            sha = fake.commits[sha][0]
        return found


def _changed_file(path: str, old: str | None, new: str | None) -> ChangedFile:
    lines = list(difflib.unified_diff((old or "").splitlines(), (new or "").splitlines(), lineterm=""))[2:]
    return ChangedFile(
        filename=path,
        status="added" if old is None else "removed" if new is None else "modified",
        additions=sum(line.startswith("+") for line in lines),
        deletions=sum(line.startswith("-") for line in lines),
        patch="\n".join(lines) or None,
    )
