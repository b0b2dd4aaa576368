"""A session as an item of the table: names, types, what is absent, what is carried through, and its size."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slackbot.core.errors import PermanentError
from slackbot.core.item import from_item, index_entry, item_size_bytes, to_item
from slackbot.core.session import Session
from tests.core.builders import a_session, failed, idle, stopped, with_commit, working
from tests.core.strategies import sessions, words

REQUIRED: dict[str, type] = {
    "session_id": str,
    "user_id": str,
    "repository_url": str,
    "repository_owner": str,
    "repository_name": str,
    "branch_name": str,
    "status": str,
    "initial_prompt": str,
    "history": list,
    "github_installation_id": int,
    "created_at": int,
    "updated_at": int,
    "ttl": int,
}
OPTIONAL: dict[str, type] = {
    "ecs_cluster_arn": str,
    "ecs_task_arn": str,
    "ecs_task_definition_arn": str,
    "pr_number": int,
    "pr_url": str,
    "editor_url": str,
    "error_message": str,
    "write_version": int,
    "launch": int,
    "due_at": int,
    "lease": dict,
    "base_branch": str,
    "agent": str,
    "slack": dict,
    "pull_request": dict,
}
TURN: dict[str, type] = {"turn_id": str, "user_id": str, "prompt": str, "state": str, "prompted_at": int}


def hollow(value: Any, known: bool = True) -> bool:
    """Whether there is a None, or an empty string, anywhere in what DevFlow itself writes."""
    if value is None or value == "":
        return True
    if isinstance(value, dict):
        return any(hollow(inner) for name, inner in value.items() if name not in ("later_a", "later_b"))
    return isinstance(value, list) and any(hollow(inner) for inner in value)


@settings(max_examples=60)
@given(sessions)
def test_any_session_comes_back_as_it_was(session: Session) -> None:
    """Out and in again, also through JSON as the SQLite store keeps it, unknown attributes included."""
    item = to_item(session)
    assert from_item(item) == session
    assert from_item(json.loads(json.dumps(item))) == session
    assert to_item(from_item(item)) == item
    has_the_tables_attributes(item)


def has_the_tables_attributes(item: dict[str, Any]) -> None:
    """All that must be there is, each of its type; nothing is None or empty."""
    for name, kind in REQUIRED.items():
        assert type(item[name]) is kind, name
    for name, kind in OPTIONAL.items():
        assert name not in item or type(item[name]) is kind, name
    for entry in item["history"]:
        for name, kind in TURN.items():
            assert type(entry[name]) is kind, name
    assert item["status"] in ("starting", "running", "stopped", "error")
    assert not hollow(item)


@pytest.mark.parametrize("make", [a_session, working, with_commit, stopped, idle, failed])
def test_what_the_stories_store(make: Any) -> None:
    """Sessions as they really become have nothing hollow either, and come back."""
    session = make()
    item = to_item(session)
    assert not hollow(item)
    assert from_item(item) == session


def test_a_fresh_item_reads_like_the_table() -> None:
    """One item, name by name."""
    assert to_item(working()) == {
        "session_id": "a09e1f62-9044-4f54-8f8e-f4fff1ae35d7",
        "user_id": "U0000001",
        "repository_url": "https://github.com/acme/shop",
        "repository_owner": "acme",
        "repository_name": "shop",
        "branch_name": "devflow/fix-the-test-0b0c0d0e",
        "base_branch": "main",
        "agent": "shell",
        "status": "running",
        "initial_prompt": "fix the flaky checkout test",
        "github_installation_id": 77,
        "created_at": 1_790_000_000,
        "updated_at": 1_790_000_000,
        "ttl": 1_790_086_400,
        "launch": 1_790_000_000_000,
        "write_version": 6,
        "ecs_cluster_arn": "arn:cluster",
        "ecs_task_arn": "arn:aws:ecs:eu-central-1:123456789012:task/devflow/0123456789abcdef",
        "slack": {"team_id": "T0000001", "channel_id": "C0000001", "thread_ts": "1790000000.000100"},
        "task": {
            "last_status": "RUNNING",
            "ready_at": 1_790_000_000,
            "alive_at": 1_790_000_000,
            "asked_at": 1_790_000_000,
        },
        "branch": {"base_sha": "b" * 40},
        "history": [
            {
                "turn_id": "C0000001:1790000000.000001",
                "user_id": "U0000001",
                "prompt": "do thing 1",
                "state": "working",
                "prompted_at": 1_790_000_000,
                "prompt_ts": "1790000000.000001",
                "claimed_launch": 1_790_000_000_000,
                "claimed_at": 1_790_000_000,
            }
        ],
    }


def test_what_is_not_known_is_carried_through() -> None:
    """At the top, in maps and in entries; also what looks empty."""
    item = to_item(stopped())
    item |= {"later": False, "later_list": [], "later_map": {"x": None}}
    item["slack"]["later"] = {"y": 1}
    item["slack"]["notices"][0]["later"] = "n"
    item["history"][0]["later"] = ["z"]
    for name in ("task", "branch", "ended"):
        item[name]["later"] = 7
    item["lease"] = {"owner": "me", "until": 5, "later": 8}
    item["pull_request"] = {"later": 9}
    assert to_item(from_item(item)) == item


@pytest.mark.parametrize("name", [*sorted(REQUIRED.keys() - {"history"}), "slack", "launch"])
def test_an_item_that_lacks_something(name: str) -> None:
    """An error in words that names session and attribute, never a crash elsewhere later."""
    item = to_item(working())
    del item[name]
    with pytest.raises(PermanentError, match=name) as caught:
        from_item(item)
    assert "devflow check" in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("created_at", "yesterday"),
        ("user_id", 5),
        ("status", "paused"),
        ("history", [5]),
        ("history", [{"turn_id": "x"}]),
        ("slack", "thread"),
        ("ended", {"by": "magic", "at": 1}),
        ("ended", {"at": 1}),
        ("repository_name", "../etc"),
    ],
)
def test_an_item_with_something_wrong(name: str, value: Any) -> None:
    """A wrong type or an unknown word is an error in words as well."""
    with pytest.raises(PermanentError, match="cannot be read"):
        from_item(to_item(working()) | {name: value})


def test_an_item_without_history() -> None:
    """Read as an empty one: there is nothing to lose in it."""
    item = to_item(working())
    del item["history"]
    assert from_item(item).history == ()


def test_the_index_entry() -> None:
    """What a list shows, and only that."""
    entry = index_entry(to_item(with_commit()))
    assert (entry.repository_owner, entry.status, entry.pr_number) == ("acme", "running", None)


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({}, 0),
        ({"a": ""}, 1),
        ({"a": "bc"}, 3),
        ({"é": "é日"}, 2 + 5),
        ({"n": 0}, 1 + 2),
        ({"n": 7}, 1 + 2),
        ({"n": 42}, 1 + 2),
        ({"n": 123}, 1 + 3),
        ({"n": 1000}, 1 + 2),
        ({"n": -123}, 1 + 4),
        ({"n": 1_790_000_000}, 1 + 3),
        ({"n": 1_790_000_001}, 1 + 6),
        ({"b": True}, 2),
        ({"z": None}, 2),
        ({"l": []}, 1 + 3),
        ({"l": ["ab", 7]}, 1 + 3 + (1 + 2) + (1 + 2)),
        ({"m": {}}, 1 + 3),
        ({"m": {"k": "v"}}, 1 + 3 + (1 + 1 + 1)),
        ({"m": {"k": [1, "x"]}}, 1 + 3 + 1 + 1 + 3 + (1 + 2) + (1 + 1)),
        ({"f": 1.5}, 1 + 3),
    ],
)
def test_sizes_by_hand(item: dict[str, Any], size: int) -> None:
    """DynamoDB's published rule, worked out by hand."""
    assert item_size_bytes(item) == size


@given(st.dictionaries(words, words, max_size=5))
def test_the_size_of_strings_is_their_utf8(item: dict[str, str]) -> None:
    """Names and values count with all their bytes."""
    assert item_size_bytes(item) == sum(len(k.encode()) + len(v.encode()) for k, v in item.items())
