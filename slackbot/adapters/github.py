"""The port `CodeHost` on GitHub, by PyGithub: repositories, branches, pull requests, tokens.

Calls come from the engine and the gateway; each runs in a thread of this adapter's own pool and goes to
GitHub's REST API. Nothing of PyGithub leaves this file, and no exception of it either.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import requests
import structlog
from github import Github, GithubException
from github.GithubException import UnknownObjectException
from github.PullRequest import PullRequest as PyGithubPullRequest
from github.Repository import Repository as PyGithubRepository

from slackbot.adapters.github_app import GithubApp, describe_app
from slackbot.adapters.github_client import Fresh, GithubConnection, web_host
from slackbot.adapters.github_errors import (
    github_messages,
    no_commits_yet,
    nothing_to_open,
    outcome_is_unknown,
    translate,
)
from slackbot.core.errors import DevflowError, NotFound, PermanentError, TemporaryError, UsageError
from slackbot.core.ports import (
    AccessToken,
    BranchRef,
    BranchTaken,
    ChangedFile,
    Comparison,
    PullRequest,
    Repository,
)
from slackbot.core.repository_name import RepositoryName

log = structlog.get_logger()
T = TypeVar("T")

_REPOSITORY_KEPT_SECONDS = 60.0
_LIST_KEPT_SECONDS = 300.0
_REPOSITORIES_KEPT = 512
_REPOSITORIES_LISTED = 5000
_TITLE_CHARACTERS = 256
_BODY_CHARACTERS = 65_536
_WORKER_PERMISSIONS = {"contents": "write", "metadata": "read"}
# What `git check-ref-format` forbids; also keeps a name from leaving its place in a URL.
_BAD_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|//|@\{|^[-/.]|/\.|[/.]$|\.lock(/|$)|^@$")


class GithubCodeHost:
    """`CodeHost` of `core.ports`. One object serves the whole process; `close()` waits for calls under way.

    `private_key` is PEM text; one that cannot sign is a `ConfigError`. `threads` bounds the calls in flight.
    The spacings are GitHub's advice on github.com and none elsewhere, unless given (seconds).
    """

    def __init__(
        self,
        *,
        api_url: str,
        app_id: int | str,
        private_key: str,
        threads: int = 8,
        seconds_between_requests: float | None = None,
        seconds_between_writes: float | None = None,
    ) -> None:
        self._scheme = urlsplit(api_url).scheme
        self._web_host = web_host(api_url)
        self._github = GithubConnection(
            api_url=api_url,
            app_id=app_id,
            private_key=private_key,
            seconds_between_requests=seconds_between_requests,
            seconds_between_writes=seconds_between_writes,
        )
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="github")
        self._repositories: Fresh[str, Repository] = Fresh(_REPOSITORY_KEPT_SECONDS, _REPOSITORIES_KEPT)
        self._lists: Fresh[None, list[RepositoryName]] = Fresh(_LIST_KEPT_SECONDS, 1)
        self._app_url = ""

    @property
    def hosts(self) -> frozenset[str]:
        """`host[:port]` names under which people name repositories; for `parse_repository_name`."""
        return frozenset({self._web_host})

    async def find_repository(self, name: RepositoryName) -> Repository:
        key = name.full_name.lower()
        return await self._repositories.get(key, lambda: self._run(f"`{name}`", self._find_repository, name))

    async def list_repositories(self) -> list[RepositoryName]:
        subject = "the list of repositories"
        return list(await self._lists.get(None, lambda: self._run(subject, self._list_repositories)))

    async def get_branch(self, repository: Repository, branch_name: str) -> BranchRef | None:
        if not _is_ref(branch_name):
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
        if not _is_ref(branch_name):
            raise PermanentError(f"`{_shown(branch_name)}` cannot be the name of a branch.")

        def ask(repo: PyGithubRepository) -> BranchRef:
            try:
                made = repo.create_git_ref(f"refs/heads/{branch_name}", sha)
            except (GithubException, requests.RequestException) as error:
                if isinstance(error, GithubException):
                    if error.status == 409:
                        raise no_commits_yet(repository) from None
                    if error.status == 422 and _is_taken(repo, branch_name, error):
                        raise BranchTaken(branch_name) from None
                if outcome_is_unknown(error) and _head_of(repo, branch_name) == sha:
                    return BranchRef(branch_name, sha)  # it had been made; only the answer was lost
                raise
            return BranchRef(branch_name, made.object.sha)

        return await self._ask(f"the branch `{branch_name}` of `{repository.name}`", repository, ask, write=True)

    async def delete_branch(self, repository: Repository, branch_name: str) -> None:
        if not _is_ref(branch_name):
            return

        def ask(repo: PyGithubRepository) -> None:
            path = f"{repo.url}/git/refs/heads/{quote(branch_name)}"
            try:
                repo.requester.requestJsonAndCheck("DELETE", path)
            except GithubException as error:
                gone = "does not exist" in "; ".join(github_messages(error)).lower()
                if not (error.status in {404, 409} or (error.status == 422 and gone)):
                    raise

        await self._ask(f"the branch `{branch_name}` of `{repository.name}`", repository, ask, write=True)

    async def compare(self, repository: Repository, base: str, head: str) -> Comparison:
        """`head` against `base`. GitHub names the first 300 changed files only, so no more are counted."""
        subject = f"`{_shown(base)}` or `{_shown(head)}` in `{repository.name}`"
        if not (_is_ref(base) and _is_ref(head)):
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
        subject = f"`{_shown(base)}` or `{_shown(head)}` in `{repository.name}`"
        if not (_is_ref(base) and _is_ref(head)):
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

    async def open_pull_request(
        self, repository: Repository, *, head: str, base: str, title: str, body: str, draft: bool = False
    ) -> PullRequest:
        owner = repository.name.owner
        title, body = _cut(" ".join(title.split()), _TITLE_CHARACTERS), _cut(body, _BODY_CHARACTERS)

        def find(repo: PyGithubRepository) -> PullRequest | None:
            for found in repo.get_pulls(state="open", head=f"{owner}:{head}", base=base):
                return _pull_request(found, merged=False)
            return None

        def ask(repo: PyGithubRepository, draft: bool = draft) -> PullRequest:
            try:
                return _pull_request(repo.create_pull(base, head, title=title, body=body, draft=draft))
            except (GithubException, requests.RequestException) as error:
                said = "; ".join(github_messages(error)).lower() if isinstance(error, GithubException) else ""
                if "no commits between" in said:
                    raise nothing_to_open(head, base) from None
                if draft and "draft pull requests are not supported" in said:
                    return ask(repo, draft=False)
                if "already exists" in said or outcome_is_unknown(error):
                    found = find(repo)
                    if found is not None:
                        return found
                raise

        return await self._ask(f"a pull request from `{head}`", repository, ask, write=True)

    async def get_pull_request(self, repository: Repository, number: int) -> PullRequest:
        def ask(repo: PyGithubRepository) -> PullRequest:
            return _pull_request(repo.get_pull(number))

        return await self._ask(f"pull request #{number} of `{repository.name}`", repository, ask)

    async def mint_token(self, repository: Repository) -> AccessToken:
        def mint() -> AccessToken:
            token, expires_at = self._github.mint(repository.installation_id, _WORKER_PERMISSIONS, repository.name.name)
            return AccessToken(token, expires_at)

        return await self._run(f"access to `{repository.name}`", mint)

    async def describe_app(self) -> GithubApp:
        """The App and where it is installed, asked afresh; for `devflow check`."""
        return await self._run("the App", lambda: describe_app(self._github.app()))

    async def close(self) -> None:
        await self._repositories.settle()
        await self._lists.settle()
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
        self._github.close()

    # ------------------------------------------------------------------------------ in the threads

    def _find_repository(self, name: RepositoryName) -> Repository:
        try:
            installation = self._github.app().get_repo_installation(name.owner, name.name)
            installation_id = int(installation.id)
        except UnknownObjectException:
            raise self._unknown_or_not_installed(name) from None

        def ask(github: Github) -> Repository:
            repo = github.get_repo(name.full_name)
            if repo.raw_data.get("disabled"):
                raise PermanentError(f"GitHub has disabled `{name}`.", "Ask its owner to look at it on GitHub.")
            canonical = RepositoryName(*repo.full_name.split("/", 1))
            return Repository(
                name=canonical,
                html_url=repo.html_url,
                clone_url=self._checked_clone_url(repo.clone_url, canonical),
                default_branch=repo.default_branch,
                installation_id=installation_id,
                archived=bool(repo.archived),
                empty=_has_no_commits(repo),
                private=bool(repo.private),
            )

        return self._github.as_installation(installation_id, ask)

    def _list_repositories(self) -> list[RepositoryName]:
        found: set[RepositoryName] = set()

        def collect(github: Github) -> None:
            page = 1
            while len(found) < _REPOSITORIES_LISTED:
                _, answer = github.requester.requestJsonAndCheck(
                    "GET", "/installation/repositories", parameters={"per_page": 100, "page": page}
                )
                for entry in answer["repositories"]:
                    if not entry.get("archived") and not entry.get("disabled"):
                        found.add(RepositoryName(*entry["full_name"].split("/", 1)))
                if len(answer["repositories"]) < 100:
                    return
                page += 1
            log.warning("github_list_cut", repositories=len(found))

        for installation in self._github.app().get_installations():
            if installation.raw_data.get("suspended_at") is None:
                self._github.as_installation(int(installation.id), collect)
        return sorted(found)

    def _checked_clone_url(self, clone_url: str, name: RepositoryName) -> str:
        """GitHub's clone URL, if it leads to the host we were told of: the worker's token goes there."""
        expected = f"{self._scheme}://{self._web_host}/{name}.git"
        if clone_url.lower() != expected.lower():
            raise PermanentError(
                f"The clone address of `{name}` does not lead to `{self._web_host}`; DevFlow does not use it.",
                "Check GITHUB_API_URL.",
            )
        return clone_url

    def _unknown_or_not_installed(self, name: RepositoryName) -> NotFound:
        link = ""
        try:
            self._app_url = self._app_url or str(self._github.app().get_app().html_url)
            link = f": {self._app_url}/installations/new"
        except (GithubException, requests.RequestException) as error:
            log.info("github_app_link_unknown", error=type(error).__name__)
        return NotFound(
            f"GitHub shows DevFlow no repository `{name}`: there is none of that name, or the DevFlow GitHub "
            "App is not installed on it (GitHub does not tell which).",
            f"Check the name, or install the App on the repository{link or '.'}",
        )

    async def _ask(
        self,
        subject: str,
        repository: Repository,
        ask: Callable[[PyGithubRepository], T],
        *,
        write: bool = False,
    ) -> T:
        def call() -> T:
            return self._github.as_installation(
                repository.installation_id, lambda github: ask(github.get_repo(repository.name.full_name))
            )

        return await self._run(subject, call, write=write)

    async def _run(self, subject: str, call: Callable[..., T], *arguments: Any, write: bool = False) -> T:
        """Runs `call` in a thread; what it raises comes out as an error of `core.errors`."""

        def guarded() -> T:
            try:
                return call(*arguments)
            except (DevflowError, BranchTaken) as error:
                if isinstance(error, UsageError):
                    raise translate(ValueError(), subject) from None
                raise
            except Exception as error:
                if isinstance(error, GithubException) and error.status == 401:
                    self._github.forget_jwt()
                told = translate(error, subject, write=write)
                log.info(
                    "github_call_failed",
                    subject=subject,
                    error=type(error).__name__,
                    status=error.status if isinstance(error, GithubException) else None,
                    temporary=isinstance(told, TemporaryError),
                )
                raise told from None

        return await asyncio.get_running_loop().run_in_executor(self._threads, guarded)


def _is_ref(name: str) -> bool:
    return bool(name) and len(name.encode(errors="replace")) <= 244 and not _BAD_REF.search(name)


def _is_taken(repo: PyGithubRepository, branch_name: str, error: GithubException) -> bool:
    """Whether this 422 means the name is in use: by a branch, or by one it cannot be beside (`a`, `a/b`)."""
    if "already exists" in "; ".join(github_messages(error)).lower():
        return True
    parts = branch_name.split("/")
    parents = ["/".join(parts[:count]) for count in range(1, len(parts))]
    if any(_head_of(repo, parent) is not None for parent in parents):
        return True
    return any(True for _ in repo.get_git_matching_refs(f"heads/{branch_name}/"))


def _head_of(repo: PyGithubRepository, branch_name: str) -> str | None:
    try:
        return repo.get_git_ref(f"heads/{branch_name}").object.sha
    except UnknownObjectException:
        return None


def _has_no_commits(repo: PyGithubRepository) -> bool:
    # `size` is 0 for a while after a first push as well, so it only says when it is worth asking.
    if repo.size:
        return False
    status, _, _ = repo.requester.requestJson("GET", f"{repo.url}/commits", parameters={"per_page": 1})
    return status == 409


def _pull_request(found: PyGithubPullRequest, *, merged: bool | None = None) -> PullRequest:
    return PullRequest(
        number=found.number,
        url=found.html_url,
        state=found.state,
        draft=bool(found.draft),
        # Entries of a list do not say; asking PyGithub for it would be another request.
        merged=bool(found.merged) if merged is None else merged,
        head_sha=found.head.sha,
        base_ref=found.base.ref,
    )


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"


def _shown(text: str) -> str:
    return _cut(re.sub(r"[`\s]+", " ", text).strip(), 80)
