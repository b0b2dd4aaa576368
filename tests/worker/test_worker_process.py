"""The worker as the task starts it: a process of its own with the shell agent, watched from outside."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.worker.conftest import BRANCH, Bench
from tests.worker.git_server import TOKEN, git
from tests.worker.scripted_gateway import WORKER_TOKEN

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def family(pid: int) -> list[int]:
    """`pid` and all its descendants."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if stat[0] not in "ZX":
                parents[int(entry.name)] = int(stat[1])
    found = {pid} & set(parents)
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found)


def leaks(pids: list[int], *secrets: str) -> list[str]:
    """Where a secret is visible in the arguments or the environment of processes."""
    found = []
    for pid in pids:
        for name in ("cmdline", "environ"):
            try:
                text = Path(f"/proc/{pid}/{name}").read_bytes()
            except OSError:
                continue
            if any(secret.encode() in text for secret in secrets):
                found.append(f"{pid}/{name}: {Path(f'/proc/{pid}/cmdline').read_bytes()[:200]!r}")
    return found


@linux_only
async def test_the_main_job(bench: Callable[..., Any]) -> None:
    """Prompt in, real agent, real push, answer out; and no token where it does not belong."""
    here: Bench = await bench()
    worker = await here.start()
    seen: list[list[str]] = []
    watched: list[int] = []

    def look() -> None:
        pids = family(worker.pid)
        watched.append(len(pids))
        seen.append(leaks(pids, TOKEN, WORKER_TOKEN))

    here.server.before_push.append(look)
    here.gateway.give("env; cat .git/config; echo hello > made.txt", "C1:1")
    answer = await here.gateway.answer_to("C1:1")
    assert answer.outcome == "answered"
    assert here.file("made.txt") == "hello\n"
    assert answer.commit_sha == git(here.bare, "rev-parse", BRANCH).strip()
    assert (answer.files_changed, answer.additions, answer.deletions) == (1, 1, 0)
    commit = here.branch_log("%an|%ae|%s|%(trailers:key=DevFlow-Turn,valueonly,separator=)"
                             "|%(trailers:key=Co-authored-by,valueonly,separator=)")[0]  # fmt: skip
    assert commit == (
        "devflow[bot]|1+devflow[bot]@users.noreply.github.com|env; cat .git/config; echo hello > made.txt|C1:1|"
        "Ada L. <u0ada@users.noreply.devflow.invalid>"
    )
    assert seen == [[]]
    assert watched[0] >= 4  # worker, agent, git push and what it starts
    for secret in (TOKEN, WORKER_TOKEN):
        assert secret not in answer.response
        assert secret not in here.log
    assert "HOME=" in answer.response
    assert "DEVFLOW_WORKER_TOKEN" not in answer.response
    assert "[remote" not in answer.response
    for line in here.log.splitlines():
        json.loads(line)
    here.gateway.give("please fix the failing test", "C1:2")
    assert "not an AI" in (await here.gateway.answer_to("C1:2")).response
    worker.send_signal(signal.SIGTERM)
    assert await here.ended(worker) == 0
    assert here.gateway.leaving[0].reason == "signal"
    assert family(worker.pid) == []


@linux_only
async def test_sigterm_in_a_turn_saves(bench: Callable[..., Any]) -> None:
    """A worker that is told to go cancels its agent, pushes what there is, and says so."""
    here: Bench = await bench()
    worker = await here.start()
    here.gateway.give("echo half > half.txt; echo begun; sleep 600", "C1:1")
    await here.gateway.until(lambda: any("begun" in progress.text for _, progress, _ in here.gateway.progress))
    pids = family(worker.pid)
    worker.send_signal(signal.SIGTERM)
    assert await here.ended(worker) == 0
    answer = await here.gateway.answer_to("C1:1")
    assert answer.outcome == "failed"
    assert "told to stop" in answer.response
    assert here.file("half.txt") == "half\n"
    assert here.branch_log("%s|%(trailers:key=DevFlow-Saved)")[0] == "Save unfinished work|DevFlow-Saved: signal"
    assert here.gateway.leaving[0].reason == "signal"
    assert here.gateway.leaving[0].commit_sha == git(here.bare, "rev-parse", BRANCH).strip()
    assert [pid for pid in pids if family(pid)] == []


@linux_only
async def test_kill_of_the_worker_ends_its_agent(bench: Callable[..., Any]) -> None:
    """Nothing goes on working for a worker that is dead."""
    here: Bench = await bench()
    worker = await here.start()
    here.gateway.give("echo begun; sleep 600 & sleep 600", "C1:1")
    await here.gateway.until(lambda: any("begun" in progress.text for _, progress, _ in here.gateway.progress))
    pids = family(worker.pid)
    assert len(pids) >= 4
    worker.send_signal(signal.SIGKILL)
    await here.ended(worker)
    await here.gateway.until(lambda: not [pid for pid in pids if family(pid)])


async def test_a_wrong_environment_is_named(bench: Callable[..., Any]) -> None:
    """All faults at once, exit status 2, and no value of a secret."""
    here: Bench = await bench()
    here.environment = {"PATH": os.environ["PATH"], "DEVFLOW_GATEWAY_URL": "gopher://x", "DEVFLOW_WORK_DIR": "here"}
    worker = await here.start()
    assert await here.ended(worker) == 2
    for name in ("DEVFLOW_GATEWAY_URL", "DEVFLOW_WORKER_TOKEN", "DEVFLOW_SESSION_ID", "DEVFLOW_WORK_DIR"):
        assert name in here.log


async def test_the_temporary_directory_goes_with_the_worker(bench: Callable[..., Any], tmp_path: Path) -> None:
    """Without DEVFLOW_WORK_DIR a private directory is made and removed."""
    here: Bench = await bench(idle_seconds=1)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    del here.environment["DEVFLOW_WORK_DIR"]
    worker = await here.start(TMPDIR=str(temporary))
    await here.gateway.until(lambda: "ready" in here.gateway.calls)
    made = list(temporary.iterdir())
    assert [path.stat().st_mode & 0o777 for path in made] == [0o700]
    assert await here.ended(worker) == 0
    assert list(temporary.iterdir()) == []
