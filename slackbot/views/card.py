"""The root message, which is also the session's card: what was asked, where it stands, what can be done now.

`root` is posted before there is a session; `card` takes its place and is updated whenever `core.card_key`
changes, so it shows nothing that is not in that key. The root's metadata lets a session begin from the root alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from slackbot.core.errors import UsageError
from slackbot.core.listening import needs_mention
from slackbot.core.ports import Metadata
from slackbot.core.repository_name import RepositoryName
from slackbot.core.session import EndedBy, Session, Status
from slackbot.core.slack_text import clean, plain_text
from slackbot.views import action_ids
from slackbot.views.blocks import Block, actions, button, context, fields, quoted, section
from slackbot.views.buttons import (
    editor_button,
    has_commits,
    open_pr_button,
    pull_request_button,
    retry_button,
    stop_button,
)
from slackbot.views.language import DEFAULT, say, translated
from slackbot.views.task_words import attempt_line, log_link, task_line
from slackbot.views.view import MAX_TEXT, View
from slackbot.views.words import (
    branch_link,
    code,
    mention,
    pull_request_link,
    repository_link,
    shown,
    shown_line,
)

ROOT_EVENT_TYPE = "devflow_session"
NO_WORDS = "(no words)"
MAX_ROOT_TEXT = 40_000
"""What a post takes as `text`: the whole prompt, until the session is stored. An update takes less.
https://docs.slack.dev/reference/methods/chat.postMessage"""

_QUEUE, _QUEUE_LINE = 3, 80
MAX_PROMPT = 1_500
"""Characters of the prompt on the card; the session keeps more, the agent gets all."""

_ENDED = {
    EndedBy.IDLE: "card.stopped_by_idle",
    EndedBy.AGE: "card.stopped_by_age",
    EndedBy.SHUTDOWN: "card.stopped_by_shutdown",
    EndedBy.SHARED: "card.stopped_by_shared",
    EndedBy.ROOT_DELETED: "card.stopped_by_root_deleted",
    EndedBy.MERGED: "card.stopped_by_merged",
    EndedBy.FAILURE: "card.stopped_by_failure",
}


@dataclass(frozen=True)
class RootRequest:
    """What the metadata of a root message says was asked for; the prompt is the message's text."""

    repository: RepositoryName
    base_branch: str
    agent: str
    user_id: str
    branch_name: str | None = None
    """The working branch, once a session was stored for this root; absent = only the root was ever written."""
    model: str | None = None
    mode: str | None = None
    pr_number: int | None = None
    pr_url: str | None = None


def card(session: Session, *, agent_note: str | None = None) -> View:
    """The card of a session as it is now. `agent_note`: a sentence about its agent, shown in small type."""
    language = session.language
    blocks = _head(
        session.initial_prompt,
        repository=repository_link(session.repository.full_name, session.repository_url),
        branch=say(language, "card.branch_from", branch=branch_link(session), base=code(session.base_branch)),
        user_id=session.user_id,
        agent=_agent(session),
        language=language,
    )
    blocks.append(section("\n".join([_situation(session), *_queue(session)])))
    if session.status is Status.ERROR:
        error = shown(translated(language, session.error_message or "") or say(language, "words.no_reason"), 1_500)
        remedy = shown(translated(language, session.error_remedy or ""), 800)
        blocks.append(section(f"{error}\n{remedy}".strip()))
    parts = (
        attempt_line(session),
        task_line(session),
        log_link(session.task.log_url, language),
        _pull_request(session),
    )
    small = [part for part in parts if part]
    if needs_mention(session):
        small.append(say(language, "listen.card"))
    if small:
        blocks.append(context(*small))
    note = shown_line(agent_note or "", 300)
    if note:
        blocks.append(context(note))
    blocks += actions(
        editor_button(session),
        open_pr_button(session),
        pull_request_button(session),
        retry_button(session),
        stop_button(session),
    )
    return View(root_text(session.initial_prompt), blocks)


def root(
    prompt: str,
    repository: RepositoryName,
    base_branch: str,
    agent: str,
    user_id: str,
    *,
    repository_url: str | None = None,
    language: str = DEFAULT,
) -> View:
    """The root before its session exists: the card's beginning.

    Its Retry has no value, for the message's `ts`, which makes the session's id, is not known yet. It is seen only
    when the session could not be stored; the listener then starts the session from the message itself.
    """
    blocks = _head(
        prompt,
        repository=repository_link(repository.full_name, repository_url),
        branch=say(language, "card.new_branch", base=code(base_branch)),
        user_id=user_id,
        agent=agent,
        language=language,
    )
    blocks.append(section(say(language, "card.root_starting")))
    blocks += actions(button(say(language, "button.retry"), action_ids.SESSION_RETRY, ""))
    return View(root_text(prompt, MAX_ROOT_TEXT), blocks)


def root_text(prompt: str, limit: int = MAX_TEXT) -> str:
    """The `text` of the root: the prompt itself, escaped; cut only where Slack would refuse it."""
    return shown(prompt, limit) or NO_WORDS


def root_metadata(
    *,
    repository: RepositoryName,
    base_branch: str,
    agent: str,
    user_id: str,
    model: str | None = None,
    mode: str | None = None,
) -> Metadata:
    """What was asked for, for the case that only the root was written before a crash."""
    payload = {"repository": repository.full_name, "base_branch": base_branch, "agent": agent, "user_id": user_id}
    chosen = {name: value for name, value in (("model", model), ("mode", mode)) if value}
    return Metadata(ROOT_EVENT_TYPE, {**payload, **chosen})


