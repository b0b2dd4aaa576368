"""Modals: opened by the trigger of a press, changed while they are open.

Called by `slack.py`; goes to views.* of the Web API. https://docs.slack.dev/surfaces/modals
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slackbot.adapters.slack_client import SlackConnection
from slackbot.core.errors import TemporaryError


class SlackModals:
    """Views through one `SlackConnection`."""

    def __init__(self, connection: SlackConnection) -> None:
        self._connection = connection

    async def open(self, trigger_id: str, view: Mapping[str, Any]) -> str:
        # Sent once: a trigger is good for one call, and the second try would only tell that it was used.
        request = self._connection.posting.views_open(trigger_id=trigger_id, view=dict(view))
        answer = await self._connection.call("views.open", request)
        opened = answer.get("view")
        view_id = opened.get("id") if isinstance(opened, Mapping) else None
        if not isinstance(view_id, str):
            raise TemporaryError("Slack opened the form but named no id for it.", outcome_unknown=True)
        return view_id

    async def update(self, view_id: str, view: Mapping[str, Any]) -> None:
        request = self._connection.reading.views_update(view_id=view_id, view=dict(view))
        await self._connection.call("views.update", request)
