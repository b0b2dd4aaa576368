"""Real agents from `make agents`, each with the scripted provider that it speaks to, and what a model says to them.

A prompt holds a word such as PLAY-2-TALK: the one of the highest number is what the model plays now, step by step.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.model_server import Asked, Say, Turn, UseTool

collect_ignore_glob = [] if os.environ.get("DEVFLOW_TEST_AGENTS") else ["test_*.py"]
"""`make test-agents` runs these; `make test` has no agents to run them with."""

BIN = Path(__file__).resolve().parents[2] / ".agents" / "bin"
WRITTEN = "written by the model\n"
HELD = "I begin, and then I think for a very long time about what to say next."
ROUTED = (
    '{"reasoning": "simple", "model_choice": "flash", "complexity_reasoning": "simple", "complexity_score": 1, '
    '"title": "T"}'
)


@dataclass(frozen=True)
class RealAgent:
    """One agent, the provider it is led to, and its tools as that version calls them."""

    name: str
    provider: str
    model: str
    program: str
    loads: bool = True
    """Whether it takes up the session of a process that was killed. Gemini CLI may know nothing of it then
    (`agents.FORGETFUL`), so it is started anew."""

    def edit(self, cwd: str) -> UseTool:
        path = f"{cwd}/made.txt"
        if self.name == "claude":
            return UseTool("Write", {"file_path": path, "content": WRITTEN})
        if self.name == "gemini":
            return UseTool("write_file", {"file_path": path, "content": WRITTEN})
        if self.name == "opencode":
            return UseTool("write", {"filePath": path, "content": WRITTEN})
        patch = f"*** Begin Patch\n*** Add File: made.txt\n+{WRITTEN}*** End Patch\n"
        # Codex takes this command for its own tool.
        return UseTool("exec_command", {"cmd": f"apply_patch <<'EOF'\n{patch}EOF"})

    def asking(self, cwd: str) -> UseTool:
        """What makes the agent ask a person first, where it is told to."""
        if self.name != "codex":
            return self.edit(cwd)
        edit = self.edit(cwd).arguments
        escalated = {"sandbox_permissions": "require_escalated", "justification": "May I write the file?"}
        return UseTool("exec_command", {**edit, **escalated})

    def run(self) -> UseTool:
        command = "echo ran > ran.txt && cat ran.txt"
        if self.name == "claude":
            return UseTool("Bash", {"command": command, "description": "Runs it"})
        if self.name == "gemini":
            return UseTool("run_shell_command", {"command": command, "description": "Runs it"})
        if self.name == "opencode":
            return UseTool("bash", {"command": command, "description": "Runs it"})
        return UseTool("exec_command", {"cmd": command})


AGENTS = (
    RealAgent("claude", "anthropic", "claude-sonnet-4-5", "claude-agent-acp"),
    RealAgent("codex", "openai", "gpt-5.5", "codex-acp"),
    RealAgent("gemini", "gemini", "gemini-2.5-pro", "gemini", loads=False),
    RealAgent("opencode", "anthropic", "claude-sonnet-4-5", "opencode"),
)


@pytest.fixture(params=AGENTS, ids=lambda agent: agent.name)
def agent(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> RealAgent:
    """Each in turn; its own programs come first on the PATH."""
    found: RealAgent = request.param
    assert (BIN / found.program).exists(), f"there is no {found.program} in {BIN}: run `make agents`"
    monkeypatch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")
    return found


class Model:
    """What the model says: by the last of the words that the conversation holds, one step a request."""

    def __init__(self, agent: RealAgent) -> None:
        self._agent = agent
        self._steps: dict[int, int] = {}

    def __call__(self, asked: Asked) -> Turn:
        if not asked.tools:
            return Say(ROUTED)  # a title, a choice of model: asked beside the work
        number, word = max((int(number), word) for number, word in re.findall(r"PLAY-(\d+)-([A-Z]+)", asked.text))
        step = self._steps[number] = self._steps.get(number, -1) + 1
        return self._step(word, step, asked)

    def _step(self, word: str, step: int, asked: Asked) -> Turn:
        if word == "HOLD":
            return Say(HELD, hold=True)
        if word == "WORK":
            steps: list[Turn] = [
                self._agent.edit(cwd_of(asked)),
                self._agent.run(),
                Say("The work is done."),
            ]
            return steps[min(step, 2)]
        if word == "ASK":
            steps = [self._agent.asking(cwd_of(asked)), Say("Asked and answered.")]
            return steps[min(step, 1)]
        return Say("Still here, and I remember.")


def cwd_of(asked: Asked) -> str:
    """The checkout, as the agent tells its model where it is."""
    found = re.findall(r"(/[\w./-]+/checkout)\b", asked.text)
    return min(found, key=len, default=".")
