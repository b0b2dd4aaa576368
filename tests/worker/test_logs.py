"""The worker's log, as a task's log file gets it."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import logging
from pathlib import Path
from slackbot.worker.logs import log
log.configure(lambda text: text.replace("known-secret", "***"), session_id="s1")
log.info("a_thing", text="with known-secret in it", path=Path("/of/known-secret"), count=2, none=None,
         deep=["known-secret", {"a": ("known-secret", 1.5)}])
try:
    raise ValueError("known-secret \\ud800")
except ValueError:
    log.exception("it_broke", turn_id="T:1")
    logging.getLogger("some.library").warning("it said %s", "known-secret", exc_info=True)
logging.getLogger("some.library").info("unasked")
"""


def test_lines() -> None:
    """One JSON object each, with the session, the time and the level; no secret, also of what libraries say."""
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert "known-secret" not in told.stderr
    thing, broke, library = (json.loads(line) for line in told.stderr.splitlines())
    assert thing.pop("timestamp").endswith("Z")
    assert thing == {
        "event": "a_thing", "level": "info", "session_id": "s1", "text": "with *** in it", "count": 2, "none": None,
        "path": "PosixPath('/of/***')", "deep": ["***", {"a": ["***", 1.5]}],
    }  # fmt: skip
    assert (broke["event"], broke["level"], broke["turn_id"]) == ("it_broke", "error", "T:1")
    assert broke["exception"].startswith("Traceback (most recent call last):")
    assert "ValueError: *** " in broke["exception"]
    assert (library["logger_name"], library["said"], library["error"]) == ("some.library", "it said ***", "ValueError")
