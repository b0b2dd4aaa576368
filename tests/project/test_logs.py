"""Logs: one JSON object a line, and no secret in any of them, whoever logs."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

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


def run(script: str, **options: Any) -> subprocess.CompletedProcess[str]:
    head = "import logging, structlog, sys\nfrom slackbot.logs import configure_logs\nconfigure_logs('json')\n"
    return subprocess.run(
        [sys.executable, "-c", head + script], check=True, text=True, **{"stderr": subprocess.PIPE, **options}
    )


def test_a_command_may_say_less() -> None:
    """`devflow check` writes for people: what adapters log beside it would be another line of it."""
    done = run(
        "logging.getLogger().setLevel(logging.ERROR)\nlog = structlog.get_logger()\n"
        "log.info('no')\nlog.warning('no')\nlog.error('yes')\nlog.exception('yes')\nlog.critical('yes')"
    )
    assert [json.loads(line)["event"] for line in done.stderr.splitlines()] == ["yes"] * 3


def test_what_is_no_json_is_logged_as_it_is_shown() -> None:
    done = run("structlog.get_logger().info('odd', what={(1, 2): 3}, why=ValueError('x'), name='prüf')")
    line = json.loads(done.stderr)
    assert (line["event"], line["what"], line["why"], line["name"]) == ("odd", "{(1, 2): 3}", "ValueError('x')", "prüf")


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    """Its disk is full, or whoever read it is gone."""
    with open("/dev/full", "w") as full:
        done = run("structlog.get_logger().error('lost')\nprint('went on')", stderr=full, stdout=subprocess.PIPE)
    assert done.stdout == "went on\n"
