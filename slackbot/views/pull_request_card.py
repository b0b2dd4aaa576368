"""The pull request's card: one message in the thread, always as the pull request was last seen, with what can be done.

Made for `UpdatePullRequestCard`; it shows nothing that is not in `core.pull_request_rules.pull_request_card_key`.
"""

from __future__ import annotations

from slackbot.core.ports import Metadata
from slackbot.core.pull_request_rules import AGENT_ACTIONS, can_merge, hindrance_of, prompted_by
from slackbot.core.pull_request_state import FailingCheck, Picture
from slackbot.core.session import Session
from slackbot.views import action_ids
from slackbot.views.blocks import Block, Element, actions, button, confirm, context, section
from slackbot.views.buttons import pull_request_page_button
from slackbot.views.language import say
from slackbot.views.view import View
from slackbot.views.words import code, link, mention, pull_request_link, shown_line

PULL_REQUEST_EVENT_TYPE = "devflow_pull_request"

_SHOWN_PEOPLE = 5

_HEADS = {"open": "pr.open", "merged": "pr.merged", "closed": "pr.closed"}

_DOING = {
    "fix_checks": "pr.doing_fix_checks",
    "address_review": "pr.doing_address_review",
    "resolve_conflicts": "pr.doing_resolve_conflicts",
    "ready": "pr.doing_ready",
    "merge": "pr.doing_merge",
    "delete_branch": "pr.doing_delete_branch",
}


def pull_request_card(session: Session) -> View:
    """The card of the session's pull request."""
    picture, language = session.pull_request.seen or Picture(), session.language
    blocks: list[Block] = [section(_titled(session, picture, session.pr_url))]
    lines = _lines(session, picture)
    if lines:
        blocks.append(section("\n".join(lines)))
    blocks.append(context(*_facts(session, picture)))
    doing = _doing(session)
    if doing:
        blocks.append(context(*doing))
    blocks += actions(*_buttons(session, picture, language))
    return View(_head(session, picture, None), blocks)


def _head(session: Session, picture: Picture, url: str | None) -> str:
    state, language = session.pull_request.state or "", session.language
    name = pull_request_link(session.pr_number or 0, url, language)
    if state == "open" and picture.draft:
        return say(language, "pr.draft", pull_request=name)
    if state == "merged" and picture.merged_by:
        return say(language, "pr.merged_by", pull_request=name, by=_login(picture.merged_by))
    if state in _HEADS:
        return say(language, _HEADS[state], pull_request=name)
    return say(language, "pr.other_state", pull_request=name, state=shown_line(state, 30))


def _titled(session: Session, picture: Picture, url: str | None) -> str:
    head = _head(session, picture, url)
    if not picture.title:
        return head
    return say(session.language, "pr.titled", head=head, title=shown_line(picture.title, 250))


def pull_request_metadata(session: Session) -> Metadata:
    """Names the card: each that is asked for has a number of its own."""
    return Metadata(
        PULL_REQUEST_EVENT_TYPE,
        {
            "session_id": session.session_id,
            "pull_number": session.pr_number or 0,
            "card_number": session.pull_request.card_number,
        },
    )


def _lines(session: Session, picture: Picture) -> list[str]:
    language = session.language
    checks = _checks(picture, language)
    if session.pull_request.state != "open":
        return [checks] if checks and picture.failed else []
    lines = [*_reviews(picture, language), *([checks] if checks else [])]
    if picture.mergeable == "conflicting":
        lines.append(say(language, "pr.conflicts", base=code(picture.base_ref)))
    elif picture.mergeable == "mergeable":
        lines.append(say(language, "pr.no_conflicts", base=code(picture.base_ref)))
    refused = session.pull_request.reviewers_refused
    if refused:
        lines.append(say(language, "pr.reviewers_refused", people=_people([_login(one) for one in refused], language)))
    if session.pull_request.watch_ended_at is not None:
        lines.append(say(language, "pr.unwatched"))
    return lines


def _reviews(picture: Picture, language: str) -> list[str]:
    lines = []
    for state, key in (("changes_requested", "pr.changes_asked"), ("approved", "pr.approved")):
        logins = [_login(opinion.user_login) for opinion in picture.opinions if opinion.state == state]
        if logins:
            lines.append(say(language, key, people=_people(logins, language)))
    if picture.review_decision == "review_required":
        lines.append(say(language, "pr.review_required"))
    if picture.unresolved:
        lines.append(say(language, "pr.threads_open", number=picture.unresolved))
    return lines


