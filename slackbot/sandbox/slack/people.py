"""What persons do in the workspace: post, command, press, fill in, react, edit, delete, upload.

The page's API (`page_api.py`) and tests call in; messages go to `conversation.py`, commands and interactions to
the app through `interactions.py`. Raises `PersonRefusedError` with a sentence for the person.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slackbot.sandbox.slack import events, shapes
from slackbot.sandbox.slack import text as slack_text
from slackbot.sandbox.slack.conversation import Conversation
from slackbot.sandbox.slack.faults import PersonRefusedError, SlackError
from slackbot.sandbox.slack.files import Files
from slackbot.sandbox.slack.interactions import Interactions
from slackbot.sandbox.slack.message_rules import TEXT_CHARACTERS
from slackbot.sandbox.slack.person_interactions import PersonInteractions
from slackbot.sandbox.slack.store import Document
from slackbot.sandbox.slack.views import Views
from slackbot.sandbox.slack.views import shape as view_shape
from slackbot.sandbox.slack.workspace import Workspace

Outcome = dict[str, Any]
"""{"ok": True, ...} or {"ok": False, "error": a sentence}."""


class People(PersonInteractions):
    """The persons of the workspace, each named by `user_id` in every call."""

    def __init__(
        self,
        workspace: Workspace,
        conversation: Conversation,
        interactions: Interactions,
        views: Views,
        files: Files,
    ) -> None:
        super().__init__(workspace, conversation, interactions, views)
        self._files = files

    # Messages

    async def post_message(
        self,
        user_id: str,
        channel_id: str,
        text: str,
        *,
        thread_ts: str | None = None,
        broadcast: bool = False,
        file_ids: Sequence[str] = (),
    ) -> str:
        """Posts as a person; `text` as typed. Returns the message's ts."""
        user, channel = self._place(user_id, channel_id)
        text = text.replace("\x00", "")
        if not text.strip() and not file_ids:
            raise PersonRefusedError("A message needs some text or a file.")
        if len(text) > TEXT_CHARACTERS:
            raise PersonRefusedError(f"A message has at most {TEXT_CHARACTERS} characters; this has {len(text)}.")
        for file_id in file_ids:
            self._own_file(file_id, user_id)
        try:
            message = self._conversation.post_as_person(
                channel, user, text, thread_ts=thread_ts, broadcast=broadcast, file_ids=file_ids
            )
        except SlackError as error:
            raise PersonRefusedError("That thread is not there any more.") from error
        for file_id in file_ids:
            self._files.note_share(file_id, channel, message)
        return str(message["ts"])

    async def edit(self, user_id: str, channel_id: str, ts: str, text: str) -> None:
        _, channel = self._place(user_id, channel_id)
        message = self._own_message(user_id, channel_id, ts)
        if not text.strip():
            raise PersonRefusedError("A message needs some text. Delete it instead.")
        stored = slack_text.typed_by_person(text.replace("\x00", ""), self._workspace.user_ids_by_name())
        self._conversation.change(channel, message, {"text": stored}, edited_by=user_id)

    async def delete(self, user_id: str, channel_id: str, ts: str) -> None:
        """Deletes one's own message, or dismisses one that only this person sees."""
        channel = self._workspace.channel_of_person(channel_id, user_id)
        ephemeral = self._conversation.ephemeral(channel_id, ts, user_id)
        if ephemeral is not None:
            self._conversation.change_ephemeral(channel, user_id, ephemeral, None)
            return
        self._conversation.delete(channel, self._own_message(user_id, channel_id, ts))

    async def react(self, user_id: str, channel_id: str, ts: str, name: str, *, remove: bool = False) -> None:
        _, channel = self._place(user_id, channel_id)
        try:
            message = self._conversation.message(channel["id"], ts)
            self._conversation.react(channel, message, name, user_id, add=not remove)
        except SlackError as error:
            if error.error not in ("already_reacted", "no_reaction"):
                raise PersonRefusedError(f"Slack refused the reaction: {error.error}.") from error

    async def upload(self, user_id: str, channel_id: str, filename: str, content: bytes) -> str:
        """Keeps a file for a message to come; returns its file_id."""
        self._place(user_id, channel_id)
        return self._files.upload_as_person(user_id, filename, content)

    def _own_message(self, user_id: str, channel_id: str, ts: str) -> Document:
        try:
            message = self._conversation.message(channel_id, ts)
        except SlackError as error:
            raise PersonRefusedError("That message is not there any more.") from error
        if message["user"] != user_id:
            raise PersonRefusedError("Only its author can change a message.")
        return message

    def _own_file(self, file_id: str, user_id: str) -> None:
        try:
            file = self._files.get(file_id)
        except SlackError as error:
            raise PersonRefusedError("That file is not there any more. Upload it again.") from error
        if file["user"] != user_id:
            raise PersonRefusedError("That file is somebody else's.")

    # Commands

    async def command(self, user_id: str, channel_id: str, command: str, text: str = "") -> Outcome:
        """Sends a slash command; answers after the app acknowledged it, or after Slack's time-out."""
        user, channel = self._place(user_id, channel_id, to_post=False)
        app = self._workspace.app
        known = app.command(command)
        if known is None:
            return {"ok": False, "error": f"{command} is not a valid command. The app has: {self._command_names()}."}
        names = {str(item["id"]): str(item["name"]) for item in self._workspace.store.all("user")}
        payload = {
            "token": "verification-token-of-the-sandbox",
            "team_id": app.team_id,
            "team_domain": app.team_domain,
            "channel_id": channel["id"],
            "channel_name": self._workspace.name_for_payload(channel),
            "user_id": user["id"],
            "user_name": user["name"],
            "command": command,
            "text": slack_text.command_text(text.strip(), should_escape=known.should_escape, names=names),
            "api_app_id": app.app_id,
            "is_enterprise_install": "false",
            "response_url": self._interactions.new_response_url(channel["id"], user["id"]),
            "trigger_id": self._interactions.new_trigger(user["id"]),
        }
        ack = await self._interactions.send("slash_commands", payload)
        if ack.error is not None:
            return {"ok": False, "error": f"{command}: {self._unanswered(ack.error)}"}
        if ack.payload not in (None, "", {}):
            try:
                self._interactions.show(channel["id"], user["id"], ack.payload)
            except SlackError as refused:
                detail = "; ".join(refused.messages)
                return {"ok": False, "error": f'{command} failed with the error "{refused.error}" {detail}'.strip()}
        return {"ok": True}

    def _command_names(self) -> str:
        return ", ".join(command.command for command in self._workspace.app.commands) or "no commands"

    # Home

    async def open_home(self, user_id: str, tab: str = "home") -> Document | None:
        """Opens the app's Home (or, with `tab="messages"`, its DM); returns the view published so far."""
        self._workspace.person(user_id)
        view = self._views.home(user_id)
        channel_id = self._workspace.add_dm(user_id)
        shape = None if view is None else view_shape(view)
        with self._workspace.store.transaction():
            event_ts = self._workspace.next_ts()
            self._workspace.emit(
                events.app_home_opened(user_id, channel_id, tab, shape, event_ts),
                self._workspace.find_channel(channel_id),
            )
        return shape

    # For the page

    def messages(self, user_id: str, channel_id: str, limit: int = 200) -> tuple[list[Document], bool]:
        """The newest messages shown in a channel, oldest first, and whether there are older ones."""
        channel = self._workspace.channel_of_person(channel_id, user_id)
        found = self._workspace.store.messages(channel["id"], newest_first=True, limit=limit + 1, ephemeral_to=user_id)
        shown = [shapes.page_message(self._workspace, channel["id"], message) for message in found[:limit]]
        return shown[::-1], len(found) > limit

    def thread(self, user_id: str, channel_id: str, thread_ts: str) -> list[Document]:
        """A thread, its root first."""
        channel = self._workspace.channel_of_person(channel_id, user_id)
        try:
            root = self._conversation.root_of(channel["id"], thread_ts)
        except SlackError as error:
            raise PersonRefusedError("That thread is not there any more.") from error
        replies = self._workspace.store.messages(channel["id"], root_ts=root["ts"], limit=100_000, ephemeral_to=user_id)
        return [shapes.page_message(self._workspace, channel["id"], message) for message in [root, *replies]]
