"""`devflow check`: is everything set up right? Asks each system, all at once and each in bounded time; a line each.

Settings come in, `Finding`s go out, and `render` makes lines of them. What is asked: `check_probes`; whether sessions,
tasks, branches and threads agree: `check_sessions`. Only what somebody asks to be mended is changed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import structlog

from slackbot.config import Settings
from slackbot.core.errors import ConfigError, DevflowError
from slackbot.core.redaction import redact

log = structlog.get_logger()

PROBE_SECONDS = 25.0
"""A system that has not answered by then is told as not answering; GitHub's client alone takes up to 20 s."""


@dataclass(frozen=True)
class Finding:
    """One line: `part` is the system, `summary` what was found, `remedy` what to do where it is wrong."""

    part: str
    ok: bool
    summary: str
    remedy: str = ""


Probe = Callable[[], Awaitable[Sequence[Finding]]]


def render(findings: Iterable[Finding]) -> list[str]:
    """The lines people read. Pure."""
    lines = []
    for finding in findings:
        mark = "ok" if finding.ok else "!!"
        remedy = f" — {finding.remedy}" if finding.remedy and not finding.ok else ""
        lines.append(f"{mark}  {finding.part}: {finding.summary.strip()}{remedy}")
    return lines


def as_json(findings: Iterable[Finding]) -> str:
    """The same for programs: a list of {part, ok, summary, remedy}. Pure."""
    return json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=1)


def of_settings(error: ConfigError) -> list[Finding]:
    """Settings that are wrong: nothing else can be asked then."""
    return [Finding("settings", False, fault, "docs/settings.md lists them all") for fault in error.faults]


def of_error(part: str, error: DevflowError) -> Finding:
    """What a system said no to."""
    faults = error.faults if isinstance(error, ConfigError) else []
    return Finding(part, False, "; ".join(faults) or error.summary, error.remedy)


async def run_probes(probes: Mapping[str, Probe], *, seconds: float = PROBE_SECONDS) -> list[Finding]:
    """What all of them found, in their order. They run at once, and none hides or holds up another."""

    async def guarded(name: str, probe: Probe) -> Sequence[Finding]:
        try:
            return await probe()
        except DevflowError as error:
            return [of_error(name, error)]
        except Exception as error:
            log.debug("probe_failed", part=name, exc_info=error)
            summary = f"it could not be asked ({type(error).__name__})"
            return [Finding(name, False, summary, "This is a fault of DevFlow; please report it.")]

    running = {name: asyncio.create_task(guarded(name, probe), name=name) for name, probe in probes.items()}
    if running:
        await asyncio.wait(running.values(), timeout=seconds)
    found: list[Finding] = []
    for name, task in running.items():
        if task.done():
            found += task.result()
            continue
        # Not waited for: closing a client may take as long as the call that hangs.
        task.cancel()
        remedy = "Look at its status page and at the network, then check again."
        found.append(Finding(name, False, f"it did not answer within {seconds:g} s", remedy))
    return found


async def check_setup(settings: Settings, *, seconds: float = PROBE_SECONDS) -> list[Finding]:
    """Asks every system the settings name. Changes nothing (an SQLite file is made where there is none)."""
    from slackbot.check_probes import probes_of

    return without_secrets(await run_probes(probes_of(settings), seconds=seconds), settings)


def without_secrets(findings: Iterable[Finding], settings: Settings) -> list[Finding]:
    """Masks what no line may hold, whoever said it."""
    secrets = settings.secrets()
    return [
        replace(finding, summary=redact(finding.summary, secrets), remedy=redact(finding.remedy, secrets))
        for finding in findings
    ]
