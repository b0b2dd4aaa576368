"""The worker's token: an HMAC over session and launch, so that it is fenced by the next launch. Pure.

`<session_id>.<launch>.<hex of HMAC-SHA256>`: the gateway needs no table of tokens to judge one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass

_TOKEN = re.compile(r"([0-9a-f-]{36})\.([0-9]{1,16})\.([0-9a-f]{64})\Z")


@dataclass(frozen=True)
class WorkerIdentity:
    """Who a token speaks for."""

    session_id: str
    launch: int


def sign_worker_token(secret: str, session_id: str, launch: int) -> str:
    """The token of one launch of one session."""
    return f"{session_id}.{launch}.{_mac(secret, session_id, launch)}"


def verify_worker_token(secret: str, token: str) -> WorkerIdentity | None:
    """Whose token this is, or None when it is not one of ours; compared in constant time."""
    match = _TOKEN.match(token)
    if match is None:
        return None
    session_id, launch = match.group(1), int(match.group(2))
    expected = _mac(secret, session_id, launch)
    return WorkerIdentity(session_id, launch) if hmac.compare_digest(expected, match.group(3)) else None


def _mac(secret: str, session_id: str, launch: int) -> str:
    return hmac.new(secret.encode(), f"worker:{session_id}:{launch}".encode(), hashlib.sha256).hexdigest()
