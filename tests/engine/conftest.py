"""A fresh world for each test of the engine; its engines are ended with it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.engine.engine_world import EngineWorld


@pytest.fixture
async def world() -> AsyncIterator[EngineWorld]:
    world = EngineWorld()
    yield world
    await world.close()
