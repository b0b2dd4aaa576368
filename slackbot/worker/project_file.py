"""`.devflow.yml`: what a repository says of how it is set up and tested. Of the base branch, never of the agent's.

Data: the file's text in, `ProjectFile` out; `run` carries one of its commands out in the checkout as the agent, and
gives what is to be said of it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from slackbot.worker.confinement import Confinement
from slackbot.worker.logs import log
from slackbot.worker.outbound import proxy_variables
from slackbot.worker.output import Bounded, fenced
from slackbot.worker.processes import exited, kill_session

FILE = ".devflow.yml"
MAX_FILE_BYTES = 64 * 1024
COMMAND_SECONDS = 600
"""The longest that `setup` or `test` may take; the file may say less."""
_LIMITS = ("setup_seconds", "test_seconds", "turn_seconds", "idle_seconds")


@dataclass(frozen=True)
class ProjectFile:
    """`limits` hold seconds by name; they lower the bot's limits, never raise them."""

    setup: str | None = None
    test: str | None = None
    limits: Mapping[str, int] = field(default_factory=dict)
    faults: tuple[str, ...] = ()

    def seconds(self, name: str, otherwise: int) -> int:
        """The limit of that name, at most `otherwise`."""
        return min(self.limits.get(name, otherwise), otherwise)


@dataclass(frozen=True)
class Outcome:
    """How a command ended. `exit_status` None = it took too long."""

    command: str
    exit_status: int | None
    seconds: float
    output: str = field(repr=False)

    def told(self, name: str) -> str:
        """For the thread, in Markdown; what a command that went well wrote is not shown."""
        head = f"{name} (`{self.command.strip().splitlines()[0][:80]}`)"
        if self.exit_status == 0:
            return f"{head}: done in {self.seconds:.0f} s."
        how = "took too long" if self.exit_status is None else f"ended with exit status {self.exit_status}"
        return f"{head}: it {how} after {self.seconds:.0f} s.\n{fenced(self.output[-1500:] or '(it wrote nothing)')}"


def parse(text: str) -> ProjectFile:
    """What the file says, as far as it can be understood; `faults` name the rest."""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        return ProjectFile(faults=(f"it is not YAML{where}",))
    if content is None:
        return ProjectFile()
    if not isinstance(content, dict):
        return ProjectFile(faults=("it must be a map with `setup`, `test` and `limits`",))
    faults = [f"`{str(name)[:40]}` is not known" for name in content if name not in ("setup", "test", "limits")]
    limits, wrong = _limits(content.get("limits"))
    commands = {name: _command(content.get(name)) for name in ("setup", "test")}
    faults += [f"`{name}` must be a command, or a list of them" for name, value in commands.items() if value == ""]
    return ProjectFile(commands["setup"] or None, commands["test"] or None, limits, (*faults, *wrong))


def _command(value: Any) -> str | None:
    """One script of what may be a list; None when there is none, "" when it is no command."""
    if value is None:
        return None
    lines = value if isinstance(value, list) else [value]
    return "\n".join(lines) if all(isinstance(line, str) and line.strip() for line in lines) else ""


def _limits(value: Any) -> tuple[dict[str, int], list[str]]:
    if value is None:
        return {}, []
    if not isinstance(value, dict):
        return {}, ["`limits` must be a map"]
    found, faults = {}, []
    for name, seconds in value.items():
        if name not in _LIMITS:
            faults.append(f"`limits.{str(name)[:40]}` is not known")
        elif not isinstance(seconds, int) or isinstance(seconds, bool) or seconds < 1:
            faults.append(f"`limits.{name}` must be a number of seconds")
        else:
            found[name] = seconds
    return found, faults


async def run(command: str, *, checkout: Path, home: Path, confinement: Confinement, seconds: float) -> Outcome:
    """Runs a command of the file in the checkout, as the agent, for at most so long; all it started ends with it."""
    names = ("PATH", "LANG", "LC_ALL", "TZ", "DEVFLOW_TASK_ID")
    environment = {name: os.environ[name] for name in names if name in os.environ} | proxy_variables(os.environ)
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *confinement.wrap(("/bin/sh", "-e", "-c", command), dies_with_parent=True),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=checkout,
        env={**environment, "HOME": str(home), "PWD": str(checkout), "CI": "true", "TERM": "dumb"},
        start_new_session=True,
    )
    output = Bounded(2048, 8192)
    draining = asyncio.create_task(_drain(process.stdout, output))
    try:
        ended = await exited(process, seconds)
    finally:
        await kill_session(process, kill=confinement.kill)
        await asyncio.wait({draining}, timeout=1.0)
        draining.cancel()
        await asyncio.gather(draining, return_exceptions=True)
        process._transport.close()  # type: ignore[attr-defined]
    outcome = Outcome(command, process.returncode if ended else None, time.monotonic() - began, output.text().strip())
    log.info("project_command_ended", exit_status=outcome.exit_status, seconds=round(outcome.seconds, 1))
    return outcome


async def _drain(stream: asyncio.StreamReader | None, output: Bounded) -> None:
    while stream is not None and (data := await stream.read(16 * 1024)):
        output.add(data)
