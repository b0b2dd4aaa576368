"""What events do to `history`: queue, claim, end, keep, cancel, retry. Called by `core.transitions` alone."""

from __future__ import annotations

from slackbot.core import events as ev
from slackbot.core import joined_turns
from slackbot.core.attachments import with_earlier
from slackbot.core.clipping import MAX_PROMPT_BYTES, MAX_RESPONSE_BYTES, clip
from slackbot.core.errors import IllegalTransition, Refused, UsageError
from slackbot.core.history_budget import has_room
from slackbot.core.limits import Limits
from slackbot.core.permission_rules import waiting_since
from slackbot.core.session import MAX_WAITING_TURNS, WITHDRAWN, EndedBy, Session, Turn, TurnState
from slackbot.core.values import make, replace

BY_CLOCK = "-"
"""`cancelled_by` of a turn that ran out of time."""

MAX_SHOWN_FILES = 5
"""Files that an agent shows in one turn."""


def is_known(session: Session, turn_id: str, prompt_ts: str | None) -> bool:
    """Whether this prompt was received before: it stands in `history`, or stood there and had to make room."""
    if session.turn(turn_id) is not None:
        return True
    return bool(prompt_ts and session.dropped_ts and float(prompt_ts) <= float(session.dropped_ts))


def queue_prompt(session: Session, event: ev.PromptReceived, now: int) -> Session:
    """One more turn that waits. `Refused` when too many wait already."""
    if len(session.waiting_turns) >= MAX_WAITING_TURNS:
        raise Refused(
            f"{MAX_WAITING_TURNS} prompts wait in this session already, so this one was not taken.",
            "Send it again when some are done, or cancel the one in work with `!cancel`.",
        )
    turn = _new_turn(event, now, TurnState.QUEUED)
    if session.asides or session.aside_files:
        turn = replace(turn, context=session.asides, files=with_earlier(turn.files, session.aside_files))
    return replace(session, history=_in_order(session.history, turn), asides=(), aside_files=())


def keep_prompt(session: Session, event: ev.PromptReceived, now: int) -> Session:
    """A prompt for a session that is over: not run, but kept so that Retry can run it."""
    by = session.ended.by if session.ended else EndedBy.FAILURE
    why = "was stopped" if by is EndedBy.PERSON else "ended with an error"
    turn = replace(
        _new_turn(event, now, TurnState.CANCELLED),
        response=f"Not run: this session {why}. The prompt is kept; press *Retry* to start again with it.",
        responded_at=now,
    )
    return replace(session, history=(*session.history, turn))


def edit_prompt(session: Session, event: ev.PromptEdited, now: int) -> Session:
    """A waiting prompt says what its message says now; one in work or done stays as it was run."""
    turn = session.turn_of_message(event.prompt_ts)
    if turn is None or turn.state is not TurnState.QUEUED:
        return session
    prompt, shortened = clip(event.prompt, MAX_PROMPT_BYTES)
    if prompt == turn.prompt:
        return session
    return session.with_turn(replace(turn, prompt=prompt, shortened=shortened))


def delete_prompt(session: Session, event: ev.PromptDeleted, now: int) -> Session:
    """A waiting prompt whose message was deleted is withdrawn; nobody needs to be told."""
    turn = session.turn_of_message(event.prompt_ts)
    if turn is None or turn.state is not TurnState.QUEUED:
        return session
    withdrawn = replace(
        turn,
        state=TurnState.CANCELLED,
        response="Withdrawn: the message was deleted before the agent began.",
        responded_at=now,
        cancelled_by=turn.user_id,
        told_by=WITHDRAWN,
    )
    return session.with_turn(withdrawn)


def claim(session: Session, event: ev.TurnClaimed, now: int) -> Session:
    """The worker takes a turn; the one it has taken already is given to it again."""
    turn = session.turn(event.turn_id)
    if turn is not None and turn is session.working_turn and turn.claimed_launch == event.launch:
        return session
    waiting = session.waiting_turns
    if turn is None or session.working_turn is not None or not waiting or waiting[0] is not turn:
        raise IllegalTransition("This turn is not the next one.", "Ask for the next turn again.")
    if not has_room(session):
        raise IllegalTransition("Slack has not taken the last answers yet.", "Ask for the next turn again.")
    return joined_turns.claim_together(session, turn, event.launch, now)


