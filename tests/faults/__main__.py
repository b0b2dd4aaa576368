"""The long form: `python -m tests.faults --kills 300 --seed 1`, in worlds of some 30 kills, each with its own seed,
and then the flood: a thousand replies in a minute over fifty threads (`--kills 0`: the flood alone).

Exit status 1 when anything did not hold; each fault is printed with the command that repeats its world.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
from collections import Counter
from pathlib import Path

import structlog

from tests.faults.crash_run import Plan, crash_run
from tests.faults.flood import FloodOutcome, flood
from tests.faults.kill_points import SIDES, all_calls
from tests.wire.bot_world import bot_world

KILLS_A_WORLD = 30
IDLE_SECONDS = 10
POINT_SECONDS = 15.0
SETTLE_SECONDS = 300.0
"""More than a machine that does nothing else needs."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1, help="of the first world; the others follow")
    parser.add_argument("--bots", type=int, choices=(1, 2), help="at once on one store; default: in turn")
    parser.add_argument("--lease", type=int, default=5, metavar="SECONDS", help="of what is owed (the product: 30)")
    parser.add_argument("--idle", type=int, metavar="SECONDS", help="sessions stop themselves after; default: in turn")
    parser.add_argument("--aws", type=int, choices=(0, 1), help="on DynamoDB and ECS; default: every fourth world")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep each world's files here")
    parser.add_argument("-v", "--verbose", action="store_true", help="a line for each kill")
    parser.add_argument("--no-flood", dest="flood", action="store_false", help="kills alone")
    options = parser.parse_args()
    kills, points = 0, Counter[str]()
    faults, seed = 0, options.seed
    while kills < options.kills:
        wanted = min(KILLS_A_WORLD, options.kills - kills)
        idle = (IDLE_SECONDS if seed % 3 == 0 else 0) if options.idle is None else options.idle
        plan = Plan(
            seed,
            wanted,
            bots=options.bots or 1 + seed % 2,
            lease_seconds=options.lease,
            settle_seconds=SETTLE_SECONDS,
            point_seconds=POINT_SECONDS,
            on_aws=seed % 4 == 0 if options.aws is None else bool(options.aws),
            idle_seconds=idle or None,
        )
        with tempfile.TemporaryDirectory(prefix="devflow-faults-", ignore_cleanup_errors=True) as scratch:
            directory = Path(scratch)
            if options.keep is not None:
                directory = options.keep / f"seed{seed}"
                directory.mkdir(parents=True)
            outcome = asyncio.run(crash_run(plan, directory, print if options.verbose else lambda line: None))
        print(outcome, flush=True)
        kills += max(1, outcome.kills.total())
        points += outcome.points
        faults += len(outcome.faults)
        seed += 1
    every = [f"{call} {side}" for call in all_calls() for side in SIDES]
    missed = [point for point in every if not points[point]]
    if options.flood:
        flooded = asyncio.run(flood_alone(options.seed))
        print(flooded, flush=True)
        faults += len(flooded.faults)
    print(f"{kills} kills, {faults} faults; {len(every) - len(missed)} of {len(every)} points reached")
    if kills and missed:
        print("not reached: " + ", ".join(missed))
    return 1 if faults else 0


async def flood_alone(seed: int) -> FloodOutcome:
    """The flood in a world of its own."""
    with tempfile.TemporaryDirectory(prefix="devflow-flood-", ignore_cleanup_errors=True) as scratch:
        # In this process: what is logged is not what was asked for.
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
        async with bot_world(Path(scratch)) as world:
            await world.start_bot(DEVFLOW_AUDIT_LOG=str(Path(scratch) / "audit.log"))
            return await flood(world, threads=50, replies=20, seconds=60.0, seed=seed)


if __name__ == "__main__":
    sys.exit(main())
