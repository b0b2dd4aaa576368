"""Handing a session over: may that person have it, and have one more? Then it is theirs.

Called by the command desk, which checks who asks, and by the listener of the list to choose from.
"""

from __future__ import annotations

from slackbot.admission import Admission
from slackbot.core import events as ev
from slackbot.core.access import check_repository
from slackbot.core.errors import NotAdmitted, Refused
from slackbot.core.session import Session
from slackbot.engine import Engine
from slackbot.session_limits import SessionLimits
from slackbot.views.language import DEFAULT


class HandOverDesk:
    """Raises `DevflowError`s whose sentences the person who hands over is to read; nothing was changed then."""

    def __init__(self, *, engine: Engine, admission: Admission, limits: SessionLimits) -> None:
        self._engine = engine
        self._admission = admission
        self._limits = limits

    async def hand_over(self, session: Session, user_id: str, to_user_id: str, press_id: str) -> None:
        """The same `press_id` twice is one wish."""
        try:
            person = await self._admission.person(to_user_id)
        except NotAdmitted as error:
            raise Refused(
                "That person may not use DevFlow here, so the session was not handed over.",
                "Its administrator names who may in DEVFLOW_ALLOWED_USERS.",
            ) from error
        check_repository(session.repository, self._admission.policy)
        language = await self._admission.language(person.user_id)
        event = ev.HandedOver(
            user_id=user_id,
            to_user_id=person.user_id,
            language=None if language == DEFAULT else language,
            request_id=press_id,
        )
        if session.status.is_live and person.user_id != session.user_id:
            # A live one counts among those that its owner may have.
            async with self._limits.taken(person.user_id, session.session_id):
                await self._engine.handle(session.session_id, event)
        else:
            await self._engine.handle(session.session_id, event)
