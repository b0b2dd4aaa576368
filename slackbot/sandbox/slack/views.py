"""Views: modals in a stack for each person, and the Home tab; their state as people fill it in.

The app opens and changes them through the Web API (`methods_views.py`), persons through `people.py`. Kept in
`store.py`, so that a reload of the page finds them.
https://docs.slack.dev/surfaces/modals
"""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any

from slackbot.sandbox.slack import block_rules
from slackbot.sandbox.slack.faults import PersonRefusedError, SlackError
from slackbot.sandbox.slack.store import Document
from slackbot.sandbox.slack.workspace import Workspace

MAX_STACK = 3
_OWNER = "shown_to"

_VALUE_KEYS = {
    "checkboxes": "selected_options",
    "radio_buttons": "selected_option",
    "static_select": "selected_option",
    "external_select": "selected_option",
    "overflow": "selected_option",
    "users_select": "selected_user",
    "conversations_select": "selected_conversation",
    "channels_select": "selected_channel",
    "multi_static_select": "selected_options",
    "multi_external_select": "selected_options",
    "multi_users_select": "selected_users",
    "multi_conversations_select": "selected_conversations",
    "multi_channels_select": "selected_channels",
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
    "rich_text_input": "rich_text_value",
    "file_input": "files",
}
_INITIAL_KEYS = {
    "selected_option": "initial_option",
    "selected_options": "initial_options",
    "selected_user": "initial_user",
    "selected_users": "initial_users",
    "selected_conversation": "initial_conversation",
    "selected_conversations": "initial_conversations",
    "selected_channel": "initial_channel",
    "selected_channels": "initial_channels",
    "selected_date": "initial_date",
    "selected_time": "initial_time",
    "selected_date_time": "initial_date_time",
    "rich_text_value": "initial_value",
    "value": "initial_value",
}


def value_key(element_type: str) -> str:
    """Where an element of this type keeps what a person chose."""
    return _VALUE_KEYS.get(element_type, "value")


