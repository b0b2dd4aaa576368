"""The repository's own steps in a session: set-up once after the checkout, tests after a turn that changed files.

Data: `.devflow.yml` of the base branch (`project_file`); what came of it goes into the turn's answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec.structs import replace

from slackbot.core.errors import DevflowError
from slackbot.worker.checkout import Checkout
from slackbot.worker.logs import log
from slackbot.worker.project_file import COMMAND_SECONDS, FILE, MAX_FILE_BYTES, Outcome, ProjectFile, parse, run
from slackbot.worker_protocol import SessionInfo


class ProjectSteps:
    """Begun by `begin`; the first turn waits for the set-up (`set_up`)."""

    def __init__(self, checkout: Checkout, redact: Callable[[str], str]) -> None:
        self._checkout = checkout
        self._redact = redact
        self._file = ProjectFile()
        self._setup: asyncio.Task[Outcome] | None = None

    async def begin(self, info: SessionInfo) -> SessionInfo:
        """Reads the file and begins the set-up; gives the session's limits as the file lowers them."""
        try:
            text = await self._checkout.file_of_base(FILE, MAX_FILE_BYTES)
        except DevflowError as error:
            log.warning("project_file_not_read", why=error.summary)
            return info
        if text is None:
            return info
        self._file = parse(text)
        if self._file.setup:
            self._setup = asyncio.create_task(self._run(self._file.setup, "setup_seconds"))
        lowered = {name: self._file.seconds(name, getattr(info, name)) for name in ("turn_seconds", "idle_seconds")}
        return replace(info, **lowered)

    async def set_up(self) -> str:
        """What is to be said of the file and the set-up, once; waits for its end."""
        task, self._setup = self._setup, None
        faults, self._file = self._file.faults, ProjectFile(None, self._file.test, self._file.limits)
        told = [f"{FILE} of the base branch: {'; '.join(faults)}."] if faults else []
        if task is not None:
            told.append(self._redact((await task).told("Set-up")))
        return "\n\n".join(told)

    async def test(self) -> str:
        """What is to be said of the tests; "" when there are none."""
        if not self._file.test:
            return ""
        return self._redact((await self._run(self._file.test, "test_seconds")).told("Tests"))

    async def close(self) -> None:
        """Ends a set-up that is under way."""
        if self._setup is not None:
            self._setup.cancel()
            await asyncio.gather(self._setup, return_exceptions=True)

    async def _run(self, command: str, limit: str) -> Outcome:
        place = self._checkout.place
        seconds = self._file.seconds(limit, COMMAND_SECONDS)
        try:
            return await run(
                command, checkout=place.checkout, home=place.home, confinement=place.confinement, seconds=seconds
            )
        except OSError as error:
            return Outcome(command, 126, 0.0, f"It could not be started: {error.strerror}.")
