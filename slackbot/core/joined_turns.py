"""Waiting prompts of one person that become one piece of work when the agent is free, and the one that goes first.

The first of them leads: it is what the worker claims, and its answer tells all of them. The others keep a turn and a
mark of their own (`Turn.joined_to`), and end as it ends. Used by `core.turn_rules`, views and the gateway. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from slackbot.core import events as ev
from slackbot.core.errors import UsageError
from slackbot.core.session import Session, Turn, TurnState
from slackbot.core.values import replace


def following(session: Session, lead: Turn) -> tuple[Turn, ...]:
    """What waits right behind `lead` and comes from the same person: prompts are never taken past another person's.

    What a session began with, and a prompt that somebody wanted now, are worked on alone.
    """
    waiting = session.waiting_turns
    if lead not in waiting or not _is_reply(lead):
        return ()
    found = []
    for turn in waiting[waiting.index(lead) + 1 :]:
        if turn.user_id != lead.user_id or not _is_reply(turn):
            break
        found.append(turn)
    return tuple(found)


def _is_reply(turn: Turn) -> bool:
    """Whether this is a prompt like any other: one that somebody wrote, and not one that undoes another."""
    return turn.prompt_ts is not None and turn.hurried_at is None and turn.undoes is None and turn.purpose is None


def joined_with(session: Session, lead: Turn) -> tuple[Turn, ...]:
    """The turns that are, or were, worked on together with `lead`, without it."""
    return tuple(turn for turn in session.history if turn.joined_to == lead.turn_id)


def claim_together(session: Session, lead: Turn, launch: int, now: int) -> Session:
    """`lead` in work, and what follows it with it."""
    claimed = session.with_turn(replace(lead, state=TurnState.WORKING, claimed_launch=launch, claimed_at=now))
    for turn in following(session, lead):
        claimed = claimed.with_turn(
            replace(turn, state=TurnState.WORKING, claimed_launch=launch, claimed_at=now, joined_to=lead.turn_id)
        )
    return claimed


def end_together(session: Session, lead: Turn) -> Session:
    """The session with `lead` (ended) in place, and those that were worked on with it ended the same way."""
    ended = session.with_turn(lead)
    for turn in joined_with(session, lead):
        if not turn.state.is_ended:
            ended = ended.with_turn(
                replace(
                    turn,
                    state=lead.state,
                    responded_at=lead.responded_at,
                    cancelled_by=lead.cancelled_by,
                    cancelled_at=lead.cancelled_at,
                )
            )
    return ended


def told_together(session: Session, lead: Turn, response_ts: str) -> Session:
    """The session in which the message `response_ts` told the end of `lead` and of those worked on with it."""
    told = session.with_turn(replace(lead, response_ts=response_ts, held=False))
    for turn in joined_with(session, lead):
        if turn.state.is_ended and turn.response_ts is None:
            told = told.with_turn(replace(turn, response_ts=response_ts))
    return told


def run_together(session: Session, turn: Turn) -> tuple[Turn, ...]:
    """Those that were one piece of work with `turn`, itself included, in order: what Retry runs again."""
    lead_id = turn.joined_to or turn.turn_id
    return tuple(each for each in session.history if lead_id in (each.turn_id, each.joined_to))


def hurry(session: Session, event: ev.PromptHurried, now: int) -> Session:
    """A waiting prompt goes first, and what is in work ends for it."""
    turn = session.turn(event.turn_id)
    if turn is None or turn.state is not TurnState.QUEUED:
        raise UsageError("That prompt does not wait any more.")
    others = [each for each in session.history if each is not turn]
    at = next((n for n, each in enumerate(others) if each.state is TurnState.QUEUED), len(others))
    others.insert(at, replace(turn, hurried_at=now))
    hurried = replace(session, history=tuple(others))
    working = hurried.working_turn
    if working is None or working.cancelled_at is not None:
        return hurried
    return hurried.with_turn(replace(working, cancelled_by=event.user_id, cancelled_at=now))


def files_of(session: Session, turn: Turn) -> tuple[Mapping[str, str | int], ...]:
    """What was attached to the prompts that are worked on with `turn`, in the order in which the agent gets it."""
    return tuple(file for each in (turn, *joined_with(session, turn)) for file in each.files)
