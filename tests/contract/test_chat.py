"""One suite for the port `Chat`: the fake in memory, and the Slack adapter against the Slack stand-in."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from slackbot.adapters.slack import SlackChat
from slackbot.core.errors import NotFound, PermanentError, ThreadUnreachable
from slackbot.core.ports import Chat, Metadata
from slackbot.sandbox.slack import SlackStandIn
from tests.fakes.chat import FakeChat

HERE = "C0SANDBOX"
ANSWER = Metadata("devflow_answer", {"turn_id": "t1", "launch": 3})


class Workspace(Protocol):
    """What stands around the chat: persons who write, and channels that change."""

    chat: Chat

    async def say(self, user_id: str, text: str, thread_ts: str | None = None) -> str: ...
    async def delete_all(self, thread_ts: str) -> None: ...
    def archive(self) -> None: ...
    def reactions(self, ts: str) -> set[str]: ...
    def ephemerals(self) -> list[str]: ...
    async def attach(self, filename: str, content: bytes) -> str: ...
    def shared(self, thread_ts: str) -> list[tuple[str, bytes]]: ...
    def press(self) -> str: ...
    def close_modals(self) -> None: ...
    def home(self, user_id: str) -> str: ...


class FakeWorkspace:
    def __init__(self) -> None:
        self.fake = FakeChat(channels=(HERE,), people=("U0ADA", "U0GRACE"))
        self.fake.add_channel("C0RANDOM", is_member=False)
        self.fake.add_channel("C0SHARED", is_shared_outside=True)
        self.fake.add_person("U0YUKI", locale="ja-JP")
        self.fake.add_person("U0GUEST", is_guest=True)
        self.fake.add_person("U0OTHER", is_stranger=True, team_id="T0OTHER")
        self.fake.user_groups["S0TEAM"] = frozenset({"U0ADA", "U0GRACE"})
        self.chat: Chat = self.fake

    async def say(self, user_id: str, text: str, thread_ts: str | None = None) -> str:
        return self.fake.say(user_id, HERE, text, thread_ts)

    async def delete_all(self, thread_ts: str) -> None:
        for message in self.fake.thread(HERE, thread_ts):
            self.fake.remove(HERE, message.ts)

    def archive(self) -> None:
        self.fake.channels[HERE] = dataclasses.replace(self.fake.channels[HERE], is_archived=True)

    def reactions(self, ts: str) -> set[str]:
        return self.fake.reactions(HERE, ts)

    def ephemerals(self) -> list[str]:
        return [item.text for item in self.fake.ephemerals]

    async def attach(self, filename: str, content: bytes) -> str:
        return self.fake.attach(filename, content)

    def shared(self, thread_ts: str) -> list[tuple[str, bytes]]:
        return [
            (title, upload.content)
            for upload in self.fake.uploads.values()
            for channel_id, ts, title in upload.shares
            if (channel_id, ts) == (HERE, thread_ts)
        ]

    def press(self) -> str:
        trigger_id = f"trigger{len(self.fake.calls)}"
        self.fake.triggers.add(trigger_id)
        return trigger_id

    def close_modals(self) -> None:
        self.fake.modals.clear()

    def home(self, user_id: str) -> str:
        return str(self.fake.homes[user_id]["blocks"][0]["text"]["text"])


class SlackWorkspace:
    def __init__(self, slack: SlackStandIn) -> None:
        self.slack = slack
        workspace = slack.workspace
        bot_user_id = workspace.app.bot_user_id
        workspace.add_channel("C0SHARED", "shared", members=["U0ADA", bot_user_id], is_ext_shared=True)
        workspace.add_user("U0GUEST", "guest", is_restricted=True)
        workspace.add_user("U0OTHER", "other", is_stranger=True)
        workspace.add_user_group("S0TEAM", "team", ["U0ADA", "U0GRACE"])
        self.chat: Chat = SlackChat(
            token="xoxb-test", api_url=slack.api_url, posts_per_second=None, retry_interval_seconds=0.01
        )

    async def say(self, user_id: str, text: str, thread_ts: str | None = None) -> str:
        return await self.slack.people.post_message(user_id, HERE, text, thread_ts=thread_ts)

    async def delete_all(self, thread_ts: str) -> None:
        for message in reversed(self.slack.people.thread("U0ADA", HERE, thread_ts)):
            await self.slack.people.delete(message["user_id"], HERE, message["ts"])

    def archive(self) -> None:
        self.slack.workspace.set_archived(HERE, True, "U0ADA")

    def reactions(self, ts: str) -> set[str]:
        bot_user_id = self.slack.workspace.app.bot_user_id
        found: list[dict[str, Any]] = self.slack.workspace.store.reactions(HERE, ts)
        return {item["name"] for item in found if bot_user_id in item["users"]}

    def ephemerals(self) -> list[str]:
        return [call.args["text"] for call in self.slack.calls if call.method == "chat.postEphemeral"]

    async def attach(self, filename: str, content: bytes) -> str:
        file_id = self.slack.files.upload_as_person("U0ADA", filename, content)
        await self.slack.people.post_message("U0ADA", HERE, "look", file_ids=[file_id])
        return file_id

    def shared(self, thread_ts: str) -> list[tuple[str, bytes]]:
        files = self.slack.files
        messages = self.slack.people.thread("U0ADA", HERE, thread_ts)
        return [
            (files.get(file["id"])["title"], files.content(file["id"]))
            for message in messages
            for file in message.get("files", [])
        ]

    def press(self) -> str:
        return self.slack._interactions.new_trigger("U0ADA")

    def close_modals(self) -> None:
        for view in self.slack.views.stack("U0ADA"):
            self.slack.views.close(view)

    def home(self, user_id: str) -> str:
        return str((self.slack.views.home(user_id) or {})["blocks"][0]["text"]["text"])


@pytest.fixture(params=["fake", "slack"])
async def workspace(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Workspace]:
    if request.param == "fake":
        yield FakeWorkspace()
        return
    slack = SlackStandIn(tmp_path / "slack.db", bot_token="xoxb-test", app_token="xapp-test")
    await slack.start()
    made = SlackWorkspace(slack)
    try:
        yield made
    finally:
        await made.chat.close()
        await slack.stop()


async def test_a_thread_is_written_and_read_back(workspace: Workspace) -> None:
    """Posts return their ts, and each message is read back by it, root and reply, with its metadata."""
    chat = workspace.chat
    root_ts = await chat.post_message(HERE, text="root", metadata=Metadata("devflow_root", {"repository": "a/b"}))
    reply_ts = await chat.post_message(HERE, text="reply", thread_ts=root_ts, metadata=ANSWER)
    said_ts = await workspace.say("U0ADA", "hello there", root_ts)

    root = await chat.get_message(HERE, root_ts, root_ts)
    reply = await chat.get_message(HERE, root_ts, reply_ts)
    said = await chat.get_message(HERE, root_ts, said_ts)
    assert root is not None
    assert root.metadata == {"event_type": "devflow_root", "event_payload": {"repository": "a/b"}}
    assert reply is not None
    assert (reply.text, reply.thread_ts, reply.bot_id is not None) == ("reply", root_ts, True)
    assert reply.metadata == {"event_type": "devflow_answer", "event_payload": {"turn_id": "t1", "launch": 3}}
    assert said is not None
    assert (said.user_id, said.text, said.bot_id, said.metadata) == ("U0ADA", "hello there", None, None)


async def test_a_message_that_is_not_there_is_none(workspace: Workspace) -> None:
    """Neither an unknown ts nor an unknown thread is an error."""
    root_ts = await workspace.say("U0ADA", "root")
    assert await workspace.chat.get_message(HERE, root_ts, "1699999999.000001") is None
    assert await workspace.chat.get_message(HERE, "1699999999.000001", "1699999999.000001") is None


async def test_own_messages_are_found_by_their_metadata(workspace: Workspace) -> None:
    """Only the bot's, only of that type, root included, oldest first, from `oldest` on."""
    chat = workspace.chat
    root_ts = await chat.post_message(HERE, text="root", metadata=ANSWER)
    first_ts = await chat.post_message(HERE, text="one", thread_ts=root_ts, metadata=ANSWER)
    await chat.post_message(HERE, text="other", thread_ts=root_ts, metadata=Metadata("devflow_progress", {}))
    await chat.post_message(HERE, text="bare", thread_ts=root_ts)
    await workspace.say("U0ADA", "mine", root_ts)
    last_ts = await chat.post_message(HERE, text="two", thread_ts=root_ts, metadata=ANSWER)

    found = await chat.find_messages(HERE, root_ts, event_type="devflow_answer")
    assert [message.ts for message in found] == [root_ts, first_ts, last_ts]
    later = await chat.find_messages(HERE, root_ts, event_type="devflow_answer", oldest=last_ts)
    assert [message.ts for message in later if message.ts != root_ts] == [last_ts]


