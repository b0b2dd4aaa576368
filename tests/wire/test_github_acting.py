"""The stand-in's page of a pull request, where one acts as reviewer, as CI and as whoever merges: forms, no script."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from slackbot.adapters.github import GithubCodeHost
from slackbot.core.ports import PullRequestSnapshot
from slackbot.core.repository_name import RepositoryName
from slackbot.sandbox.github.demo import seed_demo
from slackbot.sandbox.github.server import GithubStandIn
from tests.fakes.github_support import app_key

HELLO = RepositoryName("demo", "hello")


class Page:
    """The page in a browser that knows forms only, and what DevFlow sees of it."""

    def __init__(self, url: str, http: aiohttp.ClientSession, code_host: GithubCodeHost) -> None:
        self.url, self.http, self.code_host = url, http, code_host

    async def do(self, do: str, **fields: str) -> str:
        """Presses a button and returns the text of the page that comes back."""
        async with self.http.post(f"{self.url}/act", data={"do": do, **fields}) as answer:
            assert answer.status == 200, await answer.text()
            assert str(answer.url).split("?")[0] == self.url
            return re.sub(r"<[^>]+>", " ", await answer.text())

    async def seen(self) -> PullRequestSnapshot:
        repository = await self.code_host.find_repository(HELLO)
        for _ in range(2):  # the first look at a new head does not know yet whether it merges
            found = await self.code_host.get_pull_request_snapshot(repository, 1)
        return found


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    stand_in = GithubStandIn(tmp_path, private_key_pem=app_key())
    await stand_in.start()
    await seed_demo(stand_in)
    code_host = GithubCodeHost(api_url=stand_in.api_url, app_id=stand_in.app_id, private_key=app_key())
    hello = await code_host.find_repository(HELLO)
    main = await code_host.get_branch(hello, "main")
    assert main is not None
    await code_host.create_branch(hello, "devflow/x", main.head_sha)
    await stand_in.commit_files("demo/hello", "devflow/x", {"hello.py": "print('hi')\n"}, "Be short")
    await code_host.open_pull_request(hello, head="devflow/x", base="main", title="Be short", body="Why not")
    async with aiohttp.ClientSession() as http:
        yield Page(f"{stand_in.url}/demo/hello/pull/1", http, code_host)
    await code_host.close()
    await stand_in.stop()


async def test_acting_as_a_reviewer(page: Page) -> None:
    """Words, verdicts and places reach DevFlow, with who may write and who may not."""
    await page.do("changes", **{"as": "jun-sato", "body": "Too <b>short</b>."})
    await page.do("comment", **{"as": "mallory", "body": "Buy my book."})
    shown = await page.do("line", **{"as": "jun-sato", "path": "hello.py", "line": "1", "body": "Where is the rest?"})
    assert "&lt;b&gt;short" in shown
    assert "Where is the rest?" in shown
    seen = await page.seen()
    assert seen.review_decision == "changes_requested"
    assert [(one.user_login, one.author_association) for one in seen.comments] == [("mallory", "none")]
    (thread,) = seen.threads
    assert (thread.path, thread.line, thread.comments[0].user_login) == ("hello.py", 1, "jun-sato")
    await page.do("resolve", thread="1")
    await page.do("approve", **{"as": "jun-sato", "body": ""})
    seen = await page.seen()
    assert (seen.review_decision, seen.threads[0].is_resolved) == ("approved", True)


async def test_acting_as_ci(page: Page) -> None:
    """Checks begin with the pull request, fail with a log, and run again under another number."""
    assert [(one.name, one.state) for one in (await page.seen()).checks] == [("lint", "pending"), ("test", "pending")]
    await page.do("failed", name="test", kind="check", log="one\n##[error]two\n")
    failed = (await page.seen()).checks[0]
    assert (failed.name, failed.state) == ("test", "failed")
    hello = await page.code_host.find_repository(HELLO)
    assert failed.check_run_id is not None
    assert (await page.code_host.check_details(hello, failed.check_run_id, 1000)).log_tail == "one\nError: two"
    assert failed.url is not None
    async with page.http.get(failed.url) as log:
        assert "##[error]two" in await log.text()
    await page.do("pending", name="test", kind="check")
    await page.do("pending", name="deploy", kind="status")
    again = {one.name: one for one in (await page.seen()).checks}
    assert again["test"].check_run_id != failed.check_run_id
    assert (again["deploy"].state, again["deploy"].check_run_id) == ("pending", None)
    await page.do("all-pass")
    assert {one.state for one in (await page.seen()).checks} == {"passed"}


async def test_acting_as_whoever_merges(page: Page) -> None:
    """A conflict is a real one; what GitHub refuses is told on the page; it ends merged, its branch deleted."""
    await page.do("draft")
    assert (await page.seen()).draft
    assert "still a draft" in await page.do("merge-squash")
    await page.do("ready")
    assert (await page.seen()).mergeable == "mergeable"
    await page.do("conflict")
    assert (await page.seen()).mergeable == "conflicting"
    assert "not mergeable" in await page.do("merge-squash")
    await page.do("close")
    assert (await page.seen()).state == "closed"
    await page.do("delete-branch")
    hello = await page.code_host.find_repository(HELLO)
    assert await page.code_host.get_branch(hello, "devflow/x") is None


async def test_rules_are_set_and_kept(page: Page) -> None:
    """A protected base asks for an approval before it lets a pull request in."""
    rules = {"allow_squash": "1", "protected": "1", "approvals": "1", "required": "", "ci": "test"}
    async with page.http.post(page.url.replace("/pull/1", "/rules"), data=rules) as answer:
        assert answer.status == 200
        assert "Protected; CI: test" in await answer.text()
    assert (await page.seen()).review_decision == "review_required"
    assert "At least 1 approving review is required" in await page.do("merge-squash", **{"as": "ada-martin"})
    await page.do("approve", **{"as": "jun-sato"})
    await page.do("merge-squash", **{"as": "ada-martin"})
    seen = await page.seen()
    assert (seen.state, seen.merged_by) == ("merged", "ada-martin")


async def test_forms_of_other_pages_change_nothing(page: Page) -> None:
    """A page on the internet can post here too; browsers say where a form comes from."""
    for path in (f"{page.url}/act", page.url.replace("/pull/1", "/rules")):
        async with page.http.post(path, data={"do": "close"}, headers={"Origin": "https://evil.example"}) as answer:
            assert answer.status == 403
    assert "no such action" in await page.do("format-disk")
    assert (await page.seen()).state == "open"
