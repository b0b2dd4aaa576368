"""How long `devflow sandbox` takes until it says that it is ready, beside a bare import of two of its libraries."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks.figures import Figure, Row, percentile, temporary_directory
from benchmarks.sandbox_process import SandboxProcess

ROUNDS = 3
TARGET_SECONDS = 5.0
BASELINE = "import slack_bolt.async_app, aiohttp"


def measure() -> Sequence[Row]:
    first: list[float] = []
    second: list[float] = []
    imports: list[float] = []
    for _ in range(ROUNDS):
        with temporary_directory() as directory:
            for taken in (first, second):
                with SandboxProcess(directory / "state") as sandbox:
                    taken.append(sandbox.ready_seconds)
                imports.append(_import_seconds())
    baseline = percentile(imports, 50)
    rows: list[Row] = []
    for what, taken in (("first start (repositories are made)", first), ("second start", second)):
        seconds = percentile(taken, 50)
        rows.append(
            Row(
                f"{what}, median of {ROUNDS}",
                f"{seconds:.2f} s",
                f"{baseline:.2f} s",
                f"{seconds / baseline:.1f}",
                f"<= {TARGET_SECONDS:g} s",
                seconds <= TARGET_SECONDS,
            )
        )
    return rows


def _import_seconds() -> float:
    began_at = time.perf_counter()
    subprocess.run([sys.executable, "-c", BASELINE], check=True)
    return time.perf_counter() - began_at


FIGURE = Figure("sandbox-ready", f"The sandbox is ready (baseline: python -c '{BASELINE}')", measure)
