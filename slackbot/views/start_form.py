"""The form that begins a session, and what is read back of it. Called by the start desk and its listeners.

https://docs.slack.dev/reference/views/modal-views
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slackbot.core.slack_text import clean
from slackbot.core.start_ticket import StartTicket
from slackbot.views import action_ids
from slackbot.views.blocks import Block, context
from slackbot.views.language import DEFAULT, say

MAX_FORM_PROMPT = 3_000
"""https://docs.slack.dev/reference/block-kit/block-elements/plain-text-input-element"""

MAX_OPTION = 75
MAX_OPTION_VALUE = 150
"""https://docs.slack.dev/reference/block-kit/composition-objects/option-object"""


@dataclass(frozen=True)
class FormFields:
    """What stands in the form; None where nothing does."""

    repository: str | None = None
    base_branch: str | None = None
    agent: str | None = None
    prompt: str | None = None
    channel_id: str | None = None


def start_form(
    ticket: StartTicket,
    *,
    prompt: str,
    agents: Sequence[str],
    notes: Sequence[str] = (),
    language: str = DEFAULT,
) -> Block:
    """The modal, filled in with what the ticket and `prompt` say. Without a channel in the ticket it asks for one.

    `notes` are sentences above the fields.
    """
    blocks: list[Block] = [context(note) for note in notes]
    if ticket.channel_id is None:
        blocks.append(
            _input(
                action_ids.FORM_CHANNEL,
                say(language, "form.channel"),
                {
                    "type": "conversations_select",
                    "filter": {"include": ["public", "private", "im"], "exclude_bot_users": False},
                    "default_to_current_conversation": True,
                },
            )
        )
    repository: dict[str, Any] = {
        "type": "external_select",
        "min_query_length": 0,
        "placeholder": _plain(say(language, "form.repository_hint")),
    }
    if ticket.repository:
        repository["initial_option"] = option(ticket.repository)
    base: dict[str, Any] = {
        "type": "external_select",
        "min_query_length": 0,
        "placeholder": _plain(say(language, "form.base_hint")),
    }
    if ticket.base_branch:
        base["initial_option"] = option(ticket.base_branch)
    agent: dict[str, Any] = {
        "type": "static_select",
        "options": [option(name) for name in agents[:100]],
        "placeholder": _plain(say(language, "form.agent_hint")),
    }
    if ticket.agent in agents:
        agent["initial_option"] = option(ticket.agent or "")
    words: dict[str, Any] = {
        "type": "plain_text_input",
        "multiline": True,
        "max_length": MAX_FORM_PROMPT,
        "focus_on_load": not prompt,
        "placeholder": _plain(say(language, "form.prompt_hint")),
    }
    if prompt:
        words["initial_value"] = clean(prompt)[:MAX_FORM_PROMPT]
    blocks += [
        # Told at once, so that the choice of branches knows the repository.
        _input(action_ids.FORM_REPOSITORY, say(language, "form.repository"), repository) | {"dispatch_action": True},
        _input(action_ids.FORM_PROMPT, say(language, "form.prompt"), words),
        _input(action_ids.FORM_BASE, say(language, "form.base"), base) | {"optional": True},
        _input(action_ids.FORM_AGENT, say(language, "form.agent"), agent) | {"optional": True},
    ]
    return {
        "type": "modal",
        "callback_id": action_ids.START_FORM_CALLBACK,
        "title": _plain(say(language, "form.title")),
        "submit": _plain(say(language, "form.submit")),
        "close": _plain(say(language, "form.close")),
        "private_metadata": ticket.as_text(),
        "blocks": blocks,
    }


def with_ticket(view: Mapping[str, Any], ticket: StartTicket) -> Block:
    """The form that is open, carrying another ticket; what stands in its fields stays."""
    kept = {key: view[key] for key in ("type", "callback_id", "title", "submit", "close", "blocks") if key in view}
    return {**kept, "private_metadata": ticket.as_text()}


def option(value: str) -> dict[str, Any]:
    """A choice that shows its own value. A value that Slack would refuse is cut in what is shown alone."""
    shown = value if len(value) <= MAX_OPTION else value[: MAX_OPTION - 1] + "…"
    return {"text": {"type": "plain_text", "text": shown, "emoji": False}, "value": value[:MAX_OPTION_VALUE]}


def form_fields(view: Mapping[str, Any]) -> FormFields:
    """What `view.state.values` holds; whatever is missing or of another type is None."""
    return FormFields(
        repository=_chosen(view, action_ids.FORM_REPOSITORY),
        base_branch=_chosen(view, action_ids.FORM_BASE),
        agent=_chosen(view, action_ids.FORM_AGENT),
        prompt=_text(_state(view, action_ids.FORM_PROMPT).get("value")),
        channel_id=_text(_state(view, action_ids.FORM_CHANNEL).get("selected_conversation")),
    )


def _state(view: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    values = _map(_map(view.get("state")).get("values"))
    return _map(_map(values.get(name)).get(name))


def _chosen(view: Mapping[str, Any], name: str) -> str | None:
    return _text(_map(_state(view, name).get("selected_option")).get("value"))


def _input(name: str, label: str, element: dict[str, Any]) -> Block:
    return {"type": "input", "block_id": name, "label": _plain(label), "element": {**element, "action_id": name}}


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None
