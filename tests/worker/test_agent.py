"""The ACP client against an agent that does what the prompt says: modes, permissions, crashes, noise."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from acp.schema import PermissionOption, ToolCallUpdate

from slackbot.worker import agent as agent_module
from slackbot.worker.agent import Agent
from slackbot.worker.agent_host import AgentHost
from slackbot.worker.agent_process import AgentProcess
from slackbot.worker.agents import AgentFailed, Launch, launch_of, mode_preference
from slackbot.worker.confinement import Confinement
from slackbot.worker.progress import TurnView

SCRIPT = Path(__file__).with_name("scripted_agent.py")


def command_line(how: str = "") -> str:
    """What a person would put into DEVFLOW_AGENT for the scripted agent."""
    return shlex.join([sys.executable, "-I", "-S", str(SCRIPT), *([how] if how else [])])


def same(text: str) -> str:
    """No redaction."""
    return text


async def started_agent(launch: Launch, checkout: Path) -> Agent:
    """The process, and an open session with it."""
    return await Agent.open(await AgentProcess.start(launch, checkout, Confinement()), checkout, same)


@pytest.fixture
async def started(tmp_path: Path) -> AsyncIterator[Agent]:
    """A scripted agent with a session."""
    agent = await started_agent(launch_of(command_line(), tmp_path), tmp_path)
    yield agent
    await agent.close()


async def test_a_turn(started: Agent) -> None:
    """Chunks become the response, tool calls are kept by id, and usage is taken over."""
    view = TurnView(same)
    code = "say('a'); call('first'); call('second', 'completed'); say('b'); call('other', call_id='2'); say('c')"
    result = await started.prompt(["context", code], view)
    assert result.stop_reason == "end_turn"
    assert result.usage == {"total_tokens": 5, "input_tokens": 3, "output_tokens": 2}
    assert view.response() == "a\n\nb\n\nc"
    assert [(step.title, step.status) for step in view.steps()] == [("second", "completed"), ("other", "in_progress")]


async def test_the_mode_is_set(started: Agent) -> None:
    """The best mode that the agent accepts is set; one that it refuses is passed over."""
    view = TurnView(same)
    await started.prompt(["say(repr(modes_set))"], view)
    assert view.response() == "['acceptEdits']"


async def test_whoever_is_asked_says_what_is_chosen(started: Agent) -> None:
    """The agent gets exactly the option that was chosen; where none was, or nobody is asked, the answer is no."""
    code = "say(str(ask([('a', 'allow_always'), ('o', 'allow_once'), ('n', 'reject_once')])))"

    chosen: str | None = None

    async def choose(tool_call: ToolCallUpdate, options: Sequence[PermissionOption]) -> str | None:
        assert tool_call.title == "Delete everything"
        assert [(option.option_id, option.kind) for option in options][:1] == [("a", "allow_always")]
        return chosen

    for given, outcome in (("a", {"optionId": "a", "outcome": "selected"}), (None, {"outcome": "cancelled"})):
        chosen = given
        view = TurnView(same)
        await started.prompt([code], view, choose)
        assert view.response() == str(outcome)
    view = TurnView(same)
    await started.prompt([code], view)
    assert view.response() == str({"outcome": "cancelled"})


async def test_a_cancel_answers_the_open_question(started: Agent) -> None:
    """What a person is still being asked when the turn is cancelled is answered with `cancelled`."""
    asked = asyncio.Event()

    async def never(tool_call: ToolCallUpdate, options: Sequence[PermissionOption]) -> str | None:
        asked.set()
        await asyncio.Event().wait()
        return "o"

    view = TurnView(same)
    prompting = asyncio.create_task(started.prompt(["say(str(ask([('o', 'allow_once')])))"], view, never))
    await asyncio.wait_for(asked.wait(), 60)
    await started.cancel()
    await asyncio.wait_for(prompting, 60)
    assert view.response() == str({"outcome": "cancelled"})


async def test_unknown_updates_are_passed_over(started: Agent) -> None:
    """What a later agent says in its own way does not end the turn."""
    view = TurnView(same)
    code = "update({'sessionUpdate': 'from_the_future', 'x': 1}); print('no json', flush=True); say('fine')"
    await started.prompt([code], view)
    assert view.response() == "fine"


async def test_plans_and_thoughts(started: Agent) -> None:
    """A plan is shown; thoughts are the agent's own."""
    view = TurnView(same)
    code = (
        "update({'sessionUpdate': 'plan', 'entries': "
        "[{'content': 'one', 'priority': 'low', 'status': 'in_progress'}]});"
        "update({'sessionUpdate': 'agent_thought_chunk', 'content': {'type': 'text', 'text': 'hm'}})"
    )
    await started.prompt([code], view)
    assert [(entry.content, entry.status) for entry in view.progress(None).plan] == [("one", "in_progress")]
    assert view.response() == ""


