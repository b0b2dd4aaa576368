"""What is said to DevFlow itself: mentions, and direct messages. To the session of the thread, or a start of one.

Called by the listeners of `app_mention` and of direct messages. Slack tells of one message by several events: whatever
begins here is named by the message, so all of them together begin one thing.
"""

from __future__ import annotations

from slackbot.command_desk import CommandDesk
from slackbot.core import command_text as ct
from slackbot.core.slack_text import plain_text, without_mention
from slackbot.front_desk import FrontDesk, Reply
from slackbot.session_start import SessionStarter
from slackbot.start_desk import Asked, StartDesk
from slackbot.views.view import View


class AddressDesk:
    """One method: somebody addressed DevFlow. Raises `DevflowError`s whose sentences the person is to read."""

    def __init__(
        self,
        *,
        front: FrontDesk,
        commands: CommandDesk,
        start: StartDesk,
        starter: SessionStarter,
        bot_user_id: str,
    ) -> None:
        self._front = front
        self._commands = commands
        self._start = start
        self._starter = starter
        self._bot_user_id = bot_user_id

    async def addressed(self, reply: Reply) -> View | None:
        """A message that is meant for DevFlow; at the root of a thread `thread_ts` is its own ts.

        Returns what this person alone is to read, or None.
        """
        if await self._front.session_of_thread(reply.channel_id, reply.thread_ts) is not None:
            return await self._front.reply(reply)
        if reply.thread_ts != reply.message_ts:
            lost = await self._starter.find_root(reply.channel_id, reply.thread_ts)
            if lost is not None:
                return await self._front.reply(reply, lost=lost)
        command = self._command(reply.text)
        if command is not None:
            # Named by the message: a command is heard once, however often it is delivered.
            press_id = f"{reply.channel_id}:{reply.message_ts}"
            return await self._commands.command(reply.user_id, reply.channel_id, command, press_id)
        with self._commands.refusals_audited("mention", reply.user_id, reply.channel_id):
            return await self._start.by_message(
                Asked(
                    channel_id=reply.channel_id,
                    thread_ts=reply.thread_ts,
                    message_ts=reply.message_ts,
                    user_id=reply.user_id,
                    text=reply.text,
                )
            )

    async def edited(self, reply: Reply, was: Reply | None) -> View | None:
        """A message now says something else, and perhaps names DevFlow only now: then it is as if just written."""
        if await self._front.session_of_thread(reply.channel_id, reply.thread_ts) is not None:
            return await self._front.edited(reply, was)
        if not reply.channel_id.startswith("D") and self._front.mention_is_new(reply, was):
            return await self.addressed(reply)
        return None

    def _command(self, escaped: str) -> str | None:
        """A verb alone, as one types it behind `/devflow`; a sentence is a prompt."""
        words = plain_text(without_mention(escaped, self._bot_user_id)).strip().lstrip("!").lower()
        return words if words in ct.VERBS and words != "start" else None
