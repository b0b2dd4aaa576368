"""The `action_id` of every button. Views put them on buttons, listeners answer to them; stored messages keep them,
so they are never renamed. A button's `value` is the session's id; the root's Retry has none (see `card.root`)."""

from __future__ import annotations

SESSION_STOP = "session_stop"
SESSION_OPEN_PR = "session_open_pr"
SESSION_RETRY = "session_retry"
SESSION_EXTEND = "session_extend"
HAND_OVER = "hand_over"
"""A list of people; the id of its block is this and the session's id."""

SPENDING_EXTEND = "spending_extend"
SESSION_EDITOR = "session_editor"
SESSION_FORGET = "session_forget"
PROMPT_CANCEL = "prompt_cancel"
PROMPT_NOW = "prompt_now"
"""Their value is the id of the turn that is meant: a press that comes late meets no other prompt."""

PROMPT_ASK = "prompt_ask"
"""Its value names a message: the ts of its thread, and its own."""

SESSION_UNDO = "session_undo"
"""Like the next two it has the turn's id as its value: the message may be pressed before its `ts` is stored."""
ANSWER_DIFF = "answer_diff"
ANSWER_STEPS = "answer_steps"
DIFF_PAGE_PREFIX = "diff_page_"
"""`previous` or `next`; the value is the page it leads to."""

PERMISSION_PREFIX = "permission_answer_"
"""With the number of the option; the value is `permission_id:number`."""

LINK_PREFIX = "link_"
"""Buttons that only open a page; Slack still tells the app, which has nothing to do then."""

LINK_PULL_REQUEST = "link_pull_request"
LINK_EDITOR = "link_editor"
LINK_THREAD = "link_thread"

START_PRESS = "start_press_"
"""Begins what its value says (`core.start_ticket`); a number follows, for a message may hold several."""

START_FORM = "start_form"
"""Opens the form, filled in with what its value says."""

START_DISMISS = "start_dismiss"

FORM_REPOSITORY = "form_repository"
FORM_BASE = "form_base"
FORM_AGENT = "form_agent"
FORM_PROMPT = "form_prompt"
FORM_CHANNEL = "form_channel"
"""Fields of the start form; each stands in a block of the same id."""

LIST_PAGE = "list_page"
"""Its value is the cursor of the next page."""

HOME_STOP = "home_stop"
HOME_RETRY = "home_retry"
HOME_OLDER = "home_older"
"""Buttons of Home: their value names the session (or the page), for no message does."""

START_FORM_CALLBACK = "start_form_submitted"
WORK_ON_THIS = "work_on_this"
"""`callback_id` of the form, and of the message shortcut in manifest.yml."""

PULL_REQUEST_MERGE = "pull_request_merge"
PULL_REQUEST_ACTS = {
    "fix_checks": "pull_request_fix_checks",
    "address_review": "pull_request_address_review",
    "resolve_conflicts": "pull_request_resolve_conflicts",
    "ready": "pull_request_ready",
    "delete_branch": "pull_request_delete_branch",
}
"""Buttons of the pull request's card that need no form, by what they ask for."""
