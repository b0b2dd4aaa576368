"""REST routes of repositories: themselves, branches, refs, commits, comparisons.

https://docs.github.com/en/rest/repos, https://docs.github.com/en/rest/git/refs
"""

from __future__ import annotations

from aiohttp import web

from slackbot.sandbox.github import rest_shapes as shapes
from slackbot.sandbox.github.git_commands import is_branch_name
from slackbot.sandbox.github.git_process import GitError
from slackbot.sandbox.github.rest_base import (
    API_PREFIX,
    REPOSITORY_PATHS,
    ApiError,
    Json,
    base_of,
    body_of,
    caller_of,
    not_found,
    page_of,
    paged,
    repository_of,
    slice_of,
)
from slackbot.sandbox.github.store import RepositoryRow
from slackbot.sandbox.github.world import World

_NO_OBJECT = "0" * 40
_FILES_SHOWN = 300
_COMMITS_SHOWN = 250


class RepositoryRoutes:
    """Data comes from the world's git repositories; refs go back into them."""

    def __init__(self, world: World) -> None:
        self._world = world

    def add_to(self, app: web.Application) -> None:
        for path in REPOSITORY_PATHS:
            app.router.add_get(path, self._get)
            app.router.add_get(path + "/branches", self._list_branches)
            app.router.add_get(path + "/branches/{branch:.+}", self._get_branch)
            app.router.add_get(path + "/git/ref/{ref:.+}", self._get_ref)
            app.router.add_get(path + "/git/matching-refs/{ref:.*}", self._matching_refs)
            app.router.add_post(path + "/git/refs", self._create_ref)
            app.router.add_patch(path + "/git/refs/{ref:.+}", self._update_ref)
            app.router.add_delete(path + "/git/refs/{ref:.+}", self._delete_ref)
            app.router.add_get(path + "/commits", self._list_commits)
            app.router.add_get(path + "/commits/{ref:.+}", self._get_commit)
            app.router.add_get(path + "/compare/{basehead:.+}", self._compare)

    async def _get(self, request: web.Request) -> web.Response:
        row = repository_of(request, self._world)
        return web.json_response(
            shapes.full_repository(
                base_of(request),
                row,
                size=await self._world.size_kilobytes(row),
                open_pulls=len(self._world.store.pulls(row.id, state="open")),
                caller=caller_of(request),
                ways=self._world.store.reviews.ways(row.id),
            )
        )

    # ---------------------------------------------------------------------------------- branches

    async def _list_branches(self, request: web.Request) -> web.Response:
        row = repository_of(request, self._world, "contents")
        branches = list((await self._world.git(row).branches()).items())
        protected = self._world.store.reviews.protected_branches(row.id)
        api = f"{base_of(request)}{API_PREFIX}/repos/{row.full_name}/commits/"
        listed = [
            {"name": name, "commit": {"sha": sha, "url": api + sha}, "protected": name in protected}
            for name, sha in slice_of(request, branches)
        ]
        return web.json_response(listed, headers=paged(request, len(branches)))

    async def _get_branch(self, request: web.Request) -> web.Response:
        row = repository_of(request, self._world, "contents")
        git = self._world.git(row)
        name = request.match_info["branch"]
        sha = await git.head_of(name)
        if sha is None:
            raise ApiError(404, "Branch not found")
        commit = (await git.commits(sha, limit=1))[0]
        url = f"{base_of(request)}{API_PREFIX}/repos/{row.full_name}/branches/{name}"
        html = f"{base_of(request)}/{row.full_name}/tree/{name}"
        return web.json_response(
            {
                "name": name,
                "commit": shapes.commit(base_of(request), row, commit),
                "_links": {"self": url, "html": html},
                "protected": self._world.store.reviews.rule(row.id, name) is not None,
                "protection": {
                    "enabled": self._world.store.reviews.rule(row.id, name) is not None,
                    "required_status_checks": {"enforcement_level": "off", "contexts": [], "checks": []},
                },
                "protection_url": url + "/protection",
            }
        )

    # -------------------------------------------------------------------------------------- refs

    async def _get_ref(self, request: web.Request) -> web.Response:
        row = repository_of(request, self._world, "contents")
        await self._refuse_empty(row)
        ref = _ref(request.match_info["ref"])
        sha = (await self._world.git(row).refs(ref)).get(ref)
        if sha is None:
            raise not_found()
        return web.json_response(shapes.git_ref(base_of(request), row, ref, sha))

    async def _matching_refs(self, request: web.Request) -> web.Response:
        row = repository_of(request, self._world, "contents")
        prefix = "refs/" + request.match_info["ref"]
        refs = await self._world.git(row).refs("refs/")
        found = sorted((ref, sha) for ref, sha in refs.items() if ref.startswith(prefix) and _is_public(ref))
        # All of them: GitHub has no pages here.
        return web.json_response([shapes.git_ref(base_of(request), row, ref, sha) for ref, sha in found])

    async def _create_ref(self, request: web.Request) -> web.Response:
        """https://docs.github.com/en/rest/git/refs#create-a-reference"""
        row = repository_of(request, self._world, "contents", "write")
        wanted = await body_of(request)
        ref, sha = wanted.get("ref"), wanted.get("sha")
        if not isinstance(ref, str) or not isinstance(sha, str):
            missing = "ref" if not isinstance(ref, str) else "sha"
            raise ApiError(422, f'Invalid request.\n\n"{missing}" wasn\'t supplied.')
        await self._refuse_empty(row)
        kind, _, short = ref.removeprefix("refs/").partition("/")
        if not ref.startswith("refs/") or not kind or not is_branch_name(short) or not _is_writable(ref):
            raise ApiError(422, "Reference name invalid")
        git = self._world.git(row)
        if not await git.is_commit(sha):
            raise ApiError(422, "Object does not exist")
        try:
            await git.update_ref(ref, sha, _NO_OBJECT)
        except GitError:
            if ref in await git.refs(ref):
                raise ApiError(422, "Reference already exists") from None
            raise ApiError(422, "Reference update failed") from None  # `a` stands beside `a/b`
        await self._world.after_push(row)
        return web.json_response(shapes.git_ref(base_of(request), row, ref, sha), status=201)

    async def _update_ref(self, request: web.Request) -> web.Response:
        """https://docs.github.com/en/rest/git/refs#update-a-reference"""
        row = repository_of(request, self._world, "contents", "write")
        ref = _ref(request.match_info["ref"])
        wanted = await body_of(request)
        sha = wanted.get("sha")
        git = self._world.git(row)
        old = (await git.refs(ref)).get(ref)
        if old is None or not _is_writable(ref):
            raise ApiError(422, "Reference does not exist")
        if not isinstance(sha, str) or not await git.is_commit(sha):
            raise ApiError(422, "Object does not exist")
        self._refuse_protected(row, ref)
        if wanted.get("force") is not True and not await git.is_ancestor(old, sha):
            raise ApiError(422, "Update is not a fast forward")
        try:
            await git.update_ref(ref, sha, old)
        except GitError:
            raise ApiError(409, "Reference cannot be updated") from None
        await self._world.after_push(row)
        return web.json_response(shapes.git_ref(base_of(request), row, ref, sha))

    async def _delete_ref(self, request: web.Request) -> web.Response:
        """https://docs.github.com/en/rest/git/refs#delete-a-reference"""
        row = repository_of(request, self._world, "contents", "write")
        ref = _ref(request.match_info["ref"])
        git = self._world.git(row)
        sha = (await git.refs(ref)).get(ref)
        if sha is None or not _is_writable(ref):
            raise ApiError(422, "Reference does not exist")
        if ref == f"refs/heads/{row.default_branch}":
            raise ApiError(422, "Cannot delete the default branch")
        self._refuse_protected(row, ref)
        try:
            await git.update_ref(ref, None, sha)
        except GitError:
            raise ApiError(409, "Reference cannot be updated") from None
        await self._world.after_push(row)
        return web.Response(status=204)

    # ----------------------------------------------------------------------------------- commits

    async def _list_commits(self, request: web.Request) -> web.Response:
        row = repository_of(request, self._world, "contents")
        await self._refuse_empty(row)
        git = self._world.git(row)
        start = await git.resolve(request.query.get("sha") or row.default_branch)
        if start is None:
            raise not_found()
        page, per_page = page_of(request)
        found = await git.commits(
            start, limit=per_page, skip=(page - 1) * per_page, path=request.query.get("path") or None
        )
        listed = [shapes.commit(base_of(request), row, commit) for commit in found]
        return web.json_response(listed, headers=paged(request, await git.count(start)))

    async def _get_commit(self, request: web.Request) -> web.Response:
        row = repository_of(request, self._world, "contents")
        await self._refuse_empty(row)
        git = self._world.git(row)
        sha = await git.resolve(request.match_info["ref"])
        if sha is None:
            raise ApiError(422, f"No commit found for SHA: {request.match_info['ref'][:100]}")
        commit = (await git.commits(sha, limit=1))[0]
        files = await git.changes_of(commit)
        base = base_of(request)
        additions, deletions = sum(file.additions for file in files), sum(file.deletions for file in files)
        shape = shapes.commit(base, row, commit) | {
            "stats": {"additions": additions, "deletions": deletions, "total": additions + deletions},
            "files": [shapes.changed_file(base, row, file, sha) for file in files[:_FILES_SHOWN]],
        }
        return web.json_response(shape)

    async def _compare(self, request: web.Request) -> web.Response:
        """https://docs.github.com/en/rest/commits/commits#compare-two-commits"""
        row = repository_of(request, self._world, "contents")
        await self._refuse_empty(row)
        git = self._world.git(row)
        base_name, dots, head_name = request.match_info["basehead"].partition("...")
        own = f"{row.account.login}:"
        base_sha = await git.resolve(base_name.removeprefix(own)) if dots else None
        head_sha = await git.resolve(head_name.removeprefix(own)) if dots else None
        if base_sha is None or head_sha is None:
            raise not_found()
        difference = await git.compare(base_sha, head_sha)
        if difference.merge_base is None:
            raise ApiError(404, f"No common ancestor between {base_name} and {head_name}.")
        page, per_page = page_of(request, default=_COMMITS_SHOWN)
        # GitHub lists the oldest first, pages from the old end, and shows the files with the first page only.
        newest_first = await git.commits(head_sha, without=base_sha, limit=difference.ahead_by + 1)
        oldest_first = newest_first[::-1][(page - 1) * per_page : page * per_page]
        merge_base, base_commit = [(await git.commits(sha, limit=1))[0] for sha in (difference.merge_base, base_sha)]
        ahead, behind = difference.ahead_by, difference.behind_by
        status = {(False, False): "identical", (True, False): "ahead", (False, True): "behind"}.get(
            (ahead > 0, behind > 0), "diverged"
        )
        url, own_base = f"{base_of(request)}/{row.full_name}/compare", base_of(request)
        exact = f"{row.account.login}:{base_sha[:12]}...{row.account.login}:{head_sha[:12]}"
        files = difference.files[:_FILES_SHOWN] if page == 1 else []
        answer: Json = {
            "url": f"{own_base}{API_PREFIX}/repos/{row.full_name}/compare/{base_name}...{head_name}",
            "html_url": f"{url}/{base_name}...{head_name}",
            "permalink_url": f"{url}/{exact}",
            "diff_url": f"{url}/{base_name}...{head_name}.diff",
            "patch_url": f"{url}/{base_name}...{head_name}.patch",
            "base_commit": shapes.commit(own_base, row, base_commit),
            "merge_base_commit": shapes.commit(own_base, row, merge_base),
            "status": status,
            "ahead_by": ahead,
            "behind_by": behind,
            "total_commits": ahead,
            "commits": [shapes.commit(own_base, row, commit) for commit in oldest_first],
            "files": [shapes.changed_file(own_base, row, file, head_sha) for file in files],
        }
        return web.json_response(answer, headers=paged(request, ahead))

    def _refuse_protected(self, row: RepositoryRow, ref: str) -> None:
        """https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/managing-protected-branches/about-protected-branches"""
        if self._world.store.reviews.rule(row.id, ref.removeprefix("refs/heads/")) is not None:
            raise ApiError(422, "Changes must be made through a pull request. Protected branch update failed.")

    async def _refuse_empty(self, row: RepositoryRow) -> None:
        if not await self._world.git(row).branches():
            raise ApiError(409, "Git Repository is empty.")


def _ref(tail: str) -> str:
    """`heads/x` of a URL -> `refs/heads/x`; 404 for what can be no ref, or is none of the client's."""
    ref = "refs/" + tail
    if not is_branch_name(tail) or not _is_public(ref):
        raise not_found()
    return ref


def _is_public(ref: str) -> bool:
    return not ref.startswith("refs/devflow-import/")


def _is_writable(ref: str) -> bool:
    """Any namespace but those that GitHub (and this stand-in) keep for themselves."""
    return _is_public(ref) and not ref.startswith("refs/pull/")
