"""What must be so before a session begins: who, where, how many, which repository, branch and agent.

Asked by the starter before anything is posted. Each error names the field of the form that it is about, and tells
what was probably meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from slackbot.admission import Admission
from slackbot.core.access import check_repository
from slackbot.core.agent_names import check_agent
from slackbot.core.errors import DevflowError, NotFound, PermanentError
from slackbot.core.ports import CodeHost, Repository
from slackbot.core.repository_name import RepositoryName
from slackbot.core.repository_policy import Policies
from slackbot.core.start_request import StartRequest
from slackbot.core.suggestions import closest, closest_repository
from slackbot.session_limits import Place, SessionLimits

BRANCHES_LOOKED_AT = 200


class StartChecks:
    """`agents` are the names that this deployment offers."""

    def __init__(
        self,
        *,
        code_host: CodeHost,
        admission: Admission,
        limits: SessionLimits,
        policies: Policies,
        agents: Iterable[str],
    ) -> None:
        self._code_host = code_host
        self._admission = admission
        self._limits = limits
        self._policies = policies
        self.agents = tuple(agents)

    async def check(self, request: StartRequest, place: Place, *, must_post: bool = True) -> Repository:
        """The repository as it is called now; a `DevflowError` with `field` says what is in the way."""
        await self._admission.person(request.user_id)
        await self._admission.channel(request.channel_id, must_post=must_post)
        with about("agent"):
            if request.agent is not None:
                check_agent(request.agent, self.agents)
        with about("repository"):
            check_repository(request.repository, self._admission.policy)
        await self._limits.take(place)
        with about("repository"):
            repository = await self.find(request.repository)
            # It may have been renamed or moved: what counts is what it is called now.
            check_repository(repository.name, self._admission.policy)
            self._policies.check_channel(repository.name, request.channel_id)
            _check_usable(repository, request.repository)
        with about("base_branch"):
            await self._check_base(repository, request.base_branch)
        return repository

    async def installed(self, channel_id: str | None = None) -> list[RepositoryName]:
        """Every repository that may be worked on (from this channel), by name."""
        return [name for name in await self._code_host.list_repositories() if self.may_use(name, channel_id)]

    def may_use(self, name: RepositoryName, channel_id: str | None = None) -> bool:
        try:
            check_repository(name, self._admission.policy)
            if channel_id is not None:
                self._policies.check_channel(name, channel_id)
        except DevflowError:
            return False
        return True

    async def find(self, name: RepositoryName) -> Repository:
        """The repository; one that is not there is told with the name that was probably meant."""
        try:
            return await self._code_host.find_repository(name)
        except NotFound as error:
            near = await self._meant(name)
            if near is None:
                raise
            raise NotFound(f"{error.summary} Did you mean `{near}`?", error.remedy) from error

    async def _meant(self, name: RepositoryName) -> RepositoryName | None:
        try:
            return closest_repository(name, await self.installed())
        except DevflowError:
            return None

    async def _check_base(self, repository: Repository, base_branch: str | None) -> None:
        if not base_branch or await self._code_host.get_branch(repository, base_branch) is not None:
            return
        try:
            near = closest(base_branch, await self._code_host.list_branches(repository, "", BRANCHES_LOOKED_AT))
        except DevflowError:
            near = None
        hint = f" Did you mean `{near}`?" if near else ""
        raise PermanentError(
            f"`{repository.name}` has no branch `{base_branch}`.{hint}",
            f"Leave `base=` out to start from `{repository.default_branch}`.",
        )


@contextmanager
def about(field: str) -> Iterator[None]:
    """Errors raised inside are about this field of the form."""
    try:
        yield
    except DevflowError as error:
        error.field = error.field or field
        raise


def _check_usable(repository: Repository, named: RepositoryName) -> None:
    if repository.archived:
        raise PermanentError(
            f"`{named}` is archived, so nothing can be pushed to it.",
            "Unarchive it on GitHub, or name another repository.",
        )
    if repository.empty:
        raise PermanentError(
            f"`{named}` has no commits yet, so there is nothing to branch from.",
            "Push a first commit (a README will do), then start again.",
        )
