"""What can go wrong, in two kinds: what a person can mend, and what passes.

Each error carries a summary (what happened and why) and a remedy (what to do next), both plain
sentences that views show as they are. Neither may ever hold a secret.
"""

from __future__ import annotations


class DevflowError(Exception):
    """The root of every error DevFlow raises on purpose.

    `summary` says what happened and why, `remedy` what to do next (may be empty).
    """

    field: str = ""
    """The field of the start form that it is about, where it is about one."""

    def __init__(self, summary: str, remedy: str = "") -> None:
        super().__init__(f"{summary} {remedy}".strip())
        self.summary = summary
        self.remedy = remedy


class UsageError(DevflowError):
    """A person typed something that cannot be understood; nothing was changed."""


class Refused(DevflowError):
    """A person may not do this; nothing was changed."""


class NotAdmitted(Refused):
    """This person, or anyone in this channel, may not use DevFlow at all; said once in a thread, not at each reply."""


class NotFound(DevflowError):
    """What was named does not exist (or is hidden from DevFlow)."""


class IllegalTransition(DevflowError):
    """An event that has no place in the session's present state; nothing was changed."""


class Fenced(DevflowError):
    """A worker of an older launch spoke up; it is told to leave."""


class PermanentError(DevflowError):
    """A foreign system said no, and would say no again."""


class ThreadUnreachable(PermanentError):
    """Nothing can be posted in this thread or channel any more (archived, bot removed, app uninstalled)."""


class TemporaryError(DevflowError):
    """A foreign system did not answer, or asked to wait. Worth trying again.

    `retry_after_seconds` is what the system asked for, or None. `outcome_unknown` is True when the
    call may have taken effect (a time-out after sending): look before repeating it.
    """

    def __init__(
        self,
        summary: str,
        remedy: str = "",
        *,
        retry_after_seconds: float | None = None,
        outcome_unknown: bool = False,
    ) -> None:
        super().__init__(summary, remedy)
        self.retry_after_seconds = retry_after_seconds
        self.outcome_unknown = outcome_unknown


class ConfigError(DevflowError):
    """The settings are wrong; `faults` names every one of them."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("The settings are not complete: " + "; ".join(faults))
        self.faults = faults
