"""One agent's process: started in its checkout as the agent's user, its stderr drained, killed whole.

Data: a `Launch` in; its stdin and stdout are the protocol's (`agent`), of its stderr the last words are kept for the
sentence about its end. Knows nothing of the protocol, whose library takes longer to load than most agents.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from slackbot.worker.agents import SHELL, AgentFailed, Launch
from slackbot.worker.confinement import Confinement
from slackbot.worker.output import Bounded
from slackbot.worker.processes import exited

LINE_LIMIT_BYTES = 50 * 1024 * 1024
"""The longest line an agent may send (what the SDK's own run_agent takes)."""
STDERR_BYTES = 4096
LAST_LINES = 8


class AgentProcess:
    """A running agent, and all that it starts. Make it with `start`, end it with `close`."""

    def __init__(self, launch: Launch, process: asyncio.subprocess.Process, confinement: Confinement) -> None:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise ValueError("an agent is started with pipes for all three streams")
        self.launch = launch
        self.stdin, self.stdout = process.stdin, process.stdout
        self.began = time.monotonic()
        self._process = process
        self._confinement = confinement
        self._said = Bounded(STDERR_BYTES, STDERR_BYTES)
        self._draining = asyncio.create_task(self._drain(process.stderr))

    @classmethod
    async def start(cls, launch: Launch, checkout: Path, confinement: Confinement) -> AgentProcess:
        """Starts it in `checkout`, in a session of its own; AgentFailed when there is nothing to start."""
        # Ours ends, and ends what it runs, when its stdin closes.
        command = confinement.wrap(launch.command, dies_with_parent=launch.name != SHELL)
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=LINE_LIMIT_BYTES,
                cwd=checkout,
                env={**launch.environment, "PWD": str(checkout)},
                start_new_session=True,
            )
        except OSError as error:
            raise AgentFailed(
                f"The agent {launch.name!r} could not be started: {error.strerror}.", "Check its installation."
            ) from error
        return cls(launch, process, confinement)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self._process.returncode

    async def gone(self) -> None:
        """Waits a moment for the status and the last words of one that has closed its connection."""
        await exited(self._process, 1.0)
        await asyncio.wait({self._draining}, timeout=0.5)

    def last_words(self) -> str:
        """The end of what it wrote to stderr, in one line, not redacted; "" for nothing."""
        return " / ".join(self._said.text().strip().splitlines()[-LAST_LINES:])

    async def close(self) -> None:
        """Kills the agent and all it started."""
        await self._confinement.end(self._process)
        self._draining.cancel()
        await asyncio.gather(self._draining, return_exceptions=True)
        # The transport keeps its pipes until something outside closes the other ends.
        self._process._transport.close()  # type: ignore[attr-defined]

    async def _drain(self, stderr: asyncio.StreamReader) -> None:
        while data := await stderr.read(16 * 1024):
            self._said.add(data)
