"""The base merged into the checkout: clean at once, with markers for the agent, never pushed with one left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from slackbot.worker.merging import Merge, NotMerged, abandon_merge, begin_merge, check_resolved, conflicts_text
from tests.worker.conftest import BRANCH
from tests.worker.git_server import git
from tests.worker.test_life import live as live  # a fixture
from tests.worker.test_publish import MESSAGE, Desk, log_of
from tests.worker.test_publish import desk as desk  # a fixture


def on_base(desk: Desk, path: str, text: str) -> str:
    """Somebody pushes a commit to main; its id."""
    blob = git(desk.bare, "hash-object", "-w", "--stdin", stdin=text).strip()
    script = (
        "export GIT_INDEX_FILE=base-index; git read-tree main && "
        f"git update-index --add --cacheinfo 100644,{blob},{path} && git write-tree"
    )
    tree = git(desk.bare, "-c", f"alias.run=!{script}", "run").strip()
    commit = git(desk.bare, "commit-tree", tree, "-p", "main", "-m", f"Base {path}").strip()
    git(desk.bare, "update-ref", "refs/heads/main", commit)
    return commit


async def begun(desk: Desk) -> Merge | str | None:
    await desk.publisher.catch_up()
    return await begin_merge(desk.checkout, "main", await desk.checkout.base_head())


async def test_a_clean_merge_is_a_commit_with_two_parents(desk: Desk) -> None:
    """Both sides' changes, nothing rewritten, nothing forced; merged again there is nothing to do."""
    (desk.files / "mine.txt").write_text("mine\n")
    assert await desk.turn() is not None
    theirs = on_base(desk, "theirs.txt", "theirs\n")
    commit = await begun(desk)
    assert isinstance(commit, str)
    assert (desk.files / "theirs.txt").read_text() == "theirs\n"
    assert await desk.publisher.publish(commit) is not None
    ours, base = git(desk.bare, "log", "-1", "--format=%P", BRANCH).split()
    assert base == theirs
    assert git(desk.bare, "log", "-1", "--format=%s", ours).strip() == "Do it"
    assert await begun(desk) is None


@pytest.mark.parametrize("agent_commits", [False, True], ids=["DevFlow commits", "the agent commits"])
async def test_a_conflict_is_handed_over_and_concluded(desk: Desk, agent_commits: bool) -> None:
    """Markers in the file, the merge known to git; resolved, it becomes one commit with both parents."""
    (desk.files / "hello.py").write_text('print("ours")\n')
    (desk.files / "mine.txt").write_text("mine\n")
    await desk.turn()
    theirs = on_base(desk, "hello.py", 'print("theirs")\n')
    merge = await begun(desk)
    assert isinstance(merge, Merge)
    assert merge.conflicts == ("hello.py",)
    assert "- hello.py" in conflicts_text(merge)
    assert "<<<<<<< " in (desk.files / "hello.py").read_text()
    with pytest.raises(NotMerged, match=r"markers are left in hello\.py"):
        check_resolved(desk.checkout, merge)

    (desk.files / "hello.py").write_text('print("both")\n')
    check_resolved(desk.checkout, merge)
    if agent_commits:
        git(desk.files, "commit", "--quiet", "-am", "Resolve it")
    assert await desk.turn() is not None
    assert git(desk.bare, "show", f"{BRANCH}:hello.py") == 'print("both")\n'
    assert git(desk.bare, "log", "-1", "--format=%P", BRANCH).split()[1] == theirs
    assert not (desk.files / ".git" / "MERGE_HEAD").exists()
    assert desk.checkout.merging is None


async def test_a_merge_that_is_given_up_leaves_nothing(desk: Desk) -> None:
    """The checkout is as before, and the next turn pushes only its own."""
    (desk.files / "hello.py").write_text('print("ours")\n')
    await desk.turn()
    on_base(desk, "hello.py", 'print("theirs")\n')
    assert isinstance(await begun(desk), Merge)
    await abandon_merge(desk.checkout)
    assert (desk.files / "hello.py").read_text() == 'print("ours")\n'
    assert git(desk.files, "status", "--porcelain") == ""
    (desk.files / "more.txt").write_text("more\n")
    await desk.turn()
    assert git(desk.bare, "log", "-1", "--format=%P", BRANCH).split() == [
        git(desk.bare, "rev-parse", f"{BRANCH}~1").strip()
    ]


