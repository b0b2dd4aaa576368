"""Branches and other refs of a repository on GitHub, for `GithubCodeHost`.

https://docs.github.com/en/rest/git/refs, https://docs.github.com/en/rest/branches/branches
"""

from __future__ import annotations

from urllib.parse import quote

import requests
from github import GithubException
from github.GithubException import UnknownObjectException
from github.Repository import Repository as PyGithubRepository

from slackbot.adapters.github_calls import GithubCalls, is_ref, shown
from slackbot.adapters.github_client import Fresh
from slackbot.adapters.github_errors import github_messages, no_commits_yet, outcome_is_unknown
from slackbot.core.code_host import BranchRef, BranchTaken, ChangedFile, Comparison, Repository
from slackbot.core.errors import NotFound, PermanentError

BRANCHES_KEPT_SECONDS = 60.0
BRANCHES_ENTRIES = 256


class GithubRefs(GithubCalls):
    """A name that git cannot have is refused here, before it can become another part of a URL."""

    _branches: Fresh[tuple[str, str, int], list[str]]

    async def get_branch(self, repository: Repository, branch_name: str) -> BranchRef | None:
        if not is_ref(branch_name):
            return None

        def ask(repo: PyGithubRepository) -> BranchRef | None:
            try:
                branch = repo.get_branch(branch_name)
            except GithubException as error:
                if error.status in {404, 409}:  # 409: the repository has no commits yet
                    return None
                raise
            return BranchRef(branch.name, branch.commit.sha)

        return await self._ask(f"the branch `{branch_name}` of `{repository.name}`", repository, ask)

    async def create_branch(self, repository: Repository, branch_name: str, sha: str) -> BranchRef:
        if not is_ref(branch_name):
            raise PermanentError(f"`{shown(branch_name)}` cannot be the name of a branch.")
        await self._create(repository, f"refs/heads/{branch_name}", sha, f"the branch `{branch_name}`")
        return BranchRef(branch_name, sha)

    async def delete_branch(self, repository: Repository, branch_name: str) -> None:
        if is_ref(branch_name):
            await self._delete(repository, f"refs/heads/{branch_name}", f"the branch `{branch_name}`")

    async def list_branches(self, repository: Repository, prefix: str, limit: int) -> list[str]:
        prefix = prefix.strip()
        if prefix and not is_ref(prefix.rstrip("/.") or "-"):
            return []
        key = (repository.name.full_name.lower(), prefix, limit)

        def ask(repo: PyGithubRepository) -> list[str]:
            # Without a prefix the listing of branches has pages; matching refs have none and would give all.
            try:
                if not prefix:
                    path, parameters = f"{repo.url}/branches", {"per_page": min(limit, 100)}
                    _, listed = repo.requester.requestJsonAndCheck("GET", path, parameters=parameters)
                    return [str(entry["name"]) for entry in listed]
                path = f"{repo.url}/git/matching-refs/heads/{quote(prefix)}"
                _, listed = repo.requester.requestJsonAndCheck("GET", path)
            except GithubException as error:
                if error.status == 409:  # no commits yet
                    return []
                raise
            return [str(entry["ref"]).removeprefix("refs/heads/") for entry in listed][:limit]

        return list(
            await self._branches.get(key, lambda: self._ask(f"the branches of `{repository.name}`", repository, ask))
        )

    async def compare(self, repository: Repository, base: str, head: str) -> Comparison:
        """`head` against `base`. GitHub names the first 300 changed files only, so no more are counted."""
        subject = f"`{shown(base)}` or `{shown(head)}` in `{repository.name}`"
        if not (is_ref(base) and is_ref(head)):
            raise NotFound(f"{subject} was not found on GitHub.")

        def ask(repo: PyGithubRepository) -> Comparison:
            found = repo.compare(base, head, comparison_commits_per_page=1)
            files = found.files
            return Comparison(
                ahead_by=found.ahead_by,
                behind_by=found.behind_by,
                files_changed=len(files),
                additions=sum(file.additions for file in files),
                deletions=sum(file.deletions for file in files),
            )

        return await self._ask(subject, repository, ask)

    async def compare_files(self, repository: Repository, base: str, head: str) -> tuple[ChangedFile, ...]:
        """The files of a comparison. https://docs.github.com/en/rest/commits/commits#compare-two-commits"""
        subject = f"`{shown(base)}` or `{shown(head)}` in `{repository.name}`"
        if not (is_ref(base) and is_ref(head)):
            raise NotFound(f"{subject} was not found on GitHub.")

        def ask(repo: PyGithubRepository) -> tuple[ChangedFile, ...]:
            # `patch` is absent where GitHub has none to show; PyGithub says None then.
            return tuple(
                ChangedFile(
                    filename=file.filename,
                    status=file.status,
                    additions=file.additions,
                    deletions=file.deletions,
                    patch=file.patch or None,
                    previous_filename=file.previous_filename or None,
                )
                for file in repo.compare(base, head, comparison_commits_per_page=1).files
            )

        return await self._ask(subject, repository, ask)

    # -------------------------------------------------------------------------- refs by their full name

    async def get_ref(self, repository: Repository, ref: str) -> str | None:
        if not _is_full_ref(ref):
            return None

        def ask(repo: PyGithubRepository) -> str | None:
            return _sha_of(repo, ref)

        return await self._ask(f"`{ref}` of `{repository.name}`", repository, ask)

    async def create_ref(self, repository: Repository, ref: str, sha: str) -> None:
        if not _is_full_ref(ref):
            raise PermanentError(f"`{shown(ref)}` cannot be the name of a ref.")
        await self._create(repository, ref, sha, f"`{ref}`")

    async def update_ref(self, repository: Repository, ref: str, sha: str) -> None:
        if not _is_full_ref(ref):
            raise PermanentError(f"`{shown(ref)}` cannot be the name of a ref.")

        def ask(repo: PyGithubRepository) -> None:
            path = f"{repo.url}/git/{quote(ref)}"
            try:
                repo.requester.requestJsonAndCheck("PATCH", path, input={"sha": sha, "force": False})
            except (GithubException, requests.RequestException) as error:
                said = "; ".join(github_messages(error)).lower() if isinstance(error, GithubException) else ""
                if "fast forward" in said or "fast-forward" in said:
                    raise PermanentError(
                        f"`{ref}` of `{repository.name}` has commits that what it was to be moved to does not have.",
                        "Nothing was overwritten. Look at the branch on GitHub.",
                    ) from None
                if "does not exist" in said and "object" not in said:
                    raise NotFound(f"`{ref}` of `{repository.name}` was not found on GitHub.") from None
                if outcome_is_unknown(error) and _sha_of(repo, ref) == sha:
                    return
                raise

        await self._ask(f"`{ref}` of `{repository.name}`", repository, ask, write=True, permission="Contents: write")

    async def delete_ref(self, repository: Repository, ref: str) -> None:
        if _is_full_ref(ref):
            await self._delete(repository, ref, f"`{ref}`")

    async def _create(self, repository: Repository, ref: str, sha: str, subject: str) -> None:
        def ask(repo: PyGithubRepository) -> None:
            try:
                repo.create_git_ref(ref, sha)
            except (GithubException, requests.RequestException) as error:
                if isinstance(error, GithubException):
                    if error.status == 409:
                        raise no_commits_yet(repository) from None
                    if error.status == 422 and _is_taken(repo, ref, error):
                        raise BranchTaken(ref.removeprefix("refs/heads/")) from None
                if outcome_is_unknown(error) and _sha_of(repo, ref) == sha:
                    return  # it had been made; only the answer was lost
                raise

        subject = f"{subject} of `{repository.name}`"
        await self._ask(subject, repository, ask, write=True, permission="Contents: write")

    async def _delete(self, repository: Repository, ref: str, subject: str) -> None:
        def ask(repo: PyGithubRepository) -> None:
            try:
                repo.requester.requestJsonAndCheck("DELETE", f"{repo.url}/git/{quote(ref)}")
            except GithubException as error:
                gone = "does not exist" in "; ".join(github_messages(error)).lower()
                if not (error.status in {404, 409} or (error.status == 422 and gone)):
                    raise

        subject = f"{subject} of `{repository.name}`"
        await self._ask(subject, repository, ask, write=True, permission="Contents: write")


def _is_full_ref(ref: str) -> bool:
    tail = ref.removeprefix("refs/")
    return ref.startswith("refs/") and "/" in tail and is_ref(tail)


def _is_taken(repo: PyGithubRepository, ref: str, error: GithubException) -> bool:
    """Whether this 422 means the name is in use: by a ref, or by one it cannot be beside (`a`, `a/b`)."""
    if "already exists" in "; ".join(github_messages(error)).lower():
        return True
    parts = ref.split("/")
    parents = ["/".join(parts[:count]) for count in range(3, len(parts))]
    if any(_sha_of(repo, parent) is not None for parent in parents):
        return True
    path = f"{repo.url}/git/matching-refs/{quote(ref.removeprefix('refs/'))}/"
    _, below = repo.requester.requestJsonAndCheck("GET", path)
    return bool(below)


def _sha_of(repo: PyGithubRepository, ref: str) -> str | None:
    try:
        return repo.get_git_ref(ref.removeprefix("refs/")).object.sha
    except UnknownObjectException:
        return None
    except GithubException as error:
        if error.status == 409:  # no commits yet
            return None
        raise
