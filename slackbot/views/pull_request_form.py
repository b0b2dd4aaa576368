"""The forms about a pull request: the one that opens it, and the one that merges it; and what was filled in.

The desk opens them and hears their submission; `private_metadata` names the thread, which says what is meant.
Modals: https://docs.slack.dev/surfaces/modals - inputs: https://docs.slack.dev/reference/block-kit/block-elements
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slackbot.core.pull_request_rules import prompted_by
from slackbot.core.session import Session
from slackbot.views.blocks import Block, context, section
from slackbot.views.language import say
from slackbot.views.words import code, mention, pull_request_link

OPEN_CALLBACK = "pull_request_open"
MERGE_CALLBACK = "pull_request_merge_form"

TITLE, BODY, BASE, REVIEWERS, KIND, METHOD = (
    "pull_request_title",
    "pull_request_body",
    "pull_request_base",
    "pull_request_reviewers",
    "pull_request_kind",
    "pull_request_method",
)
"""`action_id` of each input; its block's id as well."""

MAX_TITLE = 250
MAX_BODY = 3_000
"""What a text input takes: https://docs.slack.dev/reference/block-kit/block-elements/plain-text-input-element"""
MAX_OPTION = 75
MAX_REVIEWERS = 15

_METHODS = {"merge": "pr_form.method_merge", "squash": "pr_form.method_squash", "rebase": "pr_form.method_rebase"}


@dataclass(frozen=True)
class PullRequestFields:
    """What the form says. "" and () for what was left empty."""

    title: str
    body: str
    base_ref: str
    reviewers: tuple[str, ...]
    draft: bool


@dataclass(frozen=True)
class Place:
    """The thread a form belongs to."""

    channel_id: str
    thread_ts: str


def open_form(
    session: Session, *, title: str, body: str, base_ref: str, draft: bool, reviewers: Sequence[str], language: str
) -> Block:
    """The form that opens the pull request, filled in beforehand."""
    kinds = [
        _option(say(language, "pr_form.kind_ready"), "ready"),
        _option(say(language, "pr_form.kind_draft"), "draft"),
    ]
    base: Block = {"type": "external_select", "action_id": BASE, "min_query_length": 0}
    if 0 < len(base_ref) <= MAX_OPTION:
        base["initial_option"] = _option(base_ref, base_ref)
    asked: Block = {
        "type": "multi_external_select",
        "action_id": REVIEWERS,
        "min_query_length": 0,
        "max_selected_items": MAX_REVIEWERS,
    }
    if reviewers:
        asked["initial_options"] = [_option(login, login) for login in reviewers]
    text: Block = {"type": "plain_text_input", "action_id": BODY, "multiline": True, "max_length": MAX_BODY}
    if body:
        text["initial_value"] = body[:MAX_BODY]
    blocks = [
        _input(
            TITLE,
            say(language, "pr_form.title"),
            {
                "type": "plain_text_input",
                "action_id": TITLE,
                "max_length": MAX_TITLE,
                "initial_value": title[:MAX_TITLE],
            },
        ),
        _input(BODY, say(language, "pr_form.body"), text, optional=True, hint=say(language, "pr_form.body_hint")),
        _input(BASE, say(language, "pr_form.base"), base),
        _input(REVIEWERS, say(language, "pr_form.reviewers"), asked, optional=True),
        _input(
            KIND,
            say(language, "pr_form.kind"),
            {
                "type": "radio_buttons",
                "action_id": KIND,
                "options": kinds,
                "initial_option": kinds[1 if draft else 0],
            },
        ),
    ]
    return _modal(
        session,
        OPEN_CALLBACK,
        say(language, "pr_form.open_head"),
        say(language, "pr_form.open_submit"),
        say(language, "pr_form.cancel"),
        blocks,
    )


def merge_form(session: Session, methods: Sequence[str], language: str) -> Block:
    """The choice of how to merge, and whose work it is."""
    options = [_option(say(language, _METHODS[method]), method) for method in methods if method in _METHODS]
    people = ", ".join(mention(one) for one in prompted_by(session)[:5])
    picture = session.pull_request.seen
    base = picture.base_ref if picture is not None else session.base_branch
    name = pull_request_link(session.pr_number or 0, session.pr_url, language)
    blocks = [
        section(say(language, "pr_form.merge_what", pull_request=name, base=code(base))),
        context(say(language, "pr.prompted_by", people=people)),
        _input(
            METHOD,
            say(language, "pr_form.method"),
            {"type": "radio_buttons", "action_id": METHOD, "options": options, "initial_option": options[0]},
        ),
    ]
    return _modal(
        session,
        MERGE_CALLBACK,
        say(language, "pr_form.merge_head"),
        say(language, "pr_form.merge_submit"),
        say(language, "pr_form.cancel"),
        blocks,
    )


def place_of(view: Mapping[str, Any]) -> Place | None:
    """The thread a submitted form, or an input of it, names; None where it names none."""
    try:
        stored = json.loads(str(view.get("private_metadata") or ""))
    except ValueError:
        return None
    if not isinstance(stored, dict):
        return None
    channel_id, thread_ts = stored.get("channel_id"), stored.get("thread_ts")
    return Place(channel_id, thread_ts) if isinstance(channel_id, str) and isinstance(thread_ts, str) else None


def fields_of(view: Mapping[str, Any]) -> PullRequestFields:
    """What a submitted form says, whatever shape it comes in."""
    chosen = _state(view, REVIEWERS).get("selected_options")
    return PullRequestFields(
        title=" ".join(str(_state(view, TITLE).get("value") or "").split()),
        body=str(_state(view, BODY).get("value") or "").strip(),
        base_ref=_selected(_state(view, BASE)),
        reviewers=tuple(
            str(one.get("value")) for one in chosen if isinstance(one, dict) and isinstance(one.get("value"), str)
        )
        if isinstance(chosen, list)
        else (),
        draft=_selected(_state(view, KIND)) == "draft",
    )


def method_of(view: Mapping[str, Any]) -> str:
    return _selected(_state(view, METHOD))


def options(names: Sequence[str]) -> list[Block]:
    """What a type-ahead offers; names that no option can hold are left out."""
    return [_option(name, name) for name in names if 0 < len(name) <= MAX_OPTION]


def _state(view: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found: Any = view
    for step in ("state", "values", name, name):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _selected(state: Mapping[str, Any]) -> str:
    option = state.get("selected_option")
    value = option.get("value") if isinstance(option, Mapping) else None
    return value if isinstance(value, str) else ""


def _modal(session: Session, callback_id: str, title: str, submit: str, close: str, blocks: list[Block]) -> Block:
    place = {"channel_id": session.thread.channel_id, "thread_ts": session.thread.thread_ts}
    return {
        "type": "modal",
        "callback_id": callback_id,
        "private_metadata": json.dumps(place),
        "title": _plain(title),
        "submit": _plain(submit),
        "close": _plain(close),
        "blocks": blocks,
    }


def _input(name: str, label: str, element: Block, *, optional: bool = False, hint: str | None = None) -> Block:
    block: Block = {"type": "input", "block_id": name, "label": _plain(label), "element": element}
    if optional:
        block["optional"] = True
    if hint:
        block["hint"] = _plain(hint)
    return block


def _option(text: str, value: str) -> Block:
    return {"text": _plain(text), "value": value}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}
