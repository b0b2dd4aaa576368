"""Pages of pull requests: the lists, one with its conversation, its diff and the side where one acts on it.

Browsers ask; data comes from the store and from git. Forms go to `page_actions.py`.
"""

from __future__ import annotations

from aiohttp import web

from slackbot.sandbox.github import markdown
from slackbot.sandbox.github.diff_view import diff_view
from slackbot.sandbox.github.git_commands import Difference
from slackbot.sandbox.github.page_actions import ActionPages, find_pull
from slackbot.sandbox.github.page_base import SAFE_HEADERS, answer, columns, find, missing
from slackbot.sandbox.github.page_conversation import conversation, line_link, outdated_threads, thread_row
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
    repository_path,
)
from slackbot.sandbox.github.page_review import Scene, side
from slackbot.sandbox.github.reviewing import Reviewing
from slackbot.sandbox.github.store import PullRow, RepositoryRow
from slackbot.sandbox.github.world import World

PULL_COMMITS_SHOWN = 250


class _Lines:
    """Numbers that begin a comment, and threads under their lines; `shown` are the threads that found theirs."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.shown: set[int] = set()

    def number(self, path: str, line: int) -> Child:
        return line_link(self._scene, path, line)

    def below(self, path: str, line: int) -> Html | None:
        here = [one for one in self._scene.threads if (one.path, one.line) == (path, line)]
        self.shown |= {one.id for one in here}
        return el("div", [thread_row(self._scene, one) for one in here]) if here else None


class PullPages:
    """What is shown is read afresh at each request."""

    def __init__(self, world: World, reviewing: Reviewing) -> None:
        self._world = world
        self._reviewing = reviewing
        self._actions = ActionPages(world, reviewing)

    def add_to(self, app: web.Application) -> None:
        get = app.router.add_get
        get("/{owner}/{name}/pulls", self._pulls)
        get("/{owner}/{name}/pull/{number:[0-9]{1,9}}.diff", self._pull_diff)
        get("/{owner}/{name}/pull/{number:[0-9]{1,9}}", self._pull)
        get("/{owner}/{name}/actions/runs/{run:[0-9]{1,15}}/job/{check_id:[0-9]{1,15}}", self._job)
        self._actions.add_to(app)

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

    async def _pull_diff(self, request: web.Request) -> web.Response:
        row, pull = find_pull(request, self._world)
        git = self._world.git(row)
        start = await git.merge_base(pull.base_sha, pull.head_sha)
        text = await git.diff_text(start or pull.base_sha, pull.head_sha)
        return web.Response(body=text, content_type="text/plain", charset="utf-8", headers=SAFE_HEADERS)

    async def _pull(self, request: web.Request) -> web.Response:
        row, pull = find_pull(request, self._world)
        git = self._world.git(row)
        difference = await git.compare(pull.base_sha, pull.head_sha)
        commits = await git.commits(pull.head_sha, without=pull.base_sha, limit=PULL_COMMITS_SHOWN)
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
        scene = await self._scene(request, row, pull, difference)
        lines = _Lines(scene)
        said = request.query.get("said", "")[:300]
        diff = diff_view(row, difference.files, pull.head_sha, lines)
        main = [
            card("Description", body),
            conversation(scene),
            card(f"Commits ({len(commits)})", commit_list(row, commits[::-1], now)),
            outdated_threads(scene, lines.shown),
            diff,
        ]
        return answer(
            f"{pull.title} · #{pull.number}",
            heading(row, title, trail=[("pulls", repository_path(row, "pulls")), (f"#{pull.number}", None)]),
            facts,
            el("p", said, class_="said", role="alert") if said else None,
            columns(main, side(scene)),
        )

    async def _job(self, request: web.Request) -> web.Response:
        """Where a check's link leads: its log."""
        row = find(request, self._world)
        check = self._world.store.reviews.check(row.id, int(request.match_info["check_id"]))
        if check is None:
            raise missing(f"{row.full_name} has no such check, or it has run again since.")
        kind = {"SUCCESS": "open", "FAILURE": "closed"}.get(check.conclusion or "", "warn")
        told = badge((check.conclusion or check.status).replace("_", " ").lower(), kind)
        began = el("span", " · began ", ago(check.started_at, self._world.now()), class_="faint")
        facts = el("p", told, "on ", link(repository_path(row, "commit", check.head_sha), check.head_sha[:7]), began)
        pulls = [one for one in self._world.store.pulls(row.id) if one.head_sha == check.head_sha]
        log = el("pre", el("code", check.log), class_="message") if check.log else el("p", "No log yet.", class_="note")
        place = heading(row, el("h1", check.name), trail=[("checks", None)])
        about = card("Pull requests", pull_list(row, pulls, self._world.now())) if pulls else None
        return answer(f"{check.name} · {row.full_name}", place, facts, card("Log", log), about)

    async def _scene(self, request: web.Request, row: RepositoryRow, pull: PullRow, difference: Difference) -> Scene:
        store = self._world.store.reviews
        people = store.people()
        path, colon, line = request.query.get("at", "").rpartition(":")
        return Scene(
            row=row,
            pull=pull,
            people=people,
            reviews=store.reviews(pull.id),
            threads=store.threads(pull.id),
            comments=store.all_comments(pull.id),
            checks=store.checks(row.id, pull.head_sha),
            requested=store.requested(pull.id),
            rule=store.rule(row.id, pull.base_ref),
            ways=store.ways(row.id),
            missing=self._reviewing.against_the_rule(pull),
            merges=await self._world.merges(pull) if pull.state == "open" else None,
            files=[file.filename for file in difference.files if file.status != "removed"],
            branch_there=await self._world.git(row).head_of(pull.head_ref) is not None,
            now=self._world.now(),
            acting=request.query.get("as") or (people[0].login if people else ""),
            at=(path, int(line)) if colon and line.isdigit() else None,
        )