def end_turn(session: Session, event: ev.TurnEnded, now: int) -> Session:
    """The worker's answer. One that is known already changes nothing, whatever it says."""
    turn = session.turn(event.turn_id)
    if turn is None or turn.state.is_ended:
        return session
    if turn is not session.working_turn or turn.claimed_launch != event.launch:
        raise IllegalTransition("This turn was never given to this worker.", "Ask for the next turn.")
    response, shortened = clip(event.response, MAX_RESPONSE_BYTES)
    return joined_turns.end_together(
        session,
        replace(
            turn,
            state=event.state,
            response=response,
            responded_at=now,
            commit_sha=event.commit_sha,
            files_changed=event.files_changed,
            additions=event.additions,
            deletions=event.deletions,
            usage=_usage(turn, event),
            steps=event.steps,
            shortened=turn.shortened or shortened or event.shortened,
            base_sha=event.base_sha,
            held=event.held,
            # A worker that could not push may have been heard by the host all the same.
            pushing=turn.pushing if event.state is TurnState.FAILED else None,
        ),
    )


def _usage(turn: Turn, event: ev.TurnEnded) -> dict[str, int] | None:
    """What the gateway counted (it has `calls`) is the provider's own word; else what the agent told."""
    if turn.usage and "calls" in turn.usage:
        return dict(turn.usage)
    return dict(event.usage) if event.usage else None


def request_cancel(session: Session, event: ev.CancelRequested, now: int) -> Session:
    """Cancel the turn in work; where none is, the one that would be next."""
    working, user_id = session.working_turn, event.user_id
    if event.turn_id is not None and (working is None or working.turn_id != event.turn_id):
        raise UsageError("That prompt is over already, so there is nothing to cancel.")
    if working is not None:
        if working.cancelled_at is not None:
            return session
        return session.with_turn(replace(working, cancelled_by=user_id, cancelled_at=now))
    if not session.waiting_turns:
        raise UsageError("Nothing is being worked on, so there is nothing to cancel.")
    cancelled = replace(
        session.waiting_turns[0],
        state=TurnState.CANCELLED,
        response="Cancelled before the agent began.",
        responded_at=now,
        cancelled_by=user_id,
        cancelled_at=now,
    )
    return session.with_turn(cancelled)


def retry(session: Session, event: ev.RetryRequested, now: int) -> Session:
    """The last failed or kept turn, or the one whose message is meant, once more, as a turn of its own."""
    last = session.retryable_turn(event.message_ts)
    if last is None:
        which = "This" if session.retryable_turn() else "The last"
        raise UsageError(f"{which} prompt was answered, so there is nothing to run again.", "Write a new one.")
    if any(not turn.state.is_ended and _is_same_prompt(turn, last) for turn in session.history):
        # Pressed twice, or on two messages: it waits already.
        return session
    # What was one piece of work is one again: the same prompts, each in a turn of its own.
    again = tuple(
        Turn(
            turn_id=event.turn_id if number == 0 else f"{event.turn_id}.{number}",
            user_id=event.user_id,
            prompt=turn.prompt,
            state=TurnState.QUEUED,
            prompted_at=now,
            prompt_ts=turn.prompt_ts,
            prompt_file=turn.prompt_file,
            files=turn.files,
            undoes=turn.undoes,
            context=turn.context,
            shortened=turn.shortened,
            purpose=turn.purpose,
        )
        for number, turn in enumerate(joined_turns.run_together(session, last))
    )
    if len(session.waiting_turns) + len(again) > MAX_WAITING_TURNS:
        raise Refused(f"{MAX_WAITING_TURNS} prompts wait in this session already.", "Try again when some are done.")
    replies = tuple(
        {**one, "turn_id": event.turn_id} if one.get("turn_id") == last.turn_id else one
        for one in session.pull_request.replies
    )
    if replies != session.pull_request.replies:
        session = replace(session, pull_request=replace(session.pull_request, replies=replies))
    return replace(session, history=(*session.history, *again))


def keep_time(session: Session, limits: Limits, now: int) -> Session:
    """A turn past its time is cancelled; one whose cancelling nobody confirms is ended without the worker."""
    working = session.working_turn
    if working is None:
        return session
    if working.cancelled_at is not None:
        if now - working.cancelled_at <= limits.cancel_seconds:
            return session
        by_clock = working.cancelled_by == BY_CLOCK
        text = (
            f"Ended after {limits.turn_seconds // 60} minutes, the limit for one prompt."
            if by_clock
            else "Cancelled, but the worker did not confirm it."
        )
        return joined_turns.end_together(
            session,
            replace(
                working,
                state=TurnState.FAILED if by_clock else TurnState.CANCELLED,
                response=text + " It may have done part of the work; what it pushed is on the branch.",
                responded_at=now,
            ),
        )
    if waiting_since(session, working) is not None:
        return session
    working_since = working.claimed_at + working.waited_seconds if working.claimed_at is not None else None
    if working_since is not None and now - working_since > limits.turn_seconds + limits.grace_seconds:
        return session.with_turn(replace(working, cancelled_by=BY_CLOCK, cancelled_at=now))
    return session


