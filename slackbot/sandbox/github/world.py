"""The stand-in's world: repositories as bare git directories beside the store, and what keeps the two in step.

`server.py` makes one; REST, git over HTTP and the pages work on it. Directories are named by id, so no name that
comes from outside ever touches the file system.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from slackbot.core.repository_name import RepositoryName
from slackbot.sandbox.github.git_commands import GitRepository, NewCommit
from slackbot.sandbox.github.git_process import GitError, run_git
from slackbot.sandbox.github.happenings import Happening
from slackbot.sandbox.github.store import PullRow, RepositoryRow, Store

log = structlog.get_logger()

_IMPORTED = "refs/devflow-import/"
_MERGES_KEPT = 1000
_HOOK = """#!/bin/sh
# Written by the sandbox at every start; git runs it before it accepts a push.
while read -r old new ref; do
  case "$ref" in
    refs/pull/*|refs/devflow-import/*) echo "deny updating a hidden ref: $ref" >&2; exit 1 ;;
  esac
  for branch in $SANDBOX_PROTECTED_BRANCHES; do
    [ "$ref" = "refs/heads/$branch" ] || continue
    echo "error: GH006: Protected branch update failed for $ref." >&2
    echo "error: Changes must be made through a pull request." >&2
    exit 1
  done
  case "$new" in *[!0]*) ;; *) continue ;; esac
  [ "$SANDBOX_MAY_CHANGE_WORKFLOWS" = 1 ] && continue
  file=$(git -c core.quotePath=false log -c --format= --name-only "$new" --not --all -- .github/workflows | head -n 1)
  if [ -n "$file" ]; then
    say="refusing to allow a GitHub App to create or update workflow"
    echo "$say \\`$file\\` without \\`workflows\\` permission" >&2
    exit 1
  fi
done
"""


class World:
    """State of the stand-in. `clock` gives Unix seconds."""

    def __init__(self, state_dir: Path, *, app_id: str, app_slug: str, clock: Callable[[], float]) -> None:
        self.app_id = app_id
        self.app_slug = app_slug
        self._clock = clock
        self._directory = state_dir / "repositories"
        self.hooks_directory = state_dir / "hooks"
        for directory in (state_dir, self._directory, self.hooks_directory):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        hook = self.hooks_directory / "pre-receive"
        hook.write_text(_HOOK)
        hook.chmod(0o700)
        self.store = Store(state_dir / "github.sqlite3")
        self._locks: dict[int, asyncio.Lock] = {}
        self.listeners: list[Callable[[Happening], None]] = []
        self.webhook_url: str | None = None
        self._branches: dict[int, dict[str, str]] = {}
        self._merges: dict[tuple[int, str, str], bool | None] = {}

    @property
    def app_login(self) -> str:
        return f"{self.app_slug}[bot]"

    def now(self) -> int:
        return int(self._clock())

    def close(self) -> None:
        self.store.close()

    def tell(self, happening: Happening) -> None:
        """Tells everyone who listens; none of them may fail or wait."""
        for listener in self.listeners:
            listener(happening)

    def git(self, repository: RepositoryRow) -> GitRepository:
        return GitRepository(self._directory / f"{repository.id}.git")

    def lock(self, repository: RepositoryRow) -> asyncio.Lock:
        """Held while refs and pull requests of one repository are changed together."""
        return self._locks.setdefault(repository.id, asyncio.Lock())

    async def size_kilobytes(self, repository: RepositoryRow) -> int:
        """0 exactly when there are no branches, as GitHub's `size` is for an empty repository."""
        git = self.git(repository)
        if not await git.branches():
            return 0
        counted = dict(line.split(": ") for line in (await git.git("count-objects", "-v")).decode().splitlines())
        return max(1, int(counted["size"]) + int(counted["size-pack"]))

    # ---------------------------------------------------------------------------- repositories

    async def create_repository(
        self,
        full_name: str,
        *,
        commits: Sequence[NewCommit] = (),
        private: bool = False,
        archived: bool = False,
        installed: bool = True,
        default_branch: str = "main",
        description: str = "",
        source_path: str | None = None,
    ) -> RepositoryRow:
        """Makes the repository with these commits on its default branch; FileExistsError when the name is in use."""
        name = RepositoryName(*full_name.split("/", 1))
        if self.store.repository(full_name) is not None:
            raise FileExistsError(f"The sandbox has a repository {full_name} already.")
        row = self.store.add_repository(
            full_name,
            account_type="User" if name.owner == "local" else "Organization",
            default_branch=default_branch,
            description=description,
            private=private,
            archived=archived,
            installed=installed,
            source_path=source_path,
            now=self.now(),
        )
        git = self.git(row)
        try:
            shutil.rmtree(git.path, ignore_errors=True)  # left by a run that was killed half-way
            await git.create(default_branch)
            if commits:
                await git.commit_files(default_branch, commits)
            self._branches[row.id] = await git.branches()
        except BaseException:
            self.store.remove_repository(row.id)
            shutil.rmtree(git.path, ignore_errors=True)
            raise
        return row

    async def import_repository(self, path: Path, full_name: str) -> RepositoryRow:
        """A bare copy of the git repository at `path`, or, when it is there already, its new commits.

        The original is only read, by `git upload-pack`, which obeys no hook and no command of its configuration.
        A branch that was pushed to or deleted here since the last import is left as it is, unless the
        original's is simply ahead. What is not committed there is not seen here. `GitError` when `path` is no
        git repository.
        """
        source = await asyncio.to_thread(os.path.realpath, path)
        safe = ("-c", f"safe.directory={source}", "-c", f"safe.directory={source}/.git")
        listed = (await run_git(*safe, "ls-remote", "--symref", "--", source, "HEAD", "refs/heads/*")).decode()
        head = re.search(r"^ref: refs/heads/(\S+)\tHEAD$", listed, re.MULTILINE)
        names = re.findall(r"\trefs/heads/(\S+)$", listed, re.MULTILINE)
        usual = next((name for name in ("main", "master") if name in names), names[0] if names else "main")
        default_branch = head.group(1) if head else usual
        row = self.store.repository(full_name)
        if row is None:
            description = f"A copy of {path.name} on this machine"
            row = await self.create_repository(
                full_name, default_branch=default_branch, description=description, source_path=source
            )
        if row.source_path != source:
            raise FileExistsError(f"The sandbox has another repository {full_name} already.")
        git = self.git(row)
        async with self.lock(row):
            before = await git.refs(_IMPORTED)
            await git.git(
                *(
                    *safe,
                    "fetch",
                    "-q",
                    "--prune",
                    "--no-auto-maintenance",
                    "--no-write-fetch-head",
                    "--update-shallow",
                ),
                *("--no-recurse-submodules", "--no-tags", "--", source),
                *(f"+refs/heads/*:{_IMPORTED}*", "+refs/tags/*:refs/tags/*"),
            )
            after = await git.refs(_IMPORTED)
            here = await git.branches()
            for ref, sha in after.items():
                branch_name = ref.removeprefix(_IMPORTED)
                mine = here.get(branch_name)
                untouched = mine == before.get(ref)  # also: never here before, and not here now
                if mine != sha and (untouched or (mine is not None and await git.is_ancestor(mine, sha))):
                    try:
                        await git.update_ref(f"refs/heads/{branch_name}", sha)
                    except GitError as error:  # a branch made here stands in the way (`a` beside `a/b`)
                        log.warning("import_branch_skipped", repository=full_name, branch=branch_name, git=str(error))
            if row.default_branch not in await git.branches() and default_branch in after:
                self.store.set_repository(row.id, default_branch=default_branch)
                await git.set_head(default_branch)
        await self.after_push(row)
        return self.store.repository_by_id(row.id) or row

    # ---------------------------------------------------------------------------- pull requests

    async def after_push(self, repository: RepositoryRow) -> None:
        """Branches may have moved: note it, and follow with the open pull requests.

        As on GitHub a pull request follows its head branch, closes when its head or base is deleted, and
        counts as merged once its commits are in the base.
        """
        git = self.git(repository)
        async with self.lock(repository):
            branches = await git.branches()
            self._tell_pushes(repository, branches)
            self.store.set_repository(repository.id, pushed_at=self.now())
            for pull in self.store.pulls(repository.id, state="open"):
                action = await self._follow(git, pull, branches.get(pull.head_ref), branches.get(pull.base_ref))
                if action:
                    after = self.store.pull(repository.id, pull.number)
                    rows = {"before": pull.head_sha}
                    self.tell(Happening("pull_request", action, repository, self.app_login, after, rows))

    def _tell_pushes(self, repository: RepositoryRow, branches: dict[str, str]) -> None:
        """What moved since the last look; nothing at the first look of this process."""
        before = self._branches.get(repository.id, branches)
        self._branches[repository.id] = branches
        for name in {*before, *branches}:
            if before.get(name) != branches.get(name):
                rows = {"ref": f"refs/heads/{name}", "before": before.get(name), "after": branches.get(name)}
                self.tell(Happening("push", "", repository, self.app_login, None, rows))

    async def _follow(self, git: GitRepository, pull: PullRow, head: str | None, base: str | None) -> str:
        """What happened to the pull request, as GitHub's event calls it; "" for nothing."""
        now, action = self.now(), ""
        if base is not None and await git.is_ancestor(head or pull.head_sha, base):
            merged = {"state": "closed", "merged": True, "merge_commit_sha": base, "closed_at": now}
            self.store.set_pull(pull, now, head_sha=head or pull.head_sha, merged_by=self.app_login, **merged)
            action = "closed"
        elif head is None or base is None:
            self.store.set_pull(pull, now, state="closed", closed_at=now)
            action = "closed"
        elif (head, base) != (pull.head_sha, pull.base_sha):
            self.store.set_pull(pull, now if head != pull.head_sha else pull.updated_at, head_sha=head, base_sha=base)
            action = "synchronize" if head != pull.head_sha else ""
        if head is not None and head != pull.head_sha:
            await git.update_ref(f"refs/pull/{pull.number}/head", head)
        return action

    # ------------------------------------------------------------------------------- mergeability

    async def merges(self, pull: PullRow) -> bool | None:
        """Whether head and base merge cleanly, worked out once for each pair; None when git cannot say."""
        key = pull.repository_id, pull.base_sha, pull.head_sha
        if key not in self._merges:
            if len(self._merges) >= _MERGES_KEPT:
                self._merges.clear()
            row = self.store.repository_by_id(pull.repository_id)
            self._merges[key] = await self.git(row).merges_cleanly(*key[1:]) if row is not None else None
        return self._merges[key]

    def known_merges(self, pull: PullRow) -> bool | None:
        """As far as it was worked out: GitHub does that after it was first asked, and says `UNKNOWN` then."""
        return self._merges.get((pull.repository_id, pull.base_sha, pull.head_sha))
