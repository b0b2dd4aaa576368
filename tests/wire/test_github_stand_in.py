"""The GitHub stand-in by plain HTTP: who may ask, errors in GitHub's form, pull requests, imports, restarts, pages."""

from __future__ import annotations

import asyncio
import html
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest

from slackbot.sandbox.github import markdown
from slackbot.sandbox.github.demo import FIX_COMMAND, seed_demo
from slackbot.sandbox.github.git_process import GitError
from slackbot.sandbox.github.server import GithubStandIn, local_name
from tests.fakes.github_support import app_key

Json = Any


class Clock:
    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


class Client:
    """Plain requests, by the App's JWT or by a token of an installation."""

    def __init__(self, stand_in: GithubStandIn, http: aiohttp.ClientSession, clock: Clock) -> None:
        self.stand_in = stand_in
        self.http = http
        self.clock = clock
        self.token: str | None = None
        self.headers: Json = {}

    def jwt(self, key: str | None = None, **claims: Any) -> str:
        now = int(self.clock())
        return jwt.encode({"iat": now - 60, "exp": now + 300, "iss": "1", **claims}, key or app_key(), "RS256")

    async def ask(
        self,
        method: str,
        path: str,
        body: Json = None,
        *,
        credential: str | None = None,
        status: int | None = None,
        **headers: str,
    ) -> Json:
        credential = credential if credential is not None else self.token
        sent = {"Authorization": f"Bearer {credential}"} if credential else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        url = path if path.startswith("http") else self.stand_in.api_url + path
        async with self.http.request(method, url, json=body, headers=sent, allow_redirects=False) as response:
            text = await response.text()
            self.headers = response.headers
            assert status is None or response.status == status, (response.status, text[:500])
            is_json = response.content_type == "application/json"
            return await response.json() if is_json else text

    async def mint(self, account: str = "acme", **wanted: Json) -> str:
        found = self.stand_in.world.store.account(account)
        assert found is not None
        path = f"/app/installations/{found.id}/access_tokens"
        credential = self.jwt(self.stand_in.private_key_pem)
        answer = await self.ask("POST", path, wanted or None, credential=credential, status=201)
        return str(answer["token"])

    async def page(self, path: str, status: int = 200) -> str:
        async with self.http.get(self.stand_in.url + path) as response:
            assert response.status == status, (path, response.status)
            return await response.text()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def stand_in(tmp_path: Path, clock: Clock) -> AsyncIterator[GithubStandIn]:
    stand_in = GithubStandIn(tmp_path / "state", private_key_pem=app_key(), clock=clock)
    await stand_in.start()
    await stand_in.create_repository("acme/shop", files={"a.txt": "one\ntwo\nthree\n"}, private=True)
    await stand_in.create_repository("acme/open", files={"a.txt": "a\n"})
    await stand_in.create_repository("zeta/app", files={"a.txt": "a\n"})
    yield stand_in
    await stand_in.stop()


@pytest.fixture
async def client(stand_in: GithubStandIn, clock: Clock) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as http:
        client = Client(stand_in, http, clock)
        client.token = await client.mint()
        yield client


async def main_sha(client: Client, name: str = "acme/shop") -> str:
    return str((await client.ask("GET", f"/repos/{name}/git/ref/heads/main", status=200))["object"]["sha"])


# ------------------------------------------------------------------------------------- who may ask


@pytest.mark.parametrize(
    ("claims", "status", "words"),
    [
        ({"exp": -1}, 401, "too far in the past"),
        ({"exp": 1200}, 401, "too far in the future"),
        ({"iat": 600}, 401, "'Issued at' claim"),
        ({"iss": "2"}, 404, "Integration not found"),
    ],
)
async def test_a_jwt_is_looked_at(client: Client, claims: dict[str, Any], status: int, words: str) -> None:
    """An expired JWT, one for too long, one of the future and one of another App are refused."""
    now = int(client.clock())
    shifted = {name: now + value if isinstance(value, int) else value for name, value in claims.items()}
    answer = await client.ask("GET", "/app", credential=client.jwt(**shifted), status=status)
    assert words in answer["message"]


