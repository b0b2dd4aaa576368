"""The docs name what the code has: settings, attributes, routes."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from slackbot import worker_protocol as wp
from slackbot.config import Settings
from slackbot.core.repository_policy import parse_policies
from slackbot.core.session import Branch, Ended, PullRequestState, Session, TaskState, Thread, Turn

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RECORDERS = (
    "audit.py", "command_desk.py", "core/acts.py", "editor_links.py", "forget_desk.py", "front_desk.py",
    "gateway/models_desk.py", "gateway/worker_desk.py",
)  # fmt: skip


def test_every_setting_is_documented_and_no_other() -> None:
    """docs/settings.md has a row for each setting, with its default."""
    rows = dict(re.findall(r"^\| ([A-Z_]+) \| (.*?) \|", (DOCS / "settings.md").read_text(), re.MULTILINE))
    assert set(rows) == set(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        if field.default not in (None, "", False):
            assert rows[name] == f"`{field.default}`", name


def test_every_attribute_of_the_item_is_documented() -> None:
    """docs/table.md names what the table holds."""
    text = (DOCS / "table.md").read_text()
    kinds = (Session, Turn, Thread, TaskState, Branch, PullRequestState, Ended)
    renamed = {"repository": "repository_name", "thread": "slack"}
    names = {renamed.get(field.name, field.name) for kind in kinds for field in fields(kind)}
    missing = {name for name in names - {"extra"} if not re.search(rf"\b{name}\b", text)}
    assert missing == set()


def test_every_route_of_the_worker_protocol_is_documented() -> None:
    """docs/worker-protocol.md names each path."""
    text = (DOCS / "worker-protocol.md").read_text().replace("{id}", "{turn_id}")
    paths = [value for name, value in vars(wp).items() if name.endswith("_PATH") and name != "TURN_PATH"]
    assert [path for path in paths if path not in text] == []


def test_every_act_of_the_audit_log_is_documented() -> None:
    """docs/operations.md names each action that the code records, and no other."""
    source = "".join((ROOT / "slackbot" / name).read_text() for name in RECORDERS)
    recorded = set(re.findall(r'(?:Act|record)\(\s*"([a-z_]+)"', source)) | {
        "prompt_accepted",
        "retried",
        "undo_requested",
    }
    rows = re.findall(r"^\| (`.*?) \|", (DOCS / "operations.md").read_text(), re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}
    assert documented == recorded


def test_the_policy_in_the_docs_is_a_good_one() -> None:
    """What people copy from docs/operations.md works."""
    (example,) = re.findall(r"```toml\n(.*?)```", (DOCS / "operations.md").read_text(), re.DOTALL)
    policies, faults = parse_policies(example)
    assert faults == []
    assert len(policies.rules) == 2
