"""What the page may ask of whoever runs the stand-in; the sandbox's main gives it (`sandbox/backstage.py`)."""

from __future__ import annotations

from typing import Any, Protocol


class Backstage(Protocol):
    """The bot behind the page, and what it stores."""

    async def look(self, channel_id: str, thread_ts: str) -> dict[str, Any]:
        """The session of a thread as it is stored, its task, and the bot's process."""
        ...

    async def kill_bot(self) -> int | None:
        """kill -9; the process id, or None when it is not running."""
        ...
