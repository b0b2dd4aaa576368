"""Pages for people: repositories, files, commits, pull requests with their diff, where the App is installed.

Browsers ask; the answer is made of what the store and git hold, escaped, without scripts. `page_parts.py`,
`diff_view.py` and `markdown.py` write the markup.
"""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from slackbot.sandbox.github import markdown
from slackbot.sandbox.github.diff_view import diff_view
from slackbot.sandbox.github.git_commands import GitRepository
from slackbot.sandbox.github.page_base import SAFE_HEADERS, answer, columns, find, missing
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
    pull_state,
    repository_badges,
    repository_path,
)
from slackbot.sandbox.github.page_trees import TreePages
from slackbot.sandbox.github.rest_base import base_of
from slackbot.sandbox.github.store import PullRow, RepositoryRow
from slackbot.sandbox.github.world import World

_STATIC = Path(__file__).parent / "static"
_STATIC_TYPES = {"style.css": "text/css", "avatar.svg": "image/svg+xml"}
_BRANCHES_SHOWN = 12
_COMMITS_SHOWN = 8
_PULLS_SHOWN = 6
_PULL_COMMITS_SHOWN = 250


class Pages:
    """Everything is read afresh at each request; the only change a page can make is to install the App."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._trees = TreePages(world)

    def add_to(self, app: web.Application) -> None:
        get = app.router.add_get
        get("/", self._index)
        get("/static/{file}", self._static)
        get("/apps/{slug}", self._installations)
        get("/apps/{slug}/installations/new", self._installations)
        app.router.add_post("/apps/{slug}/installations", self._install)
        get("/{owner}/{name}", self._repository)
        get("/{owner}/{name}/pulls", self._pulls)
        get("/{owner}/{name}/pull/{number:[0-9]{1,9}}.diff", self._pull_diff)
        get("/{owner}/{name}/pull/{number:[0-9]{1,9}}", self._pull)
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

    # ----------------------------------------------------------------------------- pull requests

    async def _pulls(self, request: web.Request) -> web.Response:
        row = find(request, self._world)
        pulls = self._world.store.pulls(row.id)
        sections = []
        for title, chosen in (
            ("Open", [pull for pull in pulls if pull.state == "open"]),
            ("Closed", [pull for pull in pulls if pull.state == "closed"]),
        ):
            body = pull_list(row, chosen, self._world.now()) if chosen else el("p", "None.", class_="note")
            sections.append(card(f"{title} ({len(chosen)})", body))
        place = heading(row, el("h1", "Pull requests"), trail=[("pulls", None)])
        return answer(f"Pull requests · {row.full_name}", place, sections)

    def _find_pull(self, request: web.Request) -> tuple[RepositoryRow, PullRow]:
        row = find(request, self._world)
        pull = self._world.store.pull(row.id, int(request.match_info["number"]))
        if pull is None:
            raise missing(f"{row.full_name} has no pull request of this number.")
        return row, pull

    async def _pull_diff(self, request: web.Request) -> web.Response:
        row, pull = self._find_pull(request)
        git = self._world.git(row)
        start = await git.merge_base(pull.base_sha, pull.head_sha)
        text = await git.diff_text(start or pull.base_sha, pull.head_sha)
        return web.Response(body=text, content_type="text/plain", charset="utf-8", headers=SAFE_HEADERS)

    async def _pull(self, request: web.Request) -> web.Response:
        row, pull = self._find_pull(request)
        git = self._world.git(row)
        difference = await git.compare(pull.base_sha, pull.head_sha)
        commits = await git.commits(pull.head_sha, without=pull.base_sha, limit=_PULL_COMMITS_SHOWN)
        now = self._world.now()
        title = el("h1", pull.title, " ", el("span", f"#{pull.number}", class_="faint"))
        wants = "merged" if pull.merged else "wants to merge"
        facts = el(
            "p",
            pull_state(pull),
            el("b", pull.login),
            f" {wants} {count(len(commits), 'commit')} into ",
            link(repository_path(row, "tree", pull.base_ref), pull.base_ref, class_="ref"),
            " from ",
            link(repository_path(row, "tree", pull.head_ref), pull.head_ref, class_="ref"),
            el("span", " · opened ", ago(pull.created_at, now), class_="faint"),
            class_="facts",
        )
        body = (
            markdown.render(pull.body, lambda target: repository_path(row, "blob", pull.head_sha, target))
            if pull.body
            else el("p", "No description.", class_="note")
        )
        merges = None
        if pull.state == "open":
            clean = await git.merges_cleanly(pull.base_sha, pull.head_sha)
            if clean is not None:
                words = "Merges without conflicts" if clean else "Conflicts with its base"
                merges = badge(words, "open" if clean else "warn")
        return answer(
            f"{pull.title} · #{pull.number}",
            heading(row, title, trail=[("pulls", repository_path(row, "pulls")), (f"#{pull.number}", None)]),
            facts,
            card("Description", body, extra=merges),
            card(f"Commits ({len(commits)})", commit_list(row, commits[::-1], now)),
            diff_view(row, difference.files, pull.head_sha),
        )

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
