"""What people do in the threads of sessions, once a listener has parsed it: replies, edits, deletions, presses.

Listeners call it; it calls admission, the starter and the engine, the command desk for verbs, and returns what the
person is to read.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import structlog

from slackbot.admission import Admission
from slackbot.command_desk import CommandDesk
from slackbot.core import command_text as ct
from slackbot.core import events as ev
from slackbot.core import listening
from slackbot.core.access import Action, check_action
from slackbot.core.attachments import FILES_ALONE, Attached, choose
from slackbot.core.errors import DevflowError, TemporaryError
from slackbot.core.session import Session, derive_session_id
from slackbot.engine import Engine, Overtaken
from slackbot.one_at_a_time import OneAtATime
from slackbot.session_start import LostRoot, SessionStarter
from slackbot.told_ahead import ToldAhead
from slackbot.views.attachments import files_left_out
from slackbot.views.listening import overheard
from slackbot.views.replies import help_text, session_gone
from slackbot.views.view import View

log = structlog.get_logger()


class Reply(NamedTuple):
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
        starter: SessionStarter,
        commands: CommandDesk,
        admission: Admission,
        team_id: str,
        bot_user_id: str,
    ) -> None:
        self._engine = engine
        self._starter = starter
        self._commands = commands
        self._admission = admission
        self._team_id = team_id
        self._bot_user_id = bot_user_id
        self._hinted: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._foreign_threads: dict[tuple[str, str], None] = {}
        self._ahead: ToldAhead[Reply] = ToldAhead()
        self._order = OneAtATime()
        """Of the messages of a thread, in the order in which they came: an edit follows its message."""

    async def language(self, user_id: str) -> str:
        """What this person reads alone is written in it; for listeners too, which tell what went wrong."""
        return await self._admission.language(user_id)

    def session_id_of(self, channel_id: str, thread_ts: str) -> str:
        return derive_session_id(self._team_id, channel_id, thread_ts)

    async def session_of_thread(self, channel_id: str, thread_ts: str) -> Session | None:
        return await self._engine.load(self.session_id_of(channel_id, thread_ts))

    async def reply(self, reply: Reply, *, lost: LostRoot | None = None) -> View | None:
        """Somebody wrote in a thread. Returns what this person alone is to read, or None.

        `lost`: the card of an earlier session, where the caller has found one that the store knows nothing of.
        """
        async with self._order.of((reply.channel_id, reply.thread_ts)):
            now_said = self._as_it_is_now(reply)
            if now_said is None:
                return None
            reply = now_said
            recalled = self._engine.recalled(self.session_id_of(reply.channel_id, reply.thread_ts))
            if recalled is not None:
                try:
                    return await self._reply(reply, None, recalled)
                except TemporaryError:
                    raise
                except (Overtaken, DevflowError) as error:
                    # Nothing was changed. What a person is told is decided on what the store says.
                    log.debug("recalled_in_vain", session_id=recalled.session_id, why=type(error).__name__)
            with self._commands.refusals_audited("reply", reply.user_id, reply.channel_id, reply.thread_ts):
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
            return await self._commands.asked(session, said.verb, reply.user_id, turn_id, value=said.value)
        if session is None and lost is not None and isinstance(said, ct.Prompt):
            session = await self._starter.revive(lost)
        if session is None:
            return None
        check_action(Action.REPLY, reply.user_id, session.user_id, self._admission.policy)
        if isinstance(said, ct.Aside):
            talk = ev.AsideSaid(said.text, turn_id, reply.user_id, _entries(files))
            await self._engine.handle(session.session_id, talk, read=session)
            return None
        mentioned = reply.addressed or self._names_us(reply)
        is_prompt = listening.is_prompt(session, reply.user_id, mentioned=mentioned)
        if isinstance(said, ct.Nothing):
            return files_left_out(left_out, language=await self.language(reply.user_id)) if is_prompt else None
        wakes = not session.status.is_live and session.ended is not None and session.ended.by.wakes_on_reply
        event = ev.PromptReceived(
            turn_id=turn_id,
            user_id=reply.user_id,
            prompt=said.text,
            prompt_ts=reply.message_ts,
            mentioned=mentioned,
            files=_entries(files),
        )
        if recalled is not None:
            session = await self._engine.handle_recalled(recalled, event)
        else:
            async with self._commands.place_if(wakes and is_prompt, session):
                session = await self._engine.handle(session.session_id, event, read=session)
        # Said once this is acknowledged: Slack need not wait for a log file.
        is_talk = session.turn(turn_id) is None and turn_id in session.heard
        self._engine.afterwards(partial(_say_stored, session.session_id, turn_id, reply.user_id, is_talk))
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

    async def edited(self, reply: Reply, was: Reply | None = None) -> View | None:
        """A message in a thread now says something else; a waiting prompt follows, and so does talk. `was`: before.

        Returns what its author alone is to read: words that name DevFlow only now are taken as if just written.
        """
        async with self._order.of((reply.channel_id, reply.thread_ts)):
            return await self._edited(reply, was)

    async def _edited(self, reply: Reply, was: Reply | None) -> View | None:
        session = await self.session_of_thread(reply.channel_id, reply.thread_ts)
        if session is None:
            return None
        turn = session.turn_of_message(reply.message_ts)
        if turn is None and self.mention_is_new(reply, was, session):
            await self._talk_changed(session, was, None)
            return await self._reply(reply, None, None)
        if turn is None:
            await self._talk_changed(session, was, reply)
            self._told_ahead(session, reply.message_ts, reply)
        elif turn.user_id == reply.user_id:
            said = ct.parse_reply(reply.text, self._bot_user_id)
            if isinstance(said, ct.Prompt):
                await self._engine.handle(session.session_id, ev.PromptEdited(reply.message_ts, said.text))
            else:
                await self._engine.handle(session.session_id, ev.PromptDeleted(reply.message_ts))
        return None

    def mention_is_new(self, reply: Reply, was: Reply | None, session: Session | None = None) -> bool:
        """Whether an edit made a message name DevFlow. Where Slack does not tell what it said before, what was
        overheard is known."""
        if not self._names_us(reply):
            return False
        if was is not None:
            return not self._names_us(was)
        return session is not None and f"{reply.channel_id}:{reply.message_ts}" in session.heard

    async def _talk_changed(self, session: Session, was: Reply | None, reply: Reply | None) -> None:
        """What waits as context reads as its message does. `reply` None: it is no talk any more."""
        if was is None or not session.asides:
            return
        files, _ = choose(was.files)
        text = self._talk(reply) if reply is not None else None
        changed = ev.TalkChanged(was.user_id, self._talk(was), text, _entries(files))
        await self._engine.handle(session.session_id, changed)

    def _talk(self, reply: Reply) -> str:
        said = ct.parse_reply(reply.text, self._bot_user_id)
        return said.text if isinstance(said, ct.Prompt | ct.Aside) else ""

    async def deleted(self, channel_id: str, thread_ts: str, message_ts: str, was: Reply | None = None) -> None:
        """A message in a thread is gone; a waiting prompt goes with it, and so does talk. `was`: what it said."""
        async with self._order.of((channel_id, thread_ts)):
            session = await self.session_of_thread(channel_id, thread_ts)
            if session is None:
                return
            if session.turn_of_message(message_ts) is not None:
                await self._engine.handle(session.session_id, ev.PromptDeleted(message_ts))
            else:
                await self._talk_changed(session, was, None)
                self._told_ahead(session, message_ts, None)

    def _told_ahead(self, session: Session, message_ts: str, reply: Reply | None) -> None:
        """What became of a message that nobody here has heard yet: Slack tells of two things in any order."""
        channel_id = session.thread.channel_id
        if f"{channel_id}:{message_ts}" not in session.heard:
            self._ahead.note(channel_id, message_ts, reply)

    def _as_it_is_now(self, reply: Reply) -> Reply | None:
        """The reply as its author left it, where that was told before it; None = deleted."""
        now_said = self._ahead.now(reply.channel_id, reply.message_ts, reply)
        if now_said is None or now_said.user_id != reply.user_id:
            return None if now_said is None else reply
        return now_said._replace(root_is_ours=reply.root_is_ours, addressed=reply.addressed)

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
        with self._commands.refusals_audited(verb, user_id, channel_id, thread_ts):
            return await self._press(verb, user_id, channel_id, thread_ts, press_id, message_ts, value)

    async def session_pressed(self, action: Action, user_id: str, channel_id: str, thread_ts: str) -> Session | None:
        """The session of the thread a button stands in, for a person who may do `action` there."""
        with self._commands.refusals_audited(action, user_id, channel_id, thread_ts):
            await self._admission.person(user_id)
            await self._admission.channel(channel_id, must_post=False)
            session = await self.session_of_thread(channel_id, thread_ts)
            if session is not None:
                check_action(action, user_id, session.user_id, self._admission.policy)
            return session

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
        return await self._commands.asked(session, verb, user_id, press_id, message_ts, value)

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


def _entries(files: Sequence[Attached]) -> tuple[dict[str, str | int], ...]:
    return tuple(file.entry() for file in files)


def _say_stored(session_id: str, turn_id: str, user_id: str, is_talk: bool) -> None:
    log.info("overheard" if is_talk else "prompt_stored", session_id=session_id, turn_id=turn_id, user_id=user_id)
