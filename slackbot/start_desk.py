"""Every way a session begins by words: which repository is meant, what is asked before, and what is answered.

Called by the command desk, the address desk (mentions, direct messages) and the listeners of buttons; hands complete
requests to the starter. What is asked travels as a ticket in buttons, so nothing is kept here.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import structlog

from slackbot.admission import Admission
from slackbot.core import command_text as ct
from slackbot.core.errors import PermanentError, Refused, ThreadUnreachable, UsageError
from slackbot.core.ports import Chat
from slackbot.core.repository_name import RepositoryName, parse_repository_name
from slackbot.core.session import Session
from slackbot.core.start_request import StartRequest
from slackbot.core.start_ticket import MAX_VALUE, Along, StartTicket
from slackbot.form_desk import FormDesk
from slackbot.session_start import SessionStarter
from slackbot.start_reading import StartReading
from slackbot.views.replies import help_text
from slackbot.views.start import Why, before_start, started_on, what_shall_be_done, which_repository
from slackbot.views.start_form import MAX_FORM_PROMPT
from slackbot.views.view import View
from slackbot.views.words import thread_permalink

log = structlog.get_logger()


@dataclass(frozen=True)
class Asked:
    """A message that asks for a session, text as Slack stores it (escaped). At a thread's root both ts are the same."""

    channel_id: str
    thread_ts: str
    message_ts: str
    user_id: str
    text: str


