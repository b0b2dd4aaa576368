"""The buttons that make sense now, by what the session is. Used by card, answer and notice.

`language` is the reader's where one person reads alone; None = the thread's.
"""

from __future__ import annotations

from slackbot.core.session import Session, Status, Turn
from slackbot.core.undo_rules import undoing
from slackbot.views import action_ids
from slackbot.views.blocks import Element, button, confirm, link_button
from slackbot.views.language import say
from slackbot.views.words import is_web_url, shown_line


def stop_button(session: Session, language: str | None = None) -> Element | None:
    """Only while live. Asks first while a prompt is worked on: that is when something can be lost."""
    language = language or session.language
    if not session.status.is_live:
        return None
    question = None
    unpushed = session.task.unpushed_files or 0
    if session.working_turn is None and unpushed:
        question = confirm(
            say(language, "stop.title"),
            say(language, "stop.unpushed", number=unpushed),
            say(language, "stop.yes"),
            say(language, "stop.keep"),
        )
    if session.working_turn is not None:
        waiting = len(session.waiting_turns)
        more = say(language, "stop.waiting", number=waiting) if waiting else ""
        question = confirm(
            say(language, "stop.title"),
            say(language, "stop.question", waiting=more),
            say(language, "stop.yes"),
            say(language, "stop.no"),
        )
    return button(
        say(language, "button.stop"), action_ids.SESSION_STOP, session.session_id, style="danger", confirm=question
    )


def open_pr_button(session: Session, language: str | None = None) -> Element | None:
    """Only when there is a commit to show, and no pull request is open or asked for."""
    language = language or session.language
    if session.has_open_pull_request or session.pull_request.requested_at is not None:
        return None
    if session.branch.base_sha is None or not has_commits(session):
        return None
    return button(say(language, "button.open_pr"), action_ids.SESSION_OPEN_PR, session.session_id, style="primary")


def pull_request_button(session: Session, language: str | None = None) -> Element | None:
    """To the pull request's page, while it is open."""
    return pull_request_page_button(session, language) if session.has_open_pull_request else None


def pull_request_page_button(session: Session, language: str | None = None) -> Element | None:
    """The same, whatever became of it."""
    language = language or session.language
    if session.pr_number is None or session.pr_url is None or not is_web_url(session.pr_url):
        return None
    return link_button(
        say(language, "button.view_pr", number=str(session.pr_number)), action_ids.LINK_PULL_REQUEST, session.pr_url
    )


def diff_button(session: Session, turn: Turn) -> Element | None:
    """Only where the turn pushed something."""
    if not turn.commit_sha:
        return None
    return button(say(session.language, "button.view_diff"), action_ids.ANSWER_DIFF, turn.turn_id)


def steps_button(session: Session, turn: Turn) -> Element | None:
    if not turn.steps:
        return None
    return button(say(session.language, "button.steps"), action_ids.ANSWER_STEPS, turn.turn_id)


def undo_button(session: Session, turn: Turn) -> Element | None:
    """Only where the turn pushed something that was not undone yet. Asks first: it makes a commit."""
    if not turn.commit_sha or undoing(session, turn) is not None:
        return None
    language = session.language
    question = confirm(
        say(language, "undo.title"),
        say(language, "undo.question", commit=shown_line(turn.commit_sha[:7], 40)),
        say(language, "undo.yes"),
        say(language, "undo.no"),
    )
    return button(say(language, "button.undo"), action_ids.SESSION_UNDO, turn.turn_id, confirm=question)


def retry_button(session: Session, language: str | None = None) -> Element | None:
    """Only when the session is over, and its last prompt was not answered."""
    language = language or session.language
    if session.status.is_live or session.retryable_turn() is None:
        return None
    return button(say(language, "button.retry"), action_ids.SESSION_RETRY, session.session_id)


def editor_button(session: Session, language: str | None = None) -> Element | None:
    """Where there is an editor. It opens nothing by itself: who presses it gets a link of their own."""
    language = language or session.language
    if session.status is not Status.RUNNING or session.editor_url is None or not is_web_url(session.editor_url):
        return None
    return button(say(language, "button.open_editor"), action_ids.SESSION_EDITOR, session.session_id)


def has_commits(session: Session) -> bool:
    """Whether something was pushed. Turns that had to leave `history` may have done it: then assume so."""
    return session.dropped_ts is not None or any(turn.commit_sha for turn in session.history)
