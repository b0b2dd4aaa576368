"""What opens a session's web editor: a link that works once and for a minute, and the cookie it leads to. Pure.

Both are signed with the deployment's secret and name the session, its launch and the person, so that nothing of a
former launch, and nothing of another person's, is ever right. That a link was used is stored with the session.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, replace

from slackbot.core import events as ev
from slackbot.core.errors import IllegalTransition
from slackbot.core.session import Session, Status

LINK_SECONDS = 60
"""How long a link may be redeemed."""
COOKIE_SECONDS = 12 * 3600
"""How long a browser that redeemed one is let in, if the session lives so long."""

_TICKET = re.compile(r"([UW][A-Z0-9]{1,30})\.([0-9]{1,12})\.([A-Za-z0-9_-]{8,64})\.([0-9a-f]{64})\Z")


@dataclass(frozen=True)
class Ticket:
    """Who may come in until when (Unix seconds). `nonce` names the link that it goes back to."""

    user_id: str
    expires_at: int
    nonce: str


def sign_link(secret: str, session: Session, ticket: Ticket) -> str:
    return _sign(secret, "link", session, ticket)


def sign_cookie(secret: str, session: Session, ticket: Ticket) -> str:
    return _sign(secret, "cookie", session, ticket)


def read_link(secret: str, session: Session, text: str, now: int) -> Ticket | None:
    """Whose link this is; None when it is not ours, not this launch's, or too old."""
    return _read(secret, "link", session, text, now)


def read_cookie(secret: str, session: Session, text: str, now: int) -> Ticket | None:
    """Whose cookie this is; None when it is not ours, not this launch's, or too old."""
    return _read(secret, "cookie", session, text, now)


def door_secret(secret: str, session_id: str, launch: int) -> str:
    """What the gateway shows to the worker's door: known to these two alone, for one launch."""
    return hmac.new(secret.encode(), f"editor-door:{session_id}:{launch}".encode(), hashlib.sha256).hexdigest()


def link_redeemed(session: Session, event: ev.EditorLinkRedeemed, now: int) -> Session:
    """A link is used up. `IllegalTransition` when it was before, so that of two presses one comes in."""
    if session.status is not Status.RUNNING or session.task.editor_address is None:
        raise IllegalTransition("This session has no editor now.", "Look at its thread in Slack.")
    kept = tuple(used for used in session.task.editor_links if int(used.partition(":")[0]) > now)
    if any(used.partition(":")[2] == event.nonce for used in kept):
        raise IllegalTransition("This link was used already.", "Press Open editor in Slack for a new one.")
    task = replace(session.task, editor_links=(*kept, f"{event.expires_at}:{event.nonce}"))
    return replace(session, task=task)


def _sign(secret: str, purpose: str, session: Session, ticket: Ticket) -> str:
    body = f"{ticket.user_id}.{ticket.expires_at}.{ticket.nonce}"
    return f"{body}.{_mac(secret, purpose, session, body)}"


def _read(secret: str, purpose: str, session: Session, text: str, now: int) -> Ticket | None:
    match = _TICKET.match(text)
    if match is None:
        return None
    body, mac = text.rsplit(".", 1)
    if not hmac.compare_digest(_mac(secret, purpose, session, body), mac):
        return None
    ticket = Ticket(match[1], int(match[2]), match[3])
    return ticket if ticket.expires_at > now else None


def _mac(secret: str, purpose: str, session: Session, body: str) -> str:
    text = f"editor-{purpose}:{session.session_id}:{session.launch}:{body}"
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
