"""What the airlock adds to the first token: worker's proxy and gateway between an agent and its model.

The bot is in this process, over real sockets, with an SQLite store; the model is a scripted one on loopback, streamed
(`tests/fakes/model_server.py`). The baseline asks that server itself; the two take turns.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import structlog

from benchmarks.figures import Figure, Row, milliseconds, percentile, temporary_directory
from slackbot.worker.model_proxy import model_proxy
from tests.fakes.model_server import KEYS, Say, model_server
from tests.wire.bot_world import bot_world

CALLS = 200
WARM = 20
TARGET_SECONDS = 0.01


def measure() -> Sequence[Row]:
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        with temporary_directory() as directory:
            bare, through = asyncio.run(_measure(directory))
    finally:
        logging.disable(logging.NOTSET)
        structlog.reset_defaults()
    rows = []
    for percent, target in ((50, f"< {TARGET_SECONDS * 1000:.0f} ms more"), (95, "")):
        mine, base = percentile(through, percent), percentile(bare, percent)
        is_met = mine - base < TARGET_SECONDS if target else None
        rows.append(
            Row(
                f"p{percent} of {CALLS} calls: {milliseconds(mine - base)} more",
                milliseconds(mine),
                milliseconds(base),
                f"{mine / base:.1f}",
                target,
                is_met,
            )
        )
    return rows


async def _measure(directory: Path) -> tuple[list[float], list[float]]:
    async with (
        model_server(lambda asked: Say("one two three four five six seven eight nine ten")) as server,
        bot_world(directory) as world,
    ):
        await world.start_bot(
            ANTHROPIC_API_KEY=KEYS["anthropic"],
            ANTHROPIC_BASE_URL=server.url,
            DEVFLOW_AUDIT_LOG=str(directory / "audit.log"),
            DEVFLOW_COST_LIMITS="session=1000,person=1000,month=1000",
        )
        thread = await world.someone("ada").starts("demo/hello", "think")
        worker = await thread.worker()
        await worker.next()
        bare: list[float] = []
        through: list[float] = []
        async with model_proxy(worker.gateway_url, worker.token) as proxy, aiohttp.ClientSession() as http:
            for number in range(CALLS + WARM):
                one = await _first_token(http, server.url, KEYS["anthropic"])
                other = await _first_token(http, proxy.url("anthropic"), proxy.key)
                if number >= WARM:
                    bare.append(one)
                    through.append(other)
    return bare, through


async def _first_token(http: aiohttp.ClientSession, url: str, key: str) -> float:
    """Seconds from the request to the first event that holds text."""
    began = time.perf_counter()
    body = {"model": "claude-sonnet-5", "stream": True, "messages": [{"role": "user", "content": "x" * 20_000}]}
    async with http.post(f"{url}/v1/messages", json=body, headers={"x-api-key": key}) as answer:
        seen = b""
        async for data in answer.content.iter_any():
            seen += data
            if b"text_delta" in seen:
                taken = time.perf_counter() - began
                break
        await answer.read()
    return taken


FIGURE = Figure(
    "model-proxy", "From an agent's call of a model to the first token (baseline: the model itself)", measure
)
