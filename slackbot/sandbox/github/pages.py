"""Pages for people: repositories, files, commits, pull requests with their diff, where the App is installed.

Browsers ask; the answer is made of what the store and git hold, escaped, without scripts. `page_parts.py`,
`diff_view.py` and `markdown.py` write the markup.
"""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from slackbot.sandbox.github.diff_view import diff_view
from slackbot.sandbox.github.git_commands import GitRepository
from slackbot.sandbox.github.page_base import answer, columns, find, missing
from slackbot.sandbox.github.page_parts import (
    Child,
    Html,
    ago,
    badge,
    card,
    commit_list,
    count,
    el,
    heading,
    link,
    pull_list,
    repository_badges,
    repository_path,
)
from slackbot.sandbox.github.page_pulls import PullPages
from slackbot.sandbox.github.page_rules import rules_card
from slackbot.sandbox.github.page_trees import TreePages
from slackbot.sandbox.github.rest_base import base_of
from slackbot.sandbox.github.reviewing import Reviewing
from slackbot.sandbox.github.store import RepositoryRow
from slackbot.sandbox.github.world import World

_STATIC = Path(__file__).parent / "static"
_STATIC_TYPES = {"style.css": "text/css", "avatar.svg": "image/svg+xml"}
_BRANCHES_SHOWN = 12
_COMMITS_SHOWN = 8
_PULLS_SHOWN = 6
_PULL_COMMITS_SHOWN = 250


