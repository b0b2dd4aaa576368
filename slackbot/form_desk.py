"""The form that begins a session: opened filled in, its type-ahead answered, and what is sent carried out.

Called by the start desk (`/devflow` alone) and the listeners of form, shortcut and buttons. What the form is for
travels in it as a ticket (`core.start_ticket`); only submissions under way are kept here.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from slackbot.admission import Admission
from slackbot.core import command_text as ct
from slackbot.core import events as ev
from slackbot.core.access import Action, check_action
from slackbot.core.attachments import Attached, choose, names_of
from slackbot.core.errors import DevflowError, NotFound, Refused
from slackbot.core.ports import Chat, CodeHost
from slackbot.core.repository_name import parse_repository_name
from slackbot.core.session import Session, derive_session_id
from slackbot.core.slack_text import clean, plain_text, without_mention
from slackbot.core.start_request import StartRequest
from slackbot.core.start_ticket import Along, StartTicket
from slackbot.core.suggestions import matching
from slackbot.engine import Engine
from slackbot.session_start import SessionStarter
from slackbot.start_checks import about
from slackbot.start_reading import StartReading
from slackbot.views import action_ids
from slackbot.views.language import say, translated
from slackbot.views.start import has_session
from slackbot.views.start_form import MAX_FORM_PROMPT, FormFields, form_fields, start_form, with_ticket
from slackbot.views.view import View
from slackbot.views.words import shown_line, thread_permalink

SUBMIT_SECONDS = 2.3
"""After this the form says that it takes longer, and stays; Slack waits three seconds."""

MAX_OPTIONS = 100

_MAX_SUBMISSIONS = 500

_AS_IT_IS = (Along.MESSAGE, Along.FILES)
"""With these the ticket holds the prompt, and the message may be anybody's."""


