"""Pull requests on GitHub, for `GithubCodeHost`: opening, looking at many at once, merging, answering.

The look is GraphQL (`github_query.py`), what changes something is REST.
https://docs.github.com/en/rest/pulls/pulls
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import requests
import structlog
from github import Github, GithubException
from github.PullRequest import PullRequest as PyGithubPullRequest
from github.Repository import Repository as PyGithubRepository

from slackbot.adapters.github_calls import GithubCalls, cut
from slackbot.adapters.github_errors import (
    github_messages,
    not_merged,
    nothing_to_open,
    outcome_is_unknown,
    pull_request_refused,
    translate,
)
from slackbot.adapters.github_graphql import Answer, Budget, ask, is_older, older
from slackbot.adapters.github_query import (
    LOOK,
    NODES_A_LOOK,
    ONE,
    READY,
    THREADS_OF_MANY,
    THREADS_OF_ONE,
    snapshot,
)
from slackbot.core.code_host import MergeOptions, PullRequest, PullRequestSnapshot, Repository
from slackbot.core.errors import NotFound, PermanentError, TemporaryError

log = structlog.get_logger()

_TITLE_CHARACTERS = 256
_BODY_CHARACTERS = 65_536
_FEWEST_AT_ONCE = 25
_PERMISSION = "Pull requests: write"
_MERGE_METHODS = (("merge", "allow_merge_commit"), ("squash", "allow_squash_merge"), ("rebase", "allow_rebase_merge"))


class GithubPullRequests(GithubCalls):
    """`_budget` remembers when GitHub asked an installation to wait: a look keeps to it, people's own acts do not."""

    _budget: Budget
    _schema_is_older = False

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
        owner = repository.name.owner
        title, body = cut(" ".join(title.split()), _TITLE_CHARACTERS), cut(body, _BODY_CHARACTERS)
        subject = f"a pull request from `{head}`"

        def find(repo: PyGithubRepository) -> PyGithubPullRequest | None:
            return next(iter(repo.get_pulls(state="open", head=f"{owner}:{head}", base=base)), None)

        def make(repo: PyGithubRepository, draft: bool = draft) -> tuple[PyGithubPullRequest, bool]:
            """The pull request, and whether it was found and not made."""
            try:
                return repo.create_pull(base, head, title=title, body=body, draft=draft), False
            except (GithubException, requests.RequestException) as error:
                said = "; ".join(github_messages(error)).lower() if isinstance(error, GithubException) else ""
                if "no commits between" in said:
                    raise nothing_to_open(head, base) from None
                if draft and "draft pull requests are not supported" in said:
                    return make(repo, draft=False)
                if "already exists" in said or outcome_is_unknown(error):
                    found = find(repo)
                    if found is not None:
                        return found, True
                refused = pull_request_refused(error, head, base)
                if refused is not None:
                    raise refused from None
                raise

        def ask_all(repo: PyGithubRepository) -> PullRequest:
            made, found = make(repo)
            # Entries of a list do not say whether it is merged; asking PyGithub for it would be another request.
            refused = _request_reviews(made, reviewers) if reviewers else ()
            return _pull_request(made, merged=False if found else None, reviewers_refused=refused)

        return await self._ask(subject, repository, ask_all, write=True, permission=_PERMISSION)

    async def get_pull_request(self, repository: Repository, number: int) -> PullRequest:
        def ask_one(repo: PyGithubRepository) -> PullRequest:
            return _pull_request(repo.get_pull(number))

        return await self._ask(f"pull request #{number} of `{repository.name}`", repository, ask_one)

    # ---------------------------------------------------------------------------------------- looking

    async def look_at_pull_requests(
        self, installation_id: int, node_ids: Sequence[str]
    ) -> dict[str, PullRequestSnapshot | None]:
        wanted = list(dict.fromkeys(node_ids))
        found: dict[str, PullRequestSnapshot | None] = {}
        for start in range(0, len(wanted), NODES_A_LOOK):
            found |= await self._look_at(installation_id, wanted[start : start + NODES_A_LOOK])
        return found

    async def _look_at(self, installation_id: int, node_ids: list[str]) -> dict[str, PullRequestSnapshot | None]:
        """In one call; in parts when GitHub does not manage them together, which it may not the next time either.

        https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api#timeouts
        """
        self._budget.check(installation_id)
        look = partial(self._look, installation_id=installation_id, node_ids=node_ids)
        try:
            return await self._ask_installation("the pull requests", installation_id, look)
        except TemporaryError as error:
            if error.retry_after_seconds is not None or len(node_ids) <= _FEWEST_AT_ONCE:
                raise
            failure = error
        found: dict[str, PullRequestSnapshot | None] = {}
        half = len(node_ids) // 2
        for part in (node_ids[:half], node_ids[half:]):
            try:
                found |= await self._look_at(installation_id, part)
            except TemporaryError as error:
                failure = error
        if not found:
            raise failure
        return found

    def _look(self, github: Github, installation_id: int, node_ids: list[str]) -> dict[str, PullRequestSnapshot | None]:
        try:
            answer = self._query(github, LOOK, {"ids": node_ids, "threads": THREADS_OF_MANY})
        except GithubException as error:
            told = translate(error, "the pull requests")
            if isinstance(told, TemporaryError) and told.retry_after_seconds is not None:
                self._budget.wait(installation_id, told.retry_after_seconds)
            raise
        self._budget.read(installation_id, answer.data.get("rateLimit"))
        found: dict[str, PullRequestSnapshot | None] = {}
        for index, (node_id, node) in enumerate(zip(node_ids, answer.data.get("nodes") or [], strict=False)):
            found |= _looked(answer, index, node_id, node)
        return found

    def _query(self, github: Github, query: str, variables: Mapping[str, Any]) -> Answer:
        try:
            return ask(github, older(query) if self._schema_is_older else query, variables)
        except GithubException as error:
            if self._schema_is_older or not is_older(error):
                raise
        self._schema_is_older = True
        return ask(github, older(query), variables)

    async def get_pull_request_snapshot(self, repository: Repository, number: int) -> PullRequestSnapshot:
        subject = f"pull request #{number} of `{repository.name}`"
        variables = {
            "owner": repository.name.owner,
            "name": repository.name.name,
            "number": number,
            "threads": THREADS_OF_ONE,
        }

        def ask_one(github: Github) -> PullRequestSnapshot:
            answer = self._query(github, ONE, variables)
            self._budget.read(repository.installation_id, answer.data.get("rateLimit"))
            found = (answer.data.get("repository") or {}).get("pullRequest")
            if not found:
                raise NotFound(f"{subject[:1].upper()}{subject[1:]} was not found on GitHub.")
            return snapshot(found)

        return await self._ask_installation(subject, repository.installation_id, ask_one)

    # --------------------------------------------------------------------------------------- changing

    async def mark_ready_for_review(self, repository: Repository, node_id: str) -> None:
        def ask_ready(github: Github) -> None:
            ask(github, READY, {"pullRequestId": node_id}, whole=True)

        subject = f"the draft pull request in `{repository.name}`"
        await self._ask_installation(subject, repository.installation_id, ask_ready, write=True, permission=_PERMISSION)

    async def merge_options(self, repository: Repository) -> MergeOptions:
        def ask_options(repo: PyGithubRepository) -> MergeOptions:
            _, raw = repo.requester.requestJsonAndCheck("GET", repo.url)
            # GitHub leaves these out for who may not write contents; then its refusal will tell.
            allowed = tuple(method for method, field in _MERGE_METHODS if raw.get(field, True))
            return MergeOptions(allowed, bool(raw.get("delete_branch_on_merge", False)))

        return await self._ask(f"`{repository.name}`", repository, ask_options)

    async def merge_pull_request(self, repository: Repository, number: int, *, method: str, head_sha: str) -> str:
        subject = f"pull request #{number} of `{repository.name}`"
        if method not in {name for name, _ in _MERGE_METHODS}:
            raise PermanentError(f"`{method}` is no way of merging that GitHub knows.")

        def ask_merge(repo: PyGithubRepository) -> str:
            path = f"{repo.url}/pulls/{number}/merge"
            try:
                _, answer = repo.requester.requestJsonAndCheck(
                    "PUT", path, input={"merge_method": method, "sha": head_sha}
                )
            except (GithubException, requests.RequestException) as error:
                if outcome_is_unknown(error) or (isinstance(error, GithubException) and error.status == 405):
                    found = repo.get_pull(number)
                    if found.merged and found.head.sha == head_sha:
                        return str(found.merge_commit_sha or "")
                refused = not_merged(error, number)
                if refused is not None:
                    raise refused from None
                raise
            return str(answer["sha"])

        return await self._ask(
            subject, repository, ask_merge, write=True, permission="Contents: write and Pull requests: write"
        )

    async def reply_to_review_comment(self, repository: Repository, number: int, comment_id: int, body: str) -> None:
        def ask_reply(repo: PyGithubRepository) -> None:
            path = f"{repo.url}/pulls/{number}/comments/{comment_id}/replies"
            repo.requester.requestJsonAndCheck("POST", path, input={"body": cut(body, _BODY_CHARACTERS)})

        subject = f"the review comment on pull request #{number} of `{repository.name}`"
        await self._ask(subject, repository, ask_reply, write=True, permission=_PERMISSION)


