"""`python -m benchmarks [FIGURE ...]`: measures, then prints a table. Exit status 0 whatever the figures are."""

from __future__ import annotations

import argparse
import os
import platform
import sys

from benchmarks import (
    acknowledgement,
    first_progress,
    large_repository,
    many_sessions,
    model_proxy,
    reply_to_agent,
    sandbox_ready,
    turn_costs,
    worker_ready,
)
from benchmarks.figures import print_rows

MODULES = (
    sandbox_ready,
    worker_ready,
    large_repository,
    reply_to_agent,
    first_progress,
    model_proxy,
    acknowledgement,
    turn_costs,
    many_sessions,
)
FIGURES = {module.FIGURE.name: module.FIGURE for module in MODULES}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="The figures of docs/figures.md.")
    parser.add_argument("--list", action="store_true", help="name the figures and measure nothing")
    parser.add_argument("figure", nargs="*", metavar="FIGURE", help="measure these only")
    options = parser.parse_args()
    if options.list:
        for figure in FIGURES.values():
            print(f"{figure.name}\t{figure.title}")
        return 0
    unknown = [name for name in options.figure if name not in FIGURES]
    if unknown:
        parser.error(f"there is no figure {', '.join(unknown)}; there are {', '.join(FIGURES)}")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} cores, load {load}")
    for name in options.figure or FIGURES:
        print_rows(FIGURES[name].title, FIGURES[name].measure())
    return 0


if __name__ == "__main__":
    sys.exit(main())
