"""What people type: `/devflow ...` and replies in a session's thread -> data. Pure; nothing here knows Slack's API."""

from __future__ import annotations

import re
from dataclasses import dataclass

from slackbot.core.errors import UsageError
from slackbot.core.repository_name import RepositoryName, looks_like_repository, parse_repository_name
from slackbot.core.slack_text import clean, leading_mention, plain_text, without_mention
from slackbot.core.suggestions import closest

SESSION_VERBS = ("status", "stop", "cancel", "pr", "retry", "extend", "handover", "forget")
"""Verbs about one session: after `/devflow`, and after `!` in a thread."""

VERBS = ("start", "list", *SESSION_VERBS, "help")
THREAD_VERBS = (*SESSION_VERBS, "help")

_OPTION = re.compile(r"(base|agent|model|mode)=(?:\"([^\"]*)\"|(\S+))\s*", re.IGNORECASE)
_HAND_OVER = re.compile(r"!hand\s*over(?:\s+(?:to\s+)?<@([UW][A-Z0-9]+)(?:\|[^<>]*)?>)?\s*\Z", re.IGNORECASE)
_CHOICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@\[\]-]{0,99}", re.ASCII)
_SLIP = 0.8
"""How like a verb the first word of a sentence must be to be taken for a slip of it, and not for a prompt."""

_REF = re.compile(r"(?!-)(?!.*(?:\.\.|//|@\{|\.lock(?:/|$)))[^\x00-\x20~^:?*\[\\\x7f]{1,200}(?<![./])\Z")


@dataclass(frozen=True)
class StartCommand:
    """`/devflow start [owner/repo] [base=BRANCH] [agent=NAME] [model=NAME] [mode=NAME] PROMPT`; None = left out."""

    repository: RepositoryName | None
    prompt: str
    base_branch: str | None = None
    agent: str | None = None
    model: str | None = None
    mode: str | None = None


@dataclass(frozen=True)
class FormCommand:
    """`/devflow` alone, or a start without a prompt: the form asks for the rest."""

    repository: RepositoryName | None = None
    base_branch: str | None = None
    agent: str | None = None
    model: str | None = None
    mode: str | None = None


@dataclass(frozen=True)
class SessionCommand:
    """A verb of `SESSION_VERBS`; `which` names the session (start of its id, or owner/repo), "" = the obvious one."""

    verb: str
    which: str = ""


@dataclass(frozen=True)
class ListCommand:
    cursor: str | None = None


@dataclass(frozen=True)
class HelpCommand:
    pass


Command = StartCommand | FormCommand | SessionCommand | ListCommand | HelpCommand


@dataclass(frozen=True)
class ThreadCommand:
    """`!stop` and the like in a thread. `value`: what the verb is about, `all` of `!listen all`."""

    verb: str
    value: str = ""


@dataclass(frozen=True)
class Aside:
    """Said by people to people; `text` may go along as context of the next prompt."""

    text: str


@dataclass(frozen=True)
class Prompt:
    text: str


@dataclass(frozen=True)
class Nothing:
    """A reply without words (a file alone, a lone mention)."""


Reply = ThreadCommand | Aside | Prompt | Nothing


def parse_command(text: str, hosts: frozenset[str] = frozenset({"github.com"})) -> Command:
    """The text behind `/devflow`. `UsageError` says what is wrong and what to type instead."""
    typed = clean(text).strip()
    if not typed:
        return FormCommand()
    word, rest = _first_word(typed)
    verb = word.lower()
    if verb == "start":
        return parse_wish(rest, hosts)
    if verb == "list":
        return ListCommand(rest.strip() or None)
    if verb == "help" and not rest:
        return HelpCommand()
    if verb == "hand" and rest.lower().startswith("over"):
        verb, rest = "handover", rest[4:].strip()
    if verb in SESSION_VERBS and len(rest.split()) <= 1:
        return SessionCommand(verb, rest.strip())
    if looks_like_repository(word):
        return parse_wish(typed, hosts)
    if verb not in VERBS and len(typed.split()) > 2 and closest(verb, VERBS, at_least=_SLIP) is None:
        # A sentence: `start` and the repository may be left out.
        return parse_wish(typed, hosts)
    near = closest(verb, VERBS)
    hint = f"Did you mean `/devflow {near}`?" if near else ""
    raise UsageError(
        f"`{_shown(word)}` is neither a command nor a repository.",
        f"{hint} Write `/devflow start owner/repo what to do`, or `/devflow help`.".strip(),
    )


