"""The GitHub adapter where the wire is bad: lost answers, limits, revoked tokens, moved repositories, many at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from slackbot.adapters.github import GithubCodeHost
from slackbot.adapters.github_client import web_host
from slackbot.core.errors import ConfigError, DevflowError, PermanentError, TemporaryError
from slackbot.core.ports import Repository
from slackbot.core.repository_name import RepositoryName
from slackbot.sandbox.github.server import GithubStandIn
from tests.fakes.github_support import Fault, Faults, app_key

SHOP = RepositoryName("acme", "shop")


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def stand_in(tmp_path: Path, faults: Faults) -> AsyncIterator[GithubStandIn]:
    stand_in = GithubStandIn(tmp_path, private_key_pem=app_key(), middlewares=[faults.middleware])
    await stand_in.start()
    await stand_in.create_repository("acme/shop", private=True)
    yield stand_in
    await stand_in.stop()


@pytest.fixture
async def code_host(stand_in: GithubStandIn) -> AsyncIterator[GithubCodeHost]:
    code_host = GithubCodeHost(api_url=stand_in.api_url, app_id=1, private_key=app_key())
    yield code_host
    await code_host.close()


@pytest.fixture
async def shop(code_host: GithubCodeHost) -> Repository:
    return await code_host.find_repository(SHOP)


async def working_branch(stand_in: GithubStandIn, code_host: GithubCodeHost, shop: Repository) -> None:
    main = await code_host.get_branch(shop, "main")
    assert main is not None
    await code_host.create_branch(shop, "devflow/x", main.head_sha)
    await stand_in.commit_files("acme/shop", "devflow/x", {"a.txt": "a\n"}, "Add a")


async def test_a_lost_answer_makes_no_second_pull_request(
    stand_in: GithubStandIn, code_host: GithubCodeHost, shop: Repository, faults: Faults
) -> None:
    """GitHub opened it and the answer was lost: it is looked up, not opened again."""
    await working_branch(stand_in, code_host, shop)
    faults.add("POST", "/pulls", 502, after=True)
    found = await code_host.open_pull_request(shop, head="devflow/x", base="main", title="Fix", body="")
    assert found.number == 1
    assert faults.count("POST", "/pulls") == 1


async def test_a_failed_write_says_its_outcome_is_unknown(
    stand_in: GithubStandIn, code_host: GithubCodeHost, shop: Repository, faults: Faults
) -> None:
    """When the look-up finds nothing the caller is told to look before it repeats."""
    await working_branch(stand_in, code_host, shop)
    faults.add("POST", "/pulls", 502)
    with pytest.raises(TemporaryError) as caught:
        await code_host.open_pull_request(shop, head="devflow/x", base="main", title="Fix", body="")
    assert caught.value.outcome_unknown


async def test_a_lost_answer_makes_the_branch(code_host: GithubCodeHost, shop: Repository, faults: Faults) -> None:
    """The branch was made though the answer was lost: it is ours, not taken."""
    main = await code_host.get_branch(shop, "main")
    assert main is not None
    faults.add("POST", "/git/refs", 502, after=True)
    made = await code_host.create_branch(shop, "devflow/x", main.head_sha)
    assert made.head_sha == main.head_sha
    assert faults.count("POST", "/git/refs") == 1


async def test_reading_is_repeated(code_host: GithubCodeHost, shop: Repository, faults: Faults) -> None:
    """Two bad gateways in a row are survived by a read, and by the minting of a token."""
    faults.add("GET", "/branches/main", 502, times=2)
    faults.add("POST", "/access_tokens", 503, times=2)
    assert await code_host.get_branch(shop, "main") is not None
    assert (await code_host.mint_token(shop)).token


async def test_reading_is_not_repeated_for_ever(code_host: GithubCodeHost, shop: Repository, faults: Faults) -> None:
    """An outage ends as an error worth trying again later."""
    faults.add("GET", "/branches/main", 503, times=100)
    with pytest.raises(TemporaryError, match="just now"):
        await code_host.get_branch(shop, "main")
    assert faults.count("GET", "/branches/main") == 3


@pytest.mark.parametrize(
    ("status", "headers", "at_least"),
    [
        (429, {"Retry-After": "37"}, 37),
        (403, {"Retry-After": "12"}, 12),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9999999999"}, 1000),
        (403, {}, 60),
    ],
)
async def test_a_rate_limit_is_not_waited_out(
    code_host: GithubCodeHost,
    shop: Repository,
    faults: Faults,
    status: int,
    headers: dict[str, str],
    at_least: float,
) -> None:
    """Primary and secondary limits come back at once, with the wait GitHub asks for."""
    faults.add("GET", "/branches/main", status, "You have exceeded a secondary rate limit.", headers=headers)
    with pytest.raises(TemporaryError) as caught:
        await code_host.get_branch(shop, "main")
    assert caught.value.retry_after_seconds is not None
    assert caught.value.retry_after_seconds >= at_least


async def test_a_revoked_token_is_replaced(code_host: GithubCodeHost, shop: Repository, faults: Faults) -> None:
    """A token that GitHub no longer takes is minted again, once."""
    faults.add("GET", "/branches/main", 401, "Bad credentials")
    minted = faults.count("POST", "/access_tokens")
    assert await code_host.get_branch(shop, "main") is not None
    assert faults.count("POST", "/access_tokens") == minted + 1


async def test_a_renamed_repository_is_followed(stand_in: GithubStandIn, code_host: GithubCodeHost) -> None:
    """The old name leads to the repository under its new one."""
    stand_in.rename_repository("acme/shop", "store")
    found = await code_host.find_repository(SHOP)
    assert str(found.name) == "acme/store"
    assert found.clone_url == f"{stand_in.url}/acme/store.git"
    assert await code_host.get_branch(found, "main") is not None


def repository_answer(**changed: Any) -> dict[str, Any]:
    return {
        "full_name": "acme/shop",
        "html_url": "https://github.com/acme/shop",
        "clone_url": "https://github.com/acme/shop.git",
        "default_branch": "main",
        "archived": False,
        "private": True,
        "disabled": False,
        "size": 1,
        **changed,
    }


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"clone_url": "https://evil.example/acme/shop.git"}, "does not lead to"),
        ({"clone_url": "http://127.0.0.1@evil.example/acme/shop.git"}, "does not lead to"),
        ({"disabled": True}, "disabled"),
        ({"full_name": "acme/../shop"}, "does not speak GitHub's API"),
    ],
)
async def test_a_repository_that_cannot_be_used(
    code_host: GithubCodeHost, faults: Faults, changed: dict[str, Any], words: str
) -> None:
    """A clone address on another host never gets a token; a disabled repository is named as such."""
    faults.faults.append(Fault("GET", "/repos/acme/shop", lambda: web.json_response(repository_answer(**changed))))
    with pytest.raises(PermanentError, match=words):
        await code_host.find_repository(SHOP)


async def test_a_missing_permission_has_a_remedy(code_host: GithubCodeHost, shop: Repository, faults: Faults) -> None:
    """403 of GitHub becomes the permission to give."""
    faults.add("POST", "/git/refs", 403, "Resource not accessible by integration")
    with pytest.raises(PermanentError, match="lacks a permission") as caught:
        await code_host.create_branch(shop, "devflow/x", "0" * 40)
    assert "Contents: write" in caught.value.remedy


async def test_what_is_not_github(code_host: GithubCodeHost, faults: Faults) -> None:
    """A portal's HTML page in place of GitHub's API points at the setting."""
    html = lambda: web.Response(text="<html>Sign in</html>", content_type="text/html")  # noqa: E731
    faults.faults.append(Fault("GET", "/installation", html))
    with pytest.raises(PermanentError) as caught:
        await code_host.find_repository(SHOP)
    assert "GITHUB_API_URL" in caught.value.remedy


async def test_nobody_answers(unused_tcp_port: int) -> None:
    """A refused connection is worth trying again, and had no effect."""
    url = f"http://127.0.0.1:{unused_tcp_port}/api/v3"
    code_host = GithubCodeHost(api_url=url, app_id=1, private_key=app_key())
    with pytest.raises(TemporaryError, match="did not answer") as caught:
        await code_host.find_repository(SHOP)
    assert not caught.value.outcome_unknown
    await code_host.close()


async def test_a_foreign_key(stand_in: GithubStandIn, tmp_path: Path) -> None:
    """A key GitHub does not know ends in a sentence that names the settings."""
    other = GithubStandIn(tmp_path / "other")
    await other.start()
    code_host = GithubCodeHost(api_url=stand_in.api_url, app_id=1, private_key=other.private_key_pem)
    with pytest.raises(PermanentError, match="App credentials") as caught:
        await code_host.find_repository(SHOP)
    assert "GITHUB_APP_PRIVATE_KEY" in caught.value.remedy
    await code_host.close()
    await other.stop()


@pytest.mark.parametrize(
    "key", ["", "hunter2", "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----"]
)
def test_a_key_that_is_none(key: str) -> None:
    """A malformed key is a fault of the settings, and is not repeated in the message."""
    with pytest.raises(ConfigError, match="GITHUB_APP_PRIVATE_KEY") as caught:
        GithubCodeHost(api_url="https://api.github.com", app_id=1, private_key=key)
    assert "hunter2" not in str(caught.value)


async def test_callers_at_once_share_one_flight(
    stand_in: GithubStandIn, code_host: GithubCodeHost, faults: Faults
) -> None:
    """Fifty who ask for the same at once cost one request, also when the first of them gives up."""
    asks = [asyncio.create_task(code_host.find_repository(SHOP)) for _ in range(50)]
    await asyncio.sleep(0)
    asks[0].cancel()
    found = await asyncio.gather(*asks[1:])
    assert len({one.installation_id for one in found}) == 1
    await asyncio.gather(*(code_host.list_repositories() for _ in range(20)))
    assert faults.count("GET", "/repos/acme/shop") == 1
    assert faults.count("GET", "/installation/repositories") == 1


async def test_an_installation_that_refuses_hides_no_other(
    stand_in: GithubStandIn, code_host: GithubCodeHost, faults: Faults
) -> None:
    """One organisation has not accepted what the App asks for: the repositories of the others are listed."""
    await stand_in.create_repository("zeta/app", files={"a": "b"})
    zeta = stand_in.world.store.account("zeta")
    assert zeta is not None
    path = f"/app/installations/{zeta.id}/access_tokens"
    faults.add("POST", path, 422, "The permissions requested are not granted to this installation.", times=2)
    assert await code_host.list_repositories() == [SHOP]
    code_host._lists._values.clear()
    faults.add("POST", path, 502, times=9)
    with pytest.raises(TemporaryError):
        await code_host.list_repositories()


async def test_errors_are_not_kept(stand_in: GithubStandIn, code_host: GithubCodeHost) -> None:
    """Whoever installs the App and asks again at once is served."""
    stand_in.set_installed("acme/shop", False)
    with pytest.raises(DevflowError):
        await code_host.find_repository(SHOP)
    stand_in.set_installed("acme/shop", True)
    assert (await code_host.find_repository(SHOP)).name == SHOP


async def test_every_caller_gets_its_own_answer(
    stand_in: GithubStandIn, code_host: GithubCodeHost, shop: Repository, faults: Faults
) -> None:
    """Many branches asked for at once in all threads: none gets another's, and one token serves them."""
    shas = {}
    for number in range(24):
        name = f"devflow/{number}"
        shas[name] = await stand_in.commit_files("acme/shop", name, {"n": f"{number}\n"}, f"Count {number}")
    found = await asyncio.gather(*(code_host.get_branch(shop, name) for name in [*shas] * 3))
    assert [(one.branch_name, one.head_sha) for one in found if one] == [*shas.items()] * 3
    assert faults.count("POST", "/access_tokens") == 1


async def test_no_secret_is_logged(
    stand_in: GithubStandIn, code_host: GithubCodeHost, shop: Repository, caplog: pytest.LogCaptureFixture
) -> None:
    """With every logger at DEBUG neither a token nor the key nor a JWT is written."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="github")  # PyGithub gives its own a level
    token = await code_host.mint_token(shop)
    await code_host.get_branch(shop, "main")
    assert token.token not in caplog.text
    assert "ghs_" not in caplog.text
    assert "eyJ" not in caplog.text
    assert "PRIVATE KEY" not in caplog.text + repr(vars(code_host))


@pytest.mark.parametrize(
    ("api_url", "host"),
    [
        ("https://api.github.com", "github.com"),
        ("https://api.github.com/", "github.com"),
        ("https://api.acme.ghe.com", "acme.ghe.com"),
        ("https://git.acme.test/api/v3", "git.acme.test"),
        ("https://api.acme.test/api/v3", "api.acme.test"),
        ("http://127.0.0.1:8401/api/v3/", "127.0.0.1:8401"),
    ],
)
def test_the_host_people_see(api_url: str, host: str) -> None:
    """Each kind of GitHub has one host under which its repositories are named."""
    assert web_host(api_url) == host
