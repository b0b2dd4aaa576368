"""REST routes of pull requests: list, open, read, edit; their commits and files.

https://docs.github.com/en/rest/pulls/pulls
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from slackbot.sandbox.github import rest_shapes as shapes
from slackbot.sandbox.github.happenings import Happening
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
from slackbot.sandbox.github.store import PullRow, RepositoryRow
from slackbot.sandbox.github.world import World

_TITLE_CHARACTERS = 256
_BODY_CHARACTERS = 65_536


class PullRoutes:
    """Data comes from the store (what people wrote) and from git (commits, files, whether it merges)."""

    def __init__(self, world: World) -> None:
        self._world = world

    def add_to(self, app: web.Application) -> None:
        for path in REPOSITORY_PATHS:
            one = path + "/pulls/{number:[0-9]{1,9}}"
            app.router.add_get(path + "/pulls", self._list)
            app.router.add_post(path + "/pulls", self._create)
            app.router.add_get(one, self._get)
            app.router.add_patch(one, self._edit)
            app.router.add_get(one + "/commits", self._commits)
            app.router.add_get(one + "/files", self._files)

    async def _list(self, request: web.Request) -> web.Response:
        row = repository_of(request, self._world, "pull_requests")
        query = request.query
        narrowed: dict[str, Any] = {}
        if query.get("state", "open") in {"open", "closed"}:
            narrowed["state"] = query.get("state", "open")
        if query.get("base"):
            narrowed["base_ref"] = query["base"]
        owner, colon, branch = query.get("head", "").partition(":")
        if colon:  # GitHub ignores a `head` without its owner
            narrowed["head_ref"] = branch if owner.lower() == row.account.login.lower() else ""
        pulls = self._world.store.pulls(row.id, **narrowed)
        if query.get("sort", "created") == "updated":
            pulls.sort(key=lambda pull: pull.updated_at, reverse=True)
        if query.get("direction") == "asc":
            pulls.reverse()
        shaped = self._shapes(request)
        repository = await shaped.repository(row)
        listed = [shaped.listed(row, pull, repository) for pull in slice_of(request, pulls)]
        return web.json_response(listed, headers=paged(request, len(pulls)))

    async def _create(self, request: web.Request) -> web.Response:
        """https://docs.github.com/en/rest/pulls/pulls#create-a-pull-request"""
        row = repository_of(request, self._world, "pull_requests", "write")
        wanted = await body_of(request)
        for name in ("head", "base", "title"):
            if not isinstance(wanted.get(name), str) or not wanted[name]:
                raise _invalid({"resource": "PullRequest", "field": name, "code": "missing_field"})
        _check_text(wanted)
        head_ref = wanted["head"].removeprefix(f"{row.account.login}:")
        base_ref = wanted["base"]
        git = self._world.git(row)
        # The lock keeps a push from moving the branches between the look and the insert.
        async with self._world.lock(row):
            head_sha, base_sha = await asyncio.gather(git.head_of(head_ref), git.head_of(base_ref))
            for name, sha in (("head", head_sha), ("base", base_sha)):
                if sha is None:
                    raise _invalid({"resource": "PullRequest", "field": name, "code": "invalid"})
            if head_sha is None or base_sha is None:
                raise not_found()
            merge_base, ahead = await asyncio.gather(git.merge_base(base_sha, head_sha), git.count(head_sha, base_sha))
            if merge_base is None:
                raise _refused(f"The {head_ref} branch has no history in common with {base_ref}")
            if ahead == 0:
                raise _refused(f"No commits between {base_ref} and {head_ref}")
            made = self._world.store.add_pull(
                row.id,
                self._world.now(),
                title=wanted["title"],
                body=wanted.get("body"),
                draft=wanted.get("draft") is True,
                login=self._world.app_login,
                head_ref=head_ref,
                base_ref=base_ref,
                head_sha=head_sha,
                base_sha=base_sha,
            )
            if made is None:
                raise _refused(f"A pull request already exists for {row.account.login}:{head_ref}.")
            await git.update_ref(f"refs/pull/{made.number}/head", head_sha)
        self._world.tell(Happening("pull_request", "opened", row, self._world.app_login, made))
        return web.json_response(await self._shapes(request).full(row, made), status=201)

    async def _get(self, request: web.Request) -> web.Response:
        row, pull = self._find(request)
        return web.json_response(await self._shapes(request).full(row, pull))

    async def _edit(self, request: web.Request) -> web.Response:
        """https://docs.github.com/en/rest/pulls/pulls#update-a-pull-request"""
        row, pull = self._find(request, "write")
        wanted = await body_of(request)
        _check_text(wanted)
        changes: dict[str, Any] = {name: wanted[name] for name in ("title", "body") if name in wanted}
        if "title" in changes and not changes["title"]:
            raise _invalid({"resource": "PullRequest", "field": "title", "code": "missing_field"})
        git = self._world.git(row)
        base_ref = wanted.get("base", pull.base_ref)
        if base_ref != pull.base_ref:
            base_sha = await git.head_of(base_ref) if isinstance(base_ref, str) else None
            if base_sha is None or pull.state != "open":
                raise _invalid({"resource": "PullRequest", "field": "base", "code": "invalid"})
            changes |= {"base_ref": base_ref, "base_sha": base_sha}
        state = wanted.get("state", pull.state)
        if state not in {"open", "closed"}:
            raise _invalid({"resource": "PullRequest", "field": "state", "code": "invalid"})
        if state != pull.state:
            if pull.merged or (state == "open" and await git.head_of(pull.head_ref) is None):
                raise _refused("state cannot be changed. There are no new commits on the head branch.")
            changes |= {"state": state, "closed_at": self._world.now() if state == "closed" else None}
        if changes:
            self._world.store.set_pull(pull, self._world.now(), **changes)
            if "state" in changes:
                action = "closed" if state == "closed" else "reopened"
                after = self._world.store.pull(row.id, pull.number)
                self._world.tell(Happening("pull_request", action, row, self._world.app_login, after))
            await self._world.after_push(row)
        return web.json_response(await self._shapes(request).full(*self._find(request)))

    async def _commits(self, request: web.Request) -> web.Response:
        row, pull = self._find(request)
        found = (await self._world.git(row).commits(pull.head_sha, without=pull.base_sha, limit=250))[::-1]
        listed = [shapes.commit(base_of(request), row, commit) for commit in slice_of(request, found)]
        return web.json_response(listed, headers=paged(request, len(found)))

    async def _files(self, request: web.Request) -> web.Response:
        row, pull = self._find(request)
        difference = await self._world.git(row).compare(pull.base_sha, pull.head_sha)
        files = difference.files[:3000]
        listed = [shapes.changed_file(base_of(request), row, file, pull.head_sha) for file in slice_of(request, files)]
        return web.json_response(listed, headers=paged(request, len(files)))

    def _find(self, request: web.Request, level: str = "read") -> tuple[RepositoryRow, PullRow]:
        row = repository_of(request, self._world, "pull_requests", level)
        pull = self._world.store.pull(row.id, int(request.match_info["number"]))
        if pull is None:
            raise not_found()
        return row, pull

    def _shapes(self, request: web.Request) -> PullShapes:
        return PullShapes(self._world, base_of(request), caller_of(request))


def _check_text(wanted: Json) -> None:
    for name, most in (("title", _TITLE_CHARACTERS), ("body", _BODY_CHARACTERS)):
        text = wanted.get(name)
        if text is not None and not isinstance(text, str):
            raise ApiError(422, f"Invalid request.\n\nFor 'properties/{name}', it is not a string.")
        if text is not None and len(text) > most:
            raise _refused(f"{name} is too long (maximum is {most} characters)", name)


def _invalid(error: Json) -> ApiError:
    return ApiError(422, "Validation Failed", [error])


def _refused(message: str, field: str | None = None) -> ApiError:
    error = {"resource": "PullRequest", "code": "custom", "message": message}
    return ApiError(422, "Validation Failed", [error | ({"field": field} if field else {})])
