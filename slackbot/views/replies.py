"""Answers to commands, mostly seen by one person alone. Called by listeners and engine.

`now` is Unix seconds. Texts about what cannot be done are in `errors`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slackbot.core.ports import IndexEntry
from slackbot.core.session import Session
from slackbot.views.blocks import Block, context, section
from slackbot.views.task_words import task_line
from slackbot.views.view import View
from slackbot.views.words import (
    age,
    branch_link,
    code,
    count,
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
    ("start owner/repo PROMPT", "begin a session; `base=BRANCH` and `agent=NAME` go before the prompt"),
    ("list", "your sessions"),
    ("status", "how a session is doing"),
    ("stop", "end a session; what is pushed stays"),
    ("cancel", "end the prompt in work; the session goes on"),
    ("pr", "open the pull request"),
    ("retry", "run the last failed or kept prompt again"),
    ("help", "this page"),
)
_EXAMPLES = (
    "start acme/shop fix the flaky checkout test",
    "start acme/shop base=release-2 say in the README how to run the tests",
    "stop 1a2b3c4d",
)
_ACCEPTED = {
    "stop": "Stopping…",
    "pr": "Opening the pull request…",
    "cancel": "Cancelling…",
    "retry": "Retrying…",
}


def help_text(command: str = "/devflow") -> View:
    """All there is to type. `command` is the slash command as it is installed."""
    lines = [f"• `{command} {words}` – {meaning}" for words, meaning in _COMMANDS]
    examples = [f"`{command} {example}`" for example in _EXAMPLES]
    blocks: list[Block] = [
        section(
            "*DevFlow* turns a thread into a development session: one branch, one worker with an agent, one thread."
        ),
        section("\n".join(lines)),
        section(
            "*In a session's thread* every reply goes to the agent as a prompt. "
            "`!stop`, `!cancel`, `!pr`, `!status`, `!retry` and `!help` do the same as the commands. "
            "A reply that begins with `!aside` or by naming a person is for people; the agent sees it with the next "
            "prompt, as context."
        ),
        section(
            "A reply to a session that stopped by itself wakes it. A reply to one that somebody stopped, or that ended "
            "with an error, is kept: Retry runs it."
        ),
        section("*For example*\n" + "\n".join(examples)),
    ]
    return View(f"How to use {command}", blocks)


def session_list(
    entries: Sequence[IndexEntry], now: int, *, cursor: str | None = None, permalinks: Mapping[str, str] | None = None
) -> View:
    """A page of a person's sessions. `permalinks`: session_id -> the thread's address, where known."""
    if not entries:
        told = "You have no sessions. `/devflow start owner/repo what to do` begins one."
        return View(told, [section(told)])
    lines = _that_fit([_entry_line(entry, now, (permalinks or {}).get(entry.session_id)) for entry in entries])
    blocks: list[Block] = [section(line) for line in lines]
    if len(entries) > len(lines):
        blocks.append(context(f"… and {len(entries) - len(lines)} more"))
    if cursor:
        blocks.append(context(f"More: {code(f'/devflow list {cursor}', 500)}"))
    return View(f"Your sessions: {len(entries)} on this page.", blocks)


def session_status(session: Session, now: int, *, permalink: str | None = None) -> View:
    """One session in five lines."""
    working, waiting = session.working_turn, len(session.waiting_turns)
    doing = f"Working on a prompt by {mention(working.user_id)}" if working else "No prompt in work"
    more = f", {waiting:,} waiting" if waiting else ""
    lines = [
        f"{code(short_id(session.session_id))} *{status_words(session.status)}*"
        f" – {repository_link(session.repository.full_name, session.repository_url)}, begun "
        f"{age(now - session.created_at)} by {mention(session.user_id)}",
        f"Branch {branch_link(session)} from {code(session.base_branch)}",
        task_line(session) or "No task",
        f"{doing}{more}",
        pull_request_link(session.pr_number, session.pr_url) if session.pr_number is not None else "No pull request",
    ]
    if session.error_message:
        lines.append(shown_line(session.error_message, 500))
    if permalink and is_web_url(permalink):
        lines.append(link(permalink, "Its thread"))
    text = f"Session {short_id(session.session_id)}: {status_words(session.status)}"
    return View(text, [section("\n".join(lines))])


def choose_session(entries: Sequence[IndexEntry], verb: str, now: int, *, live: bool = True) -> View:
    """Which of several is meant? `verb` is what was asked for."""
    kind = "live session" if live else "session"
    head = f"You have {count(len(entries), kind)}:"
    lines = _that_fit([f"• {_entry_line(entry, now, None)}" for entry in entries])
    if len(entries) > len(lines):
        lines.append(f"• … and {len(entries) - len(lines)} more: `/devflow list`")
    example = f"/devflow {verb} {short_id(entries[0].session_id)}" if entries else f"/devflow {verb}"
    tail = f"Name one: {code(example)}"
    blocks = [section(head), *[section(line) for line in lines], section(tail)]
    return View(f"{head} name one, as in {example}", blocks)


def none_found(verb: str, which: str = "") -> View:
    """There is no session the command could mean."""
    if which:
        told = f"You have no session that {code(which, 80)} names. `/devflow list` shows those you have."
    else:
        told = (
            f"You have no session to use {code(verb, 40)} on. "
            "`/devflow list` shows your sessions; `/devflow start owner/repo what to do` begins one."
        )
    return View(told, [section(told)])


def session_gone() -> View:
    """A button or a `!` word in a thread whose session is no longer stored."""
    told = (
        "This session is no longer known: a session is forgotten 24 hours after something last happened in it. "
        "Its branch and its pull request are untouched; `/devflow start` begins a new one."
    )
    return View(told, [section(told)])


def accepted(verb: str, session: Session) -> View:
    """What was asked for is stored and will be done; the thread tells how it went."""
    told = _ACCEPTED.get(verb, "It will be done…")
    if verb == "pr" and session.has_open_pull_request and session.pr_number is not None:
        told = f"{pull_request_link(session.pr_number, session.pr_url)} is open already."
    return View(told, [section(told)])


def starting_slowly() -> View:
    """Slack's three seconds are nearly over, and the session is not stored yet."""
    told = (
        "Starting takes longer than usual. If no thread appears in this channel within a minute, nothing was started: "
        "send the command again."
    )
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


def _entry_line(entry: IndexEntry, now: int, permalink: str | None) -> str:
    parts = [
        f"{code(short_id(entry.session_id))} *{shown_line(entry_name(entry), 150)}*",
        code(entry.branch_name, 120),
        status_words(entry.status),
        age(now - entry.created_at),
    ]
    if entry.pr_number is not None:
        parts.append(pull_request_link(entry.pr_number, entry.pr_url))
    if is_web_url(permalink):
        parts.append(link(permalink, "thread"))
    return " · ".join(parts)
