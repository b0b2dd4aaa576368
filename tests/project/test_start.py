"""What a start does not wait for."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("room", "later"), [("slackbot.sandbox.main", "graphql"), ("slackbot.worker.main", "pydantic")]
)
def test_what_is_not_needed_yet_is_not_imported(room: str, later: str) -> None:
    """It is large, and comes with the first question that needs it, or not at all."""
    program = f"import sys, {room}; print({later!r} in sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["False"]
