"""Undo: one new commit on the branch that takes back what earlier commits brought. Never a force.

The commit is made in the worker's own repository, the agent's checkout follows, and `Publisher` pushes it as it pushes
everything else. Called by `turn_branch.py` for a turn with `undo` in it.
"""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass

from slackbot.core.errors import DevflowError
from slackbot.worker.checkout import Checkout
from slackbot.worker.git import Git, GitFailed
from slackbot.worker.publish import Leave, Published, Publisher
from slackbot.worker.push_words import NotPushed
from slackbot.worker_protocol import UndoWork

_SHOWN_FILES = 10


class CannotUndo(DevflowError):
    """The commits cannot be taken back, and why; nothing was changed."""


@dataclass(frozen=True)
class Undone:
    """`published` is None where nothing was left to take back; `saved`: unfinished work was committed first."""

    published: Published | None
    saved: bool


async def undo(
    checkout: Checkout, publisher: Publisher, work: UndoWork, message: str, leave: Leave | None = None
) -> Undone:
    """Takes `base_sha..commit_sha` back. `CannotUndo` names the files in which later changes are in the way.

    `leave` asks a person where files that need a yes would change (`Publisher.publish`).
    """
    head, _ = await checkout.commit_leftovers("Save unfinished work\n\nDevFlow-Saved: undo\n")
    saved = await publisher.publish(head, leave) is not None
    before = checkout.synced
    reverted = await _revert(checkout, work, before, message)
    if reverted is None:
        return Undone(None, saved)
    await checkout.move(reverted, before)
    try:
        return Undone(await publisher.publish(reverted, leave), saved)
    except NotPushed:
        # What is not on the branch shall not wait in the checkout for the next turn to push it.
        await checkout.move(before, reverted)
        raise


async def _revert(checkout: Checkout, work: UndoWork, head: str, message: str) -> str | None:
    """The commit on top of `head`; None when nothing is left to take back."""
    origin = checkout.origin
    if not await _is_ancestor(origin, work.commit_sha, head):
        raise CannotUndo(
            f"Commit {work.commit_sha[:10]} is not on the branch {checkout.name} (any more), so it cannot be undone.",
            "Look at the branch's history on GitHub.",
        )
    # A commit that leads from there back to what was before: picking it is the whole range undone at once, merges too.
    tree_before = (await origin("rev-parse", "--verify", f"{work.base_sha}^{{tree}}")).strip()
    back = (await origin("commit-tree", tree_before, "-p", work.commit_sha, "-F", "-", stdin=b"back")).strip()
    place = checkout.place
    tree = place.scratch / "undo"
    await origin("worktree", "add", "--quiet", "--detach", str(tree), head)
    inside = Git(None, place.scratch, cwd=tree, person=checkout.person)
    try:
        try:
            await inside("cherry-pick", "--no-commit", back)
        except GitFailed as failure:
            listing = await inside("diff", "--name-only", "-z", "--diff-filter=U")
            files = [name for name in listing.split("\0") if name]
            if not files:
                raise CannotUndo(f"It could not be undone: {failure.summary}", "Ask the agent to do it.") from failure
            shown = ", ".join(files[:_SHOWN_FILES])
            more = f" and {len(files) - _SHOWN_FILES} more" if len(files) > _SHOWN_FILES else ""
            raise CannotUndo(
                f"It could not be undone: later commits changed the same lines in {shown}{more}. Nothing was changed.",
                "Undo those first, or ask the agent to take it back by hand.",
            ) from failure
        made = (await inside("write-tree")).strip()
    finally:
        await origin.run("worktree", "remove", "--force", "--force", str(tree))
        await asyncio.to_thread(shutil.rmtree, tree, ignore_errors=True)
        await origin.run("worktree", "prune")
    if made == (await origin("rev-parse", f"{head}^{{tree}}")).strip():
        return None
    return (await origin("commit-tree", made, "-p", head, "-F", "-", stdin=message.encode())).strip()


async def _is_ancestor(origin: Git, ancestor: str, commit: str) -> bool:
    status, _, _ = await origin.run("merge-base", "--is-ancestor", ancestor, commit)
    return status == 0
