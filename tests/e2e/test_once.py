"""`devflow sandbox --once`, which is `make demo`: exit status 0 only when all of the main job happened."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
from pathlib import Path

from tests.e2e.sandbox_process import DEVFLOW, devflow, processes_marked, until


def items(state: Path) -> list[dict[str, object]]:
    connection = sqlite3.connect(state / "sessions.sqlite3")
    try:
        return [json.loads(row[0]) for row in connection.execute("SELECT item FROM devflow_sessions")]
    finally:
        connection.close()


def left_running(state: Path) -> list[int]:
    return processes_marked([f"DEVFLOW_TASK_ID={entry.name}" for entry in (state / "tasks").iterdir()])


def test_the_main_job_in_one_command_twice(tmp_path: Path) -> None:
    """Exit 0, the thread printed as it grew, session, branch and pull request kept, nothing left running."""
    state = tmp_path / "state"
    for run in (1, 2):
        ended = devflow("sandbox", "--once", "echo one more >> README.md && echo it is done", "--state", str(state))
        assert ended.returncode == 0, ended.stdout + ended.stderr
        for part in ("it is done", "1 file changed", f"Pull request #{run}", "stopped this session", "All of it"):
            assert part in ended.stdout, part
        assert "\x1b" not in ended.stdout
        assert ended.stderr == ""
    assert sorted(item["pr_number"] for item in items(state)) == [1, 2]  # type: ignore[type-var]
    assert {item["status"] for item in items(state)} == {"stopped"}
    assert left_running(state) == []


def test_a_prompt_that_changes_nothing_is_not_the_main_job(tmp_path: Path) -> None:
    """Exit 1, and a sentence that says which step did not happen and what to try."""
    ended = devflow("sandbox", "--once", "ls", "--state", str(tmp_path / "state"))
    assert ended.returncode == 1
    assert "changed no file" in ended.stdout
    assert "Try one that does" in ended.stdout
    assert left_running(tmp_path / "state") == []
    assert {item["status"] for item in items(tmp_path / "state")} == {"stopped"}


def test_a_prompt_that_fails_and_one_that_is_refused(tmp_path: Path) -> None:
    """Exit 1 as well: the command failed; the repository is not there."""
    failing = devflow("sandbox", "--once", "exit 3", "--state", str(tmp_path / "state"))
    assert failing.returncode == 1
    assert "exit status 3" in failing.stdout
    refused = devflow("sandbox", "--once", "start demo/none ls", "--state", str(tmp_path / "state"))
    assert refused.returncode == 1
    assert "The command was refused" in refused.stdout
    assert "demo/none" in refused.stdout


def test_ctrl_c_in_the_middle_leaves_nothing_running(tmp_path: Path) -> None:
    """Not all of it happened, so it is no success; the session is stopped."""
    state, mark = tmp_path / "state", tmp_path / "runs"
    process = subprocess.Popen(
        [DEVFLOW, "sandbox", "--once", f"touch {mark}; sleep 600", "--state", str(state)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env=dict(os.environ),
        text=True,
    )
    until("the command", mark.exists)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped before all of it happened" in output
    assert "Traceback" not in output
    assert left_running(state) == []
    assert {item["status"] for item in items(state)} == {"stopped"}
