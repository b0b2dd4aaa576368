"""What one person reads around a start: which repository, the messages that would go along, and what was begun.

Called by the start desk. Every button carries a ticket (`core.start_ticket`), so that it works after a restart too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

from slackbot.core.repository_name import RepositoryName
from slackbot.core.session import Session
from slackbot.core.start_ticket import MAX_VALUE, Along, StartTicket
from slackbot.views import action_ids
from slackbot.views.blocks import Block, Element, actions, button, context, quoted, section
from slackbot.views.language import DEFAULT, say
from slackbot.views.view import View
from slackbot.views.words import code, is_web_url, link, repository_link

MAX_OFFERED = 4
"""Repositories with a button of their own."""

_SHOWN_LINES = 12
_LINE, _ALL = 300, 2_400


class Why(StrEnum):
    """How a repository was found that the person did not name in its place."""

    NAMED = "start.why_named"
    LAST = "start.why_last"
    CHOSEN = "start.why_chosen"
    ONLY = "start.why_only"


def started_on(session: Session, why: Why, *, permalink: str | None = None, language: str = DEFAULT) -> View:
    """What was begun where the repository was left out, and the way to change it."""
    where = repository_link(session.repository.full_name, session.repository_url)
    told = say(language, "start.started_on", repository=where, why=say(language, why.value))
    if is_web_url(permalink):
        told = f"{told} {link(permalink, say(language, 'start.thread'))}"
    ticket = StartTicket(replaces=session.session_id)
    other = button(say(language, "start.another_repository"), action_ids.START_FORM, ticket.as_text())
    return View(told, [section(told), *actions(other)])


def which_repository(ticket: StartTicket, offered: Sequence[RepositoryName], *, language: str = DEFAULT) -> View:
    """The question, with a button for each of `offered` and the form for all others."""
    told = say(language, "start.which" if offered else "start.which_of_all")
    buttons = _buttons(ticket, offered, language, key="start.on")
    return View(told, [section(told), *_asked(ticket, language), *actions(*buttons)])


def before_start(
    ticket: StartTicket,
    earlier: Sequence[str],
    *,
    why: Why | None,
    offered: Sequence[RepositoryName],
    language: str = DEFAULT,
) -> View:
    """The messages of a thread that would go along with the prompt, shown before anything begins.

    `ticket.repository` is what was found for it (`why` says how; None = the person named it), else `offered` asks.
    """
    told = say(language, "start.before", number=len(earlier))
    blocks: list[Block] = [
        section(told),
        quoted(_excerpt(earlier, language)),
        context(say(language, "start.untrusted")),
    ]
    along = replace(ticket, along=Along.THREAD)
    if ticket.repository is None:
        blocks.append(section(say(language, "start.which" if offered else "start.which_of_all")))
        return View(told, [*blocks, *actions(*_buttons(along, offered, language, key="start.on"))])
    reason = f" – {say(language, why.value)}" if why is not None else ""
    blocks.append(context(f"{say(language, 'card.repository')}: {code(ticket.repository)}{reason}"))
    start = button(say(language, "start.go"), f"{action_ids.START_PRESS}0", along.as_text(), style="primary")
    alone = button(
        say(language, "start.without"),
        f"{action_ids.START_PRESS}1",
        replace(ticket, along=Along.NOTHING).as_text(),
    )
    change = button(say(language, "start.change"), action_ids.START_FORM, along.as_text())
    return View(told, [*blocks, *actions(start, alone, change, _dismiss(language))])


def what_shall_be_done(ticket: StartTicket, *, language: str = DEFAULT) -> View:
    """Somebody called and said no more: the way to the form, and what to write instead."""
    told = say(language, "start.what")
    form = button(say(language, "start.open_form"), action_ids.START_FORM, ticket.as_text(), style="primary")
    return View(told, [section(told), *actions(form)])


def has_session(permalink: str | None, *, language: str = DEFAULT) -> View:
    """A start where a session is already."""
    told = say(language, "start.has_session")
    if is_web_url(permalink):
        told = f"{told} {link(permalink, say(language, 'start.thread'))}"
    return View(told, [section(told)])


def _buttons(
    ticket: StartTicket, offered: Sequence[RepositoryName], language: str, *, key: str
) -> list[Element | None]:
    found: list[Element | None] = []
    for number, name in enumerate(offered[:MAX_OFFERED]):
        value = replace(ticket, repository=name.full_name).as_text()
        if len(value) <= MAX_VALUE:
            found.append(
                button(say(language, key, repository=name.full_name), f"{action_ids.START_PRESS}{number}", value)
            )
    text = ticket.as_text()
    if len(text) <= MAX_VALUE:
        found.append(button(say(language, "start.other"), action_ids.START_FORM, text))
    return [*found, _dismiss(language)]


def _dismiss(language: str) -> Element:
    return button(say(language, "start.not_now"), action_ids.START_DISMISS, "")


def _asked(ticket: StartTicket, language: str) -> list[Block]:
    return [quoted(ticket.prompt)] if ticket.prompt else []


def _excerpt(earlier: Sequence[str], language: str) -> str:
    """The last lines, each cut; plain text, for a quotation."""
    lines = [line if len(line) <= _LINE else f"{line[: _LINE - 1]}…" for line in earlier[-_SHOWN_LINES:]]
    while len(lines) > 1 and sum(map(len, lines)) > _ALL:
        lines.pop(0)
    left_out = len(earlier) - len(lines)
    head = [say(language, "words.and_more", number=left_out)] if left_out else []
    return "\n".join([*head, *lines])
