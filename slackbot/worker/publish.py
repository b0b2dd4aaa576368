"""From the agent's checkout to the branch on the host: take over, push, and rebase when others were faster.

The commits come as a bundle out of the checkout; the push leaves from the worker's bare repository with a
short-lived token. The branch is never forced. Rules of git's push output:
https://git-scm.com/docs/git-push#_output
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from slackbot.worker.checkout import Checkout
from slackbot.worker.git import Git, GitFailed
from slackbot.worker.git_identity import Credentials
from slackbot.worker.guarded_files import named
from slackbot.worker.logs import log
from slackbot.worker.push_words import NeedsLeave, NotPushed, remedy, said
from slackbot.worker.takeover import PLAIN, Takeover

PUSH_ATTEMPTS = 3
RETRY_SECONDS = 1.0

_RACE = re.compile(r"cannot lock ref .* is at \w+ but expected")
"""What the host says when another push came in between its two looks at the branch."""

TURN_TRAILER = "DevFlow-Turn"
"""Names the turn in the message of the commit that DevFlow makes of it."""
LOOKED_AT = 200
"""So many commits back a turn's commit is looked for."""

Leave = Callable[[list[str], str], Awaitable[bool]]
"""Asks a person: the files, and the change as a diff."""

Announce = Callable[[str, str], Awaitable[None]]
"""Hears what is about to be pushed: the commit, and where the branch stands before."""

TokenSource = Callable[[bool], Awaitable[Credentials]]
"""Gives credentials; True asks for new ones because the last were refused."""


@dataclass(frozen=True)
class Published:
    """What is on the branch now, and how much of it is new."""

    commit_sha: str
    base_sha: str
    """What the branch stood at before."""
    files_changed: int
    additions: int
    deletions: int