async def test_a_deleted_thread_holds_nothing(workspace: Workspace) -> None:
    """Looking for posts in a thread that was deleted finds none, and posting there is refused for good."""
    root_ts = await workspace.say("U0ADA", "root")
    await workspace.delete_all(root_ts)
    assert await workspace.chat.find_messages(HERE, root_ts, event_type="devflow_answer") == []
    with pytest.raises(ThreadUnreachable):
        await workspace.chat.post_message(HERE, text="late", thread_ts=root_ts)


async def test_a_message_is_changed_and_deleted(workspace: Workspace) -> None:
    """A change shows and leaves the metadata alone; after deletion a change is `NotFound`, a deletion harmless."""
    chat = workspace.chat
    root_ts = await chat.post_message(HERE, text="before", metadata=ANSWER)
    await chat.update_message(HERE, root_ts, text="after")
    message = await chat.get_message(HERE, root_ts, root_ts)
    assert message is not None
    assert message.text == "after"
    assert message.metadata is not None
    await chat.delete_message(HERE, root_ts)
    await chat.delete_message(HERE, root_ts)
    assert await chat.get_message(HERE, root_ts, root_ts) is None
    with pytest.raises(NotFound):
        await chat.update_message(HERE, root_ts, text="too late")


async def test_somebody_elses_message_is_not_changed(workspace: Workspace) -> None:
    """What a person wrote counts as no message of ours."""
    said_ts = await workspace.say("U0ADA", "mine")
    with pytest.raises(NotFound):
        await workspace.chat.update_message(HERE, said_ts, text="yours")


