"""From the agent's checkout to the branch: commits taken over, pushed, rebased; hostile checkouts run nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from slackbot.core.errors import PermanentError
from slackbot.worker import publish as publish_module
from slackbot.worker.checkout import Checkout
from slackbot.worker.git import Git
from slackbot.worker.git_identity import Credentials, url_prefix
from slackbot.worker.place import CheckoutBroken, Place
from slackbot.worker.publish import Published, Publisher
from slackbot.worker.push_words import NeedsLeave, NotPushed
from slackbot.worker.undo import CannotUndo, undo
from slackbot.worker_protocol import UndoWork
from tests.worker.conftest import BRANCH, session_info
from tests.worker.git_server import TOKEN, GitServer, git

MESSAGE = "Do it\n\nDevFlow-Turn: T1\n"
FILES = {"hello.py": 'print("hello")\n', "README.md": "one\ntwo\nthree\n"}


@dataclass
class Desk:
    """A worker's repositories and the server they talk to."""

    server: GitServer
    bare: Path
    checkout: Checkout
    publisher: Publisher
    asked: list[bool]

    @property
    def files(self) -> Path:
        return self.checkout.place.checkout

    async def turn(self) -> Published | None:
        """What a turn does after the agent."""
        head, _ = await self.checkout.commit_leftovers(MESSAGE)
        return await self.publisher.publish(head)

    def other(self, path: str, text: str, parent: str = BRANCH) -> str:
        """Somebody else pushes a commit to the branch."""
        blob = git(self.bare, "hash-object", "-w", "--stdin", stdin=text).strip()
        script = (
            f"export GIT_INDEX_FILE=other-index; git read-tree {parent} && "
            f"git update-index --add --cacheinfo 100644,{blob},{path} && git write-tree"
        )
        tree = git(self.bare, "-c", f"alias.run=!{script}", "run").strip()
        commit = git(self.bare, "commit-tree", tree, "-p", parent, "-m", f"Other {path}").strip()
        git(self.bare, "update-ref", f"refs/heads/{BRANCH}", commit)
        return commit


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    """A cloned repository, ready for a turn."""
    monkeypatch.setattr(publish_module, "RETRY_SECONDS", 0.01)
    async with GitServer(tmp_path / "git") as server:
        bare = server.create("hello", FILES)
        place = Place(tmp_path / "work")
        place.prepare()
        checkout = Checkout(place, session_info(server.url("hello")))
        asked: list[bool] = []

        async def token(renew: bool) -> Credentials:
            asked.append(renew)
            return Credentials(checkout.prefix, TOKEN)

        publisher = Publisher(checkout, token)
        await publisher.clone()
        yield Desk(server, bare, checkout, publisher, asked)


def log_of(desk: Desk, format_: str = "%s") -> list[str]:
    """The branch on the server, newest first."""
    return git(desk.bare, "log", f"--format={format_}", BRANCH).splitlines()


async def test_leftovers_are_committed_and_pushed(desk: Desk) -> None:
    """New, changed and deleted files go out in one commit by the bot, and are counted."""
    (desk.files / "new.txt").write_text("a\nb\n")
    (desk.files / "hello.py").write_text('print("bye")\n')
    (desk.files / "README.md").unlink()
    published = await desk.turn()
    assert published is not None
    assert (published.files_changed, published.additions, published.deletions) == (3, 3, 4)
    assert git(desk.bare, "rev-parse", BRANCH).strip() == published.commit_sha
    assert log_of(desk, "%an <%ae> %cn|%s|%(trailers:key=DevFlow-Turn)")[0] == (
        "devflow[bot] <1+devflow[bot]@users.noreply.github.com> devflow[bot]|Do it|DevFlow-Turn: T1"
    )
    assert git(desk.files, "status", "--porcelain") == ""
    assert git(desk.files, "rev-parse", f"refs/remotes/origin/{BRANCH}").strip() == published.commit_sha


async def test_nothing_changed_makes_no_commit(desk: Desk) -> None:
    """A turn without changes leaves the branch alone."""
    assert await desk.turn() is None
    assert log_of(desk) == ["Begin"]


