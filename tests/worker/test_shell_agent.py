"""The shell agent: commands run and end, sentences are answered, nothing is left running."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from acp import text_block
from acp.schema import (
    AgentMessageChunk,
    AllowedOutcome,
    DeniedOutcome,
    PermissionOption,
    RequestPermissionResponse,
    ToolCallProgress,
    ToolCallStart,
    ToolCallUpdate,
)

from slackbot.worker.danger import danger_of
from slackbot.worker.shell_agent import ShellAgent
from slackbot.worker.shell_words import is_runnable, status_in_words


class Recorder:
    """The client's side: keeps every update."""

    def __init__(self, answer: str | None = None) -> None:
        self.updates: list[Any] = []
        self.asked: list[ToolCallUpdate] = []
        self.answer = answer

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        self.updates.append(update)

    async def request_permission(
        self, session_id: str, tool_call: ToolCallUpdate, options: list[PermissionOption], **_: Any
    ) -> RequestPermissionResponse:
        self.asked.append(tool_call)
        if self.answer is None:
            return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
        assert self.answer in [option.option_id for option in options]
        return RequestPermissionResponse(outcome=AllowedOutcome(outcome="selected", option_id=self.answer))

    @property
    def said(self) -> str:
        return "".join(u.content.text for u in self.updates if isinstance(u, AgentMessageChunk))

    @property
    def live(self) -> list[str]:
        calls = [u for u in self.updates if isinstance(u, ToolCallProgress)]
        return [u.content[0].content.text for u in calls if u.content]


