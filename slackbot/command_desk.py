"""What people ask for by a verb, once a listener has parsed it: which session is meant, may they, and the answer.

Listeners call it with `/devflow ...`, Home with its buttons, and the front desk with the words and buttons of a thread;
it calls admission, the start desk and the engine, and returns what the person is to read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext

import structlog

from slackbot.admission import Admission
from slackbot.audit import AuditLog
from slackbot.core import command_text as ct
from slackbot.core.access import Action, check_action
from slackbot.core.errors import IllegalTransition, Refused, UsageError
from slackbot.core.session import Session, derive_session_id
from slackbot.core.staying import AGE
from slackbot.core.wishes import EVENTS, Wish
from slackbot.editor_links import EditorLinks
from slackbot.engine import Engine
from slackbot.forget_desk import ForgetDesk
from slackbot.hand_over_desk import HandOverDesk
from slackbot.session_finder import SessionFinder, is_session_id
from slackbot.session_limits import SessionLimits
from slackbot.start_desk import StartDesk
from slackbot.views.editor import editor_link
from slackbot.views.errors import illegal
from slackbot.views.hand_over import has_it, to_whom
from slackbot.views.replies import (
    accepted,
    help_text,
    session_gone,
    session_status,
)
from slackbot.views.view import View
from slackbot.views.words import thread_permalink

log = structlog.get_logger()


class CommandDesk:
    """One method for each way to ask. Raises `DevflowError`s whose sentences the person is to read."""

    def __init__(
        self,
        *,
        engine: Engine,
        limits: SessionLimits,
        start_desk: StartDesk,
        finder: SessionFinder,
        admission: Admission,
        audit: AuditLog,
        forgetting: ForgetDesk,
        team_id: str,
        workspace_url: str,
        hosts: frozenset[str],
        raise_limit: Callable[[Session, str, str], Awaitable[None]],
        editor_links: EditorLinks | None = None,
    ) -> None:
        self._engine = engine
        self._limits = limits
        self._start_desk = start_desk
        self._finder = finder
        self._admission = admission
        self._audit = audit
        self._forgetting = forgetting
        self._handing_over = HandOverDesk(engine=engine, admission=admission, limits=limits)
        self._team_id = team_id
        self._workspace_url = workspace_url
        self._hosts = hosts
        self._raise_limit = raise_limit
        self._editor_links = editor_links

    async def language(self, user_id: str) -> str:
        """What this person reads alone is written in it; for listeners too, which tell what went wrong."""
        return await self._admission.language(user_id)

    def is_start(self, text: str) -> bool:
        """Whether `/devflow TEXT` begins a session, which may take a while."""
        try:
            return isinstance(ct.parse_command(text, self._hosts), ct.StartCommand)
        except UsageError:
            return False

    async def command(
        self, user_id: str, channel_id: str, text: str, press_id: str, trigger_id: str = ""
    ) -> View | None:
        """`/devflow TEXT`. None = what happens is to be seen in the channel, no further word is needed.

        `press_id` names this very command, so that Slack's repetition of it is not a second one; `trigger_id` lets it
        open a form ("" = it cannot).
        """
        with self.refusals_audited("command", user_id, channel_id):
            return await self._command(user_id, channel_id, text, press_id, trigger_id)

    async def _command(self, user_id: str, channel_id: str, text: str, press_id: str, trigger_id: str) -> View | None:
        command = ct.parse_command(text, self._hosts)
        if isinstance(command, ct.HelpCommand):
            return help_text(language=await self.language(user_id))
        if isinstance(command, ct.FormCommand):
            return await self._start_desk.by_form(user_id, channel_id, command, trigger_id)
        if isinstance(command, ct.StartCommand):
            return await self._start_desk.by_command(user_id, channel_id, command, trigger_id)
        await self._admission.person(user_id)
        if isinstance(command, ct.ListCommand):
            return await self._finder.page(user_id, command.cursor)
        session = await self._finder.meant(user_id, command)
        if isinstance(session, View):
            return session
        # A command is typed elsewhere than in the thread, where what follows is to be seen: so it is answered.
        return await self.asked(session, command.verb, user_id, press_id) or accepted(
            command.verb, session, language=await self.language(user_id)
        )

    async def asked(
        self, session: Session, verb: str, user_id: str, press_id: str, message_ts: str | None = None, value: str = ""
    ) -> View | None:
        """A verb about one session, by command, `!` word or button. None = the thread shows what comes of it."""
        if verb == "status":
            check_action(Action.STATUS, user_id, session.user_id, self._admission.policy)
            language = await self.language(user_id)
            return session_status(session, self._engine.now(), permalink=self.permalink(session), language=language)
        if verb == "raise_limit":
            check_action(Action.RAISE_LIMIT, user_id, session.user_id, self._admission.policy)
            await self._raise_limit(session, user_id, press_id)
            return None
        if verb == "editor":
            return await self._editor(session, user_id)
        if verb == "handover":
            check_action(Action.HAND_OVER, user_id, session.user_id, self._admission.policy)
            if not value:
                return to_whom(session, language=await self.language(user_id))
            await self._handing_over.hand_over(session, user_id, value, press_id)
            return None
        if verb == "forget":
            check_action(Action.FORGET, user_id, session.user_id, self._admission.policy)
            language = await self.language(user_id)
            return self._forgetting.question(session, permalink=self.permalink(session), language=language)
        action, event_for = EVENTS[verb]
        if verb == "extend" and session.stay.warned == AGE:
            # That limit is the administrator's.
            action = Action.RAISE_LIMIT
        check_action(action, user_id, session.user_id, self._admission.policy)
        wakes = (verb == "retry" and session.retryable_turn(message_ts) is not None) or verb == "undo"
        launches = wakes and not session.status.is_live
        try:
            wish = Wish(user_id, press_id, message_ts, value, self._engine.limits_of(session.repository))
            async with self.place_if(launches, session):
                await self._engine.handle(session.session_id, event_for(wish))
        except IllegalTransition as error:
            return illegal(error, session, verb, language=await self.language(user_id))
        log.info("asked", session_id=session.session_id, user_id=user_id, verb=verb)
        return None

    async def hand_over(self, user_id: str, channel_id: str, session_id: str, to_user_id: str, press_id: str) -> View:
        """Somebody was chosen from the list. What names the session comes from Slack, so all is checked anew."""
        with self.refusals_audited("handover", user_id, channel_id):
            await self._admission.person(user_id)
            language = await self.language(user_id)
            session = await self._engine.load(session_id)
            if session is None:
                return session_gone(language=language)
            await self.asked(session, "handover", user_id, press_id, value=to_user_id)
            return has_it(to_user_id, language=language)

    async def forget(self, user_id: str, channel_id: str, session_id: str) -> View:
        """The button of the question whether to forget. Its value names the session, so all is checked anew."""
        with self.refusals_audited("forget", user_id, channel_id):
            await self._admission.person(user_id)
            session = await self._engine.load(session_id.lower()) if is_session_id(session_id) else None
            language = await self.language(user_id)
            if session is None:
                return session_gone(language=language)
            check_action(Action.FORGET, user_id, session.user_id, self._admission.policy)
            link = self.permalink(session)
            return await self._forgetting.forget(session, user_id, permalink=link, language=language)

    async def _editor(self, session: Session, user_id: str) -> View:
        """A link into the session's editor, for this person alone."""
        if self._editor_links is None:
            raise UsageError("There is no web editor here.", "Its administrator sets DEVFLOW_PUBLIC_URL.")
        url = self._editor_links.link(session, user_id)
        return editor_link(session, url, language=await self.language(user_id))

    def permalink(self, session: Session) -> str | None:
        """A link to the thread, made without asking Slack."""
        return thread_permalink(self._workspace_url, session.thread.channel_id, session.thread.thread_ts)

    async def list_page(self, user_id: str, cursor: str | None) -> View:
        """A page of the person's sessions: the list's button for more."""
        await self._admission.person(user_id)
        return await self._finder.page(user_id, cursor)

    async def ask(self, verb: str, user_id: str, session_id: str, press_id: str) -> View | None:
        """A verb about a session that is named by its id, as on Home; the table of rights says whether it is done."""
        with self.refusals_audited(verb, user_id, ""):
            await self._admission.person(user_id)
            session = await self._engine.load(session_id)
            if session is None:
                return session_gone(language=await self.language(user_id))
            return await self.asked(session, verb, user_id, press_id)

    @contextmanager
    def refusals_audited(
        self, asked: str, user_id: str, channel_id: str, thread_ts: str | None = None
    ) -> Iterator[None]:
        try:
            yield
        except Refused as error:
            session_id = derive_session_id(self._team_id, channel_id, thread_ts) if thread_ts else None
            details = {"asked": asked, "channel_id": channel_id, "why": error.summary}
            self._audit.record("refused", actor=user_id, session_id=session_id, details=details)
            raise

    def place_if(self, launches: bool, session: Session) -> AbstractAsyncContextManager[None]:
        """One of the places that live sessions have, where `session` is about to be launched again."""
        return self._limits.taken(session.user_id, session.session_id) if launches else nullcontext()
