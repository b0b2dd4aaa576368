"""`--repo PATH`: a user's own repository in the sandbox, of which not one byte may change."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.sandbox_process import SandboxProcess, devflow, turn


def git(directory: Path, *arguments: str) -> None:
    author = ("-c", "user.name=A User", "-c", "user.email=user@example.com", "-c", "init.defaultBranch=trunk")
    subprocess.run(["git", *author, *arguments], cwd=directory, check=True, capture_output=True, timeout=30)


def own_repository(directory: Path, *, bare: bool = False) -> Path:
    """A repository with a commit, something uncommitted, a hook and a file that is not tracked."""
    work = directory.with_name(directory.name + "-work") if bare else directory
    work.mkdir(parents=True)
    git(work, "init", "-q")
    (work / "shop.py").write_text("price = 1\n")
    git(work, "add", ".")
    git(work, "commit", "-q", "-m", "Begin")
    if bare:
        git(work, "clone", "-q", "--bare", str(work), str(directory))
        return directory
    (work / "shop.py").write_text("price = 2  # not committed\n")
    (work / "untracked.txt").write_text("mine\n")
    hook = work / ".git" / "hooks" / "post-upload-pack"
    hook.write_text("#!/bin/sh\ntouch touched\n")
    hook.chmod(0o755)
    return work


def fingerprint(directory: Path) -> str:
    """A hash of every name, mode, link and byte below, .git included."""
    digest = hashlib.sha256()
    for path in sorted(directory.rglob("*")):
        status = path.lstat()
        digest.update(f"{path.relative_to(directory)} {status.st_mode:o} {status.st_mtime_ns}\n".encode())
        if path.is_symlink():
            digest.update(os.readlink(path).encode())
        elif path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def test_an_own_repository_is_worked_on_and_stays_as_it_is(tmp_path: Path) -> None:
    """Offered as local/NAME, changed and pushed there; the original is byte-identical afterwards, .git included."""
    shop = own_repository(tmp_path / "My Shop")
    bare = own_repository(tmp_path / "library.git", bare=True)
    (tmp_path / "fresh").mkdir()
    git(tmp_path / "fresh", "init", "-q")
    before = [fingerprint(path) for path in (shop, bare, tmp_path / "fresh")]
    repositories = [part for path in (shop, bare, tmp_path / "fresh") for part in ("--repo", str(path))]
    with SandboxProcess(tmp_path / "state", *repositories) as sandbox:
        assert any("local/My-Shop" in str(message) for message in sandbox.thread(sandbox.messages()[0]["ts"]))
        assert "commit" in sandbox.refused("start local/fresh ls"), "a repository without commits: a sentence"
        for name in ("local/My-Shop", "local/library"):
            prompt = "cat shop.py; echo 'price = 3' > shop.py"
            thread_ts = sandbox.start_session(f"start {name} {prompt}")
            item = sandbox.item_with(
                thread_ts, "an answer", lambda i: i["history"] and i["history"][0].get("response_ts")
            )
            assert item["base_branch"] == "trunk"
            assert "price = 1" in turn(item, prompt)["response"], "what is committed is seen, and nothing else"
            assert sandbox.ls_remote(item) == turn(item, prompt)["commit_sha"]
            sandbox.open_pull_request(thread_ts)
            sandbox.item_with(thread_ts, "a pull request", lambda i: "pr_number" in i)
            sandbox.reply(thread_ts, "!stop")
            sandbox.item_with(thread_ts, "the stop", lambda i: i["status"] == "stopped")
        assert sandbox.end() == 0
    assert [fingerprint(path) for path in (shop, bare, tmp_path / "fresh")] == before


def test_paths_are_taken_as_they_are_typed(tmp_path: Path) -> None:
    """`~` (which make does not expand between quotes) and a relative path both find their repository."""
    own_repository(tmp_path / "home" / "shop")
    own_repository(tmp_path / "there" / "lib")
    ended = devflow(
        "sandbox", "--once", "start local/lib echo '# x' >> shop.py", "--state", str(tmp_path / "state"),
        "--repo", "~/shop", "--repo", "lib", cwd=tmp_path / "there", HOME=str(tmp_path / "home"),
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("path", "sentence"),
    [("missing", "there is no such directory"), ("plain", "git cannot read it as a repository")],
)
def test_what_is_no_repository_is_refused_with_a_sentence(tmp_path: Path, path: str, sentence: str) -> None:
    """The path as it was typed, what is wrong with it, and what to do; nothing is left running."""
    (tmp_path / "plain").mkdir()
    ended = devflow("sandbox", "--state", str(tmp_path / "state"), "--port", "0", "--repo", path, cwd=tmp_path)
    assert ended.returncode == 1
    assert f"--repo {path}: {sentence}" in ended.stderr
    assert "Name the " in ended.stderr
    assert "Traceback" not in ended.stderr


def test_two_repositories_of_one_name_are_refused(tmp_path: Path) -> None:
    """local/NAME can be only one of them."""
    first, second = own_repository(tmp_path / "a" / "shop"), own_repository(tmp_path / "b" / "shop")
    ended = devflow(
        "sandbox", "--state", str(tmp_path / "state"), "--port", "0", "--repo", str(first), "--repo", str(second)
    )
    assert ended.returncode == 1
    assert "local/shop" in ended.stderr
    assert "Rename" in ended.stderr
