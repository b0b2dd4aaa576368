"""Bolt in: each listener checks, parses, calls a desk and acknowledges. `register` is the routing table."""

from __future__ import annotations

from slack_bolt.async_app import AsyncApp

from slackbot.channel_watch import ChannelWatch
from slackbot.desks import Desks
from slackbot.listeners import (
    actions,
    answers,
    asides,
    channels,
    commands,
    events,
    handing_over,
    home,
    messages,
    pull_requests,
    starts,
)
from slackbot.listeners.told import Told


def register(app: AsyncApp, bind: messages.Bind, desks: Desks, told: Told, watch: ChannelWatch) -> None:
    """Binds every listener, messages by `bind` and all else on Bolt. The last one takes whatever nobody asked for."""
    desk = desks.front
    messages.register(app, bind, desk, told, watch, desks.address)
    starts.register(app, desk, desks.start)
    # Before the session's own: "Open PR" opens a form.
    pull_requests.register(app, desks.pull_requests, told)
    home.register(app, desks.commands, desks.home)
    handing_over.register(app, desks.commands)
    asides.register(app, desk, desks.listen)
    answers.register(app, desks.answers, told)
    actions.register(app, desk, desks.commands, told)
    commands.register(app, desks.commands, told)
    channels.register(app, watch)
    events.register(app)