async def test_cancel(started: Agent) -> None:
    """A cancelled agent ends its turn and takes the next one."""
    view = TurnView(same)
    prompting = asyncio.create_task(started.prompt(["say('waiting'); wait_for_cancel()"], view))
    await asyncio.wait_for(view.changed.wait(), 60)
    await started.cancel()
    assert (await asyncio.wait_for(prompting, 60)).stop_reason == "cancelled"
    assert (await started.prompt(["say('next')"], view)).stop_reason == "end_turn"


async def test_ten_megabytes_of_message(started: Agent) -> None:
    """One line of 10 MB passes and is bounded."""
    view = TurnView(same)
    await started.prompt(["say('begin' + 'x' * 10_000_000 + 'end')"], view)
    response = view.response()
    assert response.startswith("begin")
    assert response.endswith("end")
    assert "MB left out" in response
    assert len(response) < 1_100_000


async def test_stderr_is_drained(started: Agent) -> None:
    """An agent that writes megabytes to stderr does not hang."""
    view = TurnView(same)
    await asyncio.wait_for(started.prompt(["sys.stderr.write('x' * 2_000_000); say('alive')"], view), 60)
    assert view.response() == "alive"


async def test_a_crash_in_a_turn_is_told(tmp_path: Path) -> None:
    """Which agent, how it ended, its last words without secrets; then a new one is started."""
    host = AgentHost(command_line(), tmp_path, tmp_path, lambda text: text.replace("hunter22", "[redacted]"))
    try:
        agent = await host.ensure()
        with pytest.raises(AgentFailed) as failure:
            await agent.prompt(["sys.stderr.write('out of memory, key hunter22\\n'); os._exit(9)"], TurnView(same))
        assert "exit status 9" in str(failure.value)
        assert "out of memory, key [redacted]" in str(failure.value)
        assert "scripted_agent" in str(failure.value)
        second = await host.ensure()
        assert second is not agent
        assert second.fresh
    finally:
        await host.discard()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("exit3", "exit status 3. Its last words: Traceback of the agent / no model key found"),
        ("auth", "it wants to be signed in"),
        ("old", "speaks version 7"),
        ("mute", "did not answer within"),
    ],
)
async def test_an_agent_that_does_not_start(
    tmp_path: Path, how: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each way not to start has its sentence, and leaves no process."""
    if how == "mute":
        monkeypatch.setattr(agent_module, "START_SECONDS", 0.3)
    with pytest.raises(AgentFailed) as failure:
        await started_agent(launch_of(command_line(how), tmp_path), tmp_path)
    assert said in str(failure.value)


@pytest.mark.parametrize("name", ["claude", "codex", "gemini", "opencode", "no-such-agent --acp", "'open quote", ""])
def test_a_missing_agent_is_a_sentence(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that is not installed is named, with what to do."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AgentFailed) as failure:
        launch_of(name, tmp_path)
    assert failure.value.remedy


def test_the_environment_is_made_from_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the worker's reaches the agent unless it is named."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    launch = launch_of("shell", tmp_path)
    assert "secret" not in launch.environment.values()
    assert launch.environment["HOME"] == str(tmp_path)


def test_policies() -> None:
    """Modes by preference, as far as the policy lets the agent work unasked."""
    assert mode_preference(["plan", "default", "yolo"]) == ["yolo", "default"]
    offered = ["default", "bypassPermissions", "acceptEdits"]
    assert mode_preference(offered, "all")[0] == "bypassPermissions"
    assert mode_preference(offered, "edits")[0] == "acceptEdits"
    assert mode_preference(offered, "ask")[0] == "default"


async def test_close_leaves_nothing(tmp_path: Path) -> None:
    """Children of the agent end with it, also those in a session of their own."""
    agent = await started_agent(launch_of(command_line(), tmp_path), tmp_path)
    view = TurnView(same)
    code = (
        "import subprocess; a = subprocess.Popen(['sleep', '600']); "
        "b = subprocess.Popen(['sleep', '600'], start_new_session=True); say(f'{a.pid} {b.pid}')"
    )
    await agent.prompt([code], view)
    pids = [int(pid) for pid in view.response().split()]
    await agent.close()
    for pid in pids:
        assert _ended(pid), pid


def _ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True
