"""Stand-ins in this process, bots and workers as processes of their own, and the ways to kill them.

`crash_run.py` drives it. What workers dial is passed on to whichever bot lives, as service discovery does. Slack's
stand-in redelivers, delays and reorders: that is `Mail`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from tests.faults.aws_world import aws_world
from tests.faults.kill_points import Point
from tests.wire.bot_world import BotWorld, bot_world, until

REPOSITORY_ROOT = Path(__file__).parents[2]
START_SECONDS = 240.0
PERMISSION_SECONDS = 8
"""How long the agent's question waits; some are answered, some are not."""

PATIENT_SECONDS = 3.0
"""How long a worker's connection waits for a bot that comes up again."""


class BotProcess:
    """One `devflow run` with a trap around its ports."""

    def __init__(self, process: asyncio.subprocess.Process, name: str) -> None:
        self.process = process
        self.name = name
        self.log: list[dict[str, Any]] = []
        self.point: Point | None = None
        assert process.stderr is not None
        assert process.stdout is not None
        self.readers = [
            asyncio.create_task(self._read(process.stderr)),
            asyncio.create_task(self._drain(process.stdout)),
        ]

    @property
    def lives(self) -> bool:
        return self.process.returncode is None

    @property
    def port(self) -> int | None:
        """Where its gateway listens, once it is ready."""
        ready = next((line for line in self.log if line.get("event") == "bot_ready"), None)
        return int(ready["listens_on"].rpartition(":")[2]) if ready else None

    def arm(self, point: Point) -> None:
        self.point = point
        if self.lives and self.process.stdin is not None:
            self.process.stdin.write(f"{point}\n".encode())

    def kill(self) -> None:
        # Not by asyncio's own `kill`: it would take the exit status of one that is dead already from its watcher.
        if self.lives:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)

    async def ended(self) -> None:
        await self.process.wait()
        await asyncio.gather(*self.readers)

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            try:
                self.log.append(json.loads(line))
            except ValueError:
                # SIGKILL in the middle of a line is nothing; a line of its own, such as a traceback's, is a finding.
                if line.endswith(b"\n"):
                    self.log.append({"event": line.decode(errors="replace").rstrip(), "level": "not a log line"})

    @staticmethod
    async def _drain(stream: asyncio.StreamReader) -> None:
        while await stream.read(65536):
            pass


class Mail:
    """Slack's deliveries as they are on a bad day: late, out of order, up to five times."""

    def __init__(self, world: BotWorld, rng: random.Random) -> None:
        self._rng = rng
        self._slack = world.slack
        self._send = world.slack.workspace._deliver
        self._held = 0
        self._numbers = 0
        world.slack.workspace._deliver = self._deliver
        world.slack.sockets._deliveries._on_lost = self._lost
        self.lost: list[Mapping[str, Any]] = []
        self.is_calm = False

    @property
    def is_empty(self) -> bool:
        return self._held == 0 and self._slack.sockets.undelivered_count == 0

    def _deliver(self, event_id: str, payload: dict[str, Any]) -> None:
        event = payload["event"]
        by_person = event.get("type") == "message" and not event.get("bot_id") and not event.get("subtype")
        if self.is_calm or not by_person:
            self._send(event_id, payload)
            return
        self._later(self._rng.choice((0.0, 0.0, 0.05, 0.4)), event_id, payload)
        for _ in range(self._rng.choice((0, 0, 0, 1, 1, 2, 4))):
            # The same event; the id is the stand-in's own, so that it keeps the two apart.
            self._numbers += 1
            self._later(self._rng.uniform(0.0, 6.0), f"{event_id}R{self._numbers}", payload)

    def _later(self, seconds: float, event_id: str, payload: dict[str, Any]) -> None:
        def now() -> None:
            self._held -= 1
            self._send(event_id, payload)

        self._held += 1
        asyncio.get_running_loop().call_later(seconds, now)

    def _lost(self, payload: Mapping[str, Any]) -> None:
        self.lost.append(payload["event"])


