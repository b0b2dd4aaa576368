"""What Bolt itself logs, so that it fits beside what the intake says of the same envelopes. A filter for its logger."""

from __future__ import annotations

import logging

import structlog

log = structlog.get_logger()

_OF_AN_ENVELOPE = "Failed to run a middleware"
_MOST_OF_A_MESSAGE = 1_000
_SAID_ENTRIES = 256


class OncePerFault(logging.Filter):
    """Bolt writes out each envelope that nobody listens for, and a traceback for each that it cannot stand.

    The intake names the former, once for each kind; of the latter one of each kind is enough, and none too long.
    """

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if record.levelno < logging.ERROR:
            log.debug("slack_bolt", message=message[:_MOST_OF_A_MESSAGE])
            return False
        if message.startswith(_OF_AN_ENVELOPE):
            if message in self._said or len(self._said) >= _SAID_ENTRIES:
                return False
            self._said.add(message)
        record.msg, record.args = message[:_MOST_OF_A_MESSAGE], ()
        return True
