"""The least a Bolt app can do to have a message durable before it acknowledges it: what DevFlow is compared with.

Run as a process of its own: `python -m benchmarks.bare_app DATABASE BYTES`, with Bolt's variables in the environment.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from typing import Any

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient


async def main(path: str, item_bytes: int) -> None:
    """Listens until it is killed; `item_bytes` are committed for each message."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS items (id TEXT PRIMARY KEY NOT NULL, item TEXT NOT NULL)")
    item = "x" * item_bytes

    client = AsyncWebClient(token=os.environ["SLACK_BOT_TOKEN"], base_url=os.environ["SLACK_API_URL"])
    app = AsyncApp(client=client, process_before_response=True)

    @app.event("message")
    async def message(event: dict[str, Any]) -> None:
        # On the loop's own thread: the shortest way there is, as long as the disk is quick.
        connection.execute("INSERT OR REPLACE INTO items (id, item) VALUES (?, ?)", (event["ts"], item))

    handler = AsyncSocketModeHandler(app, os.environ["SLACK_APP_TOKEN"])
    await handler.start_async()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