class FormDesk:
    """Raises `DevflowError`s whose sentences the person is to read; nothing was started then."""

    def __init__(
        self,
        *,
        engine: Engine,
        starter: SessionStarter,
        reading: StartReading,
        chat: Chat,
        code_host: CodeHost,
        admission: Admission,
        team_id: str,
        bot_user_id: str,
        hosts: frozenset[str],
        workspace_url: str,
    ) -> None:
        self._engine = engine
        self._starter = starter
        self._checks = starter.checks
        self._reading = reading
        self._chat = chat
        self._code_host = code_host
        self._admission = admission
        self._team_id = team_id
        self._bot_user_id = bot_user_id
        self._hosts = hosts
        self._workspace_url = workspace_url
        self._submissions: OrderedDict[str, asyncio.Task[Session]] = OrderedDict()

    async def open(
        self, trigger_id: str, user_id: str, ticket: StartTicket, files: Sequence[Attached] = ()
    ) -> View | None:
        """Opens the form, filled in; `ticket.channel_id` None lets it ask for the place too. `files` go along."""
        await self._admission.person(user_id)
        if ticket.channel_id is not None:
            await self._admission.channel(ticket.channel_id, must_post=True)
        language = await self._admission.language(user_id)
        if ticket.channel_id is not None and ticket.thread_ts is not None:
            there = await self._engine.load(derive_session_id(self._team_id, ticket.channel_id, ticket.thread_ts))
            if there is not None:
                return has_session(
                    thread_permalink(self._workspace_url, ticket.channel_id, ticket.thread_ts), language=language
                )
        ticket, prompt = await self._filled_in(user_id, ticket)
        about = {Along.THREAD: "form.with_thread", Along.MESSAGE: "form.with_message"}
        said = [about[ticket.along]] if ticket.along in about else []
        said += ["form.replaces"] if ticket.replaces else []
        notes = [say(language, key) for key in said]
        if files:
            names = shown_line(names_of([file.entry() for file in files]), 500)
            notes.append(say(language, "form.with_files", names=names))
        view = start_form(
            replace(ticket, prompt=None),
            prompt=prompt,
            agents=self._checks.agents,
            notes=notes,
            language=language,
        )
        await self._chat.open_modal(trigger_id, view)
        return None

    async def work_on(
        self,
        trigger_id: str,
        user_id: str,
        channel_id: str,
        message_ts: str,
        thread_ts: str,
        text: str,
        files: Sequence[Attached] = (),
    ) -> View | None:
        """The message shortcut: the form with that message as the prompt, its files with it; the session lives in its
        thread."""
        await self._admission.person(user_id)
        await self._admission.channel(channel_id, must_post=True)
        if not text.strip():
            # Alerts of other apps speak in blocks and attachments, which the port reads.
            message = await self._chat.get_message(channel_id, thread_ts, message_ts)
            text = message.text if message is not None else ""
        prompt = plain_text(without_mention(text, self._bot_user_id)).strip()
        taken, _ = choose(files)
        along = Along.MESSAGE if len(prompt) > MAX_FORM_PROMPT else Along.FILES if taken else Along.NOTHING
        ticket = StartTicket(
            channel_id=channel_id,
            thread_ts=thread_ts,
            message_ts=message_ts if along else None,
            prompt=prompt[:MAX_FORM_PROMPT],
            along=along,
        )
        return await self.open(trigger_id, user_id, ticket, taken)

    async def submit(self, view_id: str, user_id: str, ticket: StartTicket, fields: FormFields) -> dict[str, str]:
        """The form was sent: {} when the session is stored, else what is wrong, by block; the form stays open then.

        One that takes long goes on, and is found under `view_id` when the form is sent again: it is one start, also
        after a crash (`StartRequest.request_id`).
        """
        language = await self._admission.language(user_id)
        if not clean(fields.prompt or "").strip():
            return {action_ids.FORM_PROMPT: say(language, "form.no_prompt")}
        if not fields.repository:
            return {action_ids.FORM_REPOSITORY: say(language, "form.no_repository")}
        if ticket.channel_id is None and not fields.channel_id:
            return {action_ids.FORM_CHANNEL: say(language, "form.no_channel")}
        task = self._submissions.get(view_id) if view_id else None
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = asyncio.create_task(self._submitted(user_id, ticket, fields, f"form:{view_id}"))
            self._submissions[view_id] = task
            while len(self._submissions) > _MAX_SUBMISSIONS:
                self._submissions.popitem(last=False)
        await asyncio.wait((task,), timeout=SUBMIT_SECONDS)
        if not task.done():
            return {action_ids.FORM_PROMPT: say(language, "form.slow")}
        task.result()
        return {}

    async def _submitted(self, user_id: str, ticket: StartTicket, fields: FormFields, request_id: str) -> Session:
        channel_id = ticket.channel_id or fields.channel_id or ""
        await self._admission.person(user_id)
        await self._admission.channel(channel_id, must_post=True)
        replaced = await self._replaced(user_id, ticket)
        with about("repository"):
            repository = parse_repository_name(fields.repository or "", self._hosts)
        with about("base_branch"):
            base_branch = ct.check_base_branch(fields.base_branch) if fields.base_branch else None
        if fields.agent is not None and fields.agent not in self._checks.agents:
            raise Refused("This agent is not offered here.", "Choose another one.")
        prompt_ts = await self._reading.own_message_ts(user_id, channel_id, ticket)
        session = await self._starter.start(
            StartRequest(
                user_id=user_id,
                channel_id=channel_id,
                repository=repository,
                prompt=clean(fields.prompt or "").strip(),
                base_branch=base_branch,
                agent=fields.agent,
                thread_ts=ticket.thread_ts,
                prompt_ts=prompt_ts,
                context=await self._reading.context(channel_id, ticket),
                files=await self._reading.files(channel_id, ticket),
                request_id=request_id,
                replaces=replaced.session_id if replaced is not None else None,
            )
        )
        if replaced is not None and replaced.status.is_live:
            await self._engine.handle(replaced.session_id, ev.StopRequested(user_id))
        return session

    async def repositories(self, user_id: str, query: str) -> list[str]:
        """Type-ahead: the person's own first, then all that are installed."""
        await self._admission.person(user_id)
        recent = [name for name, _ in await self._reading.recent(user_id)]
        names = dict.fromkeys([*recent, *await self._checks.installed()])
        return matching(query, [name.full_name for name in names], MAX_OPTIONS)

    async def repository_chosen(self, view: Mapping[str, Any], ticket: StartTicket) -> None:
        """The form remembers the repository that was chosen in it, so that branches of it can be offered."""
        chosen, view_id = form_fields(view).repository, view.get("id")
        if chosen is not None and chosen != ticket.repository and isinstance(view_id, str):
            await self._chat.update_modal(view_id, with_ticket(view, replace(ticket, repository=chosen)))

    async def branches(self, user_id: str, repository: str | None, query: str) -> list[str]:
        """Type-ahead: branches of the repository that is chosen in the form; none before one is."""
        await self._admission.person(user_id)
        if not repository:
            return []
        name = parse_repository_name(repository, self._hosts)
        if not self._checks.may_use(name):
            return []
        found = await self._code_host.find_repository(name)
        return await self._code_host.list_branches(found, query.strip(), MAX_OPTIONS)

    # ------------------------------------------------------------------------------------ parts

    async def _filled_in(self, user_id: str, ticket: StartTicket) -> tuple[StartTicket, str]:
        """The ticket with what is known besides, and the prompt for the form."""
        prompt = ticket.prompt or ""
        replaced = await self._replaced(user_id, ticket)
        if replaced is not None:
            prompt = replaced.initial_prompt
            ticket = replace(ticket, channel_id=replaced.thread.channel_id, base_branch=None, agent=replaced.agent)
        elif ticket.message_ts is not None and ticket.channel_id is not None and ticket.along not in _AS_IT_IS:
            wish, _ = await self._reading.wish_of(user_id, ticket.channel_id, ticket)
            prompt = wish.prompt if isinstance(wish, ct.StartCommand) else ""
        if len(prompt) > MAX_FORM_PROMPT and ticket.message_ts is not None:
            ticket = replace(ticket, along=Along.MESSAGE)
        if ticket.repository is None and replaced is None:
            recent = await self._reading.recent(user_id)
            here = [name for name, place in recent if ticket.channel_id in (None, place)]
            ticket = replace(ticket, repository=here[0].full_name if here else None)
        return ticket, prompt

    async def _replaced(self, user_id: str, ticket: StartTicket) -> Session | None:
        if ticket.replaces is None:
            return None
        session = await self._engine.load(ticket.replaces)
        if session is None:
            raise NotFound("The session that was to be replaced is gone.", "Start a new one with `/devflow start`.")
        check_action(Action.STOP, user_id, session.user_id, self._admission.policy)
        return session


def errors_by_block(error: DevflowError, language: str) -> dict[str, str]:
    """An error as the form shows it: under the field it is about, else under the prompt."""
    block = {
        "repository": action_ids.FORM_REPOSITORY,
        "base_branch": action_ids.FORM_BASE,
        "agent": action_ids.FORM_AGENT,
    }.get(error.field, action_ids.FORM_PROMPT)
    told = (translated(language, part) for part in (error.summary, error.remedy) if part)
    return {block: " ".join(told)}
