"""`/devflow forget`: takes a session out of the store, once somebody said yes, and tells what remains elsewhere.

Called by the command desk, which checks who asks. What people wrote stays in Slack, what was pushed on the code host.
"""

from __future__ import annotations

from slackbot.audit import AuditLog
from slackbot.core import events as ev
from slackbot.core.session import Session
from slackbot.engine import Engine
from slackbot.views.forget import forget_first_stop, forget_question, forgotten
from slackbot.views.view import View

WAIT_SECONDS = 1.0
"""So long the answer waits for it to be done; a press of a button must be acknowledged within three."""


class ForgetDesk:
    """Only a session that is over is forgotten; a live one is to be stopped first."""

    def __init__(self, *, engine: Engine, audit: AuditLog) -> None:
        self._engine = engine
        self._audit = audit

    def question(self, session: Session, *, permalink: str | None, language: str) -> View:
        """What would be removed and what would stay, with the button that does it."""
        if session.status.is_live:
            return forget_first_stop(language=language)
        return forget_question(session, permalink=permalink, language=language)

    async def forget(self, session: Session, user_id: str, *, permalink: str | None, language: str) -> View:
        """Durable on return; removed in a moment. `TemporaryError` while something else is still owed to the world."""
        if session.status.is_live:
            return forget_first_stop(language=language)
        if session.forgotten_by is None:
            self._engine.check_forgettable(session)
            await self._engine.handle(session.session_id, ev.ForgetRequested(user_id))
            self._audit.record(
                "forgotten", actor=user_id, session_id=session.session_id, repository=session.repository.full_name
            )
        done = await self._engine.is_gone(session.session_id, within_seconds=WAIT_SECONDS)
        return forgotten(session, permalink=permalink, done=done, language=language)