async def test_the_agents_own_commits_are_kept(desk: Desk) -> None:
    """What the agent committed itself is pushed as it is, and only the rest gets a commit of ours."""
    (desk.files / "a.txt").write_text("a")
    git(desk.files, "add", "-A")
    git(desk.files, "commit", "-q", "-m", "By the agent")
    assert (await desk.turn()) is not None
    (desk.files / "b.txt").write_text("b")
    await desk.turn()
    assert log_of(desk) == ["Do it", "By the agent", "Begin"]


@pytest.mark.parametrize("switch", [["checkout", "-q", "-b", "elsewhere"], ["checkout", "-q", "--detach"]])
async def test_another_branch_that_descends_is_taken(desk: Desk, switch: list[str]) -> None:
    """Where HEAD stands does not matter as long as it continues the working branch."""
    git(desk.files, *switch)
    (desk.files / "a.txt").write_text("a")
    assert (await desk.turn()) is not None
    assert log_of(desk)[0] == "Do it"
    assert git(desk.files, "status", "--porcelain") == ""


async def test_rewritten_history_is_said(desk: Desk) -> None:
    """A HEAD that would need force is not pushed; the sentence says why."""
    git(desk.files, "commit", "-q", "--amend", "-m", "Rewritten")
    with pytest.raises(NotPushed, match="does not continue the working branch"):
        await desk.turn()
    assert log_of(desk) == ["Begin"]


async def test_a_rejected_push_is_rebased(desk: Desk) -> None:
    """Commits of others stay below ours, and the checkout follows."""
    other = desk.other("other.txt", "theirs\n")
    (desk.files / "mine.txt").write_text("mine\n")
    published = await desk.turn()
    assert published is not None
    assert published.files_changed == 1
    assert log_of(desk) == ["Do it", "Other other.txt", "Begin"]
    assert git(desk.bare, "rev-parse", f"{BRANCH}^").strip() == other
    assert (desk.files / "other.txt").read_text() == "theirs\n"
    assert git(desk.files, "status", "--porcelain") == ""
    assert git(desk.files, "rev-parse", "HEAD").strip() == published.commit_sha
    (desk.files / "mine.txt").write_text("more\n")
    assert (await desk.turn()) is not None


async def test_a_race_during_the_push_is_rebased(desk: Desk) -> None:
    """Somebody may push between our look and our push."""
    desk.server.before_push.append(lambda: desk.other("other.txt", "theirs\n") and None)
    (desk.files / "mine.txt").write_text("mine\n")
    assert (await desk.turn()) is not None
    assert log_of(desk) == ["Do it", "Other other.txt", "Begin"]


async def test_a_lost_answer_to_a_push_is_no_conflict(desk: Desk) -> None:
    """When our commit is on the branch already, that is a success."""
    (desk.files / "mine.txt").write_text("mine\n")
    head, _ = await desk.checkout.commit_leftovers(MESSAGE)
    assert await desk.publisher.publish(head) is not None
    desk.checkout.synced = git(desk.bare, "rev-parse", f"{BRANCH}^").strip()
    desk.other("other.txt", "theirs\n")
    assert (await desk.publisher.publish(head)) is not None
    assert (desk.files / "other.txt").exists()


async def test_a_conflict_is_said_and_can_be_resolved(desk: Desk) -> None:
    """The files are named, nothing is lost, and after the agent merged, the next turn pushes."""
    desk.other("README.md", "one\nTHEIRS\nthree\n")
    (desk.files / "README.md").write_text("one\nOURS\nthree\n")
    with pytest.raises(NotPushed, match=r"conflict with the new ones in README\.md") as failure:
        await desk.turn()
    assert f"git merge origin/{BRANCH}" in failure.value.remedy
    assert log_of(desk) == ["Other README.md", "Begin"]
    assert (desk.files / "README.md").read_text() == "one\nOURS\nthree\n"
    git(desk.files, "merge", "-q", "-X", "ours", f"origin/{BRANCH}")
    assert (await desk.turn()) is not None
    assert git(desk.bare, "show", f"{BRANCH}:README.md") == "one\nOURS\nthree\n"


