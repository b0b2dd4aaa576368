"""Real git against the stand-in's smart HTTP: credentials, scopes, refusals in words, big pushes, clients that go."""

from __future__ import annotations

import asyncio
import base64
import gzip
import os
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from slackbot.adapters.github import GithubCodeHost
from slackbot.core.repository_name import RepositoryName
from slackbot.sandbox.github.rest_base import token_hash
from slackbot.sandbox.github.review_store import Rule
from slackbot.sandbox.github.server import GithubStandIn
from slackbot.sandbox.github.store import TokenRow
from tests.fakes.github_support import app_key

FLUSH = b"0000"


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def stand_in(tmp_path: Path, clock: Clock) -> AsyncIterator[GithubStandIn]:
    """Its clock stands still, so tokens are put into the store: the App's JWT would be of the real time."""
    stand_in = GithubStandIn(tmp_path / "state", private_key_pem=app_key(), clock=clock)
    await stand_in.start()
    await stand_in.create_repository("acme/open", files={"a.txt": "a\n"})
    await stand_in.create_repository("acme/shop", files={"a.txt": "a\n"}, private=True)
    await stand_in.create_repository("acme/old", files={"a.txt": "a\n"}, archived=True)
    yield stand_in
    await stand_in.stop()


def token_for(stand_in: GithubStandIn, *names: str, **permissions: str) -> str:
    """A token of the installation on acme, for these repositories, without going through REST."""
    world = stand_in.world
    rows = [world.store.repository(f"acme/{name}") for name in names]
    token = f"ghs_{secrets.token_hex(16)}"
    account = world.store.account("acme")
    assert account is not None
    ids = frozenset(row.id for row in rows if row)
    granted = permissions or {"contents": "write"}
    world.store.add_token(token_hash(token), TokenRow(account.id, granted, ids, world.now() + 3600), world.now())
    return token


