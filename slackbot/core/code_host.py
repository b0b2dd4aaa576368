"""The port of the code host: repositories, refs, pull requests from their first commit to their merge.

`adapters/github.py` implements `CodeHost`; engine, gateway and the watch over pull requests ask it. Words of
the code host's own vocabulary come in lower case; one that is not listed here is passed through as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from slackbot.core.repository_name import RepositoryName


@dataclass(frozen=True)
class Repository:
    """What a session needs to know of its repository."""

    name: RepositoryName
    html_url: str
    clone_url: str
    default_branch: str
    installation_id: int
    archived: bool = False
    empty: bool = False
    private: bool = True


@dataclass(frozen=True)
class AccessToken:
    """A short-lived token for one repository. Its repr hides the value."""

    token: str = field(repr=False)
    expires_at: int


@dataclass(frozen=True)
class BranchRef:
    """A branch and the commit it points at."""

    branch_name: str
    head_sha: str


@dataclass(frozen=True)
class Comparison:
    """How far `head` is ahead of `base`."""

    ahead_by: int
    behind_by: int
    files_changed: int
    additions: int
    deletions: int


@dataclass(frozen=True)
class ChangedFile:
    """One file of a comparison. `patch`: its hunks as git writes them; None where there are none to show (binary,
    too large). `status`: added, modified, removed, renamed ... in the code host's words."""

    filename: str
    status: str
    additions: int = 0
    deletions: int = 0
    patch: str | None = None
    previous_filename: str | None = None


class BranchTaken(Exception):
    """The branch name is in use (or cannot be made beside another, as `a/b` beside `a`)."""


# ------------------------------------------------------------------------------------- pull requests


@dataclass(frozen=True)
class PullRequest:
    """A pull request as the code host shows it.

    `reviewers_refused` are those asked for at its opening whom the code host did not take.
    """

    number: int
    url: str
    state: str
    draft: bool = False
    merged: bool = False
    head_sha: str | None = None
    base_ref: str | None = None
    node_id: str | None = None
    reviewers_refused: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckRun:
    """A check run, or a commit status (then `check_run_id` is None).

    `state`: pending, passed, failed or neutral (skipped as well).
    """

    name: str
    state: str
    url: str | None = None
    check_run_id: int | None = None


@dataclass(frozen=True)
class Review:
    """`state`: approved, changes_requested, commented or dismissed. `author_association`: owner, member,
    collaborator, contributor, none, ... https://docs.github.com/en/graphql/reference/enums#commentauthorassociation
    """

    review_id: int
    user_login: str
    state: str
    body: str
    url: str
    submitted_at: int
    author_association: str


@dataclass(frozen=True)
class ReviewComment:
    """One comment: of a review thread, or of the pull request itself."""

    comment_id: int
    user_login: str
    author_association: str
    body: str
    url: str
    created_at: int


@dataclass(frozen=True)
class ReviewThread:
    """Comments on one place of the diff, oldest first; `line` is None when the place is gone (outdated)."""

    thread_id: str
    is_resolved: bool
    path: str
    line: int | None
    comments: tuple[ReviewComment, ...]


@dataclass(frozen=True)
class PullRequestSnapshot:
    """All that is told of a pull request, at one moment. Times are Unix seconds.

    `state`: open, closed or merged. `mergeable`: mergeable, conflicting, or unknown while the code host computes.
    `review_decision`: approved, changes_requested, review_required, or None when no review is asked for.
    `checks` are those of `head_sha`, failed ones first, of `checks_total`. `reviews` hold each person's last
    opinion and the newest remarks, oldest first; `comments` and `threads` are the newest, oldest first.
    """

    node_id: str
    number: int
    url: str
    title: str
    state: str
    draft: bool
    mergeable: str
    review_decision: str | None
    head_ref: str
    head_sha: str
    base_ref: str
    additions: int
    deletions: int
    changed_files: int
    updated_at: int
    merged_by: str | None = None
    checks: tuple[CheckRun, ...] = ()
    checks_total: int = 0
    reviews: tuple[Review, ...] = ()
    comments: tuple[ReviewComment, ...] = ()
    threads: tuple[ReviewThread, ...] = ()
    author_login: str = ""


@dataclass(frozen=True)
class CheckDetails:
    """Why a check failed, as it says itself; `log_tail` is the end of its log where there is one."""

    name: str
    conclusion: str
    title: str
    summary: str
    log_tail: str
    url: str | None


@dataclass(frozen=True)
class MergeOptions:
    """The ways of merging that the repository allows (merge, squash, rebase), the usual one first."""

    allowed: tuple[str, ...]
    delete_branch_on_merge: bool


