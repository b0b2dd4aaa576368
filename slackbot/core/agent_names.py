"""The coding agents that have a name of their own; any other `agent=` is a command line that speaks ACP. Pure.

`worker.agents` knows how to start each; the start form offers them, and a slip of one is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from slackbot.core.errors import UsageError
from slackbot.core.suggestions import closest

AGENT_NAMES = ("claude", "codex", "gemini", "opencode", "shell")

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*\Z", re.ASCII)


def check_agent(agent: str, known: tuple[str, ...] = AGENT_NAMES) -> str:
    """The agent as it was named, or `UsageError` where it is plainly a slip of one that is known."""
    near = closest(agent, known, at_least=0.7) if _NAME.match(agent) and agent not in known else None
    if near is not None:
        raise UsageError(
            f"There is no agent `{agent}`. Did you mean `{near}`?", f"Write `agent={near}`, or leave it out."
        )
    return agent


def agents_offered(default: str, ruled: Iterable[str | None]) -> tuple[str, ...]:
    """Agents to choose from: the usual one first, then those of the administrator's rules, then all with a name."""
    return tuple(dict.fromkeys(name for name in (default, *ruled, *AGENT_NAMES) if name))
