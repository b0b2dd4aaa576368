"""One run: people work, bots and workers are killed, everything settles, and the verdict is taken.

A seed repeats the choices of a run: what people do, what Slack delivers again, who is killed where. What the processes
do in between is theirs, so a fault that hangs on a moment may take some runs of its seed to come again.

Used by `test_crashes.py` (short) and by `python -m tests.faults` (as long as one likes).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.crash_world import BotProcess, CrashWorld, crash_world
from tests.faults.crowd import Crowd
from tests.faults.kill_points import NEEDS, SIDES, Point, all_calls
from tests.faults.verdict import unsettled, verdict


@dataclass(frozen=True)
class Plan:
    """`kills` in all; `bots` at once on one store; `seconds`: no kill is begun after so long, but for the first
    `least_kills`, which a slow machine does as well."""

    seed: int
    kills: int
    bots: int = 1
    lease_seconds: int = 5
    seconds: float = 3600.0
    least_kills: int = 0
    settle_seconds: float = 150.0
    point_seconds: float = 6.0
    """A bot that has not come to its point by then is killed where it is."""
    on_aws: bool = False
    """DynamoDB (moto) and a scripted ECS in place of SQLite and local tasks."""
    idle_seconds: int | None = None
    """A session to which nobody writes for so long stops itself, and the next reply wakes it; None = the default."""


@dataclass
class Outcome:
    """What a run did and found. `faults` empty = all held."""

    plan: Plan
    faults: list[str] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    sessions: int = 0
    turns: int = 0
    settled_seconds: float = 0.0

    def __str__(self) -> str:
        plan = self.plan
        lines = [
            f"seed {plan.seed}, {plan.bots} bots: {self.kills.total()} kills ({_counted(self.kills)}); "
            f"{self.sessions} sessions, {self.turns} turns; settled in {self.settled_seconds:.1f} s",
            f"  people: {_counted(self.done)}",
            *(f"  FAULT: {fault}" for fault in self.faults),
        ]
        if self.faults:
            again = f"--seed {plan.seed} --kills {plan.kills} --bots {plan.bots} --idle {plan.idle_seconds or 0}"
            again += f" --aws {int(plan.on_aws)}"
            lines.append(f"  again: python -m tests.faults {again}")
        return "\n".join(lines)


async def crash_run(plan: Plan, directory: Path, say: Callable[[str], None] = lambda line: None) -> Outcome:
    """Runs the plan in `directory`; what goes wrong is in the outcome, not raised."""
    # One for each: else the choices of one would hang on how often the other was asked.
    rng, of_mail, of_people = (random.Random(f"{plan.seed} {who}") for who in ("kills", "mail", "people"))
    outcome = Outcome(plan)
    async with crash_world(
        directory, of_mail, bots=plan.bots, lease_seconds=plan.lease_seconds, on_aws=plan.on_aws
    ) as crash:
        if plan.idle_seconds is not None:
            crash.settings["DEVFLOW_IDLE_SECONDS"] = str(plan.idle_seconds)
        repositories = [await crash.world.repository() for _ in range(2)]
        crowd = Crowd(crash, of_people, repositories)
        run = _Run(plan, crash, crowd, rng, outcome, say)
        try:
            await run.kill_and_work()
            await run.settle("the work")
            await run.stop_all()
            await run.settle("the end")
            outcome.faults += await verdict(crash, crowd)
        except AssertionError as error:
            outcome.faults.append(str(error))
        outcome.done = crowd.done
        outcome.sessions = len(crash.world.items())
        outcome.turns = sum(len(item["history"]) for item in crash.world.items())
    return outcome


class _Run:
    def __init__(
        self,
        plan: Plan,
        crash: CrashWorld,
        crowd: Crowd,
        rng: random.Random,
        outcome: Outcome,
        say: Callable[[str], None],
    ) -> None:
        self._plan, self._crash, self._crowd, self._rng = plan, crash, crowd, rng
        self._outcome, self._say = outcome, say
        self._points = self._all_points()

    def _all_points(self) -> list[Point]:
        points = [Point(call, side, self._rng.choice((1, 1, 2, 3))) for call in all_calls() for side in SIDES]
        self._rng.shuffle(points)
        return points

    async def kill_and_work(self) -> None:
        """Until the plan's kills are done: work, with somebody about to die."""
        ends_at = time.monotonic() + self._plan.seconds
        while (killed := self._outcome.kills.total()) < self._plan.kills:
            if killed >= self._plan.least_kills and time.monotonic() >= ends_at:
                return
            await self._fill_slots()
            kind = self._rng.choices(("point", "bot", "worker", "supervisor"), (6, 2, 2, 1))[0]
            if kind == "point":
                await self._kill_at_point()
            elif kind == "bot":
                await self._work(self._rng.uniform(0.1, 2.0))
                await self._kill_bot(self._rng.choice(self._crash.living), "bot")
            else:
                await self._kill_task(kind)

    async def settle(self, what: str) -> None:
        """Waits until nothing is owed any more; an AssertionError says what is."""
        self._crash.mail.is_calm = True
        began = time.monotonic()
        while left := unsettled(self._crash, self._crowd):
            await self._fill_slots()
            self._crowd.notice_late_roots()
            await self._crowd.answers()
            if time.monotonic() - began > self._plan.settle_seconds:
                said = [
                    f"{bot.name}: {[line for line in bot.log if line.get('level') != 'debug'][-12:]}"
                    for bot in self._crash.living
                ]
                raise AssertionError(f"{what} did not settle: {'; '.join(left)}; last words: {'; '.join(said)}")
            await asyncio.sleep(0.1)
        self._outcome.settled_seconds += time.monotonic() - began

    async def stop_all(self) -> None:
        """Every live session is stopped by its owner, with a word in its thread."""
        for talk in self._crowd.live:
            await talk.person.says(talk.thread, "!stop")
            talk.asked["!stop"] += 1

        def all_over() -> bool:
            return self._crash.mail.is_empty and not self._crowd.live

        ends_at = time.monotonic() + self._plan.settle_seconds
        while not all_over() and time.monotonic() < ends_at:
            await asyncio.sleep(0.05)
        while self._crash.task_processes() and time.monotonic() < ends_at:
            await asyncio.sleep(0.1)

    # ------------------------------------------------------------------------------------ kills

    async def _kill_at_point(self) -> None:
        if not self._points:
            self._points = self._all_points()
        point = self._points.pop()
        bot = self._rng.choice(self._crash.living)
        bot.arm(point)
        await self._work(self._plan.point_seconds, until_dead=bot, wish=NEEDS.get(point.call))
        if bot.lives:
            await self._kill_bot(bot, f"bot, not at {point.call}")
            return
        self._outcome.points[f"{point.call} {point.side}"] += 1
        await self._kill_bot(bot, "point", str(point))

    async def _kill_bot(self, bot: BotProcess, kind: str, detail: str = "") -> None:
        await self._crash.bury(bot)
        self._outcome.kills[kind.partition(",")[0]] += 1
        self._say(f"{self._outcome.kills.total()}. {bot.name} killed: {kind} {detail}")

    async def _kill_task(self, role: str) -> None:
        await self._work(self._rng.uniform(0.3, 2.0))
        pids = self._crash.task_pids(role)
        if not pids:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._rng.choice(pids), signal.SIGKILL)
            self._outcome.kills[role] += 1
            self._say(f"{self._outcome.kills.total()}. {role} killed")

    async def _fill_slots(self) -> None:
        """A bot in every slot; sometimes only one of several comes back for a while, or one dies while it starts."""
        for slot, bot in enumerate(self._crash.slots):
            if bot is not None and bot.lives:
                continue
            if bot is not None:
                # Nobody killed it: it ended by itself, or at a point that was reached late.
                self._outcome.points[f"{bot.point} (late)"] += 1
                await self._crash.bury(bot)
            started = await self._crash.start(slot)
            if not await self._crash.is_up(started):
                tail = started.log[-3:]
                raise AssertionError(f"{started.name} did not come up: {tail}")

    async def _work(self, seconds: float, *, until_dead: BotProcess | None = None, wish: str | None = None) -> None:
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at and (until_dead is None or until_dead.lives):
            if not self._crash.living:
                return
            await self._crowd.acts(wish)
            pause_until = time.monotonic() + self._rng.choice((0.0, 0.0, 0.1, 0.3, 0.6))
            while time.monotonic() < min(pause_until, ends_at) and (until_dead is None or until_dead.lives):
                await asyncio.sleep(0.02)


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counter.items()))
