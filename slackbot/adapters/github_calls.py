"""How a call of the port reaches GitHub: in a thread of the adapter's own pool, with that thread's client.

The rooms of `GithubCodeHost` (refs, pull requests, checks) are written on `GithubCalls`. No exception of PyGithub
or requests comes out of it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import structlog
from github import Github, GithubException
from github.Repository import Repository as PyGithubRepository

from slackbot.adapters.github_client import GithubConnection
from slackbot.adapters.github_errors import translate
from slackbot.core.code_host import BranchTaken, Repository
from slackbot.core.errors import DevflowError, TemporaryError, UsageError

log = structlog.get_logger()
T = TypeVar("T")

# What `git check-ref-format` forbids; also keeps a name from leaving its place in a URL.
_BAD_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|//|@\{|^[-/.]|/\.|[/.]$|\.lock(/|$)|^@$")


class GithubCalls:
    """`threads` bounds the calls in flight."""

    def __init__(self, connection: GithubConnection, threads: int) -> None:
        self._github = connection
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="github")

    async def _ask(
        self,
        subject: str,
        repository: Repository,
        ask: Callable[[PyGithubRepository], T],
        *,
        write: bool = False,
        permission: str = "",
    ) -> T:
        """`permission`: what the App needs for it, in GitHub's words; told when it is missing."""
        return await self._ask_installation(
            subject,
            repository.installation_id,
            lambda github: ask(github.get_repo(repository.name.full_name)),
            write=write,
            permission=permission,
        )

    async def _ask_installation(
        self,
        subject: str,
        installation_id: int,
        ask: Callable[[Github], T],
        *,
        write: bool = False,
        permission: str = "",
    ) -> T:
        def call() -> T:
            return self._github.as_installation(installation_id, ask)

        return await self._run(subject, call, write=write, permission=permission)

    async def _run(
        self, subject: str, call: Callable[..., T], *arguments: Any, write: bool = False, permission: str = ""
    ) -> T:
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
                told = translate(error, subject, write=write, permission=permission)
                log.info(
                    "github_call_failed",
                    subject=subject,
                    error=type(error).__name__,
                    status=error.status if isinstance(error, GithubException) else None,
                    temporary=isinstance(told, TemporaryError),
                )
                raise told from None

        return await asyncio.get_running_loop().run_in_executor(self._threads, guarded)


def is_ref(name: str) -> bool:
    """Whether git could have a branch of this name, or a ref of which this is the part behind `refs/`."""
    return bool(name) and len(name.encode(errors="replace")) <= 244 and not _BAD_REF.search(name)


def cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"


def shown(text: str) -> str:
    """What a person typed, fit for a sentence."""
    return cut(re.sub(r"[`\s]+", " ", text).strip(), 80)
