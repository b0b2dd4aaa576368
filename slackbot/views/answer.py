"""The end of a turn, as a message of its own in the thread: what the agent said, one line of facts, the buttons.

Made by the engine for `DeliverAnswer`; the metadata lets it find the message again before it posts a second one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from slackbot.core.clipping import one_line
from slackbot.core.joined_turns import joined_with
from slackbot.core.ports import Metadata
from slackbot.core.session import Session, Turn, TurnState
from slackbot.core.slack_text import clean, harmless_markdown
from slackbot.core.turn_rules import BY_CLOCK
from slackbot.views import action_ids
from slackbot.views.blocks import Block, Element, actions, button, context, markdown, section
from slackbot.views.buttons import (
    diff_button,
    has_commits,
    open_pr_button,
    pull_request_button,
    steps_button,
    undo_button,
)
from slackbot.views.language import say, translated
from slackbot.views.markdown_cut import cut, ending, headings
from slackbot.views.view import View
from slackbot.views.words import duration, joined, link, mention, shown_line

ANSWER_EVENT_TYPE = "devflow_answer"
MAX_ANSWER = 9_000
"""Characters in the message; a whole message takes about 10,000: https://github.com/slackapi/bolt-js/issues/2509"""

_SUMMARY, _HEADINGS, _ENDING = 1_900, 10, 800
"""Characters kept for what is said of the rest of an answer that goes on in a file."""

_PROMPT, _PROMPTS = 150, 3
"""Of a prompt, and how many of them, are quoted above an answer."""

_NOTIFICATION = 150


@dataclass(frozen=True)
class AnswerView:
    """`overflow` is the whole answer, for a file beside the message, when it does not fit into the message."""

    view: View
    overflow: str | None = None


def answer(session: Session, turn: Turn, *, full_text: str | None = None) -> AnswerView:
    """An ended turn. `full_text` is the whole response, where more of it is at hand than is stored."""
    whole = clean(full_text if full_text is not None else turn.response or "").strip()
    if turn.state is not TurnState.ANSWERED:
        # How it ended stands first, in DevFlow's own words; then comes what the agent had said.
        first, gap, rest = whole.partition("\n\n")
        whole = translated(session.language, first) + gap + rest
    harmless = harmless_markdown(whole)
    told, is_cut = cut(harmless, MAX_ANSWER)
    if is_cut:
        told, _ = cut(harmless, MAX_ANSWER - _SUMMARY)
    language = session.language
    headline = _headline(session, turn, language)
    prompts = _prompts(session, turn)
    blocks: list[Block] = [context("\n".join(prompts))] if prompts else []
    if headline:
        blocks.append(section(headline))
    if told:
        blocks.append(markdown(told))
    elif turn.state is TurnState.ANSWERED and not headline:
        blocks.append(section(say(language, "answer.no_words")))
    if is_cut:
        blocks += _summary(harmless, len(told), len(whole), language)
    blocks.append(context(*_facts(session, turn, is_attributed=bool(prompts))))
    advice = _advice(session, turn)
    if advice:
        blocks.append(context(advice))
    blocks += actions(
        diff_button(session, turn),
        steps_button(session, turn),
        _open_pr(session, turn),
        pull_request_button(session),
        undo_button(session, turn),
        _retry(session, turn),
    )
    return AnswerView(View(_notification(turn, whole, language), blocks), whole if is_cut else None)


def answer_metadata(session: Session, turn: Turn) -> Metadata:
    """Names the turn this message tells the end of."""
    return Metadata(ANSWER_EVENT_TYPE, {"session_id": session.session_id, "turn_id": turn.turn_id})


def _summary(text: str, shown: int, number: int, language: str) -> list[Block]:
    """Of an answer that goes on in a file: what comes further on, by its headings, and how it ends."""
    blocks: list[Block] = [context(say(language, "answer.in_file", number=number))]
    further = [shown_line(words, 80) for at, words in headings(text) if at >= shown][:_HEADINGS]
    if further:
        blocks.append(context(say(language, "answer.further", headings=" · ".join(further))))
    last = ending(text, _ENDING)
    if last:
        blocks.append(context(say(language, "answer.ends")))
        blocks.append(markdown(last))
    return blocks


def _headline(session: Session, turn: Turn, language: str) -> str | None:
    if turn.undoes and turn.state is TurnState.ANSWERED:
        undone = session.turn(turn.undoes)
        commit = _commit_link(session, undone.commit_sha) if undone is not None and undone.commit_sha else "?"
        return say(language, "undo.done" if turn.commit_sha else "undo.nothing_left", commit=commit)
    if turn.state is TurnState.FAILED:
        return say(language, "answer.failed")
    if turn.state is TurnState.CANCELLED and turn.cancelled_by == BY_CLOCK:
        return say(language, "answer.out_of_time")
    if turn.state is TurnState.CANCELLED and turn.cancelled_by:
        return say(language, "answer.cancelled_by", user=mention(turn.cancelled_by))
    return None


