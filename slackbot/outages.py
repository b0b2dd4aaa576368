"""An outage of a system DevFlow stands on is told once in the log when it begins and once when it ends.

Fed by the engine with how each call's work went; a single failure is weather, several on end are an outage.
"""

from __future__ import annotations

from collections import Counter

import structlog

from slackbot.core.effects import (
    ActOnPullRequest,
    AnswerReview,
    Effect,
    LookForMergedBranch,
    MakeBranch,
    OpenPullRequest,
    RunTask,
    StopTask,
    TidyBranch,
)

log = structlog.get_logger()

_OF_CODE_HOST = (MakeBranch, TidyBranch, OpenPullRequest, ActOnPullRequest, AnswerReview, LookForMergedBranch)

FAILURES = 3
"""So many on end, of any sessions, make an outage."""

STORE = "store"


def system_of(effect: Effect) -> str:
    """The system that the effect needs above all."""
    if isinstance(effect, RunTask | StopTask):
        return "tasks"
    return "code_host" if isinstance(effect, _OF_CODE_HOST) else "chat"


class Outages:
    """Counts failures on end, system by system."""

    def __init__(self) -> None:
        self._failures: Counter[str] = Counter()

    def failed(self, system: str, why: str) -> None:
        self._failures[system] += 1
        if self._failures[system] == FAILURES:
            log.warning("outage_began", part=system, why=why)

    def worked(self, system: str) -> None:
        if self._failures.pop(system, 0) >= FAILURES:
            log.info("outage_ended", part=system)
