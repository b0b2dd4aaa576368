"""**What I did**: a form with the steps the agent took in one turn. Made by the answer desk from the stored session."""

from __future__ import annotations

from typing import Any

from slackbot.core.session import Session, Turn
from slackbot.views.blocks import Block, context, modal, quoted, section
from slackbot.views.language import say
from slackbot.views.words import duration, shown_line

_STEP, _SECTION, _PROMPT = 220, 2_800, 500
_MARKS = {"completed": "✅", "failed": "❌", "in_progress": "▶️", "pending": "▫️"}


def steps_modal(session: Session, turn: Turn, language: str) -> dict[str, Any]:
    """The prompt, then one line a step, in order."""
    prompt = turn.prompt if len(turn.prompt) <= _PROMPT else turn.prompt[: _PROMPT - 1] + "…"
    blocks: list[Block] = [quoted(prompt)]
    lines = [
        f"{_MARKS.get(step.get('status', ''), '▫️')} {shown_line(step.get('title', ''), _STEP)}" for step in turn.steps
    ]
    if not lines:
        blocks.append(section(say(language, "steps.none")))
    gathered = ""
    for line in lines:
        if gathered and len(gathered) + 1 + len(line) > _SECTION:
            blocks.append(section(gathered))
            gathered = ""
        gathered = f"{gathered}\n{line}" if gathered else line
    if gathered:
        blocks.append(section(gathered))
    if turn.claimed_at is not None and turn.responded_at is not None:
        worked = max(0, turn.responded_at - turn.claimed_at - turn.waited_seconds)
        facts = [say(language, "answer.took", time=duration(worked, language))]
        if turn.waited_seconds:
            facts.append(say(language, "answer.waited", time=duration(turn.waited_seconds, language)))
        blocks.append(context(*facts))
    return modal(say(language, "steps.title"), blocks, close=say(language, "modal.close"))
