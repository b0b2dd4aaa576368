"""The message that says that a session will soon stop itself, with the button that keeps it. Goes when it is untrue.

Made by the thread writer for `PostWarning`, from `core.staying`.
"""

from __future__ import annotations

from slackbot.core.ports import Metadata
from slackbot.core.session import Session
from slackbot.core.staying import AGE
from slackbot.views import action_ids
from slackbot.views.blocks import actions, button, section
from slackbot.views.language import say
from slackbot.views.view import View
from slackbot.views.words import clock_time, mention

WARNING_EVENT_TYPE = "devflow_warning"


def warning(session: Session) -> View:
    """In the reader's own time; the owner is named, whom it concerns."""
    language = session.language
    time, user = clock_time(session.stay.warned_until or 0, say(language, "warning.soon")), mention(session.user_id)
    if session.stay.warned == AGE:
        told, text = say(language, "warning.age", time=time, user=user), say(language, "warning.age_text")
    else:
        told, text = say(language, "warning.idle", time=time, user=user), say(language, "warning.idle_text")
    extend = button(say(language, "button.extend"), action_ids.SESSION_EXTEND, session.session_id)
    return View(text, [section(told), *actions(extend)])


def warning_metadata(session: Session) -> Metadata:
    """Names the end this message warns of."""
    until = session.stay.warned_until or 0
    return Metadata(WARNING_EVENT_TYPE, {"session_id": session.session_id, "until": until})