async def git(*arguments: str | Path, token: str | None = None, cwd: Path | None = None) -> tuple[int, str]:
    """(exit code, what it wrote) of a client that knows nothing of this machine's settings."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
        **{f"GIT_{who}_{what}": "x@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    if token is not None:
        basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        environment |= {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
        }
    process = await asyncio.create_subprocess_exec(
        "git",
        *map(str, arguments),
        cwd=cwd,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode(errors="replace")


async def cloned(stand_in: GithubStandIn, name: str, path: Path, token: str | None = None) -> Path:
    code, said = await git("clone", "-q", f"{stand_in.url}/acme/{name}.git", path, token=token)
    assert code == 0, said
    return path


async def committed(path: Path, file: str, content: str | bytes) -> None:
    target = path / file
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert (await git("add", "-A", cwd=path))[0] == 0
    assert (await git("commit", "-q", "-m", f"Add {file}", cwd=path))[0] == 0


async def head_of(stand_in: GithubStandIn, name: str, branch: str) -> str | None:
    row = stand_in.world.store.repository(f"acme/{name}")
    assert row is not None
    return await stand_in.world.git(row).head_of(branch)


async def test_clone_commit_push_fetch(stand_in: GithubStandIn, tmp_path: Path) -> None:
    """A private repository is cloned, pushed to and fetched from with a token of its own."""
    token = token_for(stand_in, "shop")
    one = await cloned(stand_in, "shop", tmp_path / "one", token)
    two = await cloned(stand_in, "shop", tmp_path / "two", token)
    await committed(one, "b.txt", "b\n")
    assert (await git("push", "-q", "origin", "HEAD:refs/heads/devflow/x", token=token, cwd=one))[0] == 0
    assert (await git("fetch", "-q", "origin", "devflow/x", token=token, cwd=two))[0] == 0
    _, fetched = await git("rev-parse", "FETCH_HEAD", cwd=two)
    assert fetched.strip() == await head_of(stand_in, "shop", "devflow/x")


async def test_public_is_read_by_anyone(stand_in: GithubStandIn, tmp_path: Path) -> None:
    """Without credentials a public repository is cloned, shallow and partial too, and not pushed to."""
    clone = await cloned(stand_in, "open", tmp_path / "c")
    url = f"{stand_in.url}/acme/open"
    assert (await git("clone", "-q", "--depth=1", url, tmp_path / "shallow"))[0] == 0
    assert (await git("clone", "-q", "--filter=blob:none", url, tmp_path / "partial"))[0] == 0
    await committed(clone, "b.txt", "b\n")
    code, said = await git("push", "origin", "HEAD", cwd=clone)
    assert code != 0
    assert "could not read Username" in said


@pytest.mark.parametrize(
    ("url", "token", "words"),
    [
        ("acme/shop.git", None, "could not read Username"),
        ("acme/nothing.git", None, "could not read Username"),
        ("acme/shop.git", "ghs_wrong", "could not read Username"),
        ("acme/nothing.git", "open", "Repository not found"),
        ("acme/shop.git", "open", "Repository not found"),
        ("acme/..%2f..%2fshop.git", "shop", "not found"),
        ("acme%2fshop", "shop", "not found"),
    ],
)
async def test_what_cannot_be_cloned(
    stand_in: GithubStandIn, tmp_path: Path, url: str, token: str | None, words: str
) -> None:
    """No credentials, wrong ones, another repository's, a name that is none: refused, each in git's usual words."""
    sent = token_for(stand_in, token) if token in {"open", "shop"} else token
    code, said = await git("clone", f"{stand_in.url}/{url}", tmp_path / "c", token=sent)
    assert code != 0
    assert words in said


@pytest.mark.parametrize(
    ("name", "scope", "permissions", "words"),
    [
        ("shop", "shop", {"contents": "read"}, "denied to devflow-sandbox[bot]"),
        ("open", "shop", {"contents": "write"}, "denied to devflow-sandbox[bot]"),
        ("open", "open", {"metadata": "read"}, "denied to devflow-sandbox[bot]"),
        ("old", "old", {"contents": "write"}, "archived so it is read-only"),
    ],
)
async def test_what_cannot_be_pushed(
    stand_in: GithubStandIn, tmp_path: Path, name: str, scope: str, permissions: dict[str, str], words: str
) -> None:
    """A token that may only read, one of another repository, an archived repository: told in words, nothing changed."""
    clone = await cloned(stand_in, name, tmp_path / "c", token_for(stand_in, name))
    before = await head_of(stand_in, name, "main")
    await committed(clone, "b.txt", "b\n")
    code, said = await git("push", "origin", "HEAD", token=token_for(stand_in, scope, **permissions), cwd=clone)
    assert code != 0
    assert words in said
    assert await head_of(stand_in, name, "main") == before


async def test_a_token_expires(stand_in: GithubStandIn, clock: Clock, tmp_path: Path) -> None:
    """After an hour the token is refused, and a new one continues in the same clone."""
    token = token_for(stand_in, "shop")
    clone = await cloned(stand_in, "shop", tmp_path / "c", token)
    await committed(clone, "b.txt", "b\n")
    clock.now += 3600
    code, said = await git("push", "origin", "HEAD", token=token, cwd=clone)
    assert code != 0
    assert "could not read Username" in said
    assert (await git("push", "-q", "origin", "HEAD", token=token_for(stand_in, "shop"), cwd=clone))[0] == 0


async def test_workflows_need_their_permission(stand_in: GithubStandIn, tmp_path: Path) -> None:
    """GitHub's sentence refuses a pushed workflow; with the permission it goes through."""
    clone = await cloned(stand_in, "shop", tmp_path / "c", token_for(stand_in, "shop"))
    await committed(clone, ".github/workflows/ci.yml", "on: push\n")
    await committed(clone, "b.txt", "b\n")
    code, said = await git("push", "origin", "HEAD:devflow/x", token=token_for(stand_in, "shop"), cwd=clone)
    assert code != 0
    assert "refusing to allow a GitHub App to create or update workflow `.github/workflows/ci.yml`" in said
    assert await head_of(stand_in, "shop", "devflow/x") is None
    allowed = token_for(stand_in, "shop", contents="write", workflows="write")
    assert (await git("push", "-q", "origin", "HEAD:devflow/x", token=allowed, cwd=clone))[0] == 0