async def test_reactions_may_be_repeated(workspace: Workspace) -> None:
    """Adding twice, removing twice, and reacting to nothing are all harmless."""
    chat = workspace.chat
    said_ts = await workspace.say("U0ADA", "a prompt")
    await chat.add_reaction(HERE, said_ts, "eyes")
    await chat.add_reaction(HERE, said_ts, "eyes")
    assert workspace.reactions(said_ts) == {"eyes"}
    await chat.remove_reaction(HERE, said_ts, "eyes")
    await chat.remove_reaction(HERE, said_ts, "eyes")
    assert workspace.reactions(said_ts) == set()
    await chat.add_reaction(HERE, "1699999999.000001", "eyes")
    await chat.remove_reaction(HERE, "1699999999.000001", "eyes")


async def test_a_word_to_one_person(workspace: Workspace) -> None:
    """An ephemeral message is sent, and is no message of the thread."""
    root_ts = await workspace.say("U0ADA", "root")
    await workspace.chat.post_ephemeral(HERE, "U0ADA", text="only you", thread_ts=root_ts)
    assert workspace.ephemerals() == ["only you"]
    assert await workspace.chat.find_messages(HERE, root_ts, event_type="devflow_answer") == []


async def test_files_are_uploaded_and_read_back(workspace: Workspace) -> None:
    """A text file comes back as it was, or its beginning; no character is cut in two. An unknown one is NotFound."""
    chat = workspace.chat
    root_ts = await workspace.say("U0ADA", "root")
    file_id = await chat.upload_file(HERE, root_ts, filename="answer.md", title="Answer", content="héllo wörld")
    assert await chat.read_file(file_id, 1000) == "héllo wörld"
    assert await chat.read_file(file_id, 2) == "h"
    with pytest.raises(NotFound):
        await chat.read_file("F0NOWHERE", 1000)


async def test_people_are_told_apart(workspace: Workspace) -> None:
    """Members, guests and people of other organisations; nobody is NotFound."""
    chat = workspace.chat
    ada = await chat.get_person("U0ADA")
    assert (ada.is_guest, ada.is_stranger, ada.is_bot, ada.deleted) == (False, False, False, False)
    assert ada.name
    assert (await chat.get_person("U0YUKI")).locale == "ja-JP"
    assert (await chat.get_person("U0GUEST")).is_guest
    assert (await chat.get_person("U0OTHER")).is_stranger
    with pytest.raises(NotFound):
        await chat.get_person("U0NOBODY")
    assert await chat.user_group_members("S0TEAM") == {"U0ADA", "U0GRACE"}
    with pytest.raises(NotFound):
        await chat.user_group_members("S0NOBODY")


async def test_channels_are_told_apart(workspace: Workspace) -> None:
    """Where the bot is, where it is not, what is shared outside; an unknown one is NotFound."""
    chat = workspace.chat
    here = await chat.get_channel(HERE)
    assert (here.is_member, here.is_shared_outside, here.is_archived, here.is_direct) == (True, False, False, False)
    assert not (await chat.get_channel("C0RANDOM")).is_member
    assert (await chat.get_channel("C0SHARED")).is_shared_outside
    with pytest.raises(NotFound):
        await chat.get_channel("C0NOWHERE")


