"""Messages: posting, threads, edits, deletions, reactions and what is seen by one person only.

Called by the Web API methods (for the app) and by `people.py` (for persons), after their own checks; writes to
`store.py`, and tells the app and the page through `workspace.py`.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from slackbot.sandbox.slack import block_rules, events, shapes
from slackbot.sandbox.slack import text as slack_text
from slackbot.sandbox.slack.faults import SlackError
from slackbot.sandbox.slack.store import Document
from slackbot.sandbox.slack.workspace import Workspace


class Conversation:
    """The messages of all channels."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._store = workspace.store

    # Reading

    def message(self, channel_id: str, ts: str) -> Document:
        message = self._store.message(channel_id, ts)
        if message is None or message.get("subtype") == "tombstone":
            raise SlackError("message_not_found")
        return message

    def ephemeral(self, channel_id: str, ts: str, user_id: str) -> Document | None:
        return self._store.message(channel_id, ts, user_id)

    def root_of(self, channel_id: str, thread_ts: str) -> Document:
        """The root of the thread that `thread_ts` names, be it the root's ts or a reply's."""
        message = self._store.message(channel_id, thread_ts)
        if message is None:
            raise SlackError("thread_not_found")
        root_ts = message.get("thread_ts", thread_ts)
        root = message if root_ts == thread_ts else self._store.message(channel_id, root_ts)
        if root is None:
            raise SlackError("thread_not_found")
        return root

    # Posting

    def post_as_person(
        self,
        channel: Document,
        user: Document,
        text: str,
        *,
        thread_ts: str | None = None,
        broadcast: bool = False,
        file_ids: Sequence[str] = (),
    ) -> Document:
        """A person's message; `text` is as it was typed."""
        body: Document = {
            "user": user["id"],
            "text": slack_text.typed_by_person(text, self._workspace.user_ids_by_name()),
            "client_msg_id": str(uuid.uuid4()),
            "team": user["team_id"],
        }
        if user["team_id"] != self._workspace.app.team_id:
            body["user_team"] = body["source_team"] = user["team_id"]
        return self._post(channel, body, thread_ts, broadcast, file_ids)

    def post_as_app(
        self,
        channel: Document,
        *,
        text: str,
        blocks: list[Document] | None = None,
        attachments: list[Document] | None = None,
        metadata: Document | None = None,
        thread_ts: str | None = None,
        broadcast: bool = False,
        file_ids: Sequence[str] = (),
        username: str | None = None,
        subtype: str | None = None,
    ) -> Document:
        """A message of the app; limits were checked by `message_rules.py`."""
        body = self._app_body(text, blocks, attachments)
        if metadata:
            body["metadata"] = metadata
        if username:
            body["username"] = username
        if subtype:
            body["subtype"] = subtype
        return self._post(channel, body, thread_ts, broadcast, file_ids)

    def _app_body(self, text: str, blocks: list[Document] | None, attachments: list[Document] | None) -> Document:
        app = self._workspace.app
        body: Document = {
            "user": app.bot_user_id,
            "text": slack_text.written_by_app(text),
            "bot_id": app.bot_id,
            "app_id": app.app_id,
            "team": app.team_id,
        }
        if blocks:
            body["blocks"] = block_rules.with_ids(blocks)
        if attachments:
            body["attachments"] = attachments
        return body

    def _post(
        self, channel: Document, body: Document, thread_ts: str | None, broadcast: bool, file_ids: Sequence[str]
    ) -> Document:
        channel_id = channel["id"]
        workspace = self._workspace
        with self._store.transaction():
            message: Document = {"type": "message", **body, "ts": workspace.next_ts()}
            root: Document | None = None
            if thread_ts:
                root = self.root_of(channel_id, thread_ts)
                message["thread_ts"] = root["ts"]
                if root.get("user"):
                    message["parent_user_id"] = root["user"]
                if broadcast:
                    message["subtype"] = "thread_broadcast"
                    message["root"] = shapes.api_message(workspace, channel_id, root)
            if file_ids:
                message["file_ids"] = list(file_ids)
                message["subtype"] = "file_share"
            self._store.put_message(
                channel_id,
                message,
                root_ts=None if root is None else root["ts"],
                in_channel=root is None or broadcast,
            )
            event = shapes.event_message(workspace, message)
            workspace.emit(events.message(channel, event), channel)
            if slack_text.mentions(message["text"], workspace.app.bot_user_id) and not message.get("bot_id"):
                workspace.emit(events.app_mention(channel, event), channel)
        self._publish("message", channel, message)
        if root is not None:
            self._publish("message_changed", channel, root)
        return message

    def post_ephemeral(
        self,
        channel: Document,
        user_id: str,
        *,
        text: str,
        blocks: list[Document] | None = None,
        thread_ts: str | None = None,
        username: str | None = None,
    ) -> Document:
        """A message that `user_id` alone sees; it has no events and no place in the history."""
        message = {
            "type": "message",
            **self._app_body(text, blocks, None),
            "ts": self._workspace.next_ts(),
            "is_ephemeral": True,
        }
        if username:
            message["username"] = username
        if thread_ts:
            message["thread_ts"] = thread_ts
        self._store.put_message(
            channel["id"], message, root_ts=thread_ts, in_channel=thread_ts is None, ephemeral_to=user_id
        )
        shape = shapes.page_message(self._workspace, channel["id"], message)
        self._workspace.feed.publish(
            {"type": "ephemeral", "channel_id": channel["id"], "message": shape}, frozenset({user_id})
        )
        return message

    def change_ephemeral(self, channel: Document, user_id: str, message: Document, changes: Document | None) -> None:
        """Replaces (`changes`: text, blocks) or, with None, removes what one person saw."""
        kind = "message_deleted" if changes is None else "message_changed"
        if changes is None:
            self._store.remove_message(channel["id"], message["ts"])
        else:
            message = {
                **message,
                **self._app_body(changes.get("text", ""), changes.get("blocks"), None),
            }
            if not changes.get("blocks"):
                message.pop("blocks", None)
            self._store.replace_message(channel["id"], message)
        shape = shapes.page_message(self._workspace, channel["id"], message)
        self._workspace.feed.publish(
            {"type": kind, "channel_id": channel["id"], "ts": message["ts"], "message": shape}, frozenset({user_id})
        )

    # Changing

    def change(self, channel: Document, previous: Document, changes: Document, *, edited_by: str | None) -> Document:
        """Stores `previous` with `changes` (a None value removes a field) and tells everyone."""
        workspace = self._workspace
        with self._store.transaction():
            event_ts = workspace.next_ts()
            message = {**previous, **changes}
            message = {key: value for key, value in message.items() if value is not None}
            if edited_by is not None:
                message["edited"] = {"user": edited_by, "ts": event_ts}
            self._store.replace_message(channel["id"], message)
            before = shapes.event_message(workspace, previous)
            after = shapes.event_message(workspace, message)
            workspace.emit(events.message_changed(channel, after, before, event_ts), channel)
            by_person = edited_by is not None and not message.get("bot_id")
            if by_person and slack_text.mentions(message["text"], workspace.app.bot_user_id):
                # Slack tells of an edited mention like of a new one, with `edited`.
                # https://github.com/slackapi/bolt-js/issues/960
                workspace.emit({**events.app_mention(channel, after), "event_ts": event_ts}, channel)
        self._publish("message_changed", channel, message)
        return message

    def change_as_app(
        self, channel: Document, previous: Document, body: Document, metadata: Document | None
    ) -> Document:
        """chat.update: blocks stay only when no text came; the edited mark shows only when no blocks came."""
        changes: Document = {}
        if body.get("text") is not None:
            changes["text"] = slack_text.written_by_app(body["text"])
            changes["blocks"] = None
        if body.get("blocks") is not None:
            changes["blocks"] = block_rules.with_ids(body["blocks"]) or None
        if body.get("attachments") is not None:
            changes["attachments"] = body["attachments"] or None
        if metadata is not None:
            changes["metadata"] = metadata or None
        edited_by = None if body.get("blocks") else self._workspace.app.bot_user_id
        return self.change(channel, previous, changes, edited_by=edited_by)

    def delete(self, channel: Document, message: Document) -> None:
        """Removes a message; a root with replies leaves a tombstone, as in Slack."""
        workspace = self._workspace
        count = 0
        if message.get("thread_ts") in (None, message["ts"]):
            count, _, _ = self._store.thread_summary(channel["id"], message["ts"])
        if count:
            tombstone = {
                "type": "message",
                "subtype": "tombstone",
                "text": "This message was deleted.",
                "user": "USLACKBOT",
                "hidden": True,
                "ts": message["ts"],
                "thread_ts": message["ts"],
            }
            with self._store.transaction():
                event_ts = workspace.next_ts()
                self._store.replace_message(channel["id"], tombstone)
                before = shapes.event_message(workspace, message)
                workspace.emit(events.message_changed(channel, tombstone, before, event_ts), channel)
            self._publish("message_changed", channel, tombstone)
            return
        with self._store.transaction():
            event_ts = workspace.next_ts()
            self._store.remove_message(channel["id"], message["ts"])
            before = shapes.event_message(workspace, message)
            workspace.emit(events.message_deleted(channel, before, event_ts), channel)
        self._publish("message_deleted", channel, message)
        root_ts = message.get("thread_ts")
        if root_ts and (root := self._store.message(channel["id"], root_ts)) is not None:
            self._publish("message_changed", channel, root)

    # Reactions

    def react(self, channel: Document, message: Document, name: str, user_id: str, *, add: bool) -> None:
        name = name.strip(":")
        if not name or len(name) > 100 or not all(char.isalnum() or char in "_+-:'" for char in name):
            raise SlackError("invalid_name")
        workspace = self._workspace
        with self._store.transaction():
            if add and not self._store.add_reaction(channel["id"], message["ts"], name, user_id):
                raise SlackError("already_reacted")
            if not add and not self._store.remove_reaction(channel["id"], message["ts"], name, user_id):
                raise SlackError("no_reaction")
            event_ts = workspace.next_ts()
            workspace.emit(events.reaction(channel, message, name, user_id, add, event_ts), channel)
        self._publish("reaction", channel, message)

    def _publish(self, kind: str, channel: Document, message: Document) -> None:
        shape = shapes.page_message(self._workspace, channel["id"], message)
        self._workspace.feed.publish(
            {"type": kind, "channel_id": channel["id"], "ts": message["ts"], "message": shape},
            self._workspace.audience(channel),
        )