def parse_reply(escaped: str, bot_user_id: str) -> Reply:
    """A reply in a session's thread, text as Slack stores it."""
    mentioned, rest = leading_mention(escaped)
    if mentioned is not None and mentioned != bot_user_id:
        return Aside(plain_text(escaped).strip())
    text = plain_text(without_mention(rest, bot_user_id)).strip()
    if not text:
        return Nothing()
    if text.startswith("!"):
        handed = _HAND_OVER.match(text)
        if handed:
            return ThreadCommand("handover", handed.group(1) or "")
        word, after = _first_word(text[1:])
        verb = word.lower()
        if verb == "aside":
            return Aside(after.strip())
        if verb == "handover" and len(after.split()) <= 3:
            # A name that Slack did not make a mention of: who is meant is asked.
            return ThreadCommand(verb)
        if verb == "listen" and len(after.split()) <= 1:
            return ThreadCommand(verb, after.strip().lower())
        if verb in THREAD_VERBS and not after.strip():
            return ThreadCommand(verb)
    return Prompt(text)


def check_base_branch(name: str) -> str:
    """A branch name that is safe to hand to git and to GitHub's API, or `UsageError`.

    https://git-scm.com/docs/git-check-ref-format
    """
    if not _REF.match(name) or name.startswith(("/", "refs/")) or name == "@":
        raise UsageError(f"`{_shown(name)}` is not a branch name.", "Write `base=main`, for example.")
    return name


def is_choice(text: str) -> bool:
    """Whether this can be the id of a model or of a mode."""
    return bool(_CHOICE.fullmatch(text))


def check_choice(name: str, value: str) -> str:
    """A model's or a mode's id, as agents and providers write them, or `UsageError`. `name` is `model` or `mode`."""
    if not is_choice(value):
        raise UsageError(
            f"`{_shown(value)}` is not the name of a {name}.", f"Leave `{name}=` out to use the usual one."
        )
    return value


def parse_wish(text: str, hosts: frozenset[str] = frozenset({"github.com"})) -> StartCommand | FormCommand:
    """`[owner/repo] [base=BRANCH] [agent=NAME] PROMPT`, each but the prompt perhaps left out."""
    word, rest = _first_word(clean(text).strip())
    repository = parse_repository_name(word, hosts) if looks_like_repository(word) else None
    options: dict[str, str] = {}
    rest = (rest if repository is not None else clean(text)).lstrip()
    while match := _OPTION.match(rest):
        name = match.group(1).lower()
        if name in options:
            raise UsageError(f"`{name}=` is given twice.", "Give it once.")
        options[name] = match.group(2) if match.group(2) is not None else match.group(3)
        rest = rest[match.end() :]
    base = check_base_branch(options["base"]) if "base" in options else None
    agent = options.get("agent")
    if agent is not None and not agent.strip():
        raise UsageError("`agent=` is empty.", "Leave it out to use the usual agent.")
    model, mode = (check_choice(name, options[name]) if name in options else None for name in ("model", "mode"))
    prompt = rest.strip()
    if not prompt:
        return FormCommand(repository, base, agent, model, mode)
    return StartCommand(repository, prompt, base, agent, model, mode)


def _first_word(text: str) -> tuple[str, str]:
    parts = text.split(None, 1)
    if not parts:
        return "", ""
    return parts[0], parts[1] if len(parts) > 1 else ""


def _shown(text: str) -> str:
    flat = re.sub(r"[`\s]+", " ", text).strip()
    return flat if len(flat) <= 60 else flat[:59] + "…"
