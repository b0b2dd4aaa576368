"""What the person who pressed Open editor reads, alone: a link of their own. Called by the front desk."""

from __future__ import annotations

from slackbot.core.session import Session
from slackbot.views import action_ids
from slackbot.views.blocks import actions, link_button, section
from slackbot.views.language import DEFAULT, say
from slackbot.views.view import View
from slackbot.views.words import repository_link


def editor_link(session: Session, url: str, *, language: str = DEFAULT) -> View:
    """`url` is the entrance that lets this person in. It stands on a button alone: nothing looks at it there."""
    repository = repository_link(session.repository.full_name, session.repository_url)
    blocks = [section(say(language, "editor.link", repository=repository))]
    blocks += actions(link_button(say(language, "button.open_editor"), action_ids.LINK_EDITOR, url))
    return View(say(language, "editor.text"), blocks)