class PullRequests(Protocol):
    """What a pull request's life takes after its opening."""

    async def look_at_pull_requests(
        self, installation_id: int, node_ids: Sequence[str]
    ) -> dict[str, PullRequestSnapshot | None]:
        """Those pull requests now, by node id, in one call for each hundred.

        None is one that is gone, or hidden from this installation. One that the code host failed to answer for
        (and may answer for next time) is absent. A `TemporaryError` with `retry_after_seconds` when the limit of
        calls is near: nothing was asked then.
        """
        ...

    async def get_pull_request_snapshot(self, repository: Repository, number: int) -> PullRequestSnapshot:
        """One pull request, with more of its threads and checks than a look at many has."""
        ...

    async def pull_request_template(self, repository: Repository, ref: str) -> str | None:
        """The repository's pull request template at `ref`, or None; cached for some minutes."""
        ...

    async def list_branches(self, repository: Repository, prefix: str, limit: int) -> list[str]:
        """Names of branches that begin with `prefix`, for type-ahead; cached for a minute."""
        ...

    async def list_reviewers(self, repository: Repository, prefix: str, limit: int) -> list[str]:
        """Logins of people who may review and begin with `prefix` (any case); cached for some minutes."""
        ...

    async def mark_ready_for_review(self, repository: Repository, node_id: str) -> None:
        """Ends the draft; harmless when it is none."""
        ...

    async def merge_options(self, repository: Repository) -> MergeOptions: ...

    async def merge_pull_request(self, repository: Repository, number: int, *, method: str, head_sha: str) -> str:
        """Merges, if the head is still `head_sha`, and returns the sha of the merge.

        `PermanentError` in words when it cannot be merged, its head moved, or a rule of the branch is against it.
        Merged already at this head is a success.
        """
        ...

    async def check_details(self, repository: Repository, check_run_id: int, limit_bytes: int) -> CheckDetails:
        """What a check run says of itself; summary and log together at most `limit_bytes`."""
        ...

    async def reply_to_review_comment(self, repository: Repository, number: int, comment_id: int, body: str) -> None:
        """Answers in the thread of a review comment. A `TemporaryError` may have `outcome_unknown`."""
        ...

    async def get_ref(self, repository: Repository, ref: str) -> str | None:
        """The commit of a full ref name (`refs/devflow/...`), or None when there is none."""
        ...

    async def create_ref(self, repository: Repository, ref: str, sha: str) -> None:
        """`BranchTaken` when the name is in use, whatever it points at."""
        ...

    async def update_ref(self, repository: Repository, ref: str, sha: str) -> None:
        """Moves a ref forward, never back or aside: else a `PermanentError`."""
        ...

    async def delete_ref(self, repository: Repository, ref: str) -> None:
        """Harmless when it is gone."""
        ...


class CodeHost(PullRequests, Protocol):
    """GitHub, as far as the engine needs it."""

    async def find_repository(self, name: RepositoryName) -> Repository:
        """The repository and the App's installation on it.

        `NotFound` says in words whether the repository is unknown or the App is not installed, as far as
        GitHub tells them apart. Answers are cached for a minute.
        """
        ...

    async def list_repositories(self) -> list[RepositoryName]:
        """Every repository the App may reach, for type-ahead; cached for some minutes."""
        ...

    async def get_branch(self, repository: Repository, branch_name: str) -> BranchRef | None:
        """The branch, or None when there is none."""
        ...

    async def create_branch(self, repository: Repository, branch_name: str, sha: str) -> BranchRef:
        """Makes the branch at `sha`. `BranchTaken` when the name is in use, whatever it points at."""
        ...

    async def delete_branch(self, repository: Repository, branch_name: str) -> None:
        """Deletes the branch; harmless when it is gone."""
        ...

    async def compare(self, repository: Repository, base: str, head: str) -> Comparison:
        """`head` against `base`, both branch names or commit ids."""
        ...

    async def compare_files(self, repository: Repository, base: str, head: str) -> tuple[ChangedFile, ...]:
        """What changed from where both have a common commit to `head`, file by file with its hunks; 300 at most."""
        ...

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
        """Opens a pull request, or finds the open one of the same head and base; then asks `reviewers`.

        `PermanentError` with a sentence when there is nothing to open yet (no commits between them). A reviewer
        who is refused is no failure: see `PullRequest.reviewers_refused`.
        """
        ...

    async def get_pull_request(self, repository: Repository, number: int) -> PullRequest: ...

    async def mint_token(self, repository: Repository) -> AccessToken:
        """A fresh token that can read and write the contents of this repository and nothing else; its workflow files
        only where the App was given leave to."""
        ...

    async def close(self) -> None: ...
