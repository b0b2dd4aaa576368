"""What a figure is, and how it is printed. Each module of this package that measures has a `FIGURE`."""

from __future__ import annotations

import contextlib
import math
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One line of the table. `target` says what was promised; "" = shown for comparison only."""

    what: str
    measured: str
    baseline: str = ""
    ratio: str = ""
    target: str = ""
    is_met: bool | None = None


@dataclass(frozen=True)
class Figure:
    """`measure` takes from a few seconds to a minute. `name` is what the command line calls it."""

    name: str
    title: str
    measure: Callable[[], Sequence[Row]]


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def print_rows(title: str, rows: Sequence[Row]) -> None:
    """The rows under their title, in columns."""
    print(f"\n{title}")
    head = ("", "measured", "baseline", "ratio", "target", "")
    verdict = {True: "reached", False: "NOT REACHED", None: ""}
    lines = [head, *((r.what, r.measured, r.baseline, r.ratio, r.target, verdict[r.is_met]) for r in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        print(("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))).rstrip())


@contextlib.contextmanager
def temporary_directory() -> Iterator[Path]:
    """On a disk where the system has one for temporary files; removed at the end, whatever still writes there."""
    directory = Path(tempfile.mkdtemp(prefix="devflow-bench-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
