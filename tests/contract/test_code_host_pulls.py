"""The port `CodeHost`, what a pull request's life takes: the fake in memory, and the adapter against the stand-in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from slackbot.adapters.github import GithubCodeHost
from slackbot.core.errors import NotFound, PermanentError
from slackbot.core.ports import (
    BranchTaken,
    CheckDetails,
    CheckRun,
    CodeHost,
    MergeOptions,
    PullRequest,
    PullRequestSnapshot,
    Repository,
    Review,
    ReviewComment,
    ReviewThread,
)
from slackbot.core.repository_name import RepositoryName
from slackbot.sandbox.github.review_store import Ways
from slackbot.sandbox.github.server import GithubStandIn
from slackbot.sandbox.github.store import PullRow, RepositoryRow
from tests.fakes.code_host import FakeCodeHost
from tests.fakes.github_support import app_key

SHOP = RepositoryName("acme", "shop")
TEMPLATE = "## What\n\n## Why\n"
LOG = "2026-01-01T00:00:00.0Z one\n2026-01-01T00:00:00.1Z ##[error]it broke\n2026-01-01T00:00:00.2Z Post job cleanup.\n"


class Hub(Protocol):
    """Reviewers and CI around the code host."""

    code_host: CodeHost

    async def push(self, branch_name: str, files: dict[str, str]) -> str: ...
    async def approve(self, number: int, login: str) -> None: ...
    async def ask_for_changes(self, number: int, login: str, path: str, line: int) -> int: ...
    async def check(self, number: int, name: str, state: str) -> None: ...
    async def close_pull(self, number: int) -> None: ...
    async def hide(self, pull: PullRequest) -> None: ...
    def replies(self, number: int) -> list[str]: ...
    def requested(self, number: int) -> list[str]: ...
    def allow(self, *methods: str) -> None: ...


class FakeHub:
    def __init__(self) -> None:
        self.fake = FakeCodeHost()
        self.code_host: CodeHost = self.fake
        self.name = SHOP.full_name
        self.repo = self.fake.add_repository(
            self.name, files={"cart.py": "total = 1\n", ".github/PULL_REQUEST_TEMPLATE.md": TEMPLATE}
        )

    @property
    def rows(self) -> Any:
        return self.fake.repositories[self.name]

    async def push(self, branch_name: str, files: dict[str, str]) -> str:
        return self.fake.push(self.name, branch_name, files)

    def _add(self, number: int, **more: Any) -> None:
        self.fake.tell(self.name, number, **more)

    async def approve(self, number: int, login: str) -> None:
        reviews = self.fake.snapshot(self.name, number).reviews
        made = Review(len(reviews) + 1, login, "approved", "", "u", 1, "collaborator")
        self._add(number, reviews=(*reviews, made), review_decision="approved")

    async def ask_for_changes(self, number: int, login: str, path: str, line: int) -> int:
        comment = ReviewComment(7, login, "collaborator", "Wrong.", "u", 1)
        thread = ReviewThread("T", False, path, line, (comment,))
        reviews = (Review(8, login, "changes_requested", "No.", "u", 1, "collaborator"),)
        self._add(number, threads=(thread,), reviews=reviews, review_decision="changes_requested")
        return 7

    async def check(self, number: int, name: str, state: str) -> None:
        before = {one.name: one for one in self.fake.snapshot(self.name, number).checks}
        number_of = before[name].check_run_id if name in before else 40 + len(before)
        before[name] = CheckRun(name, state, "u", number_of)
        order = {"failed": 0, "pending": 1}
        self._add(number, checks=tuple(sorted(before.values(), key=lambda one: (order.get(one.state, 2), one.name))))
        self.rows.check_details[number_of] = CheckDetails(
            name, "failure", f"{name} failed", "", "one\nError: it broke", "u"
        )

    async def close_pull(self, number: int) -> None:
        self.fake.set_pull_request(self.name, number, state="closed")

    async def hide(self, pull: PullRequest) -> None:
        self.fake.gone.add(pull.node_id or "")

    def replies(self, number: int) -> list[str]:
        return [body for of, _, body in self.rows.replies if of == number]

    def requested(self, number: int) -> list[str]:
        return sorted(self.rows.requested.get(number, []))

    def allow(self, *methods: str) -> None:
        self.rows.merge_options = MergeOptions(methods, False)


class GithubHub:
    def __init__(self, stand_in: GithubStandIn, code_host: GithubCodeHost) -> None:
        self.stand_in = stand_in
        self.code_host: CodeHost = code_host

    @property
    def row(self) -> RepositoryRow:
        found = self.stand_in.world.store.repository(SHOP.full_name)
        assert found is not None
        return found

    def pull(self, number: int) -> PullRow:
        found = self.stand_in.world.store.pull(self.row.id, number)
        assert found is not None
        return found

    async def push(self, branch_name: str, files: dict[str, str]) -> str:
        return await self.stand_in.commit_files(SHOP.full_name, branch_name, dict(files), "Change something")

    async def approve(self, number: int, login: str) -> None:
        self.stand_in.reviewing.review(self.row, self.pull(number), login, "APPROVED", "")

    async def ask_for_changes(self, number: int, login: str, path: str, line: int) -> int:
        reviewing, pull = self.stand_in.reviewing, self.pull(number)
        comment = reviewing.comment_on_line(self.row, pull, login, path, line, "Wrong.")
        reviewing.review(self.row, pull, login, "CHANGES_REQUESTED", "No.")
        return comment.id

    async def check(self, number: int, name: str, state: str) -> None:
        self.stand_in.reviewing.set_check(self.row, self.pull(number).head_sha, name, state, log=LOG)

    async def close_pull(self, number: int) -> None:
        self.stand_in.world.store.set_pull(self.pull(number), self.stand_in.world.now(), state="closed")

    async def hide(self, pull: PullRequest) -> None:
        self.stand_in.set_installed(SHOP.full_name, False)
        self.stand_in.world.store.set_repository(self.row.id, private=True)
        await self.stand_in.create_repository("acme/other")  # the installation lives on

    def replies(self, number: int) -> list[str]:
        return [one.body for one in self.stand_in.world.store.reviews.all_comments(self.pull(number).id)][1:]

    def requested(self, number: int) -> list[str]:
        return self.stand_in.world.store.reviews.requested(self.pull(number).id)

    def allow(self, *methods: str) -> None:
        ways = Ways(*(name in methods for name in ("merge", "squash", "rebase")))
        self.stand_in.world.store.reviews.set_ways(self.row.id, ways)


@pytest.fixture(params=["fake", "github"])
async def hub(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Hub]:
    if request.param == "fake":
        yield FakeHub()
        return
    stand_in = GithubStandIn(tmp_path, private_key_pem=app_key())
    await stand_in.start()
    files = {"cart.py": "total = 1\n", ".github/PULL_REQUEST_TEMPLATE.md": TEMPLATE}
    await stand_in.create_repository(SHOP.full_name, files=files)
    people = stand_in.world.store.reviews
    for login in ("ada", "grace"):
        people.add_person(login, login.title(), collaborator=True)
    people.add_person("mallory", "Mallory", collaborator=False)
    code_host = GithubCodeHost(api_url=stand_in.api_url, app_id=stand_in.app_id, private_key=app_key())
    yield GithubHub(stand_in, code_host)
    await code_host.close()
    await stand_in.stop()


@pytest.fixture
async def shop(hub: Hub) -> Repository:
    return await hub.code_host.find_repository(SHOP)


@pytest.fixture
async def pull(hub: Hub, shop: Repository) -> PullRequest:
    """#1, one commit ahead of main, its reviewer asked."""
    main = await hub.code_host.get_branch(shop, "main")
    assert main is not None
    await hub.code_host.create_branch(shop, "devflow/x", main.head_sha)
    await hub.push("devflow/x", {"cart.py": "total = 2\n"})
    return await hub.code_host.open_pull_request(
        shop, head="devflow/x", base="main", title="Fix", body="Why", draft=True, reviewers=["ada", "mallory"]
    )