async def until(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    """Waits for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def opened(cwd: Path) -> tuple[ShellAgent, Recorder, str]:
    """An agent with a session in `cwd`."""
    agent, recorder = ShellAgent(), Recorder()
    agent.on_connect(recorder)  # type: ignore[arg-type]
    return agent, recorder, (await agent.new_session(cwd=str(cwd))).session_id


async def ask(agent: ShellAgent, session_id: str, *texts: str) -> str:
    """Prompts and gives the stop reason."""
    return (await agent.prompt(session_id=session_id, prompt=[text_block(t) for t in texts])).stop_reason


async def test_a_command_runs_in_the_checkout(tmp_path: Path) -> None:
    """The answer holds the command, both its streams, and how it ended in words."""
    agent, recorder, session = await opened(tmp_path)
    assert await ask(agent, session, "echo out; echo err >&2; touch made.txt; exit 3") == "end_turn"
    assert (tmp_path / "made.txt").exists()
    assert "```sh\necho out; echo err >&2" in recorder.said
    assert "```\nout\nerr\n```" in recorder.said
    assert "no AI" in recorder.said
    assert "it failed (exit status 3)" in recorder.said
    assert isinstance(recorder.updates[0], ToolCallStart)
    assert [u.status for u in recorder.updates if isinstance(u, ToolCallProgress)][-1] == "failed"


@pytest.mark.parametrize(
    ("command", "danger"),
    [
        ("rm -rf build", "delete"),
        ("cd x && rm -r y", "delete"),
        ("ls; sudo rm x", "system"),
        ("FORCE=1 rm --recursive x", "delete"),
        ("git push origin main", "git"),
        ("git -C x push", "git"),
        ("git reset --hard HEAD~1", "git"),
        ("curl https://example.org/x.sh | sh", "download"),
        ("find . -name x -delete", "delete"),
        ("for f in *; do rm -f $f; done", "delete"),
        ("rm one.txt", None),
        ("echo rm -rf /", None),
        ("git status && git log", None),
        ("grep -rf patterns .", None),
        ("git commit -m 'push it'", None),
        ("curl https://example.org/x", None),
    ],
)
def test_what_looks_dangerous(command: str, danger: str | None) -> None:
    assert danger_of(command) == danger


async def test_what_looks_dangerous_is_run_only_with_leave(tmp_path: Path) -> None:
    """Rejected: nothing is run, and it says so. Allowed once: asked again. Allowed for ever: not asked again."""
    agent, recorder, session = await opened(tmp_path)
    (tmp_path / "a").mkdir()
    await ask(agent, session, "rm -r a")
    assert (tmp_path / "a").exists()
    assert "nobody allowed it" in recorder.said
    assert recorder.asked[0].raw_input == {"command": "rm -r a"}
    recorder.answer = "allow_once"
    await ask(agent, session, "rm -r a")
    assert not (tmp_path / "a").exists()
    recorder.answer = "allow_always"
    await ask(agent, session, "rm -rf b")
    await ask(agent, session, "rm -rf c")
    assert len(recorder.asked) == 3


async def test_only_the_last_block_is_run(tmp_path: Path) -> None:
    """What people said in the thread before is context and never a command."""
    agent, recorder, session = await opened(tmp_path)
    await ask(agent, session, "touch context.txt", "`ls`")
    assert not (tmp_path / "context.txt").exists()
    assert "```sh\nls\n```" in recorder.said


async def test_a_sentence_is_answered(tmp_path: Path) -> None:
    """Prose is told what this is, what to type, and how to get an agent; nothing is run."""
    (tmp_path / "Makefile").write_text("test:\n")
    agent, recorder, session = await opened(tmp_path)
    await ask(agent, session, "make the tests pass, and rm everything else")
    assert "not an AI" in recorder.said
    assert "`make test`" in recorder.said
    assert "agent=claude" in recorder.said
    assert "DEVFLOW_AGENT" in recorder.said
    assert not any(isinstance(u, ToolCallStart) for u in recorder.updates)


async def test_a_dollar_sign_forces(tmp_path: Path) -> None:
    """`$ ` runs what looks like a sentence."""
    agent, recorder, session = await opened(tmp_path)
    await ask(agent, session, "$ fix the test")
    assert "a command was not found (exit status 127)" in recorder.said


async def test_output_streams_while_it_runs(tmp_path: Path) -> None:
    """What a running command wrote so far is shown before it ends; cancel ends it."""
    agent, recorder, session = await opened(tmp_path)
    prompting = asyncio.create_task(ask(agent, session, "echo begun; exec sleep 600"))
    await until(lambda: any("begun" in text for text in recorder.live))
    assert not prompting.done()
    await agent.cancel(session_id=session)
    assert await prompting == "cancelled"
    assert "SIGTERM" in recorder.said


async def test_cancel_kills_what_ignores_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that ignores SIGTERM gets SIGKILL, its children too."""
    monkeypatch.setattr("slackbot.worker.shell_agent.TERM_SECONDS", 0.1)
    agent, recorder, session = await opened(tmp_path)
    prompting = asyncio.create_task(
        ask(agent, session, "trap '' TERM; sleep 600 & echo $! > child; echo up; while true; do sleep 0.1; done")
    )
    await until(lambda: any("up" in text for text in recorder.live))
    await agent.cancel(session_id=session)
    assert await prompting == "cancelled"
    assert "SIGKILL" in recorder.said
    await until(lambda: _gone(int((tmp_path / "child").read_text())))


async def test_background_processes_end_with_the_command(tmp_path: Path) -> None:
    """A command that leaves a process behind ends at once, and so does the process."""
    agent, recorder, session = await opened(tmp_path)
    assert await ask(agent, session, "sleep 600 & echo $! > child; echo up") == "end_turn"
    assert "were ended" in recorder.said
    await until(lambda: _gone(int((tmp_path / "child").read_text())))


async def test_ten_megabytes_stay_bounded(tmp_path: Path) -> None:
    """Head and tail of a long output are kept, the rest is counted."""
    agent, recorder, session = await opened(tmp_path)
    await ask(agent, session, "echo first; yes | head -c 10000000; echo; echo last")
    assert "first" in recorder.said
    assert "last\n```" in recorder.said
    assert "MB left out" in recorder.said
    assert len(recorder.said) < 700_000


async def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """Colours, NUL, invalid UTF-8 and fences in the output do no harm."""
    agent, recorder, session = await opened(tmp_path)
    await ask(agent, session, r"printf '\033[31mred\033[0m\000\377\n```\ncode\n```\n'")
    assert "````\nred\ufffd\n```\ncode\n```\n````" in recorder.said


async def test_stdin_is_empty(tmp_path: Path) -> None:
    """A command that reads does not wait for anyone."""
    agent, recorder, session = await opened(tmp_path)
    await ask(agent, session, "cat; echo done")
    assert "```\ndone\n```" in recorder.said


async def test_a_command_that_is_too_long(tmp_path: Path) -> None:
    """What the kernel does not take as an argument is said and not thrown."""
    agent, recorder, session = await opened(tmp_path)
    assert await ask(agent, session, "echo " + "x" * 200_000) == "end_turn"
    assert "could not start this command: Argument list too long" in recorder.said


def test_what_can_be_run(tmp_path: Path) -> None:
    """Programs, builtins and executable files of the checkout; not any file."""
    script = tmp_path / "run.sh"
    script.write_text("#!/bin/sh\n")
    assert not is_runnable("./run.sh", str(tmp_path))
    script.chmod(0o755)
    assert is_runnable("./run.sh", str(tmp_path))
    assert is_runnable("cd", str(tmp_path))
    assert is_runnable("git", str(tmp_path))
    assert not is_runnable("please", str(tmp_path))


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "it ended well (exit status 0)"),
        (1, "it failed (exit status 1)"),
        (126, "it could not be executed (exit status 126)"),
        (-9, "it was ended by SIGKILL (exit status 137)"),
        (143, "it was ended by SIGTERM (exit status 143)"),
        (255, "it failed (exit status 255)"),
    ],
)
def test_status_in_words(status: int, words: str) -> None:
    """An exit status is said as a person would."""
    assert status_in_words(status) == words


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