async def test_where_nothing_can_be_posted(workspace: Workspace) -> None:
    """Unknown channel, channel without the bot, archived channel: refused for good, in words."""
    chat = workspace.chat
    root_ts = await chat.post_message(HERE, text="root")
    for channel_id in ("C0NOWHERE", "C0RANDOM"):
        with pytest.raises(ThreadUnreachable) as refused:
            await chat.post_message(channel_id, text="hello")
        assert refused.value.summary
    workspace.archive()
    with pytest.raises(ThreadUnreachable):
        await chat.post_message(HERE, text="hello", thread_ts=root_ts)
    with pytest.raises(ThreadUnreachable):
        await chat.update_message(HERE, root_ts, text="hello")
    with pytest.raises(ThreadUnreachable):
        await chat.upload_file(HERE, root_ts, filename="a.txt", title="a", content="a")


async def test_a_permalink_leads_to_the_message(workspace: Workspace) -> None:
    """A link for a message that stands, None for one that does not."""
    said_ts = await workspace.say("U0ADA", "root")
    link = await workspace.chat.get_permalink(HERE, said_ts)
    assert link is not None
    assert said_ts.replace(".", "") in link
    assert await workspace.chat.get_permalink(HERE, "1699999999.000001") is None


MODAL = {"type": "modal", "title": {"type": "plain_text", "text": "Files"}, "blocks": [{"type": "divider"}]}


async def test_a_persons_file_is_read_as_it_is(workspace: Workspace) -> None:
    """Every byte of it, in pieces; one that is larger than allowed, or unknown, is refused."""
    content = bytes(range(256)) * 1000
    file_id = await workspace.attach("picture.png", content)
    assert b"".join([piece async for piece in workspace.chat.stream_file(file_id, len(content))]) == content
    with pytest.raises(PermanentError):
        _ = [piece async for piece in workspace.chat.stream_file(file_id, len(content) - 1)]
    with pytest.raises(NotFound):
        _ = [piece async for piece in workspace.chat.stream_file("F0NOWHERE", 1000)]


async def test_bytes_are_shown_once_they_are_shared(workspace: Workspace) -> None:
    """Nobody sees an upload before it is shared; looked for first, it is not shared a second time."""
    chat = workspace.chat
    root_ts = await workspace.say("U0ADA", "root")
    file_id = await chat.upload_bytes("plot.png", b"\x89PNG\x00")
    assert workspace.shared(root_ts) == []
    await chat.share_file(HERE, root_ts, file_id, title="plot.png")
    await chat.share_file(HERE, root_ts, file_id, title="plot.png", look_first=True)
    assert workspace.shared(root_ts) == [("plot.png", b"\x89PNG\x00")]


async def test_a_form_is_opened_and_changed(workspace: Workspace) -> None:
    """A press opens one form; a form that was closed is NotFound."""
    chat = workspace.chat
    trigger_id = workspace.press()
    view_id = await chat.open_modal(trigger_id, MODAL)
    await chat.update_modal(view_id, MODAL)
    with pytest.raises(PermanentError):
        await chat.open_modal(trigger_id, MODAL)
    workspace.close_modals()
    with pytest.raises(NotFound):
        await chat.update_modal(view_id, MODAL)


async def test_a_thread_is_read_with_what_everybody_said(workspace: Workspace) -> None:
    """Root first, then the last replies in order; `oldest` leaves out what came before, but never the root."""
    chat = workspace.chat
    root_ts = await workspace.say("U0ADA", "it is broken")
    said = [await workspace.say("U0GRACE", f"word {number}", root_ts) for number in range(4)]
    own_ts = await chat.post_message(HERE, text="mine", thread_ts=root_ts)
    found = await chat.list_replies(HERE, root_ts)
    assert [message.ts for message in found] == [root_ts, *said, own_ts]
    assert (found[1].user_id, found[1].text) == ("U0GRACE", "word 0")
    assert [message.ts for message in await chat.list_replies(HERE, root_ts, limit=3)] == [root_ts, said[3], own_ts]
    since = await chat.list_replies(HERE, root_ts, oldest=said[2])
    assert [message.ts for message in since] == [root_ts, said[2], said[3], own_ts]
    await workspace.delete_all(root_ts)
    assert await chat.list_replies(HERE, root_ts) == []


async def test_a_home_is_published(workspace: Workspace) -> None:
    """For a person there is; again in place of the one before."""
    view = {"type": "home", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "Yours"}}]}
    for _ in range(2):
        await workspace.chat.publish_home("U0ADA", view)
    assert workspace.home("U0ADA") == "Yours"
    with pytest.raises(NotFound):
        await workspace.chat.publish_home("U0NOBODY", view)
