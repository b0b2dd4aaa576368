"""The end of a turn, as a message of its own in the thread: what the agent said, one line of facts, the buttons.

Made by the engine for `DeliverAnswer`; the metadata lets it find the message again before it posts a second one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from slackbot.core.clipping import one_line
from slackbot.core.ports import Metadata
from slackbot.core.session import Session, Turn, TurnState
from slackbot.core.slack_text import clean, harmless_markdown
from slackbot.core.turn_rules import BY_CLOCK
from slackbot.views import action_ids
from slackbot.views.blocks import Block, Element, actions, button, context, markdown, section
from slackbot.views.buttons import has_commits, open_pr_button, pull_request_button
from slackbot.views.markdown_cut import cut
from slackbot.views.view import View
from slackbot.views.words import count, duration, is_web_url, mention, shown_line

ANSWER_EVENT_TYPE = "devflow_answer"
MAX_ANSWER = 9_000
"""Characters in the message; a whole message takes about 10,000: https://github.com/slackapi/bolt-js/issues/2509"""

_NOTIFICATION = 150


@dataclass(frozen=True)
class AnswerView:
    """`overflow` is the whole answer, for a file beside the message, when it does not fit into the message."""

    view: View
    overflow: str | None = None


def answer(session: Session, turn: Turn, *, full_text: str | None = None) -> AnswerView:
    """An ended turn. `full_text` is the whole response, where more of it is at hand than is stored."""
    whole = clean(full_text if full_text is not None else turn.response or "").strip()
    told, is_cut = cut(harmless_markdown(whole), MAX_ANSWER)
    headline = _headline(turn)
    blocks: list[Block] = []
    if headline:
        blocks.append(section(headline))
    if told:
        blocks.append(markdown(told))
    elif turn.state is TurnState.ANSWERED:
        blocks.append(section("The agent ended without a word."))
    if is_cut:
        blocks.append(context("The whole answer is in the file below."))
    blocks.append(context(*_facts(session, turn)))
    advice = _advice(session, turn)
    if advice:
        blocks.append(context(advice))
    blocks += actions(_open_pr(session, turn), pull_request_button(session), _retry(session, turn))
    return AnswerView(View(_notification(turn, whole), blocks), whole if is_cut else None)


def answer_metadata(session: Session, turn: Turn) -> Metadata:
    """Names the turn this message tells the end of."""
    return Metadata(ANSWER_EVENT_TYPE, {"session_id": session.session_id, "turn_id": turn.turn_id})


def _headline(turn: Turn) -> str | None:
    if turn.state is TurnState.FAILED:
        return "🔴 *This prompt failed.*"
    if turn.state is TurnState.CANCELLED and turn.cancelled_by == BY_CLOCK:
        return "⚪ *Cancelled:* it took longer than one prompt may."
    if turn.state is TurnState.CANCELLED and turn.cancelled_by:
        return f"⚪ *Cancelled* by {mention(turn.cancelled_by)}."
    return None


def _facts(session: Session, turn: Turn) -> list[str]:
    facts = [f"Asked by {mention(turn.user_id)}"]
    if turn.claimed_at is not None and turn.responded_at is not None:
        facts.append(f"took {duration(turn.responded_at - turn.claimed_at)}")
    if turn.claimed_at is not None:
        facts.append(_changes(turn))
    if turn.commit_sha:
        facts.append(_commit(session, turn.commit_sha))
    tokens = _tokens(turn.usage or {})
    if tokens:
        facts.append(f"{tokens:,} tokens")
    return facts


def _changes(turn: Turn) -> str:
    if not turn.commit_sha and not turn.files_changed:
        return "nothing changed"
    words = count(turn.files_changed, "file") + " changed" if turn.files_changed is not None else "files changed"
    if turn.additions is None and turn.deletions is None:
        return words
    return f"{words}, +{turn.additions or 0:,} −{turn.deletions or 0:,}"


def _commit(session: Session, commit_sha: str) -> str:
    short = shown_line(commit_sha[:7], 40)
    url = f"{session.repository_url}/commit/{commit_sha}"
    return f"commit <{url}|{short}>" if is_web_url(url) else f"commit {short}"


def _tokens(usage: Mapping[str, int]) -> int:
    return usage.get("total_tokens") or usage.get("input_tokens", 0) + usage.get("output_tokens", 0)


def _advice(session: Session, turn: Turn) -> str | None:
    """What to do now; where the response ends with that already (a kept prompt), nothing is added."""
    if turn.state is TurnState.FAILED:
        return "Retry runs the same prompt again; or reply with another one."
    if turn.state is TurnState.CANCELLED and turn.claimed_at is not None:
        kept = "What was pushed before is on the branch. " if has_commits(session) else ""
        return f"{kept}Reply with what to do instead, or press Retry."
    return None


def _open_pr(session: Session, turn: Turn) -> Element | None:
    return open_pr_button(session) if turn.commit_sha else None


def _retry(session: Session, turn: Turn) -> Element | None:
    if turn.state is TurnState.ANSWERED:
        return None
    return button("Retry", action_ids.SESSION_RETRY, session.session_id)


def _notification(turn: Turn, whole: str) -> str:
    lead = {TurnState.FAILED: "Failed: ", TurnState.CANCELLED: "Cancelled: "}.get(turn.state, "")
    words = one_line(whole, _NOTIFICATION) or "The agent ended without a word."
    return lead + shown_line(words, _NOTIFICATION)
