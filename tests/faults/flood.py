"""A flood of replies over many threads: all are worked off, in the order in which each thread had them, each once.

The short form is in `test_flood.py`; the long one, a thousand replies in a minute over fifty threads, is a part of
`python -m tests.faults`.
"""

from __future__ import annotations

import asyncio
import random
import resource
import time
from dataclasses import dataclass, field
from typing import Any

from tests.wire.bot_world import BotWorld, Person, SessionThread, until
from tests.wire.worker import ScriptedWorker

SETTLE_SECONDS = 600.0
"""How long it may take on a slow machine; the outcome says how long it took."""

LOOK_REST = 20.0
MOST_WAITING = 8
"""Nobody writes on while so many of their prompts wait; the bot would say so from the eleventh on."""


@dataclass
class FloodOutcome:
    replies: int
    threads: int
    seconds: float = 0.0
    """From the first reply to the last answer."""
    memory_growth_bytes: int = 0
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        head = (
            f"flood: {self.replies} replies over {self.threads} threads, all answered after {self.seconds:.1f} s; "
            f"{self.memory_growth_bytes / 2**20:.0f} MB more at the most"
        )
        return "\n".join([head, *(f"  FAULT: {fault}" for fault in self.faults)])


async def flood(world: BotWorld, *, threads: int, replies: int, seconds: float, seed: int = 1) -> FloodOutcome:
    """`replies` in each of `threads` threads, spread over `seconds`; the workers answer as fast as they can."""
    rng = random.Random(seed)
    outcome = FloodOutcome(threads * replies, threads)
    looks = _Looks(world)
    talks = [await _begun(world) for _ in range(threads)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    working = [asyncio.create_task(_works(worker)) for _, _, worker in talks]
    try:
        await asyncio.gather(*(_writes(looks, person, thread, replies, seconds, rng) for person, thread, _ in talks))
        await until(
            lambda: all(_is_done(looks.turns(thread), replies) for _, thread, _ in talks),
            "every prompt answered",
            seconds=SETTLE_SECONDS,
        )
    finally:
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
    outcome.seconds = time.monotonic() - began
    outcome.memory_growth_bytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    for _, thread, _ in talks:
        outcome.faults += [f"{thread.channel_id}: {fault}" for fault in _order(thread, replies)]
    return outcome


async def _begun(world: BotWorld) -> tuple[Person, SessionThread, ScriptedWorker]:
    person = world.someone("writer")
    thread = await person.starts("demo/hello", "echo 0")
    return person, thread, await thread.worker()


class _Looks:
    """What the store holds, as it was a moment ago: looking takes no more than a small part of the time."""

    def __init__(self, world: BotWorld) -> None:
        self._world = world
        self._turns: dict[str, list[dict[str, Any]]] = {}
        self._look_again_at = 0.0

    def turns(self, thread: SessionThread) -> list[dict[str, Any]]:
        began = time.monotonic()
        if began >= self._look_again_at:
            self._turns = {item["session_id"]: list(item["history"]) for item in self._world.items()}
            now = time.monotonic()
            self._look_again_at = now + LOOK_REST * (now - began)
        return self._turns.get(thread.session_id, [])


async def _writes(
    looks: _Looks, person: Person, thread: SessionThread, replies: int, seconds: float, rng: random.Random
) -> None:
    for number in range(1, replies + 1):
        # What was written since the last look waits as well.
        while number - sum(turn["state"] == "answered" for turn in looks.turns(thread)) >= MOST_WAITING:
            await asyncio.sleep(0.05)
        await person.says(thread, f"echo {number}")
        await asyncio.sleep(rng.uniform(0, 2 * seconds / replies))


async def _works(worker: ScriptedWorker) -> None:
    while True:
        status, work = await worker.call("POST", "/worker/v1/turns/next")
        if status == 200:
            await worker.answer(work["turn_id"], f"Said {work['prompt']}.")
        elif status != 204:
            await asyncio.sleep(0.2)


def _is_done(turns: list[dict[str, Any]], replies: int) -> bool:
    return len(turns) == replies + 1 and all(
        turn["state"] == "answered" and (turn.get("response_ts") or turn.get("joined_to")) for turn in turns
    )


def _order(thread: SessionThread, replies: int) -> list[str]:
    turns: list[dict[str, Any]] = thread.turns()
    faults = []
    said = [turn["prompt"] for turn in turns]
    if said != [f"echo {number}" for number in range(replies + 1)]:
        faults.append(f"the prompts stand in the order {said}")
    told = [float(turn["response_ts"]) for turn in turns if turn.get("response_ts")]
    if told != sorted(told):
        faults.append(f"the answers stand in the order {told}")
    posts = [message["ts"] for message in thread.of_type("devflow_answer")]
    if sorted({f"{ts:.6f}" for ts in told}) != sorted(posts):
        faults.append(f"{len(posts)} answers stand in the thread, {len(set(told))} were told")
    return faults
