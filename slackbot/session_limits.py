"""How many sessions may be live: those in the store, and those that this process is just about to put there.

Asked by the starter and the desks before a session begins, or begins again. What another replica is making
counts once it is stored, so replicas together may pass a limit by what they begin in the same moment.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from slackbot.core.errors import Refused
from slackbot.core.ports import SessionStore


class Place:
    """Of one session that is being made. `session_id` is None until it is known: it must be set before it is stored.

    `replaces`: the session that is going to be stopped for this one, which does not count.
    """

    def __init__(self, user_id: str, session_id: str | None, replaces: str | None = None) -> None:
        self.user_id = user_id
        self.session_id = session_id
        self.replaces = replaces


class SessionLimits:
    """`now` gives Unix seconds."""

    def __init__(
        self, store: SessionStore, *, now: Callable[[], int], max_sessions: int, max_sessions_per_user: int
    ) -> None:
        self._store = store
        self._now = now
        self._max_sessions = max_sessions
        self._max_sessions_per_user = max_sessions_per_user
        self._taken: dict[Place, None] = {}

    @contextmanager
    def place(self, user_id: str, session_id: str | None = None, *, replaces: str | None = None) -> Iterator[Place]:
        """A place that `take` may fill; free again at the end, when the session is stored or will never be."""
        place = Place(user_id, session_id, replaces)
        try:
            yield place
        finally:
            self._taken.pop(place, None)

    @asynccontextmanager
    async def taken(self, user_id: str, session_id: str) -> AsyncIterator[None]:
        """For a session whose id is known: a place, taken at once."""
        with self.place(user_id, session_id) as place:
            await self.take(place)
            yield

    async def take(self, place: Place) -> None:
        """`Refused` when one more live session, or one more that this person owns, would be too many."""
        earlier = list(self._taken)
        self._taken[place] = None
        live: set[str] = set()
        everyone = own = 0
        async for entry in self._store.scan(self._now(), live=True):
            if entry.session_id == place.replaces:
                continue
            live.add(entry.session_id)
            everyone += 1
            own += entry.user_id == place.user_id
        for other in earlier:
            # Looked at after the scan: one that was stored meanwhile is counted once, here or there.
            if other.session_id not in live:
                everyone += 1
                own += other.user_id == place.user_id
        if own >= self._max_sessions_per_user:
            most = f"{self._max_sessions_per_user} live session{'s' if self._max_sessions_per_user > 1 else ''}"
            raise Refused(
                f"That would be one more than the {most} that one person may have, so nothing was started.",
                "Stop one first (`/devflow list` shows your own), then try again.",
            )
        if everyone >= self._max_sessions:
            raise Refused(
                f"{everyone} sessions are live, which is as many as there may be at once, so nothing was started.",
                "Try again when one has ended.",
            )
