"""One message that shows what the agent does right now, and what waits behind it. Made by the progress board from a
worker's reports, updated in place, deleted when the answer is posted; nothing of it is stored.
"""

from __future__ import annotations

from dataclasses import dataclass

from slackbot.core.clipping import one_line
from slackbot.core.joined_turns import joined_with
from slackbot.core.ports import Metadata
from slackbot.core.session import Session, Turn
from slackbot.core.slack_text import clean, harmless_markdown
from slackbot.views import action_ids
from slackbot.views.blocks import Block, actions, button, markdown, preformatted, section
from slackbot.views.language import say
from slackbot.views.markdown_cut import close_fence
from slackbot.views.view import View
from slackbot.views.words import duration, mention, shown_line

PROGRESS_EVENT_TYPE = "devflow_progress"

_PLAN_LINES, _CALL_LINES, _TAIL_LINES, _WAITING = 8, 4, 8, 3
_LINE, _TAIL = 160, 900
_MARKS = {"completed": "✅", "in_progress": "▶️", "failed": "❌"}


@dataclass(frozen=True)
class ProgressPicture:
    """What a worker last reported: the whole picture, not a delta. Pairs are (words, status of ACP)."""

    text: str = ""
    plan: tuple[tuple[str, str], ...] = ()
    tool_calls: tuple[tuple[str, str], ...] = ()
    elapsed_seconds: int = 0


def progress(session: Session, turn: Turn, progress: ProgressPicture) -> View:
    """The message while `turn` is worked on: what it does, the plan, the last steps, the end of the output."""
    cancelling = turn.cancelled_at is not None
    language, elapsed = session.language, duration(progress.elapsed_seconds, session.language)
    together = len(joined_with(session, turn))
    asks = session.open_permission is not None and not cancelling
    key = "progress.cancelling" if cancelling else "progress.asks" if asks else "progress.working"
    head = say(language, key, elapsed=elapsed)
    if together:
        head = say(language, "progress.together", head=head, number=together + 1)
    lines = [head, *_plan(progress, language), *_calls(progress)]
    blocks: list[Block] = [section("\n".join(lines))]
    tail = "" if cancelling else _tail(progress.text)
    if tail:
        # A shell's output is shown letter for letter; a coding agent, and a shell's report at the end, are Markdown.
        shell = session.agent == "shell" and "```" not in progress.text
        blocks.append(preformatted(tail) if shell else markdown(close_fence(harmless_markdown(tail), 2 * _TAIL)))
    blocks += _waiting(session)
    if not cancelling:
        blocks += actions(button(say(language, "button.cancel"), action_ids.PROMPT_CANCEL, turn.turn_id))
    prompt = shown_line(one_line(turn.prompt, 100), 100)
    text = say(language, "progress.cancelling_on" if cancelling else "progress.working_on", prompt=prompt)
    return View(text, blocks)


def _waiting(session: Session) -> list[Block]:
    """The prompts that are next, each with the button that lets it interrupt."""
    language, waiting = session.language, session.waiting_turns
    blocks = []
    for turn in waiting[:_WAITING]:
        line = say(language, "progress.waits", user=mention(turn.user_id), prompt=shown_line(turn.prompt, _LINE))
        now = button(say(language, "button.now"), action_ids.PROMPT_NOW, turn.turn_id)
        blocks.append(section(line, accessory=now))
    if len(waiting) > _WAITING:
        blocks.append(section(say(language, "progress.more_wait", number=len(waiting) - _WAITING)))
    return blocks


def progress_metadata(session: Session, turn: Turn) -> Metadata:
    """Names the turn this message belongs to, so that one left over by a crash can be found and deleted."""
    return Metadata(PROGRESS_EVENT_TYPE, {"session_id": session.session_id, "turn_id": turn.turn_id})


def _plan(progress: ProgressPicture, language: str) -> list[str]:
    """The lines round the one in work, when there are many."""
    at = next((n for n, (_, status) in enumerate(progress.plan) if status == "in_progress"), 0)
    first = max(0, min(at - 2, len(progress.plan) - _PLAN_LINES))
    shown = progress.plan[first : first + _PLAN_LINES]
    lines = [f"{_MARKS.get(status, '▫️')} {shown_line(words, _LINE)}" for words, status in shown]
    hidden = len(progress.plan) - len(shown)
    return [*lines, say(language, "words.and_more", number=hidden)] if hidden else lines


def _calls(progress: ProgressPicture) -> list[str]:
    recent = progress.tool_calls[-_CALL_LINES:]
    return [f"› {shown_line(title, _LINE)}{_call_state(status)}" for title, status in recent]


def _call_state(status: str) -> str:
    return {"in_progress": " …", "pending": " …", "failed": " ❌"}.get(status, "")


def _tail(text: str) -> str:
    lines = clean(text).rstrip().split("\n")[-_TAIL_LINES:]
    tail = "\n".join(lines).strip("\n")
    return tail if len(tail) <= _TAIL else "…" + tail[1 - _TAIL :]
