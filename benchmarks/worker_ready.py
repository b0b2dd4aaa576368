"""From the start of a worker to its `ready`, beside `git clone` and the start of the same agent, one after the other.

The worker is a local task (`LocalTasks`), the repository is served by the sandbox's stand-in of GitHub, the agent is
`echo_agent.py`. The stand-in and a gateway that only notes what it is told (`tests/worker/scripted_gateway.py`) are in
this process, and serve the baseline likewise.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shlex
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from acp import PROTOCOL_VERSION, connect_to_agent
from acp.schema import ClientCapabilities

from benchmarks.figures import Figure, Row, percentile, temporary_directory
from slackbot.adapters.local_tasks import LocalTasks
from slackbot.core.ports import TaskRequest
from slackbot.sandbox.github.demo import seed_demo
from slackbot.sandbox.github.server import GithubStandIn
from slackbot.worker_protocol import SessionInfo
from tests.worker.scripted_gateway import WORKER_TOKEN, ScriptedGateway

ROUNDS = 5
TARGET_RATIO = 1.5
PATIENCE_SECONDS = 60.0
BRANCH = "devflow/work"
AGENT = (sys.executable, str(Path(__file__).with_name("echo_agent.py")), os.devnull)


def measure() -> Sequence[Row]:
    return asyncio.run(_measure())


async def _measure() -> Sequence[Row]:
    async with ground() as at:
        await seed_demo(at.github)
        await at.begin_branch("demo/hello")
        ready, clones, agents = [], [], []
        for _ in range(ROUNDS):
            ready.append(await at.worker_ready("demo/hello"))
            clones.append(await at.clone("demo/hello"))
            agents.append(await start_agent())
    return [ready_row(f"median of {ROUNDS} workers", ready, clones, agents)]


def ready_row(what: str, ready: Sequence[float], clones: Sequence[float], agents: Sequence[float]) -> Row:
    """The medians, `ready` beside the sum of the other two; all in seconds."""
    mine, clone, agent = (percentile(taken, 50) for taken in (ready, clones, agents))
    ratio = mine / (clone + agent)
    return Row(
        f"{what} (baseline: {clone:.2f} s clone, {agent:.2f} s agent)",
        f"{mine:.2f} s",
        f"{clone + agent:.2f} s",
        f"{ratio:.2f}",
        f"<= {TARGET_RATIO:g} times",
        ratio <= TARGET_RATIO,
    )


@dataclass(frozen=True)
class Ground:
    """The stand-in of GitHub and the local tasks, below `directory`."""

    directory: Path
    github: GithubStandIn
    tasks: LocalTasks

    async def begin_branch(self, repository: str) -> None:
        """Makes the session's branch, as the bot does before it launches a worker."""
        row = self.github.world.store.repository(repository)
        assert row is not None
        git = self.github.world.git(row)
        await git.update_ref(f"refs/heads/{BRANCH}", (await git.branches())["main"])

    def session(self, repository: str) -> SessionInfo:
        """A session as it is launched: its branch is there, and stands where `main` does."""
        owner, _, name = repository.partition("/")
        return SessionInfo(
            session_id=str(uuid.uuid4()),
            repository_owner=owner,
            repository_name=name,
            clone_url=f"{self.github.url}/{repository}.git",
            branch_name=BRANCH,
            base_branch="main",
            agent=shlex.join(AGENT),
            committer_name="devflow[bot]",
            committer_email="1+devflow[bot]@users.noreply.github.com",
            idle_seconds=600,
            turn_seconds=600,
            max_session_seconds=600,
        )

    async def worker_ready(self, repository: str) -> float:
        """Seconds from the launch of a worker to its `ready`; the worker is stopped afterwards."""
        info = self.session(repository)
        gateway = ScriptedGateway(info, "a-token-that-a-public-repository-does-not-ask-for")
        await gateway.start()
        environment = {
            "DEVFLOW_GATEWAY_URL": gateway.url,
            "DEVFLOW_WORKER_TOKEN": WORKER_TOKEN,
            "DEVFLOW_SESSION_ID": info.session_id,
        }
        try:
            began_at = time.perf_counter()
            await self.tasks.run_task(TaskRequest(info.session_id, 1, info.session_id, environment))
            await gateway.until(lambda: "ready" in gateway.calls or "leaving" in gateway.calls, PATIENCE_SECONDS)
            taken = time.perf_counter() - began_at
            if "ready" not in gateway.calls:
                raise RuntimeError(f"the worker did not get ready: {gateway.leaving}")
            await self.tasks.stop_all("measured")
        finally:
            await gateway.stop()
        return taken

    async def clone(self, repository: str, *how: str) -> float:
        """Seconds of a bare `git clone` of it, which is removed again unless `how` says where it goes."""
        with tempfile.TemporaryDirectory(dir=self.directory) as target:
            arguments = [*how] if how else [f"{target}/clone"]
            began_at = time.perf_counter()
            await _run("git", "clone", "--quiet", f"{self.github.url}/{repository}.git", *arguments)
            return time.perf_counter() - began_at


async def start_agent() -> float:
    """Seconds from the spawn of the agent to its answer to `initialize`."""
    began_at = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *AGENT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    connection = connect_to_agent(object(), process.stdin, process.stdout)  # type: ignore[arg-type]  # it calls nothing
    try:
        await connection.initialize(protocol_version=PROTOCOL_VERSION, client_capabilities=ClientCapabilities())
        return time.perf_counter() - began_at
    finally:
        process.kill()
        await process.wait()
        await connection.close()


async def _run(*command: str) -> None:
    environment = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    if await process.wait() != 0:
        raise RuntimeError(f"{shlex.join(command)} failed")


@contextlib.asynccontextmanager
async def ground() -> AsyncIterator[Ground]:
    """Nothing of it is left behind, and none of it writes a log."""
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        with temporary_directory() as directory:
            github, tasks = GithubStandIn(directory / "github"), LocalTasks(directory / "tasks")
            await github.start()
            try:
                yield Ground(directory, github, tasks)
            finally:
                await tasks.stop_all("measured")
                await tasks.close()
                await github.stop()
    finally:
        logging.disable(logging.NOTSET)
        structlog.reset_defaults()


FIGURE = Figure(
    "worker-ready", "From a worker's start to its ready (baseline: git clone, then the agent's initialize)", measure
)
