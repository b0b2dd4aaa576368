"""Which session is meant, and which are mine: what commands and Home ask the store. Texts come from views."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable

import structlog

from slackbot.admission import Admission
from slackbot.core import command_text as ct
from slackbot.core.errors import NotFound, PermanentError
from slackbot.core.ports import IndexEntry, SessionStore
from slackbot.core.session import Session, Status
from slackbot.engine import Engine
from slackbot.views.replies import choose_session, none_found, session_list
from slackbot.views.view import View
from slackbot.views.words import thread_permalink

log = structlog.get_logger()

PAGE_SIZE = 10


class SessionFinder:
    """`workspace_url` is where links lead; "" = not known."""

    def __init__(self, *, engine: Engine, store: SessionStore, admission: Admission, workspace_url: str) -> None:
        self._engine = engine
        self._store = store
        self._admission = admission
        self._workspace_url = workspace_url

    def permalink(self, session: Session) -> str | None:
        """A link to the thread, made without asking Slack."""
        return thread_permalink(self._workspace_url, session.thread.channel_id, session.thread.thread_ts)

    async def sessions(self, entries: Iterable[IndexEntry]) -> list[Session]:
        """The whole of each, in the same order; those that are gone by now, or cannot be read, are left out."""
        found = await asyncio.gather(*(self._readable(entry.session_id) for entry in entries))
        return [session for session in found if session is not None]

    async def _readable(self, session_id: str) -> Session | None:
        """One item that is not as it should be hides no other session."""
        try:
            return await self._engine.load(session_id)
        except PermanentError as error:
            log.warning("session_unreadable", session_id=session_id, why=error.summary)
            return None

    async def ended(self, user_id: str, cursor: str | None) -> tuple[list[Session], str | None]:
        """A page of the person's sessions that are over, newest first, and the cursor of the next."""
        page = await self._store.list_by_user(user_id, self._engine.now(), PAGE_SIZE, cursor)
        found = await self.sessions(entry for entry in page.entries if not _is_live(entry))
        return [session for session in found if not session.status.is_live], page.cursor

    async def live(self) -> list[Session]:
        """Everybody's sessions that are live, newest first."""
        entries = [entry async for entry in self._store.scan(self._engine.now(), live=True)]
        entries.sort(key=lambda entry: (-entry.created_at, entry.session_id))
        return [session for session in await self.sessions(entries) if session.status.is_live]

    async def page(self, user_id: str, cursor: str | None) -> View:
        page = await self._store.list_by_user(user_id, self._engine.now(), PAGE_SIZE, cursor)
        links: dict[str, str] = {}
        for entry in page.entries:
            session = await self._readable(entry.session_id)
            link = self.permalink(session) if session is not None else None
            if link:
                links[entry.session_id] = link
        language = await self._admission.language(user_id)
        return session_list(page.entries, self._engine.now(), cursor=page.cursor, permalinks=links, language=language)

    async def meant(self, user_id: str, command: ct.SessionCommand) -> Session | View:
        """The session a command without a thread is about, or the question which."""
        own: list[IndexEntry] = []
        cursor = None
        while len(own) < 100:
            page = await self._store.list_by_user(user_id, self._engine.now(), 50, cursor)
            own.extend(page.entries)
            cursor = page.cursor
            if cursor is None:
                break
        if command.which:
            meant = [entry for entry in own if _is_named(entry, command.which)]
        elif command.verb == "forget":
            meant = [entry for entry in own if not _is_live(entry)] or own[:1]
        else:
            live = [entry for entry in own if _is_live(entry)]
            # Nothing is live: only what makes sense of an ended session takes the newest one.
            meant = live or (own[:1] if command.verb in ("status", "pr", "retry") else [])
        if not meant and command.which and is_session_id(command.which):
            session = await self._engine.load(command.which.lower())
            if session is not None:
                return session
        if not meant:
            return none_found(command.verb, command.which, language=await self._admission.language(user_id))
        if len(meant) > 1 and command.verb in ("stop", "cancel"):
            # A repository's name stands for many sessions; those that are over cannot be meant.
            meant = [entry for entry in meant if _is_live(entry)] or meant
        if len(meant) > 1:
            live_alone = all(_is_live(entry) for entry in meant)
            language = await self._admission.language(user_id)
            return choose_session(meant, command.verb, self._engine.now(), live=live_alone, language=language)
        session = await self._engine.load(meant[0].session_id)
        if session is None:
            raise NotFound("This session is over and forgotten.", "Start a new one with `/devflow start`.")
        return session


def is_session_id(which: str) -> bool:
    return bool(re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", which))


def _is_live(entry: IndexEntry) -> bool:
    return entry.status in (Status.STARTING, Status.RUNNING)


def _is_named(entry: IndexEntry, which: str) -> bool:
    wanted = which.lower().strip("`<>")
    full_name = f"{entry.repository_owner}/{entry.repository_name}".lower()
    return (len(wanted) >= 4 and entry.session_id.startswith(wanted)) or wanted in (full_name, entry.branch_name)
