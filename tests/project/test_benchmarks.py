"""`make bench` measures what docs/figures.md tells of. No time is looked at here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_each_figure_is_named_and_documented() -> None:
    """`python -m benchmarks --list` and the sections of docs/figures.md name the same figures."""
    command = [sys.executable, "-m", "benchmarks", "--list"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    names = [line.split("\t")[0] for line in listed.splitlines()]
    documented = re.findall(r"^## .*\(`([a-z-]+)`\)$", (ROOT / "docs" / "figures.md").read_text(), re.MULTILINE)
    assert (
        names
        == documented
        == [
            "sandbox-ready",
            "worker-ready",
            "large-repository",
            "reply-to-agent",
            "first-progress",
            "model-proxy",
            "acknowledgement",
            "turn-costs",
            "many-sessions",
        ]
    )
