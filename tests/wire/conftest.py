"""What the tests of the whole bot share: one world for each module, its bot running."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.wire.bot_world import BotWorld, bot_world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BotWorld]:
    """A running bot that the module's tests share; each acts as persons of its own."""
    async with bot_world(tmp_path_factory.mktemp("world")) as running:
        await running.start_bot(DEVFLOW_MAX_SESSIONS_PER_USER="20")
        yield running
