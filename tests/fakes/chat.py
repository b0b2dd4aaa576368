"""The port `Chat` in memory: what was said where, and failures on demand.

Engine tests post into it and read threads back as text; `tests/contract/test_chat.py` holds it to what the Slack
adapter does.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from slackbot.core.errors import DevflowError, NotFound, PermanentError, TemporaryError, ThreadUnreachable
from slackbot.core.ports import Blocks, Channel, Message, Metadata, Person

BOT_USER_ID = "U0DEVFLOW"
BOT_ID = "B0DEVFLOW"
TEAM_ID = "T0SANDBOX"


@dataclass
class FakeMessage:
    """One message as it stands now; `reactions` are the bot's own."""

    channel_id: str
    ts: str
    user_id: str
    text: str
    blocks: Blocks | None = None
    thread_ts: str | None = None
    metadata: dict[str, Any] | None = None
    bot_id: str | None = None
    reactions: set[str] = field(default_factory=set)
    edits: int = 0

    @property
    def root_ts(self) -> str:
        return self.thread_ts or self.ts

    def as_port(self) -> Message:
        return Message(
            ts=self.ts,
            user_id=self.user_id,
            text=self.text,
            bot_id=self.bot_id,
            thread_ts=self.thread_ts,
            metadata=self.metadata,
        )


@dataclass(frozen=True)
class FakeEphemeral:
    channel_id: str
    user_id: str
    text: str
    blocks: Blocks | None
    thread_ts: str | None


@dataclass(frozen=True)
class FakeFile:
    file_id: str
    channel_id: str
    thread_ts: str
    filename: str
    title: str
    content: str


@dataclass
class FakeUpload:
    """A file of bytes, by the bot or by a person; `shares` are (channel_id, thread_ts, title)."""

    filename: str
    content: bytes
    shares: list[tuple[str, str, str]] = field(default_factory=list)


@dataclass
class _Failure:
    error: DevflowError
    times: int
    after: bool


