"""Answers to commands, mostly seen by one person alone. Called by listeners and engine.

`now` is Unix seconds. Texts about what cannot be done are in `errors`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slackbot.core.ports import IndexEntry
from slackbot.core.session import Session
from slackbot.core.start_ticket import MAX_VALUE
from slackbot.views import action_ids
from slackbot.views.blocks import Block, actions, button, context, section
from slackbot.views.language import DEFAULT, say, translated
from slackbot.views.task_words import task_line
from slackbot.views.view import View
from slackbot.views.words import (
    age,
    branch_link,
    code,
    entry_name,
    is_web_url,
    link,
    mention,
    pull_request_link,
    repository_link,
    short_id,
    shown_line,
    status_words,
)

_COMMANDS = (
    ("start [owner/repo] PROMPT", "help.start"),
    ("list", "help.list"),
    ("status", "help.status"),
    ("stop", "help.stop"),
    ("cancel", "help.cancel"),
    ("pr", "help.pr"),
    ("retry", "help.retry"),
    ("extend", "help.extend"),
    ("handover", "help.handover"),
    ("forget", "help.forget"),
    ("help", "help.help"),
)
"""What is typed, which is the same in every language, and what it means."""

_EXAMPLES = ("help.example_start", "help.example_base", "help.example_stop")
_ACCEPTED = {
    "stop": "accepted.stop",
    "pr": "accepted.pr",
    "cancel": "accepted.cancel",
    "retry": "accepted.retry",
    "extend": "accepted.extend",
}


def help_text(command: str = "/devflow", *, language: str = DEFAULT) -> View:
    """All there is to type. `command` is the slash command as it is installed."""
    lines = [
        say(language, "help.line", command=command, words=words, meaning=say(language, meaning))
        for words, meaning in _COMMANDS
    ]
    examples = [f"`{command} {say(language, example)}`" for example in _EXAMPLES]
    blocks: list[Block] = [
        section(say(language, "help.head")),
        section("\n".join(lines)),
        section(say(language, "help.ways")),
        section(say(language, "help.thread")),
        section(say(language, "help.over")),
        section(say(language, "help.examples", examples="\n".join(examples))),
    ]
    return View(say(language, "help.text", command=command), blocks)


def session_list(
    entries: Sequence[IndexEntry],
    now: int,
    *,
    cursor: str | None = None,
    permalinks: Mapping[str, str] | None = None,
    language: str = DEFAULT,
) -> View:
    """A page of a person's sessions. `permalinks`: session_id -> the thread's address, where known."""
    if not entries:
        told = say(language, "list.none")
        return View(told, [section(told)])
    links = permalinks or {}
    lines = _that_fit([_entry_line(entry, now, links.get(entry.session_id), language) for entry in entries])
    blocks: list[Block] = [section(line) for line in lines]
    if len(entries) > len(lines):
        blocks.append(context(say(language, "words.and_more", number=len(entries) - len(lines))))
    if cursor and len(cursor) <= MAX_VALUE:
        blocks += actions(button(say(language, "list.more"), action_ids.LIST_PAGE, cursor))
    return View(say(language, "list.text", number=len(entries)), blocks)


def session_status(session: Session, now: int, *, permalink: str | None = None, language: str = DEFAULT) -> View:
    """One session in five lines."""
    working, waiting = session.working_turn, len(session.waiting_turns)
    user = mention(working.user_id) if working else ""
    doing = say(language, "status.working_on", user=user) if working else say(language, "status.not_working")
    more = say(language, "card.more_waiting", number=waiting) if waiting else ""
    status = status_words(session.status, language)
    if session.pr_number is not None:
        pull_request = pull_request_link(session.pr_number, session.pr_url, language)
    else:
        pull_request = say(language, "status.no_pull_request")
    lines = [
        say(
            language,
            "status.head",
            id=code(short_id(session.session_id)),
            status=status,
            repository=repository_link(session.repository.full_name, session.repository_url),
            age=age(now - session.created_at, language),
            user=mention(session.user_id),
        ),
        say(language, "status.branch", branch=branch_link(session), base=code(session.base_branch)),
        task_line(session, language) or say(language, "status.no_task"),
        f"{doing}{more}",
        pull_request,
    ]
    if session.error_message:
        lines.append(shown_line(translated(language, session.error_message), 500))
    if permalink and is_web_url(permalink):
        lines.append(link(permalink, say(language, "status.thread")))
    text = say(language, "status.text", id=short_id(session.session_id), status=status)
    return View(text, [section("\n".join(lines))])


def choose_session(
    entries: Sequence[IndexEntry], verb: str, now: int, *, live: bool = True, language: str = DEFAULT
) -> View:
    """Which of several is meant? `verb` is what was asked for."""
    sessions = say(language, "words.live_sessions" if live else "words.sessions", number=len(entries))
    head = say(language, "choose.head", sessions=sessions)
    lines = _that_fit([f"• {_entry_line(entry, now, None, language)}" for entry in entries])
    if len(entries) > len(lines):
        lines.append(say(language, "choose.more", number=len(entries) - len(lines)))
    example = f"/devflow {verb} {short_id(entries[0].session_id)}" if entries else f"/devflow {verb}"
    tail = say(language, "choose.tail", example=code(example))
    blocks = [section(head), *[section(line) for line in lines], section(tail)]
    return View(say(language, "choose.text", head=head, example=example), blocks)


def none_found(verb: str, which: str = "", *, language: str = DEFAULT) -> View:
    """There is no session the command could mean."""
    if which:
        told = say(language, "none.named", which=code(which, 80))
    else:
        told = say(language, "none.for_verb", verb=code(verb, 40))
    return View(told, [section(told)])


def session_gone(*, language: str = DEFAULT) -> View:
    """A button or a `!` word in a thread whose session is no longer stored."""
    told = say(language, "gone.session")
    return View(told, [section(told)])


def accepted(verb: str, session: Session, *, language: str = DEFAULT) -> View:
    """What was asked for is stored and will be done; the thread tells how it went."""
    told = say(language, _ACCEPTED.get(verb, "accepted.other"))
    if verb == "pr" and session.has_open_pull_request and session.pr_number is not None:
        words = pull_request_link(session.pr_number, session.pr_url, language)
        told = say(language, "accepted.pr_open", pull_request=words)
    return View(told, [section(told)])


def starting_slowly(*, language: str = DEFAULT) -> View:
    """Slack's three seconds are nearly over, and the session is not stored yet."""
    told = say(language, "start.slowly")
    return View(told, [section(told)])


_LIST_LIMIT = 20
_LIST_CHARACTERS = 8_000


def _that_fit(lines: Sequence[str]) -> list[str]:
    """The first lines, as many as one message takes."""
    kept: list[str] = []
    for line in lines[:_LIST_LIMIT]:
        if sum(map(len, kept)) + len(line) > _LIST_CHARACTERS:
            break
        kept.append(line)
    return kept


def _entry_line(entry: IndexEntry, now: int, permalink: str | None, language: str) -> str:
    parts = [
        f"{code(short_id(entry.session_id))} *{shown_line(entry_name(entry), 150)}*",
        code(entry.branch_name, 120),
        status_words(entry.status, language),
        age(now - entry.created_at, language),
    ]
    if entry.pr_number is not None:
        parts.append(pull_request_link(entry.pr_number, entry.pr_url, language))
    if is_web_url(permalink):
        parts.append(link(permalink, say(language, "list.thread")))
    return " · ".join(parts)
