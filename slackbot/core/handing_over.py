"""A session gets another owner, who may stop it from then on; its thread is written in that person's language. Pure."""

from __future__ import annotations

from slackbot.core import events as ev
from slackbot.core.errors import UsageError
from slackbot.core.notices import with_notice
from slackbot.core.session import Session
from slackbot.core.values import replace


def handed_over(session: Session, event: ev.HandedOver, now: int) -> Session:
    """All in the thread are told. Who had it stays a participant."""
    if event.to_user_id == session.user_id:
        raise UsageError("That person has this session already.")
    thread = replace(session.thread, language=event.language)
    handed = replace(session, user_id=event.to_user_id, thread=thread)
    values = {"user_id": event.user_id, "to_user_id": event.to_user_id}
    return with_notice(handed, "handed_over", now, values)
