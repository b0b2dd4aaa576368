"""`devflow run` as a process: how it ends, and two of it at once on one store.

Slack and GitHub are the stand-ins, in this process; the bots, their workers and git are real and apart. What workers
dial is passed on to whichever bot lives, as service discovery does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from slackbot.sandbox.slack.faults import Fault
from tests.e2e.sandbox_process import DEVFLOW, processes_marked
from tests.wire.bot_world import BotWorld, Person, SessionThread, bot_world, until

END_SECONDS = 25.0
"""What `devflow run` has between SIGTERM and its end."""


class Run:
    """One `devflow run`; its log line by line, which must be JSON."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.log: list[dict[str, Any]] = []
        self.audit: list[dict[str, Any]] = []
        assert process.stderr is not None
        assert process.stdout is not None
        self._readers = [
            asyncio.create_task(self._read(process.stderr, self.log)),
            asyncio.create_task(self._read(process.stdout, self.audit)),
        ]

    @staticmethod
    async def _read(stream: asyncio.StreamReader, lines: list[dict[str, Any]]) -> None:
        while line := await stream.readline():
            lines.append(json.loads(line))

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.log if line["event"] == event]

    async def is_ready(self) -> str:
        """The address of its gateway, once it hears Slack."""
        (line,) = await until(lambda: self.logged("bot_ready"), "a bot that is ready")
        return str(line["gateway_url"])

    async def end(self, signum: int = signal.SIGTERM) -> int:
        """Signals it; its exit status, which must come in time."""
        self.process.send_signal(signum)
        async with asyncio.timeout(END_SECONDS):
            status = await self.process.wait()
        await asyncio.gather(*self._readers)
        return status


class Bots:
    """The world, and the processes on it."""

    def __init__(self, world: BotWorld) -> None:
        self.world = world
        self.runs: list[Run] = []
        self.gateways: list[str] = []
        self.url = ""

    async def start(self, **settings: str) -> Run:
        """One more bot."""
        environment = {
            **os.environ,
            **self.world.environment,
            "DEVFLOW_GATEWAY_URL": self.url,
            "DEVFLOW_RECONCILE_SECONDS": "1",
            **settings,
        }
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            DEVFLOW, "run", env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
        )
        run = Run(process)
        self.runs.append(run)
        return run

    async def ready(self, **settings: str) -> Run:
        run = await self.start(**settings)
        await run.is_ready()
        return run

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a worker, to a bot that lives; none there: it is closed, and the worker tries again."""
        with contextlib.suppress(OSError, asyncio.CancelledError):
            for run in reversed(self.runs):
                ready = run.logged("bot_ready")
                if not ready or run.process.returncode is not None:
                    continue
                # The address it listens on is in the log of its start; what workers dial is the same for all.
                port = int(ready[0]["listens_on"].rpartition(":")[2])
                with contextlib.suppress(OSError):
                    up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
                    await asyncio.gather(_pipe(reader, up_writer), _pipe(up_reader, writer))
                    break
        writer.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest_asyncio.fixture
async def bots(tmp_path: Path) -> AsyncIterator[Bots]:
    """Stand-ins, and the address that workers dial; every process of the test ends with it."""
    async with bot_world(tmp_path) as world:
        made = Bots(world)
        server = await asyncio.start_server(made.forward, "127.0.0.1", 0)
        made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield made
        finally:
            for run in made.runs:
                with contextlib.suppress(ProcessLookupError):
                    run.process.kill()
                await run.process.wait()
                await asyncio.gather(*run._readers)
            tasks = tmp_path / "tasks"
            names = [f"DEVFLOW_TASK_ID={entry.name}" for entry in tasks.iterdir()] if tasks.is_dir() else []
            for pid in await asyncio.to_thread(processes_marked, names):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            server.close()


async def begun(bots: Bots) -> tuple[Person, SessionThread]:
    """A session of ada's whose worker has answered its first prompt, with nothing owed."""
    ada = bots.world.someone("ada")
    thread = await ada.starts(await bots.world.repository(), "echo first")
    await thread.turn(1, "answered")
    await at_rest(thread)
    return ada, thread


async def at_rest(thread: SessionThread) -> None:
    await until(lambda: "lease" not in thread.item(), "nothing owed")


