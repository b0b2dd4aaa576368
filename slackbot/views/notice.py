"""Notices: what the thread is told besides answers. Made by the engine for `PostNotice`, from `core.notices`.

A kind that is not known here was written by a newer replica; it gets a sentence that is true of anything.
"""

from __future__ import annotations

from collections.abc import Callable

from slackbot.core.ports import Metadata
from slackbot.core.session import EndedBy, Notice, Session
from slackbot.views.blocks import Block, actions, context, section
from slackbot.views.buttons import has_commits, open_pr_button, pull_request_button, retry_button
from slackbot.views.hand_over import handed_over
from slackbot.views.language import say, translated
from slackbot.views.listening import listen_changed, mentions_needed
from slackbot.views.pull_request_notices import PULL_REQUEST_KINDS
from slackbot.views.spending import spending_extended, spending_near, spending_reached
from slackbot.views.task_words import log_link
from slackbot.views.view import View
from slackbot.views.words import branch_link, code, joined, mention, pull_request_link, shown

NOTICE_EVENT_TYPE = "devflow_notice"


def notice(session: Session, notice: Notice) -> View:
    """The message for one notice, in the words of its kind."""
    return _KINDS.get(notice.kind, _unknown)(session, notice)


def notice_metadata(session: Session, notice: Notice) -> Metadata:
    """Names the notice this message is."""
    return Metadata(NOTICE_EVENT_TYPE, {"session_id": session.session_id, "notice_id": notice.notice_id})


def _stopped(session: Session, notice: Notice) -> View:
    language = session.language
    by, user_id = notice.values.get("by", ""), notice.values.get("user_id")
    what = say(language, _STOPPED_BY.get(by, "notice.stopped"))
    said = say(language, "notice.stopped_by", user=mention(user_id)) if by == "person" and user_id else what
    # A session that was started again meanwhile needs no word about how to do that.
    then = "" if session.status.is_live else say(language, "notice.wakes" if by in _WAKING else "notice.keeps")
    blocks = [section("⚪ " + joined(said, _unfinished(notice, language), _branch(session), then))]
    return View(what, blocks + _buttons(session))


def _failed(session: Session, notice: Notice) -> View:
    language = session.language
    summary = notice.values.get("summary") or session.error_message or say(language, "words.no_reason")
    remedy = notice.values.get("remedy") or session.error_remedy or ""
    summary, remedy = translated(language, summary), translated(language, remedy)
    lines = [say(language, "notice.failed"), shown(summary, 1_500), shown(remedy, 800)]
    log = log_link(notice.values.get("log_url"), language)
    blocks = [
        section("\n".join(line for line in lines if line)),
        context(*(part for part in (joined(_unfinished(notice, language), _branch(session)), log) if part)),
    ]
    text = say(language, "notice.failed_text", summary=shown(summary, 300))
    return View(text, blocks + _buttons(session))


def _pull_request_opened(session: Session, notice: Notice) -> View:
    language, user_id, number = session.language, notice.values.get("user_id", ""), notice.values.get("number", "?")
    words = pull_request_link(number, notice.values.get("url"), language)
    if user_id:
        told = say(language, "notice.pr_opened_for", pull_request=words, user=mention(user_id))
    else:
        told = say(language, "notice.pr_opened", pull_request=words)
    text = say(language, "notice.pr_opened_text", number=shown(number, 20))
    return View(text, [section(told), *actions(pull_request_button(session))])


def _pull_request_shown(session: Session, notice: Notice) -> View:
    language, number = session.language, notice.values.get("number", "?")
    words = pull_request_link(number, notice.values.get("url"), language)
    text = say(language, "notice.pr_shown_text", number=shown(number, 20))
    told = say(language, "notice.pr_shown", pull_request=words)
    return View(text, [section(told), *actions(pull_request_button(session))])


def _pull_request_refused(session: Session, notice: Notice) -> View:
    language = session.language
    summary = notice.values.get("summary") or say(language, "words.no_reason")
    summary = shown(translated(language, summary), 1_500)
    remedy = shown(translated(language, notice.values.get("remedy", "")), 800)
    told = joined(say(language, "notice.pr_refused"), summary, remedy)
    return View(say(language, "notice.pr_refused_text", summary=summary)[:600], [section(told)])


def _frozen(session: Session, notice: Notice) -> View:
    language = session.language
    what = say(language, "notice.frozen")
    told = joined(what, _unfinished(notice, language), say(language, "notice.frozen_then"))
    return View(what, [section(f"🧊 {told}")])


def _thawed(session: Session, notice: Notice) -> View:
    language = session.language
    what = say(language, "notice.thawed")
    then = "" if session.status.is_live else say(language, "notice.wakes")
    return View(what, [section(joined(what, then)), *_buttons(session)])


def _unknown(session: Session, notice: Notice) -> View:
    told = say(session.language, "notice.unknown")
    return View(told, [section(told)])


def _unfinished(notice: Notice, language: str) -> str:
    """What the end of the session did to the prompts that were not done."""
    sentences = []
    if "working" in notice.values:
        sentences.append(say(language, "notice.working_ended"))
    waiting = notice.values.get("waiting", "0")
    number = int(waiting) if waiting.isdecimal() else 0
    if number:
        sentences.append(say(language, "notice.waiting_ended", number=number))
    return joined(*sentences)


def _branch(session: Session) -> str:
    if has_commits(session):
        return say(session.language, "notice.pushed", branch=branch_link(session))
    if session.branch.base_sha is None:
        return say(session.language, "notice.no_branch")
    # No link: it would soon lead nowhere.
    return say(session.language, "notice.nothing_pushed", branch=code(session.branch_name))


def _buttons(session: Session) -> list[Block]:
    return actions(open_pr_button(session), pull_request_button(session), retry_button(session))


_STOPPED_BY = {
    "idle": "notice.stopped_by_idle",
    "age": "notice.stopped_by_age",
    "shutdown": "notice.stopped_by_shutdown",
    "root_deleted": "notice.stopped_by_root_deleted",
}

_WAKING = frozenset(str(by) for by in EndedBy if by.wakes_on_reply)
"""The ends that a reply undoes."""

_KINDS: dict[str, Callable[[Session, Notice], View]] = {
    "stopped": _stopped,
    "failed": _failed,
    "frozen": _frozen,
    "thawed": _thawed,
    "pull_request_opened": _pull_request_opened,
    "pull_request_shown": _pull_request_shown,
    "pull_request_refused": _pull_request_refused,
    "handed_over": handed_over,
    "mentions_needed": mentions_needed,
    "listen_all": listen_changed,
    "listen_mentions": listen_changed,
    "spending_near": spending_near,
    "spending_reached": spending_reached,
    "spending_extended": spending_extended,
    **PULL_REQUEST_KINDS,
}