class Publisher:
    """Takes commits over from one checkout and pushes them."""

    def __init__(self, checkout: Checkout, token: TokenSource) -> None:
        self._checkout = checkout
        self._origin = checkout.origin
        self._token = token
        self._takeover = Takeover(checkout)
        self._pushed_to = checkout.remote_ref
        self._token_may_too_little = False

    async def clone(self) -> None:
        """Makes both repositories; NotPushed says in a sentence why it could not."""
        branch = self._checkout.name
        try:
            await self._checkout.clone(await self._token(False))
        except GitFailed as failure:
            if "couldn't find remote ref" in failure.output:
                raise NotPushed(
                    f"The branch {branch} is not in the repository (any more).", "Start a new session."
                ) from failure
            raise NotPushed(
                f"The repository could not be cloned: {said(failure.output)}",
                "Check that the GitHub App may read it, then retry.",
            ) from failure

    async def publish(
        self, head: str, leave: Leave | None = None, announce: Announce | None = None
    ) -> Published | None:
        """Pushes `head`, a commit of the checkout, to the working branch; None when there is nothing new.

        `leave` asks a person whether files that need a yes (`guarded_files`) may go out; None = nobody can be asked.
        `announce` is told what is about to be pushed, so that somebody can look for it if this worker dies.

        When others pushed meanwhile, the commits are put on top of theirs and the checkout follows.
        NotPushed says what is in the way; the commits then stay for the next try.
        """
        checkout = self._checkout
        if head == checkout.synced and self._pushed_to == checkout.remote_ref:
            return None
        if not await checkout.descends(head, checkout.synced):
            raise NotPushed(
                f"Nothing was pushed: the checkout's HEAD ({head[:10]}) does not continue the working branch "
                f"({checkout.synced[:10]}), so pushing it would need force, which DevFlow never uses.",
                f"Ask the agent to check out {checkout.name} and to bring its changes there.",
            )
        await self._takeover.take(head)
        names = await self._takeover.guarded_files(head)
        if names and (leave is None or not await leave(names, await self._takeover.diff(names, head))):
            raise NeedsLeave(
                f"Nothing was pushed: the new commits change files that need a person's yes ({named(names)}).",
                "The commits are kept. Write again to be asked once more, or tell the agent to take them back.",
            )
        ours = head
        for _ in range(PUSH_ATTEMPTS):
            before = await checkout.remote_head()
            if announce is not None:
                await announce(ours, before)
            if await self._push(ours, checkout.remote_ref, checkout.branch):
                self._pushed_to = checkout.remote_ref
                return await self._settle(ours, head, before)
            await checkout.fetch(await self._token(False))
            theirs = await checkout.remote_head()
            if await self._is_ancestor(ours, theirs):  # an earlier push arrived, only its answer was lost
                return await self._settle(theirs, head, before)
            if not await self._is_ancestor(theirs, ours):
                ours = await self._rebase(ours, theirs)
        raise NotPushed(
            f"Nothing was pushed: others pushed to the branch {PUSH_ATTEMPTS} times while DevFlow tried.",
            "The commits are kept; write again, or press Retry, to push them with the next turn.",
        )

    async def catch_up(self) -> None:
        """Brings branch and base up to what the host has; the checkout follows where nothing of its own waits."""
        checkout = self._checkout
        await checkout.catch_up(await self._token(False))
        theirs, head = await checkout.remote_head(), await checkout.head()
        if head == checkout.synced and theirs != head:
            await checkout.move(theirs, head)
            checkout.synced = theirs
        await checkout.show_remote()

    async def rescue(self, head: str) -> str:
        """Pushes `head` to a branch of its own beside the working branch, and names it: the last resort
        before the checkout goes away. Files that need a person's yes, and those that GitHub takes in no push, stay as
        they were."""
        ref = f"{self._checkout.remote_ref}-unsaved-{head[:10]}"
        name = ref.removeprefix("refs/heads/")
        await self._takeover.take(head)
        names = await self._takeover.guarded_files(head)
        if names:
            head = await self._takeover.without(names, "needs a person's yes", head)
        large = await self._takeover.large_files(head)
        if large:
            head = await self._takeover.without(large, "GitHub takes in no push", head)
        if not await self._push(head, ref, ref):
            raise NotPushed(f"The branch {name} already exists with other commits.")
        return name

    async def find_turn(self, turn_ids: Sequence[str]) -> str | None:
        """The newest commit of the branch that one of these turns left, by its trailer; None when there is none."""
        trailer = f"%H%x09%(trailers:key={TURN_TRAILER},valueonly,separator=%x20)"
        listing = await self._origin("log", f"--max-count={LOOKED_AT}", f"--format={trailer}", self._checkout.branch)
        for line in listing.splitlines():
            sha, _, turns = line.partition("\t")
            if set(turns.split()) & set(turn_ids):
                return sha
        return None

    async def find_push(self, head_sha: str, base_sha: str) -> Published | None:
        """What a push brought that was begun and not heard of again; None when it did not arrive."""
        if not await self._has(head_sha):
            return None
        if not await self._is_ancestor(head_sha, await self._checkout.remote_head()):
            return None
        # Where the branch stood may lie deeper in the past than what was cloned of it.
        return await self._counted(base_sha, head_sha) if await self._has(base_sha) else await self.stat(head_sha)

    async def stat(self, commit: str) -> Published:
        """What one commit of the branch brought."""
        return await self._counted(f"{commit}^", commit)

    # -- steps --------------------------------------------------------------------------------------

    async def _push(self, commit: str, ref: str, own: str) -> bool:
        """True when `ref` on the host is at `commit` (`own`: its name here); False when it has moved on."""
        refused_once = False
        for attempt in range(PUSH_ATTEMPTS):
            credentials = await self._token(refused_once or self._token_may_too_little)
            self._token_may_too_little = False
            status, output, errors = await self._origin.run(
                "push", "--porcelain", "--no-verify", "--", self._checkout.url, f"{commit}:{ref}",
                credentials=credentials,
            )  # fmt: skip
            if status == 0:
                await self._origin("update-ref", own, commit)
                return True
            verdict = next((line for line in output.splitlines() if line.startswith("!")), "")
            if "[rejected]" in verdict or _RACE.search(errors):
                return False
            if "[remote rejected]" in verdict:
                # What the App is granted meanwhile, a token that was made before does not have.
                self._token_may_too_little = True
                raise NotPushed(f"GitHub refused the push: {said(errors, verdict)}", remedy(errors + verdict))
            unauthorized = re.search(r"Authentication failed|could not read (Username|Password)|error: 40[13]", errors)
            if unauthorized and refused_once:
                break
            refused_once = unauthorized is not None
            log.info("push_repeated", attempt=attempt + 1, why=said(errors))
            if not refused_once and attempt + 1 < PUSH_ATTEMPTS:
                await asyncio.sleep(RETRY_SECONDS * 2**attempt)
        raise NotPushed(
            f"The push did not succeed: {said(errors)}",
            "The commits are kept; write again, or press Retry, to push them with the next turn.",
        )

    async def _rebase(self, ours: str, theirs: str) -> str:
        """`ours`, as far as it is not on the branch yet, on top of `theirs`; NotPushed names the conflicts."""
        place = self._checkout.place
        tree = place.scratch / "rebase"
        await self._origin("worktree", "add", "--quiet", "--detach", str(tree), ours)
        inside = Git(None, place.scratch, cwd=tree, person=self._checkout.person)
        # Authors stay as they are; only the committer of what is rewritten is the bot.
        try:
            await inside("rebase", "--quiet", "--rebase-merges", "--onto", theirs, self._checkout.synced)
            return (await inside("rev-parse", "HEAD")).strip()
        except GitFailed as failure:
            files = [
                name for name in (await inside("diff", "--name-only", "-z", "--diff-filter=U")).split("\0") if name
            ]
            if not files:
                raise NotPushed(f"Nothing was pushed: {failure.summary}", "Write again to try once more.") from failure
            await self._checkout.show_remote()
            shown = ", ".join(files[:10]) + (f" and {len(files) - 10} more" if len(files) > 10 else "")
            branch = self._checkout.name
            raise NotPushed(
                f"Nothing was pushed: others pushed commits to {branch} that conflict with the new ones in {shown}.",
                f"The new commits are kept in the agent's checkout. Tell the agent: `git merge origin/{branch}`, "
                "resolve the conflicts, and commit; the next turn pushes the result.",
            ) from failure
        finally:
            await self._origin.run("worktree", "remove", "--force", "--force", str(tree))
            await asyncio.to_thread(shutil.rmtree, tree, ignore_errors=True)
            await self._origin.run("worktree", "prune")

    async def _settle(self, pushed: str, head: str, before: str) -> Published:
        checkout = self._checkout
        if pushed != head:
            await checkout.move(pushed, head)
        checkout.synced = pushed
        await checkout.show_remote()
        return await self._counted(before, pushed)

    async def _counted(self, before: str, pushed: str) -> Published:
        listing = await self._origin("diff", "--numstat", "-z", *PLAIN, before, pushed)
        rows = [row.split("\t") for row in listing.split("\0") if row]
        added, removed = (sum(int(row[column]) for row in rows if row[column] != "-") for column in (0, 1))
        base_sha = (await self._origin("rev-parse", "--verify", f"{before}^{{commit}}")).strip()
        return Published(pushed, base_sha, len(rows), added, removed)

    async def _has(self, sha: str) -> bool:
        return (await self._origin.run("cat-file", "-e", f"{sha}^{{commit}}"))[0] == 0

    async def _is_ancestor(self, ancestor: str, commit: str) -> bool:
        status, _, errors = await replace(self._origin).run("merge-base", "--is-ancestor", ancestor, commit)
        if status not in (0, 1):
            raise GitFailed("merge-base", status, errors)
        return status == 0
