"""The `action_id` of every button. Views put them on buttons, listeners answer to them; stored messages keep them,
so they are never renamed. A button's `value` is the session's id; the root's Retry has none (see `card.root`)."""

from __future__ import annotations

SESSION_STOP = "session_stop"
SESSION_OPEN_PR = "session_open_pr"
SESSION_RETRY = "session_retry"
SPENDING_EXTEND = "spending_extend"

LINK_PREFIX = "link_"
"""Buttons that only open a page; Slack still tells the app, which has nothing to do then."""

LINK_PULL_REQUEST = "link_pull_request"
LINK_EDITOR = "link_editor"
