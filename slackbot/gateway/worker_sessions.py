"""Which session a worker speaks for, and waiting for it to change. Used by the desks of the worker protocol."""

from __future__ import annotations

import asyncio

from slackbot.core.errors import Fenced, IllegalTransition, NotFound
from slackbot.core.session import Session
from slackbot.core.worker_token import WorkerIdentity
from slackbot.engine import Engine

POLL_SECONDS = 2.0
"""How often a long poll reads the store: what came in on another replica is seen so soon."""


async def own_session(engine: Engine, identity: WorkerIdentity) -> Session:
    """The session of this worker, whatever its status; `Fenced` when a newer launch has it."""
    session = await engine.load(identity.session_id)
    if session is None:
        raise NotFound("This session is over and forgotten.", "The worker must leave.")
    if session.launch != identity.launch:
        raise Fenced("This worker belongs to an earlier launch of the session.", "It must leave.")
    return session


async def live_session(engine: Engine, identity: WorkerIdentity) -> Session:
    """The same while it is live; `IllegalTransition` means: stop now."""
    session = await own_session(engine, identity)
    if not session.status.is_live:
        raise IllegalTransition(f"The session is {session.status}.", "The worker must leave.")
    return session


async def first_of(events: tuple[asyncio.Event, ...], seconds: float) -> None:
    """Waits until one of `events` is set, for `seconds` at most."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
