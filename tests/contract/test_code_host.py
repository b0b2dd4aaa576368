"""One suite for the port `CodeHost`: the fake in memory, and the GitHub adapter against the GitHub stand-in."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest

from slackbot.adapters.github import GithubCodeHost
from slackbot.core.errors import NotFound, PermanentError
from slackbot.core.ports import BranchTaken, CodeHost, Repository
from slackbot.core.repository_name import RepositoryName
from slackbot.sandbox.github.server import GithubStandIn
from tests.fakes.code_host import FakeCodeHost
from tests.fakes.github_support import app_key

SHOP = RepositoryName("acme", "shop")
NOBODYS_SHA = "0123456789abcdef0123456789abcdef01234567"


class Hub(Protocol):
    """What stands around the code host: people who push, install and close."""

    code_host: CodeHost

    async def add(self, full_name: str, **options: Any) -> None: ...
    async def push(self, branch_name: str, files: Mapping[str, str | None]) -> str: ...
    async def uninstall(self) -> None: ...
    async def close_pull(self, number: int) -> None: ...


class FakeHub:
    def __init__(self) -> None:
        self.fake = FakeCodeHost()
        self.code_host: CodeHost = self.fake

    async def add(self, full_name: str, **options: Any) -> None:
        self.fake.add_repository(full_name, **options)

    async def push(self, branch_name: str, files: Mapping[str, str | None]) -> str:
        return self.fake.push(SHOP.full_name, branch_name, files)

    async def uninstall(self) -> None:
        self.fake.set_installed(SHOP.full_name, False)

    async def close_pull(self, number: int) -> None:
        self.fake.set_pull_request(SHOP.full_name, number, state="closed")


class GithubHub:
    def __init__(self, stand_in: GithubStandIn, code_host: GithubCodeHost) -> None:
        self.stand_in = stand_in
        self.code_host: CodeHost = code_host

    async def add(self, full_name: str, **options: Any) -> None:
        await self.stand_in.create_repository(full_name, **options)

    async def push(self, branch_name: str, files: Mapping[str, str | None]) -> str:
        return await self.stand_in.commit_files(SHOP.full_name, branch_name, dict(files), "Change something")

    async def uninstall(self) -> None:
        self.stand_in.set_installed(SHOP.full_name, False)

    async def close_pull(self, number: int) -> None:
        store = self.stand_in.world.store
        row = store.repository(SHOP.full_name)
        assert row is not None
        pull = store.pull(row.id, number)
        assert pull is not None
        store.set_pull(pull, self.stand_in.world.now(), state="closed")


@pytest.fixture(params=["fake", "github"])
async def hub(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Hub]:
    files = {"README.md": "# shop\n", "cart.py": "total = 1\n"}
    if request.param == "fake":
        fake = FakeHub()
        await fake.add(SHOP.full_name, files=files)
        yield fake
        return
    stand_in = GithubStandIn(tmp_path, private_key_pem=app_key())
    await stand_in.start()
    code_host = GithubCodeHost(api_url=stand_in.api_url, app_id=stand_in.app_id, private_key=app_key())
    hub = GithubHub(stand_in, code_host)
    await hub.add(SHOP.full_name, files=files)
    yield hub
    await code_host.close()
    await stand_in.stop()


@pytest.fixture
async def shop(hub: Hub) -> Repository:
    return await hub.code_host.find_repository(SHOP)


async def main_sha(hub: Hub, repository: Repository) -> str:
    branch = await hub.code_host.get_branch(repository, "main")
    assert branch is not None
    return branch.head_sha


async def working_branch(hub: Hub, repository: Repository, name: str = "devflow/x") -> str:
    """A branch with one commit more than main."""
    await hub.code_host.create_branch(repository, name, await main_sha(hub, repository))
    return await hub.push(name, {"cart.py": "total = 2\n", "new.py": "one\ntwo\n"})


async def test_finds_a_repository(hub: Hub, shop: Repository) -> None:
    """What a session needs to know of its repository is there."""
    assert shop.name == SHOP
    assert shop.default_branch == "main"
    assert shop.clone_url.endswith("/acme/shop.git")
    assert shop.html_url.endswith("/acme/shop")
    assert (shop.archived, shop.empty, shop.private) == (False, False, False)


async def test_names_are_case_insensitive(hub: Hub, shop: Repository) -> None:
    """ACME/Shop is the same repository, and answers under its own name."""
    found = await hub.code_host.find_repository(RepositoryName("ACME", "Shop"))
    assert found.name == SHOP


@pytest.mark.parametrize("name", ["nothing", "foreign"])
async def test_unknown_and_not_installed_are_not_found(hub: Hub, name: str) -> None:
    """Both end in one sentence that names both causes and the remedy."""
    await hub.add("acme/foreign", private=True, installed=False)
    with pytest.raises(NotFound) as caught:
        await hub.code_host.find_repository(RepositoryName("acme", name))
    assert f"acme/{name}" in caught.value.summary
    assert "not installed" in caught.value.summary
    assert "nstall the App" in caught.value.remedy


async def test_archived_and_empty_are_told(hub: Hub) -> None:
    """An archived and an empty repository are found, and say so."""
    await hub.add("acme/old", archived=True)
    await hub.add("acme/blank", empty=True, private=True)
    assert (await hub.code_host.find_repository(RepositoryName("acme", "old"))).archived
    blank = await hub.code_host.find_repository(RepositoryName("acme", "blank"))
    assert blank.empty
    assert blank.private
    assert await hub.code_host.get_branch(blank, "main") is None


async def test_lists_what_can_be_worked_on(hub: Hub) -> None:
    """The list holds what the App reaches, in order, without the archived."""
    await hub.add("acme/old", archived=True)
    await hub.add("acme/foreign", installed=False)
    await hub.add("zeta/app")
    await hub.add("acme/api", private=True)
    names = await hub.code_host.list_repositories()
    assert [str(name) for name in names] == ["acme/api", "acme/shop", "zeta/app"]


async def test_gets_a_branch_or_none(hub: Hub, shop: Repository) -> None:
    """A branch with slashes is found, one that is absent is None."""
    sha = await main_sha(hub, shop)
    await hub.code_host.create_branch(shop, "devflow/deep/er", sha)
    found = await hub.code_host.get_branch(shop, "devflow/deep/er")
    assert found is not None
    assert (found.branch_name, found.head_sha) == ("devflow/deep/er", sha)
    assert await hub.code_host.get_branch(shop, "devflow") is None


@pytest.mark.parametrize(
    "name",
    ["", "../main", "a/../../../../installation/repositories", "--upload-pack=x", "a b", "x.lock", "a?b", "é" * 200],
)
async def test_an_impossible_branch_is_none(hub: Hub, shop: Repository, name: str) -> None:
    """A name that git cannot have is no branch, and never another part of the API."""
    assert await hub.code_host.get_branch(shop, name) is None


@pytest.mark.parametrize("name", ["devflow/x", "devflow", "devflow/x/y"])
async def test_a_taken_branch_name(hub: Hub, shop: Repository, name: str) -> None:
    """The name itself, its parent and its child are taken."""
    sha = await main_sha(hub, shop)
    await hub.code_host.create_branch(shop, "devflow/x", sha)
    with pytest.raises(BranchTaken):
        await hub.code_host.create_branch(shop, name, sha)
    assert await hub.code_host.get_branch(shop, "devflow/x") is not None


async def test_a_branch_beside_another(hub: Hub, shop: Repository) -> None:
    """`devflow/x2` is not taken by `devflow/x`."""
    sha = await main_sha(hub, shop)
    await hub.code_host.create_branch(shop, "devflow/x", sha)
    made = await hub.code_host.create_branch(shop, "devflow/x2", sha)
    assert (made.branch_name, made.head_sha) == ("devflow/x2", sha)


@pytest.mark.parametrize(("name", "sha"), [("a..b", None), ("-x", None), ("fine", NOBODYS_SHA)])
async def test_a_branch_that_cannot_be_made(hub: Hub, shop: Repository, name: str, sha: str | None) -> None:
    """An impossible name and an unknown commit are refused for good."""
    with pytest.raises(PermanentError):
        await hub.code_host.create_branch(shop, name, sha or await main_sha(hub, shop))


async def test_no_branch_in_an_empty_repository(hub: Hub) -> None:
    """Without a commit there is nothing to branch from, and the sentence says it."""
    await hub.add("acme/blank", empty=True)
    blank = await hub.code_host.find_repository(RepositoryName("acme", "blank"))
    with pytest.raises(PermanentError, match="no commits yet"):
        await hub.code_host.create_branch(blank, "devflow/x", NOBODYS_SHA)


async def test_an_archived_repository_is_not_changed(hub: Hub) -> None:
    """A branch in an archived repository is refused with the reason."""
    await hub.add("acme/old", archived=True)
    old = await hub.code_host.find_repository(RepositoryName("acme", "old"))
    sha = await main_sha(hub, old)
    with pytest.raises(PermanentError, match="archived"):
        await hub.code_host.create_branch(old, "devflow/x", sha)


async def test_deletes_a_branch_twice(hub: Hub, shop: Repository) -> None:
    """Deleting is harmless when the branch is gone, or never was possible."""
    await hub.code_host.create_branch(shop, "devflow/x", await main_sha(hub, shop))
    for name in ("devflow/x", "devflow/x", "never/was", "a..b"):
        await hub.code_host.delete_branch(shop, name)
    assert await hub.code_host.get_branch(shop, "devflow/x") is None


async def test_compares(hub: Hub, shop: Repository) -> None:
    """Commits, files and lines are counted against the merge base."""
    head_sha = await working_branch(hub, shop)
    await hub.push("main", {"README.md": "# the shop\n"})
    found = await hub.code_host.compare(shop, "main", "devflow/x")
    assert (found.ahead_by, found.behind_by) == (1, 1)
    assert (found.files_changed, found.additions, found.deletions) == (2, 3, 1)
    assert await hub.code_host.compare(shop, "main", head_sha) == found
    same = await hub.code_host.compare(shop, "main", "main")
    assert (same.ahead_by, same.behind_by, same.files_changed) == (0, 0, 0)


@pytest.mark.parametrize("head", ["nowhere", "../x", NOBODYS_SHA])
async def test_compares_only_what_is_there(hub: Hub, shop: Repository, head: str) -> None:
    """An unknown or impossible ref is not found."""
    with pytest.raises(NotFound):
        await hub.code_host.compare(shop, "main", head)


async def test_opens_a_pull_request_once(hub: Hub, shop: Repository) -> None:
    """The second asking finds the first pull request, at the branch's present commit."""
    await working_branch(hub, shop)
    made = await hub.code_host.open_pull_request(
        shop, head="devflow/x", base="main", title="Fix", body="Why", draft=True
    )
    head_sha = await hub.push("devflow/x", {"more.py": "x\n"})
    found = await hub.code_host.open_pull_request(shop, head="devflow/x", base="main", title="Other", body="")
    assert (made.number, made.state, made.draft, made.merged, made.base_ref) == (1, "open", True, False, "main")
    assert made.url.endswith("/acme/shop/pull/1")
    assert (found.number, found.head_sha) == (1, head_sha)
    assert await hub.code_host.get_pull_request(shop, 1) == found


