"""Title and body that a pull request is proposed with: from the agent's last answer, the prompts, the template. Pure.

The form shows them to be changed; asked for by a word, the pull request is opened with them as they are.
"""

from __future__ import annotations

import re

from slackbot.core.clipping import clip, one_line
from slackbot.core.naming import title_for
from slackbot.core.pull_request_prompts import fenced
from slackbot.core.session import Session, TurnState
from slackbot.core.slack_text import clean

MAX_TITLE = 72

_SUMMARY_BYTES = 6_000
_PROMPT_BYTES = 2_000
_MAX_PROMPTS = 20
_HEADING = re.compile(r"#{1,3}\s+(\S.*)")
_MENTION = re.compile(r"@(?=[A-Za-z0-9])")
_CLOSES = re.compile(
    r"\b(close[sd]?|fix(?:e[sd])?|resolve[sd]?)(:?\s+)(?=#\d|[\w.-]+/[\w.-]+#\d|https?://)", re.IGNORECASE
)


def proposed_title(session: Session) -> str:
    """The heading that the agent's last answer to a change begins with, else the first prompt in a line."""
    answer = _last_answer(session).lstrip()
    heading = _HEADING.match(answer)
    if heading:
        words = one_line(heading.group(1).strip("#*` "), MAX_TITLE)
        if len(words) >= 8:
            return words
    return title_for(session.initial_prompt)


def proposed_body(session: Session, template: str | None, *, limit_bytes: int = 40_000) -> str:
    """GitHub Markdown: what the agent says it did, the prompts, the repository's template. Nobody is notified by it.

    The template comes last, to be filled in; where all would be too long, what the agent said is shortened first.
    """
    given = clean(template or "").strip()
    asked = [turn.prompt for turn in session.history if turn.state is TurnState.ANSWERED and turn.purpose is None]
    asked = asked or [session.initial_prompt]
    room = max(limit_bytes - len(given.encode()) - 200, 400)
    parts = []
    summary = harmless(_last_answer(session)).strip()
    if summary:
        parts.append(clip(summary, min(_SUMMARY_BYTES, room * 2 // 3))[0])
        room -= len(parts[0].encode())
    prompts: list[str] = []
    for prompt in reversed(asked[-_MAX_PROMPTS:]):
        quoted = fenced(clip(prompt, min(_PROMPT_BYTES, max(room - 40, 0)))[0])
        room -= len(quoted.encode()) + 2
        if room < 0 and prompts:
            break
        prompts.insert(0, quoted)
    parts += ["Made in a DevFlow session, from these prompts:", *prompts]
    if given:
        parts.append(given)
    return "\n\n".join(parts)


def harmless(text: str) -> str:
    """An agent's Markdown for GitHub, unable to notify anybody or to close an issue.

    https://docs.github.com/en/issues/tracking-your-work-with-issues/linking-a-pull-request-to-an-issue
    """
    return _CLOSES.sub("\\1\u200b\\2", _MENTION.sub("@\u200b", clean(text)))


def _last_answer(session: Session) -> str:
    """What the agent said when it last changed something."""
    said = [turn for turn in session.history if turn.state is TurnState.ANSWERED and turn.commit_sha]
    return clean(said[-1].response or "") if said else ""
