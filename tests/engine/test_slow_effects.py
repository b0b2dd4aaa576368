"""What takes longer than a lease is still nobody else's: Slack may take its time, and a channel its turn."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from slackbot.core.ports import Metadata
from slackbot.sealing import LEASE_SECONDS
from tests.engine.engine_world import EngineWorld, until
from tests.fakes.chat import FakeChat


class SlowChat(FakeChat):
    """Answers come to stand only once `let_go` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = asyncio.Event()
        self.waiting = 0

    async def post_message(self, channel_id: str, *, metadata: Metadata | None = None, **arguments: Any) -> str:
        if metadata is not None and metadata.event_type == "devflow_answer":
            self.waiting += 1
            await self.let_go.wait()
        return await super().post_message(channel_id, metadata=metadata, **arguments)


async def test_another_replica_does_not_step_in_while_an_answer_is_being_posted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would find no post yet, and the answer would stand twice."""
    monkeypatch.setattr("slackbot.performing.RENEW_SECONDS", 0.005)
    chat = SlowChat()
    world = EngineWorld(chat=chat)
    first, second = world.engine(), world.engine()
    session_id = await world.begin(first)
    await world.runs(first, session_id)
    await world.works(first, session_id)
    await until(lambda: chat.waiting == 1, "the post is under way")
    for _ in range(4):
        world.clock += LEASE_SECONDS * 0.7

        async def is_renewed() -> bool:
            lease = (await world.load(session_id)).lease
            return lease is not None and lease.until >= world.clock + LEASE_SECONDS - 1

        await until(is_renewed, "the lease is renewed", 5.0)
        second.visit(session_id)
        await world.quiet(second)
    assert chat.waiting == 1
    chat.let_go.set()

    async def is_known() -> bool:
        return (await world.load(session_id)).history[0].response_ts is not None

    await until(is_known, "the answer")
    assert len(world.posts("devflow_answer")) == 1
    await world.close()
