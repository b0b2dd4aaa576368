"""Who is meant in a thread: what everybody there is told about it, and what one person is, whose words were not taken.

Notices come from `core.listening`; `overheard` is made by the front desk.
"""

from __future__ import annotations

from slackbot.core.session import Notice, Session
from slackbot.views import action_ids
from slackbot.views.blocks import actions as row
from slackbot.views.blocks import button, section
from slackbot.views.language import DEFAULT, say
from slackbot.views.view import View
from slackbot.views.words import mention


def mentions_needed(session: Session, notice: Notice) -> View:
    """A second person spoke: said once, where all can read it."""
    told = say(session.language, "listen.mentions_needed")
    return View(told, [section(told)])


def listen_changed(session: Session, notice: Notice) -> View:
    """Somebody asked for it."""
    key = "listen.all" if notice.kind == "listen_all" else "listen.mentions"
    told = say(session.language, key, user=mention(notice.values.get("user_id", "")))
    return View(told, [section(told)])


def overheard(thread_ts: str, message_ts: str, *, language: str = DEFAULT) -> View:
    """To the author of words that were taken for talk between people, with the button that makes a prompt of them."""
    told = say(language, "listen.overheard")
    ask = button(say(language, "button.ask"), action_ids.PROMPT_ASK, f"{thread_ts} {message_ts}")
    return View(told, [section(told), *row(ask)])
