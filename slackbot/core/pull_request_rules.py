"""What asks, looks and outcomes make of a session's pull request: handlers of `core.transitions`, one an event.

What changed between two looks is found in `core.pull_request`; what is owed then is in `core.effects`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

from slackbot.core import events as ev
from slackbot.core import turn_rules
from slackbot.core.clipping import clip
from slackbot.core.errors import UsageError
from slackbot.core.limits import PullRequestTerms
from slackbot.core.notices import with_notice
from slackbot.core.pull_request import observe
from slackbot.core.pull_request_state import MAX_ASKED, MAX_OLD_CARDS, MAX_TOLD, Picture, PullRequestState
from slackbot.core.session import MAX_WAITING_TURNS, Session, TurnState
from slackbot.core.session_rules import launch_again

AGENT_ACTIONS = ("fix_checks", "address_review", "resolve_conflicts")
"""What is a prompt for the agent; wakes a session that is over."""

ACTIONS = (*AGENT_ACTIONS, "ready", "merge", "delete_branch")

MAX_BODY_BYTES = 12 * 1024
MAX_FIXES_IN_ROW = 3
"""Automatic fixes one after the other that did not make the checks pass; then a person must look."""

BY_ITSELF = "-"
"""`user_id` in `asked` of what the settings asked for."""


# --------------------------------------------------------------------------------------------- opening


def pull_request_requested(session: Session, event: ev.PullRequestRequested, now: int) -> Session:
    state = session.pull_request
    if session.pr_number is not None and not _is_worth_a_new_one(session):
        return _shown_again(session, now)
    if session.branch.base_sha is None:
        raise UsageError("There is no branch yet to open a pull request from.", "Wait until the worker is ready.")
    if state.requested_at is not None:
        return session
    asked = replace(state, requested_by=event.user_id, requested_at=now)
    if event.title is not None:
        asked = replace(
            asked,
            title=event.title[:256],
            body=clip(event.body or "", MAX_BODY_BYTES)[0] or None,
            as_draft=event.draft,
            base_ref=event.base_ref,
            reviewers=event.reviewers[:15],
        )
    return replace(session, pull_request=asked)


def _is_worth_a_new_one(session: Session) -> bool:
    """Whether the pull request is over, and the branch has got commits since."""
    state = session.pull_request
    if state.state == "open":
        return False
    last = next((turn.commit_sha for turn in reversed(session.history) if turn.commit_sha), None)
    picture = state.seen
    return last is not None and (picture is None or picture.head_sha != last)


def _shown_again(session: Session, now: int) -> Session:
    """The card comes once more, at the end of the thread; the message that was it goes."""
    state = session.pull_request
    # One that is just being posted is not known yet: it goes when it is.
    old = (*state.old_cards, *([state.card_ts] if state.card_ts else []))[-MAX_OLD_CARDS:]
    fresh = replace(state, card=None, card_ts=None, card_number=state.card_number + 1, old_cards=old)
    if state.watch_ended_at is not None:
        # Somebody cares: it is watched again.
        fresh = replace(fresh, watch_ended_at=None, changed_at=now)
    return replace(session, pull_request=fresh)


def pull_request_opened(session: Session, event: ev.PullRequestOpened, now: int) -> Session:
    state = session.pull_request
    asked_by = state.requested_by or session.user_id
    if session.pr_number == event.number:
        # Found again: what was told of it stays told.
        known = replace(state, **_NOTHING_ASKED, state="open", node_id=event.node_id or state.node_id)
        return _shown_again(replace(session, pr_url=event.url, pull_request=known), now)
    opened = PullRequestState(
        state="open",
        node_id=event.node_id,
        opened_by=asked_by,
        changed_at=now,
        reviewers_refused=event.reviewers_refused[:15],
        picture=Picture(title=state.title or "", draft=event.draft, base_ref=state.base_ref or "").as_map(),
        may_merge=event.terms.may_merge,
        card_number=state.card_number + 1,
        # The card of an earlier pull request stays, as what it was.
        old_cards=state.old_cards,
        extra=state.extra,
    )
    branch = replace(session.branch, pushed=True) if session.branch.ref else session.branch
    return replace(session, pr_number=event.number, pr_url=event.url, pull_request=opened, branch=branch)


def pull_request_refused(session: Session, event: ev.PullRequestRefused, now: int) -> Session:
    # What the form said is kept: opened again, it shows it.
    asked = replace(session.pull_request, requested_at=None, requested_by=None)
    values = {"summary": event.summary, "remedy": event.remedy}
    return with_notice(replace(session, pull_request=asked), "pull_request_refused", now, values)


_NOTHING_ASKED: dict[str, Any] = {
    "requested_by": None,
    "requested_at": None,
    "title": None,
    "body": None,
    "as_draft": False,
    "base_ref": None,
    "reviewers": (),
}


# --------------------------------------------------------------------------------------------- looking


def pull_request_observed(session: Session, event: ev.PullRequestObserved, now: int) -> Session:
    if event.snapshot.number != session.pr_number:
        return session
    before = session.pull_request
    state, news = observe(before, event.snapshot, looked_at=event.looked_at, now=now)
    if state is not before and state.may_merge != event.terms.may_merge:
        state = replace(state, may_merge=event.terms.may_merge)
    if state is not before:
        url = event.snapshot.url or session.pr_url
        session = replace(session, pull_request=state, pr_url=url)
    for one in news:
        session = with_notice(session, one.kind, now, one.values)
    return _fixed_unasked(session, event.terms, now)


def _fixed_unasked(session: Session, terms: PullRequestTerms, now: int) -> Session:
    """With failing checks given to the agent, where the settings say so and not too often was it in vain."""
    state = session.pull_request
    picture = state.seen
    if terms.auto_fixes <= 0 or state.state != "open" or picture is None:
        return session
    if session.thread.frozen_at is not None or session.thread.lost is not None or session.forgotten_by is not None:
        # Nobody, or strangers, would see it; and only who writes there has found the thread again.
        return session
    fixes = state.auto_fixes or {}
    if picture.failed == 0 or picture.pending > 0:
        if picture.failed == 0 and picture.pending == 0 and picture.passed and fixes.get("in_row"):
            return replace(session, pull_request=replace(state, auto_fixes=None))
        return session
    count = int(fixes.get("count", 0)) if fixes.get("head_sha") == picture.head_sha else 0
    in_row = int(fixes.get("in_row", 0))
    is_busy = bool(state.asked) or any(not turn.state.is_ended for turn in session.history)
    if is_busy or count >= terms.auto_fixes or in_row >= MAX_FIXES_IN_ROW:
        return session
    request_id = f"auto:{picture.head_sha[:12]}:{count + 1}"
    asked = {"action": "fix_checks", "request_id": request_id, "user_id": session.user_id, "at": now, "unasked": True}
    fixes = {"head_sha": picture.head_sha, "count": count + 1, "in_row": in_row + 1}
    state = replace(state, auto_fixes=fixes, asked=(*state.asked, asked))
    session = replace(session, pull_request=state)
    return session if session.status.is_live else launch_again(session, now)


def pull_request_watch_ended(session: Session, event: ev.PullRequestWatchEnded, now: int) -> Session:
    state = session.pull_request
    if state.watch_ended_at is not None or state.state != "open":
        return session
    ended = replace(session, pull_request=replace(state, watch_ended_at=now))
    return with_notice(ended, "pull_request_unwatched", now, {"reason": event.reason})


def merged_branch_seen(session: Session, event: ev.MergedBranchSeen, now: int) -> Session:
    state = replace(session.pull_request, branch_seen_at=now, branch_gone=not event.is_there)
    return replace(session, pull_request=state)


# ---------------------------------------------------------------------------------------------- acting


def act_requested(session: Session, event: ev.PullRequestActRequested, now: int) -> Session:
    state = replace(session.pull_request, may_merge=event.terms.may_merge)
    hindrance = hindrance_of(replace(session, pull_request=state), event.action, event.user_id)
    if hindrance is not None:
        raise hindrance
    if any(asked.get("action") == event.action for asked in state.asked) or len(state.asked) >= MAX_ASKED:
        return session
    asked: dict[str, Any] = {
        "action": event.action,
        "request_id": event.request_id,
        "user_id": event.user_id,
        "at": now,
    }
    if event.method:
        asked["method"] = event.method
    if event.action in AGENT_ACTIONS:
        # A person looks after it again.
        state = replace(state, auto_fixes=None)
    session = replace(session, pull_request=replace(state, asked=(*state.asked, asked)))
    if event.action in AGENT_ACTIONS and not session.status.is_live:
        return launch_again(session, now)
    return session


def hindrance_of(session: Session, action: str, user_id: str) -> UsageError | None:
    """Why this cannot be done now, in words; None when it can be tried."""
    state, picture = session.pull_request, session.pull_request.seen or Picture()
    if session.pr_number is None:
        return UsageError("This session has no pull request yet.", "Open one first.")
    if action == "delete_branch":
        if state.state == "open":
            return UsageError("The pull request is open, so its branch must stay.", "Merge or close it first.")
        return UsageError("The branch is gone already.") if state.branch_gone else None
    if state.state != "open":
        return UsageError(f"The pull request is {state.state} already, so there is nothing to do.")
    if action in AGENT_ACTIONS:
        if any(not turn.state.is_ended and turn.purpose == action for turn in session.history):
            return UsageError("The agent has been asked for that already.", "Wait for its answer.")
        return None
    if action == "ready":
        return None if picture.draft else UsageError("The pull request is ready for review already.")
    if action == "merge":
        return _merge_hindrance(session, picture, user_id)
    return UsageError("This version of DevFlow does not know what to do there.")


def _merge_hindrance(session: Session, picture: Picture, user_id: str) -> UsageError | None:
    if not session.pull_request.may_merge:
        return UsageError("Merging from Slack is switched off.", "Merge on GitHub; DEVFLOW_MERGE would allow it here.")
    if not can_merge(picture):
        return UsageError(
            "GitHub does not say that this can be merged now.", "The card shows what is missing; look at it on GitHub."
        )
    is_approved = picture.review_decision == "approved" or any(one.state == "approved" for one in picture.opinions)
    if user_id in prompted_by(session) and not is_approved:
        return UsageError(
            "You prompted this work, so it is not for you to let it pass unseen.",
            "Let somebody review and approve it on GitHub, or let somebody else merge it.",
        )
    return None


def can_merge(picture: Picture) -> bool:
    """Whether nothing that GitHub tells is against it."""
    return (
        not picture.draft
        and picture.mergeable == "mergeable"
        and picture.review_decision in (None, "approved")
        and picture.failed == 0
        and picture.pending == 0
        and not any(opinion.state == "changes_requested" for opinion in picture.opinions)
    )


def prompted_by(session: Session) -> tuple[str, ...]:
    """Whose prompts are in the work, in their order."""
    done = [turn.user_id for turn in session.history if turn.state is not TurnState.CANCELLED]
    return tuple(dict.fromkeys([*session.dropped_user_ids, *done] or [session.user_id]))


def act_done(session: Session, event: ev.PullRequestActDone, now: int) -> Session:
    state = _without(session.pull_request, event.act_id)
    if state is session.pull_request:
        return session
    asked = next(one for one in session.pull_request.asked if one.get("request_id") == event.act_id)
    picture = state.seen or Picture()
    if event.action == "ready":
        state = replace(state, picture=replace(picture, draft=False).as_map())
    if event.action == "merge" and state.state == "open":
        merged = replace(state, state="merged", ended_at=now, asked=())
        values = {"user_id": str(asked.get("user_id", "")), "merge_sha": event.merged_sha or ""}
        return with_notice(replace(session, pull_request=merged), "pull_request_merged", now, values)
    if event.action == "delete_branch":
        state = replace(state, branch_gone=True, branch_seen_at=now)
    return replace(session, pull_request=state)


def act_refused(session: Session, event: ev.PullRequestActRefused, now: int) -> Session:
    state = _without(session.pull_request, event.act_id)
    if state is session.pull_request:
        return session
    values = {"action": event.action, "summary": event.summary, "remedy": event.remedy}
    return with_notice(replace(session, pull_request=state), "pull_request_act_refused", now, values)


def work_prepared(session: Session, event: ev.PullRequestWorkPrepared, now: int) -> Session:
    """The agent's prompt is there: it waits as any other; for a session that was stopped meanwhile it is kept."""
    asked = next((one for one in session.pull_request.asked if one.get("request_id") == event.act_id), None)
    if asked is None:
        return session
    state, action = _without(session.pull_request, event.act_id), str(asked["action"])
    replies = tuple({"comment_id": one, "turn_id": event.act_id} for one in event.comment_ids[:MAX_TOLD])
    if replies:
        state = replace(state, replies=replies)
    session = replace(session, pull_request=state)
    if len(session.waiting_turns) >= MAX_WAITING_TURNS:
        summary = f"{MAX_WAITING_TURNS} prompts wait in this session already, so the agent was not asked."
        values = {"action": action, "summary": summary, "remedy": "Press the button again when some are done."}
        return with_notice(session, "pull_request_act_refused", now, values)
    prompt = ev.PromptReceived(event.act_id, str(asked["user_id"]), event.prompt)
    queue = turn_rules.queue_prompt if session.status.is_live else turn_rules.keep_prompt
    session = queue(session, prompt, now)
    turn = session.turn(event.act_id)
    return session.with_turn(replace(turn, purpose=action)) if turn is not None else session