class Pages:
    """Everything is read afresh at each request. `page_pulls.py` and `page_actions.py` hold what changes something."""

    def __init__(self, world: World, reviewing: Reviewing) -> None:
        self._world = world
        self._trees = TreePages(world)
        self._pulls = PullPages(world, reviewing)

    def add_to(self, app: web.Application) -> None:
        get = app.router.add_get
        get("/", self._index)
        get("/static/{file}", self._static)
        get("/apps/{slug}", self._installations)
        get("/apps/{slug}/installations/new", self._installations)
        app.router.add_post("/apps/{slug}/installations", self._install)
        get("/{owner}/{name}", self._repository)
        self._pulls.add_to(app)
        get("/{owner}/{name}/compare/{basehead:.+}", self._compare)
        self._trees.add_to(app)
        get("/{rest:.*}", self._nowhere)

    async def _nowhere(self, request: web.Request) -> web.Response:
        raise missing("There is no such page.")

    async def _static(self, request: web.Request) -> web.Response:
        name = request.match_info["file"]
        if name not in _STATIC_TYPES:
            raise missing("There is no such file.")
        return web.Response(
            body=(_STATIC / name).read_bytes(),
            content_type=_STATIC_TYPES[name],
            headers={"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"},
        )

    # ------------------------------------------------------------------------------ repositories

    async def _index(self, request: web.Request) -> web.Response:
        entries: list[Html] = []
        for row in sorted(self._world.store.repositories(), key=_interest):
            git = self._world.git(row)
            newest = await git.recent_branches(1)
            last = (await git.commits(newest[0][1], limit=1))[0] if newest else None
            opened = len(self._world.store.pulls(row.id, state="open"))
            entries.append(
                el(
                    "li",
                    el(
                        "div",
                        link(repository_path(row), row.full_name, class_="subject"),
                        repository_badges(row, empty=not newest),
                    ),
                    el("p", row.description, class_="faint") if row.description else None,
                    el(
                        "p",
                        [last.subject, " · ", ago(last.committed_at, self._world.now())]
                        if last
                        else "Nothing pushed yet",
                        link(repository_path(row, "pulls"), count(opened, "open pull request")) if opened else None,
                        class_="faint facts",
                    ),
                )
            )
        body = el("ul", entries, class_="repositories") if entries else el("p", "No repositories yet.", class_="note")
        return answer("Repositories", el("h1", "Repositories"), el("section", body, class_="card"))

    async def _repository(self, request: web.Request) -> web.Response:
        row = find(request, self._world)
        git = self._world.git(row)
        head = await git.head_of(row.default_branch)
        branches = await git.branches()
        title = [el("h1", row.full_name), repository_badges(row, empty=not branches)]
        about = el("p", row.description, class_="faint") if row.description else None
        clone = el("p", el("code", f"git clone {base_of(request)}/{row.full_name}.git"), class_="clone")
        pulls = self._world.store.pulls(row.id)
        side = [
            card(
                "Pull requests",
                pull_list(row, pulls[:_PULLS_SHOWN], self._world.now())
                if pulls
                else el("p", "None yet.", class_="note"),
                extra=link(repository_path(row, "pulls"), f"all {len(pulls)}") if len(pulls) > _PULLS_SHOWN else None,
            ),
            await self._branches(row, git, len(branches)),
            rules_card(row, self._world.store.reviews),
        ]
        if head is None:
            empty = el(
                "p",
                "There are no commits yet. A first push to ",
                el("code", row.default_branch),
                " begins it.",
                class_="note",
            )
            return answer(row.full_name, heading(row, title), about, clone, columns([card("Files", empty)], side))
        commits = await git.commits(head, limit=_COMMITS_SHOWN)
        files = await self._trees.listing(row, head, row.default_branch, "")
        readme = await self._trees.readme(row, head, row.default_branch, "")
        history = card("Recent commits", commit_list(row, commits, self._world.now()))
        return answer(row.full_name, heading(row, title), about, clone, columns([files, readme], [*side, history]))

    async def _branches(self, row: RepositoryRow, git: GitRepository, total: int) -> Html:
        default = await git.head_of(row.default_branch)
        entries = []
        for name, sha in await git.recent_branches(_BRANCHES_SHOWN):
            distance: Child = badge("default")
            if name != row.default_branch:
                ahead, behind = await git.ahead_behind(default, sha) if default else (0, 0)
                told = ", ".join(
                    text for number, text in ((ahead, f"{ahead} ahead"), (behind, f"{behind} behind")) if number
                )
                comparison = repository_path(row, "compare", f"{row.default_branch}...{name}")
                distance = link(comparison, told or "even", class_="faint")
            entries.append(el("li", link(repository_path(row, "tree", name), name, class_="subject"), distance))
        more = el("p", f"and {total - len(entries)} more", class_="note") if total > len(entries) else None
        none = el("p", "None yet.", class_="note") if not entries else None
        return card("Branches", el("ul", entries, class_="branches") if entries else none, more)

    async def _compare(self, request: web.Request) -> web.Response:
        row = find(request, self._world)
        git = self._world.git(row)
        base_name, _, head_name = request.match_info["basehead"].partition("...")
        own = f"{row.account.login}:"
        base, head = [await git.resolve(name.removeprefix(own)) for name in (base_name, head_name)]
        if base is None or head is None:
            raise missing(f"{row.full_name} has no such two branches or commits to compare.")
        difference = await git.compare(base, head)
        commits = await git.commits(head, without=base, limit=_PULL_COMMITS_SHOWN)
        open_pulls = self._world.store.pulls(row.id, state="open", head_ref=head_name, base_ref=base_name)
        title = el("h1", el("span", base_name, class_="ref"), " … ", el("span", head_name, class_="ref"))
        facts = el(
            "p",
            f"{count(difference.ahead_by, 'commit')} ahead, {difference.behind_by} behind. ",
            [
                link(repository_path(row, "pull", str(pull.number)), f"Pull request #{pull.number}")
                for pull in open_pulls
            ],
            class_="facts",
        )
        return answer(
            f"{base_name}...{head_name} · {row.full_name}",
            heading(row, title, trail=[("compare", None)]),
            facts,
            card("Commits", commit_list(row, commits[::-1], self._world.now())) if commits else None,
            diff_view(row, difference.files, head),
        )

    # --------------------------------------------------------------------------------- the App

    async def _installations(self, request: web.Request) -> web.Response:
        """Where NotFound's remedy leads: the App is installed, or removed, with a button."""
        if request.match_info["slug"] != self._world.app_slug:
            raise missing("There is no such App.")
        entries = [
            el(
                "li",
                link(repository_path(row), row.full_name, class_="subject"),
                badge("installed", "open") if row.installed else badge("not installed"),
                el(
                    "form",
                    el("input", type="hidden", name="repository", value=row.full_name),
                    el("input", type="hidden", name="installed", value="0" if row.installed else "1"),
                    el("button", "Remove" if row.installed else "Install", type="submit"),
                    method="post",
                    action=f"/apps/{self._world.app_slug}/installations",
                ),
            )
            for row in self._world.store.repositories()
        ]
        told = "The App reads and changes only the repositories it is installed on; here that is decided by you."
        return answer(
            "DevFlow sandbox App",
            el("h1", "The DevFlow sandbox App"),
            el("p", told, class_="faint"),
            card("Repositories", el("ul", entries, class_="branches")),
        )

    async def _install(self, request: web.Request) -> web.Response:
        # A form on a foreign page can post here as well; browsers say where it came from.
        if request.headers.get("Origin", base_of(request)) != base_of(request):
            raise web.HTTPForbidden(text="This form belongs to another page.\n")
        form = await request.post()
        row = self._world.store.repository(str(form.get("repository", "")))
        if row is None or request.match_info["slug"] != self._world.app_slug:
            raise missing("There is no such repository.")
        self._world.store.set_repository(row.id, installed=form.get("installed") == "1")
        raise web.HTTPSeeOther(f"/apps/{self._world.app_slug}/installations/new")


def _interest(row: RepositoryRow) -> tuple[bool, bool, int]:
    """What can be worked on first, what was pushed to last first."""
    return row.archived, not row.installed, -row.pushed_at
