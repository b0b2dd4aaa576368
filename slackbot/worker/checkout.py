"""The worker's clean bare repository and the agent's checkout beside it.

Commits come from the hosted repository, go into the checkout, and come back from it as a bundle. Nothing
that the agent can write is believed: for every step on its checkout that could run something (filters,
hooks, fsmonitor, ...) git works with a repository directory and a configuration of the worker's own
(`staging.git`) and borrows only the checkout's files and objects.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from slackbot.core.errors import DevflowError, PermanentError
from slackbot.worker.git import Credentials, Git, GitFailed, Person
from slackbot.worker_protocol import SessionInfo

log = structlog.get_logger()

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class CheckoutBroken(DevflowError):
    """The agent left something behind that git cannot take over."""


@dataclass(frozen=True)
class Place:
    """Where everything of one worker lies, below one private directory."""

    root: Path

    @property
    def origin(self) -> Path:
        return self.root / "origin.git"

    @property
    def staging(self) -> Path:
        return self.root / "staging.git"

    @property
    def checkout(self) -> Path:
        return self.root / "checkout"

    @property
    def home(self) -> Path:
        """The agent's HOME."""
        return self.root / "home"

    @property
    def scratch(self) -> Path:
        """Bundles, temporary worktrees, and the (empty) HOME of the worker's git."""
        return self.root / "scratch"

    def prepare(self) -> None:
        """Makes the directories, readable by this user alone; what an earlier worker left there goes."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root.chmod(0o700)
        for path in (self.origin, self.staging, self.checkout, self.home, self.scratch):
            shutil.rmtree(path, ignore_errors=True)
        for path in (self.home, self.scratch):
            path.mkdir(mode=0o700)


def url_prefix(clone_url: str) -> str:
    """`scheme://host[:port]` of a clone address that the worker may send a token to; PermanentError else."""
    parts = urlsplit(clone_url)
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if not secure or not parts.hostname or "@" in parts.netloc or clone_url.startswith("-"):
        raise PermanentError(
            "The repository's address is not an https address without credentials in it, so no token was sent there.",
            "Look at the GitHub settings of the bot.",
        )
    return f"{parts.scheme}://{parts.netloc}"


class Checkout:
    """Both repositories of a worker. `known` are commits that both of them have."""

    def __init__(self, place: Place, info: SessionInfo) -> None:
        self.place = place
        self.name = info.branch_name
        self.branch = f"refs/heads/{info.branch_name}"
        self.base = f"refs/heads/{info.base_branch}"
        self.url = info.clone_url
        self.prefix = url_prefix(info.clone_url)
        self.person = Person(info.committer_name, info.committer_email)
        self.known: set[str] = set()
        self.synced = ""
        """The head of the branch that the checkout stands on: what was cloned, then what was pushed."""
        scheme = urlsplit(info.clone_url).scheme
        self.origin = Git(place.origin, place.scratch, protocols=scheme, person=self.person)
        self._inside = Git(place.checkout / ".git", place.scratch, person=self.person)
        self._staging = Git(
            place.staging,
            place.scratch,
            work_tree=place.checkout,
            objects=place.checkout / ".git" / "objects",
            index=place.staging / "index",
            person=self.person,
            cwd=place.checkout,
        )

    # -- from the host into the checkout ------------------------------------------------------------

    async def clone(self, credentials: Credentials) -> None:
        """Fetches branch and base into the bare repository and checks the branch out for the agent."""
        anywhere = replace(self.origin, git_dir=None)
        for path in (self.place.origin, self.place.staging):
            await anywhere("init", "--quiet", "--bare", "--template=", "--", str(path))
        await self.origin("check-ref-format", self.branch)
        await self.fetch(credentials)
        await self.origin("symbolic-ref", "HEAD", self.branch)
        local = replace(anywhere, protocols="file")
        await local(
            "clone", "--quiet", "--no-hardlinks", "--single-branch", "--branch", self.name,
            "--", str(self.place.origin), str(self.place.checkout),
        )  # fmt: skip
        await self._inside("remote", "remove", "origin")
        for name, value in (
            ("user.name", self.person.name),
            ("user.email", self.person.email),
            ("commit.gpgSign", "false"),
        ):
            await self._inside("config", name, value)
        self.synced = await self.remote_head()
        await self.show_remote()

    async def fetch(self, credentials: Credentials) -> None:
        """Brings the bare repository's branch (and base, while there is one) up to what the host has."""
        refspecs = [f"+{ref}:{ref}" for ref in dict.fromkeys((self.branch, self.base))]
        try:
            await self.origin("fetch", "--quiet", "--", self.url, *refspecs, credentials=credentials)
        except GitFailed as failure:
            if "couldn't find remote ref" not in failure.output or len(refspecs) == 1:
                raise
            # The base may be gone meanwhile, as after a renamed default branch; the work does not need it.
            await self.origin("fetch", "--quiet", "--", self.url, refspecs[0], credentials=credentials)

    async def remote_head(self) -> str:
        """The branch's head on the host, as last fetched or pushed."""
        return (await self.origin("rev-parse", "--verify", f"{self.branch}^{{commit}}")).strip()

    async def show_remote(self) -> None:
        """Gives the checkout what the bare repository knows, as refs/remotes/origin/*."""
        refs = (await self.origin("for-each-ref", "--format=%(objectname) %(refname)", self.branch, self.base)).split(
            "\n"
        )
        await replace(self._staging, protocols="file")(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", str(self.place.origin),
            "+refs/heads/*:refs/devflow/remote/*",
        )  # fmt: skip
        for line in filter(None, refs):
            sha, _, ref = line.partition(" ")
            await self._inside("update-ref", ref.replace("refs/heads/", "refs/remotes/origin/", 1), sha)
            self.known.add(sha)

    # -- from the checkout --------------------------------------------------------------------------

    async def head(self) -> str:
        """The commit that the checkout's HEAD names; CheckoutBroken when there is none."""
        try:
            return (await self._inside("rev-parse", "--verify", "--quiet", "HEAD^{commit}")).strip()
        except (GitFailed, OSError) as failure:
            raise CheckoutBroken(
                "The agent left its checkout without a usable git repository, so nothing of this turn could be pushed.",
                "Stop the session and start a new one; what was pushed before is safe on the branch.",
            ) from failure

    async def commit_leftovers(self, message: str) -> tuple[str, tuple[str, ...]]:
        """Commits what the agent left uncommitted on top of its HEAD.

        Gives the head afterwards (the old one when nothing was left) and the directories left out because
        they are git repositories of their own.
        """
        head = await self.head()
        self._write_excludes(())
        nested: tuple[str, ...] = ()
        try:
            await self._stage(head, fresh=False)
            nested = await self._new_links(head)
        except GitFailed as failure:
            log.info("staging_repeated", why=failure.summary)
            nested = self._nested_repositories()
            self._write_excludes(nested)
            await self._stage(head, fresh=True)
            nested += await self._new_links(head)
        for path in nested:
            await self._staging("update-index", "--force-remove", "--", path)
        tree = (await self._staging("write-tree")).strip()
        if tree == (await self._staging("rev-parse", f"{head}^{{tree}}")).strip():
            return head, nested
        commit = await self._staging("commit-tree", tree, "-p", head, "-F", "-", stdin=message.encode())
        await self._adopt(commit.strip(), head)
        return commit.strip(), nested

    async def _stage(self, head: str, *, fresh: bool) -> None:
        index = self.place.staging / "index"
        index.unlink(missing_ok=True)
        own = self.place.checkout / ".git" / "index"
        if not fresh and own.is_file():
            # Its stat data spares reading every file again, and it knows what the agent left out on purpose.
            shutil.copyfile(own, index)
        else:
            await self._staging("read-tree", head)
        excludes = ("core.excludesFile", str(self.place.scratch / "excludes"))
        await self._staging("add", "--all", "--", ":/", settings=[excludes])

    def _write_excludes(self, nested: tuple[str, ...]) -> None:
        own = self.place.checkout / ".git" / "info" / "exclude"
        lines = own.read_text(errors="replace") if own.is_file() else ""
        lines += "".join(f"\n/{path.translate(_GLOB)}/" for path in nested)
        (self.place.scratch / "excludes").write_text(lines)

    def _nested_repositories(self) -> tuple[str, ...]:
        found = []
        for parent, directories, files in os.walk(self.place.checkout):
            if Path(parent) != self.place.checkout and (".git" in directories or ".git" in files):
                found.append(os.path.relpath(parent, self.place.checkout))
                directories.clear()
            with contextlib.suppress(ValueError):
                directories.remove(".git")
        return tuple(found)

    async def _new_links(self, head: str) -> tuple[str, ...]:
        """Submodule links staged now that HEAD does not have."""
        changes = (await self._staging("diff-index", "--cached", "--raw", "-z", "--no-renames", head)).split("\0")
        return tuple(
            path for change, path in zip(changes[::2], changes[1::2], strict=False)
            if change.split()[1] == "160000" and change.split()[0] == ":000000"
        )  # fmt: skip

    async def _adopt(self, commit: str, old: str) -> None:
        """Moves the checkout's HEAD (whatever branch it names) and index to `commit`; its files are so already."""
        index = self.place.checkout / ".git" / "index"
        fresh = index.with_name("index.devflow")
        fresh.unlink(missing_ok=True)  # never write through a link that the agent put there
        shutil.copyfile(self.place.staging / "index", fresh)
        fresh.replace(index)
        await self._inside("update-ref", "-m", "devflow", "HEAD", commit, old)

    async def move(self, new: str, old: str) -> None:
        """Brings HEAD, index and files from the commit `old` to `new`, which the bare repository has."""
        await self.origin("update-ref", "refs/heads/devflow-moved", new)
        try:
            await self.show_remote()
        finally:
            await self.origin("update-ref", "-d", "refs/heads/devflow-moved")
        await self._staging("read-tree", "--reset", "-u", new)
        await self._adopt(new, old)

    async def bundle(self, commit: str) -> Path | None:
        """What of `commit` the bare repository does not have, as a bundle; None when it has all."""
        known = [f"^{sha}" for sha in sorted(self.known)]
        if not await self._staging("rev-list", "--max-count=1", commit, *known):
            return None
        target = self.place.scratch / "turn.bundle"
        target.unlink(missing_ok=True)
        await self._staging("update-ref", "refs/devflow/turn", commit)
        await self._staging("bundle", "create", "--quiet", str(target), "refs/devflow/turn", *known)
        return target

    async def descends(self, commit: str, ancestor: str) -> bool:
        """Whether `ancestor` is in the history of `commit`, as the checkout has it."""
        status, _, errors = await self._staging.run("merge-base", "--is-ancestor", ancestor, commit)
        if status not in (0, 1):
            raise GitFailed("merge-base", status, errors)
        return status == 0


_GLOB = str.maketrans({character: f"\\{character}" for character in "\\*?[ "})
