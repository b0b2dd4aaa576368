"""What the agent asks leave for: a message to the owner with a button for each answer, and afterwards who answered.

Made by the engine for `ShowPermission` and `ClosePermission`; the metadata lets it find the message again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from slackbot.core.ports import Metadata
from slackbot.core.session import Permission, Session
from slackbot.views import action_ids
from slackbot.views.blocks import Block, Element, actions, button, context, preformatted, section
from slackbot.views.language import say
from slackbot.views.view import View
from slackbot.views.words import duration, mention, shown_line

PERMISSION_EVENT_TYPE = "devflow_permission"
_TITLE, _LABEL = 250, 75


def permission(session: Session, question: Permission) -> View:
    """The question with its buttons while it stands; how it ended afterwards."""
    language = session.language
    title = shown_line(question.title, _TITLE)
    headline, text = _headline(session, question, title)
    blocks: list[Block] = [section(headline)]
    if question.detail and not (_is_all(question) and question.outcome is not None):
        blocks.append(preformatted(question.detail))
    if question.shortened:
        blocks.append(context(say(language, "permission.shortened")))
    if question.outcome is None:
        blocks += actions(*(_button(question, number) for number in range(len(question.options))))
        blocks.append(context(_time_left(language, question)))
    return View(text, blocks)


def permission_metadata(session: Session, question: Permission) -> Metadata:
    """Names the question this message asks."""
    return Metadata(PERMISSION_EVENT_TYPE, {"session_id": session.session_id, "permission_id": question.permission_id})


def _headline(session: Session, question: Permission, title: str) -> tuple[str, str]:
    """What stands at the top, and what a notification says."""
    language = session.language
    values = {"title": title, "owner": mention(session.user_id)}
    if question.outcome is None:
        key = "permission.asks_this" if _is_all(question) else "permission.asks"
        return say(language, key, **values), say(language, "permission.asks_text", title=title)
    if question.outcome == "selected":
        chosen = next((each for each in question.options if each.get("option_id") == question.option_id), {})
        answer = shown_line(chosen.get("name", "?"), _LABEL)
        key = "permission.allowed" if chosen.get("kind", "").startswith("allow") else "permission.rejected"
        told = say(language, key, title=title, answer=answer, user=mention(question.answered_by or "?"))
    elif question.outcome == "timed_out":
        told = say(language, "permission.timed_out", title=title)
    else:
        told = say(language, "permission.cancelled", title=title)
    return told, told


def _is_all(question: Permission) -> bool:
    """Whether the title says all that the detail does: a short command."""
    return question.detail is not None and question.detail.strip() == question.title.strip()


def _button(question: Permission, number: int) -> Element:
    """The label is the agent's; the value says which of the offered options it is, and nothing more."""
    option: Mapping[str, str] = question.options[number]
    kind = option.get("kind", "")
    style = "primary" if kind == "allow_once" else "danger" if kind.startswith("reject") else None
    value = f"{question.permission_id}:{number}"
    return button(option.get("name", "?"), f"{action_ids.PERMISSION_PREFIX}{number}", value, style=style)


def _time_left(language: str, question: Permission) -> str:
    """Until when, on the clock of whoever reads: https://docs.slack.dev/messaging/formatting-message-text#date-formatting"""
    fallback = datetime.fromtimestamp(question.expires_at, UTC).strftime("%H:%M UTC")
    until = f"<!date^{question.expires_at}^{{time}}|{fallback}>"
    wait = duration(question.expires_at - question.asked_at, language)
    return say(language, "permission.time_left", until=until, wait=wait)
