"""`.devflow.yml`: what is understood, what is said of the rest, and how it comes into a session's turns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slackbot.worker.confinement import find_confinement
from slackbot.worker.project_file import ProjectFile, parse, run
from tests.worker.conftest import BRANCH
from tests.worker.git_server import git
from tests.worker.test_life import live, write  # noqa: F401  live is a fixture


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ProjectFile()),
        ("setup: npm ci\ntest: [make lint, make test]\n", ProjectFile("npm ci", "make lint\nmake test")),
        ("limits: {turn_seconds: 60, setup_seconds: 5}", ProjectFile(limits={"turn_seconds": 60, "setup_seconds": 5})),
    ],
)
def test_what_is_understood(text: str, expected: ProjectFile) -> None:
    """A command or a list of them, and limits in seconds."""
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: [", "it is not YAML at line"),
        ("- x", "it must be a map"),
        ("setup: {a: b}", "`setup` must be a command"),
        ("test: ''", "`test` must be a command"),
        ("deploy: x", "`deploy` is not known"),
        ("limits: {turn_seconds: -1}", "`limits.turn_seconds` must be a number"),
        ("limits: {turn_seconds: true}", "`limits.turn_seconds` must be a number"),
        ("limits: {speed: 9}", "`limits.speed` is not known"),
        ("limits: fast", "`limits` must be a map"),
    ],
)
def test_what_is_not_understood_is_said(text: str, fault: str) -> None:
    """And the rest of the file counts."""
    assert any(fault in said for said in parse(f"{text}\n").faults)


def test_limits_are_lowered_and_never_raised() -> None:
    """What a repository says is bounded by what the bot says."""
    file = parse("limits: {turn_seconds: 60, idle_seconds: 999999}")
    assert (file.seconds("turn_seconds", 3600), file.seconds("idle_seconds", 1800)) == (60, 1800)


async def test_a_command_that_does_not_end_is_ended(tmp_path: Path) -> None:
    """With all it started; what it wrote until then is told."""
    outcome = await run(
        "echo begun; sleep 600 & sleep 601",
        checkout=tmp_path, home=tmp_path, confinement=find_confinement(None), seconds=0.5,
    )  # fmt: skip
    assert outcome.exit_status is None
    told = outcome.told("Set-up")
    assert "took too long" in told
    assert "begun" in told


async def test_it_is_set_up_before_the_first_turn_and_tested_after_a_push(live: Callable[..., Any]) -> None:  # noqa: F811
    """By the base branch's file: what the agent writes into its own counts for nothing."""
    files = {
        "hello.py": "print()\n",
        ".gitignore": "*.made\n",
        ".devflow.yml": "setup: echo ready > it.made\ntest: |\n  echo seen $(cat it.made)\n  exit 3\n",
    }
    worker = await live(files=files)
    worker.gateway.give("say(open('it.made').read())", "T:1")
    worker.gateway.give(write("a.txt"), "T:2")
    worker.gateway.give(write(".devflow.yml", "setup: touch evil\n"), "T:3")
    first, second = await worker.gateway.answer_to("T:1"), await worker.gateway.answer_to("T:2")
    assert first.response == "ready\n\nSet-up (`echo ready > it.made`): done in 0 s."
    assert second.outcome == "answered"
    assert "Tests (`echo seen $(cat it.made)`): it ended with exit status 3" in second.response
    assert "seen ready" in second.response
    await worker.gateway.until(lambda: "permission" in worker.gateway.calls)
    worker.gateway.cancel.add("T:3")
    third = await worker.gateway.answer_to("T:3")
    assert third.outcome == "cancelled"
    assert "need a person's yes (.devflow.yml)" in third.response
    assert git(worker.bench.bare, "show", f"{BRANCH}:.devflow.yml") == files[".devflow.yml"]


async def test_what_a_lost_worker_had_pushed_is_not_done_again(live: Callable[..., Any]) -> None:  # noqa: F811
    """The retry of it is answered with the commit that stands on the branch."""
    worker = await live()
    worker.gateway.give(write("a.txt"), "T:1")
    first = await worker.gateway.answer_to("T:1")
    worker.gateway.give(write("b.txt"), "T:2", retries=("T:1",))
    again = await worker.gateway.answer_to("T:2")
    assert (again.outcome, again.commit_sha, again.files_changed) == ("answered", first.commit_sha, 1)
    assert "This was done already" in again.response
    assert "b.txt" not in git(worker.bench.bare, "ls-tree", "--name-only", BRANCH)
