"""What DevFlow writes into a pull request: the prompts, a way back to the thread, and the session's id."""

from __future__ import annotations

from slackbot.core.clipping import clip
from slackbot.core.session import Session, TurnState

_MAX_PROMPT_BYTES = 2_000
_MAX_PROMPTS = 20


def pull_request_body(session: Session, permalink: str | None) -> str:
    """GitHub Markdown. Prompts are quoted in fences, so that nothing in them mentions people or closes issues."""
    asked = [turn.prompt for turn in session.history if turn.state is TurnState.ANSWERED] or [session.initial_prompt]
    parts = ["Made in a DevFlow session, from these prompts:"]
    parts += [_fenced(clip(prompt, _MAX_PROMPT_BYTES)[0]) for prompt in asked[-_MAX_PROMPTS:]]
    if permalink:
        parts.append(f"[The thread]({permalink})")
    parts.append(f"<!-- devflow-session: {session.session_id} -->")
    return "\n\n".join(parts) + "\n"


def _fenced(text: str) -> str:
    longest = run = 0
    for character in text:
        run = run + 1 if character == "`" else 0
        longest = max(longest, run)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"
