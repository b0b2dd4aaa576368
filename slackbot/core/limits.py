"""How long things may take, and what pull requests are allowed: settings, as the core sees them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """How long things may take, in seconds. Settings of docs/settings.md."""

    start_seconds: int = 600
    """A worker that is not ready by then never will be."""
    turn_seconds: int = 3600
    idle_seconds: int = 1800
    max_session_seconds: int = 28800
    silence_seconds: int = 180
    """A running worker reports every few seconds; one that is silent for so long hangs or is cut off."""
    cancel_seconds: int = 60
    """A worker that was told to cancel answers within seconds; after this the turn is ended without it."""
    permission_seconds: int = 900
    """How long the agent waits for an answer to what it asks leave for; after that it is a no."""
    grace_seconds: int = 90
    """The worker keeps the limits itself; DevFlow steps in only so much later."""
    lost_task_seconds: int = 60
    """A task that its system does not know so soon after the launch may still appear."""


@dataclass(frozen=True)
class PullRequestTerms:
    """What the settings say of pull requests of one repository."""

    may_merge: bool = False
    auto_fixes: int = 0
    """How often failing checks of one head commit are given to the agent unasked; 0 = never."""