async def test_a_jwt_of_another_key(client: Client, tmp_path: Path) -> None:
    """Only the App's own key signs for it, and never no key at all."""
    other = GithubStandIn(tmp_path / "other")
    await other.start()
    await other.stop()
    unsigned = jwt.encode({"iss": "1", "exp": int(time.time()) + 60, "iat": 1}, None, algorithm="none")
    for credential in (client.jwt(other.private_key_pem), unsigned, "a.b.c"):
        answer = await client.ask("GET", "/app", credential=credential, status=401)
        assert answer["message"] == "A JSON web token could not be decoded"


async def test_the_app_and_its_installations(client: Client) -> None:
    """The App tells who it is and where it is installed; a token is not its JWT."""
    app = await client.ask("GET", "/app", credential=client.jwt(), status=200)
    assert (app["id"], app["slug"]) == (1, "devflow-sandbox")
    listed = await client.ask("GET", "/app/installations", credential=client.jwt(), status=200)
    assert [one["account"]["login"] for one in listed] == ["acme", "zeta"]
    own = await client.ask("GET", "/repos/acme/shop/installation", credential=client.jwt(), status=200)
    assert own == listed[0]
    await client.ask("GET", "/app", status=401)
    await client.ask("GET", "/repos/acme/shop", credential=client.jwt(), status=401)
    bot = await client.ask("GET", "/users/devflow-sandbox%5Bbot%5D", status=200)
    assert bot["type"] == "Bot"


@pytest.mark.parametrize(
    ("wanted", "path", "method", "status"),
    [
        ({"repositories": ["open"]}, "/repos/acme/shop", "GET", 404),
        ({"repositories": ["open"]}, "/repos/zeta/app/git/refs", "POST", 403),
        ({"repositories": ["shop"]}, "/repos/acme/open", "GET", 200),
        ({"repositories": ["shop"]}, "/repos/acme/open/git/refs", "POST", 403),
        ({"permissions": {"contents": "read"}}, "/repos/acme/shop/git/refs", "POST", 403),
        ({"permissions": {"metadata": "read"}}, "/repos/acme/shop/branches", "GET", 403),
        ({"permissions": {"contents": "write"}}, "/repos/acme/shop/pulls", "POST", 403),
        ({"permissions": {"contents": "write"}}, "/repos/acme/shop/pulls", "GET", 403),
    ],
)
async def test_a_token_reaches_only_its_part(client: Client, wanted: Json, path: str, method: str, status: int) -> None:
    """Repositories and permissions of a token are kept to; what is public can be read, not written."""
    token = await client.mint(**wanted)
    await client.ask(method, path, {} if method == "POST" else None, credential=token, status=status)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"permissions": {"administration": "write"}}, "not granted"),
        ({"permissions": {"checks": "write"}}, "not granted"),
        ({"permissions": ["contents"]}, "not an object"),
        ({"repositories": ["nothing"]}, "does not exist or is not accessible"),
        ({"repositories": []}, "does not exist or is not accessible"),
        ({"repositories": "shop"}, "not an array"),
    ],
)
async def test_no_token_beyond_what_was_granted(client: Client, wanted: Json, words: str) -> None:
    """A permission that was not granted, or a repository of someone else, is 422."""
    path = "/app/installations/1/access_tokens"
    answer = await client.ask("POST", path, wanted, credential=client.jwt(), status=422)
    assert words in answer["message"]


async def test_a_token_ends(client: Client, clock: Clock, stand_in: GithubStandIn) -> None:
    """By being revoked, by its hour, and by the App being removed from the repository."""
    one, two = await client.mint(), await client.mint()
    await client.ask("DELETE", "/installation/token", credential=one, status=204)
    await client.ask("GET", "/repos/acme/shop", credential=one, status=401)
    await client.ask("GET", "/repos/acme/shop", credential=two, status=200)
    stand_in.set_installed("acme/shop", False)
    await client.ask("GET", "/repos/acme/shop", credential=two, status=404)
    clock.ahead = 3601
    assert (await client.ask("GET", "/repos/acme/open", credential=two, status=401))["message"] == "Bad credentials"


