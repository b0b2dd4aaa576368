"""The port `CodeHost` on GitHub, by PyGithub: the App, its repositories and tokens. Refs, pull requests, checks
and lists are the rooms it is made of.

Calls come from the engine and the gateway; each runs in a thread of this adapter's own pool and goes to
GitHub's REST API, or to GraphQL for the look at many pull requests. Nothing of PyGithub leaves these files, and
no exception of it either.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import requests
import structlog
from github import Github, GithubException
from github.GithubException import UnknownObjectException
from github.Repository import Repository as PyGithubRepository

from slackbot.adapters.github_app import AppWebhook, GithubApp, describe_app, describe_webhook
from slackbot.adapters.github_checks import GithubChecks
from slackbot.adapters.github_client import Fresh, GithubConnection, web_host
from slackbot.adapters.github_errors import translate
from slackbot.adapters.github_graphql import Budget
from slackbot.adapters.github_lists import FORM_ENTRIES, FORM_KEPT_SECONDS, GithubLists, Tagged
from slackbot.adapters.github_pulls import GithubPullRequests
from slackbot.adapters.github_refs import BRANCHES_ENTRIES, BRANCHES_KEPT_SECONDS, GithubRefs
from slackbot.core.code_host import AccessToken, Repository
from slackbot.core.errors import DevflowError, NotFound, PermanentError, TemporaryError
from slackbot.core.repository_name import RepositoryName

log = structlog.get_logger()

_REPOSITORY_KEPT_SECONDS = 60.0
_LIST_KEPT_SECONDS = 300.0
_REPOSITORIES_KEPT = 512
_REPOSITORIES_LISTED = 5000
_WORKER_PERMISSIONS = {"contents": "write", "metadata": "read"}


class GithubCodeHost(GithubRefs, GithubPullRequests, GithubChecks, GithubLists):
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
        connection = GithubConnection(
            api_url=api_url,
            app_id=app_id,
            private_key=private_key,
            seconds_between_requests=seconds_between_requests,
            seconds_between_writes=seconds_between_writes,
        )
        super().__init__(connection, threads)
        self._scheme = urlsplit(api_url).scheme
        self._web_host = web_host(api_url)
        self._repositories: Fresh[str, Repository] = Fresh(_REPOSITORY_KEPT_SECONDS, _REPOSITORIES_KEPT)
        self._lists: Fresh[None, list[RepositoryName]] = Fresh(_LIST_KEPT_SECONDS, 1)
        self._branches = Fresh(BRANCHES_KEPT_SECONDS, BRANCHES_ENTRIES)
        self._reviewers = Fresh(FORM_KEPT_SECONDS, FORM_ENTRIES)
        self._templates = Fresh(FORM_KEPT_SECONDS, FORM_ENTRIES)
        self._tagged = Tagged()
        self._budget = Budget()
        self._writes_workflows: set[int] = set()
        """Installations whose owner lets the App change workflow files, as they were last seen."""
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

    async def mint_token(self, repository: Repository) -> AccessToken:
        def mint() -> AccessToken:
            permissions = dict(_WORKER_PERMISSIONS)
            if repository.installation_id in self._writes_workflows:
                permissions["workflows"] = "write"
            token, expires_at = self._github.mint(repository.installation_id, permissions, repository.name.name)
            return AccessToken(token, expires_at)

        return await self._run(f"access to `{repository.name}`", mint)

    async def describe_app(self) -> GithubApp:
        """The App and where it is installed, asked afresh; for `devflow check`."""
        return await self._run("the App", lambda: describe_app(self._github.app()))

    async def describe_webhook(self) -> AppWebhook:
        """Where GitHub sends the App's events; for `devflow check`."""
        return await self._run("the App's webhook", lambda: describe_webhook(self._github.app()))

    async def close(self) -> None:
        for kept in (self._repositories, self._lists, self._branches, self._reviewers, self._templates):
            await kept.settle()
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
        self._github.close()

    # ------------------------------------------------------------------------------ in the threads

    def _find_repository(self, name: RepositoryName) -> Repository:
        try:
            installation = self._github.app().get_repo_installation(name.owner, name.name)
            installation_id = int(installation.id)
            granted = (installation.raw_data.get("permissions") or {}).get("workflows") == "write"
            (self._writes_workflows.add if granted else self._writes_workflows.discard)(installation_id)
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

        refused: DevflowError | None = None
        for installation in self._github.app().get_installations():
            if installation.raw_data.get("suspended_at") is not None:
                continue
            try:
                self._github.as_installation(int(installation.id), collect)
            except GithubException as error:
                refused = translate(error, "the list of repositories")
                if isinstance(refused, TemporaryError):
                    raise
                # Taken away meanwhile, or its owner has not accepted what the App asks for: the others go on.
                log.warning("github_installation_unread", installation_id=installation.id, why=refused.summary)
        if refused is not None and not found:
            raise refused
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


def _has_no_commits(repo: PyGithubRepository) -> bool:
    # `size` is 0 for a while after a first push as well, so it only says when it is worth asking.
    if repo.size:
        return False
    status, _, _ = repo.requester.requestJson("GET", f"{repo.url}/commits", parameters={"per_page": 1})
    return status == 409
