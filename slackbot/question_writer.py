"""What the agent asks leave for, as a message in the thread: asked, and afterwards how it ended.

Called by the performer; the text comes from `views.permission`, the message is found again by its metadata.
"""

from __future__ import annotations

import structlog

from slackbot.core import effects as fx
from slackbot.core import events as ev
from slackbot.core.errors import NotFound, PermanentError, ThreadUnreachable
from slackbot.core.ports import Chat
from slackbot.core.session import Permission, Session
from slackbot.thread_writer import ThreadWriter
from slackbot.views.permission import permission, permission_metadata

log = structlog.get_logger()


class QuestionWriter:
    """Both may be tried again: `first` says that nobody can have tried before, so nothing is looked up."""

    def __init__(self, chat: Chat, writer: ThreadWriter) -> None:
        self._chat = chat
        self._writer = writer

    async def show(self, effect: fx.ShowPermission, session: Session, *, first: bool) -> ev.PermissionShown | None:
        """A message of its own, so that its owner is notified."""
        question = session.permission(effect.permission_id)
        if question is None:
            return None
        found = None if first else await self._find(session, question)
        view, metadata = permission(session, question), permission_metadata(session, question)
        ts = found or await self._writer.post(session, view, metadata, again=not first)
        return ev.PermissionShown(question.permission_id, ts)

    async def close(self, effect: fx.ClosePermission, session: Session) -> ev.PermissionTold | None:
        """The message says who answered what, and loses its buttons."""
        question = session.permission(effect.permission_id)
        if question is None:
            return None
        ts = question.message_ts or await self._find(session, question)
        if ts is not None:
            view, metadata = permission(session, question), permission_metadata(session, question)
            try:
                await self._chat.update_message(
                    session.thread.channel_id, ts, text=view.text, blocks=view.blocks, metadata=metadata
                )
            except ThreadUnreachable:
                raise
            except (NotFound, PermanentError) as error:
                log.info("question_not_closed", session_id=session.session_id, why=error.summary)
        return ev.PermissionTold(question.permission_id)

    async def _find(self, session: Session, question: Permission) -> str | None:
        about: dict[str, str | int] = {"permission_id": question.permission_id}
        found = await self._writer.find(session, permission_metadata(session, question).event_type, about)
        return found.ts if found is not None else None