async def test_undo_takes_back_all_of_a_turn_by_one_commit(desk: Desk) -> None:
    """Several commits and leftovers at once; what came later, and was pushed by others, stays. Then: redo."""
    (desk.files / "a.txt").write_text("a\n")
    git(desk.files, "add", "a.txt")
    git(desk.files, "commit", "-qm", "Add a")
    (desk.files / "README.md").write_text("one\ntwo\nthree\nfour\n")
    first = await desk.turn()
    assert first is not None
    (desk.files / "b.txt").write_text("b\n")
    assert await desk.turn() is not None
    desk.other("c.txt", "c\n")
    wanted = UndoWork(base_sha=first.base_sha, commit_sha=first.commit_sha)
    undone = await undo(desk.checkout, desk.publisher, wanted, "Undo it\n")
    assert undone.published is not None
    assert not undone.saved
    assert log_of(desk)[:2] == ["Undo it", "Other c.txt"]
    for place in (
        lambda path: git(desk.bare, "show", f"{BRANCH}:{path}"),
        lambda path: (desk.files / path).read_text(),
    ):
        assert place("README.md") == FILES["README.md"]
        assert (place("b.txt"), place("c.txt")) == ("b\n", "c\n")
    assert not (desk.files / "a.txt").exists()
    assert git(desk.files, "status", "--porcelain") == ""
    again = await undo(desk.checkout, desk.publisher, wanted, "Again\n")
    assert again.published is None, "nothing is left to take back"
    back = UndoWork(base_sha=undone.published.base_sha, commit_sha=undone.published.commit_sha)
    assert (await undo(desk.checkout, desk.publisher, back, "Redo\n")).published is not None
    assert git(desk.bare, "show", f"{BRANCH}:a.txt") == "a\n"


async def test_an_edit_of_the_same_length_in_the_second_of_the_checkout_counts(desk: Desk) -> None:
    """git tells it by the time at which the index was written, whatever copies are made of the index."""
    path, index = desk.files / "README.md", desk.files / ".git" / "index"
    while True:
        path.write_text(FILES["README.md"])
        git(desk.files, "add", "README.md")
        path.write_text("one\nTWO\nthree\n")
        second = int(path.stat().st_ctime)
        if second == int(index.stat().st_mtime):
            break
    while int(time.time()) == second:
        await asyncio.sleep(0.01)
    assert await desk.turn() is not None
    assert git(desk.bare, "show", f"{BRANCH}:README.md") == "one\nTWO\nthree\n"


async def test_undo_in_conflict_changes_nothing(desk: Desk) -> None:
    """The files are named; the branch and the checkout stay as they are."""
    (desk.files / "README.md").write_text("one\nTWO\nthree\n")
    first = await desk.turn()
    (desk.files / "README.md").write_text("one\n2\nthree\n")
    assert await desk.turn() is not None
    assert first is not None
    with pytest.raises(CannotUndo, match=r"same lines in README\.md"):
        await undo(desk.checkout, desk.publisher, UndoWork(base_sha=first.base_sha, commit_sha=first.commit_sha), "U\n")
    assert len(log_of(desk)) == 3
    assert (desk.files / "README.md").read_text() == "one\n2\nthree\n"
    assert git(desk.files, "status", "--porcelain") == ""


async def test_undo_of_what_is_not_there_is_said(desk: Desk) -> None:
    """Unfinished work is committed first; a commit that is not on the branch is none to undo."""
    (desk.files / "new.txt").write_text("new\n")
    with pytest.raises(CannotUndo, match="not on the branch"):
        await undo(desk.checkout, desk.publisher, UndoWork(base_sha="a" * 40, commit_sha="b" * 40), "Undo\n")
    assert log_of(desk) == ["Save unfinished work", "Begin"]


async def test_unsaved_work_in_conflict_goes_to_a_branch_of_its_own(desk: Desk) -> None:
    """The last resort before the checkout goes away."""
    desk.other("README.md", "theirs\n")
    (desk.files / "README.md").write_text("ours\n")
    head, _ = await desk.checkout.commit_leftovers(MESSAGE)
    name = await desk.publisher.rescue(head)
    assert git(desk.bare, "show", f"{name}:README.md") == "ours\n"


async def test_a_hook_of_the_host_is_quoted(desk: Desk) -> None:
    """What GitHub says when it refuses is passed on, with what to do."""
    hook = desk.bare / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'error: GH006: Protected branch update failed' >&2\nexit 1\n")
    hook.chmod(0o755)
    (desk.files / "a.txt").write_text("a")
    with pytest.raises(NotPushed, match="GH006: Protected branch") as failure:
        await desk.turn()
    assert "administrator" in failure.value.remedy
    hook.unlink()
    assert (await desk.turn()) is not None
    # What an administrator granted the App meanwhile, the token of before does not have.
    assert desk.asked[-2:] == [False, True]
    (desk.files / "b.txt").write_text("b")
    assert (await desk.turn()) is not None
    assert desk.asked[-1] is False


