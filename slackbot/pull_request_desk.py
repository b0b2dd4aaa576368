"""What people ask for about a pull request by buttons and forms: who asks, which session, may they, and the answer.

Listeners call it; it calls the front desk for what a word would do as well, admission, and the engine.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import nullcontext

import structlog

from slackbot.admission import Admission
from slackbot.core import events as ev
from slackbot.core.access import Action, check_action
from slackbot.core.command_text import check_base_branch
from slackbot.core.errors import (
    DevflowError,
    IllegalTransition,
    NotFound,
    PermanentError,
    TemporaryError,
    UsageError,
)
from slackbot.core.ports import Chat, CodeHost
from slackbot.core.pull_request_rules import AGENT_ACTIONS, hindrance_of
from slackbot.core.pull_request_text import proposed_body, proposed_title
from slackbot.core.session import Session
from slackbot.engine import Engine
from slackbot.front_desk import FrontDesk
from slackbot.pull_request_acts import TermsOf
from slackbot.session_limits import SessionLimits
from slackbot.views.errors import illegal
from slackbot.views.language import say
from slackbot.views.pull_request_form import (
    BASE,
    MAX_BODY,
    REVIEWERS,
    TITLE,
    Place,
    PullRequestFields,
    merge_form,
    open_form,
)
from slackbot.views.view import View

log = structlog.get_logger()

PREFILL_SECONDS = 1.2
"""A press opens a form within 3 s or never; what GitHub has not said by then is left out of it.
https://docs.slack.dev/interactivity/handling-user-interaction/#modal_responses"""

OFFERED = 50
_LOGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,98}[A-Za-z0-9])?(?:\[bot\])?\Z")

_ACCESS = {"merge": Action.MERGE, "ready": Action.OPEN_PULL_REQUEST, "delete_branch": Action.OPEN_PULL_REQUEST}
"""What each action asks of the table of rights; what becomes a prompt asks what a reply does."""


