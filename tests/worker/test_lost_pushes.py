"""A worker that dies between its push and its answer, and the one after it, which looks whether the push arrived."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from slackbot.worker.gateway_client import GatewayClient
from slackbot.worker.life import Life
from slackbot.worker.place import Place
from slackbot.worker_protocol import Push
from tests.worker.conftest import BRANCH, Bench
from tests.worker.git_server import git
from tests.worker.scripted_gateway import WORKER_TOKEN
from tests.worker.test_agent import command_line

COMMITS = (
    "import subprocess; open('own.txt', 'w').write('x'); "
    "[subprocess.run(['git', *each], check=True) for each in (['add', '.'], ['commit', '-qm', 'My own'])]; say('done')"
)


@asynccontextmanager
async def worker(bench: Bench, place: Path) -> AsyncIterator[None]:
    """One in this process. It dies at the end: nothing is saved, no last word is said."""
    lies = Place(place)
    lies.prepare()
    gateway = GatewayClient(bench.gateway.url, WORKER_TOKEN)
    life = asyncio.create_task(Life(gateway, lies, asyncio.Event(), {WORKER_TOKEN}, time.monotonic()).live())
    try:
        yield
    finally:
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)
        await gateway.close()


async def test_a_push_of_the_agents_own_commits_is_found_again(bench: Callable[..., Any], tmp_path: Path) -> None:
    """The gateway knew of it before it left; the next launch answers with what it finds, and no agent works."""
    here: Bench = await bench(agent=command_line())
    before = git(here.bare, "rev-parse", BRANCH).strip()
    known: list[int] = []
    here.server.before_push.append(lambda: known.append(len(here.gateway.pushes)))
    here.gateway.status_of["answer"] = 503
    async with worker(here, tmp_path / "first"):
        here.gateway.give(COMMITS, "T:1")
        await here.gateway.until(lambda: "answer" in here.gateway.calls)
    pushed = git(here.bare, "rev-parse", BRANCH).strip()
    assert here.gateway.pushes == [("T:1", Push(head_sha=pushed, base_sha=before))]
    assert known == [1]
    assert "DevFlow-Turn" not in git(here.bare, "log", "-1", "--format=%B", BRANCH)

    del here.gateway.status_of["answer"]
    async with worker(here, tmp_path / "second"):
        here.gateway.give(COMMITS, "T:2", retries=("T:1",), pushes=(here.gateway.pushes[0][1],))
        answer = await here.gateway.answer_to("T:2")
        assert "was done already" in answer.response
        assert (answer.commit_sha, answer.base_sha, answer.files_changed) == (pushed, before, 1)
        assert git(here.bare, "rev-parse", BRANCH).strip() == pushed
        # One that never arrived is no reason not to work; neither is a bot that cannot take the notice.
        here.gateway.status_of["pushing"] = 422
        lost = Push(head_sha="c" * 40, base_sha=before)
        here.gateway.give(COMMITS.replace("own.txt", "more.txt"), "T:4", retries=("T:3",), pushes=(lost,))
        answer = await here.gateway.answer_to("T:4")
        assert (answer.response, answer.base_sha) == ("done", pushed)