async def look(hub: Hub, shop: Repository, pull: PullRequest) -> PullRequestSnapshot:
    """Twice: a code host may not have worked out yet whether it merges."""
    assert pull.node_id is not None
    for _ in range(2):
        found = await hub.code_host.look_at_pull_requests(shop.installation_id, [pull.node_id])
    snapshot = found[pull.node_id]
    assert snapshot is not None
    return snapshot


async def test_a_look_tells_what_there_is(hub: Hub, shop: Repository, pull: PullRequest) -> None:
    """A new draft: whose it is, from where to where, that it merges, and that nobody said anything yet."""
    assert pull.reviewers_refused == ("mallory",)
    assert hub.requested(1) == ["ada"]
    found = await look(hub, shop, pull)
    assert (found.number, found.title, found.url) == (1, "Fix", pull.url)
    assert (found.state, found.draft, found.mergeable, found.review_decision) == ("open", True, "mergeable", None)
    assert (found.head_ref, found.head_sha, found.base_ref) == ("devflow/x", pull.head_sha, "main")
    assert found.author_login.endswith("[bot]")
    assert (found.merged_by, found.checks, found.reviews, found.comments, found.threads) == (None, (), (), (), ())
    assert await hub.code_host.get_pull_request_snapshot(shop, 1) == found