async def test_a_refused_token_is_renewed(desk: Desk) -> None:
    """A token that ended early is replaced once."""
    desk.server.tokens = set()
    (desk.files / "a.txt").write_text("a")
    with pytest.raises(NotPushed):
        await desk.turn()
    assert desk.asked[-2:] == [False, True]


HOSTILE = "touch {mark}; env >> {mark}"


async def test_nothing_planted_in_the_checkout_runs(desk: Desk, tmp_path: Path) -> None:
    """Hooks, fsmonitor, filters, helpers, aliases and rewritten URLs of the agent's run nothing of ours."""
    mark = tmp_path / "planted"
    command = tmp_path / "plant.sh"
    command.write_text(f"#!/bin/sh\n{HOSTILE.format(mark=mark)}\ncat\n")
    command.chmod(0o755)
    hooks = desk.files / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in (
        "pre-commit commit-msg post-commit post-checkout post-index-change reference-transaction pre-push post-merge "
        "post-rewrite pre-rebase prepare-commit-msg fsmonitor-watchman sendemail-validate pre-auto-gc"
    ).split():
        (hooks / name).write_text(command.read_text())
        (hooks / name).chmod(0o755)
    plant = str(command)
    for key, value in {
        "core.fsmonitor": plant,
        "filter.evil.clean": plant,
        "filter.evil.smudge": plant,
        "filter.evil.process": plant,
        "diff.evil.textconv": plant,
        "diff.evil.command": plant,
        "diff.external": plant,
        "merge.evil.driver": plant,
        "credential.helper": f"!{plant}",
        "core.sshCommand": plant,
        "core.gitProxy": plant,
        "core.alternateRefsCommand": plant,
        "core.pager": plant,
        "core.editor": plant,
        "gpg.program": plant,
        "commit.gpgSign": "true",
        "uploadpack.packObjectsHook": plant,
        "alias.rev-parse": f"!{plant}",
        "url.http://127.0.0.1:1/.insteadOf": desk.server.url("hello")[:20],
        "http.extraHeader": "X-Planted: yes",
        "protocol.ext.allow": "always",
        "gc.auto": "1",
        "maintenance.auto": "true",
        "core.worktree": str(tmp_path),
        "trace2.eventTarget": str(mark),
    }.items():
        with (desk.files / ".git" / "config").open("a") as config:
            section, _, name = key.rpartition(".")
            head, _, sub = section.partition(".")
            config.write(f'[{head}{f" {chr(34)}{sub}{chr(34)}" if sub else ""}]\n\t{name} = "{value}"\n')
    (desk.files / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
    (desk.files / "mine.txt").write_text("mine\n")
    (desk.files / "README.md").write_text("one\ntwo\nthree\nfour\n")
    home = desk.checkout.place.scratch / ".gitconfig"
    home.write_text(f"[core]\n\tfsmonitor = {plant}\n")
    desk.other("other.txt", "theirs\n")
    published = await desk.turn()
    assert published is not None
    assert not mark.exists()
    assert git(desk.bare, "show", f"{BRANCH}:mine.txt") == "mine\n"
    assert set(desk.server.seen_tokens) == {TOKEN}
    assert (desk.files / "other.txt").read_text() == "theirs\n"


async def test_repositories_inside_are_left_out_and_named(desk: Desk) -> None:
    """A clone inside the checkout does not become a broken submodule; one without commits does no harm."""
    for name in ("with commits", "empty"):
        (desk.files / name).mkdir()
        git(desk.files / name, "init", "-q")
    (desk.files / "with commits" / "x").write_text("x")
    git(desk.files / "with commits", "add", "-A")
    git(desk.files / "with commits", "commit", "-q", "-m", "x")
    (desk.files / "mine.txt").write_text("mine\n")
    head, nested = await desk.checkout.commit_leftovers(MESSAGE)
    assert set(nested) == {"with commits", "empty"}
    assert await desk.publisher.publish(head) is not None
    assert sorted(git(desk.bare, "ls-tree", "--name-only", BRANCH).split()) == ["README.md", "hello.py", "mine.txt"]


async def test_what_is_no_file_keeps_no_other_back(desk: Desk) -> None:
    """A FIFO or a socket where a file was: the rest is committed, and they are named."""
    (desk.files / "README.md").unlink()
    os.mkfifo(desk.files / "README.md")
    os.mkfifo(desk.files / "nobody writes here")
    (desk.files / "mine.txt").write_text("mine\n")
    head, nested = await desk.checkout.commit_leftovers(MESSAGE)
    assert (nested, desk.checkout.left_out) == ((), "Not committed, because they cannot be read: README.md.")
    assert await desk.publisher.publish(head) is not None
    assert sorted(git(desk.bare, "ls-tree", "--name-only", BRANCH).split()) == ["README.md", "hello.py", "mine.txt"]
    (desk.files / "README.md").unlink()
    await desk.turn()
    assert desk.checkout.left_out == ""
    assert sorted(git(desk.bare, "ls-tree", "--name-only", BRANCH).split()) == ["hello.py", "mine.txt"]


async def test_a_file_that_the_host_does_not_take_keeps_no_other_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a core dump: it stays where it is, and is named; a file that grew too large is as it was."""
    monkeypatch.setattr("slackbot.worker.leftovers.MAX_BLOB_BYTES", 1000)
    for name in ("core, 1", "README.md"):
        (desk.files / name).write_text(name * 1000)
    (desk.files / "mine.txt").write_text("x" * 1000)
    await desk.turn()
    assert desk.checkout.left_out.endswith("MiB: README.md, core, 1.")
    assert sorted(git(desk.bare, "ls-tree", "--name-only", BRANCH).split()) == ["README.md", "hello.py", "mine.txt"]
    assert git(desk.bare, "show", f"{BRANCH}:README.md") == FILES["README.md"]
    assert (desk.files / "core, 1").exists()
    assert await desk.turn() is None
    (desk.files / "core, 1").unlink()
    (desk.files / "README.md").write_text("one\n")
    await desk.turn()
    assert desk.checkout.left_out == ""
    assert git(desk.bare, "show", f"{BRANCH}:README.md") == "one\n"


async def test_what_an_agent_committed_and_the_host_does_not_take_is_not_rescued(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last resort is a commit without it: neither the file nor the agent's commits that hold it are pushed."""
    monkeypatch.setattr("slackbot.worker.takeover.MAX_BLOB_BYTES", 1000)
    (desk.files / "large file").write_text("x" * 1001)
    (desk.files / ".devflow.yml").write_text("test: 'true'\n")
    (desk.files / "mine.txt").write_text("mine\n")
    head, _ = await desk.checkout.commit_leftovers(MESSAGE)
    name = await desk.publisher.rescue(head)
    assert sorted(git(desk.bare, "ls-tree", "--name-only", name).split()) == ["README.md", "hello.py", "mine.txt"]
    assert "large file" in git(desk.bare, "log", "-1", "--format=%B", name)
    assert git(desk.bare, "rev-list", "--count", f"{BRANCH}..{name}").strip() == "1"


async def test_git_waits_at_no_fifo(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that git opens whatever they are: each would hold it for minutes."""
    monkeypatch.setattr("slackbot.worker.leftovers.STALLED_SECONDS", 0.05)
    (desk.files / "deeper").mkdir()
    for name in (".gitignore", "deeper/.gitignore", "deeper/.gitattributes"):
        os.mkfifo(desk.files / name)
    (desk.files / "deeper" / "mine.txt").write_text("mine\n")
    async with asyncio.timeout(60):
        assert await desk.turn() is not None
    assert git(desk.bare, "show", f"{BRANCH}:deeper/mine.txt") == "mine\n"


async def test_ignored_files_stay_out(desk: Desk) -> None:
    """.gitignore and the checkout's own exclude file are obeyed."""
    (desk.files / ".gitignore").write_text("*.log\n")
    (desk.files / ".git" / "info").mkdir(exist_ok=True)
    (desk.files / ".git" / "info" / "exclude").write_text("private.txt\n")
    for name in ("a.log", "private.txt", "kept.txt"):
        (desk.files / name).write_text("x")
    await desk.turn()
    assert sorted(git(desk.bare, "ls-tree", "--name-only", BRANCH).split()) == [
        ".gitignore", "README.md", "hello.py", "kept.txt",
    ]  # fmt: skip


async def test_odd_names_and_links_survive(desk: Desk) -> None:
    """Names with spaces, newlines, non-ASCII and leading dashes; links are stored as links."""
    for name in ("-rf", "a b", "日本語.txt", "new\nline", "*"):
        (desk.files / name).write_text("x")
    (desk.files / "link").symlink_to("/etc/passwd")
    assert (await desk.turn()) is not None
    listing = git(desk.bare, "ls-tree", "-z", BRANCH).split("\0")
    assert sum("\t" in row for row in listing) == 8
    assert any(row.startswith("120000") for row in listing)


async def test_a_removed_repository_is_said(desk: Desk) -> None:
    """An agent that removes .git gets a sentence and not a traceback."""
    shutil.rmtree(desk.files / ".git")
    with pytest.raises(CheckoutBroken, match="without a usable git repository"):
        await desk.turn()


async def test_a_broken_index_is_replaced(desk: Desk) -> None:
    """A damaged index of the agent's costs nothing but time."""
    (desk.files / ".git" / "index").write_bytes(b"broken")
    (desk.files / "a.txt").write_text("a")
    assert (await desk.turn()) is not None
    assert git(desk.files, "status", "--porcelain") == ""


async def test_malformed_objects_are_refused(desk: Desk) -> None:
    """What the agent made by hand is checked before it is taken over."""
    tree = git(desk.files, "rev-parse", "HEAD^{tree}").strip()
    raw = f"tree {tree}\nparent {git(desk.files, 'rev-parse', 'HEAD').strip()}\nauthor nobody\ncommitter nobody\n\nx\n"
    commit = git(desk.files, "hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=raw).strip()
    git(desk.files, "update-ref", "HEAD", commit)
    with pytest.raises(NotPushed, match="malformed"):
        await desk.turn()
    assert log_of(desk) == ["Begin"]


async def test_the_token_is_nowhere_on_disk(desk: Desk) -> None:
    """No file of the worker's directory holds the token."""
    (desk.files / "a.txt").write_text("a")
    await desk.turn()
    for path in desk.checkout.place.root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert TOKEN.encode() not in path.read_bytes(), path
    assert desk.checkout.place.root.stat().st_mode & 0o777 == 0o700


async def test_a_missing_branch_is_said(tmp_path: Path, desk: Desk) -> None:
    """A branch that was deleted meanwhile is named."""
    git(desk.bare, "update-ref", "-d", f"refs/heads/{BRANCH}")
    place = Place(tmp_path / "second")
    place.prepare()

    async def token(_: bool) -> Credentials:
        return Credentials(desk.checkout.prefix, TOKEN)

    with pytest.raises(NotPushed, match=f"The branch {BRANCH} is not in the repository"):
        await Publisher(Checkout(place, session_info(desk.server.url("hello"))), token).clone()


async def test_a_missing_base_does_no_harm(tmp_path: Path, desk: Desk) -> None:
    """The base may have been renamed; the work goes on."""
    git(desk.bare, "branch", "-m", "main", "trunk")
    place = Place(tmp_path / "second")
    place.prepare()

    async def token(_: bool) -> Credentials:
        return Credentials(desk.checkout.prefix, TOKEN)

    await Publisher(Checkout(place, session_info(desk.server.url("hello"))), token).clone()
    assert (place.checkout / "hello.py").exists()


@pytest.mark.parametrize(
    "url",
    [
        "http://github.example/a/b.git",
        "https://user:secret@github.com/a/b.git",
        "file:///etc",
        "ext::sh -c x",
        "git@github.com:a/b.git",
        "--upload-pack=x",
        "",
    ],
)
def test_addresses_that_get_no_token(url: str) -> None:
    """Only https, or http on this machine, and nothing hidden in it."""
    with pytest.raises(PermanentError):
        url_prefix(url)


def test_addresses_that_do() -> None:
    """The prefix binds the token to one host."""
    assert url_prefix("https://github.com/a/b.git") == "https://github.com"
    assert url_prefix("http://127.0.0.1:8401/a/b.git") == "http://127.0.0.1:8401"


async def test_git_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    """A git command that hangs is killed, and says so."""
    status, _, errors = await Git(None, tmp_path, seconds=0.2).run("-c", "alias.hang=!sleep 600", "hang")
    assert status == 124
    assert "did not end" in errors


async def test_git_that_says_too_much_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says is kept in memory, so it is bounded."""
    monkeypatch.setattr("slackbot.worker.git.MAX_OUTPUT_BYTES", 2**20)
    status, output, errors = await Git(None, tmp_path).run("-c", "alias.say=!yes", "say")
    assert (status, output) == (125, "")
    assert "larger than 1 MiB" in errors


async def test_files_that_need_a_yes_are_pushed_only_with_it(desk: Desk) -> None:
    """Workflows, owners and our own file: the files and the change are shown; no, and nobody to ask, push nothing."""
    asked: list[tuple[list[str], str]] = []
    says = False

    async def leave(names: list[str], diff: str) -> bool:
        asked.append((names, diff))
        return says

    workflow = desk.files / ".github" / "workflows" / "ci.yml"
    workflow.parent.mkdir(parents=True)
    workflow.write_text("on: push\n")
    (desk.files / "CODEOWNERS").write_text("* @me\n")
    (desk.files / "plain.txt").write_text("x\n")
    head, _ = await desk.checkout.commit_leftovers(MESSAGE)
    with pytest.raises(NeedsLeave, match=r"CODEOWNERS, \.github/workflows/ci\.yml|ci\.yml, CODEOWNERS"):
        await desk.publisher.publish(head)
    with pytest.raises(NeedsLeave):
        await desk.publisher.publish(head, leave)
    assert log_of(desk) == ["Begin"]
    assert sorted(asked[0][0]) == [".github/workflows/ci.yml", "CODEOWNERS"]
    assert "+on: push" in asked[0][1]
    assert "plain.txt" not in asked[0][1]
    branch = await desk.publisher.rescue(head)
    assert git(desk.bare, "ls-tree", "-r", "--name-only", branch).split() == ["README.md", "hello.py", "plain.txt"]
    says = True
    assert await desk.publisher.publish(head, leave) is not None
    assert git(desk.bare, "show", f"{BRANCH}:.github/workflows/ci.yml") == "on: push\n"
    (desk.files / "plain.txt").write_text("y\n")
    assert await desk.turn() is not None, "what was pushed with a yes is not asked about again"


async def test_a_turn_is_found_by_what_it_pushed(desk: Desk) -> None:
    """By the trailer of its commit; another worker finds it as well."""
    (desk.files / "a.txt").write_text("a\nb\n")
    published = await desk.turn()
    assert published is not None
    (desk.files / "b.txt").write_text("b\n")
    head, _ = await desk.checkout.commit_leftovers("Other\n\nDevFlow-Turn: T2\n")
    await desk.publisher.publish(head)
    assert await desk.publisher.find_turn(["T0", "T1"]) == published.commit_sha
    assert await desk.publisher.find_turn(["T"]) is None
    assert await desk.publisher.stat(published.commit_sha) == published


async def test_a_long_history_is_not_fetched_and_deepened_when_it_must_be(tmp_path: Path) -> None:
    """The newest part alone; more of it until branch and base meet, so that both can be merged."""
    async with GitServer(tmp_path / "git") as server:
        bare = server.create("hello", FILES)
        base = git(bare, "rev-parse", "main").strip()
        lines = []
        for ref, count in (("main", 260), (BRANCH, 130)):
            parent = base
            for number in range(count):
                lines.append(
                    f"commit refs/heads/{ref}\nmark :{len(lines) + 1}\ncommitter a <a@b> {number} +0000\n"
                    f"data 1\n{ref[0]}"
                )
                lines[-1] += f"\nfrom {parent}\n"
                parent = f":{len(lines)}"
        git(bare, "fast-import", "--quiet", "--force", stdin="".join(lines))
        place = Place(tmp_path / "work")
        place.prepare()
        checkout = Checkout(place, session_info(server.url("hello")))

        async def token(renew: bool) -> Credentials:
            return Credentials(checkout.prefix, TOKEN)

        publisher = Publisher(checkout, token)
        await publisher.clone()
        assert git(place.checkout, "merge-base", "HEAD", "origin/main").strip() == base
        (place.checkout / "a.txt").write_text("a")
        head, _ = await checkout.commit_leftovers(MESSAGE)
        assert await publisher.publish(head) is not None
        assert git(place.checkout, "status", "--porcelain") == ""
