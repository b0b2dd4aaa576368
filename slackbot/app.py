"""The composition root of the bot: settings in, adapters and rooms wired, everything run in one task group.

`devflow run` and the sandbox's bot process call `run_bot`; nothing here branches on which of the two it is.
"""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import time
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog

from slackbot import listeners
from slackbot.adapters.github import GithubCodeHost
from slackbot.adapters.slack import SlackChat
from slackbot.adapters.socket_mode import SocketKeeper, build_app
from slackbot.adapters.straight_events import StraightEvents
from slackbot.admission import Admission
from slackbot.app_parts import (
    NO_SESSION,
    USUAL_PACE,
    Pace,
    build_public_server,
    build_store,
    build_tasks,
    is_ready,
    secret_of,
    stop_sessions,
)
from slackbot.audit import AuditLog, AuditStream
from slackbot.catch_up import CatchUp
from slackbot.channel_watch import ChannelWatch
from slackbot.config import Settings
from slackbot.core.agent_names import agents_offered
from slackbot.core.ports import SessionStore, Tasks
from slackbot.core.session import Session
from slackbot.desks import Workspace, open_desks
from slackbot.editor_links import EditorLinks
from slackbot.ending import Ending
from slackbot.engine import Engine
from slackbot.gateway.models_api import ModelsApi
from slackbot.gateway.models_desk import ModelsDesk
from slackbot.gateway.server import Gateway, listen
from slackbot.gateway.turn_desk import TurnDesk
from slackbot.gateway.worker_api import WorkerApi
from slackbot.gateway.worker_desk import EditorTerms, WorkerDesk, WorkerTerms
from slackbot.ledger import Ledger
from slackbot.listeners.messages import hear
from slackbot.listeners.told import Told
from slackbot.model_providers import build_providers, load_prices
from slackbot.performer import Performer, WorkerSettings
from slackbot.policy import load_policies
from slackbot.progress_board import ProgressBoard
from slackbot.pull_request_watch import PullRequestWatch
from slackbot.reconciler import Reconciler
from slackbot.session_start import StartLimits

log = structlog.get_logger()


@dataclass(frozen=True)
class BotReady:
    """What the bot tells when it hears Slack and workers can reach it."""

    gateway_url: str
    team_name: str
    bot_user_id: str


