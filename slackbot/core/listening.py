"""Who is meant: is a reply in a thread a prompt, or do people talk to each other? Pure; the answer is in the session.

In a thread that DevFlow began every reply is a prompt while one person speaks there. Once a second one does, or in a
thread that people began, DevFlow must be named; what is said meanwhile goes along with the next prompt as context.
`slack.listen` says otherwise where somebody asked for it (`!listen all`, `!listen mentions`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slackbot.core import events as ev
from slackbot.core.attachments import FILES_ALONE, MAX_FILES, names_of
from slackbot.core.clipping import clip
from slackbot.core.errors import UsageError
from slackbot.core.notices import with_notice
from slackbot.core.session import MAX_HEARD, Session
from slackbot.core.values import replace

ALL, MENTIONS = "all", "mentions"
"""Values of `slack.listen`: every reply is a prompt; only those that name DevFlow. Absent: as the thread is."""

Files = Sequence[Mapping[str, str | int]]
"""What was attached: `file_id`, `name`, `size_bytes`."""

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


def overhear(session: Session, user_id: str, text: str, request_id: str | None, files: Files = ()) -> Session:
    """Said by people to people, with what they attached: context of the next prompt. Twice the same is heard once."""
    line = _line(user_id, text, files)
    if not line:
        return session
    heard = session.heard if request_id is None else (*session.heard, request_id)[-MAX_HEARD:]
    return replace(
        session,
        asides=(*session.asides, line)[-MAX_ASIDES:],
        aside_files=(*session.aside_files, *files)[-MAX_FILES:],
        heard=heard,
    )


def not_overheard(session: Session, user_id: str, text: str, files: Files = ()) -> Session:
    """Without what turned out to be a prompt, or is no longer said."""
    if not session.asides and not session.aside_files:
        return session
    line = _line(user_id, text, files)
    gone = {file.get("file_id") for file in files}
    return replace(
        session,
        asides=tuple(aside for aside in session.asides if aside != line),
        aside_files=tuple(file for file in session.aside_files if file.get("file_id") not in gone),
    )


def talk_changed(session: Session, event: ev.TalkChanged, now: int) -> Session:
    """Talk that was edited goes along as it reads now, and what was deleted does not; a prompt that went out had it."""
    before = _line(event.user_id, event.was, event.files)
    if before not in session.asides:
        return session
    if event.text is None:
        return not_overheard(session, event.user_id, event.was, event.files)
    now_said = _line(event.user_id, event.text, event.files)
    asides = (now_said if aside == before else aside for aside in session.asides)
    return replace(session, asides=tuple(aside for aside in asides if aside))


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


def _line(user_id: str, text: str, files: Files) -> str:
    """Who said it goes along; the gateway makes a name of the id. What is attached is named."""
    said, _ = clip("" if files and text == FILES_ALONE else text, MAX_ASIDE_BYTES)
    attached = f"(attached: {names_of(files)})" if files else ""
    words = " ".join(filter(None, (said, attached)))
    return f"<@{user_id}> {words}" if user_id and words else words
