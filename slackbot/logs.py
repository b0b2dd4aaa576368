"""Structured logs: one event a line, on stderr, without secrets. Bot and worker call `configure_logs` once.

Foreign libraries' records take the same way, so that a token in one of their messages is masked as well.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from slackbot.core.redaction import redact


def configure_logs(form: Literal["auto", "json", "text"] = "auto", secrets: Iterable[str] = ()) -> None:
    """JSON lines, or text for people on a terminal. `secrets` are masked in every field, whatever logs them."""
    known = tuple(secrets)

    def mask(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {name: redact(value, known) if isinstance(value, str) else value for name, value in event.items()}

    as_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    renderer: Processor = structlog.dev.ConsoleRenderer() if as_text else structlog.processors.JSONRenderer()
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        mask,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in ("slack_bolt", "slack_sdk", "aiohttp", "botocore", "boto3", "urllib3", "github"):
        library = logging.getLogger(name)
        # Their own news is of no use to who runs DevFlow; their warnings are. PyGithub brings a handler of its own.
        library.setLevel(logging.WARNING)
        library.handlers.clear()
