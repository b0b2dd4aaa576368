"""Notices: what the thread is told besides answers. Made by the engine for `PostNotice`, from `core.notices`.

A kind that is not known here was written by a newer replica; it gets a sentence that is true of anything.
"""

from __future__ import annotations

from collections.abc import Callable

from slackbot.core.ports import Metadata
from slackbot.core.session import Notice, Session
from slackbot.views.blocks import Block, actions, context, section
from slackbot.views.buttons import has_commits, open_pr_button, pull_request_button, retry_button
from slackbot.views.task_words import log_link
from slackbot.views.view import View
from slackbot.views.words import branch_link, code, count, mention, pull_request_link, shown

NOTICE_EVENT_TYPE = "devflow_notice"

_WAKES = "A reply in this thread starts it again, on the same branch."
_KEEPS = "A reply in this thread is kept, and Retry runs it."


def notice(session: Session, notice: Notice) -> View:
    """The message for one notice, in the words of its kind."""
    return _KINDS.get(notice.kind, _unknown)(session, notice)


def notice_metadata(session: Session, notice: Notice) -> Metadata:
    """Names the notice this message is."""
    return Metadata(NOTICE_EVENT_TYPE, {"session_id": session.session_id, "notice_id": notice.notice_id})


def _stopped(session: Session, notice: Notice) -> View:
    by, user_id = notice.values.get("by", ""), notice.values.get("user_id")
    what = _STOPPED_BY.get(by, "This session was stopped.")
    said = f"{mention(user_id)} stopped this session." if by == "person" and user_id else what
    # A session that was started again meanwhile needs no word about how to do that.
    then = "" if session.status.is_live else (_WAKES if by in _STOPPED_BY else _KEEPS)
    blocks = [section("⚪ " + _joined(said, _unfinished(notice), _branch(session), then))]
    return View(what, blocks + _buttons(session))


def _failed(session: Session, notice: Notice) -> View:
    summary = notice.values.get("summary") or session.error_message or "No reason is known."
    remedy = notice.values.get("remedy") or session.error_remedy or ""
    lines = ["🔴 *This session ended with an error.*", shown(summary, 1_500), shown(remedy, 800)]
    log = log_link(notice.values.get("log_url"))
    blocks = [
        section("\n".join(line for line in lines if line)),
        context(*(part for part in (_joined(_unfinished(notice), _branch(session)), log) if part)),
    ]
    return View(f"This session ended with an error: {shown(summary, 300)}", blocks + _buttons(session))


def _pull_request_opened(session: Session, notice: Notice) -> View:
    user_id, number = notice.values.get("user_id", ""), notice.values.get("number", "?")
    words = f"{pull_request_link(number, notice.values.get('url'))} is open"
    asked = f", asked for by {mention(user_id)}" if user_id else ""
    told = f"🟢 {words}{asked}. What the agent pushes from now on becomes part of it."
    return View(f"Pull request #{shown(number, 20)} is open.", [section(told), *actions(pull_request_button(session))])


def _pull_request_shown(session: Session, notice: Notice) -> View:
    number = notice.values.get("number", "?")
    told = f"{pull_request_link(number, notice.values.get('url'))} is open already, and holds what was pushed since."
    text = f"Pull request #{shown(number, 20)} is open already."
    return View(text, [section(told), *actions(pull_request_button(session))])


def _pull_request_refused(session: Session, notice: Notice) -> View:
    summary = shown(notice.values.get("summary") or "No reason is known.", 1_500)
    remedy = shown(notice.values.get("remedy", ""), 800)
    told = _joined("🔴 *No pull request was opened.*", summary, remedy)
    return View(f"No pull request was opened: {summary}"[:600], [section(told)])


def _unknown(session: Session, notice: Notice) -> View:
    told = "Something happened to this session that this version of DevFlow has no words for. The card shows its state."
    return View(told, [section(told)])


def _unfinished(notice: Notice) -> str:
    """What the end of the session did to the prompts that were not done."""
    sentences = []
    if "working" in notice.values:
        sentences.append("The prompt in work ended with it; part of it may be done.")
    waiting = notice.values.get("waiting", "0")
    number = int(waiting) if waiting.isdecimal() else 0
    if number:
        verb = "was" if number == 1 else "were"
        sentences.append(f"{count(number, 'waiting prompt')} {verb} not run.")
    return _joined(*sentences)


def _branch(session: Session) -> str:
    if has_commits(session):
        return f"What was pushed is on {branch_link(session)}."
    if session.branch.base_sha is None:
        return "Nothing was pushed, so no branch is left."
    # No link: it would soon lead nowhere.
    return f"Nothing was pushed to {code(session.branch_name)}; a branch that stays empty is removed."


def _buttons(session: Session) -> list[Block]:
    return actions(open_pr_button(session), pull_request_button(session), retry_button(session))


def _joined(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


_STOPPED_BY = {
    "idle": "This session stopped itself, as nothing was asked of it for a while.",
    "age": "This session stopped itself: it had run for the longest time allowed.",
    "shutdown": "DevFlow was shut down, and this session with it.",
}
"""The ends that a reply undoes: `EndedBy.wakes_on_reply`."""

_KINDS: dict[str, Callable[[Session, Notice], View]] = {
    "stopped": _stopped,
    "failed": _failed,
    "pull_request_opened": _pull_request_opened,
    "pull_request_shown": _pull_request_shown,
    "pull_request_refused": _pull_request_refused,
}
