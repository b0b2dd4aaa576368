"""Handing a session over: to whom, and what the thread is told of it. From front desk and `core.handing_over`."""

from __future__ import annotations

from slackbot.core.session import Notice, Session
from slackbot.views import action_ids
from slackbot.views.blocks import section, user_menu
from slackbot.views.language import DEFAULT, say
from slackbot.views.view import View
from slackbot.views.words import mention, repository_link


def to_whom(session: Session, *, language: str = DEFAULT) -> View:
    """A list of people to choose from; the block's id names the session, wherever this is asked."""
    name = repository_link(session.repository.full_name, session.repository_url)
    told = say(language, "hand_over.to_whom", repository=name)
    menu = user_menu(say(language, "hand_over.choose"), action_ids.HAND_OVER)
    block = {**section(told, accessory=menu), "block_id": f"{action_ids.HAND_OVER}:{session.session_id}"}
    return View(say(language, "hand_over.question"), [block])


def handed_over(session: Session, notice: Notice) -> View:
    by, to = notice.values.get("user_id", ""), notice.values.get("to_user_id", "")
    told = say(session.language, "hand_over.done", by=mention(by), to=mention(to))
    return View(told, [section(told)])


def has_it(to_user_id: str, *, language: str = DEFAULT) -> View:
    """To who handed it over, in place of the list."""
    told = say(language, "hand_over.has_it", to=mention(to_user_id))
    return View(told, [section(told)])
