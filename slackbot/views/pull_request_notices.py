"""Notices about the pull request: what people must act on, each a message of its own. Used by `views.notice`.

What GitHub says in them (names of checks, words of reviewers) is shown as it is, never as a mention.
"""

from __future__ import annotations

from collections.abc import Callable

from slackbot.core.pull_request_state import MAX_FAILING, MAX_OPINIONS
from slackbot.core.session import Notice, Session
from slackbot.views.blocks import Block, context, section
from slackbot.views.language import say, translated
from slackbot.views.view import View
from slackbot.views.words import code, joined, link, mention, pull_request_link, shown, shown_line


def _checks_failed(session: Session, notice: Notice) -> View:
    language = session.language
    names, urls = _split(notice, "names"), _split(notice, "urls")
    bare = [shown_line(name, 100) or "?" for name in names]
    linked = [link(url, name) for name, url in zip(bare, urls, strict=False)]
    more = notice.values.get("more", "")

    def told(name: str, listed: list[str]) -> str:
        values = {"pull_request": name, "names": ", ".join(listed)}
        if more.isdecimal():
            return say(language, "pr_news.checks_failed_more", **values, more=int(more))
        return say(language, "pr_news.checks_failed", **values)

    then = context(say(language, "pr_news.checks_failed_then"))
    return View(told(_name(session), bare), [section(told(_link(session), linked)), then])


def _changes_requested(session: Session, notice: Notice) -> View:
    return _said(session, notice, "pr_news.changes_asked", say(session.language, "pr_news.changes_asked_then"))


def _approved(session: Session, notice: Notice) -> View:
    return _said(session, notice, "pr_news.approved", "")


def _said(session: Session, notice: Notice, key: str, then: str) -> View:
    language = session.language
    logins = [shown_line(login, 60) for login in _split(notice, "by")]
    text = say(language, key, people=", ".join(logins), pull_request=_name(session))
    people = ", ".join(f"*{login}*" for login in logins)
    blocks: list[Block] = [section(say(language, key, people=people, pull_request=_link(session)))]
    words, url = notice.values.get("words"), notice.values.get("url")
    small = [say(language, "pr_news.quote", words=shown_line(words, 300))] if words else []
    if url:
        small.append(link(url, say(language, "pr_news.review_link")))
    if then:
        small.append(then)
    return View(text, [*blocks, *([context(*small)] if small else [])])


def _conflict(session: Session, notice: Notice) -> View:
    base = code(notice.values.get("base", "?"))
    then = context(say(session.language, "pr_news.conflict_then"))
    return _told(session, "pr_news.conflict", then, base=base)


def _merged(session: Session, notice: Notice) -> View:
    user_id, login = notice.values.get("user_id"), notice.values.get("by")
    goes_on = "pr_news.session_ends" if session.status.is_live else "pr_news.session_over"
    then = context(say(session.language, goes_on))
    if not (user_id or login):
        return _told(session, "pr_news.merged", then)
    by = mention(user_id) if user_id else f"*{shown_line(login or '', 60)}*"
    return _told(session, "pr_news.merged_by", then, by=by)


def _closed(session: Session, notice: Notice) -> View:
    return _told(session, "pr_news.closed")


def _unwatched(session: Session, notice: Notice) -> View:
    is_gone = notice.values.get("reason") == "gone"
    return _told(session, "pr_news.unwatched_gone" if is_gone else "pr_news.unwatched_quiet")


def _act_refused(session: Session, notice: Notice) -> View:
    language = session.language
    what = say(language, _NOT_DONE.get(notice.values.get("action", ""), "pr_news.not_that"))
    why = translated(language, notice.values.get("summary", "")) or say(language, "words.no_reason")
    summary, remedy = shown(why, 1_500), shown(translated(language, notice.values.get("remedy", "")), 800)
    told = joined(say(language, "pr_news.not_done", what=what), summary, remedy)
    return View(f"{what}: {summary}"[:600], [section(told)])


_NOT_DONE = {
    "fix_checks": "pr_news.not_fix_checks",
    "address_review": "pr_news.not_address_review",
    "resolve_conflicts": "pr_news.not_resolve_conflicts",
    "ready": "pr_news.not_ready",
    "merge": "pr_news.not_merge",
    "delete_branch": "pr_news.not_delete_branch",
}


def _told(session: Session, key: str, *more: Block, **values: str) -> View:
    """One sentence; as plain text without the link."""
    text = say(session.language, key, pull_request=_name(session), **values)
    told = say(session.language, key, pull_request=_link(session), **values)
    return View(text, [section(told), *more])


def _name(session: Session) -> str:
    return pull_request_link(session.pr_number or "?", None, session.language)


def _link(session: Session) -> str:
    return pull_request_link(session.pr_number or "?", session.pr_url, session.language)


def _split(notice: Notice, name: str) -> list[str]:
    """No more than are told of, whatever is stored: the view must stay within Slack's limits."""
    parts = [part for part in notice.values.get(name, "").split("\n") if part]
    return parts[: max(MAX_FAILING, MAX_OPINIONS)]


PULL_REQUEST_KINDS: dict[str, Callable[[Session, Notice], View]] = {
    "pull_request_checks_failed": _checks_failed,
    "pull_request_changes_requested": _changes_requested,
    "pull_request_approved": _approved,
    "pull_request_conflict": _conflict,
    "pull_request_merged": _merged,
    "pull_request_closed": _closed,
    "pull_request_unwatched": _unwatched,
    "pull_request_act_refused": _act_refused,
}
