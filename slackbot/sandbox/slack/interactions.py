"""What a person's action sends to the app, and what comes back of it: triggers, acknowledgements, response URLs.

`people.py` calls in; envelopes go out through `socket_mode.py`; a response URL is posted to by the app and ends
in `conversation.py`.
https://docs.slack.dev/interactivity/handling-user-interaction
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from slackbot.sandbox.slack.conversation import Conversation
from slackbot.sandbox.slack.faults import SlackError
from slackbot.sandbox.slack.message_rules import checked_body, checked_metadata
from slackbot.sandbox.slack.socket_mode import Ack, SocketMode
from slackbot.sandbox.slack.store import Document
from slackbot.sandbox.slack.workspace import Workspace

RESPONSE_URL_USES = 5
RESPONSE_URL_SECONDS = 30 * 60
_RESPONSE_KEYS = frozenset(
    {
        "text", "blocks", "attachments", "response_type", "replace_original", "delete_original", "thread_ts",
        "metadata", "mrkdwn", "unfurl_links", "unfurl_media", "link_names",
    }
)  # fmt: skip


@dataclass
class _Trigger:
    user_id: str
    expires_at: float
    is_used: bool = False


class Interactions:
    """Requests to the app on a person's behalf."""

    def __init__(
        self,
        workspace: Workspace,
        conversation: Conversation,
        sockets: SocketMode,
        *,
        timeout_seconds: float,
        trigger_seconds: float,
    ) -> None:
        self._workspace = workspace
        self._conversation = conversation
        self._sockets = sockets
        self._timeout_seconds = timeout_seconds
        self._trigger_seconds = trigger_seconds
        self._triggers: dict[str, _Trigger] = {}

    async def send(self, kind: str, payload: Document) -> Ack:
        return await self._sockets.request(kind, payload, self._timeout_seconds)

    # Triggers

    def new_trigger(self, user_id: str) -> str:
        now = self._workspace.clock()
        # Old ones stay known for a while, so that they are called expired and not invalid.
        self._triggers = {key: known for key, known in self._triggers.items() if known.expires_at > now - 3600}
        trigger_id = f"{secrets.randbelow(10**13)}.{secrets.randbelow(10**13)}.{secrets.token_hex(16)}"
        self._triggers[trigger_id] = _Trigger(user_id, now + self._trigger_seconds)
        return trigger_id

    def exchange_trigger(self, trigger_id: str) -> str:
        """Whose trigger this is; each is good once, and for a few seconds only."""
        trigger = self._triggers.get(trigger_id)
        if trigger is None:
            raise SlackError("invalid_trigger_id")
        if trigger.is_used:
            raise SlackError("exchanged_trigger_id")
        if self._workspace.clock() > trigger.expires_at:
            raise SlackError("expired_trigger_id")
        trigger.is_used = True
        return trigger.user_id

    # Payloads

    def interaction(self, kind: str, user: Document) -> Document:
        """What every interactive payload begins with."""
        app = self._workspace.app
        return {
            "type": kind,
            "user": {
                "id": user["id"],
                "username": user["name"],
                "name": user["name"],
                "team_id": user["team_id"],
            },
            "api_app_id": app.app_id,
            "token": "verification-token-of-the-sandbox",
            "trigger_id": self.new_trigger(user["id"]),
            "team": {"id": app.team_id, "domain": app.team_domain},
            "enterprise": None,
            "is_enterprise_install": False,
        }

    # Response URLs

    def new_response_url(
        self, channel_id: str, user_id: str, *, message_ts: str | None = None, is_ephemeral: bool = False
    ) -> str:
        """An address for up to 5 answers within 30 minutes; `message_ts` is the message acted on."""
        token = secrets.token_urlsafe(18)
        self._workspace.store.put(
            "response_url",
            token,
            {
                "channel_id": channel_id,
                "user_id": user_id,
                "message_ts": message_ts,
                "is_ephemeral": is_ephemeral,
                "uses": 0,
                "expires_at": self._workspace.clock() + RESPONSE_URL_SECONDS,
            },
        )
        return f"{self._workspace.base_url}/response/{token}"

    def respond(self, token: str, body: Any) -> None:
        """What the app posted to a response URL. Raises `SlackError`."""
        target = self._workspace.store.get("response_url", token)
        if target is None:
            raise SlackError("no_such_url")
        if self._workspace.clock() > target["expires_at"]:
            raise SlackError("expired_url")
        if target["uses"] >= RESPONSE_URL_USES:
            raise SlackError("used_url")
        self.show(
            target["channel_id"],
            target["user_id"],
            body,
            message_ts=target["message_ts"],
            is_ephemeral=target["is_ephemeral"],
        )
        target["uses"] += 1
        self._workspace.store.put("response_url", token, target)

    def show(
        self,
        channel_id: str,
        user_id: str,
        body: Any,
        *,
        message_ts: str | None = None,
        is_ephemeral: bool = False,
    ) -> None:
        """Shows a response (of an acknowledgement or of a response URL) where it belongs."""
        if isinstance(body, str):
            body = {"text": body}
        if not isinstance(body, dict):
            raise SlackError("invalid_payload")
        unknown = sorted(set(body) - _RESPONSE_KEYS)
        if unknown:
            raise SlackError("invalid_arguments", [f"[ERROR] unknown argument: {name}" for name in unknown])
        channel = self._workspace.find_channel(channel_id)
        if channel is None:
            raise SlackError("channel_not_found")
        if body.get("delete_original") and message_ts is not None:
            self._delete_original(channel, user_id, message_ts, is_ephemeral)
            return
        checked = checked_body(body)
        metadata = checked_metadata(body.get("metadata"))
        if body.get("replace_original") and message_ts is not None:
            if is_ephemeral:
                original = self._conversation.ephemeral(channel_id, message_ts, user_id)
                if original is None:
                    raise SlackError("message_not_found")
                self._conversation.change_ephemeral(channel, user_id, original, checked)
            else:
                original = self._conversation.message(channel_id, message_ts)
                self._conversation.change_as_app(channel, original, checked, metadata)
            return
        if body.get("response_type") == "in_channel":
            self._conversation.post_as_app(
                channel,
                text=checked["text"] or "",
                blocks=checked["blocks"],
                attachments=checked["attachments"],
                metadata=metadata,
                thread_ts=body.get("thread_ts"),
                subtype="bot_message",
            )
            return
        self._conversation.post_ephemeral(
            channel,
            user_id,
            text=checked["text"] or "",
            blocks=checked["blocks"],
            thread_ts=body.get("thread_ts"),
        )

    def _delete_original(self, channel: Document, user_id: str, message_ts: str, is_ephemeral: bool) -> None:
        if not is_ephemeral:
            self._conversation.delete(channel, self._conversation.message(channel["id"], message_ts))
            return
        original = self._conversation.ephemeral(channel["id"], message_ts, user_id)
        if original is None:
            raise SlackError("message_not_found")
        self._conversation.change_ephemeral(channel, user_id, original, None)