async def test_a_link_in_the_way_is_not_written_through(desk: Desk) -> None:
    """What the agent put where git keeps its merge is taken away, not followed."""
    (desk.files / "hello.py").write_text('print("ours")\n')
    await desk.turn()
    on_base(desk, "hello.py", 'print("theirs")\n')
    target = desk.files.parent / "precious"
    target.write_text("precious")
    (desk.files / ".git" / "MERGE_HEAD").symlink_to(target)
    assert isinstance(await begun(desk), Merge)
    assert target.read_text() == "precious"


async def test_others_commits_come_first(desk: Desk) -> None:
    """A branch that moved on the host is caught up with, so that the merge is made on top."""
    other = desk.other("other.txt", "other\n")
    on_base(desk, "theirs.txt", "theirs\n")
    commit = await begun(desk)
    assert isinstance(commit, str)
    assert git(desk.files, "log", "-1", "--format=%P", commit).split()[0] == other


async def test_turns_are_kept_apart_until_the_branch_is_wanted(desk: Desk) -> None:
    """Pushed to a ref of the session's own, the branch stays; then to the branch, with all that was kept."""
    start = git(desk.bare, "rev-parse", BRANCH).strip()
    git(desk.bare, "update-ref", "refs/devflow/s1", start)
    desk.checkout.remote_ref = "refs/devflow/s1"
    (desk.files / "a.txt").write_text("a\n")
    kept = await desk.turn()
    assert kept is not None
    assert git(desk.bare, "rev-parse", "refs/devflow/s1").strip() == kept.commit_sha
    assert git(desk.bare, "rev-parse", BRANCH).strip() == start

    desk.checkout.remote_ref = f"refs/heads/{BRANCH}"
    head, _ = await desk.checkout.commit_leftovers(MESSAGE)
    assert await desk.publisher.publish(head) is not None, "nothing new, and yet not on the branch"
    assert git(desk.bare, "rev-parse", BRANCH).strip() == kept.commit_sha
    assert await desk.publisher.publish(head) is None
    assert log_of(desk)[0] == "Do it"


async def test_a_turn_that_resolves_conflicts(live: Callable[..., Any]) -> None:
    """The worker merges, the agent is told the files and resolves them, and the merge is pushed; else nothing is."""
    worker = await live(files={"a.txt": "start\n"})
    worker.gateway.give("open('a.txt', 'w').write('ours\\n'); say('mine')", "T:1")
    await worker.gateway.answer_to("T:1")
    bare = worker.bench.bare
    blob = git(bare, "hash-object", "-w", "--stdin", stdin="theirs\n").strip()
    tree = git(bare, "mktree", stdin=f"100644 blob {blob}\ta.txt\n").strip()
    theirs = git(bare, "commit-tree", tree, "-p", "main", "-m", "Theirs").strip()
    git(bare, "update-ref", "refs/heads/main", theirs)

    worker.gateway.give("say('|'.join(blocks))\nwhat GitHub told", "T:2", merge="main", purpose="resolve_conflicts")
    left = await worker.gateway.answer_to("T:2")
    assert left.outcome == "failed"
    assert "conflict markers are left in a.txt" in left.response
    assert "what GitHub told|say(" in left.response, "its first line comes last: only that may be taken as a command"
    assert "- a.txt" in left.response

    worker.gateway.give("open('a.txt', 'w').write('both\\n'); say('Resolved.')", "T:3")
    answer = await worker.gateway.answer_to("T:3")
    assert (answer.outcome, answer.response) == ("answered", "Resolved.")
    assert git(bare, "log", "-1", "--format=%P", BRANCH).split()[1] == theirs
    assert worker.bench.file("a.txt") == "both\n"

    worker.gateway.give("say('never said')", "T:4", merge="main", purpose="resolve_conflicts")
    assert (await worker.gateway.answer_to("T:4")).response == "The branch has all of `main` already."
