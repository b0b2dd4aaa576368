"""What stands behind the page: a thread's session as it is stored, its task, and the bot, which may be killed.

The page's API asks; answers come from the store's file, the local tasks and `BotProcess`. Only of this sandbox: where
the store or the tasks are elsewhere, it says so.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from slackbot.adapters.local_tasks import LocalTasks
from slackbot.core.errors import DevflowError
from slackbot.core.session import derive_session_id
from slackbot.sandbox.bot_process import BotProcess

MAX_PAST = 30


class Backstage:
    """`store_path` and `tasks` are None where they are not of this machine. `tell` gets what happens to the bot."""

    def __init__(
        self,
        bot: BotProcess,
        *,
        store_path: Path | None,
        tasks: LocalTasks | None,
        team_id: str,
        tell: Callable[[dict[str, Any]], None],
    ) -> None:
        self._bot = bot
        self._store_path = store_path
        self._tasks = tasks
        self._team_id = team_id
        self._tell = tell
        self._past: deque[dict[str, Any]] = deque(maxlen=MAX_PAST)
        bot.on_change = self.note

    def note(self, what: str, pid: int | None) -> None:
        """Something became of the bot's process: `started`, `killed` or `ended`."""
        event = {"what": what, "pid": pid, "at": time.time()}
        self._past.append(event)
        self._tell({"type": "bot", "event": event})

    async def look(self, channel_id: str, thread_ts: str) -> dict[str, Any]:
        """The session of a thread (None: there is none), its task, and the bot."""
        answer: dict[str, Any] = {
            "session_id": None,
            "item": None,
            "task": None,
            "bot": {"pid": self._bot.pid, "is_running": self._bot.is_running, "past": list(self._past)},
        }
        if channel_id and thread_ts:
            answer["session_id"] = derive_session_id(self._team_id, channel_id, thread_ts)
            if self._store_path is None:
                answer["note"] = "The store is not of this machine, so the item is not shown here."
            else:
                answer["item"] = await asyncio.to_thread(self._item, answer["session_id"])
            answer["task"] = await self._task(answer["item"])
        return answer

    async def kill_bot(self) -> int | None:
        """kill -9; the sandbox starts the bot again by itself. The process id that was killed."""
        pid = self._bot.pid if self._bot.is_running else None
        if pid is not None:
            self.note("killed", pid)
            await self._bot.kill_on_purpose()
        return pid

    def _item(self, session_id: str) -> dict[str, Any] | None:
        assert self._store_path is not None  # noqa: S101  the caller looked
        if not self._store_path.exists():
            return None
        connection = sqlite3.connect(f"file:{self._store_path}?mode=ro", uri=True, timeout=2.0)
        try:
            row = connection.execute("SELECT item FROM devflow_sessions WHERE session_id = ?", (session_id,)).fetchone()
        except sqlite3.Error:
            # Locked, or not made yet: the page asks again.
            return None
        finally:
            connection.close()
        return dict(json.loads(row[0])) if row else None

    async def _task(self, item: dict[str, Any] | None) -> dict[str, Any] | None:
        arn = (item or {}).get("ecs_task_arn")
        if self._tasks is None or not isinstance(arn, str):
            return None
        try:
            found = (await self._tasks.describe_tasks([arn])).get(arn)
        except DevflowError:
            return None
        return {name: value for name, value in asdict(found).items() if value is not None} if found else None