class PullRequestDesk:
    """One method for each thing people do. Raises `DevflowError`s whose sentences the person is to read."""

    def __init__(
        self,
        *,
        engine: Engine,
        front: FrontDesk,
        chat: Chat,
        code_host: CodeHost,
        admission: Admission,
        limits: SessionLimits,
        terms_of: TermsOf,
    ) -> None:
        self._engine = engine
        self._front = front
        self._chat = chat
        self._code_host = code_host
        self._admission = admission
        self.limits = limits
        self._terms_of = terms_of

    async def language(self, user_id: str) -> str:
        return await self._admission.language(user_id)

    # ----------------------------------------------------------------------------------- opening

    async def open(self, user_id: str, place: Place, press_id: str, trigger_id: str) -> View | None:
        """The button "Open PR": a form; where none can be shown, what `!pr` does."""
        session = await self._session(user_id, place)
        if session is None or session.has_open_pull_request or session.branch.base_sha is None or not trigger_id:
            return await self._front.press("pr", user_id, place.channel_id, place.thread_ts, press_id)
        check_action(Action.OPEN_PULL_REQUEST, user_id, session.user_id, self._admission.policy)
        state = session.pull_request
        title, body = state.title, state.body
        if title is None:
            title = proposed_title(session)
            body = proposed_body(session, await self._template(session), limit_bytes=MAX_BODY)
        form = open_form(
            session,
            title=title,
            body=body or "",
            base_ref=state.base_ref or session.base_branch,
            draft=state.as_draft,
            reviewers=state.reviewers,
            language=await self.language(user_id),
        )
        try:
            await self._chat.open_modal(trigger_id, form)
        except PermanentError as error:
            # A Slack that knows no forms; the pull request is what was asked for.
            log.info("form_not_opened", session_id=session.session_id, why=error.summary)
            return await self._front.press("pr", user_id, place.channel_id, place.thread_ts, press_id)
        return None

    async def _template(self, session: Session) -> str | None:
        try:
            async with asyncio.timeout(PREFILL_SECONDS):
                repository = await self._code_host.find_repository(session.repository)
                return await self._code_host.pull_request_template(repository, session.base_branch)
        except (DevflowError, TimeoutError) as error:
            log.info("template_not_read", session_id=session.session_id, error=type(error).__name__)
            return None

    async def submit(self, user_id: str, place: Place, request_id: str, fields: PullRequestFields) -> dict[str, str]:
        """The form was sent: stored on return. What is wrong in it, by the id of the input, else {}."""
        session = await self._session(user_id, place)
        if session is None:
            raise NotFound("This session is over and forgotten.", "Start a new one with `/devflow start`.")
        check_action(Action.OPEN_PULL_REQUEST, user_id, session.user_id, self._admission.policy)
        language = await self.language(user_id)
        if not fields.title:
            return {TITLE: say(language, "pr_form.no_title")}
        if any(not _LOGIN.match(login) for login in fields.reviewers):
            return {REVIEWERS: say(language, "pr_form.no_such_person")}
        base_ref = fields.base_ref or session.base_branch
        if not await self._is_base(session, base_ref):
            return {BASE: say(language, "pr_form.no_such_branch")}
        event = ev.PullRequestRequested(
            user_id,
            request_id,
            title=fields.title,
            body=fields.body,
            draft=fields.draft,
            base_ref=base_ref,
            reviewers=fields.reviewers,
        )
        await self._engine.handle(session.session_id, event)
        log.info("asked", session_id=session.session_id, user_id=user_id, verb="pr")
        return {}

    async def _is_base(self, session: Session, base_ref: str) -> bool:
        """Whether a pull request may go there, as far as it can be told in the time that a form has."""
        if base_ref == session.branch_name:
            return False
        try:
            check_base_branch(base_ref)
            async with asyncio.timeout(PREFILL_SECONDS):
                repository = await self._code_host.find_repository(session.repository)
                return await self._code_host.get_branch(repository, base_ref) is not None
        except UsageError:
            return False
        except (DevflowError, TimeoutError):
            return True

    async def branches(self, user_id: str, place: Place, typed: str) -> list[str]:
        """Branches that begin so, for the type-ahead of the base."""
        session = await self._session(user_id, place)
        if session is None:
            return []
        repository = await self._code_host.find_repository(session.repository)
        found = await self._code_host.list_branches(repository, typed, OFFERED)
        return [name for name in found if name != session.branch_name]

    async def reviewers(self, user_id: str, place: Place, typed: str) -> list[str]:
        session = await self._session(user_id, place)
        if session is None:
            return []
        repository = await self._code_host.find_repository(session.repository)
        return await self._code_host.list_reviewers(repository, typed, OFFERED)

    # ------------------------------------------------------------------------------------ acting

    async def act(
        self, action: str, user_id: str, place: Place, press_id: str, *, method: str | None = None
    ) -> View | None:
        """A button of the pull request's card, or the form that merges. None = the card shows what comes of it."""
        session = await self._session(user_id, place)
        if session is None:
            raise NotFound("This session is over and forgotten.", "Start a new one with `/devflow start`.")
        check_action(_ACCESS.get(action, Action.REPLY), user_id, session.user_id, self._admission.policy)
        event = ev.PullRequestActRequested(
            action, user_id, press_id, method=method, terms=self._terms_of(session.repository)
        )
        wakes = action in AGENT_ACTIONS and not session.status.is_live
        taken = self.limits.taken(session.user_id, session.session_id) if wakes else nullcontext()
        try:
            async with taken:
                await self._engine.handle(session.session_id, event)
        except IllegalTransition as error:
            return illegal(error, session, "pr", language=await self.language(user_id))
        log.info("asked", session_id=session.session_id, user_id=user_id, verb=action)
        return None

    async def merge(self, user_id: str, place: Place, trigger_id: str) -> None:
        """The button "Merge": the choice of how, when it is this person's to choose."""
        session = await self._session(user_id, place)
        if session is None:
            raise NotFound("This session is over and forgotten.", "Start a new one with `/devflow start`.")
        check_action(Action.MERGE, user_id, session.user_id, self._admission.policy)
        hindrance = hindrance_of(session, "merge", user_id)
        if hindrance is not None:
            raise hindrance
        try:
            async with asyncio.timeout(PREFILL_SECONDS):
                repository = await self._code_host.find_repository(session.repository)
                allowed = (await self._code_host.merge_options(repository)).allowed
        except TimeoutError as error:
            raise TemporaryError("GitHub took too long to say how it may be merged.", "Press again.") from error
        if not allowed:
            raise UsageError("GitHub allows no way of merging here.", "Look at the repository's settings.")
        await self._chat.open_modal(trigger_id, merge_form(session, allowed, await self.language(user_id)))

    async def _session(self, user_id: str, place: Place) -> Session | None:
        await self._admission.person(user_id)
        await self._admission.channel(place.channel_id, must_post=False)
        return await self._front.session_of_thread(place.channel_id, place.thread_ts)
