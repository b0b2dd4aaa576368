"""The pull request's card in the thread: posted once, updated in place, moved to the thread's end when asked for.

Called by the performer; the text comes from views, posts and their look-up from the thread's writer.
"""

from __future__ import annotations

import structlog

from slackbot.core import effects as fx
from slackbot.core import events as ev
from slackbot.core.errors import NotFound, PermanentError, ThreadUnreachable
from slackbot.core.ports import Chat, Metadata
from slackbot.core.session import Session
from slackbot.own_messages import find_own, take_away
from slackbot.thread_writer import ThreadWriter
from slackbot.views.pull_request_card import pull_request_card, pull_request_metadata

log = structlog.get_logger()


class PullRequestCards:
    """`first` says that nobody can have tried before, so nothing is looked up."""

    def __init__(self, chat: Chat, writer: ThreadWriter) -> None:
        self._chat = chat
        self._writer = writer

    async def update(
        self, effect: fx.UpdatePullRequestCard, session: Session, *, first: bool
    ) -> ev.PullRequestCardTold:
        """Draws the card as the session has it now; posts it where it does not stand yet."""
        view, metadata = pull_request_card(session), pull_request_metadata(session)
        thread, card_ts = session.thread, session.pull_request.card_ts
        if card_ts is None:
            found = None
            if not first:
                payload: dict[str, str | int] = {"card_number": session.pull_request.card_number}
                found = await self._writer.find(session, metadata.event_type, payload)
                await self._remove_forgotten(session, metadata)
            if found is None:
                card_ts = await self._writer.post(session, view, metadata, again=not first)
                # The latest answers that offered to open one now lead to it.
                await self._writer.refresh_answers(session)
                return ev.PullRequestCardTold(effect.card, card_ts, effect.card_number)
            card_ts = found.ts
        try:
            await self._chat.update_message(
                thread.channel_id, card_ts, text=view.text, blocks=view.blocks, metadata=metadata
            )
        except ThreadUnreachable:
            raise
        except (NotFound, PermanentError) as error:
            # Deleted by somebody: `!pr` shows it again.
            log.info("pull_request_card_not_updated", session_id=session.session_id, why=error.summary)
        return ev.PullRequestCardTold(effect.card, card_ts, effect.card_number)

    async def _remove_forgotten(self, session: Session, metadata: Metadata) -> None:
        """A card that was posted before a crash, and moved before anybody knew of it."""
        number = session.pull_request.card_number
        for post in await find_own(self._chat, session, metadata.event_type):
            payload = (post.metadata or {}).get("event_payload")
            its = payload if isinstance(payload, dict) else {}
            of_this = all(its.get(name) == metadata.event_payload[name] for name in ("session_id", "pull_number"))
            its_number = its.get("card_number")
            if of_this and isinstance(its_number, int) and its_number < number:
                await take_away(self._chat, session, post.ts)

    async def remove(self, effect: fx.RemoveOldCard, session: Session) -> ev.OldCardRemoved:
        await take_away(self._chat, session, effect.card_ts)
        return ev.OldCardRemoved(effect.card_ts)
