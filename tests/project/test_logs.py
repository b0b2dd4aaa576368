"""Logs: one JSON object a line, and no secret in any of them, whoever logs."""

from __future__ import annotations

import json
import subprocess
import sys

SCRIPT = """
import logging, structlog
from slackbot.logs import configure_logs
configure_logs("json", ["known-secret-value"])
structlog.get_logger().info("a_thing", session_id="s1", text="with known-secret-value in it")
logging.getLogger("some.library").warning("a token %s", "ghs_" + "a" * 40)
logging.getLogger("slack_sdk").info("chatter")
try:
    raise ValueError("known-secret-value")
except ValueError:
    structlog.get_logger().exception("it_broke", session_id="s1")
"""


def test_every_line_is_json_and_masked() -> None:
    """Our own lines, a library's, and a traceback."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["a_thing", "a token [redacted]", "it_broke"]
    assert "known-secret-value" not in done.stderr
    assert lines[0]["session_id"] == "s1"
    assert "ValueError: [redacted]" in lines[2]["exception"]
