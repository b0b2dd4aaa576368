"""Who is meant: is a reply in a thread a prompt, or do people talk to each other? Pure; the answer is in the session.

In a thread that DevFlow began every reply is a prompt while one person speaks there. Once a second one does, or in a
thread that people began, DevFlow must be named; what is said meanwhile goes along with the next prompt as context.
`slack.listen` says otherwise where somebody asked for it (`!listen all`, `!listen mentions`).
"""

from __future__ import annotations

from slackbot.core import events as ev
from slackbot.core.clipping import clip
from slackbot.core.errors import UsageError
from slackbot.core.notices import with_notice
from slackbot.core.session import MAX_HEARD, Session
from slackbot.core.values import replace

ALL, MENTIONS = "all", "mentions"
"""Values of `slack.listen`: every reply is a prompt; only those that name DevFlow. Absent: as the thread is."""

MAX_ASIDES = 20
MAX_ASIDE_BYTES = 1024


def needs_mention(session: Session) -> bool:
    """Whether a reply is a prompt only where it names DevFlow, whoever writes it."""
    thread = session.thread
    if thread.listen is not None:
        return thread.listen == MENTIONS
    # In a direct message nobody else is there; where the card is a reply, people began the thread.
    return not thread.is_direct and thread.status_ts not in (None, thread.thread_ts)


def is_prompt(session: Session, user_id: str, *, mentioned: bool) -> bool:
    """Whether what this person writes is for the agent. `mentioned`: it names DevFlow."""
    if mentioned or session.thread.listen == ALL or session.thread.is_direct:
        return True
    return not needs_mention(session) and user_id == session.user_id


def with_speaker(session: Session, user_id: str, now: int) -> Session:
    """The session once this person spoke in its thread: with the second one, prompts need a mention; said once."""
    thread = session.thread
    if thread.listen is not None or thread.is_direct or needs_mention(session) or user_id == session.user_id:
        return session
    switched = replace(session, thread=replace(thread, listen=MENTIONS))
    return with_notice(switched, "mentions_needed", now, {"user_id": user_id})


def overhear(session: Session, user_id: str, text: str, request_id: str | None) -> Session:
    """Said by people to people: context of the next prompt. The same message twice is heard once."""
    said, _ = clip(text, MAX_ASIDE_BYTES)
    if not said:
        return session
    heard = session.heard if request_id is None else (*session.heard, request_id)[-MAX_HEARD:]
    return replace(session, asides=(*session.asides, _line(user_id, said))[-MAX_ASIDES:], heard=heard)


def not_overheard(session: Session, user_id: str, text: str) -> Session:
    """Without what turned out to be a prompt."""
    line = _line(user_id, clip(text, MAX_ASIDE_BYTES)[0])
    return replace(session, asides=tuple(aside for aside in session.asides if aside != line))


def listen_requested(session: Session, event: ev.ListenRequested, now: int) -> Session:
    """Everybody in the thread is told, as it changes what each of their replies does."""
    if event.listen not in (ALL, MENTIONS):
        raise UsageError(
            "`!listen` needs to know to what.",
            "Write `!listen all` (every reply is a prompt) or `!listen mentions` (only those that name DevFlow).",
        )
    if session.thread.listen == event.listen:
        return session
    changed = replace(session, thread=replace(session.thread, listen=event.listen))
    return with_notice(changed, f"listen_{event.listen}", now, {"user_id": event.user_id})


def _line(user_id: str, text: str) -> str:
    """Who said it goes along; the gateway makes a name of the id."""
    return f"<@{user_id}> {text}" if user_id else text
