"""What a start is read from: the words and their message, the thread before it, and what the person did before.

Used by the start desk and the form desk; asks Slack, the store and the code host, and changes nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from slackbot.core import command_text as ct
from slackbot.core.attachments import Attached, choose, names_of
from slackbot.core.clipping import clip
from slackbot.core.errors import DevflowError, NotFound, Refused
from slackbot.core.ports import Chat, Message, SessionStore
from slackbot.core.repository_name import RepositoryName
from slackbot.core.slack_text import plain_text, without_mention
from slackbot.core.start_ticket import Along, StartTicket
from slackbot.core.suggestions import named_repository, names_of_owners
from slackbot.engine import Engine
from slackbot.start_checks import StartChecks
from slackbot.views.start import Why

log = structlog.get_logger()

RECENT = 20
"""So many of a person's sessions are looked at for the repository they used last."""

LIST_SECONDS = 1.5
"""A list of repositories that takes longer is done without; Slack waits three seconds in all."""

MAX_EARLIER = 40
MAX_EARLIER_LINE_BYTES = 1_024
MAX_EARLIER_BYTES = 12 * 1024
"""What goes along of a thread: its last messages, each cut, and no more than this together."""


@dataclass(frozen=True)
class Choice:
    """The repository that is meant, and how it was found; else those to ask for."""

    repository: RepositoryName | None
    why: Why | None = None
    offered: tuple[RepositoryName, ...] = ()