async def test_sigterm_ends_it_in_time_with_its_work_done(bots: Bots) -> None:
    """A worker waits in its long poll, and Slack is slow over an answer: it is posted still; nothing new is taken."""
    run = await bots.ready()
    ada, thread = await begun(bots)

    def slow(method: str, arguments: dict[str, Any]) -> Fault | None:
        return Fault(delay_seconds=1.5) if method == "chat.postMessage" else None

    bots.world.slack.fault = slow
    await ada.says(thread, "echo second")
    await thread.turn(2, "answered", told=False)
    assert "response_ts" not in thread.turns()[1]
    run.process.send_signal(signal.SIGTERM)
    await until(lambda: run.logged("bot_stopping"), "the beginning of the end")
    await ada.says(thread, "echo third")
    assert await run.end() == 0
    assert run.logged("bot_stopped")
    assert thread.turns()[1]["response_ts"]
    assert len(thread.turns()) == 2
    bots.world.slack.fault = None

    # What came meanwhile was never acknowledged: Slack brings it to the next bot, and the worker found it again.
    await bots.ready()
    await thread.turn(3, "answered")
    assert len(thread.of_type("devflow_answer")) == 3
    assert len(await processes_of(thread, bots)) > 0


async def processes_of(thread: SessionThread, bots: Bots) -> list[int]:
    """The processes of the session's task."""
    name = thread.item()["ecs_task_arn"].rpartition("/")[2]
    return await asyncio.to_thread(processes_marked, [f"DEVFLOW_TASK_ID={name}"])


async def test_sigterm_while_it_starts_ends_it_at_once(bots: Bots) -> None:
    """Slack does not say who the bot is: there is nothing to drain, and no error to tell."""

    def silent(method: str, arguments: dict[str, Any]) -> Fault | None:
        asked.append(method)
        return Fault(delay_seconds=60.0)

    asked: list[str] = []
    bots.world.slack.fault = silent
    run = await bots.start()
    await until(lambda: asked, "a first call")
    assert await run.end() == 0
    assert not run.logged("bot_ready")
    bots.world.slack.fault = None


async def test_what_hangs_for_ever_is_left_behind(bots: Bots) -> None:
    """A part that never ends does not hold the process: it says so and goes."""
    program = (
        "import asyncio, sys, slackbot.__main__ as main, slackbot.app as app\n"
        "main.STOP_SECONDS = 0.2\n"
        "async def run_bot(settings, *, stop, on_ready):\n"
        "    on_ready(None)\n"
        "    print('{}', flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "app.run_bot = run_bot\n"
        "sys.exit(main.main(['run']))\n"
    )
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env={**os.environ, **bots.world.environment}, stdout=pipe, stderr=pipe
    )
    run = Run(process)
    bots.runs.append(run)
    await until(lambda: run.audit, "its start")
    assert await run.end() == 1
    assert run.logged("stop_took_too_long")


async def test_two_replicas_answer_each_prompt_once_and_one_goes_on_alone(bots: Bots) -> None:
    """Prompts come in on either; then one is killed, its worker goes on, and so do all sessions."""
    first, second = await asyncio.gather(bots.ready(), bots.ready())
    sessions = await asyncio.gather(*(begun(bots) for _ in range(2)))
    for ada, thread in sessions:
        for number in range(3):
            await ada.says(thread, f"echo prompt {number}")
    for _, thread in sessions:
        await thread.turn(4, "answered")
        await at_rest(thread)
        # Which of two that come in at once on two bots is claimed first is nobody's to say.
        turns = thread.turns()[1:]
        assert sorted(turn["prompt"] for turn in turns) == [f"echo prompt {number}" for number in range(3)]
        # Those that waited together are one piece of work, which the first of them answers for.
        by_id = {turn["turn_id"]: turn for turn in turns}
        answers = [by_id[turn.get("joined_to") or turn["turn_id"]]["response"] for turn in turns]
        assert all(turn["prompt"].removeprefix("echo ") in answer for turn, answer in zip(turns, answers, strict=True))
        assert len(thread.of_type("devflow_answer")) == 1 + sum("joined_to" not in turn for turn in turns)
    stored = [sum(line["event"] == "prompt_stored" for line in run.log) for run in (first, second)]
    assert sum(stored) == 6, stored
    assert min(stored) > 0, "one of them heard everything"

    first.process.kill()
    await first.process.wait()
    for ada, thread in sessions:
        await ada.says(thread, "echo alone")
    for _, thread in sessions:
        await thread.turn(5, "answered")
        assert len(thread.of_type("devflow_answer")) == sum("joined_to" not in turn for turn in thread.turns())
    assert {line["action"] for run in (first, second) for line in run.audit} == {
        "session_requested",
        "task_started",
        "token_minted",
        "prompt_accepted",
    }
    for ada, thread in sessions:
        await ada.says(thread, "!stop")
        await thread.is_("stopped")
    assert await second.end() == 0