async def test_a_closed_pull_request_is_not_found_again(hub: Hub, shop: Repository) -> None:
    """After one was closed, asking opens a new one; the old one can still be read."""
    await working_branch(hub, shop)
    arguments = {"head": "devflow/x", "base": "main", "title": "Fix", "body": ""}
    first = await hub.code_host.open_pull_request(shop, **arguments)
    await hub.close_pull(first.number)
    second = await hub.code_host.open_pull_request(shop, **arguments)
    assert second.number == 2
    assert (await hub.code_host.get_pull_request(shop, first.number)).state == "closed"


async def test_nothing_to_open_yet(hub: Hub, shop: Repository) -> None:
    """A branch without commits of its own ends in a sentence, not in GitHub's words."""
    await hub.code_host.create_branch(shop, "devflow/x", await main_sha(hub, shop))
    with pytest.raises(PermanentError, match="There is nothing to open yet"):
        await hub.code_host.open_pull_request(shop, head="devflow/x", base="main", title="Fix", body="")


async def test_no_pull_request_from_nowhere(hub: Hub, shop: Repository) -> None:
    """A head that does not exist is refused for good."""
    with pytest.raises(PermanentError):
        await hub.code_host.open_pull_request(shop, head="nowhere", base="main", title="Fix", body="")


