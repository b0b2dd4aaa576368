"""The bot as a process of its own beside the stand-ins: the same program as `devflow run`, killed and started apart.

`BotProcess` is the sandbox's side; `main` is what runs in the child: settings come from its environment, one line
of JSON on stdout says that it is ready or why not, and the end of its stdin means that the sandbox is gone.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from slackbot.adapters.local_tasks import LocalTasks
from slackbot.core.errors import ConfigError, DevflowError

log = structlog.get_logger()

START_SECONDS = 30.0
END_SECONDS = 45.0
_LOG_BYTES = 5_000_000


class BotProcess:
    """Starts the bot, waits until it is ready, and ends it. `log_path` gets its log."""

    def __init__(self, environment: Mapping[str, str], log_path: Path) -> None:
        self._environment = dict(environment)
        self._log_path = log_path
        self._process: asyncio.subprocess.Process | None = None
        self._was_ready = False
        """Whether any bot of this sandbox was; before that there is nothing to end."""
        self._is_ready = False
        self._was_killed_on_purpose = False
        self.on_change: Callable[[str, int | None], None] = lambda what, pid: None
        """Told `started` and `ended`, with the process id."""

    @property
    def log_path(self) -> Path:
        return self._log_path

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> dict[str, str]:
        """What the bot says when it is ready (gateway_url, team_name, bot_user_id), or a `DevflowError`."""
        if self._log_path.exists() and self._log_path.stat().st_size > _LOG_BYTES:
            os.replace(self._log_path, self._log_path.with_suffix(".log.old"))
        self._is_ready = False
        descriptor = os.open(self._log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            # A session of its own: Ctrl-C reaches the sandbox alone, which then ends things in order.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "slackbot.sandbox.bot_process",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=descriptor,
                env=self._environment,
                start_new_session=True,
            )
        finally:
            os.close(descriptor)
        assert self._process.stdout is not None  # noqa: S101  a pipe was asked for
        try:
            async with asyncio.timeout(START_SECONDS):
                line = await self._process.stdout.readline()
        except TimeoutError:
            line = b""
        try:
            told = json.loads(line)
        except ValueError:
            told = {"error": "The bot did not start."}
        if "error" in told:
            await self.kill()
            raise DevflowError(str(told["error"]), f"Its log is {self._log_path}.")
        self._was_ready = self._is_ready = True
        self.on_change("started", self.pid)
        return {name: str(value) for name, value in told.items()}

    async def wait(self) -> int:
        """The exit status, once it ends."""
        assert self._process is not None  # noqa: S101  start() comes first
        status = await self._process.wait()
        self.on_change("ended", self._process.pid)
        return status

    async def stop(self) -> bool:
        """SIGTERM: live sessions are stopped, then the bot ends; SIGKILL when it does not.

        False when it turns out to have died before it could do so.
        """
        process = self._process
        if process is None or process.returncode is not None:
            return False
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(END_SECONDS):
                return await process.wait() == 0
        except TimeoutError:
            await self.kill()
            return True

    async def end(self, tasks: LocalTasks | None) -> None:
        """Ends the bot and every task, whatever state the bot is in; `tasks` is None where they run elsewhere.

        A bot that happens not to run is started once more, so that live sessions are stopped and told.
        """
        try:
            ended_in_order = self.is_running and self._is_ready and await self.stop()
            if self._was_ready and not ended_in_order:
                # Dead, perhaps unnoticed until now, or cut off while it was being started again.
                await self.kill()
                await self.start()
        except DevflowError as error:
            log.warning("bot_not_started_to_end", why=error.summary)
        await self.stop()
        if tasks is None:
            return
        try:
            if self._was_ready:
                await tasks.stop_all("The sandbox was ended")
        except DevflowError as error:
            log.error("tasks_not_stopped", why=error.summary)
        finally:
            await tasks.close()

    async def kill_on_purpose(self) -> None:
        """kill -9 because somebody wants to see it: no reason to start it again ever later."""
        self._was_killed_on_purpose = True
        await self.kill()

    def take_purpose(self) -> bool:
        """Whether the last end was wanted; asked once an end."""
        was, self._was_killed_on_purpose = self._was_killed_on_purpose, False
        return was

    async def kill(self) -> None:
        """kill -9, as an outage would."""
        process = self._process
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()


def main() -> int:
    """The child's whole life."""
    from slackbot.app import BotReady, run_bot
    from slackbot.config import load_settings
    from slackbot.logs import configure_logs

    def tell(message: Mapping[str, str]) -> None:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()

    def on_ready(ready: BotReady) -> None:
        tell({"gateway_url": ready.gateway_url, "team_name": ready.team_name, "bot_user_id": ready.bot_user_id})

    async def until_told() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, stop.set)
        await run_bot(settings, stop=stop, on_ready=on_ready, stop_sessions_at_end=True)

    threading.Thread(target=_die_with_the_sandbox, daemon=True).start()
    try:
        settings = load_settings(os.environ)
        configure_logs(settings.DEVFLOW_LOG_FORMAT, settings.secrets())
        asyncio.run(until_told())
    except ConfigError as error:
        tell({"error": "The settings are not complete: " + "; ".join(error.faults)})
        return 2
    except DevflowError as error:
        tell({"error": f"{error.summary} {error.remedy}".strip()})
        return 1
    except OSError as error:
        tell({"error": f"The bot could not start: {error.strerror or error}."})
        return 1
    return 0


def _die_with_the_sandbox() -> None:
    """stdin ends when the sandbox does, whatever ended it; then nobody is left to talk to. Workers stay."""
    # The descriptor itself: a lock of sys.stdin, held here, would stop the interpreter from ending.
    while os.read(0, 1024):
        continue
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