async def test_only_hashes_of_tokens_are_kept(client: Client, stand_in: GithubStandIn, tmp_path: Path) -> None:
    """Whoever reads the state finds no token, and the App's key only where it may be."""
    assert client.token is not None
    for file in (tmp_path / "state").rglob("*"):
        if file.is_file():
            assert client.token.encode() not in file.read_bytes(), file


# ------------------------------------------------------------------------- the form of the answers


REFS = "/repos/acme/shop/git/refs"
REFUSALS: list[tuple[str, str, Json, int, str]] = [
    ("GET", "/repos/acme/nothing", None, 404, "Not Found"),
    ("GET", "/repos/acme/shop/branches/nothing", None, 404, "Branch not found"),
    ("GET", "/repos/acme/shop/branches/..%2f..%2fx", None, 404, "Branch not found"),
    ("GET", "/repos/..%2f..%2fetc/passwd", None, 404, "Not Found"),
    ("GET", "/repos/acme/shop/git/ref/heads/..%2f..%2fx", None, 404, "Not Found"),
    ("GET", "/repos/acme/shop/git/ref/devflow-import/main", None, 404, "Not Found"),
    ("GET", "/repos/acme/shop/compare/main...--output=x", None, 404, "Not Found"),
    ("GET", "/repos/acme/shop/compare/main", None, 404, "Not Found"),
    ("GET", "/repos/acme/shop/pulls/999999999", None, 404, "Not Found"),
    ("GET", "/nothing/of/the/kind", None, 404, "Not Found"),
    ("PUT", "/repos/acme/shop", None, 404, "Not Found"),
    ("POST", REFS, [], 400, "Body should be a JSON object"),
    ("POST", REFS, {"ref": "refs/heads/x"}, 422, "wasn't supplied"),
    (
        "POST",
        REFS,
        {"ref": "refs/heads/a..b", "sha": "0" * 40},
        422,
        "Reference name invalid",
    ),
    (
        "POST",
        REFS,
        {"ref": "refs/pull/1/head", "sha": "0" * 40},
        422,
        "Reference name invalid",
    ),
    ("POST", REFS, {"ref": "refs/heads/x", "sha": "--help"}, 422, "Object does not exist"),
    ("DELETE", "/repos/acme/shop/git/refs/heads/main", None, 422, "Cannot delete the default branch"),
    ("DELETE", "/repos/acme/shop/git/refs/heads/nothing", None, 422, "Reference does not exist"),
    ("POST", "/repos/acme/shop/pulls", {"head": "x", "base": "main"}, 422, "Validation Failed"),
    ("POST", "/repos/acme/shop/pulls", {"head": "x", "base": "main", "title": 5}, 422, "Validation Failed"),
    ("POST", "/repos/acme/shop/pulls", {"head": "x", "base": "main", "title": "t"}, 422, "Validation Failed"),
]


async def test_errors_in_githubs_form(client: Client) -> None:
    """Every refusal is JSON with message, documentation_url and status, whatever was sent."""
    for method, path, body, status, words in REFUSALS:
        answer = await client.ask(method, path, body, status=status)
        assert words in answer["message"], path
        assert answer["status"] == str(status)
        assert answer["documentation_url"].startswith("https://docs.github.com/")


async def test_broken_json(client: Client) -> None:
    """A body that is no JSON is 400."""
    headers = {"Authorization": f"Bearer {client.token}"}
    url = f"{client.stand_in.api_url}/repos/acme/shop/git/refs"
    async with client.http.post(url, data="{", headers=headers) as response:
        assert (response.status, (await response.json())["message"]) == (400, "Problems parsing JSON")


async def test_an_etag_saves_the_answer(client: Client, stand_in: GithubStandIn) -> None:
    """304 while nothing changed, free of charge; 200 once something did."""
    path = "/repos/acme/shop/branches"
    await client.ask("GET", path, status=200)
    tag, used = client.headers["ETag"], client.headers["X-RateLimit-Used"]
    await client.ask("GET", path, status=304, If_None_Match=tag)
    assert client.headers["X-RateLimit-Used"] == used
    await stand_in.commit_files("acme/shop", "main", {"b.txt": "b\n"}, "Add b")
    await client.ask("GET", path, status=200, If_None_Match=tag)


