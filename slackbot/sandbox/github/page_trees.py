"""Pages of what is in a repository: directories, files, single commits. Data comes from git; `pages.py` adds them."""

from __future__ import annotations

import re
from functools import partial

from aiohttp import web

from slackbot.sandbox.github import markdown
from slackbot.sandbox.github.diff_view import diff_view
from slackbot.sandbox.github.git_commands import is_branch_name
from slackbot.sandbox.github.page_base import SAFE_HEADERS, answer, find, missing
from slackbot.sandbox.github.page_parts import (
    Child,
    Html,
    ago,
    card,
    count,
    el,
    heading,
    link,
    repository_path,
    short_sha,
)
from slackbot.sandbox.github.store import RepositoryRow
from slackbot.sandbox.github.world import World

_README = re.compile(r"readme(\.(md|markdown|txt|rst))?\Z", re.IGNORECASE)
_README_BYTES = 200_000
_BLOB_BYTES = 1024 * 1024
_LINES_SHOWN = 5000
_ENTRIES_SHOWN = 1000


class TreePages:
    """`/tree/{branch}/{path}`, `/blob/...`, `/raw/...` and `/commit/{sha}`."""

    def __init__(self, world: World) -> None:
        self._world = world

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/{owner}/{name}/tree/{rest:.+}", self._tree)
        app.router.add_get("/{owner}/{name}/blob/{rest:.+}", self._blob)
        app.router.add_get("/{owner}/{name}/raw/{rest:.+}", self._raw)
        app.router.add_get("/{owner}/{name}/commit/{sha:[0-9a-f]{4,40}}", self._commit)

    async def listing(self, row: RepositoryRow, sha: str, ref: str, path: str) -> Html:
        """One directory as a card."""
        entries = await self._world.git(row).tree(sha, path)
        if entries is None:
            raise missing("There is no such directory.")
        rows = []
        for entry in entries[:_ENTRIES_SHOWN]:
            full = f"{path}/{entry.name}" if path else entry.name
            name: Child = link(repository_path(row, "tree" if entry.type == "tree" else "blob", ref, full), entry.name)
            if entry.type == "commit":
                name = [entry.name, el("span", " (submodule)", class_="faint")]
            kind = "dir" if entry.type == "tree" else "doc"
            size = "" if entry.size is None else _size(entry.size)
            rows.append(el("li", el("span", class_=f"icon {kind}"), name, el("span", size, class_="faint")))
        if len(entries) > _ENTRIES_SHOWN:
            rows.append(el("li", f"and {len(entries) - _ENTRIES_SHOWN} more"))
        last = await self._world.git(row).commits(sha, limit=1, path=path or None)
        newest = [
            el("span", last[0].subject, " · ", ago(last[0].committed_at, self._world.now()), class_="faint ellipsis")
            if last
            else None
        ]
        return card("Files", el("ul", rows, class_="entries"), extra=newest)

    async def readme(self, row: RepositoryRow, sha: str, ref: str, path: str) -> Html | None:
        """The README of a directory as a card."""
        git = self._world.git(row)
        for entry in await git.tree(sha, path) or []:
            if entry.type == "blob" and _README.match(entry.name):
                full = f"{path}/{entry.name}" if path else entry.name
                text = (await git.blob(sha, full, _README_BYTES) or b"").decode(errors="replace")
                if entry.name.lower().endswith((".md", ".markdown")):
                    place = repository_path(row, "blob", ref, path)
                    body = markdown.render(text, partial(_beside, place))
                else:
                    body = el("div", el("pre", text), class_="markdown")
                return card(entry.name, body)
        return None

    async def _locate(self, request: web.Request) -> tuple[RepositoryRow, str, str, str]:
        """(repository, commit id, name of the ref, path in it): a branch name may hold slashes, so the URL is tried."""
        row = find(request, self._world)
        git = self._world.git(row)
        parts = request.match_info["rest"].strip("/").split("/")
        branches = await git.branches()
        for taken in range(len(parts), 0, -1):
            ref = "/".join(parts[:taken])
            if ref in branches:
                return row, branches[ref], ref, "/".join(parts[taken:])
        sha = await git.resolve(parts[0]) if is_branch_name(parts[0]) else None
        if sha is None:
            raise missing(f"{row.full_name} has no such branch, tag or commit.")
        return row, sha, parts[0], "/".join(parts[1:])

    async def _tree(self, request: web.Request) -> web.Response:
        row, sha, ref, path = await self._locate(request)
        files = await self.listing(row, sha, ref, path)
        return answer(
            f"{path or ref} · {row.full_name}", _place(row, ref, path), files, await self.readme(row, sha, ref, path)
        )

    async def _blob(self, request: web.Request) -> web.Response:
        row, sha, ref, path = await self._locate(request)
        content = await self._world.git(row).blob(sha, path, _BLOB_BYTES)
        if content is None:
            raise missing("There is no such file.")
        body: Child
        if b"\0" in content[:8000]:
            body = el("p", "A binary file: not shown.", class_="note")
        elif not content:
            body = el("p", "Empty file.", class_="note")
        else:
            lines = content.decode(errors="replace").removesuffix("\n").split("\n")
            rows = [
                el("tr", el("td", link(f"#L{number}", str(number)), class_="no", id=f"L{number}"), el("td", line))
                for number, line in enumerate(lines[:_LINES_SHOWN], 1)
            ]
            cut = len(lines) > _LINES_SHOWN or len(content) >= _BLOB_BYTES
            more = el("p", "The rest is not shown; see the raw file.", class_="note") if cut else None
            body = [el("div", el("table", el("tbody", rows)), class_="patch blob"), more]
        raw = link(repository_path(row, "raw", ref, path), "raw")
        name = path.rpartition("/")[2]
        facts = el("span", _size(len(content)), " · ", raw, class_="faint")
        return answer(f"{name} · {row.full_name}", _place(row, ref, path), card(name, body, extra=facts))

    async def _raw(self, request: web.Request) -> web.Response:
        row, sha, _, path = await self._locate(request)
        content = await self._world.git(row).blob(sha, path, 64 * _BLOB_BYTES)
        if content is None:
            raise missing("There is no such file.")
        # Never as what it claims to be: a page of the repository must not run as one of ours.
        binary = b"\0" in content[:8000]
        kind = "application/octet-stream" if binary else "text/plain"
        return web.Response(body=content, content_type=kind, charset=None if binary else "utf-8", headers=SAFE_HEADERS)

    async def _commit(self, request: web.Request) -> web.Response:
        row = find(request, self._world)
        git = self._world.git(row)
        sha = await git.resolve(request.match_info["sha"])
        if sha is None:
            raise missing(f"{row.full_name} has no such commit.")
        commit = (await git.commits(sha, limit=1))[0]
        message = commit.message.partition("\n")[2].strip("\n")
        parents: list[Child] = [[" ", short_sha(row, parent)] for parent in commit.parents]
        facts = el(
            "p",
            el("b", commit.author_name),
            " committed ",
            ago(commit.authored_at, self._world.now()),
            el("span", " · ", el("code", sha[:12]), class_="faint"),
            el("span", f" · {count(len(parents), 'parent')}", parents, class_="faint") if parents else None,
            class_="facts",
        )
        return answer(
            f"{commit.subject} · {row.full_name}",
            heading(row, el("h1", commit.subject or "(no message)"), trail=[("commit", None), (sha[:7], None)]),
            facts,
            el("pre", message, class_="message card") if message else None,
            diff_view(row, await git.changes_of(commit), sha),
        )


def _beside(place: str, target: str) -> str:
    return f"{place}/{target}"


def _place(row: RepositoryRow, ref: str, path: str) -> Html:
    trail: list[tuple[str, str | None]] = [(ref, repository_path(row, "tree", ref))]
    parts = path.split("/") if path else []
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        trail.append((part, None if last else repository_path(row, "tree", ref, "/".join(parts[: index + 1]))))
    return heading(row, trail=trail)


def _size(size_bytes: int) -> str:
    return f"{size_bytes} B" if size_bytes < 1024 else f"{size_bytes / 1024:,.1f} KB"
