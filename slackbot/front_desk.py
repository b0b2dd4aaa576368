"""What people ask for, once a listener has parsed it: who asks, which session is meant, may they, and the answer.

Listeners call it; it calls admission, the starter and the engine, and returns what the person is to read.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from weakref import WeakValueDictionary

import structlog

from slackbot.admission import Admission
from slackbot.audit import AuditLog
from slackbot.core import command_text as ct
from slackbot.core import events as ev
from slackbot.core import listening
from slackbot.core.access import Action, check_action
from slackbot.core.attachments import FILES_ALONE, Attached, choose
from slackbot.core.errors import DevflowError, IllegalTransition, Refused, TemporaryError, UsageError
from slackbot.core.ports import SessionStore
from slackbot.core.session import Session, derive_session_id
from slackbot.core.staying import AGE
from slackbot.core.wishes import EVENTS, Wish
from slackbot.editor_links import EditorLinks
from slackbot.engine import Engine, Overtaken
from slackbot.forget_desk import ForgetDesk
from slackbot.hand_over_desk import HandOverDesk
from slackbot.session_finder import SessionFinder, is_session_id
from slackbot.session_start import LostRoot, SessionStarter
from slackbot.start_desk import StartDesk
from slackbot.views.attachments import files_left_out
from slackbot.views.editor import editor_link
from slackbot.views.errors import illegal
from slackbot.views.hand_over import has_it, to_whom
from slackbot.views.listening import overheard
from slackbot.views.replies import (
    accepted,
    help_text,
    session_gone,
    session_status,
)
from slackbot.views.view import View
from slackbot.views.words import thread_permalink

log = structlog.get_logger()


@dataclass(frozen=True)
class Reply:
    """A message in a thread. `text` is as Slack stores it (escaped); `root_is_ours` None = Slack did not say."""

    channel_id: str
    thread_ts: str
    message_ts: str
    user_id: str
    text: str
    root_is_ours: bool | None = None
    addressed: bool = False
    """Its author said that DevFlow is meant, though the text does not name it."""
    files: tuple[Attached, ...] = ()


class FrontDesk:
    """One method for each thing people do. Raises `DevflowError`s whose sentences the person is to read."""

    def __init__(
        self,
        *,
        engine: Engine,
        store: SessionStore,
        starter: SessionStarter,
        start_desk: StartDesk,
        finder: SessionFinder,
        admission: Admission,
        audit: AuditLog,
        forgetting: ForgetDesk,
        team_id: str,
        bot_user_id: str,
        workspace_url: str,
        hosts: frozenset[str],
        raise_limit: Callable[[Session, str, str], Awaitable[None]],
        editor_links: EditorLinks | None = None,
    ) -> None:
        self._engine = engine
        self._store = store
        self._starter = starter
        self._start_desk = start_desk
        self._finder = finder
        self._admission = admission
        self._audit = audit
        self._forgetting = forgetting
        self._handing_over = HandOverDesk(engine=engine, admission=admission, limits=starter.limits)
        self._team_id = team_id
        self._bot_user_id = bot_user_id
        self._workspace_url = workspace_url
        self._hosts = hosts
        self._raise_limit = raise_limit
        self._editor_links = editor_links
        self._hinted: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._foreign_threads: dict[tuple[str, str], None] = {}
        self._order: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def language(self, user_id: str) -> str:
        """What this person reads alone is written in it; for listeners too, which tell what went wrong."""
        return await self._admission.language(user_id)

    # ------------------------------------------------------------------------------- commands

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
        return await self._asked(session, command.verb, user_id, press_id) or accepted(
            command.verb, session, language=await self.language(user_id)
        )

    async def _asked(
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
            async with self._place_if(launches, session):
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
            await self._asked(session, "handover", user_id, press_id, value=to_user_id)
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
            return await self._asked(session, verb, user_id, press_id)

    # --------------------------------------------------------------------------------- threads

    def session_id_of(self, channel_id: str, thread_ts: str) -> str:
        return derive_session_id(self._team_id, channel_id, thread_ts)

    async def session_of_thread(self, channel_id: str, thread_ts: str) -> Session | None:
        return await self._engine.load(self.session_id_of(channel_id, thread_ts))

    async def reply(self, reply: Reply, *, lost: LostRoot | None = None) -> View | None:
        """Somebody wrote in a thread. Returns what this person alone is to read, or None.

        `lost`: the card of an earlier session, where the caller has found one that the store knows nothing of.
        """
        with self.refusals_audited("reply", reply.user_id, reply.channel_id, reply.thread_ts):
            async with self._in_order(reply.channel_id, reply.thread_ts):
                recalled = self._engine.recalled(self.session_id_of(reply.channel_id, reply.thread_ts))
                if recalled is not None:
                    try:
                        return await self._reply(reply, None, recalled)
                    except TemporaryError:
                        raise
                    except (Overtaken, DevflowError) as error:
                        # Nothing was changed. What a person is told is decided on what the store says.
                        log.debug("recalled_in_vain", session_id=recalled.session_id, why=type(error).__name__)
                return await self._reply(reply, lost, None)

    async def _reply(self, reply: Reply, lost: LostRoot | None, recalled: Session | None) -> View | None:
        session = recalled or await self.session_of_thread(reply.channel_id, reply.thread_ts)
        lost = (lost or await self._lost_root(reply)) if session is None else None
        if session is None and lost is None:
            return None
        said = ct.parse_reply(reply.text, self._bot_user_id)
        files, left_out = choose(reply.files)
        if isinstance(said, ct.Nothing) and files:
            said = ct.Prompt(FILES_ALONE)
        if isinstance(said, ct.Nothing) and not left_out:
            return None
        if recalled is not None and not isinstance(said, ct.Prompt):
            raise Overtaken
        await self._admission.person(reply.user_id)
        await self._admission.channel(reply.channel_id, must_post=False)
        if isinstance(said, ct.ThreadCommand) and said.verb == "help":
            return help_text(language=await self.language(reply.user_id))
        turn_id = f"{reply.channel_id}:{reply.message_ts}"
        if isinstance(said, ct.ThreadCommand):
            if session is None:
                return await self._press_lost(said.verb, reply.user_id, lost)
            return await self._asked(session, said.verb, reply.user_id, turn_id, value=said.value)
        if session is None and lost is not None and isinstance(said, ct.Prompt):
            session = await self._starter.revive(lost)
        if session is None:
            return None
        check_action(Action.REPLY, reply.user_id, session.user_id, self._admission.policy)
        if isinstance(said, ct.Aside):
            await self._engine.handle(session.session_id, ev.AsideSaid(said.text, turn_id, reply.user_id), read=session)
            return None
        if isinstance(said, ct.Nothing):
            return files_left_out(left_out, language=await self.language(reply.user_id))
        mentioned = reply.addressed or self._names_us(reply)
        is_prompt = listening.is_prompt(session, reply.user_id, mentioned=mentioned)
        wakes = not session.status.is_live and session.ended is not None and session.ended.by.wakes_on_reply
        event = ev.PromptReceived(
            turn_id=turn_id,
            user_id=reply.user_id,
            prompt=said.text,
            prompt_ts=reply.message_ts,
            mentioned=mentioned,
            files=tuple(file.entry() for file in files),
        )
        if recalled is not None:
            session = await self._engine.handle_recalled(recalled, event)
        else:
            async with self._place_if(wakes and is_prompt, session):
                session = await self._engine.handle(session.session_id, event, read=session)
        # Said once this is acknowledged: Slack need not wait for a log file.
        is_talk = session.turn(turn_id) is None and turn_id in session.heard
        asyncio.get_running_loop().call_soon(_say_stored, session.session_id, turn_id, reply.user_id, is_talk)
        if is_talk:
            return await self._overheard(session, reply)
        return files_left_out(left_out, language=await self.language(reply.user_id)) if left_out else None

    def _names_us(self, reply: Reply) -> bool:
        return f"<@{self._bot_user_id}" in reply.text

    async def _overheard(self, session: Session, reply: Reply) -> View | None:
        """What its author is told of words that were no prompt: once to each person in a thread, then they know."""
        if (session.session_id, reply.user_id) in self._hinted:
            return None
        self._hinted[session.session_id, reply.user_id] = None
        while len(self._hinted) > 5_000:
            self._hinted.popitem(last=False)
        return overheard(reply.thread_ts, reply.message_ts, language=await self.language(reply.user_id))

    def _place_if(self, launches: bool, session: Session) -> AbstractAsyncContextManager[None]:
        """One of the places that live sessions have, where `session` is about to be launched again."""
        return self._starter.limits.taken(session.user_id, session.session_id) if launches else nullcontext()

    async def edited(self, reply: Reply) -> None:
        """A message in a thread now says something else; a waiting prompt follows."""
        async with self._in_order(reply.channel_id, reply.thread_ts):
            await self._edited(reply)

    async def _edited(self, reply: Reply) -> None:
        session = await self.session_of_thread(reply.channel_id, reply.thread_ts)
        turn = session.turn_of_message(reply.message_ts) if session is not None else None
        if session is not None and turn is None and self._names_us(reply):
            if f"{reply.channel_id}:{reply.message_ts}" in session.heard:
                # It was talk between people, and names DevFlow now.
                await self._reply(reply, None, None)
            return
        if session is None or turn is None or turn.user_id != reply.user_id:
            return
        said = ct.parse_reply(reply.text, self._bot_user_id)
        if isinstance(said, ct.Prompt):
            await self._engine.handle(session.session_id, ev.PromptEdited(reply.message_ts, said.text))
        else:
            await self._engine.handle(session.session_id, ev.PromptDeleted(reply.message_ts))

    async def deleted(self, channel_id: str, thread_ts: str, message_ts: str) -> None:
        """A message in a thread is gone; a waiting prompt goes with it."""
        async with self._in_order(channel_id, thread_ts):
            session = await self.session_of_thread(channel_id, thread_ts)
            if session is not None and session.turn_of_message(message_ts) is not None:
                await self._engine.handle(session.session_id, ev.PromptDeleted(message_ts))

    async def press(
        self,
        verb: str,
        user_id: str,
        channel_id: str,
        thread_ts: str,
        press_id: str,
        message_ts: str | None = None,
        value: str = "",
    ) -> View | None:
        """A button on a message in a session's thread. Where it stands says which session is meant, not its value."""
        with self.refusals_audited(verb, user_id, channel_id, thread_ts):
            return await self._press(verb, user_id, channel_id, thread_ts, press_id, message_ts, value)

    async def session_pressed(self, action: Action, user_id: str, channel_id: str, thread_ts: str) -> Session | None:
        """The session of the thread a button stands in, for a person who may do `action` there."""
        with self.refusals_audited(action, user_id, channel_id, thread_ts):
            await self._admission.person(user_id)
            await self._admission.channel(channel_id, must_post=False)
            session = await self.session_of_thread(channel_id, thread_ts)
            if session is not None:
                check_action(action, user_id, session.user_id, self._admission.policy)
            return session

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

    async def _press(
        self,
        verb: str,
        user_id: str,
        channel_id: str,
        thread_ts: str,
        press_id: str,
        message_ts: str | None,
        value: str,
    ) -> View | None:
        await self._admission.person(user_id)
        await self._admission.channel(channel_id, must_post=False)
        session = await self.session_of_thread(channel_id, thread_ts)
        if session is None:
            return await self._press_lost(verb, user_id, await self._starter.find_root(channel_id, thread_ts))
        return await self._asked(session, verb, user_id, press_id, message_ts, value)

    def _in_order(self, channel_id: str, thread_ts: str) -> asyncio.Lock:
        """Held by one message of a thread at a time, in the order in which they came: an edit follows its message."""
        return self._order.setdefault((channel_id, thread_ts), asyncio.Lock())

    async def _press_lost(self, verb: str, user_id: str, lost: LostRoot | None) -> View | None:
        """A verb where no session is stored: only Retry begins one, and only where none ever ran."""
        if verb == "retry" and lost is not None and not lost.ran_before:
            await self._starter.revive(lost)
            return None
        return session_gone(language=await self.language(user_id))

    async def _lost_root(self, reply: Reply) -> LostRoot | None:
        """The root this reply is under, when it is ours; other threads are people's own, and looked at once."""
        key = (reply.channel_id, reply.thread_ts)
        if reply.root_is_ours is False or key in self._foreign_threads:
            return None
        lost = await self._starter.find_root(reply.channel_id, reply.thread_ts)
        if lost is None:
            self._foreign_threads[key] = None
            if len(self._foreign_threads) > 10_000:
                self._foreign_threads.pop(next(iter(self._foreign_threads)))
        return lost


def _say_stored(session_id: str, turn_id: str, user_id: str, is_talk: bool) -> None:
    log.info("overheard" if is_talk else "prompt_stored", session_id=session_id, turn_id=turn_id, user_id=user_id)
