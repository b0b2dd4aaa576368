"""`devflow worker`: what runs inside the task, from the first question to the gateway to the last word.

Data: the environment names the gateway, which names the repository and hands out turns; commits go to the
repository, answers to the gateway. Exit status: 0 left in good order, 1 failed and said so, 2 bad settings.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from slackbot.core.errors import ConfigError
from slackbot.core.redaction import redact
from slackbot.worker.confinement import Confinement, find_confinement
from slackbot.worker.gateway_client import GatewayClient
from slackbot.worker.life import Life
from slackbot.worker.logs import log
from slackbot.worker.place import Place
from slackbot.worker.processes import forbid_inspection, take_secret


@dataclass(frozen=True)
class WorkerSettings:
    """What the task's environment says. `work_dir` None = a private temporary directory."""

    gateway_url: str
    token: str = field(repr=False)
    session_id: str
    work_dir: Path | None = None
    confinement: Confinement = field(default_factory=Confinement)
    editor_port: int = 0


def read_settings(environ: MutableMapping[str, str] = os.environ) -> WorkerSettings:
    """Takes the settings out of the environment, the token for good; ConfigError names all that is wrong."""
    token = take_secret("DEVFLOW_WORKER_TOKEN") if environ is os.environ else environ.pop("DEVFLOW_WORKER_TOKEN", None)
    url = environ.get("DEVFLOW_GATEWAY_URL", "").strip()
    session_id = environ.get("DEVFLOW_SESSION_ID", "").strip()
    work_dir = environ.get("DEVFLOW_WORK_DIR", "").strip()
    faults = []
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        faults.append("DEVFLOW_GATEWAY_URL must be the http or https address of the gateway")
    if not token:
        faults.append("DEVFLOW_WORKER_TOKEN must hold the token of this launch")
    if not session_id:
        faults.append("DEVFLOW_SESSION_ID must name the session")
    if work_dir and not Path(work_dir).is_absolute():
        faults.append("DEVFLOW_WORK_DIR must be an absolute path")
    if shutil.which("git") is None:
        faults.append("git must be installed and on PATH")
    editor_port = environ.get("DEVFLOW_EDITOR_PORT", "").strip() or "0"
    if not editor_port.isdecimal() or int(editor_port) > 65535:
        faults.append("DEVFLOW_EDITOR_PORT must be a port number")
    confinement = Confinement()
    try:
        confinement = find_confinement(environ.get("DEVFLOW_AGENT_USER", "").strip() or None)
    except ConfigError as error:
        faults += error.faults
    if faults or not token:
        raise ConfigError([*faults, "the bot sets these itself; do not start a worker by hand"])
    place = Path(work_dir) if work_dir else None
    return WorkerSettings(url, token.strip(), session_id, place, confinement, int(editor_port))


async def work(settings: WorkerSettings) -> int:
    """Lives one worker's life; gives the exit status."""
    leaving = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leaving.set)
    secrets = {settings.token}
    try:
        with _place(settings) as place:
            gateway = GatewayClient(settings.gateway_url, settings.token)
            try:
                return await Life(gateway, place, leaving, secrets, time.monotonic()).live()
            finally:
                await gateway.close()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def run() -> int:
    """The whole command: reads the environment, works, and gives the exit status."""
    log.configure(redact)
    try:
        settings = read_settings()
    except ConfigError as error:
        for fault in error.faults:
            log.error("worker_setting_wrong", fault=fault)
        return 2
    forbid_inspection()
    log.configure(partial(redact, secrets=(settings.token,)), session_id=settings.session_id)
    log.info("worker_begins", gateway_url=settings.gateway_url, pid=os.getpid())
    if settings.confinement.note:
        log.info("agent_not_separate", note=settings.confinement.note)
    status = asyncio.run(work(settings))
    log.info("worker_ends", exit_status=status)
    return status


@contextlib.contextmanager
def _place(settings: WorkerSettings) -> Iterator[Place]:
    """The directory to work in; a temporary one is removed in the end."""
    root = settings.work_dir or Path(tempfile.mkdtemp(prefix="devflow-worker-"))
    place = Place(root, settings.confinement, settings.editor_port)
    place.prepare()
    try:
        yield place
    finally:
        if settings.work_dir is None:
            shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(run())
