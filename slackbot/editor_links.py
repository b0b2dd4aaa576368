"""Who comes into a session's web editor: makes links, takes them back once, and knows whose cookie is good.

The command desk asks for links, the gateway's editor room redeems them and shows cookies; used links are stored by the
engine, so that a link works once, whichever replica it is brought to.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from slackbot.admission import Admission
from slackbot.audit import AuditLog
from slackbot.core import editor_access
from slackbot.core import events as ev
from slackbot.core.access import Action, check_action
from slackbot.core.editor_access import COOKIE_SECONDS, LINK_SECONDS, Ticket
from slackbot.core.errors import Refused, UsageError
from slackbot.core.public_address import PublicAddress
from slackbot.core.session import Session, Status
from slackbot.engine import Engine

FRESH_SECONDS = 2.0
"""How long what was read of a session counts: a page of the editor is hundreds of requests."""
MAX_KEPT = 1_000


@dataclass(frozen=True)
class Entry:
    """A link that was redeemed: the cookie's value, and how many seconds it is good for."""

    cookie: str
    max_age_seconds: int
    user_id: str


class EditorLinks:
    """`secret` signs; `nonce` gives random names for links."""

    def __init__(
        self,
        *,
        engine: Engine,
        admission: Admission,
        audit: AuditLog,
        address: PublicAddress,
        secret: str,
        nonce: Callable[[], str] = lambda: secrets.token_urlsafe(18),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._admission = admission
        self._audit = audit
        self.address = address
        self._secret = secret
        self._nonce = nonce
        self._clock = clock
        self._read: OrderedDict[str, tuple[float, Session | None]] = OrderedDict()

    def link(self, session: Session, user_id: str) -> str:
        """The address of the page that lets this person in, once and within a minute. `Refused`, `UsageError`."""
        check_action(Action.OPEN_EDITOR, user_id, session.user_id, self._admission.policy)
        if session.status is not Status.RUNNING or session.task.editor_address is None:
            raise UsageError(
                "This session has no editor to open now.",
                "It has one while its worker runs, where code-server is installed.",
            )
        ticket = Ticket(user_id, self._engine.now() + LINK_SECONDS, self._nonce())
        text = editor_access.sign_link(self._secret, session, ticket)
        return self.address.entrance_url(session.session_id, text)

    async def redeem(self, session_id: str, link: str) -> Entry:
        """Uses the link up. `Refused` when it is not good, `IllegalTransition` when it was used before."""
        session = await self._engine.load(session_id)
        now = self._engine.now()
        ticket = editor_access.read_link(self._secret, session, link, now) if session is not None else None
        if session is None or ticket is None:
            raise Refused("This link is not good (any more).", "Press Open editor in Slack for a new one.")
        # They may have left, or lost the right, since the link was made.
        await self._admission.person(ticket.user_id)
        check_action(Action.OPEN_EDITOR, ticket.user_id, session.user_id, self._admission.policy)
        event = ev.EditorLinkRedeemed(ticket.user_id, ticket.nonce, ticket.expires_at)
        session = await self._engine.handle(session_id, event)
        self._audit.record(
            "editor_opened",
            actor=ticket.user_id,
            session_id=session_id,
            repository=session.repository.full_name,
            details={"launch": session.launch},
        )
        pass_ = Ticket(ticket.user_id, now + COOKIE_SECONDS, ticket.nonce)
        return Entry(editor_access.sign_cookie(self._secret, session, pass_), COOKIE_SECONDS, ticket.user_id)

    async def admitted(self, session_id: str, cookie: str) -> Session:
        """The session whose editor this cookie opens. `Refused` when it opens none (any more)."""
        session = await self._session(session_id)
        if session is not None and session.status is Status.RUNNING and session.task.editor_address is not None:
            ticket = editor_access.read_cookie(self._secret, session, cookie, self._engine.now())
            if ticket is not None:
                check_action(Action.OPEN_EDITOR, ticket.user_id, session.user_id, self._admission.policy)
                return session
        raise Refused("This editor is closed to you.", "Press Open editor in the session's thread in Slack.")

    def door_secret(self, session: Session) -> str:
        """What the worker's door wants to see."""
        return editor_access.door_secret(self._secret, session.session_id, session.launch)

    async def _session(self, session_id: str) -> Session | None:
        known = self._read.get(session_id)
        if known is not None and self._clock() - known[0] < FRESH_SECONDS:
            return known[1]
        session = await self._engine.load(session_id)
        self._read[session_id] = (self._clock(), session)
        self._read.move_to_end(session_id)
        while len(self._read) > MAX_KEPT:
            self._read.popitem(last=False)
        return session