def _checks(picture: Picture, language: str) -> str | None:
    if not picture.checks_total:
        return None
    parts = []
    if picture.failed:
        more, names = picture.failed - len(picture.failing), ", ".join(_check(check) for check in picture.failing)
        if more > 0:
            parts.append(say(language, "pr.checks_failing_more", number=picture.failed, names=names, more=more))
        else:
            parts.append(say(language, "pr.checks_failing", number=picture.failed, names=names))
    if picture.pending:
        parts.append(say(language, "pr.checks_running", number=picture.pending))
    if picture.passed or not parts:
        parts.append(say(language, "pr.checks_passed", number=picture.passed))
    dot = "🔴" if picture.failed else "🟡" if picture.pending else "🟢"
    return say(language, "pr.checks", dot=dot, parts=", ".join(parts))


def _check(check: FailingCheck) -> str:
    return link(check.url, shown_line(check.name, 100) or "?")


def _facts(session: Session, picture: Picture) -> list[str]:
    language, facts = session.language, []
    if picture.changed_files:
        facts.append(
            say(
                language,
                "pr.files",
                number=picture.changed_files,
                additions=picture.additions,
                deletions=picture.deletions,
            )
        )
    if picture.base_ref:
        facts.append(say(language, "pr.into", base=code(picture.base_ref)))
    facts.append(
        say(language, "pr.prompted_by", people=_people([mention(one) for one in prompted_by(session)], language))
    )
    if session.pull_request.opened_by:
        facts.append(say(language, "pr.asked_by", user=mention(session.pull_request.opened_by)))
    if session.pull_request.branch_gone:
        facts.append(say(language, "pr.branch_deleted"))
    return facts


def _doing(session: Session) -> list[str]:
    """What is being done with it now."""
    language, said = session.language, []
    for one in session.pull_request.asked:
        key = _DOING.get(str(one.get("action")))
        if key:
            by = _by(str(one.get("user_id")), language, unasked=bool(one.get("unasked")))
            said.append(say(language, key, by=by))
    for turn in session.history:
        if turn.purpose in AGENT_ACTIONS and not turn.state.is_ended:
            by = _by(turn.user_id, language, unasked=turn.turn_id.startswith("auto:"))
            said.append(say(language, _DOING[turn.purpose], by=by))
    return said


def _by(user_id: str, language: str, *, unasked: bool) -> str:
    return say(language, "pr.by_settings") if unasked else mention(user_id)


def _buttons(session: Session, picture: Picture, language: str) -> list[Element | None]:
    page = pull_request_page_button(session)
    state = session.pull_request
    if state.state != "open":
        if state.branch_gone or state.branch_seen_at is None:
            return [page]
        question = confirm(
            say(language, "pr.delete_title"),
            say(language, "pr.delete_question", branch=shown_line(session.branch_name, 120)),
            say(language, "pr.delete_yes"),
            say(language, "pr.delete_no"),
        )
        return [page, _button(session, "delete_branch", say(language, "pr.button_delete_branch"), question)]
    fix = _button(session, "fix_checks", say(language, "pr.button_fix_checks"))
    address = _button(session, "address_review", say(language, "pr.button_address_review"))
    resolve = _button(session, "resolve_conflicts", say(language, "pr.button_resolve_conflicts"))
    merge = button(say(language, "pr.button_merge"), action_ids.PULL_REQUEST_MERGE, session.session_id, style="primary")
    is_merging = any(one.get("action") == "merge" for one in state.asked)
    return [
        page,
        fix if picture.failed else None,
        address if _has_review(picture) else None,
        resolve if picture.mergeable == "conflicting" else None,
        _button(session, "ready", say(language, "pr.button_ready")),
        merge if state.may_merge and can_merge(picture) and not is_merging else None,
    ]


def _has_review(picture: Picture) -> bool:
    return bool(picture.unresolved) or any(one.state == "changes_requested" for one in picture.opinions)


def _button(session: Session, action: str, label: str, question: Block | None = None) -> Element | None:
    """None while it is being done already, or cannot be."""
    if any(one.get("action") == action for one in session.pull_request.asked):
        return None
    if hindrance_of(session, action, "") is not None:
        return None
    return button(label, action_ids.PULL_REQUEST_ACTS[action], session.session_id, confirm=question)


def _login(login: str) -> str:
    """A person's name on GitHub. No mention: it is not known who they are in Slack."""
    return f"*{shown_line(login, 60)}*"


def _people(names: list[str], language: str) -> str:
    shown = ", ".join(names[:_SHOWN_PEOPLE])
    more = len(names) - _SHOWN_PEOPLE
    return say(language, "pr.people_more", people=shown, number=more) if more > 0 else shown
