"""What Slack knows of the installed app: its identity, commands, shortcuts, event subscriptions and scopes.

Comes from the app's manifest (or from arguments) when the stand-in is made; read by everything here.
https://docs.slack.dev/reference/app-manifest
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

DEFAULT_BOT_EVENTS = frozenset(
    {
        "app_home_opened",
        "app_mention",
        "app_uninstalled",
        "channel_archive",
        "channel_left",
        "channel_shared",
        "channel_unarchive",
        "channel_unshared",
        "group_archive",
        "group_left",
        "group_unarchive",
        "member_joined_channel",
        "member_left_channel",
        "message.channels",
        "message.groups",
        "message.im",
        "reaction_added",
        "reaction_removed",
    }
)


@dataclass(frozen=True)
class Command:
    """A slash command of the app; `command` begins with a slash."""

    command: str
    description: str = ""
    usage_hint: str = ""
    should_escape: bool = False

    def as_json(self) -> dict[str, Any]:
        return {"command": self.command, "description": self.description, "usage_hint": self.usage_hint}


@dataclass(frozen=True)
class Shortcut:
    """`type` is `global` or `message`."""

    callback_id: str
    name: str
    type: str = "global"
    description: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "callback_id": self.callback_id,
            "name": self.name,
            "type": self.type,
            "description": self.description,
        }


@dataclass(frozen=True)
class AppDescription:
    """The one app of the workspace. `scopes` None: not checked (but for posting where the bot is no member)."""

    bot_token: str = field(repr=False)
    app_token: str = field(repr=False)
    team_id: str = "T0SANDBOX"
    team_name: str = "DevFlow sandbox"
    app_id: str = "A0DEVFLOW"
    bot_id: str = "B0DEVFLOW"
    bot_user_id: str = "U0DEVFLOW"
    bot_name: str = "devflow"
    commands: tuple[Command, ...] = ()
    shortcuts: tuple[Shortcut, ...] = ()
    bot_events: frozenset[str] = DEFAULT_BOT_EVENTS
    scopes: frozenset[str] | None = None

    @property
    def team_domain(self) -> str:
        return self.team_name.lower().replace(" ", "-")

    def command(self, name: str) -> Command | None:
        return next((command for command in self.commands if command.command == name), None)

    def shortcut(self, callback_id: str) -> Shortcut | None:
        return next((shortcut for shortcut in self.shortcuts if shortcut.callback_id == callback_id), None)


def describe_app(
    bot_token: str,
    app_token: str,
    *,
    team_id: str,
    team_name: str,
    manifest: Mapping[str, Any] | None = None,
    commands: Sequence[Mapping[str, Any]] | None = None,
    shortcuts: Sequence[Mapping[str, Any]] | None = None,
    bot_events: Sequence[str] | None = None,
    scopes: Sequence[str] | None = None,
) -> AppDescription:
    """The app as its manifest says; `commands`, `shortcuts`, `bot_events` and `scopes` go before the manifest."""
    features = _section(manifest, "features")
    settings = _section(manifest, "settings")
    oauth_scopes = _section(_section(manifest, "oauth_config"), "scopes")
    if commands is None:
        commands = features.get("slash_commands", ())
    if shortcuts is None:
        shortcuts = features.get("shortcuts", ())
    if bot_events is None:
        bot_events = _section(settings, "event_subscriptions").get("bot_events")
    if scopes is None:
        scopes = oauth_scopes.get("bot")
    return AppDescription(
        bot_token=bot_token,
        app_token=app_token,
        team_id=team_id,
        team_name=team_name,
        commands=tuple(
            Command(
                command=str(item["command"]),
                description=str(item.get("description", "")),
                usage_hint=str(item.get("usage_hint", "")),
                should_escape=bool(item.get("should_escape", False)),
            )
            for item in commands or ()
        ),
        shortcuts=tuple(
            Shortcut(
                callback_id=str(item["callback_id"]),
                name=str(item.get("name", item["callback_id"])),
                type=str(item.get("type", "global")),
                description=str(item.get("description", "")),
            )
            for item in shortcuts or ()
        ),
        bot_events=DEFAULT_BOT_EVENTS if bot_events is None else frozenset(bot_events),
        scopes=None if scopes is None else frozenset(scopes),
    )


def _section(parent: Mapping[str, Any] | None, key: str) -> Mapping[str, Any]:
    value = (parent or {}).get(key)
    return value if isinstance(value, Mapping) else {}
