"""Which command speaks ACP for which agent, and which of its modes lets it work without asking.

Data: the session's `agent` in, a command line and its environment out. Facts per agent come from the
agents' own READMEs and from runs of them: https://agentclientprotocol.com/overview/agents
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from slackbot.core.errors import DevflowError
from slackbot.worker.agent_setup import PROVIDERS_OF, ModelAccess, Setup, setup_of
from slackbot.worker.outbound import proxy_variables

SHELL = "shell"

_COMMANDS: dict[str, tuple[tuple[str, ...], str]] = {
    "claude": (("claude-agent-acp",), "make agents` or `npm install -g @agentclientprotocol/claude-agent-acp"),
    "codex": (("codex-acp",), "make agents` or `npm install -g @agentclientprotocol/codex-acp"),
    "gemini": (("gemini", "--acp"), "make agents` or `npm install -g @google/gemini-cli"),
    "opencode": (("opencode", "acp"), "make agents` or `npm install -g opencode-ai"),
}

WORKS_ALONE = (
    "bypassPermissions",  # claude; refused for root
    "agent-full-access",  # codex
    "yolo",  # gemini, qwen
    "acceptEdits",  # claude
    "autoEdit",  # gemini
    "auto-edit",  # qwen
    "build",  # opencode
    "auto",
    "default",
)
"""Modes, best first. Set after every session/new, because the default differs between versions of one agent.
The isolation is the task's; whatever an agent still asks is answered by `permission.Asker`."""

ASKS: dict[str, tuple[str, ...]] = {
    "ask": ("default", "build", "auto", "read-only"),
    "edits": ("acceptEdits", "autoEdit", "auto-edit", "agent", "workspace-write", "default", "build", "auto"),
}
"""The same where the policy wants the agent to ask: before everything, or before all but edits."""

_INHERITED = ("LANG", "LC_ALL", "TZ", "USER", "LOGNAME", "DEVFLOW_TASK_ID")
"""DEVFLOW_TASK_ID is how a local task's supervisor finds what its worker left behind; it is no secret."""

FORGETFUL = frozenset({"gemini"})
"""Agents that may take up the session of a process that was killed, and know nothing of it then (Gemini CLI 0.61): they
begin anew and are told what was said."""


class AgentFailed(DevflowError):
    """The agent is missing, broke off, or spoke what is not ACP."""


@dataclass(frozen=True)
class Choice:
    """What a person or a rule chose for the session; None = DevFlow's or the agent's own choice."""

    model: str | None = None
    mode: str | None = None


NO_CHOICE = Choice()


@dataclass(frozen=True)
class Launch:
    """How to start an agent: `command` with an absolute program, and the whole of its `environment`."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    permissions: str = "all"
    """What the agent may do unasked: `ask`, `edits`, `all`."""
    setup: Setup = field(default_factory=Setup)
    """Its variables are in `environment` already; its files are to be written below HOME."""


def launch_of(
    agent: str, home: Path, permissions: str = "all", *, access: ModelAccess | None = None, model: str | None = None
) -> Launch:
    """The command for `agent`; AgentFailed with what to do when it is not there.

    The environment is made from nothing: no variable of the worker's gets in that is not named here, or in the setup
    that leads the agent to its models.
    """
    path = os.environ.get("PATH", os.defpath)
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    environment |= {"PATH": path, "HOME": str(home), "TERM": "dumb", "PWD": str(home), "GIT_TERMINAL_PROMPT": "0"}
    environment |= proxy_variables(os.environ)
    environment.setdefault("LANG", "C.UTF-8")
    if agent == SHELL:
        # -P: a file of the checkout named like a module must not be imported in its place.
        package = str(Path(__file__).resolve().parents[2])
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
        return Launch(agent, (sys.executable, "-P", "-m", "slackbot.worker.shell_agent"), environment, permissions)
    command, remedy = _COMMANDS.get(agent, ((), ""))
    if not command:
        try:
            command = tuple(shlex.split(agent))
        except ValueError as error:
            raise AgentFailed(
                f"The agent's command line {agent!r} cannot be read: {error}.", "Correct DEVFLOW_AGENT or agent=."
            ) from error
    program = shutil.which(command[0], path=path) if command else None
    if program is None:
        raise AgentFailed(
            f"The agent {agent!r} is not installed where the task runs: there is no command "
            f"{command[0] if command else ''!r}.",
            (f"Install it there with `{remedy}`" if remedy else "Install it there")
            + ", or start a session with another one, for example agent=shell.",
        )
    setup = setup_of(agent, access, home, model, permissions)
    if setup == Setup() and agent in PROVIDERS_OF and os.environ.get("DEVFLOW_OWN_LOGIN") == "1":
        # The sandbox of one person, who has given no key: the agent as that person is used to it.
        environment |= {"HOME": os.environ.get("HOME", str(home)), **_own_program(agent, path)}
    return Launch(agent, (program, *command[1:]), {**environment, **setup.environment}, permissions, setup)


def _own_program(agent: str, path: str) -> dict[str, str]:
    """The person's own Claude Code, in place of the one that comes with the adapter."""
    own = shutil.which("claude", path=path) if agent == "claude" else None
    return {"CLAUDE_CODE_EXECUTABLE": own} if own else {}


def mode_preference(offered: Sequence[str], permissions: str = "all") -> list[str]:
    """Those of `offered` modes that are worth setting under a policy, best first."""
    return [mode for mode in ASKS.get(permissions, WORKS_ALONE) if mode in offered]
