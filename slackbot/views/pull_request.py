"""What DevFlow writes on GitHub: the end of a pull request's body, and replies to review comments."""

from __future__ import annotations

from slackbot.core.clipping import clip
from slackbot.core.pull_request import REPLY_MARK
from slackbot.core.pull_request_text import harmless
from slackbot.core.session import Session, Turn

_REPLY_BYTES = 1_500


def pull_request_body(session: Session, permalink: str | None, body: str) -> str:
    """GitHub Markdown: `body`, then the way back to the thread and the session's id, by which any event finds it."""
    parts = [body.strip()] if body.strip() else []
    if permalink:
        parts.append(f"[The thread]({permalink})")
    parts.append(f"<!-- devflow-session: {session.session_id} -->")
    return "\n\n".join(parts) + "\n"


def review_reply(session: Session, turn: Turn) -> str:
    """What a turn did about a review, for the thread of each comment it was given."""
    said = clip(harmless(turn.response or "").strip(), _REPLY_BYTES)[0]
    done = f"Addressed in {turn.commit_sha}." if turn.commit_sha else "Looked at; nothing was changed."
    return f"{done}\n\n{said}".strip() + f"\n\n{REPLY_MARK}{turn.turn_id} -->\n"