async def test_lists_are_paged(client: Client, stand_in: GithubStandIn) -> None:
    """The Link header leads through every page and stops."""
    sha = await main_sha(client)
    for number in range(6):
        body = {"ref": f"refs/heads/b{number}", "sha": sha}
        await client.ask("POST", "/repos/acme/shop/git/refs", body, status=201)
    names: list[str] = []
    url: str | None = "/repos/acme/shop/branches?per_page=3"
    while url is not None:
        names += [one["name"] for one in await client.ask("GET", url, status=200)]
        links = client.headers.get("Link", "").split(", ")
        url = next((link[1 : link.index(">")] for link in links if 'rel="next"' in link), None)
    assert names == ["b0", "b1", "b2", "b3", "b4", "b5", "main"]


async def test_urls_carry_the_host_that_was_asked(client: Client, stand_in: GithubStandIn) -> None:
    """PyGithub refuses addresses of another host, so answers repeat the one of the request."""
    local = stand_in.api_url.replace("127.0.0.1", "localhost")
    found = await client.ask("GET", f"{local}/repos/acme/open", status=200)
    assert found["url"] == f"{local}/repos/acme/open"
    assert found["clone_url"] == f"{local.removesuffix('/api/v3')}/acme/open.git"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:80", "localhost.evil", ""])
async def test_a_foreign_host_is_answered_nothing(client: Client, host: str) -> None:
    """A rebound name reaches neither REST nor pages."""
    for url in (client.stand_in.url, client.stand_in.api_url + "/rate_limit"):
        assert "sandbox answers to" in await client.ask("GET", url, status=421, Host=host)


async def test_a_rename_redirects(client: Client, stand_in: GithubStandIn) -> None:
    """301 for reading, 307 for writing, to the repository's id; the pages follow too."""
    stand_in.rename_repository("acme/open", "public")
    row = stand_in.world.store.repository("acme/public")
    assert row is not None
    await client.ask("GET", "/repos/acme/open/branches?per_page=1", status=301)
    assert client.headers["Location"] == f"{stand_in.api_url}/repositories/{row.id}/branches?per_page=1"
    assert (await client.ask("GET", client.headers["Location"], status=200))[0]["name"] == "main"
    await client.ask("POST", "/repos/acme/open/git/refs", {}, status=307)
    assert "acme/public" in await client.page("/acme/open")


async def test_the_rate_limit(tmp_path: Path, clock: Clock) -> None:
    """Beyond the limit 403 with the reset; an hour later it goes on; /rate_limit itself is free."""
    stand_in = GithubStandIn(tmp_path, private_key_pem=app_key(), clock=clock, requests_per_hour=3)
    await stand_in.start()
    await stand_in.create_repository("acme/open")
    async with aiohttp.ClientSession() as http:
        client = Client(stand_in, http, clock)
        for _ in range(3):
            await client.ask("GET", "/repos/acme/open", status=200)
        assert (await client.ask("GET", "/rate_limit", status=200))["rate"]["remaining"] == 0
        answer = await client.ask("GET", "/repos/acme/open", status=403)
        assert answer["message"].startswith("API rate limit exceeded")
        assert int(client.headers["X-RateLimit-Reset"]) > clock()
        clock.ahead = 3601
        await client.ask("GET", "/repos/acme/open", status=200)
    await stand_in.stop()


# ----------------------------------------------------------------- comparisons and pull requests


