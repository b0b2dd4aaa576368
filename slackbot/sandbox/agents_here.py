"""Coding agents that this machine has: found for the sandbox's first thread, and put on the PATH of its workers.

Looks on the PATH and in .agents/bin of a checkout of DevFlow (`make agents`); starts nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

PROGRAMS = {
    "claude": ("claude-agent-acp", "Claude Code", "anthropic"),
    "codex": ("codex-acp", "Codex", "openai"),
    "gemini": ("gemini", "Gemini CLI", "gemini"),
    "opencode": ("opencode", "OpenCode", "anthropic"),
}
"""Name in DevFlow -> the program that speaks ACP, what people call it, the provider of its usual models."""

_KEYS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "DEVFLOW_BEDROCK")
_BIN = Path(__file__).resolve().parents[2] / ".agents" / "bin"


def search_path(environment: Mapping[str, str]) -> str:
    """The PATH that workers of the sandbox get: this machine's, then what `make agents` installed."""
    path = environment.get("PATH") or os.defpath
    return f"{path}{os.pathsep}{_BIN}" if _BIN.is_dir() else path


def found_agents(path: str) -> tuple[str, ...]:
    """Names of the agents whose programs are there."""
    return tuple(name for name, (program, _, _) in PROGRAMS.items() if shutil.which(program, path=path))


def adapter_missing(path: str) -> tuple[str, ...]:
    """Agents that are there themselves, but not the adapter by which DevFlow speaks with them."""
    found = found_agents(path)
    return tuple(name for name in ("claude", "codex") if name not in found and shutil.which(name, path=path))


def agents_text(environment: Mapping[str, str]) -> str:
    """What the first thread says of them, in mrkdwn; "" when there are none."""
    path = search_path(environment)
    lines = [
        f"• use your {PROGRAMS[name][1]} here: `/devflow start demo/hello agent={name} add a goodbye function`"
        for name in found_agents(path)
    ]
    lines += [f"• {PROGRAMS[name][1]} is here; `make agents` makes it usable" for name in adapter_missing(path)]
    if not lines:
        return ""
    has_key = any(environment.get(name, "").strip() for name in _KEYS)
    models = (
        "They reach their models through the gateway, with the keys that the sandbox was started with."
        if has_key
        else "No key of a model provider was given to the sandbox, so each uses your own login on this machine."
    )
    return (
        "*Coding agents on this machine:*\n" + "\n".join(lines) + f"\n{models} They work on a copy of the repository "
        "only; but *nothing isolates them here*: what they run, they run as you, on this machine."
    )
