"""From an exception to what the person reads: known errors in their own words, unknown ones under a reference."""

from __future__ import annotations

import uuid

import structlog

from slackbot.core.errors import DevflowError
from slackbot.views.errors import error_view, unknown_error
from slackbot.views.view import View

log = structlog.get_logger()


def view_of(error: Exception, *, where: str, language: str) -> View:
    """The sentence for the person. An unknown error stands in the log under the reference that is shown."""
    if isinstance(error, DevflowError):
        log.info("refused", where=where, why=error.summary)
        return error_view(error, language=language)
    reference = uuid.uuid4().hex[:12]
    log.error("unknown_error", where=where, reference=reference, exc_info=error)
    return unknown_error(reference, language=language)
