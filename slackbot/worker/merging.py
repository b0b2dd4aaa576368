"""The base merged into the agent's checkout: committed at once when it is clean, else left with conflict markers.

Used by `turn_branch.py`. The merge is computed by git itself in the worker's own repository directory, so that nothing
the agent wrote decides how (https://git-scm.com/docs/git-merge-tree); the agent resolves what git could not.
"""

from __future__ import annotations

from dataclasses import dataclass

from slackbot.core.errors import DevflowError
from slackbot.worker.checkout import Checkout
from slackbot.worker.git import GitFailed

MAX_NAMED = 20


class NotMerged(DevflowError):
    """The base could not be merged, or the merge cannot be concluded as it stands."""


@dataclass(frozen=True)
class Merge:
    """A merge that waits for the agent: `theirs` is the base's commit, `conflicts` the files with markers."""

    base: str
    theirs: str
    conflicts: tuple[str, ...]


async def begin_merge(checkout: Checkout, base: str, theirs: str) -> Merge | str | None:
    """Merges `theirs` into the checkout's HEAD, whose changes are committed and whose objects it has.

    None when it has all of it already, the new commit when the merge is clean, else what the agent has to resolve.
    """
    head = await checkout.head()
    if await checkout.descends(head, theirs):
        return None
    staging = checkout.staging
    status, output, errors = await staging.run(
        "merge-tree", "--write-tree", "--no-messages", "--name-only", "-z", head, theirs
    )
    if status not in (0, 1):
        raise NotMerged(
            f"`{base}` could not be merged: {GitFailed('merge-tree', status, errors).summary}",
            "Ask the agent to merge it by hand.",
        )
    tree, *names = output.split("\0")
    await staging("read-tree", "--reset", "-u", tree)
    if status == 0:
        commit = (await staging("commit-tree", tree, "-p", head, "-p", theirs, "-m", _message(checkout, base))).strip()
        await checkout.adopt(commit, head)
        return commit
    checkout.begin_merge(theirs, _message(checkout, base))
    return Merge(base, theirs, tuple(name for name in names if name))


def check_resolved(checkout: Checkout, merge: Merge) -> None:
    """`NotMerged` when a file still holds a marker: such a merge is never pushed."""
    left = checkout.with_markers(merge.conflicts)
    if left:
        shown = ", ".join(left[:MAX_NAMED]) + (f" and {len(left) - MAX_NAMED} more" if len(left) > MAX_NAMED else "")
        raise NotMerged(
            f"Nothing was pushed: conflict markers are left in {shown}.",
            "The merge is kept in the agent's checkout. Tell the agent how to resolve them, or stop the session.",
        )


async def abandon_merge(checkout: Checkout) -> None:
    """Puts the checkout back to its HEAD: the merge can be begun again."""
    if checkout.merging is None:
        return
    head = await checkout.head()
    await checkout.staging("read-tree", "--reset", "-u", head)
    checkout.take_index()
    checkout.end_merge()


def conflicts_text(merge: Merge) -> str:
    """What the agent is told of the merge, besides its prompt."""
    names = "\n".join(f"- {name}" for name in merge.conflicts[:MAX_NAMED])
    more = len(merge.conflicts) - MAX_NAMED
    return (
        f"The merge of {merge.base} into this checkout has begun and is not committed. These files hold conflict "
        f"markers:\n{names}" + (f"\n- and {more} more" if more > 0 else "")
    )


def _message(checkout: Checkout, base: str) -> str:
    return f"Merge branch '{base}' into {checkout.name}"
