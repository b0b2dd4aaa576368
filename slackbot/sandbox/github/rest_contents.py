"""REST routes of files: a directory or a file at a ref.

https://docs.github.com/en/rest/repos/contents
"""

from __future__ import annotations

import base64
from urllib.parse import quote

from aiohttp import web

from slackbot.sandbox.github.git_commands import GitRepository, TreeEntry
from slackbot.sandbox.github.rest_base import (
    API_PREFIX,
    REPOSITORY_PATHS,
    ApiError,
    Json,
    base_of,
    not_found,
    repository_of,
)
from slackbot.sandbox.github.store import RepositoryRow
from slackbot.sandbox.github.world import World

_INLINE_BYTES = 1024 * 1024
_KINDS = {"tree": "dir", "blob": "file", "commit": "submodule"}


class ContentRoutes:
    """Data comes from git."""

    def __init__(self, world: World) -> None:
        self._world = world

    def add_to(self, app: web.Application) -> None:
        for path in REPOSITORY_PATHS:
            app.router.add_get(path + "/contents/{path:.*}", self._get)

    async def _get(self, request: web.Request) -> web.Response:
        row = repository_of(request, self._world, "contents")
        git = self._world.git(row)
        path = request.match_info.get("path", "").strip("/")
        ref = request.query.get("ref") or row.default_branch
        commit = await git.resolve(ref)
        if commit is None:
            message = f"No commit found for the ref {ref}" if await git.branches() else "This repository is empty."
            raise ApiError(404, message)
        if ".." in path.split("/"):
            raise not_found()
        base = base_of(request)
        if (listed := await git.tree(commit, path)) is not None:
            below = f"{path}/" if path else ""
            return web.json_response([_entry(base, row, below + one.name, one, ref) for one in listed])
        entry = await self._entry(git, commit, path)
        if entry is None:
            raise not_found()
        data = await git.blob(commit, path, _INLINE_BYTES + 1) or b""
        inline = len(data) <= _INLINE_BYTES
        content = base64.encodebytes(data).decode() if inline else ""
        shape = _entry(base, row, path, entry, ref)
        return web.json_response({**shape, "content": content, "encoding": "base64" if inline else "none"})

    async def _entry(self, git: GitRepository, commit: str, path: str) -> TreeEntry | None:
        directory, _, name = path.rpartition("/")
        entries = await git.tree(commit, directory) or []
        return next((one for one in entries if one.name == name), None)


def _entry(base: str, row: RepositoryRow, path: str, entry: TreeEntry, ref: str) -> Json:
    api, html = f"{base}{API_PREFIX}/repos/{row.full_name}", f"{base}/{row.full_name}"
    url = f"{api}/contents/{quote(path)}?ref={quote(ref, safe='')}"
    page = f"{html}/{entry.type}/{quote(ref)}/{quote(path)}"
    git_url = f"{api}/git/{'trees' if entry.type == 'tree' else 'blobs'}/{entry.sha}"
    return {
        "name": entry.name,
        "path": path,
        "sha": entry.sha,
        "size": entry.size or 0,
        "url": url,
        "html_url": page,
        "git_url": git_url,
        "download_url": f"{html}/raw/{quote(ref)}/{quote(path)}" if entry.type == "blob" else None,
        "type": _KINDS.get(entry.type, "file"),
        "_links": {"self": url, "git": git_url, "html": page},
    }
