"""The audit log: who asked for what, who was refused, which tokens were minted, which tasks ran. Append-only.

Sessions' acts come from the engine's writes (`core.acts`), the others from the desks and the worker desk; each is
one JSON object on a line of its own stream, apart from the logs. docs/operations.md lists the fields.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from slackbot.core.acts import DEVFLOW, Act, Details, acts_of
from slackbot.core.errors import ConfigError
from slackbot.core.ports import TaskObservation
from slackbot.core.session import Session

log = structlog.get_logger()

LOGGER = "devflow.audit"


class AuditLog:
    """`write` takes one line, its end included, and may raise `OSError`. `now` gives Unix seconds."""

    def __init__(self, write: Callable[[bytes], object], *, now: Callable[[], float]) -> None:
        self._write = write
        self._now = now

    def record(
        self,
        action: str,
        *,
        actor: str,
        session_id: str | None = None,
        repository: str | None = None,
        details: Details | None = None,
    ) -> None:
        """Appends one act. A line that cannot be written is told in the log: the bot goes on."""
        line = {
            "stream": "audit",
            "logger": LOGGER,
            "at": datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds"),
            "action": action,
            "actor": actor,
            "session_id": session_id,
            "repository": repository,
            "details": {name: value for name, value in (details or {}).items() if value is not None},
        }
        try:
            self._write(json.dumps({name: value for name, value in line.items() if value is not None}).encode() + b"\n")
        except OSError as error:
            log.error("audit_not_written", action=action, actor=actor, session_id=session_id, why=error.strerror)

    def saved(self, before: Session | None, after: Session) -> None:
        """The engine wrote a session: what that says somebody did."""
        for act in acts_of(before, after):
            self._record_act(act, after)

    def orphan_stopped(self, task: TaskObservation) -> None:
        """A task that no session owns was stopped."""
        details: Details = {"task_arn": task.task_arn, "launch": task.launch, "by": "no session owns it"}
        self.record("task_stopped", actor=DEVFLOW, session_id=task.session_id, details=details)

    def _record_act(self, act: Act, session: Session) -> None:
        self.record(
            act.action,
            actor=act.actor,
            session_id=session.session_id,
            repository=session.repository.full_name,
            details=act.details,
        )


class AuditStream:
    """Where the lines go: a file opened for appending only (0600), or the descriptor `otherwise` (stdout).

    One write a line, so that several replicas may append to one file. `ConfigError` when it cannot be opened.
    """

    def __init__(self, path: Path | None, *, otherwise: int = 1) -> None:
        self._path = path
        self._descriptor = otherwise
        if path is not None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            try:
                self._descriptor = os.open(path.expanduser(), flags, 0o600)
            except OSError as error:
                raise ConfigError([f"DEVFLOW_AUDIT_LOG: {path} cannot be opened: {error.strerror}"]) from error

    def write(self, line: bytes) -> None:
        while line:
            line = line[os.write(self._descriptor, line) :]

    def close(self) -> None:
        if self._path is not None:
            os.close(self._descriptor)
