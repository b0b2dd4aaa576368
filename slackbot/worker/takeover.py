"""From the agent's checkout into the worker's bare repository: all objects checked, what needs a yes found.

Data: a commit of the checkout, as a bundle, in; the same commit in `origin.git` out, and what it changes.
"""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

from slackbot.worker.checkout import Checkout
from slackbot.worker.git import GitFailed
from slackbot.worker.guarded_files import guarded, named
from slackbot.worker.leftovers import MAX_BLOB_BYTES
from slackbot.worker.push_words import NotPushed, said

PLAIN = ("--no-renames", "--no-ext-diff", "--no-textconv")
"""A diff that runs nothing and follows nothing."""


class Takeover:
    """Of one checkout."""

    def __init__(self, checkout: Checkout) -> None:
        self._checkout = checkout
        self._origin = checkout.origin

    async def take(self, head: str) -> None:
        """Reads the checkout's new commits into the bare repository, every object checked."""
        bundle = await self._checkout.bundle(head)
        if bundle is not None:
            try:
                pack = await asyncio.to_thread(_pack_of, bundle)
                # What fetch.fsckObjects does elsewhere; git before 2.46 skips it for bundles.
                await self._origin("index-pack", "--strict", "--fix-thin", "--stdin", stdin=pack)
            except GitFailed as failure:
                raise NotPushed(
                    f"Nothing was pushed: git found the new commits to be malformed ({said(failure.output)}).",
                    "Ask the agent to make its commits again with plain git.",
                ) from failure
            finally:
                for path in self._checkout.place.scratch.glob("turn.*"):
                    path.unlink(missing_ok=True)
        await self._origin("update-ref", "refs/devflow/turn", head)

    async def guarded_files(self, head: str) -> list[str]:
        """The files that need a yes and that `head` changes; what it took over from the base is none of them."""
        found = guarded(await self._changed(self._checkout.synced, head))
        if not found or (await self._origin.run("rev-parse", "--verify", "--quiet", self._checkout.base))[0] != 0:
            return found
        own = set(await self._changed(self._checkout.base, head))
        return [name for name in found if name in own]

    async def _changed(self, before: str, after: str) -> list[str]:
        listing = await self._origin("diff", "--name-only", "-z", *PLAIN, before, after)
        return [name for name in listing.split("\0") if name]

    async def diff(self, names: list[str], head: str) -> str:
        """How `head` changes these files."""
        literal = [f":(literal){name}" for name in names]
        return await self._origin("diff", *PLAIN, self._checkout.synced, head, "--", *literal)

    async def large_files(self, head: str) -> list[str]:
        """The files that `head` changes and GitHub takes in no push."""
        raw = ("diff", "--raw", "-z", "--no-abbrev", "--diff-filter=AMT", *PLAIN, self._checkout.synced, head)
        fields = (await self._origin(*raw)).split("\0")
        blobs = {name: change.split()[3] for change, name in zip(fields[::2], fields[1::2], strict=False)}
        asked = "".join(f"{sha}\n" for sha in blobs.values()).encode()
        told = await self._origin("cat-file", "--batch-check=%(objectsize)", stdin=asked) if blobs else ""
        sizes = zip(blobs, told.splitlines(), strict=True)
        return [name for name, size in sizes if size.isdecimal() and int(size) > MAX_BLOB_BYTES]

    async def without(self, names: list[str], why: str, head: str) -> str:
        """A commit on the branch's head with the files of `head`, but for `names`, which stay as they were."""
        index = self._checkout.place.scratch / "index"
        index.unlink(missing_ok=True)
        origin, before = replace(self._origin, index=index, work_tree=index.parent), self._checkout.synced
        await origin("read-tree", head)
        for name in names:
            entry = (await origin("ls-tree", "-z", before, "--", f":(literal){name}")).rstrip("\0")
            mode, _, sha = entry.partition("\t")[0].split() if entry else ("", "", "")
            if entry:
                await origin("update-index", "--add", "--cacheinfo", f"{mode},{sha},{name}")
            else:
                await origin("update-index", "--force-remove", "--", name)
        tree = (await origin("write-tree")).strip()
        message = f"Save unfinished work\n\nWithout what {why}: {named(names)}.\n\nDevFlow-Saved: unasked\n"
        commit = await origin("commit-tree", tree, "-p", before, "-F", "-", stdin=message.encode())
        await origin("update-ref", "refs/devflow/turn", commit.strip())
        return commit.strip()


def _pack_of(bundle: Path) -> Path:
    """The pack inside a bundle: all that follows the empty line (https://git-scm.com/docs/gitformat-bundle)."""
    pack = bundle.with_suffix(".pack")
    with bundle.open("rb") as source, pack.open("wb") as target:
        while source.readline() not in (b"\n", b""):
            pass
        shutil.copyfileobj(source, target)
    return pack