class StartDesk:
    """Raises `DevflowError`s whose sentences the person is to read; nothing was started then."""

    def __init__(
        self,
        *,
        starter: SessionStarter,
        reading: StartReading,
        form: FormDesk,
        chat: Chat,
        admission: Admission,
        hosts: frozenset[str],
        workspace_url: str,
    ) -> None:
        self._starter = starter
        self._reading = reading
        self.form = form
        self._chat = chat
        self._admission = admission
        self._hosts = hosts
        self._workspace_url = workspace_url
        self._pressed: dict[tuple[str, str, StartTicket], asyncio.Task[View]] = {}

    async def by_form(self, user_id: str, channel_id: str, wish: ct.FormCommand, trigger_id: str) -> View | None:
        """`/devflow` alone, or without a prompt: the form, or where none can be opened how to do without it."""
        ticket = replace(ticket_of(wish), channel_id=channel_id)
        try:
            return await self.form.open(trigger_id, user_id, ticket)
        except PermanentError as error:
            if isinstance(error, ThreadUnreachable):
                raise
            log.info("form_not_opened", why=error.summary)
            return help_text(language=await self._admission.language(user_id))

    async def by_command(self, user_id: str, channel_id: str, wish: ct.StartCommand, trigger_id: str) -> View | None:
        """`/devflow start`. None = the channel shows what comes of it."""
        await self._admit(user_id, channel_id)
        choice = await self._reading.choose(user_id, channel_id, wish)
        if choice.repository is None:
            language = await self._admission.language(user_id)
            ticket = replace(ticket_of(wish), prompt=wish.prompt)
            if len(ticket.as_text()) + 150 <= MAX_VALUE:
                return which_repository(ticket, choice.offered, language=language)
            # No button holds so much; the form does.
            if len(wish.prompt) > MAX_FORM_PROMPT:
                raise UsageError("Which repository?", "Write it first: `/devflow start owner/repo what to do`.")
            return await self.form.open(trigger_id, user_id, replace(ticket, channel_id=channel_id))
        session = await self._starter.start(_request(user_id, channel_id, wish, choice.repository))
        return await self._answer(session, choice.why, user_id)

    # ------------------------------------------------------------------------------- by message

    async def by_message(self, asked: Asked) -> View | None:
        """A mention or a direct message where no session is. What is to be asked first is asked in the thread, for
        this person alone, before this returns: the message may be acknowledged then.
        """
        await self._admit(asked.user_id, asked.channel_id)
        wish = self._reading.wish(asked.text)
        ticket = replace(ticket_of(wish), thread_ts=asked.thread_ts, message_ts=asked.message_ts)
        language = await self._admission.language(asked.user_id)
        earlier = await self._reading.earlier(asked.channel_id, asked.thread_ts, asked.message_ts)
        if isinstance(wish, ct.FormCommand):
            along = Along.THREAD if earlier else Along.NOTHING
            await self._ask(asked, what_shall_be_done(replace(ticket, along=along), language=language))
            return None
        choice = await self._reading.choose(asked.user_id, asked.channel_id, wish)
        if earlier:
            found = replace(ticket, repository=choice.repository.full_name if choice.repository else None)
            view = before_start(found, earlier, why=choice.why, offered=choice.offered, language=language)
            await self._ask(asked, view)
            return None
        if choice.repository is None:
            await self._ask(asked, which_repository(ticket, choice.offered, language=language))
            return None
        request = replace(
            _request(asked.user_id, asked.channel_id, wish, choice.repository),
            thread_ts=asked.thread_ts,
            prompt_ts=asked.message_ts,
        )
        return await self._answer(await self._starter.start(request), choice.why, asked.user_id)

    async def press(self, user_id: str, channel_id: str, ticket: StartTicket) -> View:
        """A button of the question or of the preview: starts what its ticket says, and tells what was begun.

        Pressed again before it is done (a start takes a moment) it is the same start.
        """
        key = (user_id, channel_id, ticket)
        pressed = self._pressed.get(key)
        if pressed is None:
            pressed = self._pressed[key] = asyncio.create_task(self._press(user_id, channel_id, ticket))
            pressed.add_done_callback(lambda _: self._pressed.pop(key, None))
        return await asyncio.shield(pressed)

    async def _press(self, user_id: str, channel_id: str, ticket: StartTicket) -> View:
        await self._admit(user_id, channel_id)
        wish, prompt_ts = await self._reading.wish_of(user_id, channel_id, ticket)
        if isinstance(wish, ct.FormCommand) or not ticket.repository:
            raise Refused("This button is too old, so nothing was started.", "Write your prompt again.")
        repository = parse_repository_name(ticket.repository, self._hosts)
        request = replace(
            _request(user_id, channel_id, wish, repository),
            thread_ts=ticket.thread_ts,
            prompt_ts=prompt_ts,
            context=await self._reading.context(channel_id, ticket),
            files=await self._reading.files(channel_id, ticket),
        )
        session = await self._starter.start(request)
        # Where the button stands in the session's thread, nobody needs the way there.
        in_thread = ticket.thread_ts is not None and ticket.thread_ts != ticket.message_ts
        view = await self._answer(session, Why.CHOSEN, user_id, link=not in_thread)
        assert view is not None  # noqa: S101  a reason was given
        return view

    async def _admit(self, user_id: str, channel_id: str) -> None:
        await self._admission.person(user_id)
        await self._admission.channel(channel_id, must_post=True)

    async def _ask(self, asked: Asked, view: View) -> None:
        thread_ts = asked.thread_ts if asked.thread_ts != asked.message_ts else None
        await self._chat.post_ephemeral(
            asked.channel_id, asked.user_id, text=view.text, blocks=view.blocks, thread_ts=thread_ts
        )

    async def _answer(self, session: Session, why: Why | None, user_id: str, *, link: bool = True) -> View | None:
        if why is None:
            return None
        language = await self._admission.language(user_id)
        return started_on(session, why, permalink=self._link(session) if link else None, language=language)

    def _link(self, session: Session) -> str | None:
        return thread_permalink(self._workspace_url, session.thread.channel_id, session.thread.thread_ts)


def ticket_of(wish: ct.StartCommand | ct.FormCommand) -> StartTicket:
    """What was said beside the prompt."""
    return StartTicket(
        repository=wish.repository.full_name if wish.repository is not None else None,
        base_branch=wish.base_branch,
        agent=wish.agent,
    )


def _request(user_id: str, channel_id: str, wish: ct.StartCommand, repository: RepositoryName) -> StartRequest:
    return StartRequest(
        user_id=user_id,
        channel_id=channel_id,
        repository=repository,
        prompt=wish.prompt,
        base_branch=wish.base_branch,
        agent=wish.agent,
        model=wish.model,
        mode=wish.mode,
    )
