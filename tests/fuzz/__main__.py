"""The long form: `python -m tests.fuzz --cases 100000 --seed 1`, a world for each 20,000 cases.

Exit status 1 when anything did not hold; the seed of each world repeats it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.fuzz.fuzz_run import fuzz_run

CASES_A_WORLD = 20_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1, help="of the first world; the others follow")
    options = parser.parse_args()
    tried, faults, seed = 0, 0, options.seed
    while tried < options.cases:
        with tempfile.TemporaryDirectory(prefix="devflow-fuzz-", ignore_cleanup_errors=True) as scratch:
            wanted = min(CASES_A_WORLD, options.cases - tried)
            outcome = asyncio.run(fuzz_run(seed, wanted, Path(scratch), exhaustive=seed == options.seed))
        print(outcome, flush=True)
        tried += outcome.cases.total()
        faults += len(outcome.faults)
        seed += 1
    print(f"{tried} cases, {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
