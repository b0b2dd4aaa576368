"""What a person reads when something did not work: what happened, why, what to do next.

Called by listeners and engine with the errors of `core.errors`; never shows an exception DevFlow did not raise.
"""

from __future__ import annotations

from slackbot.core.errors import DevflowError, IllegalTransition
from slackbot.core.session import EndedBy, Session, Status
from slackbot.views.blocks import context, section
from slackbot.views.view import View
from slackbot.views.words import code, mention, shown, status_words


def error_view(error: DevflowError, reference: str | None = None) -> View:
    """The error's own sentences. `reference` is what the log entry about it can be found by."""
    summary = shown(error.summary, 1_800) or "That did not work."
    remedy = shown(error.remedy, 900)
    blocks = [section(f"{summary}\n{remedy}".strip())]
    if reference:
        blocks.append(context(f"Reference {code(reference, 60)} in DevFlow's log"))
    return View(" ".join(part for part in (summary, remedy) if part), blocks)


def unknown_error(reference: str) -> View:
    """For what nobody foresaw."""
    told = (
        "Something went wrong on DevFlow's side; it was not what you did. Try again in a moment. "
        f"If it stays like this, give the reference {code(reference, 60)} to who runs DevFlow: it stands in the log."
    )
    return View(f"Something went wrong on DevFlow's side. Reference: {shown(reference, 60)}", [section(told)])


def illegal(error: IllegalTransition, session: Session, asked: str) -> View:
    """A request that has no place in the session's state. `asked`: `stop`, `cancel`, `retry`, `pr` or `prompt`."""
    if session.status.is_live:
        return error_view(error)
    happened = _how_it_ended(session)
    done = {
        "stop": "so there is nothing to stop.",
        "cancel": "so nothing is being worked on.",
        "retry": "and cannot be started again just now.",
        "pr": "and no pull request can be opened just now.",
        "prompt": "so the prompt was not taken.",
    }.get(asked, "so that was not done.")
    wakes = session.ended is not None and session.ended.by.wakes_on_reply
    if asked in ("retry", "pr"):
        then = "Try again in a moment."
    elif wakes:
        then = "A reply in its thread starts it again."
    else:
        then = "Retry in its thread runs the last prompt again." if session.retryable_turn() else ""
    told = f"{happened}, {done} {then}".strip()
    return View(told, [section(told)])


def _how_it_ended(session: Session) -> str:
    ended = session.ended
    if session.status is Status.ERROR or ended is None:
        return f"This session has already {status_words(session.status)}" if ended else "This session is over already"
    if ended.by is EndedBy.PERSON and ended.user_id:
        return f"This session was stopped already, by {mention(ended.user_id)}"
    return "This session has already stopped itself" if ended.by.wakes_on_reply else "This session is over already"
