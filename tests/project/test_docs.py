"""The docs name what the code has: settings, attributes, routes."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from slackbot import worker_protocol as wp
from slackbot.config import Settings
from slackbot.core.session import Branch, Ended, PullRequestState, Session, TaskState, Thread, Turn

DOCS = Path(__file__).parents[2] / "docs"


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
