"""The worker's log: one JSON object a line on stderr, without secrets, in the shape of the bot's (structlog).

Written here and not by structlog, whose import (with rich, where that is installed) would hold up a worker's first
call. Also takes in what libraries log, one line each: the ACP library logs whole tracebacks with the message in them.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime


class Log:
    """What happened as `event`, a word; what it was about as fields."""

    def __init__(self) -> None:
        self._redact: Callable[[str], str] = str
        self._everywhere: dict[str, object] = {}

    def configure(self, redact: Callable[[str], str], **everywhere: object) -> None:
        """Sets the log up for this process: what hides secrets, and the fields of each line from now on."""
        self._redact, self._everywhere = redact, everywhere
        root = logging.getLogger()
        root.handlers[:] = [_FromLibraries(logging.WARNING)]
        root.setLevel(logging.WARNING)

    def info(self, event: str, **fields: object) -> None:
        self._write("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self._write("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        self._write("error", event, fields)

    def exception(self, event: str, **fields: object) -> None:
        """An error, with the traceback of the exception that is being handled."""
        self._write("error", event, {**fields, "exception": traceback.format_exc().rstrip()})

    def _write(self, level: str, event: str, fields: dict[str, object]) -> None:
        at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        line = {**self._everywhere, **fields, "event": event, "level": level, "timestamp": at}
        # In one write: threads log, too.
        sys.stderr.write(json.dumps(self._shown(line)) + "\n")
        sys.stderr.flush()

    def _shown(self, value: object) -> object:
        """Without secrets, at any depth; whatever is no JSON as Python shows it."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {self._redact(str(name)): self._shown(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._shown(each) for each in value]
        return self._redact(value if isinstance(value, str) else repr(value))


class _FromLibraries(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        log.warning("library_complained", logger_name=record.name, said=record.getMessage()[:500], error=error)


log = Log()
