"""The Slack app's manifest says what the code does: commands, events and scopes, both ways."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from slackbot.check_probes import BOT_SCOPES
from slackbot.listeners import channels
from slackbot.sandbox.welcome import COMMANDS, SHORTCUTS
from slackbot.views.action_ids import WORK_ON_THIS

ROOT = Path(__file__).parents[2]
CALLS = re.compile(r"\.((?:chat|conversations|reactions|usergroups|files|users)_\w+)\(")

SCOPES_OF_METHOD = {
    "chat.postMessage": {"chat:write"},
    "chat.postEphemeral": {"chat:write"},
    "chat.update": {"chat:write"},
    "chat.delete": {"chat:write"},
    "chat.getPermalink": set(),
    "conversations.replies": {"channels:history", "groups:history", "im:history", "mpim:history"},
    "conversations.info": {"channels:read", "groups:read", "im:read", "mpim:read"},
    "files.upload.v2": {"files:write"},
    "files.info": {"files:read"},
    "files.getUploadURLExternal": {"files:write"},
    "files.completeUploadExternal": {"files:write"},
    "reactions.add": {"reactions:write"},
    "reactions.remove": {"reactions:write"},
    "usergroups.users.list": {"usergroups:read"},
    "users.info": {"users:read"},
}
"""https://docs.slack.dev/reference/methods names the scopes of each."""

SCOPES_OF_EVENT: dict[str, set[str]] = {
    "app_home_opened": set(),
    "app_mention": {"app_mentions:read"},
    "app_uninstalled": set(),
    "channel_archive": {"channels:read"},
    "channel_deleted": {"channels:read"},
    "channel_left": {"channels:read"},
    "channel_shared": {"channels:read"},
    "channel_unarchive": {"channels:read"},
    "channel_unshared": {"channels:read"},
    "group_archive": {"groups:read"},
    "group_deleted": {"groups:read"},
    "group_left": {"groups:read"},
    "group_unarchive": {"groups:read"},
    "member_joined_channel": {"channels:read", "groups:read"},
    "message.channels": {"channels:history"},
    "message.groups": {"groups:history"},
    "message.im": {"im:history"},
    "message.mpim": {"mpim:history"},
}
"""https://docs.slack.dev/reference/events"""


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / "manifest.yml").read_text())
    assert isinstance(loaded, dict)
    return loaded


def called_methods() -> set[str]:
    """Web API methods by their names, as the adapter calls them on the SDK's client."""
    source = "\n".join(path.read_text() for path in (ROOT / "slackbot" / "adapters").glob("slack*.py"))
    return {name.replace("_", ".") for name in CALLS.findall(source)}


def test_every_method_the_adapter_calls_is_known_here() -> None:
    """A new Web API call must say which scope it needs, and a table of calls nobody makes helps nobody."""
    assert called_methods() == set(SCOPES_OF_METHOD)


def test_scopes_are_exactly_those_that_are_used(manifest: dict[str, Any]) -> None:
    """No scope is asked for that nothing needs, and none is missing."""
    needed = {"commands"}
    for method in called_methods():
        needed |= SCOPES_OF_METHOD[method]
    for event in subscribed_events(manifest):
        needed |= SCOPES_OF_EVENT[event]
    assert set(manifest["oauth_config"]["scopes"]["bot"]) == needed


def test_events_are_exactly_those_that_are_heard(manifest: dict[str, Any]) -> None:
    """Each subscribed event has a listener of its own, and no listener waits for what is never sent."""
    heard = {"app_uninstalled", *channels.EVENTS, *channels.REOPENED}
    source = "\n".join(path.read_text() for path in (ROOT / "slackbot" / "listeners").glob("*.py"))
    heard |= set(re.findall(r'(?:app\.event|bind)\("(\w+)"[,)]', source))
    subscribed = {"message" if name.startswith("message.") else name for name in subscribed_events(manifest)}
    assert heard == subscribed


def subscribed_events(manifest: dict[str, Any]) -> set[str]:
    return set(manifest["settings"]["event_subscriptions"]["bot_events"])


def test_the_command_is_the_sandbox_one(manifest: dict[str, Any]) -> None:
    """What people type in the sandbox is what they type in Slack."""
    assert manifest["features"]["slash_commands"] == [dict(command) for command in COMMANDS]


def test_the_shortcut_is_the_one_that_is_listened_to(manifest: dict[str, Any]) -> None:
    """In Slack, in the sandbox and in the code; Home and direct messages are there."""
    features = manifest["features"]
    assert features["shortcuts"] == [dict(shortcut) for shortcut in SHORTCUTS]
    assert [shortcut["callback_id"] for shortcut in features["shortcuts"]] == [WORK_ON_THIS]
    assert len(features["shortcuts"][0]["name"]) <= 24
    assert features["app_home"] == {
        "home_tab_enabled": True,
        "messages_tab_enabled": True,
        "messages_tab_read_only_enabled": False,
    }


def test_socket_mode_is_on(manifest: dict[str, Any]) -> None:
    """The bot has no public address."""
    assert manifest["settings"]["socket_mode_enabled"] is True
    assert manifest["settings"]["interactivity"] == {"is_enabled": True}


def test_it_is_valid_by_slacks_own_schema(manifest: dict[str, Any]) -> None:
    """By the limits Slack publishes; by its whole JSON schema where that is at hand."""
    about, command = manifest["display_information"], manifest["features"]["slash_commands"][0]
    assert len(about["name"]) <= 35
    assert len(about["description"]) <= 140
    assert 175 <= len(about["long_description"]) <= 4000
    assert len(command["command"]) <= 32
    assert len(command["usage_hint"]) <= 1000
    schema = Path(os.environ.get("SLACK_MANIFEST_SCHEMA", ROOT.parent / "shared/reference/manifest.schema.json"))
    if schema.exists():
        faults = list(jsonschema.Draft7Validator(json.loads(schema.read_text())).iter_errors(manifest))
        assert faults == []


def test_check_asks_for_the_same_scopes(manifest: dict[str, Any]) -> None:
    """`devflow check` compares the token with what stands here."""
    assert set(manifest["oauth_config"]["scopes"]["bot"]) == BOT_SCOPES
