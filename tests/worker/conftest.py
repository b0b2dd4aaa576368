"""What the worker's tests share: a git server, a scripted gateway, and real worker processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from slackbot.worker_protocol import SessionInfo
from tests.worker.git_server import TOKEN, GitServer, git
from tests.worker.scripted_gateway import WORKER_TOKEN, ScriptedGateway

ROOT = Path(__file__).resolve().parents[2]
BRANCH = "devflow/work"


def session_info(clone_url: str, **changes: Any) -> SessionInfo:
    """A session on the test's repository."""
    values: dict[str, Any] = {
        "session_id": "11111111-2222-4333-8444-555555555555",
        "repository_owner": "demo",
        "repository_name": "hello",
        "clone_url": clone_url,
        "branch_name": BRANCH,
        "base_branch": "main",
        "agent": "shell",
        "committer_name": "devflow[bot]",
        "committer_email": "1+devflow[bot]@users.noreply.github.com",
        "idle_seconds": 600,
        "turn_seconds": 60,
        "max_session_seconds": 600,
    }
    return SessionInfo(**(values | changes))


@dataclass
class Bench:
    """A repository, a gateway, and the workers started on them."""

    server: GitServer
    bare: Path
    gateway: ScriptedGateway
    directory: Path
    environment: dict[str, str]
    workers: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def start(self, **environment: str) -> asyncio.subprocess.Process:
        """A worker as the task starts it."""
        with (self.directory / "worker.log").open("ab") as log:
            worker = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "slackbot.worker.main",
                cwd=ROOT,
                env={**self.environment, **environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.workers.append(worker)
        return worker

    async def ended(self, worker: asyncio.subprocess.Process) -> int:
        """The exit status of a worker that is about to leave."""
        return await asyncio.wait_for(worker.wait(), 60)

    @property
    def log(self) -> str:
        return (self.directory / "worker.log").read_text()

    def branch_log(self, format_: str = "%s", branch: str = BRANCH) -> list[str]:
        """The commits of the branch on the server, newest first."""
        return git(self.bare, "log", f"--format={format_}", branch).splitlines()

    def file(self, path: str, branch: str = BRANCH) -> str:
        """A file of the branch on the server."""
        return git(self.bare, "show", f"{branch}:{path}")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Makes a bench: `await bench(files=..., **changes of the session)`."""
    made: list[Bench] = []

    async def make(files: dict[str, str] | None = None, **changes: Any) -> Bench:
        server = await GitServer(tmp_path / "git").__aenter__()
        bare = server.create("hello", files or {"hello.py": 'print("hello")\n'})
        gateway = ScriptedGateway(session_info(server.url("hello"), **changes), TOKEN)
        await gateway.start()
        environment = {
            "PATH": os.environ["PATH"],
            "DEVFLOW_GATEWAY_URL": gateway.url,
            "DEVFLOW_WORKER_TOKEN": WORKER_TOKEN,
            "DEVFLOW_SESSION_ID": "11111111-2222-4333-8444-555555555555",
            "DEVFLOW_WORK_DIR": str(tmp_path / "work"),
        }
        made.append(Bench(server, bare, gateway, tmp_path, environment))
        return made[-1]

    yield make
    for each in made:
        for worker in each.workers:
            if worker.returncode is None:
                worker.send_signal(signal.SIGKILL)
            await worker.wait()
            worker._transport.close()
        await each.gateway.stop()
        await each.server.__aexit__()
