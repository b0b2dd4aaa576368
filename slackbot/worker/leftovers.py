"""The files of the agent's checkout as a git tree, in whatever state the agent left them.

Data: the files and the agent's own index and excludes in, read as the agent's user; a tree in `staging.git` out, which
`Checkout` commits. What is a repository of its own, or outside version control, is left out.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import NamedTuple

from slackbot.worker.git import Git, GitFailed
from slackbot.worker.logs import log
from slackbot.worker.place import OUTSIDE_VERSION_CONTROL, Place

MAX_BLOB_BYTES = 100 * 2**20
"""GitHub refuses a push with a larger file in it.
https://docs.github.com/en/repositories/working-with-files/managing-large-files/about-large-files-on-github"""
STALLED_SECONDS = 2.0
"""Who waits longer for git looks for what keeps it waiting."""

_GLOB = str.maketrans({character: f"\\{character}" for character in "\\*?[ "})


class Leftovers:
    """Stages with `staging`, a repository directory apart from the agent's."""

    def __init__(self, place: Place, staging: Git) -> None:
        self._place = place
        self._staging = staging
        self.settings = ""
        """The configuration that `staging` was made with."""
        self.unread: tuple[str, ...] = ()
        """The files that git could not read for the last tree, which has them as they were before, or not at all."""
        self.too_large: tuple[str, ...] = ()
        """The same of files that the host does not take."""

    async def tree(self, head: str, *, merging: bool = False) -> tuple[str, tuple[str, ...]]:
        """The files as a tree, and the directories left out of it. `merging`: what is new may be on the host already,
        and so is not too large for it."""
        self._write_excludes(())
        nested: tuple[str, ...] = ()
        try:
            is_whole = await self._stage(head, fresh=False)
            changes = await self._changes(head)
        except GitFailed as failure:
            log.info("staging_repeated", why=failure.summary)
            nested = self._nested_repositories()
            self._write_excludes(nested)
            is_whole = await self._stage(head, fresh=True)
            changes = await self._changes(head)
        if not is_whole and not nested and (nested := self._nested_repositories()):
            # One without a commit is no file and no link for git.
            self._write_excludes(nested)
            is_whole = await self._stage(head, fresh=False)
            changes = await self._changes(head)
        nested = tuple(dict.fromkeys([*nested, *(change.path for change in changes if change.is_new_link)]))
        for path in nested:
            await self._staging("update-index", "--force-remove", "--", path)
        self.unread = () if is_whole else await self._not_staged()
        self.too_large = () if merging else await self._without_large(changes)
        return (await self._staging("write-tree")).strip(), nested

    def renew(self, *, keep_index: bool = False) -> None:
        """Makes `staging` what it was at first, whatever the agent wrote there, or a git that was killed left there."""
        script = (
            'test ! -h "$1" && cd -- "$1" && rm -rf -- index.lock config.lock commondir config.worktree hooks info && '
            '{ [ -n "$2" ] || rm -f -- index; } && rm -f -- config && cat > config'
        )
        self._place.as_agent(script, str(self._place.staging), "keep" if keep_index else "", stdin=self.settings)

    async def _stage(self, head: str, *, fresh: bool) -> bool:
        """Whether all files could be staged. One that cannot be read (its mode, a socket or a FIFO in a file's place)
        keeps none of the others back."""
        # The agent's index: its stat data spares reading every file again, and it knows what was left out on purpose.
        # With its time (-p): a file of the same size that was changed no earlier than that is read all the same.
        # https://git-scm.com/docs/racy-git
        script = 'if [ -z "$1" ] && [ -f "$2" ] && [ -r "$2" ]; then cp -p -- "$2" "$3" && echo copied; fi'
        own, index = self._place.checkout / ".git" / "index", self._place.staging / "index"
        self.renew()
        if not self._place.as_agent(script, "fresh" if fresh else "", str(own), str(index)):
            await self._staging("read-tree", head)
        excludes = ("core.excludesFile", str(self._place.staging / "excludes"))
        add = ("add", "--all", "--ignore-errors", "--", ":/")
        async with self._unstalled():
            status, _, errors = await self._staging.run(*add, settings=[excludes])
        if status not in (0, 1):
            raise GitFailed("add", status, errors)
        return status == 0

    async def _not_staged(self) -> tuple[str, ...]:
        excludes = f"--exclude-from={self._place.staging / 'excludes'}"
        listing = await self._staging(
            "ls-files", "-z", "--modified", "--others", excludes, "--exclude-per-directory=.gitignore"
        )
        return tuple(dict.fromkeys(path for path in listing.split("\0") if path and not path.endswith("/")))

    @contextlib.asynccontextmanager
    async def _unstalled(self) -> AsyncIterator[None]:
        """git opens some files whatever they are, and waits for ever at a FIFO that nobody writes to."""

        async def watch() -> None:
            wait = STALLED_SECONDS
            while True:
                await asyncio.sleep(wait)
                await asyncio.to_thread(self._remove_fifos)
                wait *= 2

        watching = asyncio.create_task(watch())
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    def _remove_fifos(self) -> None:
        # A writer that comes and goes is the end of the file for who waits there.
        each = 'for path; do (exec 3<> "$path"; rm -f -- "$path"); printf "%s\\0" "$path"; done'
        script = (
            'cd -- "$1" && find . -path ./.git -prune -o -type p "(" -name .gitignore -o -name .gitattributes ")" '
            '-exec /bin/sh -c "$2" sh {} +'
        )
        found = self._place.as_agent(script, str(self._place.checkout), each)
        if found:
            log.info("fifos_removed", paths=found.rstrip("\0").split("\0")[:10])

    def _write_excludes(self, nested: tuple[str, ...]) -> None:
        own, excludes = self._place.checkout / ".git" / "info" / "exclude", self._place.staging / "excludes"
        # Only of a plain file, and bounded: the agent may have put anything there.
        script = 'rm -f -- "$2"; { if [ -f "$1" ] && [ -r "$1" ]; then head -c 1000000 -- "$1"; fi; cat; } > "$2"'
        lines = "".join(f"\n{pattern}" for pattern in OUTSIDE_VERSION_CONTROL)
        lines += "".join(f"\n/{path.translate(_GLOB)}/" for path in nested)
        self._place.as_agent(script, str(own), str(excludes), stdin=lines + "\n")

    def _nested_repositories(self) -> tuple[str, ...]:
        script = 'cd -- "$1" && find . -mindepth 2 -name .git -prune -print0'
        listing = self._place.as_agent(script, str(self._place.checkout)).split("\0")
        found = sorted(path.removeprefix("./").removesuffix("/.git") for path in listing if path)
        found = [path for path in found if not path.startswith(".git/")]
        return tuple(path for path in found if not any(path.startswith(f"{other}/") for other in found))

    async def _changes(self, head: str) -> list[_Change]:
        """What is staged that HEAD does not have so."""
        listing = await self._staging("diff-index", "--cached", "--raw", "-z", "--no-abbrev", "--no-renames", head)
        fields, found = listing.split("\0"), []
        for change, path in zip(fields[::2], fields[1::2], strict=False):
            old_mode, new_mode, old_sha, new_sha, _ = change.removeprefix(":").split()
            found.append(_Change(old_mode, new_mode, old_sha, new_sha, path))
        return found

    async def _without_large(self, changes: list[_Change]) -> tuple[str, ...]:
        """The files that are larger than the host takes, which are put back to what HEAD has of them."""
        blobs = {change.new_sha: change for change in changes if change.new_mode.startswith("100")}
        if not blobs:
            return ()
        asked = "".join(f"{sha}\n" for sha in blobs).encode()
        sizes = await self._staging("cat-file", "--batch-check=%(objectname) %(objectsize)", stdin=asked)
        large = {sha for sha, _, size in (line.partition(" ") for line in sizes.splitlines()) if _is_large(size)}
        found = [change for change in changes if change.new_sha in large]
        for change in found:
            if change.old_mode == "000000":
                await self._staging("update-index", "--force-remove", "--", change.path)
            else:
                entry = f"{change.old_mode},{change.old_sha},{change.path}"
                await self._staging("update-index", "--add", "--cacheinfo", entry)
        return tuple(change.path for change in found)


class _Change(NamedTuple):
    """A line of git's raw output: https://git-scm.com/docs/git-diff-index#_raw_output_format"""

    old_mode: str
    new_mode: str
    old_sha: str
    new_sha: str
    path: str

    @property
    def is_new_link(self) -> bool:
        """A submodule that HEAD does not have."""
        return self.new_mode == "160000" and self.old_mode == "000000"


def _is_large(size: str) -> bool:
    return size.isdecimal() and int(size) > MAX_BLOB_BYTES
