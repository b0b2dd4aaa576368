"""The Home tab: my sessions, live ones first, and for administrators everybody's. Called by the home desk.

https://docs.slack.dev/surfaces/app-home
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slackbot.core.clipping import one_line
from slackbot.core.session import Session, Status
from slackbot.views import action_ids
from slackbot.views.blocks import Block, Element, actions, button, context, link_button, section
from slackbot.views.buttons import pull_request_button, retry_button, stop_button
from slackbot.views.language import DEFAULT, say
from slackbot.views.view import View
from slackbot.views.words import (
    age,
    branch_link,
    is_web_url,
    mention,
    pull_request_link,
    repository_link,
    shown_line,
    status_words,
)

MAX_LIVE, MAX_ENDED, MAX_OTHERS = 10, 10, 15
"""Sessions of each kind on one Home: 100 blocks are the most a view takes, and each needs up to two."""

_PROMPT = 160


def home(
    *,
    own_live: Sequence[Session],
    ended: Sequence[Session],
    others_live: Sequence[Session] | None,
    now: int,
    permalinks: Mapping[str, str],
    cursor: str | None = None,
    is_first_page: bool = True,
    notice: View | None = None,
    language: str = DEFAULT,
) -> dict[str, Any]:
    """The whole view. `others_live` is None for who is no administrator; `permalinks`: session_id -> the thread."""
    blocks: list[Block] = []
    if notice is not None:
        blocks += [*notice.blocks[:5], {"type": "divider"}]
    blocks.append(_header(say(language, "home.yours")))
    blocks += actions(button(say(language, "home.new"), action_ids.START_FORM, "", style="primary"))
    if not own_live and not ended:
        blocks.append(section(say(language, "home.none" if is_first_page else "home.none_older")))
    for session in own_live[:MAX_LIVE]:
        blocks += _session(session, now, permalinks, language)
    blocks += _left_out(own_live, MAX_LIVE, language)
    if ended:
        blocks.append(_header(say(language, "home.recent")))
    for session in ended[:MAX_ENDED]:
        blocks += _session(session, now, permalinks, language)
    newest = None if is_first_page else button(say(language, "home.newest"), f"{action_ids.HOME_OLDER}_0", "")
    older = button(say(language, "home.older"), action_ids.HOME_OLDER, cursor) if cursor else None
    blocks += actions(newest, older)
    if others_live is not None:
        blocks += [{"type": "divider"}, _header(say(language, "home.everybody"))]
        if not others_live:
            blocks.append(context(say(language, "home.nobody")))
        for session in others_live[:MAX_OTHERS]:
            blocks += _session(session, now, permalinks, language, owner=True)
        blocks += _left_out(others_live, MAX_OTHERS, language)
    blocks.append(context(say(language, "home.foot")))
    return {"type": "home", "blocks": blocks[:100]}


def home_notice(notice: View) -> dict[str, Any]:
    """A Home that says why there is nothing."""
    return {"type": "home", "blocks": notice.blocks}


def _session(
    session: Session, now: int, permalinks: Mapping[str, str], language: str, *, owner: bool = False
) -> list[Block]:
    permalink = permalinks.get(session.session_id)
    thread = (
        link_button(say(language, "home.thread"), action_ids.LINK_THREAD, permalink)
        if permalink and is_web_url(permalink)
        else None
    )
    who = [mention(session.user_id)] if owner else []
    pull_request = []
    if session.pr_number is not None:
        state = session.pull_request.state
        link = pull_request_link(session.pr_number, session.pr_url, language)
        pull_request = [f"{link} ({shown_line(state, 30)})" if state else link]
    facts = [*who, branch_link(session), *pull_request, age(now - session.last_activity_at, language)]
    prompt = shown_line(one_line(session.initial_prompt, _PROMPT), _PROMPT * 2)
    head = f"*{repository_link(session.repository.full_name, session.repository_url)}* · {_state(session, language)}"
    return [
        section(f"{head}\n{prompt}\n{' · '.join(facts)}"),
        *actions(
            thread,
            pull_request_button(session, language),
            _here(retry_button(session, language), action_ids.HOME_RETRY),
            _here(stop_button(session, language), action_ids.HOME_STOP),
        ),
    ]


def _state(session: Session, language: str) -> str:
    if session.status is Status.RUNNING:
        working, waiting = session.working_turn, len(session.waiting_turns)
        if working is not None:
            more = say(language, "card.more_waiting", number=waiting) if waiting else ""
            return f"🔵 {say(language, 'home.working')}{more}"
        return f"🟢 {say(language, 'home.ready')}"
    mark = {Status.STARTING: "🟡", Status.ERROR: "🔴"}.get(session.status, "⚪")
    return f"{mark} {status_words(session.status, language)}"


def _here(element: Element | None, action_id: str) -> Element | None:
    """A session's button as it stands on Home, where its value says which session is meant."""
    return {**element, "action_id": action_id} if element is not None else None


def _left_out(sessions: Sequence[Session], limit: int, language: str) -> list[Block]:
    more = len(sessions) - limit
    return [context(say(language, "words.and_more", number=more))] if more > 0 else []


def _header(text: str) -> Block:
    return {"type": "header", "text": {"type": "plain_text", "text": text, "emoji": False}}