def _prompts(session: Session, turn: Turn) -> list[str]:
    """What is answered, where it does not stand right above: something else was asked or told in between."""
    if turn.undoes or turn.claimed_at is None:
        return []
    language, together = session.language, joined_with(session, turn)
    others = [each for each in session.history if each is not turn and each not in together]
    first, last = float(turn.prompt_ts or session.thread.thread_ts), float(turn.response_ts or "inf")
    between = [float(ts) for each in others for ts in (each.prompt_ts, each.response_ts) if ts]
    if not together and not any(first < ts < last for ts in between):
        return []
    asked = [
        say(language, "answer.prompt", user=mention(each.user_id), prompt=shown_line(each.prompt, _PROMPT))
        for each in (turn, *together)[:_PROMPTS]
    ]
    hidden = len(together) + 1 - len(asked)
    return [*asked, say(language, "words.and_more", number=hidden)] if hidden else asked


def _facts(session: Session, turn: Turn, *, is_attributed: bool) -> list[str]:
    language = session.language
    facts = [] if is_attributed else [say(language, "answer.asked_by", user=mention(turn.user_id))]
    if turn.claimed_at is not None and turn.responded_at is not None:
        worked = max(0, turn.responded_at - turn.claimed_at - turn.waited_seconds)
        facts.append(say(language, "answer.took", time=duration(worked, language)))
    if turn.waited_seconds:
        facts.append(say(language, "answer.waited", time=duration(turn.waited_seconds, language)))
    if turn.claimed_at is not None:
        facts.append(_changes(turn, language))
    if turn.commit_sha:
        facts.append(say(language, "answer.commit", commit=_commit_link(session, turn.commit_sha)))
    together = len(joined_with(session, turn))
    if together:
        facts.append(say(language, "answer.together", number=together + 1))
    tokens = _tokens(turn.usage or {})
    if tokens:
        facts.append(say(language, "answer.tokens", number=tokens))
    cost = (turn.usage or {}).get("cost_microdollars", 0)
    if cost:
        facts.append(say(language, "answer.cost", dollars=f"{cost / 1_000_000:,.2f}" if cost >= 5_000 else "&lt;0.01"))
    return facts


def _changes(turn: Turn, language: str) -> str:
    if not turn.commit_sha and not turn.files_changed:
        return say(language, "answer.nothing_changed")
    if turn.files_changed is None:
        files = say(language, "answer.some_files")
    else:
        files = say(language, "answer.files", number=turn.files_changed)
    if turn.additions is None and turn.deletions is None:
        return files
    return say(language, "answer.lines", files=files, additions=turn.additions or 0, deletions=turn.deletions or 0)


def _commit_link(session: Session, commit_sha: str) -> str:
    return link(f"{session.repository_url}/commit/{commit_sha}", shown_line(commit_sha[:7], 40))


def _tokens(usage: Mapping[str, int]) -> int:
    return usage.get("total_tokens") or usage.get("input_tokens", 0) + usage.get("output_tokens", 0)


def _advice(session: Session, turn: Turn) -> str | None:
    """What to do now; where the response ends with that already (a kept prompt), nothing is added."""
    language = session.language
    if turn.state is TurnState.FAILED:
        return say(language, "answer.after_failure")
    if turn.state is TurnState.CANCELLED and turn.claimed_at is not None:
        kept = say(language, "answer.kept") if has_commits(session) else ""
        return joined(kept, say(language, "answer.after_cancel"))
    return None


def _open_pr(session: Session, turn: Turn) -> Element | None:
    return open_pr_button(session) if turn.commit_sha else None


def _retry(session: Session, turn: Turn) -> Element | None:
    if turn.state is TurnState.ANSWERED:
        return None
    return button(say(session.language, "button.retry"), action_ids.SESSION_RETRY, session.session_id)


_LEADS = {TurnState.FAILED: "answer.lead_failed", TurnState.CANCELLED: "answer.lead_cancelled"}


def _notification(turn: Turn, whole: str, language: str) -> str:
    if turn.undoes and turn.state is TurnState.ANSWERED:
        return say(language, "undo.done_text" if turn.commit_sha else "undo.nothing_left_text")
    words = shown_line(one_line(whole, _NOTIFICATION) or say(language, "answer.no_words"), _NOTIFICATION)
    return say(language, _LEADS[turn.state], text=words) if turn.state in _LEADS else words