def card_metadata(session: Session) -> Metadata:
    """The root's metadata once its session is stored: with the branch, by which an expired session is found again."""
    asked = root_metadata(
        repository=session.repository,
        base_branch=session.base_branch,
        agent=session.agent,
        user_id=session.user_id,
        model=session.model,
        mode=session.mode,
    )
    stored: dict[str, str | int] = {"session_id": session.session_id, "branch_name": session.branch_name}
    if session.pr_number is not None:
        stored |= {"pr_number": session.pr_number, "pr_url": session.pr_url or ""}
    return Metadata(ROOT_EVENT_TYPE, {**asked.event_payload, **stored})


def prompt_of_root(text: str) -> str:
    """The prompt a root message's `text` holds; "" when it was empty."""
    prompt = plain_text(text).strip()
    return "" if prompt == NO_WORDS else prompt


def parse_root_metadata(mapping: Mapping[str, Any] | None) -> RootRequest | None:
    """The request a root message carries; None when the metadata is absent, foreign or broken."""
    if not isinstance(mapping, Mapping) or mapping.get("event_type") != ROOT_EVENT_TYPE:
        return None
    payload = mapping.get("event_payload")
    if not isinstance(payload, Mapping):
        return None
    values = [payload.get(name) for name in ("repository", "base_branch", "agent", "user_id")]
    texts = [value for value in values if isinstance(value, str) and value]
    if len(texts) != len(values):
        return None
    owner, _, name = texts[0].partition("/")
    try:
        more = [payload.get(name) for name in ("branch_name", "model", "mode")]
        given = [value if isinstance(value, str) and value else None for value in more]
        number, url = payload.get("pr_number"), payload.get("pr_url")
        wish = RootRequest(RepositoryName(owner, name), texts[1], texts[2], texts[3], given[0], given[1], given[2])
        if isinstance(number, int) and not isinstance(number, bool) and isinstance(url, str):
            return replace(wish, pr_number=number, pr_url=url or None)
        return wish
    except UsageError:
        return None


def _head(prompt: str, *, repository: str, branch: str, user_id: str, agent: str, language: str) -> list[Block]:
    words = clean(prompt).strip()
    if len(words) > MAX_PROMPT:
        words = words[: MAX_PROMPT - 1].rstrip() + "…"
    return [
        quoted(words),
        fields(
            (say(language, "card.repository"), repository),
            (say(language, "card.branch"), branch),
            (say(language, "card.owner"), mention(user_id)),
            (say(language, "card.agent"), shown_line(agent, 100)),
        ),
    ]


def _agent(session: Session) -> str:
    """The agent, and the model and the mode that somebody chose."""
    return ", ".join(part for part in (session.agent, session.model, session.mode) if part)


def _situation(session: Session) -> str:
    language = session.language
    if session.status is Status.STARTING:
        waiting = len(session.waiting_turns)
        return say(language, "card.starting_waiting", number=waiting) if waiting > 1 else say(language, "card.starting")
    if session.status is Status.RUNNING:
        return _running(session)
    if session.status is Status.ERROR:
        return say(language, "card.error") + _what_next(session)
    ended = session.ended
    if ended is None or (ended.by is EndedBy.PERSON and not ended.user_id):
        return say(language, "card.stopped") + _what_next(session)
    if ended.by is EndedBy.PERSON:
        return say(language, "card.stopped_by_person", user=mention(ended.user_id or "")) + _what_next(session)
    return say(language, _ENDED[ended.by])


def _running(session: Session) -> str:
    language, working, waiting = session.language, session.working_turn, len(session.waiting_turns)
    if session.open_permission is not None:
        return say(language, "card.waits_for_leave", user=mention(session.user_id))
    if working is not None:
        more = say(language, "card.more_waiting", number=waiting) if waiting else ""
        doing = "card.cancelling" if working.cancelled_at is not None else "card.working"
        return say(language, doing, user=mention(working.user_id)) + more
    if waiting:
        return say(language, "card.waiting", number=waiting)
    return say(language, "card.ready_mention" if needs_mention(session) else "card.ready")


def _queue(session: Session) -> list[str]:
    """What waits behind the prompt in work: whose, and how it begins."""
    waiting = session.waiting_turns if session.working_turn is not None else ()
    lines = [
        say(session.language, "progress.waits", user=mention(turn.user_id), prompt=shown_line(turn.prompt, _QUEUE_LINE))
        for turn in waiting[:_QUEUE]
    ]
    if len(waiting) > _QUEUE:
        lines.append(say(session.language, "progress.more_wait", number=len(waiting) - _QUEUE))
    return lines


def _what_next(session: Session) -> str:
    return say(session.language, "card.retry_runs_it" if session.retryable_turn() else "card.reply_is_kept")


def _pull_request(session: Session) -> str | None:
    language = session.language
    if session.pull_request.requested_at is not None:
        return say(language, "card.pull_request_asked")
    if session.pr_number is None:
        empty = session.status is Status.RUNNING and not has_commits(session)
        return say(language, "card.no_commits") if empty else None
    words = pull_request_link(session.pr_number, session.pr_url, language)
    state = session.pull_request.state
    if not state:
        return words
    return say(language, "card.pull_request_state", pull_request=words, state=shown_line(state, 30))
