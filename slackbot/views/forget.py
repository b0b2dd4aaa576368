"""Forgetting a session: the question, the answer, and what stands where its card was. Used by the forget desk."""

from __future__ import annotations

from slackbot.core.session import Session
from slackbot.views import action_ids
from slackbot.views.blocks import actions, button, confirm, section
from slackbot.views.buttons import has_commits
from slackbot.views.language import DEFAULT, say
from slackbot.views.task_words import log_link
from slackbot.views.view import View
from slackbot.views.words import (
    branch_link,
    is_web_url,
    joined,
    link,
    mention,
    pull_request_link,
    repository_link,
    short_id,
)

FORGOTTEN_EVENT_TYPE = "devflow_forgotten"
"""What the card's metadata says from then on: no reply begins the session again."""


def forget_question(session: Session, *, permalink: str | None, language: str = DEFAULT) -> View:
    """What goes, what stays, and the button, which asks once more."""
    head = say(
        language,
        "forget.question",
        id=short_id(session.session_id),
        repository=repository_link(session.repository.full_name, session.repository_url),
        turns=say(language, "forget.turns", number=len(session.history)),
    )
    really = confirm(
        say(language, "forget.title"),
        say(language, "forget.really"),
        say(language, "forget.yes"),
        say(language, "forget.no"),
    )
    pressed = button(
        say(language, "forget.button"),
        action_ids.SESSION_FORGET,
        session.session_id,
        style="danger",
        confirm=really,
    )
    blocks = [section(head), section(_remains(session, permalink, language)), *actions(pressed)]
    return View(say(language, "forget.title"), blocks)


def forget_first_stop(*, language: str = DEFAULT) -> View:
    """A live session is not forgotten: its worker would be left running."""
    told = say(language, "forget.first_stop")
    return View(told, [section(told)])


def forgotten(session: Session, *, permalink: str | None, done: bool = True, language: str = DEFAULT) -> View:
    """It is done, or will be in a moment; what is left elsewhere, each with its link."""
    told = say(language, "forget.done" if done else "forget.soon", id=short_id(session.session_id))
    return View(told, [section(told), section(_remains(session, permalink, language))])


def forgotten_card(session: Session, user_id: str) -> View:
    """What all read from now on where the card was."""
    told = say(session.language, "forget.card", user=mention(user_id))
    return View(told, [section(told)])


def _remains(session: Session, permalink: str | None, language: str) -> str:
    thread = say(language, "forget.thread")
    lines = [link(permalink, thread) if is_web_url(permalink) else thread]
    if session.branch.base_sha is not None and has_commits(session):
        lines.append(say(language, "forget.branch", branch=branch_link(session)))
    if session.pr_number is not None:
        lines.append(pull_request_link(session.pr_number, session.pr_url, language))
    lines.append(joined(say(language, "forget.logs"), log_link(session.task.log_url, language) or ""))
    return "\n".join([say(language, "forget.remains"), *(f"• {line}" for line in lines)])
