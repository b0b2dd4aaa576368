"""The worker's clean bare repository and the agent's checkout beside it.

Commits come from the hosted repository into `origin.git`, whose objects the checkout borrows, and come back as a
bundle. Whatever is done in the checkout is done as the agent's user (`Confinement`); and because that may be the
worker's own, nothing there is believed either: for every step that could run something (filters, hooks, fsmonitor, ...)
git works with a repository directory and a configuration apart (`staging.git`), and borrows files and objects alone.
Where both lie is in `place.py`; how the files become a tree is in `leftovers.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from slackbot.worker.git import LOCAL_SECONDS, Git, GitFailed
from slackbot.worker.git_identity import Credentials, Person, config_text, url_prefix
from slackbot.worker.guarded_files import named
from slackbot.worker.leftovers import MAX_BLOB_BYTES, Leftovers
from slackbot.worker.place import OUTSIDE_VERSION_CONTROL, CheckoutBroken, Place
from slackbot.worker_protocol import SessionInfo

CLONE_DEPTH = 100
"""Commits of branch and base that a clone fetches: enough for most questions, and quick in a repository of any age."""
DEEPER = (500, 5_000, 2_000_000)
"""So many more, until branch and base meet; the last is all there is."""

INSIDE_SECONDS = 30.0
"""The longest a look into the agent's repository may take, or a ref's change there: what hangs, it made hang."""

NOTHING_ELSE: Mapping[str, str] = {}


class Checkout:
    """Both repositories of a worker. `known` are commits that both of them have."""

    def __init__(self, place: Place, info: SessionInfo) -> None:
        self.place = place
        self.name = info.branch_name
        self.branch = f"refs/heads/{info.branch_name}"
        self.remote_ref = info.push_ref or self.branch
        """Where the host keeps the session's commits: the branch, or a ref of the session's own."""
        self.base = f"refs/heads/{info.base_branch}"
        self.url = info.clone_url
        self.prefix = url_prefix(info.clone_url)
        self.person = Person(info.committer_name, info.committer_email)
        self.known: set[str] = set()
        self.merging: str | None = None
        """The commit that is merged into the checkout, until the merge is committed."""
        self.synced = ""
        """The head of the branch that the checkout stands on: what was cloned, then what was pushed."""
        scheme = urlsplit(info.clone_url).scheme
        self.origin = Git(place.origin, place.scratch, protocols=scheme, person=self.person)
        home = place.home if place.confinement.is_separate else place.scratch
        inside = place.checkout / ".git"
        self._inside = Git(inside, home, person=self.person, confinement=place.confinement, seconds=INSIDE_SECONDS)
        self.staging = Git(
            place.staging,
            home,
            confinement=place.confinement,
            work_tree=place.checkout,
            objects=place.checkout / ".git" / "objects",
            index=place.staging / "index",
            person=self.person,
            cwd=place.checkout,
        )
        self._leftovers = Leftovers(place, self.staging)

    # -- from the host into the checkout ------------------------------------------------------------

    async def clone(self, credentials: Credentials) -> None:
        """Fetches branch and base into the bare repository and checks the branch out for the agent."""
        # The agent's repositories are made while the host is asked: nothing is in them yet.
        making = asyncio.create_task(self._make_checkout())
        try:
            await self._fetch_first(credentials)
        finally:
            await making
        self.synced = await self.remote_head()
        await self.show_remote(also={self.branch: self.synced})
        filling = replace(self._inside, work_tree=self.place.checkout, seconds=LOCAL_SECONDS)
        await filling("read-tree", "-m", "-u", "HEAD")

    async def _fetch_first(self, credentials: Credentials) -> None:
        # The agent's user reads the objects and nothing else.
        shared = ["--shared=0644"] if self.place.confinement.is_separate else []
        make = ("init", "--quiet", "--bare", "--template=", f"--initial-branch={self.name}", *shared)
        await replace(self.origin, git_dir=None)(*make, "--", str(self.place.origin))
        await self.origin("check-ref-format", self.branch)
        await self.fetch(credentials, depth=CLONE_DEPTH)
        await self._connect(credentials)

    async def _make_checkout(self) -> None:
        """The agent's repository, which borrows the objects, and the directory that the worker stages with."""
        place, inside = self.place, self.place.checkout / ".git"
        anywhere = replace(self._inside, git_dir=None)
        await anywhere("init", "--quiet", "--bare", "--template=", "--", str(place.staging))
        await anywhere("init", "--quiet", "--template=", f"--initial-branch={self.name}", "--", str(place.checkout))
        excludes = "".join(f"{pattern}\n" for pattern in OUTSIDE_VERSION_CONTROL)
        self._leftovers.settings = await asyncio.to_thread(
            place.as_agent,
            'cd -- "$1" && mkdir -p objects/info info && printf "%s\\n" "$2" > objects/info/alternates && '
            'printf "%s" "$3" >> info/exclude && cat >> config && cat -- "$4"',
            str(inside), str(place.origin / "objects"), excludes, str(place.staging / "config"),
            stdin=config_text(self.person),
        )  # fmt: skip

    async def fetch(self, credentials: Credentials, *, depth: int | None = None, deepen: int | None = None) -> None:
        """Brings the bare repository's branch (and base, while there is one) up to what the host has.

        `depth`: no more than so many commits of each; `deepen`: so many more than before.
        """
        refspecs = [f"+{self.remote_ref}:{self.branch}"]
        if self.base != self.branch:
            refspecs.append(f"+{self.base}:{self.base}")
        how = [*([f"--depth={depth}"] if depth else []), *([f"--deepen={deepen}"] if deepen else [])]
        try:
            await self.origin("fetch", "--quiet", *how, "--", self.url, *refspecs, credentials=credentials)
        except GitFailed as failure:
            if "couldn't find remote ref" not in failure.output or len(refspecs) == 1:
                raise
            # The base may be gone meanwhile, as after a renamed default branch; the work does not need it.
            await self.origin("fetch", "--quiet", *how, "--", self.url, refspecs[0], credentials=credentials)

    async def _connect(self, credentials: Credentials) -> None:
        """Fetches more of the past until branch and base meet in it: a merge or a rebase needs that."""
        for deepen in DEEPER:
            if not await self.is_shallow() or await self._meet():
                return
            await self.fetch(credentials, deepen=deepen)

    async def is_shallow(self) -> bool:
        """Whether the bare repository holds the newest part of the history alone."""
        return await asyncio.to_thread((self.place.origin / "shallow").is_file)

    async def _meet(self) -> bool:
        status, _, _ = await self.origin.run("merge-base", self.branch, self.base)
        # 128: there is no base (any more), so nothing to meet.
        return status != 1

    async def catch_up(self, credentials: Credentials) -> None:
        """Brings branch and base up to what the host has, with as much of the past as a merge needs."""
        await self.fetch(credentials)
        await self._connect(credentials)

    async def base_head(self) -> str:
        """The base's head on the host, as last fetched."""
        try:
            return (await self.origin("rev-parse", "--verify", f"{self.base}^{{commit}}")).strip()
        except GitFailed as failure:
            name = self.base.removeprefix("refs/heads/")
            raise CheckoutBroken(
                f"The repository has no branch {name} (any more), so it could not be merged.",
                "Choose another base for the pull request on GitHub.",
            ) from failure

    async def remote_head(self) -> str:
        """The branch's head on the host, as last fetched or pushed."""
        return (await self.origin("rev-parse", "--verify", f"{self.branch}^{{commit}}")).strip()

    async def show_remote(self, also: Mapping[str, str] = NOTHING_ELSE) -> None:
        """Gives the checkout what the bare repository knows, as refs/remotes/origin/*, and the refs of `also`."""
        refs = (await self.origin("for-each-ref", "--format=%(objectname) %(refname)", self.branch, self.base)).split(
            "\n"
        )
        # Where the history ends is told by a file of each repository; the objects are borrowed.
        shallow = self.place.origin / "shallow"
        ends = await asyncio.to_thread(shallow.read_text) if await self.is_shallow() else ""
        script = 'rm -f -- "$1/shallow" "$2/shallow"; if [ -n "$3" ]; then tee -- "$1/shallow" > "$2/shallow"; fi'
        repositories = (str(self.place.checkout / ".git"), str(self.place.staging))
        self.place.as_agent(script, *repositories, ends[:1], stdin=ends)
        shown = dict(also)
        for line in filter(None, refs):
            sha, _, ref = line.partition(" ")
            shown[ref.replace("refs/heads/", "refs/remotes/origin/", 1)] = sha
            self.known.add(sha)
        orders = "".join(f"update {ref} {sha}\n" for ref, sha in shown.items())
        await self._inside("update-ref", "--stdin", stdin=orders.encode())

    async def file_of_base(self, name: str, limit_bytes: int) -> str | None:
        """A file as the base branch on the host has it; None when it is not there, or larger than that."""
        status, size, _ = await self.origin.run("cat-file", "-s", f"{self.base}:{name}")
        if status != 0 or int(size) > limit_bytes:
            return None
        return await self.origin("cat-file", "blob", f"{self.base}:{name}")

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
        tree, nested = await self._leftovers.tree(head, merging=self.merging is not None)
        parents = ["-p", head]
        if self.merging is not None and not await self.descends(head, self.merging):
            parents += ["-p", self.merging]
        elif tree == (await self.staging("rev-parse", f"{head}^{{tree}}")).strip():
            self.end_merge()
            return head, nested
        commit = await self.staging("commit-tree", tree, *parents, "-F", "-", stdin=message.encode())
        await self.adopt(commit.strip(), head)
        self.end_merge()
        return commit.strip(), nested

    @property
    def left_out(self) -> str:
        """Which files the last commit or tree of the checkout does not hold as they are, and why; "" for none."""
        unread, too_large = self._leftovers.unread, self._leftovers.too_large
        megabytes = MAX_BLOB_BYTES // 2**20
        return " ".join(
            [
                *([f"Not committed, because they cannot be read: {named(unread)}."] if unread else []),
                *(
                    [f"Not committed, because GitHub takes no file of more than {megabytes} MiB: {named(too_large)}."]
                    if too_large
                    else []
                ),
            ]
        )

    async def tree(self) -> str:
        """The tree of all files as they are now, committed or not; nothing is changed."""
        return (await self._leftovers.tree(await self.head(), merging=self.merging is not None))[0]

    async def changed_files(self, before: str, after: str) -> list[str]:
        """The files in which two commits or trees of the checkout differ."""
        listing = await self.staging("diff-tree", "-r", "-z", "--name-only", "--no-renames", before, after)
        return [name for name in listing.split("\0") if name]

    async def adopt(self, commit: str, old: str) -> None:
        """Moves the checkout's HEAD (whatever branch it names) and index to `commit`; its files are so already."""
        self.take_index()
        await self._inside("update-ref", "-m", "devflow", "HEAD", commit, old)

    def take_index(self) -> None:
        """Gives the agent's repository the index that the worker has staged."""
        index = self.place.checkout / ".git" / "index"
        # Never written through a link that the agent put there; with its time (-p), as git needs it (`Leftovers`).
        script = 'rm -f -- "$2.devflow" && cp -p -- "$1" "$2.devflow" && mv -f -- "$2.devflow" "$2"'
        self.place.as_agent(script, str(self.place.staging / "index"), str(index))

    def begin_merge(self, theirs: str, message: str) -> None:
        """Tells the agent's git of a merge that is not committed: a commit of its own concludes it."""
        self.merging = theirs
        self.take_index()
        # Never written through a link that the agent put there.
        script = 'cd -- "$1" && rm -f -- MERGE_HEAD MERGE_MSG && echo "$2" > MERGE_HEAD && cat > MERGE_MSG'
        self.place.as_agent(script, str(self.place.checkout / ".git"), theirs, stdin=message + "\n")

    def end_merge(self) -> None:
        """The merge is committed, or given up."""
        if self.merging is not None:
            self.merging = None
            script = 'cd -- "$1" && rm -f -- MERGE_HEAD MERGE_MSG MERGE_MODE'
            self.place.as_agent(script, str(self.place.checkout / ".git"))

    def with_markers(self, names: Sequence[str]) -> list[str]:
        """Those of these files that hold conflict markers still."""
        script = (
            'cd -- "$1" || exit 1; shift; for name; do if [ -f "$name" ] && [ ! -h "$name" ] && '
            "LC_ALL=C grep -qaE '^(<<<<<<<|>>>>>>>) ' -- \"$name\"; then printf '%s\\0' \"$name\"; fi; done"
        )
        found = self.place.as_agent(script, str(self.place.checkout), *(f"./{name}" for name in names))
        return [name.removeprefix("./") for name in found.split("\0") if name]

    async def move(self, new: str, old: str) -> None:
        """Brings HEAD, index and files from the commit `old` to `new`, which the bare repository has."""
        await self.show_remote()
        self._leftovers.renew(keep_index=True)
        await self.staging("read-tree", "--reset", "-u", new)
        await self.adopt(new, old)

    async def bundle(self, commit: str) -> Path | None:
        """What of `commit` the bare repository does not have, as a bundle; None when it has all."""
        known = [f"^{sha}" for sha in sorted(self.known)]
        if not await self.staging("rev-list", "--max-count=1", commit, *known):
            return None
        target = self.place.scratch / "turn.bundle"
        target.unlink(missing_ok=True)
        await self.staging("update-ref", "refs/devflow/turn", commit)
        # Written by the worker: the agent's user has no way into its directory.
        await self.staging("bundle", "create", "--quiet", "-", "refs/devflow/turn", *known, stdout=target)
        return target

    async def descends(self, commit: str, ancestor: str) -> bool:
        """Whether `ancestor` is in the history of `commit`, as the checkout has it."""
        status, _, errors = await self.staging.run("merge-base", "--is-ancestor", ancestor, commit)
        if status not in (0, 1):
            raise GitFailed("merge-base", status, errors)
        return status == 0
