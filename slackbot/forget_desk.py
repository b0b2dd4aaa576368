"""`/devflow forget`: takes a session out of the store, once somebody said yes, and tells what remains elsewhere.

Called by the command desk, which checks who asks. What people wrote stays in Slack, what was pushed on the code host.
"""

from __future__ import annotations

import structlog

from slackbot.audit import AuditLog
from slackbot.core.errors import NotFound, PermanentError
from slackbot.core.ports import Chat, Metadata
from slackbot.core.session import Session
from slackbot.engine import Engine
from slackbot.views.forget import FORGOTTEN_EVENT_TYPE, forget_first_stop, forget_question, forgotten, forgotten_card
from slackbot.views.view import View

log = structlog.get_logger()


class ForgetDesk:
    """Only a session that is over is forgotten; a live one is to be stopped first."""

    def __init__(self, *, engine: Engine, chat: Chat, audit: AuditLog) -> None:
        self._engine = engine
        self._chat = chat
        self._audit = audit

    def question(self, session: Session, *, permalink: str | None, language: str) -> View:
        """What would be removed and what would stay, with the button that does it."""
        if session.status.is_live:
            return forget_first_stop(language=language)
        return forget_question(session, permalink=permalink, language=language)

    async def forget(self, session: Session, user_id: str, *, permalink: str | None, language: str) -> View:
        """Removes it. `TemporaryError` while its task is still being stopped, or while Slack cannot be reached."""
        if session.status.is_live:
            return forget_first_stop(language=language)
        self._engine.check_forgettable(session)
        # The card first: with its metadata a reply would bring the session back.
        await self._take_card_back(session, user_id)
        gone = await self._engine.forget(session.session_id)
        if gone is None:
            raise NotFound("This session is over and forgotten.", "Start a new one with `/devflow start`.")
        self._audit.record(
            "forgotten", actor=user_id, session_id=session.session_id, repository=session.repository.full_name
        )
        log.info("session_forgotten", session_id=session.session_id, user_id=user_id)
        return forgotten(gone, permalink=permalink, language=language)

    async def _take_card_back(self, session: Session, user_id: str) -> None:
        thread = session.thread
        if thread.status_ts is None:
            return
        view = forgotten_card(session, user_id)
        try:
            await self._chat.update_message(
                thread.channel_id,
                thread.status_ts,
                text=view.text,
                blocks=view.blocks,
                metadata=Metadata(FORGOTTEN_EVENT_TYPE, {}),
            )
        except (NotFound, PermanentError) as error:
            # No card any more, or nothing can be written there: then nothing brings it back either.
            log.info("card_not_taken_back", session_id=session.session_id, why=error.summary)
