"""DevFlow's own messages in a thread, found again and taken away: what Slack refuses here costs no answer.

Called by the writers of threads and the progress board, before and after they post; goes to the chat port.
"""

from __future__ import annotations

import structlog

from slackbot.core.errors import NotFound, PermanentError, ThreadUnreachable
from slackbot.core.ports import Chat, Message
from slackbot.core.session import Session
from slackbot.views.language import say

log = structlog.get_logger()


async def find_own(chat: Chat, session: Session, event_type: str) -> list[Message]:
    """The bot's messages of the session's thread with this metadata, oldest first.

    Empty where Slack does not let the bot read the thread (a missing scope): better told twice than never.
    """
    thread = session.thread
    try:
        return await chat.find_messages(thread.channel_id, thread.thread_ts, event_type=event_type)
    except ThreadUnreachable:
        raise
    except (NotFound, PermanentError) as error:
        log.warning("own_messages_not_found", session_id=session.session_id, why=error.summary)
        return []


async def take_away(chat: Chat, session: Session, ts: str) -> None:
    """Deletes one of the bot's messages. Where it may not be deleted it says that it is out of date.

    A workspace that exports all it says forbids it (`compliance_exports_prevent_deletion`).
    https://docs.slack.dev/reference/methods/chat.delete
    """
    channel_id = session.thread.channel_id
    try:
        await chat.delete_message(channel_id, ts)
    except ThreadUnreachable:
        raise
    except (NotFound, PermanentError) as error:
        log.info("message_not_deleted", session_id=session.session_id, message_ts=ts, why=error.summary)
        try:
            await chat.update_message(channel_id, ts, text=say(session.language, "words.outdated"))
        except (NotFound, PermanentError) as refused:
            log.info("message_not_outdated", session_id=session.session_id, message_ts=ts, why=refused.summary)
