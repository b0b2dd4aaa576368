"""Small pieces of text: names, links, times and numbers as people read them. Used by every view.

What comes from people, agents or foreign systems goes through `shown`, `code` or `link`, never straight into a text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import accumulate
from urllib.parse import quote

from slackbot.core.clipping import one_line
from slackbot.core.ports import IndexEntry
from slackbot.core.session import Session
from slackbot.core.slack_text import clean, escape
from slackbot.views.language import DEFAULT, say
from slackbot.views.language.sentences import ENDS

_USER_ID = re.compile(r"[UW][A-Z0-9]{1,30}\Z")
_WEB = re.compile(r"https?://[!#-;=?-{}~]{1,2900}\Z")
"""Printable ASCII without what ends a link in Slack's text: `<`, `>`, `|` and quotes."""


def shown(text: str, limit: int) -> str:
    """Foreign text for a `mrkdwn` field: escaped, at most `limit` characters, `…` where it was cut."""
    raw = clean(text).strip()
    escaped = escape(raw)
    if len(escaped) <= limit:
        return escaped
    # Character by character, so that no `&amp;` is cut in two.
    pieces = [escape(character) for character in raw[:limit]]
    kept = bisect_right(list(accumulate(map(len, pieces))), limit - 1)
    return "".join(pieces[:kept]).rstrip() + "…"


def shown_line(text: str, limit: int) -> str:
    """As `shown`, on one line."""
    return shown(one_line(clean(text), limit), limit)


def code(text: str, limit: int = 200) -> str:
    """A name in code type. A backtick inside would end it, so it becomes an apostrophe."""
    return f"`{shown_line(text.replace('`', chr(39)), limit) or '?'}`"


def mention(user_id: str) -> str:
    """A mention that is meant. What is no user id of Slack's is shown as it is."""
    return f"<@{user_id}>" if _USER_ID.match(user_id) else shown_line(user_id, 60)


def is_web_url(url: str | None) -> bool:
    """Whether a button or a link may point there."""
    return bool(url and _WEB.match(url))


def link(url: str | None, label: str) -> str:
    """A link, or the label alone where the address is none. `label` is `mrkdwn` already."""
    return f"<{url}|{label}>" if is_web_url(url) else label


def thread_permalink(workspace_url: str, channel_id: str, thread_ts: str) -> str | None:
    """The address of a message, made without asking Slack; None where the workspace's own is not known."""
    if not workspace_url:
        return None
    return f"{workspace_url.rstrip('/')}/archives/{channel_id}/p{thread_ts.replace('.', '')}"


def branch_link(session: Session) -> str:
    """The working branch, with a link once it is made."""
    if not session.has_branch or not is_web_url(session.repository_url):
        return code(session.branch_name)
    # Slack shows backticks in a link's label as they are.
    address = f"{session.repository_url}/tree/{quote(session.branch_name, safe='/')}"
    return link(address, shown_line(session.branch_name, 200) or "?")


def repository_link(full_name: str, url: str | None) -> str:
    return link(url, shown_line(full_name, 150))


def pull_request_link(number: int | str, url: str | None, language: str = DEFAULT) -> str:
    return link(url, say(language, "words.pull_request", number=shown_line(str(number), 20)))


def short_id(session_id: str) -> str:
    """What people type to name a session: the first eight characters."""
    return session_id[:8]


_STATUS = {
    "starting": "status.starting",
    "running": "status.running",
    "stopped": "status.stopped",
    "error": "status.error",
}


def status_words(status: str, language: str = DEFAULT) -> str:
    """A status of ours, from a session or from the index (where a newer one may stand)."""
    return say(language, _STATUS[status]) if status in _STATUS else shown_line(status, 30)


def joined(*sentences: str) -> str:
    """Sentences one after the other, those that are empty left out; after a Japanese one no space is due."""
    told = ""
    for sentence in sentences:
        if sentence:
            told += f"{'' if not told or told.endswith(ENDS) else ' '}{sentence}"
    return told


def duration(seconds: int, language: str = DEFAULT) -> str:
    """`under 1 s`, `8 s`, `2 min 5 s`, `1 h 3 min`, `2 days`: two units at most."""
    if seconds < 1:
        return say(language, "time.under_a_second")
    if seconds < 60:
        return say(language, "time.seconds", seconds=seconds)
    minutes, rest = divmod(seconds, 60)
    if minutes < 60:
        if rest:
            return say(language, "time.minutes_seconds", minutes=minutes, seconds=rest)
        return say(language, "time.minutes", minutes=minutes)
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        if minutes:
            return say(language, "time.hours_minutes", hours=hours, minutes=minutes)
        return say(language, "time.hours", hours=hours)
    return say(language, "time.days", days=hours // 24)


def clock_time(at: int, fallback: str) -> str:
    """A moment (Unix seconds) as a clock time in the reader's own zone, which Slack knows.

    https://docs.slack.dev/messaging/formatting-message-text/#date-formatting
    """
    return f"<!date^{at}^{{time}}|{fallback}>"


def age(seconds: int, language: str = DEFAULT) -> str:
    """How long ago: one unit is enough."""
    if seconds < 60:
        return say(language, "time.just_now")
    if seconds < 3600:
        return say(language, "time.minutes_ago", minutes=seconds // 60)
    if seconds < 48 * 3600:
        return say(language, "time.hours_ago", hours=seconds // 3600)
    return say(language, "time.days_ago", days=seconds // 86400)


def entry_name(entry: IndexEntry) -> str:
    return f"{entry.repository_owner}/{entry.repository_name}"
