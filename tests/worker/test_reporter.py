"""The reporter beside a turn: it ends with the turn, whatever happens in the same moment."""

from __future__ import annotations

import asyncio

import pytest

from slackbot.worker.progress import Reporter, TurnView
from slackbot.worker_protocol import Progress, ProgressReply


@pytest.mark.parametrize("steps", range(8))
async def test_it_ends_also_when_something_changes_as_it_is_closed(steps: int) -> None:
    """The agent's last word and the end of its turn come in one breath: so many steps of the loop apart."""
    said: list[Progress] = []

    async def send(progress: Progress) -> ProgressReply:
        said.append(progress)
        return ProgressReply()

    async def cancel_wished() -> bool:
        await asyncio.Event().wait()
        return False

    view = TurnView(lambda text: text)
    async with asyncio.timeout(60):
        async with Reporter(send, cancel_wished, view):
            for _ in range(8):
                await asyncio.sleep(0)
            view.changed.set()
            for _ in range(steps):
                await asyncio.sleep(0)
    assert len(said) <= 1