class Views:
    """All open modals and published Home tabs."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._store = workspace.store

    # By the app

    def open(self, user_id: str, view: Any) -> Document:
        """Shows a new modal instead of those the person has open."""
        stored = self._new(view, user_id, "modal")
        for other in self.stack(user_id):
            self.close(other)
        stored["root_view_id"] = stored["id"]
        return self._show("view_open", stored)

    def push(self, user_id: str, view: Any) -> Document:
        stack = self.stack(user_id)
        if not stack:
            raise SlackError("not_found")
        if len(stack) >= MAX_STACK:
            raise SlackError("push_limit_reached")
        stored = self._new(view, user_id, "modal")
        stored["previous_view_id"], stored["root_view_id"] = stack[-1]["id"], stack[-1]["root_view_id"]
        return self._show("view_open", stored)

    def update(
        self, view: Any, *, view_id: str | None = None, external_id: str | None = None, view_hash: str | None = None
    ) -> Document:
        """Replaces a view in place; what a person typed into blocks whose ids stay is kept."""
        current = self._find(view_id, external_id)
        if view_hash is not None and view_hash != current["hash"]:
            raise SlackError("hash_conflict")
        stored = self._new(view, current[_OWNER], current["type"])
        old_values = current["state"]["values"]
        for block_id, actions in stored["state"]["values"].items():
            for action_id in actions:
                kept = old_values.get(block_id, {}).get(action_id)
                if kept is not None and kept["type"] == actions[action_id]["type"]:
                    actions[action_id] = kept
        for key in ("id", "root_view_id", "previous_view_id", "opened_ts"):
            stored[key] = current[key]
        return self._show("view_update", stored)

    def publish(self, user_id: str, view: Any, view_hash: str | None = None) -> Document:
        self._workspace.user(user_id)
        current = self.home(user_id)
        if view_hash is not None and (current is None or view_hash != current["hash"]):
            raise SlackError("hash_conflict")
        stored = self._new(view, user_id, "home")
        if current is not None:
            stored["id"] = current["id"]
        stored["root_view_id"] = stored["id"]
        return self._show("home", stored)

    def _new(self, view: Any, user_id: str, expected_type: str) -> Document:
        problems = block_rules.view_problems(view)
        if not problems and view["type"] != expected_type:
            problems = [f"[ERROR] must be a {expected_type} [json-pointer:/view/type]"]
        if problems:
            raise SlackError("invalid_arguments", problems)
        external_id = view.get("external_id") or ""
        app = self._workspace.app
        stored: Document = {
            "id": "V0" + secrets.token_hex(5).upper(),
            "team_id": app.team_id,
            "type": view["type"],
            "blocks": block_rules.with_ids(view["blocks"]),
            "private_metadata": view.get("private_metadata") or "",
            "callback_id": view.get("callback_id") or "",
            "title": view.get("title"),
            "close": view.get("close"),
            "submit": view.get("submit"),
            "clear_on_close": bool(view.get("clear_on_close")),
            "notify_on_close": bool(view.get("notify_on_close")),
            "previous_view_id": None,
            "root_view_id": None,
            "app_id": app.app_id,
            "external_id": external_id,
            "app_installed_team_id": app.team_id,
            "bot_id": app.bot_id,
            _OWNER: user_id,
            "opened_ts": self._workspace.next_ts(),
        }
        stored["state"] = {"values": initial_values(stored["blocks"])}
        return stored

    def _show(self, kind: str, stored: Document) -> Document:
        body = json.dumps(stored, sort_keys=True).encode()
        stored["hash"] = f"{int(self._workspace.clock())}.{hashlib.sha256(body).hexdigest()[:8]}"
        self._store.put("view", stored["id"], stored)
        self._tell(kind, stored)
        return stored

    def _find(self, view_id: str | None, external_id: str | None) -> Document:
        found = self._store.get("view", view_id) if view_id else None
        if found is None and external_id:
            found = next((view for view in self._store.all("view") if view["external_id"] == external_id), None)
        if found is None:
            raise SlackError("not_found")
        return found

    # By persons

    def stack(self, user_id: str) -> list[Document]:
        """The person's open modals, the visible one last."""
        mine = [view for view in self._store.all("view") if view[_OWNER] == user_id and view["type"] == "modal"]
        return sorted(mine, key=lambda view: str(view["opened_ts"]))

    def home(self, user_id: str) -> Document | None:
        views = self._store.all("view")
        return next((view for view in views if view[_OWNER] == user_id and view["type"] == "home"), None)

    def of_person(self, view_id: str, user_id: str) -> Document:
        view = self._store.get("view", view_id)
        if view is None or view[_OWNER] != user_id:
            raise PersonRefusedError("This form is not open any more. Open it again.")
        return view

    def fill_in(self, view: Document, values: dict[str, Any]) -> Document:
        """Takes what the person entered, {block_id: {action_id: value}}; only what the view has is taken."""
        state = view["state"]["values"]
        for block_id, actions in values.items():
            for action_id, given in actions.items() if isinstance(actions, dict) else ():
                element_state = state.get(block_id, {}).get(action_id)
                if element_state is None:
                    raise PersonRefusedError(f"This form has no field {block_id}/{action_id}.")
                key = value_key(element_state["type"])
                value = given.get(key) if isinstance(given, dict) else given
                element_state[key] = value
        self._store.put("view", view["id"], view)
        return view

    def close(self, view: Document, *, whole_stack: bool = False) -> None:
        stack = self.stack(view[_OWNER])
        for closing in stack if whole_stack else [view]:
            self._store.remove("view", closing["id"])
            self._tell("view_close", closing)

    def _tell(self, kind: str, view: Document) -> None:
        self._workspace.feed.publish(
            {"type": kind, "view_id": view["id"], "user_id": view[_OWNER], "view": shape(view)},
            frozenset({str(view[_OWNER])}),
        )


def shape(view: Document) -> Document:
    """A view as the app sees it."""
    return {key: value for key, value in view.items() if key not in (_OWNER, "opened_ts")}


def initial_values(blocks: list[Document]) -> Document:
    """state.values before anybody touched anything: every stateful element with its initial value, or empty."""
    values: Document = {}
    for block in blocks:
        for element in block_rules.interactive(block):
            kind = element["type"]
            if kind in ("button", "overflow", "workflow_button", "feedback_buttons", "icon_button"):
                continue
            key = value_key(kind)
            empty: Any = [] if key in ("selected_options", "files") or key.endswith("s") else None
            initial = element.get(_INITIAL_KEYS.get(key, ""), empty)
            values.setdefault(block["block_id"], {})[element["action_id"]] = {"type": kind, key: initial}
    return values


def input_problems(view: Document) -> dict[str, str]:
    """What Slack's own client would not let through: {block_id: sentence}."""
    problems: dict[str, str] = {}
    for block in view["blocks"]:
        if block.get("type") != "input":
            continue
        element = block["element"]
        entered = view["state"]["values"].get(block["block_id"], {}).get(element["action_id"], {})
        value = entered.get(value_key(element["type"]))
        if value in (None, "", []):
            if not block.get("optional"):
                problems[block["block_id"]] = "Please complete this required field."
        elif isinstance(value, str):
            low, high = element.get("min_length") or 0, element.get("max_length") or 3000
            if not low <= len(value) <= high:
                problems[block["block_id"]] = f"Enter between {low} and {high} characters; these are {len(value)}."
    return problems
