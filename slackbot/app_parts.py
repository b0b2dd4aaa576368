"""The parts of the composition root that stand alone: the store and the tasks that the settings name, the public
server, whether the bot is ready, the end of all sessions.

`app` calls them while it puts the bot together and ends it; `devflow check` opens the same store and tasks.
"""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import dataclass

import structlog
from pydantic import SecretStr

from slackbot.adapters.local_tasks import LocalTasks
from slackbot.adapters.socket_mode import SocketKeeper
from slackbot.adapters.sqlite import SqliteStore
from slackbot.catch_up import PAUSE_SECONDS as CATCH_UP_SECONDS
from slackbot.config import Settings
from slackbot.core import events as ev
from slackbot.core.errors import ConfigError, DevflowError, IllegalTransition, NotFound
from slackbot.core.ports import SessionStore, Tasks
from slackbot.core.session import EndedBy
from slackbot.editor_links import EditorLinks
from slackbot.engine import Engine
from slackbot.gateway.editor import EditorRoom
from slackbot.gateway.editor_proxy import EditorProxy
from slackbot.gateway.public import PublicRoutes, PublicServer
from slackbot.gateway.webhooks import GithubWebhook
from slackbot.pull_request_watch import PullRequestWatch
from slackbot.worker_protocol import LONG_POLL_SECONDS

log = structlog.get_logger()

STOP_SESSIONS_SECONDS = 20.0
"""How long the end of the sandbox waits for workers to save what they have."""

NO_SESSION = "00000000-0000-4000-8000-000000000000"
"""An id that no thread has: reading it asks the store whether it answers."""


@dataclass(frozen=True)
class Pace:
    """Waits of the bot's rooms, in seconds, that no operator needs to set; tests make them short."""

    retry: float = 1.0
    """First pause before what failed is tried again; it grows."""
    first_progress: float = 0.15
    """A turn that ends sooner shows no progress message."""
    long_poll: float = LONG_POLL_SECONDS
    catch_up: float = CATCH_UP_SECONDS
    """Between two threads that are read after a silence."""
    drain: float = 10.0
    """What each kind of work in flight has to end; all of it, and every closing, share `stop`."""
    stop: float = 20.0
    """ECS waits 30 s between SIGTERM and SIGKILL, and a restart by hand should not take longer than people wait."""


USUAL_PACE = Pace()


def build_store(settings: Settings) -> SessionStore:
    """The store the settings name."""
    path = settings.sqlite_path
    if path is not None:
        return SqliteStore(path)
    # Here, so that the sandbox does not wait for boto3.
    from slackbot.adapters.dynamodb import DynamoStore

    return DynamoStore(table=settings.DEVFLOW_TABLE)


async def build_tasks(settings: Settings) -> Tasks:
    """Where workers run, as the settings say. With `ecs` the cluster is asked for, and must be there."""
    if settings.DEVFLOW_TASKS == "local":
        if settings.DEVFLOW_STATE_DIR is None:
            raise ConfigError(["DEVFLOW_STATE_DIR is not set: local tasks keep their files there"])
        return LocalTasks(settings.DEVFLOW_STATE_DIR / "tasks")
    # Here, so that the sandbox does not wait for boto3.
    from slackbot.adapters.ecs import EcsTasks
    from slackbot.adapters.ecs_client import ecs_client, find_cluster_arn
    from slackbot.adapters.ecs_shapes import deployment_name

    client = ecs_client()
    try:
        cluster = settings.DEVFLOW_ECS_CLUSTER or "default"
        cluster_arn = await find_cluster_arn(client, cluster)
        return EcsTasks(
            client=client,
            cluster=cluster,
            task_definition=settings.DEVFLOW_ECS_TASK_DEFINITION or "",
            container=settings.DEVFLOW_ECS_CONTAINER,
            subnets=settings.ecs_subnets,
            security_groups=settings.ecs_security_groups,
            assign_public_ip=settings.DEVFLOW_ECS_ASSIGN_PUBLIC_IP,
            capacity_provider=settings.DEVFLOW_ECS_CAPACITY_PROVIDER,
            deployment=deployment_name(cluster_arn, settings.store_name),
            now=time.time,
        )
    except BaseException:
        client.close()
        raise


def build_public_server(
    settings: Settings,
    listening: socket.socket,
    *,
    engine: Engine,
    editor_links: EditorLinks,
    pull_requests: PullRequestWatch,
) -> PublicServer:
    """The rooms that serve browsers and GitHub; each adds its routes."""
    proxy = EditorProxy(
        address=editor_links.address,
        load=engine.load,
        changed=engine.changed,
        door_secret=editor_links.door_secret,
    )
    routes: list[PublicRoutes] = [EditorRoom(editor_links, proxy)]
    if settings.GITHUB_WEBHOOK_SECRET is not None:
        routes.append(GithubWebhook(secret_of(settings.GITHUB_WEBHOOK_SECRET), pull_requests.on_pull_request_event))
    return PublicServer(listening, routes)


async def stop_sessions(store: SessionStore, engine: Engine) -> None:
    """Ends every live session and waits until its task is gone and its thread knows."""
    ended = []
    async for entry in store.scan(engine.now(), live=True):
        try:
            await engine.handle(entry.session_id, ev.StopRequested(None, by=EndedBy.SHUTDOWN))
            ended.append(entry.session_id)
        except (IllegalTransition, NotFound):
            continue
        except DevflowError as error:
            log.warning("session_not_stopped", session_id=entry.session_id, why=error.summary)
    deadline = time.monotonic() + STOP_SESSIONS_SECONDS
    while ended and time.monotonic() < deadline:
        sessions = [await engine.load(session_id) for session_id in ended]
        if not any(session is not None and session.lease is not None for session in sessions):
            return
        await asyncio.sleep(0.05)


async def is_ready(keeper: SocketKeeper, store: SessionStore) -> dict[str, bool]:
    """Whether Slack is heard and the store answers: what `/readyz` says."""
    try:
        await store.get(NO_SESSION, int(time.time()))
    except DevflowError:
        return {"slack": keeper.is_heard, "store": False}
    return {"slack": keeper.is_heard, "store": True}


def secret_of(value: SecretStr | None) -> str:
    assert value is not None  # noqa: S101  load_settings saw to it
    return value.get_secret_value()
