"""Merging as GitHub merges, with real git in a bare repository: a merge commit, a squash, a rebase."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass

from slackbot.sandbox.github.git_commands import GitRepository
from slackbot.sandbox.github.git_process import GitError, run_git


@dataclass(frozen=True)
class Signature:
    """Who a commit is by."""

    name: str
    email: str

    @property
    def options(self) -> tuple[str, ...]:
        return "-c", f"user.name={self.name}", "-c", f"user.email={self.email}"


async def merge_commit(git: GitRepository, base: str, head: str, message: str, by: Signature) -> str | None:
    """The id of a commit that merges `head` into `base`; None when they conflict. Moves no branch."""
    return await _commit(git, base, head, (base, head), message, by)


async def squash_commit(git: GitRepository, base: str, head: str, message: str, by: Signature) -> str | None:
    """One commit on `base` with all that `head` changes; None when they conflict."""
    return await _commit(git, base, head, (base,), message, by)


async def rebased(git: GitRepository, base: str, head: str, by: Signature) -> str | None:
    """`head`'s own commits again on `base`; None when one of them conflicts, or one is a merge.

    Needs a place to work in: plumbing that rebases without one came with git 2.44.
    """
    if (await git.git("rev-list", "--merges", "--end-of-options", head, f"^{base}")).strip():
        return None
    place = tempfile.mkdtemp(prefix="devflow-rebase-")
    try:
        await git.git("worktree", "add", "-q", "--detach", place, head)
        try:
            await run_git("-C", place, *by.options, "-c", "core.hooksPath=/dev/null", "rebase", "-q", "--no-ff", base)
            return (await run_git("-C", place, "rev-parse", "HEAD")).decode().strip()
        except GitError:
            return None
    finally:
        with suppress(GitError):
            await git.git("worktree", "remove", "--force", place)
        shutil.rmtree(place, ignore_errors=True)


async def _commit(
    git: GitRepository, base: str, head: str, parents: tuple[str, ...], message: str, by: Signature
) -> str | None:
    try:
        tree = (await git.git("merge-tree", "--write-tree", "--no-messages", base, head)).decode().strip()
    except GitError as error:
        if error.returncode == 1:
            return None
        raise
    joined = [part for parent in parents for part in ("-p", parent)]
    made = await git.git(*by.options, "commit-tree", tree, *joined, stdin=message.encode())
    return made.decode().strip()