async def test_one_that_is_gone_is_none(hub: Hub, shop: Repository, pull: PullRequest) -> None:
    """Hidden, or never there; and nobody is asked about nothing."""
    assert pull.node_id is not None
    await hub.hide(pull)
    found = await hub.code_host.look_at_pull_requests(shop.installation_id, [pull.node_id, "PR_nowhere"])
    assert found == {pull.node_id: None, "PR_nowhere": None}
    assert await hub.code_host.look_at_pull_requests(shop.installation_id, []) == {}
    with pytest.raises(NotFound):
        await hub.code_host.get_pull_request_snapshot(shop, 7)


async def test_reviewers_are_told(hub: Hub, shop: Repository, pull: PullRequest) -> None:
    """A review with its place in the diff; a later approval is the decision."""
    comment_id = await hub.ask_for_changes(1, "ada", "cart.py", 1)
    found = await look(hub, shop, pull)
    assert found.review_decision == "changes_requested"
    (thread,) = found.threads
    assert (thread.path, thread.line, thread.is_resolved) == ("cart.py", 1, False)
    (comment,) = thread.comments
    assert (comment.comment_id, comment.user_login, comment.body) == (comment_id, "ada", "Wrong.")
    assert comment.author_association == "collaborator"
    await hub.code_host.reply_to_review_comment(shop, 1, comment_id, "Done.")
    assert hub.replies(1) == ["Done."]
    await hub.approve(1, "ada")
    found = await look(hub, shop, pull)
    assert (found.review_decision, found.reviews[-1].state) == ("approved", "approved")


async def test_checks_are_told_the_failed_first(hub: Hub, shop: Repository, pull: PullRequest) -> None:
    """And why one failed: the end of its log, without what comes after the error."""
    for name, state in (("lint", "passed"), ("test", "failed"), ("build", "pending")):
        await hub.check(1, name, state)
    found = await look(hub, shop, pull)
    assert [(one.name, one.state) for one in found.checks] == [
        ("test", "failed"),
        ("build", "pending"),
        ("lint", "passed"),
    ]
    assert found.checks_total == 3
    assert found.checks[0].check_run_id is not None
    details = await hub.code_host.check_details(shop, found.checks[0].check_run_id, 4000)
    assert (details.name, details.conclusion, details.title) == ("test", "failure", "test failed")
    assert details.log_tail.endswith("Error: it broke")
    short = await hub.code_host.check_details(shop, found.checks[0].check_run_id, 8)
    assert len(short.log_tail.encode()) <= 8
    with pytest.raises(NotFound):
        await hub.code_host.check_details(shop, 5, 100)