class FakeChat:
    """A workspace with channels (`C1` unless told otherwise), persons (`U1`) and the bot, a member of every channel."""

    def __init__(self, *, channels: Iterable[str] = ("C1",), people: Iterable[str] = ("U1",)) -> None:
        self.messages: dict[tuple[str, str], FakeMessage] = {}
        """Every message that is not deleted, by (channel_id, ts)."""
        self.deleted: list[FakeMessage] = []
        self.ephemerals: list[FakeEphemeral] = []
        self.files: dict[str, FakeFile] = {}
        self.uploads: dict[str, FakeUpload] = {}
        self.triggers: set[str] = set()
        """Presses that may open a modal; each opens one."""
        self.modals: dict[str, Mapping[str, Any]] = {}
        """What each open modal shows, by its view id."""
        self.homes: dict[str, dict[str, Any]] = {}
        """The Home tab of each person, as it was last published."""
        self.people: dict[str, Person] = {}
        self.channels: dict[str, Channel] = {}
        self.user_groups: dict[str, frozenset[str]] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        """(method, arguments) of every call, failed ones too."""
        self.on_post: Callable[[FakeMessage], None] | None = None
        """Called for each message of the bot's, once it stands."""
        self.is_closed = False
        self._failures: dict[str, list[_Failure]] = defaultdict(list)
        self._sequence = itertools.count(1)
        for channel_id in channels:
            self.add_channel(channel_id)
        for user_id in people:
            self.add_person(user_id)

    # What tests set up

    def add_channel(self, channel_id: str, **facts: Any) -> Channel:
        """`facts` are fields of `Channel`; the bot is a member unless `is_member=False`."""
        channel = Channel(**{"channel_id": channel_id, "name": channel_id.lower(), "is_member": True, **facts})
        self.channels[channel_id] = channel
        return channel

    def add_person(self, user_id: str, **facts: Any) -> Person:
        person = Person(**{"user_id": user_id, "name": user_id.lower(), "team_id": TEAM_ID, **facts})
        self.people[user_id] = person
        return person

    def say(self, user_id: str, channel_id: str, text: str, thread_ts: str | None = None) -> str:
        """A person's message; returns its ts."""
        return self._put(FakeMessage(channel_id, self._next_ts(), user_id, text, thread_ts=thread_ts)).ts

    def attach(self, filename: str, content: bytes) -> str:
        """A person's file; returns its id."""
        file_id = f"F{next(self._sequence):08d}"
        self.uploads[file_id] = FakeUpload(filename, content)
        return file_id

    def fail(self, method: str, error: DevflowError, *, times: int = 1, after: bool = False) -> None:
        """The next `times` calls of `method` (a name of the port) raise `error`; `after`: once they took effect."""
        self._failures[method].append(_Failure(error, times, after))

    def lose_answer(self, method: str = "post_message", times: int = 1) -> None:
        """The next calls take effect, and their caller cannot know it."""
        self.fail(method, TemporaryError("Slack did not answer.", outcome_unknown=True), times=times, after=True)

    def remove(self, channel_id: str, ts: str) -> None:
        """Someone deletes the message."""
        self.deleted.append(self.messages.pop((channel_id, ts)))

    # What tests look at

    def thread(self, channel_id: str, thread_ts: str) -> list[FakeMessage]:
        """Root and replies that stand, oldest first."""
        found = [item for item in self.messages.values() if item.channel_id == channel_id and item.root_ts == thread_ts]
        return sorted(found, key=lambda message: message.ts)

    def thread_text(self, channel_id: str, thread_ts: str) -> str:
        """The thread as a person would read it aloud: `who: text [:reaction:]`, a line per message."""
        lines = []
        for message in self.thread(channel_id, thread_ts):
            who = "devflow" if message.bot_id else message.user_id
            marks = "".join(f" :{name}:" for name in sorted(message.reactions))
            lines.append(f"{who}: {message.text}{marks}")
        return "\n".join(lines)

    def reactions(self, channel_id: str, ts: str) -> set[str]:
        """The bot's reactions to a message."""
        return set(self.messages[(channel_id, ts)].reactions)

    def called(self, method: str) -> list[dict[str, Any]]:
        return [arguments for name, arguments in self.calls if name == method]

    # The port

    async def post_message(
        self,
        channel_id: str,
        *,
        text: str,
        blocks: Blocks | None = None,
        thread_ts: str | None = None,
        metadata: Metadata | None = None,
    ) -> str:
        ended = self._begin("post_message", channel_id=channel_id, text=text, thread_ts=thread_ts, blocks=blocks)
        self._writable(channel_id, thread_ts)
        message = FakeMessage(
            channel_id,
            self._next_ts(),
            BOT_USER_ID,
            text,
            blocks,
            thread_ts,
            None if metadata is None else _plain(metadata),
            BOT_ID,
        )
        self._put(message)
        if self.on_post is not None:
            self.on_post(message)
        ended()
        return message.ts

    async def update_message(
        self,
        channel_id: str,
        ts: str,
        *,
        text: str,
        blocks: Blocks | None = None,
        metadata: Metadata | None = None,
    ) -> None:
        ended = self._begin("update_message", channel_id=channel_id, ts=ts, text=text, blocks=blocks)
        self._writable(channel_id)
        message = self.messages.get((channel_id, ts))
        if message is None or message.bot_id != BOT_ID:
            raise NotFound(f"There is no message {ts} of the bot's.")
        message.text, message.blocks, message.edits = text, blocks, message.edits + 1
        if metadata is not None:
            message.metadata = _plain(metadata)
        ended()

    async def delete_message(self, channel_id: str, ts: str) -> None:
        ended = self._begin("delete_message", channel_id=channel_id, ts=ts)
        if (channel_id, ts) in self.messages:
            self.remove(channel_id, ts)
        ended()

    async def post_ephemeral(
        self,
        channel_id: str,
        user_id: str,
        *,
        text: str,
        blocks: Blocks | None = None,
        thread_ts: str | None = None,
    ) -> None:
        ended = self._begin("post_ephemeral", channel_id=channel_id, user_id=user_id, text=text, thread_ts=thread_ts)
        self._writable(channel_id, thread_ts)
        self.ephemerals.append(FakeEphemeral(channel_id, user_id, text, blocks, thread_ts))
        ended()

    async def add_reaction(self, channel_id: str, ts: str, name: str) -> None:
        ended = self._begin("add_reaction", channel_id=channel_id, ts=ts, name=name)
        if message := self.messages.get((channel_id, ts)):
            message.reactions.add(name)
        ended()

    async def remove_reaction(self, channel_id: str, ts: str, name: str) -> None:
        ended = self._begin("remove_reaction", channel_id=channel_id, ts=ts, name=name)
        if message := self.messages.get((channel_id, ts)):
            message.reactions.discard(name)
        ended()

    async def find_messages(
        self, channel_id: str, thread_ts: str, *, event_type: str, oldest: str | None = None
    ) -> list[Message]:
        where = {"channel_id": channel_id, "thread_ts": thread_ts, "oldest": oldest}
        ended = self._begin("find_messages", **where, event_type=event_type)
        self._readable(channel_id)
        found = [
            message.as_port()
            for message in self.thread(channel_id, thread_ts)
            if message.bot_id == BOT_ID
            and message.metadata is not None
            and message.metadata["event_type"] == event_type
            and (message.ts == thread_ts or oldest is None or message.ts >= oldest)
        ]
        ended()
        return found

    async def get_message(self, channel_id: str, thread_ts: str, ts: str) -> Message | None:
        ended = self._begin("get_message", channel_id=channel_id, thread_ts=thread_ts, ts=ts)
        self._readable(channel_id)
        message = self.messages.get((channel_id, ts))
        ended()
        return message.as_port() if message is not None and message.root_ts == thread_ts else None

    async def list_replies(
        self, channel_id: str, thread_ts: str, *, oldest: str | None = None, limit: int = 200
    ) -> list[Message]:
        ended = self._begin("list_replies", channel_id=channel_id, thread_ts=thread_ts, oldest=oldest)
        self._readable(channel_id)
        found = self.thread(channel_id, thread_ts)
        roots = [message for message in found if message.ts == thread_ts]
        replies = [message for message in found if message.ts != thread_ts and (oldest is None or message.ts >= oldest)]
        kept = replies[-(limit - 1) :] if limit > 1 else []
        ended()
        return [message.as_port() for message in [*roots, *kept]]

    async def publish_home(self, user_id: str, view: Mapping[str, Any]) -> None:
        ended = self._begin("publish_home", user_id=user_id)
        if user_id not in self.people:
            raise NotFound(f"There is no person {user_id}.")
        self.homes[user_id] = dict(view)
        ended()

    async def upload_file(self, channel_id: str, thread_ts: str, *, filename: str, title: str, content: str) -> str:
        ended = self._begin("upload_file", channel_id=channel_id, thread_ts=thread_ts, filename=filename)
        self._writable(channel_id, thread_ts)
        file_id = f"F{next(self._sequence):08d}"
        self.files[file_id] = FakeFile(file_id, channel_id, thread_ts, filename, title, content)
        ended()
        return file_id

    async def read_file(self, file_id: str, limit_bytes: int) -> str:
        self._begin("read_file", file_id=file_id)()
        if file_id not in self.files:
            raise NotFound(f"There is no file {file_id}.")
        return self.files[file_id].content.encode()[:limit_bytes].decode("utf-8", "ignore")

    async def stream_file(self, file_id: str, limit_bytes: int) -> AsyncIterator[bytes]:
        self._begin("stream_file", file_id=file_id)()
        if file_id not in self.uploads:
            raise NotFound(f"There is no file {file_id}.")
        content = self.uploads[file_id].content
        if len(content) > limit_bytes:
            raise PermanentError(f"The file {file_id} is larger than {limit_bytes} bytes.")
        for start in range(0, len(content), 64 * 1024):
            yield content[start : start + 64 * 1024]

    async def upload_bytes(self, filename: str, content: bytes) -> str:
        ended = self._begin("upload_bytes", filename=filename)
        file_id = self.attach(filename, content)
        ended()
        return file_id

    async def share_file(
        self, channel_id: str, thread_ts: str, file_id: str, *, title: str, look_first: bool = False
    ) -> None:
        ended = self._begin("share_file", channel_id=channel_id, thread_ts=thread_ts, file_id=file_id)
        self._writable(channel_id, thread_ts)
        shares = self.uploads[file_id].shares
        if not (look_first and any(share[:2] == (channel_id, thread_ts) for share in shares)):
            shares.append((channel_id, thread_ts, title))
        ended()

    async def open_modal(self, trigger_id: str, view: Mapping[str, Any]) -> str:
        ended = self._begin("open_modal", trigger_id=trigger_id, view=view)
        if trigger_id not in self.triggers:
            raise PermanentError("This trigger is no longer good.")
        self.triggers.discard(trigger_id)
        view_id = f"V{next(self._sequence):08d}"
        self.modals[view_id] = view
        ended()
        return view_id

    async def update_modal(self, view_id: str, view: Mapping[str, Any]) -> None:
        ended = self._begin("update_modal", view_id=view_id, view=view)
        if view_id not in self.modals:
            raise NotFound("This form is closed.")
        self.modals[view_id] = view
        ended()

    async def get_person(self, user_id: str) -> Person:
        self._begin("get_person", user_id=user_id)()
        if user_id not in self.people:
            raise NotFound(f"There is no person {user_id}.")
        return self.people[user_id]

    async def get_channel(self, channel_id: str) -> Channel:
        self._begin("get_channel", channel_id=channel_id)()
        if channel_id not in self.channels:
            raise NotFound(f"There is no channel {channel_id}.")
        return self.channels[channel_id]

    def forget_channel(self, channel_id: str) -> None:
        self._begin("forget_channel", channel_id=channel_id)()

    async def user_group_members(self, user_group_id: str) -> frozenset[str]:
        self._begin("user_group_members", user_group_id=user_group_id)()
        if user_group_id not in self.user_groups:
            raise NotFound(f"There is no user group {user_group_id}.")
        return self.user_groups[user_group_id]

    async def get_permalink(self, channel_id: str, ts: str) -> str | None:
        self._begin("get_permalink", channel_id=channel_id, ts=ts)()
        if (channel_id, ts) not in self.messages:
            return None
        return f"https://sandbox.example/archives/{channel_id}/p{ts.replace('.', '')}"

    async def close(self) -> None:
        self.is_closed = True

    # Inside

    def _begin(self, method: str, **arguments: Any) -> Callable[[], None]:
        """Notes the call and raises what is due before it; what it returns raises what is due after it."""
        self.calls.append((method, arguments))
        failure = next((item for item in self._failures[method] if item.times > 0), None)
        if failure is None:
            return lambda: None
        failure.times -= 1
        if not failure.after:
            raise failure.error

        def ended() -> None:
            raise failure.error

        return ended

    def _writable(self, channel_id: str, thread_ts: str | None = None) -> None:
        self._readable(channel_id)
        if self.channels[channel_id].is_archived:
            raise ThreadUnreachable(f"The channel {channel_id} is archived.")
        if thread_ts is not None and not self.thread(channel_id, thread_ts):
            raise ThreadUnreachable(f"The thread {thread_ts} is gone.")

    def _readable(self, channel_id: str) -> None:
        channel = self.channels.get(channel_id)
        if channel is None or not channel.is_member:
            raise ThreadUnreachable(f"The bot is not in the channel {channel_id}.")

    def _put(self, message: FakeMessage) -> FakeMessage:
        self.messages[(message.channel_id, message.ts)] = message
        return message

    def _next_ts(self) -> str:
        return f"1700000000.{next(self._sequence):06d}"


def _plain(metadata: Metadata) -> dict[str, Any]:
    return {"event_type": metadata.event_type, "event_payload": dict(metadata.event_payload)}
