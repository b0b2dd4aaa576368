"""Structured logs: one event a line, on stderr, without secrets. Bot and worker call `configure_logs` once.

Foreign libraries' records take the same way, so that a token in one of their messages is masked as well.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec
import structlog
from structlog.processors import JSONRenderer
from structlog.typing import EventDict, Processor, WrappedLogger

from slackbot.core.redaction import redact


def configure_logs(form: Literal["auto", "json", "text"] = "auto", secrets: Iterable[str] = ()) -> None:
    """JSON lines, or text for people on a terminal. `secrets` are masked in every field, whatever logs them."""
    known = tuple(secrets)

    root = logging.getLogger()

    def at_the_root_level(_: WrappedLogger, method: str, event: EventDict) -> EventDict:
        # A command that writes for people says less than INFO, as it does of what libraries log.
        if _LEVELS.get(method, logging.ERROR) < root.level:
            raise structlog.DropEvent
        return event

    def mask(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        # Seldom is there anything to hide: all of it is looked at together, and each alone only then.
        together = "\0".join([value for value in event.values() if isinstance(value, str)])
        if redact(together, known) == together:
            return event
        return {name: redact(value, known) if isinstance(value, str) else value for name, value in event.items()}

    as_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    renderer: Processor = structlog.dev.ConsoleRenderer() if as_text else JSONRenderer(serializer=_to_json)
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        mask,
    ]
    # Our own lines do not go through `logging`, which would be most of what a line costs.
    structlog.configure(
        processors=[at_the_root_level, *shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: _Lines(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in ("slack_bolt", "slack_sdk", "aiohttp", "botocore", "boto3", "urllib3", "github"):
        library = logging.getLogger(name)
        # Their own news is of no use to who runs DevFlow; their warnings are. PyGithub brings a handler of its own.
        library.setLevel(logging.WARNING)
        library.handlers.clear()


_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "critical": logging.CRITICAL}


class _Lines:
    """Writes to stderr, in one write a line. Where that cannot be written, the work goes on, as with `logging`."""

    def msg(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    debug = info = warning = error = critical = exception = fatal = log = msg


_encode = msgspec.json.Encoder().encode


def _to_json(event: EventDict, default: Callable[[Any], Any], **_: Any) -> str:
    """`json.dumps`, but quicker where it can be: pure ASCII, and nothing in it that is no JSON."""
    try:
        line = _encode(event)
        if line.isascii():
            return line.decode()
    except (TypeError, ValueError, OverflowError):
        pass
    try:
        return json.dumps(event, default=default)
    except (TypeError, ValueError):
        return json.dumps({name: value if isinstance(value, str) else repr(value) for name, value in event.items()})
