"""What a worker is told of the turn it has claimed: the whole prompt, what people said meanwhile, files, earlier tries.

Data: a session and one of its turns in, the protocol's `TurnWork` out; what the store keeps shortened, and the names of
people, come from Slack through the chat port.
"""

from __future__ import annotations

import structlog

from slackbot import worker_protocol as wp
from slackbot.core.errors import DevflowError, TemporaryError
from slackbot.core.joined_turns import files_of, joined_with
from slackbot.core.ports import Chat
from slackbot.core.session import Session, Turn, tried_before
from slackbot.core.slack_text import leading_mention, plain_text
from slackbot.core.undo_rules import range_of

log = structlog.get_logger()

MAX_PROMPT_CHARACTERS = 200_000


class Assignment:
    """Makes them; keeps nothing."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    async def work(self, session: Session, turn: Turn) -> wp.TurnWork:
        """`TemporaryError` when Slack cannot be read just now: the worker asks for its turn again."""
        try:
            name = (await self._chat.get_person(turn.user_id)).name
        except DevflowError:
            name = turn.user_id
        turns, tried = (turn, *joined_with(session, turn)), tried_before(session, turn)
        return wp.TurnWork(
            turn_id=turn.turn_id,
            retries=tuple(each.turn_id for each in tried),
            pushes=tuple(
                wp.Push(head_sha=each.pushing["head_sha"], base_sha=each.pushing["base_sha"])
                for each in tried
                if each.pushing
            ),
            prompt="\n\n".join([await self._whole_prompt(session, each) for each in turns]),
            user_id=turn.user_id,
            user_name=name,
            context=tuple([await self._said(line) for each in turns for line in each.context]),
            purpose=turn.purpose,
            merge=self._base_to_merge(session, turn),
            files=tuple(
                wp.AttachedFile(name=str(file.get("name", "")), size_bytes=int(file.get("size_bytes", 0)))
                for file in files_of(session, turn)
            ),
            undo=_undo(session, turn),
        )

    def _base_to_merge(self, session: Session, turn: Turn) -> str | None:
        """For a turn that is to resolve conflicts: the branch its pull request goes into."""
        if turn.purpose != "resolve_conflicts":
            return None
        picture = session.pull_request.seen
        return (picture.base_ref if picture is not None else "") or session.base_branch

    async def _said(self, line: str) -> str:
        """What people said to each other, with the name of who said it in place of the id."""
        user_id, said = leading_mention(line)
        if user_id is None:
            return line
        try:
            return f"{(await self._chat.get_person(user_id)).name}: {said}"
        except DevflowError:
            return f"{user_id}: {said}"

    async def _whole_prompt(self, session: Session, turn: Turn) -> str:
        """The agent gets the whole text: what the store keeps shortened stands in Slack.

        `TemporaryError` when Slack cannot be read just now: the worker asks for its turn again.
        """
        if not turn.shortened:
            return turn.prompt
        thread = session.thread
        try:
            if turn.prompt_file is not None:
                return (await self._chat.read_file(turn.prompt_file, MAX_PROMPT_CHARACTERS * 4)) or turn.prompt
            if turn.prompt_ts is not None:
                message = await self._chat.get_message(thread.channel_id, thread.thread_ts, turn.prompt_ts)
                if message is not None and message.text:
                    _, words = leading_mention(message.text)
                    return plain_text(words).strip()[:MAX_PROMPT_CHARACTERS]
        except TemporaryError:
            raise
        except DevflowError as error:
            log.warning("whole_prompt_not_read", session_id=session.session_id, why=error.summary)
        return turn.prompt


def _undo(session: Session, turn: Turn) -> wp.UndoWork | None:
    """What an Undo takes back; where that is not known any more, the agent is asked to do it."""
    target = session.turn(turn.undoes) if turn.undoes else None
    found = range_of(session, target) if target is not None else None
    return wp.UndoWork(base_sha=found[0], commit_sha=found[1]) if found is not None else None