async def run_bot(
    settings: Settings,
    *,
    stop: asyncio.Event,
    on_ready: Callable[[BotReady], None] | None = None,
    stop_sessions_at_end: bool = False,
    store: SessionStore | None = None,
    tasks: Tasks | None = None,
    pace: Pace = USUAL_PACE,
) -> None:
    """Runs until `stop` is set, then ends in order: no new input, work in flight drained, connections closed.

    `stop_sessions_at_end`: live sessions become `stopped` and each thread is told, for a machine that goes away.
    `store` and `tasks` are used (and closed) instead of those the settings name.
    Raises `DevflowError` with a sentence when a system refuses at the start.
    """
    # Closing runs in the reverse order of what is pushed here: intake first, the store and Slack last.
    ending = Ending(pace.stop)
    async with AsyncExitStack() as closing:
        chat = SlackChat(
            token=secret_of(settings.SLACK_BOT_TOKEN),
            api_url=settings.SLACK_API_URL,
            posts_per_second=1.0 if settings.is_real_slack else None,
        )
        closing.push_async_callback(ending.close, chat.close)
        identity = await chat.identify()
        store = store or build_store(settings)
        closing.push_async_callback(ending.close, store.close)
        # A table that is missing, or closed to us, is told now and not to the first person who asks.
        await store.get(NO_SESSION, int(time.time()))
        tasks = tasks or await build_tasks(settings)
        closing.push_async_callback(ending.close, tasks.close)
        code_host = GithubCodeHost(
            api_url=settings.GITHUB_API_URL,
            app_id=settings.GITHUB_APP_ID or "",
            private_key=settings.private_key_pem(),
        )
        closing.push_async_callback(ending.close, code_host.close)

        # Bound before anything is built on its address: port 0 is any free one.
        listening = closing.enter_context(listen(*settings.gateway_address))
        gateway_url = settings.gateway_url_on(listening.getsockname()[1])
        public_listening, editors = None, None
        if settings.public_listen_address is not None:
            listening_for_all = listen(*settings.public_listen_address, setting="DEVFLOW_PUBLIC_LISTEN")
            public_listening = closing.enter_context(listening_for_all)
            public_address = settings.public_address_on(public_listening.getsockname()[1])
            editors = EditorTerms(public_address, secret_of(settings.DEVFLOW_SECRET))

        async def is_working(session_id: str, turn_id: str) -> bool:
            session = await engine.load(session_id)
            turn = session.turn(turn_id) if session is not None else None
            return turn is not None and not turn.state.is_ended

        board = ProgressBoard(
            chat,
            clock=time.monotonic,
            first_delay_seconds=pace.first_progress,
            since=int(time.time()),
            is_working=is_working,
        )
        closing.push_async_callback(ending.close, board.close)
        secret = secret_of(settings.DEVFLOW_SECRET)
        worker = WorkerSettings(gateway_url=gateway_url, secret=secret)
        audit_stream = AuditStream(settings.DEVFLOW_AUDIT_LOG)
        closing.callback(audit_stream.close)
        audit = AuditLog(audit_stream.write, now=time.time)
        policies = load_policies(settings.DEVFLOW_POLICY)
        limits_of = functools.partial(policies.limits_of, limits=settings.limits)
        terms_of = functools.partial(policies.terms_of, terms=settings.pull_request_terms)
        performer = Performer(
            chat=chat,
            tasks=tasks,
            code_host=code_host,
            board=board,
            worker=worker,
            policies=policies,
            load=lambda session_id: engine.load(session_id),
            terms_of=terms_of,
        )

        def saved(before: Session | None, after: Session) -> None:
            audit.saved(before, after)
            pull_requests.saved(before, after)
            desks.home.saved(before, after)

        engine = Engine(
            store,
            performer,
            replica_id=f"{socket.gethostname()[:40]}-{os.getpid()}-{uuid.uuid4().hex[:8]}",
            now=time.time,
            limits_of=limits_of,
            retry_seconds=pace.retry,
            on_saved=saved,
        )
        closing.push_async_callback(ending.drain, engine.drain, pace.drain)
        pull_requests = PullRequestWatch(
            engine=engine,
            store=store,
            code_host=code_host,
            terms_of=terms_of,
            now=time.time,
            take_place=lambda user_id, session_id: desks.pull_requests.limits.taken(user_id, session_id),
            tick_seconds=settings.DEVFLOW_PULL_REQUEST_SECONDS,
        )

        app = build_app(chat)
        straight = StraightEvents(chat.identify)
        keeper = SocketKeeper(
            app,
            secret_of(settings.SLACK_APP_TOKEN),
            straight=straight,
            on_heard=lambda silent_since: catch_up.want(silent_since),
        )
        closing.push_async_callback(ending.close, keeper.close)
        ledger = Ledger(store, now=time.time)
        models = ModelsDesk(
            build_providers(settings),
            engine=engine,
            ledger=ledger,
            limits=settings.spending_limits,
            prices=load_prices(settings.DEVFLOW_MODEL_PRICES),
            audit=audit,
        )
        closing.push_async_callback(ending.close, models.close)
        desk = WorkerDesk(
            engine=engine,
            performer=performer,
            chat=chat,
            code_host=code_host,
            board=board,
            terms=WorkerTerms(
                limits_of=limits_of,
                editors=editors,
                permissions_of=functools.partial(policies.permissions_of, permissions=settings.permissions),
            ),
            audit=audit,
            models=models,
            secrets=settings.secrets(),
            long_poll_seconds=pace.long_poll,
        )
        turns = TurnDesk(
            engine=engine,
            chat=chat,
            limits_of=limits_of,
            secrets=settings.secrets(),
            long_poll_seconds=pace.long_poll,
        )
        gateway = Gateway(
            WorkerApi(desk, turns, secret=secret),
            ModelsApi(models, secret=secret),
            listening,
            is_ready=lambda: is_ready(keeper, store),
        )
        await gateway.start()
        closing.push_async_callback(ending.close, gateway.stop)
        admission = Admission(chat, settings.access_policy)
        editor_links: EditorLinks | None = None
        if public_listening is not None and editors is not None:
            editor_links = EditorLinks(
                engine=engine, admission=admission, audit=audit, address=editors.address, secret=secret
            )
            public = build_public_server(
                settings, public_listening, engine=engine, editor_links=editor_links, pull_requests=pull_requests
            )
            await public.start()
            closing.push_async_callback(ending.close, public.stop)

        desks = open_desks(
            engine=engine,
            store=store,
            chat=chat,
            code_host=code_host,
            admission=admission,
            audit=audit,
            workspace=Workspace(identity.team_id, identity.user_id, identity.url or "", code_host.hosts),
            limits=StartLimits(
                max_sessions=settings.DEVFLOW_MAX_SESSIONS,
                max_sessions_per_user=settings.DEVFLOW_MAX_SESSIONS_PER_USER,
                default_agent=settings.DEVFLOW_AGENT,
                agents=agents_offered(settings.DEVFLOW_AGENT, (rule.agent for rule in policies.rules)),
            ),
            policies=policies,
            raise_limit=models.extend,
            editor_links=editor_links,
            terms_of=terms_of,
        )
        closing.push_async_callback(ending.close, desks.home.close)
        told = Told(chat)
        closing.push_async_callback(ending.drain, told.drain, 2.0)
        watch = ChannelWatch(engine=engine, store=store, chat=chat)
        closing.push_async_callback(ending.drain, desks.answers.drain, 2.0)
        listeners.register(app, straight.bind, desks, told, watch)
        catch_up = CatchUp(
            engine=engine,
            store=store,
            chat=chat,
            watch=watch,
            hear=functools.partial(hear, desk=desks.front, told=told, late=True),
            bot_user_id=identity.user_id,
            started_at=int(time.time()),
            pause_seconds=pace.catch_up,
        )
        reconciler = Reconciler(
            engine=engine,
            store=store,
            tasks=tasks,
            limits_of=limits_of,
            now=time.time,
            interval_seconds=settings.DEVFLOW_RECONCILE_SECONDS,
            on_orphan_stopped=audit.orphan_stopped,
        )
        closing.push_async_callback(ending.drain, keeper.drain, pace.drain)
        closing.push_async_callback(ending.close, keeper.stop_intake)
        await keeper.start()

        ready = BotReady(gateway_url, identity.team_name or "", identity.user_id)
        host, port = listening.getsockname()[:2]
        log.info("bot_ready", gateway_url=ready.gateway_url, listens_on=f"{host}:{port}", team=ready.team_name)
        if on_ready is not None:
            on_ready(ready)
        async with asyncio.TaskGroup() as group:
            reconciling = group.create_task(reconciler.run(), name="reconciler")
            catching_up = group.create_task(catch_up.run(), name="catch_up")
            watching = group.create_task(pull_requests.run(), name="pull_requests")
            await stop.wait()
            log.info("bot_stopping")
            if stop_sessions_at_end:
                await keeper.stop_intake()
                await stop_sessions(store, engine)
            reconciling.cancel()
            catching_up.cancel()
            watching.cancel()
            ending.begin()
    log.info("bot_stopped")