class StartReading:
    """Raises `DevflowError`s whose sentences the person is to read."""

    def __init__(
        self,
        *,
        engine: Engine,
        store: SessionStore,
        chat: Chat,
        checks: StartChecks,
        bot_user_id: str,
        hosts: frozenset[str],
    ) -> None:
        self._engine = engine
        self._store = store
        self._chat = chat
        self._checks = checks
        self._bot_user_id = bot_user_id
        self._hosts = hosts

    def wish(self, escaped: str) -> ct.StartCommand | ct.FormCommand:
        """What a message asks for, text as Slack stores it; a form where it holds no prompt."""
        text = plain_text(without_mention(escaped, self._bot_user_id)).strip()
        word, _, rest = text.partition(" ")
        return ct.parse_wish(rest if word.lower() == "start" else text, self._hosts)

    async def choose(self, user_id: str, channel_id: str, wish: ct.StartCommand) -> Choice:
        """The repository: the one in its place, the one that the prompt names, the person's last in this channel."""
        if wish.repository is not None:
            return Choice(wish.repository)
        installed = await self._installed(channel_id)
        named = named_repository(wish.prompt, installed) or await self._new_one(wish.prompt, installed)
        if named is not None:
            return Choice(named, Why.NAMED)
        recent = [(name, place) for name, place in await self.recent(user_id) if self._checks.may_use(name, channel_id)]
        last = next((name for name, place in recent if place == channel_id), None)
        if last is not None:
            return Choice(last, Why.LAST)
        if len(installed) == 1:
            return Choice(installed[0], Why.ONLY)
        return Choice(None, None, tuple(dict.fromkeys([*(name for name, _ in recent), *installed])))

    async def _installed(self, channel_id: str) -> list[RepositoryName]:
        try:
            async with asyncio.timeout(LIST_SECONDS):
                return await self._checks.installed(channel_id)
        except (DevflowError, TimeoutError) as error:
            log.info("repositories_not_listed", why=str(error) or "it took too long")
            return []

    async def _new_one(self, prompt: str, installed: list[RepositoryName]) -> RepositoryName | None:
        """A repository that the prompt names and that is younger than the list of them."""
        for name in names_of_owners(prompt, installed)[:2]:
            try:
                return (await self._checks.find(name)).name
            except DevflowError:
                continue
        return None

    async def recent(self, user_id: str) -> list[tuple[RepositoryName, str]]:
        """The repositories of the person's latest sessions with the channels they live in, newest first.

        They stand in the store for a day after they ended: after that the question is asked again.
        """
        page = await self._store.list_by_user(user_id, self._engine.now(), RECENT)
        sessions = await asyncio.gather(*(self._engine.load(entry.session_id) for entry in page.entries))
        return [(session.repository, session.thread.channel_id) for session in sessions if session is not None]

    async def wish_of(
        self, user_id: str, channel_id: str, ticket: StartTicket
    ) -> tuple[ct.StartCommand | ct.FormCommand, str | None]:
        """What a ticket asks for: read again from its message, which only its author starts; and that message's ts."""
        if ticket.message_ts is None or ticket.thread_ts is None:
            wish = ct.StartCommand(None, ticket.prompt, ticket.base_branch, ticket.agent) if ticket.prompt else None
            return wish or ct.FormCommand(), None
        message = await self._chat.get_message(channel_id, ticket.thread_ts, ticket.message_ts)
        if message is None:
            raise NotFound("The message with the prompt is gone, so nothing was started.", "Write it again.")
        if message.user_id != user_id:
            raise Refused("Only who wrote the prompt can start it.", "Mention @DevFlow with a prompt of your own.")
        return self.wish(message.text), ticket.message_ts

    async def own_message_ts(self, user_id: str, channel_id: str, ticket: StartTicket) -> str | None:
        """The message to mark: the person's own, where the form came from one."""
        if ticket.message_ts is None or ticket.thread_ts is None:
            return None
        message = await self._chat.get_message(channel_id, ticket.thread_ts, ticket.message_ts)
        return ticket.message_ts if message is not None and message.user_id == user_id else None

    async def context(self, channel_id: str, ticket: StartTicket) -> tuple[str, ...]:
        """What goes along with the prompt, as the ticket says; read again, so that it is what the thread holds."""
        if ticket.thread_ts is None or ticket.message_ts is None:
            return ()
        if ticket.along is Along.THREAD:
            return tuple(await self.earlier(channel_id, ticket.thread_ts, ticket.message_ts))
        if ticket.along is Along.MESSAGE:
            message = await self._chat.get_message(channel_id, ticket.thread_ts, ticket.message_ts)
            return (clip(plain_text(message.text), MAX_EARLIER_BYTES)[0],) if message is not None else ()
        return ()

    async def files(self, channel_id: str, ticket: StartTicket) -> tuple[Attached, ...]:
        """What is attached to what goes along, oldest first."""
        if ticket.thread_ts is None or ticket.message_ts is None:
            return ()
        if ticket.along is Along.THREAD:
            before = await self._before(channel_id, ticket.thread_ts, ticket.message_ts)
            return tuple(file for message in before for file in message.files)
        if ticket.along in (Along.MESSAGE, Along.FILES):
            message = await self._chat.get_message(channel_id, ticket.thread_ts, ticket.message_ts)
            return message.files if message is not None else ()
        return ()

    async def earlier(self, channel_id: str, thread_ts: str, message_ts: str) -> list[str]:
        """What was said in a thread before a message, as `name: words`, oldest first; the root stays, the oldest go."""
        lines = [await self._line(message) for message in await self._before(channel_id, thread_ts, message_ts)]
        while len(lines) > 1 and sum(len(line.encode()) for line in lines) > MAX_EARLIER_BYTES:
            lines.pop(1)
        return lines

    async def _before(self, channel_id: str, thread_ts: str, message_ts: str) -> list[Message]:
        if thread_ts == message_ts:
            return []
        messages = await self._chat.list_replies(channel_id, thread_ts, limit=MAX_EARLIER)
        return [
            message
            for message in messages
            if float(message.ts) < float(message_ts)
            and message.user_id != self._bot_user_id
            and (message.text.strip() or message.files)
        ]

    async def _line(self, message: Message) -> str:
        name = message.user_id or message.bot_id or "?"
        try:
            if message.user_id is not None:
                name = (await self._chat.get_person(message.user_id)).name
        except DevflowError:
            log.debug("person_not_named", user_id=message.user_id)
        said, _ = clip(plain_text(message.text).strip(), MAX_EARLIER_LINE_BYTES)
        taken, _ = choose(message.files)
        attached = f"(attached: {names_of([file.entry() for file in taken])})" if taken else ""
        return f"{name}: {' '.join(filter(None, (said, attached)))}"
