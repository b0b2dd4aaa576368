"""Envelopes to begin with: recorded from people at work in the stand-in, so that each new form is among them by itself.

`record` notes all that goes to the bot while a scenario runs; `EXTRA` adds what the stand-in's people do not do.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.wire.bot_world import BotWorld

Envelope = tuple[str, dict[str, Any]]
"""`type` and `payload`."""


@contextmanager
def record(world: BotWorld) -> Iterator[list[Envelope]]:
    """What is sent to the bot inside: commands, interactions and events, one of a kind each."""
    seen: dict[str, Envelope] = {}
    sockets, workspace = world.slack.sockets, world.slack.workspace
    request, deliver = sockets.request, workspace._deliver
    found: list[Envelope] = []

    def note(kind: str, payload: dict[str, Any]) -> None:
        name = shape(kind, payload)
        if name not in seen:
            seen[name] = (kind, copy.deepcopy(payload))
            found.append(seen[name])

    async def noted_request(kind: str, payload: Any, timeout_seconds: float) -> Any:
        note(kind, payload)
        return await request(kind, payload, timeout_seconds)

    def noted_deliver(event_id: str, payload: Any) -> None:
        note("events_api", payload)
        deliver(event_id, payload)

    sockets.request = noted_request  # type: ignore[method-assign]
    workspace._deliver = noted_deliver
    try:
        yield found
    finally:
        sockets.request = request  # type: ignore[method-assign]
        workspace._deliver = deliver


def shape(kind: str, payload: dict[str, Any]) -> str:
    """Which kind of envelope this is; two of one shape are one for the fuzzer."""
    event = payload.get("event")
    if isinstance(event, dict):
        is_reply = "thread_ts" in event and event.get("thread_ts") != event.get("ts")
        return f"{kind} {event.get('type')} {event.get('subtype')} {is_reply} {'bot_id' in event}"
    actions = payload.get("actions")
    action = actions[0].get("action_id") if isinstance(actions, list) and actions else ""
    view = payload.get("view")
    callback = payload.get("callback_id") or (view.get("callback_id") if isinstance(view, dict) else "")
    return f"{kind} {payload.get('type') or payload.get('command')} {action} {callback}"


def extra(channel_id: str, thread_ts: str, user_id: str) -> list[Envelope]:
    """Of kinds that nobody in the stand-in's page makes."""
    user = {"id": user_id, "team_id": "T0SANDBOX"}
    at = {"channel": {"id": channel_id}, "user": user, "team": {"id": "T0SANDBOX"}, "trigger_id": "1.2.3"}
    message = {"type": "message", "user": "U0DEVFLOW", "ts": thread_ts, "thread_ts": thread_ts, "text": "hi"}

    def event(**fields: Any) -> Envelope:
        return "events_api", {"type": "event_callback", "team_id": "T0SANDBOX", "event_id": "Ev1", "event": fields}

    return [
        event(type="message", channel=channel_id, user=user_id, ts="1795700000.000100", thread_ts=thread_ts, text="a"),
        event(type="app_mention", channel=channel_id, user=user_id, ts="1795700000.000200", text="<@U0DEVFLOW> hello"),
        event(type="app_home_opened", user=user_id, channel=channel_id, tab="home"),
        event(type="agent_session_stopped", channel=channel_id, thread_ts=thread_ts, user=user_id),
        event(type="reaction_added", user=user_id, reaction="x", item={"type": "message", "channel": channel_id}),
        event(type="user_change", user=user),
        ("interactive", {"type": "shortcut", "callback_id": "start", **at}),
        ("interactive", {"type": "message_action", "callback_id": "work_on_this", "message": message, **at}),
        ("interactive", {"type": "view_closed", "view": {"id": "V1", "callback_id": "start", "hash": "1"}, **at}),
        ("interactive", {"type": "block_suggestion", "action_id": "repository", "block_id": "b", "value": "x", **at}),
        ("interactive", {"type": "dialog_submission", "callback_id": "old", "submission": {}, **at}),
        ("interactive", {"type": "workflow_step_edit", "callback_id": "step", **at}),
    ]
