"""Sentences the thread is owed. Stored with the session, so that a crash cannot swallow them; texts are in views."""

from __future__ import annotations

from collections.abc import Mapping

from slackbot.core.session import Notice, Session
from slackbot.core.values import replace

MAX_NOTICES = 10
"""More than these mean that Slack cannot be reached; the newest count."""


def with_notice(
    session: Session, kind: str, now: int, values: Mapping[str, str] | None = None, *, key: str = ""
) -> Session:
    """The session with one more notice, unless nothing can be posted in its thread any more.

    The id is the same whenever the same stored session is decided on again, so a repeated post can be found. `key`
    tells two notices of one kind that the same event brings from each other.
    """
    if session.thread.lost is not None:
        return session
    present = {name: value for name, value in (values or {}).items() if value}
    notice_id = f"{kind}:{session.launch}:{session.write_version}{f':{key}' if key else ''}"
    notice = Notice(notice_id=notice_id, kind=kind, at=now, values=present)
    notices = (*session.thread.notices, notice)[-MAX_NOTICES:]
    return replace(session, thread=replace(session.thread, notices=notices))