def review_answered(session: Session, event: ev.ReviewAnswered, now: int) -> Session:
    left = tuple(one for one in session.pull_request.replies if one.get("turn_id") != event.turn_id)
    return replace(session, pull_request=replace(session.pull_request, replies=left))


def _without(state: PullRequestState, act_id: str) -> PullRequestState:
    left = tuple(one for one in state.asked if one.get("request_id") != act_id)
    return state if len(left) == len(state.asked) else replace(state, asked=left)


# -------------------------------------------------------------------------------------------- the card


def card_told(session: Session, event: ev.PullRequestCardTold, now: int) -> Session:
    state = session.pull_request
    if event.card_number != state.card_number:
        # Another one was asked for while this one was posted: it is not the card any more.
        old = (*state.old_cards, event.card_ts)[-MAX_OLD_CARDS:]
        gone = event.card_ts in state.old_cards
        return session if gone else replace(session, pull_request=replace(state, old_cards=old))
    return replace(session, pull_request=replace(state, card=event.card, card_ts=event.card_ts))


def old_card_removed(session: Session, event: ev.OldCardRemoved, now: int) -> Session:
    left = tuple(ts for ts in session.pull_request.old_cards if ts != event.card_ts)
    return replace(session, pull_request=replace(session.pull_request, old_cards=left))


def pull_request_card_key(session: Session) -> str:
    """A short fingerprint of all that the pull request's card shows."""
    state = session.pull_request
    facts = (
        session.pr_number,
        session.pr_url,
        state.state,
        json.dumps(dict(state.picture or {}), sort_keys=True),
        state.opened_by,
        state.reviewers_refused,
        state.may_merge,
        state.watch_ended_at is not None,
        state.branch_gone,
        state.branch_seen_at is not None,
        tuple((one.get("action"), one.get("user_id"), one.get("unasked")) for one in state.asked),
        tuple((turn.purpose, turn.user_id) for turn in session.history if turn.purpose and not turn.state.is_ended),
        prompted_by(session),
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