async def test_ready_and_merged(hub: Hub, shop: Repository, pull: PullRequest) -> None:
    """A draft becomes ready, twice is harmless; it merges at the head that was seen; merged twice is one merge."""
    assert pull.node_id is not None
    assert pull.head_sha is not None
    for _ in range(2):
        await hub.code_host.mark_ready_for_review(shop, pull.node_id)
    assert not (await look(hub, shop, pull)).draft
    sha = await hub.code_host.merge_pull_request(shop, 1, method="squash", head_sha=pull.head_sha)
    assert sha
    assert await hub.code_host.merge_pull_request(shop, 1, method="squash", head_sha=pull.head_sha) == sha
    found = await look(hub, shop, pull)
    assert (found.state, found.merged_by) == ("merged", found.author_login)


async def test_what_cannot_be_merged_is_said(hub: Hub, shop: Repository, pull: PullRequest) -> None:
    """A head that moved, a way that is not allowed, one that is closed."""
    assert pull.node_id is not None
    await hub.code_host.mark_ready_for_review(shop, pull.node_id)
    head_sha = await hub.push("devflow/x", {"cart.py": "total = 3\n"})
    with pytest.raises(PermanentError, match="newer commits"):
        await hub.code_host.merge_pull_request(shop, 1, method="merge", head_sha=pull.head_sha or "")
    hub.allow("squash")
    assert (await hub.code_host.merge_options(shop)).allowed == ("squash",)
    with pytest.raises(PermanentError, match="does not allow this way"):
        await hub.code_host.merge_pull_request(shop, 1, method="merge", head_sha=head_sha)
    await hub.close_pull(1)
    with pytest.raises(PermanentError, match="cannot"):
        await hub.code_host.merge_pull_request(shop, 1, method="squash", head_sha=head_sha)


async def test_a_form_is_filled(hub: Hub, shop: Repository) -> None:
    """Template, branches and reviewers, by what was typed so far."""
    assert (await hub.code_host.pull_request_template(shop, "main") or "").strip() == TEMPLATE.strip()
    assert await hub.code_host.pull_request_template(shop, "nowhere") is None
    await hub.push("maintenance", {"a": "b"})
    assert await hub.code_host.list_branches(shop, "", 10) == ["main", "maintenance"]
    assert await hub.code_host.list_branches(shop, "maint", 10) == ["maintenance"]
    assert await hub.code_host.list_branches(shop, "zzz", 10) == []
    assert await hub.code_host.list_reviewers(shop, "", 10) == ["ada", "grace"]
    assert await hub.code_host.list_reviewers(shop, "GR", 10) == ["grace"]


async def test_refs_beside_branches(hub: Hub, shop: Repository) -> None:
    """A ref of a session's own is made once, moves forward only, and goes."""
    main = await hub.code_host.get_branch(shop, "main")
    assert main is not None
    ref = "refs/devflow/s1"
    assert await hub.code_host.get_ref(shop, ref) is None
    await hub.code_host.create_ref(shop, ref, main.head_sha)
    for taken in (ref, f"{ref}/deeper"):
        with pytest.raises(BranchTaken):
            await hub.code_host.create_ref(shop, taken, main.head_sha)
    newer = await hub.push("main", {"cart.py": "total = 5\n"})
    await hub.code_host.update_ref(shop, ref, newer)
    assert await hub.code_host.get_ref(shop, ref) == newer
    with pytest.raises(PermanentError):
        await hub.code_host.update_ref(shop, ref, main.head_sha)
    for _ in range(2):
        await hub.code_host.delete_ref(shop, ref)
    assert await hub.code_host.get_ref(shop, ref) is None
    with pytest.raises(NotFound):
        await hub.code_host.update_ref(shop, ref, newer)
