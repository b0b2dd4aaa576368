"""What persons do with what the app shows: press, choose, fill in, submit, close, use a shortcut.

The half of `people.py` that waits for the app's acknowledgement; `interactions.py` sends.
"""

from __future__ import annotations

from typing import Any

from slackbot.sandbox.slack import block_rules, shapes
from slackbot.sandbox.slack import views as view_rules
from slackbot.sandbox.slack.conversation import Conversation
from slackbot.sandbox.slack.faults import PersonRefusedError, SlackError
from slackbot.sandbox.slack.interactions import Interactions
from slackbot.sandbox.slack.socket_mode import Ack
from slackbot.sandbox.slack.store import Document
from slackbot.sandbox.slack.views import Views
from slackbot.sandbox.slack.workspace import Workspace

TRY_PREFIX = "sandbox_try"
"""Buttons of the welcome thread: the page puts their value into the composer; they never reach the app."""

_TROUBLE = "We had some trouble connecting. Try again?"
_CHOICES = frozenset({"static_select", "multi_static_select", "overflow", "checkboxes", "radio_buttons"})


class PersonInteractions:
    """Interactions of persons, each named by `user_id` in every call."""

    def __init__(
        self, workspace: Workspace, conversation: Conversation, interactions: Interactions, views: Views
    ) -> None:
        self._workspace = workspace
        self._conversation = conversation
        self._interactions = interactions
        self._views = views
        self._message_state: dict[tuple[str, str, str], Document] = {}

    def _place(self, user_id: str, channel_id: str, *, to_post: bool = True) -> tuple[Document, Document]:
        user = self._workspace.person(user_id)
        channel = self._workspace.channel_of_person(channel_id, user_id)
        if to_post and channel["is_archived"]:
            raise PersonRefusedError(f"#{channel['name']} is archived; nobody can post there.")
        return user, channel

    def _unanswered(self, error: str) -> str:
        """Why an interaction came to nothing, and what a person can do about it."""
        name = self._workspace.bot_display_name
        if error == "dispatch_failed":
            return f"{name} is not connected just now ({error}), so nothing was done. Try again in a moment."
        return f"{name} did not answer in time ({error}). See whether it was done after all, or try again."

    # Elements of messages and views

    async def press(
        self,
        user_id: str,
        action_id: str,
        *,
        block_id: str | None = None,
        channel_id: str | None = None,
        message_ts: str | None = None,
        view_id: str | None = None,
        value: Any = None,
        chosen: dict[str, Any] | None = None,
        view_values: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Uses an element of a message (`channel_id`, `message_ts`) or of a view (`view_id`).

        `chosen` holds what was picked, under Slack's own key (`selected_option`, `selected_date`, ...); `value`
        is what was typed. `view_values` is what the rest of the form holds. {"ok": bool, "error"?, "url"?}.
        """
        user = self._workspace.person(user_id)
        if action_id.startswith(TRY_PREFIX):
            raise PersonRefusedError("This button fills in the message box; it is not sent to the app.")
        payload = self._interactions.interaction("block_actions", user)
        if view_id is not None:
            view = self._views.of_person(view_id, user_id)
            if view_values:
                view = self._views.fill_in(view, view_values)
            block, element = _find_element(view["blocks"], block_id, action_id)
            action = _action(block, element, value, chosen, self._workspace.next_ts())
            _note_choice(view["state"]["values"], block, element, action)
            self._workspace.store.put("view", view["id"], view)
            payload["container"] = {"type": "view", "view_id": view_id}
            payload["view"] = view_rules.shape(view)
        else:
            channel = self._workspace.channel_of_person(channel_id or "", user_id)
            message, is_ephemeral = self._shown_message(channel, message_ts or "", user_id)
            block, element = _find_element(message.get("blocks", []), block_id, action_id)
            action = _action(block, element, value, chosen, self._workspace.next_ts())
            payload.update(self._message_part(channel, message, user_id, is_ephemeral))
            key = (user_id, channel["id"], message["ts"])
            state = self._message_state.setdefault(key, view_rules.initial_values(message.get("blocks", [])))
            _note_choice(state, block, element, action)
            payload["state"] = {"values": state}
        payload["actions"] = [action]
        ack = await self._interactions.send("interactive", payload)
        answer: dict[str, Any] = {"ok": True}
        if ack.error is not None:
            answer = {"ok": False, "error": self._unanswered(ack.error)}
        if element.get("url"):
            answer["url"] = element["url"]
        return answer

    def _shown_message(self, channel: Document, ts: str, user_id: str) -> tuple[Document, bool]:
        ephemeral = self._conversation.ephemeral(channel["id"], ts, user_id)
        if ephemeral is not None:
            return ephemeral, True
        try:
            return self._conversation.message(channel["id"], ts), False
        except SlackError as error:
            raise PersonRefusedError("That message is not there any more.") from error

    def _message_part(self, channel: Document, message: Document, user_id: str, is_ephemeral: bool) -> dict[str, Any]:
        container: dict[str, Any] = {
            "type": "message",
            "message_ts": message["ts"],
            "channel_id": channel["id"],
            "is_ephemeral": is_ephemeral,
        }
        if "thread_ts" in message:
            container["thread_ts"] = message["thread_ts"]
        part: dict[str, Any] = {
            "container": container,
            "channel": {"id": channel["id"], "name": self._workspace.name_for_payload(channel)},
            "response_url": self._interactions.new_response_url(
                channel["id"], user_id, message_ts=message["ts"], is_ephemeral=is_ephemeral
            ),
        }
        if not is_ephemeral:
            part["message"] = shapes.api_message(self._workspace, channel["id"], message)
        return part

    async def options(
        self,
        user_id: str,
        action_id: str,
        value: str,
        *,
        block_id: str | None = None,
        view_id: str | None = None,
        channel_id: str | None = None,
        message_ts: str | None = None,
    ) -> list[Document]:
        """The options that the app offers for what was typed into an external select."""
        user = self._workspace.person(user_id)
        payload = self._interactions.interaction("block_suggestion", user)
        del payload["trigger_id"]
        if view_id is not None:
            view = self._views.of_person(view_id, user_id)
            block, element = _find_element(view["blocks"], block_id, action_id)
            payload["container"] = {"type": "view", "view_id": view_id}
            # What was filled in is not told here: https://github.com/slackapi/bolt-js/issues/1146
            untouched = {"values": view_rules.initial_values(view["blocks"])}
            payload["view"] = {**view_rules.shape(view), "state": untouched}
        else:
            channel = self._workspace.channel_of_person(channel_id or "", user_id)
            message, is_ephemeral = self._shown_message(channel, message_ts or "", user_id)
            block, element = _find_element(message.get("blocks", []), block_id, action_id)
            payload.update(self._message_part(channel, message, user_id, is_ephemeral))
            del payload["response_url"]
        payload.update({"action_id": element["action_id"], "block_id": block["block_id"], "value": value})
        ack = await self._interactions.send("interactive", payload)
        offered = ack.payload if isinstance(ack.payload, dict) else {}
        options = list(offered.get("options") or [])
        for group in offered.get("option_groups") or []:
            options.extend(group.get("options", []))
        if ack.error is not None:
            raise PersonRefusedError(f"The choices could not be loaded ({ack.error}).")
        return options[:100]

    # Modals

    def open_views(self, user_id: str) -> list[Document]:
        """The person's open modals, the visible one last."""
        return [view_rules.shape(view) for view in self._views.stack(user_id)]

    async def submit_view(self, user_id: str, view_id: str, values: dict[str, Any] | None = None) -> dict[str, Any]:
        """Submits a modal. {"ok": True, "response_action"?} or {"ok": False, "errors"? by block_id, "error"?}."""
        user = self._workspace.person(user_id)
        view = self._views.fill_in(self._views.of_person(view_id, user_id), values or {})
        problems = view_rules.input_problems(view)
        if problems:
            return {"ok": False, "errors": problems}
        payload = self._interactions.interaction("view_submission", user)
        payload["view"] = view_rules.shape(view)
        payload["response_urls"] = []
        ack = await self._interactions.send("interactive", payload)
        if ack.error is not None:
            return {"ok": False, "error": _TROUBLE}
        try:
            return self._after_submission(view, ack)
        except SlackError as error:
            detail = "; ".join(error.messages) or error.error
            return {"ok": False, "error": f"{_TROUBLE} (the app's answer was refused: {detail})"}

    def _after_submission(self, view: Document, ack: Ack) -> dict[str, Any]:
        answer = ack.payload if isinstance(ack.payload, dict) else {}
        response_action = answer.get("response_action")
        if response_action == "errors":
            errors = answer.get("errors") or {}
            inputs = {block["block_id"] for block in view["blocks"] if block.get("type") == "input"}
            if not errors or not set(errors) <= inputs:
                raise SlackError("invalid_arguments", ["errors must name input blocks of the view"])
            return {"ok": False, "response_action": "errors", "errors": errors}
        if response_action == "update":
            # The id stays, so that the page replaces what it shows.
            if self._workspace.store.get("view", view["id"]) is not None:
                self._views.update(answer.get("view"), view_id=view["id"])
            return {"ok": True, "response_action": "update"}
        if response_action == "push":
            self._views.push(view["shown_to"], answer.get("view"))
            return {"ok": True, "response_action": "push"}
        if response_action not in (None, "clear"):
            raise SlackError("invalid_arguments", [f"unknown response_action {response_action}"])
        if self._workspace.store.get("view", view["id"]) is not None:
            self._views.close(view, whole_stack=response_action == "clear")
        return {"ok": True} if response_action is None else {"ok": True, "response_action": "clear"}

    async def close_view(self, user_id: str, view_id: str) -> None:
        """Closes a modal without submitting; the app hears of it when the view asks for that."""
        user = self._workspace.person(user_id)
        view = self._views.of_person(view_id, user_id)
        self._views.close(view, whole_stack=view["clear_on_close"])
        if view["notify_on_close"]:
            payload = self._interactions.interaction("view_closed", user)
            del payload["trigger_id"]
            payload["view"] = view_rules.shape(view)
            payload["is_cleared"] = view["clear_on_close"]
            await self._interactions.send("interactive", payload)

    # Shortcuts

    async def open_shortcut(
        self, user_id: str, callback_id: str, *, channel_id: str | None = None, message_ts: str | None = None
    ) -> dict[str, Any]:
        """Uses a global shortcut, or (with `message_ts`) a message shortcut."""
        user = self._workspace.person(user_id)
        shortcut = self._workspace.app.shortcut(callback_id)
        if shortcut is None:
            return {"ok": False, "error": f"The app has no shortcut {callback_id}."}
        if shortcut.type == "message":
            channel = self._workspace.channel_of_person(channel_id or "", user_id)
            message, _ = self._shown_message(channel, message_ts or "", user_id)
            payload = self._interactions.interaction("message_action", user)
            payload.update(self._message_part(channel, message, user_id, False))
            payload["message_ts"] = message["ts"]
            del payload["container"]
        else:
            payload = self._interactions.interaction("shortcut", user)
        payload["callback_id"] = callback_id
        payload["action_ts"] = self._workspace.next_ts()
        ack = await self._interactions.send("interactive", payload)
        if ack.error is not None:
            return {"ok": False, "error": self._unanswered(ack.error)}
        return {"ok": True}


def _find_element(blocks: list[Document], block_id: str | None, action_id: str) -> tuple[Document, Document]:
    for block in blocks:
        if block_id is not None and block.get("block_id") != block_id:
            continue
        for element in block_rules.interactive(block):
            if element.get("action_id") == action_id:
                return block, element
    raise PersonRefusedError("That button or field is not there any more.")


def _action(block: Document, element: Document, value: Any, chosen: dict[str, Any] | None, action_ts: str) -> Document:
    """The entry of `actions` for one use of an element."""
    kind = element["type"]
    action: Document = {"action_id": element["action_id"], "block_id": block["block_id"], "type": kind}
    for key in ("text", "value", "style", "placeholder", "confirm", "url"):
        if key in element:
            action[key] = element[key]
    if kind not in ("button", "workflow_button"):
        key = view_rules.value_key(kind)
        action[key] = value if chosen is None else chosen.get(key)
        if kind in _CHOICES:
            action[key] = _offered(element, action[key])
    action["action_ts"] = action_ts
    return action


def _offered(element: Document, picked: Any) -> Any:
    """The options as the app offered them; what it did not offer is refused."""
    options = list(element.get("options") or [])
    for group in element.get("option_groups") or []:
        options.extend(group["options"])
    by_value = {option["value"]: option for option in options}
    many = isinstance(picked, list)
    found = []
    for item in picked if many else [picked]:
        value = item.get("value") if isinstance(item, dict) else item
        if value not in by_value:
            raise PersonRefusedError("That choice is not offered any more.")
        found.append(by_value[value])
    return found if many else found[0]


def _note_choice(values: Document, block: Document, element: Document, action: Document) -> None:
    state = values.get(block["block_id"], {}).get(element["action_id"])
    if state is not None:
        key = view_rules.value_key(element["type"])
        state[key] = action.get(key)