def _looked(answer: Answer, index: int, node_id: str, node: object) -> dict[str, PullRequestSnapshot | None]:
    """{} for one that GitHub failed to answer for: what is left out is asked for again next time."""
    if isinstance(node, dict) and node.get("__typename") == "PullRequest":
        try:
            return {node_id: snapshot(node)}
        except (KeyError, TypeError, ValueError) as error:
            log.warning("github_pull_request_unreadable", node_id=node_id, error=repr(error)[:200])
            return {}
    if isinstance(node, dict) or answer.is_gone("nodes", index):
        return {node_id: None}
    return {}


def _request_reviews(made: PyGithubPullRequest, reviewers: Sequence[str]) -> tuple[str, ...]:
    """Asks them all, else one by one: GitHub refuses the whole list for one who is no collaborator."""

    def ask_for(logins: Sequence[str]) -> bool:
        try:
            made.create_review_request(reviewers=list(logins))
        except (GithubException, requests.RequestException) as error:
            log.info("github_reviewers_refused", error=type(error).__name__, count=len(logins))
            return False
        return True

    if ask_for(reviewers):
        return ()
    return tuple(login for login in reviewers if len(reviewers) == 1 or not ask_for([login]))


def _pull_request(
    found: PyGithubPullRequest, *, merged: bool | None = None, reviewers_refused: tuple[str, ...] = ()
) -> PullRequest:
    return PullRequest(
        number=found.number,
        url=found.html_url,
        state=found.state,
        draft=bool(found.draft),
        merged=bool(found.merged) if merged is None else merged,
        head_sha=found.head.sha,
        base_ref=found.base.ref,
        node_id=found.node_id,
        reviewers_refused=reviewers_refused,
    )
