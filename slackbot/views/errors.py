"""What a person reads when something did not work: what happened, why, what to do next.

Called by listeners and engine with the errors of `core.errors`; never shows an exception DevFlow did not raise.
"""

from __future__ import annotations

from slackbot.core.errors import DevflowError, IllegalTransition
from slackbot.core.session import EndedBy, Session, Status
from slackbot.views.blocks import context, section
from slackbot.views.language import DEFAULT, say, translated
from slackbot.views.view import View
from slackbot.views.words import code, joined, mention, shown, status_words

_NOT_DONE = {
    "stop": "over.stop",
    "cancel": "over.cancel",
    "retry": "over.retry",
    "pr": "over.pr",
    "prompt": "over.prompt",
    "now": "over.now",
    "extend": "over.extend",
}


def error_view(error: DevflowError, reference: str | None = None, *, language: str = DEFAULT) -> View:
    """The error's own sentences. `reference` is what the log entry about it can be found by."""
    summary = shown(translated(language, error.summary), 1_800) or say(language, "error.empty")
    remedy = shown(translated(language, error.remedy), 900)
    blocks = [section(f"{summary}\n{remedy}".strip())]
    if reference:
        blocks.append(context(say(language, "error.reference", reference=code(reference, 60))))
    return View(joined(summary, remedy), blocks)


def unknown_error(reference: str, *, language: str = DEFAULT) -> View:
    """For what nobody foresaw."""
    told = say(language, "error.unknown", reference=code(reference, 60))
    return View(say(language, "error.unknown_text", reference=shown(reference, 60)), [section(told)])


def illegal(error: IllegalTransition, session: Session, asked: str, *, language: str = DEFAULT) -> View:
    """A request that has no place in the session's state. `asked`: `stop`, `cancel`, `retry`, `pr` or `prompt`."""
    if session.status.is_live:
        return error_view(error, language=language)
    not_done = say(language, _NOT_DONE.get(asked, "over.other"), happened=_how_it_ended(session, language))
    wakes = session.ended is not None and session.ended.by.wakes_on_reply
    if asked in ("retry", "pr"):
        then = say(language, "over.try_again")
    elif wakes:
        then = say(language, "over.reply_wakes")
    else:
        then = say(language, "over.retry_runs") if session.retryable_turn() else ""
    told = joined(not_done, then)
    return View(told, [section(told)])


def _how_it_ended(session: Session, language: str) -> str:
    ended = session.ended
    if session.status is Status.ERROR and ended is not None:
        return say(language, "over.already_status", status=status_words(session.status, language))
    if ended is not None and ended.by is EndedBy.PERSON and ended.user_id:
        return say(language, "over.stopped_by", user=mention(ended.user_id))
    itself = ended is not None and ended.by.wakes_on_reply
    return say(language, "over.stopped_itself" if itself else "over.already")