class CrashWorld:
    """The stand-ins, and `bots` slots in which a bot is started again whenever it died."""

    def __init__(self, world: BotWorld, rng: random.Random, *, bots: int, lease_seconds: int) -> None:
        self.world = world
        self.mail = Mail(world, rng)
        self.slots: list[BotProcess | None] = [None] * bots
        self.past: list[BotProcess] = []
        self.url = ""
        self.settings: dict[str, str] = {}
        """On top of the world's own, for each bot."""
        self._lease_seconds = lease_seconds
        self._started = 0

    # ------------------------------------------------------------------------------------ bots

    async def start(self, slot: int, point: Point | None = None) -> BotProcess:
        """A bot in this slot; with `point` the trap is armed before it has done anything."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DEVFLOW_")},
            **self.world.environment,
            "DEVFLOW_GATEWAY_URL": self.url,
            "DEVFLOW_MAX_SESSIONS_PER_USER": "500",
            "DEVFLOW_RECONCILE_SECONDS": "0.5",
            "DEVFLOW_PERMISSIONS": "edits",
            "DEVFLOW_PERMISSION_SECONDS": str(PERMISSION_SECONDS),
            "DEVFLOW_LOG_FORMAT": "json",
            "DEVFLOW_TEST_LEASE_SECONDS": str(self._lease_seconds),
            **self.settings,
        }
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.faults.bot_entry",
            env=environment, cwd=REPOSITORY_ROOT, stdin=pipe, stdout=pipe, stderr=pipe, limit=1 << 22,
        )  # fmt: skip
        self._started += 1
        bot = BotProcess(process, f"bot {self._started}")
        self.slots[slot] = bot
        if point is not None:
            bot.arm(point)
        return bot

    async def is_up(self, bot: BotProcess) -> bool:
        """Whether it became ready; False when the trap ended it before."""
        await until(lambda: bot.port or not bot.lives, "a bot that is ready or dead", seconds=START_SECONDS)
        return bot.lives

    async def bury(self, bot: BotProcess) -> None:
        """Kills it if it lives, and keeps its log."""
        bot.kill()
        await bot.ended()
        if bot not in self.past:
            self.past.append(bot)
        self.slots = [None if each is bot else each for each in self.slots]

    @property
    def living(self) -> list[BotProcess]:
        return [bot for bot in self.slots if bot is not None and bot.lives]

    # ----------------------------------------------------------------------------------- tasks

    @property
    def tasks_directory(self) -> Path:
        return self.world.directory / "tasks"

    def task_ids(self) -> list[str]:
        found = self.tasks_directory.iterdir() if self.tasks_directory.is_dir() else ()
        return sorted(path.name for path in found if not path.name.startswith("."))

    def task_pids(self, role: str) -> list[int]:
        """Process ids of the tasks that run; `role` is `worker` or `supervisor`."""
        pids = []
        for task_id in self.task_ids():
            with contextlib.suppress(OSError, ValueError):
                state = json.loads((self.tasks_directory / task_id / "state.json").read_bytes())
                if state.get("last_status") == "RUNNING" and state.get(role):
                    pids.append(int(state[role]["pid"]))
        return pids

    def task_processes(self) -> list[int]:
        """Every process of any task of this world that runs, found by the mark in its environment."""
        marks = {f"DEVFLOW_TASK_ID={task_id}" for task_id in self.task_ids()}
        flags = "axeww" if sys.platform == "linux" else "-axEww"
        listed = subprocess.run(["ps", flags, "-o", "pid=,stat=,command="], capture_output=True, text=True, check=True)
        rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
        return [int(row[0]) for row in rows if len(row) == 3 and row[1][0] != "Z" and marks & set(row[2].split())]

    # ---------------------------------------------------------------- what workers dial

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a worker, to a bot that lives."""
        with contextlib.suppress(OSError, asyncio.CancelledError, AssertionError):
            port = await until(self._any_port, "a bot that lives", seconds=PATIENT_SECONDS)
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_pipe(reader, up_writer), _pipe(up_reader, writer))
        writer.close()

    def _any_port(self) -> int | None:
        ports = [bot.port for bot in self.living if bot.port]
        return ports[-1] if ports else None


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def crash_world(
    directory: Path, rng: random.Random, *, bots: int, lease_seconds: int, on_aws: bool = False
) -> AsyncIterator[CrashWorld]:
    """Everything but the bots is up; every process that was started ends with it. `on_aws`: on DynamoDB and ECS."""
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(
            bot_world(directory, event_ack_seconds=5.0, retry_delays_seconds=(0.05, 0.5, 1.0, *(2.0,) * 40))
        )
        made = CrashWorld(world, rng, bots=bots, lease_seconds=lease_seconds)
        if on_aws:
            aws = await stack.enter_async_context(aws_world(directory))
            made.settings |= aws.settings
            world.items = aws.items  # type: ignore[method-assign]
        # Any address of this machine's own; with ECS it may not be one of those that mean "this very machine".
        host = "127.0.0.2" if on_aws else "127.0.0.1"
        server = await asyncio.start_server(made.forward, host, 0)
        made.url = f"http://{host}:{server.sockets[0].getsockname()[1]}"
        try:
            yield made
        finally:
            for bot in [*made.past, *(bot for bot in made.slots if bot is not None)]:
                bot.kill()
                await bot.ended()
            for pid in await asyncio.to_thread(made.task_processes):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            server.close()