async def test_an_unknown_pull_request(hub: Hub, shop: Repository) -> None:
    """A number nobody gave is not found."""
    with pytest.raises(NotFound):
        await hub.code_host.get_pull_request(shop, 7)


async def test_deleting_the_head_closes(hub: Hub, shop: Repository) -> None:
    """A pull request whose branch is deleted is closed, not merged."""
    await working_branch(hub, shop)
    made = await hub.code_host.open_pull_request(shop, head="devflow/x", base="main", title="Fix", body="")
    await hub.code_host.delete_branch(shop, "devflow/x")
    found = await hub.code_host.get_pull_request(shop, made.number)
    assert (found.state, found.merged) == ("closed", False)


async def test_mints_fresh_tokens(hub: Hub, shop: Repository) -> None:
    """Each token is another one, lives about an hour, and hides itself."""
    one, other = await hub.code_host.mint_token(shop), await hub.code_host.mint_token(shop)
    assert one.token != other.token
    assert 0 < one.expires_at - time.time() <= 3601
    assert one.token not in repr(one)


async def test_no_token_after_the_app_is_removed(hub: Hub, shop: Repository) -> None:
    """Whoever removed the App is told so, in words."""
    await hub.uninstall()
    with pytest.raises((NotFound, PermanentError)) as caught:
        await hub.code_host.mint_token(shop)
    assert "acme/shop" in str(caught.value)


async def test_shows_what_changed_file_by_file(hub: Hub, shop: Repository) -> None:
    """Each file of a comparison with its hunks, as git writes them."""
    branch = await hub.code_host.get_branch(shop, "main")
    assert branch is not None
    await hub.code_host.create_branch(shop, "devflow/diff", branch.head_sha)
    await hub.push("devflow/diff", {"new.txt": "one\ntwo\n"})
    (file,) = await hub.code_host.compare_files(shop, "main", "devflow/diff")
    assert (file.filename, file.status, file.additions, file.deletions) == ("new.txt", "added", 2, 0)
    assert file.patch is not None
    assert file.patch.splitlines() == ["@@ -0,0 +1,2 @@", "+one", "+two"]
    assert await hub.code_host.compare_files(shop, "main", "main") == ()