async def test_a_comparison_tells_every_kind_of_change(client: Client, stand_in: GithubStandIn) -> None:
    """Added, modified, renamed, removed and binary files, with counts, patches and the merge base."""
    long = "".join(f"line {number}\n" for number in range(40))
    await stand_in.commit_files("acme/shop", "main", {"old name.txt": long, "gone.txt": "x\n"}, "Prepare")
    base = await main_sha(client)
    await client.ask("POST", "/repos/acme/shop/git/refs", {"ref": "refs/heads/x/y", "sha": base}, status=201)
    changes = {
        "a.txt": "one\n2\nthree\n",
        "old name.txt": None,
        "new näme.txt": long + "end\n",
        "gone.txt": None,
        "logo.bin": b"\0\1",
        'tab\t"quote".txt': "q\n",
    }
    await stand_in.commit_files("acme/shop", "x/y", changes, "Change")
    await stand_in.commit_files("acme/shop", "main", {"later.txt": "l\n"}, "Later")
    found = await client.ask("GET", "/repos/acme/shop/compare/main...x%2Fy", status=200)
    assert (found["status"], found["ahead_by"], found["behind_by"]) == ("diverged", 1, 1)
    assert found["merge_base_commit"]["sha"] == base
    files = {file["filename"]: file for file in found["files"]}
    assert {name: (file["status"], file["additions"], file["deletions"]) for name, file in files.items()} == {
        "a.txt": ("modified", 1, 1),
        "new näme.txt": ("renamed", 1, 0),
        "gone.txt": ("removed", 0, 1),
        "logo.bin": ("added", 0, 0),
        'tab\t"quote".txt': ("added", 1, 0),
    }
    assert files["new näme.txt"]["previous_filename"] == "old name.txt"
    assert files["a.txt"]["patch"] == "@@ -1,3 +1,3 @@\n one\n-two\n+2\n three"
    assert "patch" not in files["logo.bin"]


async def test_the_life_of_a_pull_request(client: Client, stand_in: GithubStandIn) -> None:
    """Opened, edited, in conflict, closed, opened again, merged by a push; each time told as GitHub does."""
    await stand_in.commit_files("acme/shop", "x", {"a.txt": "one\nTWO\nthree\n"}, "Begin anew")
    unrelated = {"head": "x", "base": "main", "title": "T"}
    answer = await client.ask("POST", "/repos/acme/shop/pulls", unrelated, status=422)
    assert "no history in common" in answer["errors"][0]["message"]
    sha = await main_sha(client)
    await client.ask("POST", "/repos/acme/shop/git/refs", {"ref": "refs/heads/y", "sha": sha}, status=201)
    wanted = {"head": "acme:y", "base": "main", "title": "T", "body": "B", "draft": True}
    answer = await client.ask("POST", "/repos/acme/shop/pulls", wanted, status=422)
    assert answer["errors"][0]["message"] == "No commits between main and y"
    await stand_in.commit_files("acme/shop", "y", {"a.txt": "one\nTWO\nthree\n"}, "Shout")
    made = await client.ask("POST", "/repos/acme/shop/pulls", wanted, status=201)
    assert (made["number"], made["state"], made["draft"], made["mergeable_state"]) == (1, "open", True, "draft")
    assert (made["commits"], made["additions"], made["deletions"], made["changed_files"]) == (1, 1, 1, 1)
    answer = await client.ask("POST", "/repos/acme/shop/pulls", wanted, status=422)
    assert answer["errors"][0]["message"] == "A pull request already exists for acme:y."
    path = "/repos/acme/shop/pulls/1"
    edited = await client.ask("PATCH", path, {"title": "Shout", "body": None}, status=200)
    assert (edited["title"], edited["body"]) == ("Shout", None)
    await stand_in.commit_files("acme/shop", "main", {"a.txt": "one\n2\nthree\n"}, "Differ")
    conflict = await client.ask("GET", path, status=200)
    assert (conflict["mergeable"], conflict["mergeable_state"]) == (False, "dirty")
    assert (await client.ask("PATCH", path, {"state": "closed"}, status=200))["closed_at"]
    assert await client.ask("GET", "/repos/acme/shop/pulls", status=200) == []
    assert (await client.ask("PATCH", path, {"state": "open"}, status=200))["state"] == "open"
    await client.ask("PATCH", path, {"state": "merged"}, status=422)
    listed = await client.ask("GET", "/repos/acme/shop/pulls?state=open&head=acme:y&base=main", status=200)
    assert [one["number"] for one in listed] == [1]
    assert await client.ask("GET", "/repos/acme/shop/pulls?head=zeta:y", status=200) == []
    body = {"sha": conflict["head"]["sha"], "force": True}
    await client.ask("PATCH", "/repos/acme/shop/git/refs/heads/main", {**body, "force": False}, status=422)
    await client.ask("PATCH", "/repos/acme/shop/git/refs/heads/main", body, status=200)
    merged = await client.ask("GET", path, status=200)
    assert (merged["state"], merged["merged"], bool(merged["merged_at"])) == ("closed", True, True)
    await client.ask("PATCH", path, {"state": "open"}, status=422)


