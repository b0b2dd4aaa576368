"""Forms of the pages where one acts as reviewer, as CI and as whoever merges -> `Reviewing`, then back to the page."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from aiohttp import web

from slackbot.sandbox.github.git_commands import NewCommit
from slackbot.sandbox.github.git_process import GitError
from slackbot.sandbox.github.happenings import Happening
from slackbot.sandbox.github.page_base import find, missing
from slackbot.sandbox.github.page_parts import repository_path
from slackbot.sandbox.github.page_review import FAILED_LOG
from slackbot.sandbox.github.page_rules import WAYS
from slackbot.sandbox.github.rest_base import base_of
from slackbot.sandbox.github.review_store import Rule, ThreadRow, Ways
from slackbot.sandbox.github.reviewing import METHODS, Refusal, Reviewing
from slackbot.sandbox.github.store import PullRow, RepositoryRow
from slackbot.sandbox.github.world import World

_VERDICTS = {"approve": "APPROVED", "changes": "CHANGES_REQUESTED"}
_CHECKS = ("passed", "failed", "pending")


def find_pull(request: web.Request, world: World) -> tuple[RepositoryRow, PullRow]:
    """The pull request in the URL, or the page that says that there is none."""
    row = find(request, world)
    pull = world.store.pull(row.id, int(request.match_info["number"]))
    if pull is None:
        raise missing(f"{row.full_name} has no pull request of this number.")
    return row, pull


class ActionPages:
    """A refusal is shown on the page in GitHub's words."""

    def __init__(self, world: World, reviewing: Reviewing) -> None:
        self._world = world
        self._reviewing = reviewing

    def add_to(self, app: web.Application) -> None:
        app.router.add_post("/{owner}/{name}/pull/{number:[0-9]{1,9}}/act", self._act)
        app.router.add_post("/{owner}/{name}/rules", self._rules)

    async def _act(self, request: web.Request) -> web.Response:
        _own_forms_only(request)
        row, pull = find_pull(request, self._world)
        form = {name: str(value) for name, value in (await request.post()).items()}
        people = self._world.store.reviews.people()
        acting = form.get("as") or request.query.get("as") or (people[0].login if people else "")
        query = {"as": acting} if form.get("as") else {}
        try:
            await self._do(row, pull, form.get("do", ""), acting, form)
        except Refusal as refusal:
            query["said"] = refusal.message
        back = repository_path(row, "pull", str(pull.number))
        raise web.HTTPSeeOther(f"{back}?{urlencode(query)}" if query else back)

    async def _do(self, row: RepositoryRow, pull: PullRow, do: str, who: str, form: Mapping[str, str]) -> None:
        reviewing, body = self._reviewing, form.get("body", "").replace("\r\n", "\n").strip()
        if do in _VERDICTS:
            reviewing.review(row, pull, who, _VERDICTS[do], body)
        elif do == "comment":
            self._need(body)
            reviewing.comment(row, pull, who, body)
        elif do == "line":
            self._need(body)
            line = form.get("line", "")
            reviewing.comment_on_line(row, pull, who, form.get("path", ""), int(line) if line.isdigit() else 1, body)
        elif do in {"reply", "resolve", "unresolve"}:
            self._in_thread(row, pull, do, who, self._thread(pull, form), body)
        elif do in _CHECKS and form.get("name", "").strip():
            log = form.get("log", FAILED_LOG).replace("\r\n", "\n") if do == "failed" else "All is well.\n"
            kind = "status" if form.get("kind") == "status" else "check"
            reviewing.set_check(row, pull.head_sha, form["name"].strip()[:100], do, kind=kind, log=log)
        elif do == "all-pass":
            for check in self._world.store.reviews.checks(row.id, pull.head_sha):
                if check.conclusion != "SUCCESS":
                    reviewing.set_check(row, pull.head_sha, check.name, "passed", kind=check.kind, log="All is well.\n")
        elif do.removeprefix("merge-") in METHODS:
            await reviewing.merge(row, pull, who, do.removeprefix("merge-"))
        elif do in {"ready", "draft"}:
            reviewing.set_draft(row, pull, who, do == "draft")
        elif do in {"close", "reopen"}:
            self._set_open(row, pull, who, do == "reopen")
        elif do == "delete-branch" and pull.state != "open":
            await self._world.git(row).update_ref(f"refs/heads/{pull.head_ref}", None)
            await self._world.after_push(row)
        elif do == "conflict":
            await self._conflict(row, pull)
        else:
            raise Refusal(422, "There is no such action.")

    def _need(self, body: str) -> None:
        if not body:
            raise Refusal(422, "Body can't be blank")

    def _thread(self, pull: PullRow, form: Mapping[str, str]) -> ThreadRow:
        found = [one for one in self._world.store.reviews.threads(pull.id) if str(one.id) == form.get("thread")]
        if not found:
            raise Refusal(404, "Not Found")
        return found[0]

    def _in_thread(self, row: RepositoryRow, pull: PullRow, do: str, who: str, thread: ThreadRow, body: str) -> None:
        if do == "reply":
            self._need(body)
            first = self._world.store.reviews.comments(pull.id, thread.id)[0]
            self._reviewing.reply(row, pull, who, first.id, body)
        else:
            self._reviewing.resolve(row, pull, who, thread, do == "resolve")

    def _set_open(self, row: RepositoryRow, pull: PullRow, who: str, is_open: bool) -> None:
        if pull.merged or (pull.state == "open") == is_open:
            return
        now = self._world.now()
        state = {"state": "open", "closed_at": None} if is_open else {"state": "closed", "closed_at": now}
        self._world.store.set_pull(pull, now, **state)
        after = self._world.store.pull(row.id, pull.number)
        self._world.tell(Happening("pull_request", "reopened" if is_open else "closed", row, who, after))

    async def _conflict(self, row: RepositoryRow, pull: PullRow) -> None:
        """A commit on the base that cannot be merged with what the pull request changes."""
        git = self._world.git(row)
        files = [file for file in (await git.compare(pull.base_sha, pull.head_sha)).files if not file.binary]
        for file in files:
            path = file.previous_filename or file.filename
            old = await git.blob(pull.base_sha, path)
            lines = (old or b"").decode(errors="replace").splitlines() or [""]
            text = "\n".join(f"{line} (changed on {pull.base_ref})" for line in lines) + "\n"
            commit = NewCommit(f"Change {path} on {pull.base_ref}", {path: text}, at=self._world.now())
            try:
                await git.commit_files(pull.base_ref, [commit])
            except GitError:
                continue
            await self._world.after_push(row)
            after = self._world.store.pull(row.id, pull.number) or pull
            if await self._world.merges(after) is False:
                return
        raise Refusal(422, "Nothing that this pull request changes could be made to conflict.")

    async def _rules(self, request: web.Request) -> web.Response:
        _own_forms_only(request)
        row = find(request, self._world)
        form = {name: str(value) for name, value in (await request.post()).items()}
        store = self._world.store.reviews
        store.set_ways(row.id, Ways(**{name: name in form for name, _ in WAYS}, ci=_names(form.get("ci", ""))))
        approvals = form.get("approvals", "")
        rule = Rule(row.default_branch, int(approvals) if approvals.isdigit() else 1, _names(form.get("required", "")))
        store.set_rule(row.id, row.default_branch, rule if "protected" in form else None)
        raise web.HTTPSeeOther(repository_path(row))


def _own_forms_only(request: web.Request) -> None:
    """A form on a foreign page can post here as well; browsers say where it came from."""
    if request.headers.get("Origin", base_of(request)) != base_of(request):
        raise web.HTTPForbidden(text="This form belongs to another page.\n")


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for part in text.split(",") if (name := part.strip()[:100])))[:20]
