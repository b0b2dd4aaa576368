"""A session recalled is only a guess: written on condition, and given up for what the store says."""

from __future__ import annotations

import pytest

from slackbot.core import events as ev
from slackbot.core.session import Session, Status
from slackbot.engine import Overtaken
from slackbot.recollection import KEPT_SECONDS, Recollection
from tests.core.builders import T0, a_session
from tests.engine.engine_world import EngineWorld
from tests.fakes.session_store import FakeStore


class CountingStore(FakeStore):
    """Counts what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    async def get(self, session_id: str, now: int):
        self.reads += 1
        return await super().get(session_id, now)


def prompt(number: int = 1) -> ev.PromptReceived:
    ts = f"1790000009.{number:06d}"
    return ev.PromptReceived(f"C1:{ts}", "U1", f"do {number}", prompt_ts=ts)


async def test_a_prompt_for_a_recalled_session_is_stored_without_a_read() -> None:
    world = EngineWorld(store=CountingStore())
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.quiet(engine)
    recalled = engine.recalled(session_id)
    assert recalled is not None
    reads = world.store.reads
    saved = await engine.handle_recalled(recalled, prompt())
    assert world.store.reads == reads
    assert world.store.items[session_id]["history"][-1]["prompt"] == "do 1"
    assert engine.recalled(session_id) is saved
    await world.close()


async def test_what_another_replica_wrote_meanwhile_is_not_written_over() -> None:
    world = EngineWorld()
    here, there = world.engine(), world.engine()
    session_id = await world.begin(here)
    await world.quiet(here)
    recalled = here.recalled(session_id)
    await there.handle(session_id, ev.StopRequested("U1"))
    with pytest.raises(Overtaken):
        await here.handle_recalled(recalled, prompt())
    assert here.recalled(session_id) is None, "it is known to be old now"
    assert (await here.load(session_id)).status is Status.STOPPED
    await world.close()


async def test_what_would_change_nothing_is_left_to_what_the_store_says() -> None:
    world = EngineWorld()
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.quiet(engine)
    saved = await engine.handle_recalled(engine.recalled(session_id), prompt())
    with pytest.raises(Overtaken):
        await engine.handle_recalled(saved, prompt())
    await world.close()


def sized(number: int) -> Session:
    return a_session(session_id=f"session-{number}")


def test_the_oldest_leave_when_there_are_too_many() -> None:
    memory = Recollection(max_bytes=100)
    for number in range(5):
        memory.keep(sized(number), 30, T0)
    assert len(memory) == 3
    assert memory.get("session-0", T0) is None
    assert memory.get("session-4", T0) is not None


def test_only_live_and_fresh_sessions_are_recalled() -> None:
    memory = Recollection()
    memory.keep(sized(1), 10, T0)
    assert memory.get("session-1", T0 + KEPT_SECONDS - 1) is not None
    assert memory.get("session-1", T0 + KEPT_SECONDS) is None
    memory.keep(sized(2), 10, T0)
    memory.keep(a_session(session_id="session-2", status=Status.STOPPED), 10, T0)
    assert memory.get("session-2", T0) is None
    memory.keep(a_session(session_id="session-3", ttl=T0 + 5), 10, T0)
    assert memory.get("session-3", T0 + 5) is None
    assert len(memory) == 0
