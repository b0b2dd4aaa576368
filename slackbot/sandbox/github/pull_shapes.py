"""A pull request as REST and webhooks show it: what the store holds, with what git says of it."""

from __future__ import annotations

from dataclasses import dataclass

from slackbot.sandbox.github import rest_shapes as shapes
from slackbot.sandbox.github.rest_base import Caller, Json
from slackbot.sandbox.github.review_shapes import Context
from slackbot.sandbox.github.store import PullRow, RepositoryRow
from slackbot.sandbox.github.world import World


@dataclass(frozen=True)
class PullShapes:
    """`base` is the address people use; `caller` decides which permissions a repository shows."""

    world: World
    base: str
    caller: Caller

    @property
    def context(self) -> Context:
        return Context(self.base, self.world.app_login, self.world.store.reviews)

    async def repository(self, row: RepositoryRow) -> Json:
        return shapes.repository(
            self.base,
            row,
            size=await self.world.size_kilobytes(row),
            open_pulls=len(self.world.store.pulls(row.id, state="open")),
            caller=self.caller,
        )

    def listed(self, row: RepositoryRow, pull: PullRow, repository: Json) -> Json:
        """As lists show it."""
        context = self.context
        shape = shapes.pull(self.base, row, pull, repository, context.user(pull.login))
        return {**shape, "requested_reviewers": [context.user(login) for login in context.store.requested(pull.id)]}

    async def full(self, row: RepositoryRow, pull: PullRow) -> Json:
        """As it is shown by itself."""
        difference = await self.world.git(row).compare(pull.base_sha, pull.head_sha, patches=False)
        clean = await self.world.merges(pull) if pull.state == "open" else None
        comments = self.world.store.reviews.all_comments(pull.id)
        merged_by = self.context.user(pull.merged_by) if pull.merged and pull.merged_by else None
        return self.listed(row, pull, await self.repository(row)) | {
            "merged": pull.merged,
            "mergeable": clean,
            "rebaseable": clean,
            "mergeable_state": _mergeable_state(pull, clean),
            "merged_by": merged_by,
            "comments": sum(one.thread_id is None for one in comments),
            "review_comments": sum(one.thread_id is not None for one in comments),
            "maintainer_can_modify": False,
            "commits": difference.ahead_by,
            "additions": sum(file.additions for file in difference.files),
            "deletions": sum(file.deletions for file in difference.files),
            "changed_files": len(difference.files),
        }


def _mergeable_state(pull: PullRow, clean: bool | None) -> str:
    """https://docs.github.com/en/graphql/reference/enums#mergestatestatus (lower case in REST)"""
    if clean is None:
        return "unknown"
    if not clean:
        return "dirty"
    return "draft" if pull.draft else "clean"
