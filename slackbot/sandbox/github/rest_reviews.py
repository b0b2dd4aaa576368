"""REST routes of reviewing and merging: reviews, review comments and their replies, requested reviewers, merge,
collaborators.

https://docs.github.com/en/rest/pulls/reviews, https://docs.github.com/en/rest/collaborators/collaborators
"""

from __future__ import annotations

from aiohttp import web

from slackbot.sandbox.github import review_shapes as shapes
from slackbot.sandbox.github.pull_shapes import PullShapes
from slackbot.sandbox.github.rest_base import (
    REPOSITORY_PATHS,
    ApiError,
    Json,
    base_of,
    body_of,
    caller_of,
    not_found,
    paged,
    repository_of,
    slice_of,
)
from slackbot.sandbox.github.reviewing import METHODS, Refusal, Reviewing
from slackbot.sandbox.github.store import PullRow, RepositoryRow
from slackbot.sandbox.github.world import World

_BODY_CHARACTERS = 65_536


class ReviewRoutes:
    """Data comes from the store; `Reviewing` writes to it."""

    def __init__(self, world: World, reviewing: Reviewing) -> None:
        self._world = world
        self._reviewing = reviewing

    def add_to(self, app: web.Application) -> None:
        for path in REPOSITORY_PATHS:
            one = path + "/pulls/{number:[0-9]{1,9}}"
            app.router.add_get(one + "/reviews", self._list_reviews)
            app.router.add_get(one + "/comments", self._list_comments)
            app.router.add_post(one + "/comments/{comment_id:[0-9]{1,15}}/replies", self._reply)
            app.router.add_get(one + "/requested_reviewers", self._list_requested)
            app.router.add_post(one + "/requested_reviewers", self._request)
            app.router.add_put(one + "/merge", self._merge)
            app.router.add_get(path + "/collaborators", self._collaborators)

    async def _list_reviews(self, request: web.Request) -> web.Response:
        row, pull = self._find(request)
        found = self._world.store.reviews.reviews(pull.id)
        listed = [shapes.review(self._context(request), row, pull, one) for one in slice_of(request, found)]
        return web.json_response(listed, headers=paged(request, len(found)))

    async def _list_comments(self, request: web.Request) -> web.Response:
        row, pull = self._find(request)
        threads = {one.id: one for one in self._world.store.reviews.threads(pull.id)}
        found = [one for one in self._world.store.reviews.all_comments(pull.id) if one.thread_id is not None]
        listed = [
            shapes.review_comment(self._context(request), row, pull, threads[one.thread_id or 0], one)
            for one in slice_of(request, found)
        ]
        return web.json_response(listed, headers=paged(request, len(found)))

    async def _reply(self, request: web.Request) -> web.Response:
        """https://docs.github.com/en/rest/pulls/comments#create-a-reply-for-a-review-comment"""
        row, pull = self._find(request, "write")
        body = (await body_of(request)).get("body")
        if not isinstance(body, str):
            raise ApiError(422, 'Invalid request.\n\n"body" wasn\'t supplied.')
        if not body.strip() or len(body) > _BODY_CHARACTERS:
            raise ApiError(422, "Validation Failed", [_field("PullRequestReviewComment", "body", "missing_field")])
        try:
            comment_id = int(request.match_info["comment_id"])
            made = self._reviewing.reply(row, pull, self._world.app_login, comment_id, body)
        except LookupError:
            raise not_found() from None
        thread = next(one for one in self._world.store.reviews.threads(pull.id) if one.id == made.thread_id)
        shape = shapes.review_comment(self._context(request), row, pull, thread, made)
        return web.json_response(shape, status=201, headers={"Location": shape["url"]})

    async def _list_requested(self, request: web.Request) -> web.Response:
        _, pull = self._find(request)
        context = self._context(request)
        return web.json_response(
            {"users": [context.user(login) for login in context.store.requested(pull.id)], "teams": []}
        )

    async def _request(self, request: web.Request) -> web.Response:
        row, pull = self._find(request, "write")
        wanted = (await body_of(request)).get("reviewers", [])
        if not isinstance(wanted, list) or not all(isinstance(login, str) for login in wanted):
            raise ApiError(422, "Invalid request.\n\nFor 'properties/reviewers', it is not an array of strings.")
        try:
            self._reviewing.request_reviews(row, pull, wanted, self._world.app_login)
        except Refusal as refusal:
            raise ApiError(refusal.status, refusal.message) from None
        shaped = PullShapes(self._world, base_of(request), caller_of(request))
        return web.json_response(shaped.listed(*self._find(request), await shaped.repository(row)), status=201)

    async def _merge(self, request: web.Request) -> web.Response:
        """https://docs.github.com/en/rest/pulls/pulls#merge-a-pull-request"""
        repository_of(request, self._world, "contents", "write")
        row, pull = self._find(request, "write")
        wanted = await body_of(request)
        method, sha = wanted.get("merge_method", "merge"), wanted.get("sha")
        if method not in METHODS:
            raise ApiError(422, "Invalid request.\n\nFor 'properties/merge_method', it is not a merge method.")
        if sha is not None and sha != pull.head_sha:
            raise ApiError(409, "Head branch was modified. Review and try the merge again.")
        try:
            title = str(wanted.get("commit_title") or "")
            merged = await self._reviewing.merge(row, pull, self._world.app_login, method, title)
        except Refusal as refusal:
            raise ApiError(refusal.status, refusal.message) from None
        return web.json_response({"sha": merged, "merged": True, "message": "Pull Request successfully merged"})

    async def _collaborators(self, request: web.Request) -> web.Response:
        row = repository_of(request, self._world)
        # GitHub lists them for those only who have access themselves.
        repository_of(request, self._world, "contents", "write") if not row.archived else None
        people = [one for one in self._world.store.reviews.people() if one.collaborator]
        context = self._context(request)
        listed = [shapes.collaborator(context, one) for one in slice_of(request, people)]
        return web.json_response(listed, headers=paged(request, len(people)))

    def _find(self, request: web.Request, level: str = "read") -> tuple[RepositoryRow, PullRow]:
        row = repository_of(request, self._world, "pull_requests", level)
        pull = self._world.store.pull(row.id, int(request.match_info["number"]))
        if pull is None:
            raise not_found()
        return row, pull

    def _context(self, request: web.Request) -> shapes.Context:
        return shapes.Context(base_of(request), self._world.app_login, self._world.store.reviews)


def _field(resource: str, field: str, code: str) -> Json:
    return {"resource": resource, "field": field, "code": code}