async def test_many_open_the_same_pull_request(client: Client, stand_in: GithubStandIn) -> None:
    """Of twenty who ask at once one opens it, and the numbers have no hole."""
    sha = await main_sha(client)
    await client.ask("POST", "/repos/acme/shop/git/refs", {"ref": "refs/heads/y", "sha": sha}, status=201)
    await stand_in.commit_files("acme/shop", "y", {"b.txt": "b\n"}, "Add b")
    wanted = {"head": "y", "base": "main", "title": "T"}
    answers = await asyncio.gather(*(client.ask("POST", "/repos/acme/shop/pulls", wanted) for _ in range(20)))
    assert [one["number"] for one in answers if "number" in one] == [1]


# ------------------------------------------------------------------------------- imports, restarts


def git(path: Path, *arguments: str) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.devnull,
        "GIT_CONFIG_GLOBAL": os.devnull,
        **{f"GIT_{who}_{what}": "x@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    done = subprocess.run(["git", "-C", path, *arguments], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def own_repository(path: Path) -> Path:
    """A repository of the user's, with a trap in every hook and in its configuration."""
    path.mkdir()
    git(path, "init", "-q", "-b", "trunk")
    (path / "a.txt").write_text("a\n")
    git(path, "add", "a.txt")
    git(path, "commit", "-q", "-m", "Begin")
    trap = f"#!/bin/sh\ntouch {path.parent / 'sprung'}\n"
    for name in ("post-upload-pack", "pre-receive", "post-checkout", "reference-transaction", "post-update"):
        hook = path / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(trap)
        hook.chmod(0o755)
    git(path, "config", "uploadpack.packObjectsHook", f"touch {path.parent / 'sprung'};")
    git(path, "config", "core.fsmonitor", f"touch {path.parent / 'sprung'};")
    return path


def snapshot(path: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


async def test_a_repository_of_this_machine(client: Client, stand_in: GithubStandIn, tmp_path: Path) -> None:
    """It is copied, never written, and runs nothing; new commits come on the next start, sessions' branches stay."""
    own = own_repository(tmp_path / "My Project!")
    before = snapshot(own)
    row = await stand_in.import_repository(own)
    assert (row.full_name, row.default_branch) == ("local/My-Project", "trunk")
    bare = stand_in.world.git(row)
    assert (await bare.branches()) == {"trunk": git(own, "rev-parse", "HEAD")}
    await stand_in.commit_files(row.full_name, "devflow/x", {"b.txt": "b\n"}, "Session")
    git(own, "branch", "feature")
    git(own, "branch", "kept")
    await stand_in.import_repository(own)
    await stand_in.commit_files(row.full_name, "feature", {"c.txt": "c\n"}, "Pushed here")
    await bare.update_ref("refs/heads/kept", None)
    assert snapshot(own / ".git" / "hooks") == {name: data for name, data in before.items() if "/hooks/" in name}
    (own / "a.txt").write_text("b\n")
    for branch in ("feature", "trunk"):
        git(own, "checkout", "-q", branch)
        git(own, "-c", "core.hooksPath=/dev/null", "commit", "-q", "-a", "-m", f"More on {branch}", "--allow-empty")
    (tmp_path / "sprung").unlink(missing_ok=True)
    changed = snapshot(own)
    mine = await bare.head_of("feature"), await bare.head_of("devflow/x")
    again = await stand_in.import_repository(own)
    assert again.id == row.id
    assert await bare.head_of("trunk") == git(own, "rev-parse", "trunk")
    assert (await bare.head_of("feature"), await bare.head_of("devflow/x")) == mine
    assert await bare.head_of("kept") is None
    assert snapshot(own) == changed
    assert not (tmp_path / "sprung").exists()
    page = await client.page("/local/My-Project")
    assert "devflow/x" in page
    assert "devflow-import" not in page


async def test_an_import_that_is_none(stand_in: GithubStandIn, tmp_path: Path) -> None:
    """A directory without git is an error and leaves no repository behind; an empty repository is empty."""
    (tmp_path / "plain").mkdir()
    with pytest.raises(GitError):
        await stand_in.import_repository(tmp_path / "plain")
    (tmp_path / "blank").mkdir()
    git(tmp_path / "blank", "init", "-q")
    row = await stand_in.import_repository(tmp_path / "blank")
    assert await stand_in.world.git(row).branches() == {}
    assert [one.full_name for one in stand_in.repositories() if one.full_name.startswith("local/")] == ["local/blank"]
    with pytest.raises(FileExistsError):
        await stand_in.import_repository(own_repository(tmp_path / "other"), "local/blank")


@pytest.mark.parametrize(
    ("path", "name"),
    [("a/My App", "My-App"), ("a/x.git", "x"), ("a/proj/.git", "proj"), ("a/日本", "repository"), ("a/-x", "x")],
)
def test_a_directory_as_a_name(path: str, name: str, tmp_path: Path) -> None:
    """Any directory's name becomes a repository name."""
    assert local_name(tmp_path / path) == name


async def test_a_restart_goes_on(tmp_path: Path) -> None:
    """Repositories, pull requests, tokens and the key are there after a stop; the key is for its owner only."""
    clock = Clock()
    first = GithubStandIn(tmp_path / "state")
    await first.start()
    await seed_demo(first)
    key = first.private_key_pem
    assert (tmp_path / "state" / "app-key.pem").stat().st_mode & 0o777 == 0o600
    async with aiohttp.ClientSession() as http:
        client = Client(first, http, clock)
        client.token = await client.mint("demo")
        sha = await main_sha(client, "demo/hello")
        await client.ask("POST", "/repos/demo/hello/git/refs", {"ref": "refs/heads/x", "sha": sha}, status=201)
        await first.commit_files("demo/hello", "x", {"b.txt": "b\n"}, "Add b")
        await client.ask("POST", "/repos/demo/hello/pulls", {"head": "x", "base": "main", "title": "T"}, status=201)
        await first.stop()
        second = GithubStandIn(tmp_path / "state")
        await second.start()
        await seed_demo(second)
        assert second.private_key_pem == key
        client.stand_in = second
        found = await client.ask("GET", "/repos/demo/hello/pulls/1", status=200)
        assert (found["state"], found["commits"]) == ("open", 1)
        await second.stop()


# ------------------------------------------------------------------------------------------- pages


async def test_the_demo_fails_one_test_until_it_is_mended(stand_in: GithubStandIn, tmp_path: Path) -> None:
    """demo/hello is honest: exactly one test fails, and the command we tell people mends it."""
    await seed_demo(stand_in)
    row = stand_in.world.store.repository("demo/hello")
    assert row is not None
    git(tmp_path, "clone", "-q", str(stand_in.world.git(row).path), "hello")
    run = [sys.executable, "-m", "unittest"]
    failed = subprocess.run(run, cwd=tmp_path / "hello", capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert "FAILED (failures=1)" in failed.stderr
    mended = subprocess.run(
        FIX_COMMAND, shell=True, cwd=tmp_path / "hello", capture_output=True, text=True, check=False
    )
    assert mended.returncode == 0, mended.stderr
    assert git(tmp_path / "hello", "status", "--porcelain") == "M hello.py"
    dates = git(tmp_path / "hello", "log", "--format=%ad", "--date=short").split()
    assert len(set(dates)) == len(dates) == 4


async def test_every_page_is_shown_and_escaped(client: Client, stand_in: GithubStandIn) -> None:
    """Names, messages, files and descriptions from outside are text on every page, never markup."""
    evil = "<script>alert('x')</script>"
    sha = await main_sha(client, "acme/open")
    branch = "feature/<b>&"
    row = stand_in.world.store.repository("acme/open")
    assert row is not None
    await stand_in.world.git(row).update_ref(f"refs/heads/{branch}", sha)
    files = {
        f"{evil.replace('/', '|')}.md": evil,
        "README.md": f"# {evil}\n[x](javascript:alert(1)) `{evil}`\n",
        "a.txt": evil,
    }
    head = await stand_in.commit_files("acme/open", branch, files, f"{evil}\n\n{evil}")
    client.token = await client.mint()
    wanted = {"head": branch, "base": "main", "title": evil, "body": f"{evil} **{evil}** <img src=x onerror=alert(1)>"}
    await client.ask("POST", "/repos/acme/open/pulls", wanted, status=201)
    for path in (
        "/",
        "/acme/open",
        "/acme/open/pulls",
        "/acme/open/pull/1",
        f"/acme/open/commit/{head}",
        "/acme/open/tree/feature/%3Cb%3E%26",
        "/acme/open/blob/feature/%3Cb%3E%26/a.txt",
        "/acme/open/compare/main...feature/%3Cb%3E%26",
        "/apps/devflow-sandbox/installations/new",
    ):
        page = await client.page(path)
        assert "<script" not in page, path
        assert "<b>&" not in page, path
        assert "onerror=alert(1)>" not in page, path
        assert 'href="javascript' not in page, path
    shown = await client.page("/acme/open/pull/1")
    assert html.escape(evil) in shown
    assert 'class="add"' in shown
    assert "+1" in await client.page("/acme/open/pull/1.diff")
    raw = await client.http.get(f"{stand_in.url}/acme/open/raw/feature/%3Cb%3E%26/a.txt")
    assert (raw.content_type, raw.headers["X-Content-Type-Options"]) == ("text/plain", "nosniff")


@pytest.mark.parametrize(
    "path",
    [
        "/acme/nothing",
        "/acme/open/pull/9",
        "/acme/open/commit/0123456789",
        "/acme/open/tree/nowhere",
        "/acme/open/tree/main/nowhere",
        "/acme/open/blob/main/..%2f..%2fconfig",
        "/acme/open/raw/main/%2e%2e/%2e%2e/config",
        "/acme/open/compare/main...nowhere",
        "/acme/open/compare/--output=x...main",
        "/static/..%2fserver.py",
        "/apps/another",
    ],
)
async def test_pages_that_are_not_there(client: Client, path: str) -> None:
    """What does not exist, or tries to leave its place, is a page that says so."""
    assert "Not found" in await client.page(path, 404)


async def test_an_empty_repository_has_a_page(client: Client, stand_in: GithubStandIn) -> None:
    """No commits yet is a sentence, not an error."""
    await stand_in.create_repository("acme/blank", empty=True)
    assert "There are no commits yet" in await client.page("/acme/blank")


async def test_the_app_is_installed_with_a_button(client: Client, stand_in: GithubStandIn) -> None:
    """The link of NotFound's remedy leads to a form that works, and only from its own page."""
    stand_in.set_installed("acme/open", False)
    page = "/apps/devflow-sandbox/installations"
    form = {"repository": "acme/open", "installed": "1"}
    foreign = await client.http.post(stand_in.url + page, data=form, headers={"Origin": "http://evil.example"})
    assert foreign.status == 403
    await client.ask("GET", "/repos/acme/open/installation", credential=client.jwt(), status=404)
    own = await client.http.post(stand_in.url + page, data=form, headers={"Origin": stand_in.url})
    assert own.status == 200
    await client.ask("GET", "/repos/acme/open/installation", credential=client.jwt(), status=200)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("# a *b* `c`", "<h1>a <em>b</em> <code>c</code></h1>"),
        ("- one\n- **two**\n\n1. x", "<ul><li>one</li><li><strong>two</strong></li></ul><ol><li>x</li></ol>"),
        ("```sh\n<b>\n```", "<pre><code>&lt;b&gt;\n</code></pre>"),
        ("a_b_c * d", "<p>a_b_c * d</p>"),
        ("> q", "<blockquote><p>q</p></blockquote>"),
        ("[a](b.md)", '<p><a href="b.md" rel="noopener noreferrer">a</a></p>'),
        ("> " * 400 + "deep", None),
        ("`" * 3000, None),
        ("*" * 3000 + "[" * 3000, None),
    ],
)
def test_markdown(text: str, shown: str | None) -> None:
    """The usual forms are shown, and hostile ones end quickly."""
    found = markdown.render(text)
    assert shown is None or found == f'<div class="markdown">{shown}</div>'
