"""What Ctrl-C, SIGTERM and kill -9 of each process leave behind, and what the next start makes of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.sandbox_process import Json, SandboxProcess, is_alive, turn, until, words

ANSWERED = ("answered", "failed", "cancelled")


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path / "state") as running:
        yield running


def started(sandbox: SandboxProcess, prompt: str = "true") -> tuple[str, Json]:
    """A session whose first prompt is answered: (thread_ts, item)."""
    thread_ts = sandbox.start_session(f"start demo/hello {prompt}")
    return thread_ts, sandbox.item_with(
        thread_ts, "an answer", lambda i: i["history"] and i["history"][0].get("response_ts")
    )


def long_turn(sandbox: SandboxProcess, thread_ts: str, tmp_path: Path) -> str:
    """Sends a prompt that does not end by itself, and waits until its command runs; the prompt."""
    mark = tmp_path / "runs"
    prompt = f"touch {mark}; sleep 600"
    sandbox.reply(thread_ts, prompt)
    until("the command", mark.exists)
    return prompt


def test_ctrl_c_ends_everything_and_the_next_start_goes_on(sandbox: SandboxProcess, tmp_path: Path) -> None:
    """A live session with a turn in work is stopped and told so; nothing is left running; all of it is there again."""
    thread_ts, _ = started(sandbox)
    prompt = long_turn(sandbox, thread_ts, tmp_path)
    bot_pid, addresses = sandbox.bot_pid, sandbox.addresses
    assert bot_pid is not None

    assert sandbox.end(signal.SIGINT) == 0

    assert sandbox.task_pids() == []
    assert sandbox.supervisor_pids() == []
    assert not is_alive(bot_pid)
    item = sandbox.item(thread_ts)
    assert item is not None
    assert item["status"] == "stopped"
    assert "ecs_task_arn" not in item
    assert turn(item, prompt)["state"] in ("cancelled", "failed")

    sandbox.start()
    assert sandbox.addresses == addresses, "ports are kept"
    sandbox.thread_says(thread_ts, "shut down")
    wake = "printf 'awake\\n' > awake.txt"
    sandbox.reply(thread_ts, wake)
    item = sandbox.item_with(thread_ts, "an answer after the wake", lambda i: turn(i, wake).get("response_ts"))
    assert turn(item, wake)["state"] == "answered"
    assert sandbox.ls_remote(item) == turn(item, wake)["commit_sha"]


def test_sigterm_is_an_orderly_end_too(sandbox: SandboxProcess) -> None:
    """What a service manager sends ends as Ctrl-C does."""
    thread_ts, _ = started(sandbox)
    assert sandbox.end(signal.SIGTERM) == 0
    assert sandbox.task_pids() == []
    assert (sandbox.item(thread_ts) or {})["status"] == "stopped"


def test_kill_9_of_the_sandbox_leaves_the_worker_and_the_next_start_finds_it(
    sandbox: SandboxProcess, tmp_path: Path
) -> None:
    """The bot goes with the sandbox, the worker goes on with its turn, and answers to the bot of the next start."""
    thread_ts, item = started(sandbox)
    go = tmp_path / "go"
    slow = f"touch {tmp_path}/runs; while ! test -e {go}; do sleep 0.05; done; echo waited for the bot"
    sandbox.reply(thread_ts, slow)
    until("the command", (tmp_path / "runs").exists)
    worker = sandbox.task_state(item["ecs_task_arn"])["worker"]

    sandbox.kill()
    assert is_alive(worker["pid"])
    go.touch()

    sandbox.start()
    item = sandbox.item_with(thread_ts, "the answer of before", lambda i: turn(i, slow).get("response_ts"))
    assert "waited for the bot" in turn(item, slow)["response"]
    sandbox.reply(thread_ts, "echo second life")
    after = sandbox.item_with(thread_ts, "an answer", lambda i: turn(i, "echo second life").get("response_ts"))
    assert after["ecs_task_arn"] == item["ecs_task_arn"]
    assert sandbox.task_state(after["ecs_task_arn"])["worker"] == worker
    assert turn(after, "echo second life")["state"] == "answered"


def test_kill_9_of_the_bot_loses_nothing(sandbox: SandboxProcess) -> None:
    """It is started again; a prompt sent while it was gone is answered, once."""
    thread_ts, item = started(sandbox)
    bot_pid = sandbox.bot_pid
    assert bot_pid is not None
    os.kill(bot_pid, signal.SIGKILL)
    prompt = "echo sent while nobody listened >> README.md"
    sandbox.reply(thread_ts, prompt)

    after = sandbox.item_with(thread_ts, "an answer", lambda i: turn(i, prompt).get("response_ts"))
    assert sandbox.bot_pid not in (None, bot_pid)
    assert [entry["prompt"] for entry in after["history"]].count(prompt) == 1
    assert turn(after, prompt)["state"] == "answered"
    assert turn(after, prompt)["additions"] == 1, "it was run once"
    assert after["ecs_task_arn"] == item["ecs_task_arn"]
    answers = [m for m in sandbox.thread(thread_ts) if turn(after, prompt)["commit_sha"][:7] in words(m)]
    assert len(answers) == 1
    assert "was killed by signal 9" in sandbox.stderr_path.read_text()


def test_ctrl_c_while_the_bot_is_dead_leaves_nothing_running(sandbox: SandboxProcess) -> None:
    """There is nobody to stop the session just then; it is stopped and told all the same."""
    thread_ts, _ = started(sandbox)
    bot_pid = sandbox.bot_pid
    assert bot_pid is not None
    os.kill(bot_pid, signal.SIGKILL)
    until("its death", lambda: not is_alive(bot_pid))

    assert sandbox.end(signal.SIGINT) == 0

    assert sandbox.task_pids() == []
    assert sandbox.supervisor_pids() == []
    item = sandbox.item(thread_ts)
    assert item is not None
    assert item["status"] == "stopped"


def test_kill_9_of_a_worker_in_a_turn_fails_the_turn_and_retry_runs_it(sandbox: SandboxProcess, tmp_path: Path) -> None:
    """The thread says that it may have done part of it; Retry runs it with a new worker."""
    thread_ts, item = started(sandbox)
    prompt = f"test -e {tmp_path}/second && echo done || (touch {tmp_path}/runs; sleep 600)"
    sandbox.reply(thread_ts, prompt)
    until("the command", (tmp_path / "runs").exists)
    os.kill(sandbox.task_state(item["ecs_task_arn"])["worker"]["pid"], signal.SIGKILL)

    failed = sandbox.item_with(thread_ts, "a failed turn", lambda i: turn(i, prompt).get("state") == "failed")
    assert failed["status"] == "error"
    assert failed["error_message"]
    sandbox.thread_says(thread_ts, "part of it may be done")
    until("the end of every process of the task", lambda: not sandbox.task_pids())

    (tmp_path / "second").touch()
    sandbox.press(thread_ts, "session_retry")
    again = sandbox.item_with(
        thread_ts, "an answer", lambda i: i["history"][-1]["state"] in ANSWERED and i["history"][-1].get("response_ts")
    )
    assert again["status"] == "running"
    assert again["history"][-1]["state"] == "answered"
    assert "done" in again["history"][-1]["response"]
