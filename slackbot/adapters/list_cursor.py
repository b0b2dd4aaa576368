"""The cursor of a list of sessions: opaque to who holds it, bound to the person whose list it is of. Pure.

A store makes one of the last entry it gave; it travels through Slack's buttons and comes back, perhaps garbled.
"""

from __future__ import annotations

import base64
import json

from slackbot.core.errors import UsageError

_GREATEST = 2**63 - 1


def make_cursor(user_id: str, created_at: int, session_id: str) -> str:
    """The cursor of the entries behind this one."""
    return base64.urlsafe_b64encode(json.dumps([user_id, created_at, session_id]).encode()).decode().rstrip("=")


def read_cursor(cursor: str, user_id: str) -> tuple[int, str]:
    """created_at and session_id of the entry before. `UsageError` when it was not made here for `user_id`."""
    try:
        decoded = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        owner, created_at, session_id = json.loads(decoded)
        known = owner == user_id and type(created_at) is int and type(session_id) is str and session_id
        if known and -_GREATEST <= created_at <= _GREATEST:
            return created_at, session_id
    except (ValueError, TypeError, RecursionError):
        pass
    raise UsageError("This page of the list is not known.", "Ask for the list again.")
