"""users.*, usergroups.*, team, bots, auth and apps.connections: who is here, and the app itself.

Called by `web_api.py` with checked arguments; reads `workspace.py` and `store.py`.
https://docs.slack.dev/reference/methods
"""

from __future__ import annotations

from slackbot.sandbox.slack.faults import SlackError
from slackbot.sandbox.slack.methods_conversations import PAGED, page_of
from slackbot.sandbox.slack.socket_mode import websocket_url
from slackbot.sandbox.slack.store import Document
from slackbot.sandbox.slack.web_api import Answer, Arguments, Method, Rooms
from slackbot.sandbox.slack.workspace import DEFAULT_LOCALE


def _user_info(rooms: Rooms, arguments: Arguments) -> Answer:
    return {"user": _with_locale(rooms.workspace.user(arguments["user"]), arguments)}


def _users_list(rooms: Rooms, arguments: Arguments) -> Answer:
    members = [_with_locale(user, arguments) for user in rooms.workspace.store.all("user")]
    answer = page_of("members", members, arguments)
    return {**answer, "cache_ts": int(rooms.workspace.clock())}


def _with_locale(user: Document, arguments: Arguments) -> Document:
    """Slack names the locale only to who asks for it: https://docs.slack.dev/reference/methods/users.info"""
    shown = {key: value for key, value in user.items() if key != "locale"}
    return {**shown, "locale": user.get("locale", DEFAULT_LOCALE)} if arguments.get("include_locale") else shown


def _usergroup_users(rooms: Rooms, arguments: Arguments) -> Answer:
    group = rooms.workspace.store.get("usergroup", arguments["usergroup"])
    if group is None:
        raise SlackError("no_such_subteam")
    return {"users": group["users"]}


def _usergroups(rooms: Rooms, arguments: Arguments) -> Answer:
    groups = rooms.workspace.store.all("usergroup")
    if not arguments.get("include_users"):
        groups = [{key: value for key, value in group.items() if key != "users"} for group in groups]
    return {"usergroups": groups}


# The app itself


def _auth_test(rooms: Rooms, arguments: Arguments) -> Answer:
    workspace = rooms.workspace
    return {
        "url": f"{workspace.base_url}/",
        "team": workspace.app.team_name,
        "user": workspace.app.bot_name,
        "team_id": workspace.app.team_id,
        "user_id": workspace.app.bot_user_id,
        "bot_id": workspace.app.bot_id,
        "is_enterprise_install": False,
    }


def _bot_info(rooms: Rooms, arguments: Arguments) -> Answer:
    bot = rooms.workspace.presence()
    if arguments.get("bot") not in (None, bot["id"]):
        raise SlackError("bot_not_found")
    return {"bot": bot}


def _team_info(rooms: Rooms, arguments: Arguments) -> Answer:
    app = rooms.workspace.app
    if arguments.get("team") not in (None, app.team_id):
        raise SlackError("team_not_found")
    return {
        "team": {
            "id": app.team_id,
            "name": app.team_name,
            "domain": app.team_domain,
            "url": f"{rooms.workspace.base_url}/",
            "email_domain": "",
            "icon": {},
        }
    }


def _connections_open(rooms: Rooms, arguments: Arguments) -> Answer:
    return {"url": websocket_url(rooms.workspace.base_url, rooms.sockets.new_ticket())}


METHODS = (
    Method("auth.test", _auth_test, {"team_id": "str"}),
    Method("apps.connections.open", _connections_open, {}, is_app_level=True),
    Method("bots.info", _bot_info, {"bot": "str"}, scopes=("users:read",)),
    Method(
        "team.info",
        _team_info,
        {"team": "str", "domain": "str", "include_slackbot_availability": "bool"},
        scopes=("team:read",),
    ),
    Method(
        "users.info",
        _user_info,
        {"user": "str", "include_locale": "bool"},
        required=("user",),
        scopes=("users:read",),
    ),
    Method("users.list", _users_list, {"include_locale": "bool", **PAGED}, scopes=("users:read",)),
    Method(
        "usergroups.users.list",
        _usergroup_users,
        {"usergroup": "str", "include_disabled": "bool"},
        required=("usergroup",),
        scopes=("usergroups:read",),
    ),
    Method(
        "usergroups.list",
        _usergroups,
        {"include_count": "bool", "include_disabled": "bool", "include_users": "bool"},
        scopes=("usergroups:read",),
    ),
)
