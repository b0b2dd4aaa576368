"""Words that were taken for talk between people, and whose author says that DevFlow was meant.

Called by the listener of the button under such words; reads them in Slack and hands them to the front desk.
"""

from __future__ import annotations

from slackbot.core.errors import NotFound, Refused
from slackbot.core.ports import Chat
from slackbot.front_desk import FrontDesk, Reply
from slackbot.views.view import View


class ListenDesk:
    """One method: ask after all. Raises `DevflowError`s whose sentences the person is to read."""

    def __init__(self, *, front: FrontDesk, chat: Chat) -> None:
        self._front = front
        self._chat = chat

    async def ask(self, user_id: str, channel_id: str, value: str) -> View | None:
        """Takes a message as a prompt. `value` names it, as the button does: its thread's ts and its own."""
        thread_ts, _, message_ts = value.partition(" ")
        found = await self._chat.get_message(channel_id, thread_ts, message_ts) if message_ts else None
        if found is None:
            raise NotFound("That message is gone, so nothing was asked.", "Write it again, and mention DevFlow.")
        if found.user_id != user_id:
            raise Refused("Only who wrote a message can make a prompt of it.")
        return await self._front.reply(
            Reply(
                channel_id=channel_id,
                thread_ts=thread_ts,
                message_ts=message_ts,
                user_id=user_id,
                text=found.text,
                addressed=True,
                files=found.files,
            )
        )