async def test_moved_branches_are_rebased(stand_in: GithubStandIn, tmp_path: Path) -> None:
    """A push behind another's is rejected; fetch, rebase and push again go through, as workers do."""
    token = token_for(stand_in, "shop")
    clone = await cloned(stand_in, "shop", tmp_path / "c", token)
    await stand_in.commit_files("acme/shop", "main", {"theirs.txt": "t\n"}, "Theirs")
    await committed(clone, "ours.txt", "o\n")
    code, said = await git("push", "origin", "HEAD:main", token=token, cwd=clone)
    assert code != 0
    assert "fetch first" in said
    assert (await git("pull", "-q", "--rebase", "origin", "main", token=token, cwd=clone))[0] == 0
    assert (await git("push", "-q", "origin", "HEAD:main", token=token, cwd=clone))[0] == 0


@pytest.mark.parametrize("refspec", ["HEAD:refs/pull/1/head", "HEAD:refs/devflow-import/main", ":main"])
async def test_refs_that_are_not_the_clients(stand_in: GithubStandIn, tmp_path: Path, refspec: str) -> None:
    """Hidden refs are not written, and the default branch is not deleted."""
    token = token_for(stand_in, "shop")
    clone = await cloned(stand_in, "shop", tmp_path / "c", token)
    code, _ = await git("push", "origin", refspec, token=token, cwd=clone)
    assert code != 0
    assert await head_of(stand_in, "shop", "main") is not None


async def test_a_protected_branch_takes_pull_requests_only(stand_in: GithubStandIn, tmp_path: Path) -> None:
    """In GitHub's words; other branches, and refs of other namespaces, are pushed to as before."""
    token = token_for(stand_in, "shop")
    clone = await cloned(stand_in, "shop", tmp_path / "c", token)
    row = stand_in.world.store.repository("acme/shop")
    assert row is not None
    stand_in.world.store.reviews.set_rule(row.id, "main", Rule("main", 1, ()))
    await committed(clone, "ours.txt", "o\n")
    code, said = await git("push", "origin", "HEAD:main", token=token, cwd=clone)
    assert code != 0
    assert "GH006: Protected branch update failed for refs/heads/main" in said
    for refspec in ("HEAD:refs/heads/mine", "HEAD:refs/devflow/s1"):
        assert (await git("push", "-q", "origin", refspec, token=token, cwd=clone))[0] == 0
    assert (await git("fetch", "-q", "origin", "refs/devflow/s1", token=token, cwd=clone))[0] == 0


async def test_a_big_push_is_streamed(stand_in: GithubStandIn, tmp_path: Path) -> None:
    """Beyond 1 MiB git sends in chunks without a length; the whole arrives, and comes back."""
    token = token_for(stand_in, "shop")
    clone = await cloned(stand_in, "shop", tmp_path / "c", token)
    content = os.urandom(3 * 1024 * 1024)
    await committed(clone, "big.bin", content)
    code, said = await git("push", "-q", "origin", "HEAD:big", token=token, cwd=clone)
    assert code == 0, said
    again = await cloned(stand_in, "shop", tmp_path / "again", token)
    assert (await git("checkout", "-q", "big", cwd=again))[0] == 0
    assert (again / "big.bin").read_bytes() == content