def fail_working(session: Session, now: int) -> Session:
    """The worker left in the middle of a turn: it may have done part of it, so it is not run again unasked."""
    working = session.working_turn
    if working is None:
        return session
    text = "The worker left while this was in work; it may have done part of it."
    failed = replace(working, state=TurnState.FAILED, response=text, responded_at=now)
    return joined_turns.end_together(session, failed)


def end_all(session: Session, now: int, *, told_by: str) -> Session:
    """The session is over: the turn in work and those that wait end with it, told by one notice."""
    failed = session.ended is not None and session.ended.by is EndedBy.FAILURE
    history = []
    for turn in session.history:
        if turn.state is TurnState.WORKING:
            state = TurnState.FAILED if failed else TurnState.CANCELLED
            text = "The session ended while this was in work; it may have done part of it."
            turn = replace(turn, state=state, response=text, responded_at=now, told_by=told_by)
        elif turn.state is TurnState.QUEUED:
            text = "Not run: the session ended before the agent began. The prompt is kept for Retry."
            turn = replace(turn, state=TurnState.CANCELLED, response=text, responded_at=now, told_by=told_by)
        history.append(turn)
    return replace(session, history=tuple(history))


def answer_posted(session: Session, event: ev.AnswerPosted, now: int) -> Session:
    turn = session.turn(event.turn_id)
    if turn is None or turn.response_ts is not None:
        return session
    return joined_turns.told_together(session, turn, event.response_ts)


def push_begun(session: Session, event: ev.PushBegun, now: int) -> Session:
    turn = session.turn(event.turn_id)
    if turn is None or turn.state is not TurnState.WORKING or turn.claimed_launch != event.launch:
        raise IllegalTransition("This turn was never given to this worker, or is over.", "Ask for the next turn.")
    return session.with_turn(replace(turn, pushing={"head_sha": event.head_sha, "base_sha": event.base_sha}))


def file_taken(session: Session, event: ev.FileTaken, now: int) -> Session:
    """A file the agent shows in the turn it works on; the same content twice is one file."""
    turn = session.turn(event.turn_id)
    if turn is None or turn.state is not TurnState.WORKING or turn.claimed_launch != event.launch:
        raise IllegalTransition("This turn was never given to this worker, or is over.", "Ask for the next turn.")
    if any(file.get("digest") == event.digest for file in turn.shown):
        return session
    if len(turn.shown) >= MAX_SHOWN_FILES:
        raise Refused(f"A turn shows {MAX_SHOWN_FILES} files at most.")
    name, _ = clip(event.name, 255)
    taken = {"digest": event.digest, "name": name, "file_id": event.file_id}
    return session.with_turn(replace(turn, shown=(*turn.shown, taken)))


def file_shared(session: Session, event: ev.FileShared, now: int) -> Session:
    turn = session.turn(event.turn_id)
    if turn is None:
        return session
    shown = tuple(
        {**file, "shared_at": file.get("shared_at", now)} if file.get("digest") == event.digest else file
        for file in turn.shown
    )
    return session.with_turn(replace(turn, shown=shown))


BREATH_SECONDS = 1.0


def follows_closely(session: Session, turn: Turn) -> bool:
    """Whether `turn`, which waits, was written in one breath with one that is not done, so that one may be missing."""
    if turn.prompt_ts is None or turn.state is not TurnState.QUEUED:
        return False
    written = float(turn.prompt_ts)
    others = [each for each in session.history if each.prompt_ts and each is not turn]
    if any(each.prompt_ts == turn.prompt_ts for each in others):
        return False
    return any(0 < written - float(each.prompt_ts or 0) < BREATH_SECONDS for each in others if not each.state.is_ended)


def _in_order(history: tuple[Turn, ...], turn: Turn) -> tuple[Turn, ...]:
    """With one more turn at its end, but before those that wait whose messages are younger: Slack may deliver late."""
    at = len(history)
    while turn.prompt_ts is not None and at > 0:
        before = history[at - 1]
        if before.state is not TurnState.QUEUED or before.prompt_ts is None or before.hurried_at is not None:
            break
        if float(before.prompt_ts) <= float(turn.prompt_ts):
            break
        at -= 1
    return (*history[:at], turn, *history[at:])


def _is_same_prompt(turn: Turn, other: Turn) -> bool:
    return turn.prompt == other.prompt and turn.prompt_ts == other.prompt_ts


def _new_turn(event: ev.PromptReceived, now: int, state: TurnState) -> Turn:
    prompt, shortened = clip(event.prompt, MAX_PROMPT_BYTES)
    values = {
        "turn_id": event.turn_id,
        "user_id": event.user_id,
        "prompt": prompt,
        "state": state,
        "prompted_at": now,
        "prompt_ts": event.prompt_ts,
        "prompt_file": event.prompt_file,
        "files": event.files,
        "shortened": shortened,
    }
    return make(Turn, values)