async def test_a_push_moves_its_pull_request(stand_in: GithubStandIn, clock: Clock, tmp_path: Path) -> None:
    """The pull request follows its branch, and counts as merged once pushed into its base."""
    clock.now = time.time()
    code_host = GithubCodeHost(api_url=stand_in.api_url, app_id=1, private_key=app_key())
    shop = await code_host.find_repository(RepositoryName("acme", "shop"))
    token = (await code_host.mint_token(shop)).token
    clone = await cloned(stand_in, "shop", tmp_path / "c", token)
    await committed(clone, "b.txt", "b\n")
    await git("push", "-q", "origin", "HEAD:devflow/x", token=token, cwd=clone)
    made = await code_host.open_pull_request(shop, head="devflow/x", base="main", title="Add b", body="")
    await committed(clone, "c.txt", "c\n")
    await git("push", "-q", "origin", "HEAD:devflow/x", token=token, cwd=clone)
    moved = await code_host.get_pull_request(shop, made.number)
    assert moved.head_sha == await head_of(stand_in, "shop", "devflow/x") != made.head_sha
    await git("push", "-q", "origin", "HEAD:main", token=token, cwd=clone)
    merged = await code_host.get_pull_request(shop, made.number)
    assert (merged.state, merged.merged) == ("closed", True)
    await code_host.close()


async def test_a_renamed_repository_is_cloned(stand_in: GithubStandIn, tmp_path: Path) -> None:
    """The old address leads to the new one."""
    stand_in.rename_repository("acme/open", "public")
    await cloned(stand_in, "open", tmp_path / "c")


async def test_the_wire_itself(stand_in: GithubStandIn) -> None:
    """Credentials are asked for, protocol 2 is spoken, a gzip body is read, the old protocol is refused."""
    url = f"{stand_in.url}/acme/open"
    async with aiohttp.ClientSession() as http:
        asked = await http.get(f"{stand_in.url}/acme/shop/info/refs?service=git-upload-pack")
        assert (asked.status, asked.headers["WWW-Authenticate"]) == (401, 'Basic realm="GitHub"')
        spoken = await http.get(f"{url}/info/refs?service=git-upload-pack", headers={"Git-Protocol": "version=2"})
        assert b"version 2" in await spoken.read()
        body = b"0014command=ls-refs\n" + b"0001" + FLUSH
        headers = {
            "Content-Type": "application/x-git-upload-pack-request",
            "Content-Encoding": "gzip",
            "Git-Protocol": "version=2",
        }
        listed = await http.post(f"{url}/git-upload-pack", data=gzip.compress(body), headers=headers)
        assert b"refs/heads/main" in await listed.read()
        for path in ("info/refs", "info/refs?service=git-evil", "HEAD", "objects/info/packs", "config"):
            answer = await http.get(f"{url}/{path}")
            assert answer.status in {403, 404}, path
        form = await http.post(f"{url}/git-receive-pack", data={"a": "b"})
        assert form.status == 415
        foreign = await http.get(f"{url}/info/refs?service=git-upload-pack", headers={"Host": "evil.example"})
        assert foreign.status == 421


def processes_of(directory: Path) -> list[int]:
    """Processes that serve the repositories under `directory`, by their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if f"GIT_PROJECT_ROOT={directory}".encode() in environment:
                found.append(int(entry.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks processes up in /proc")
async def test_a_client_that_leaves(stand_in: GithubStandIn, tmp_path: Path) -> None:
    """When a client goes away in the middle of a clone, no process of git stays behind."""
    await stand_in.create_repository("acme/big", files={"big.bin": os.urandom(24 * 1024 * 1024)})
    sha = await head_of(stand_in, "big", "main")
    want = f"0032want {sha}\n".encode() + FLUSH + b"0009done\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", int(stand_in.url.rpartition(":")[2]))
    writer.write(
        b"POST /acme/big/git-upload-pack HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Content-Type: application/x-git-upload-pack-request\r\n"
        + f"Content-Length: {len(want)}\r\n\r\n".encode()
        + want
    )
    await reader.readexactly(64 * 1024)
    assert processes_of(tmp_path / "state")
    writer.transport.abort()
    async with asyncio.timeout(60):
        while processes_of(tmp_path / "state"):
            await asyncio.sleep(0.02)
