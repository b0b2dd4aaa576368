"""The Slack stand-in: one HTTP server with Web API, Socket Mode, file addresses, and the page.

Built by the sandbox's main and by tests. State is one SQLite file; a stand-in started again on it goes on where the
last one ended, unacknowledged events included.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from slackbot.sandbox.slack import methods_chat, methods_conversations, methods_users, methods_views
from slackbot.sandbox.slack.app_description import describe_app
from slackbot.sandbox.slack.behind import Backstage
from slackbot.sandbox.slack.conversation import Conversation
from slackbot.sandbox.slack.deliveries import EVENT_RETRY_DELAYS_SECONDS
from slackbot.sandbox.slack.faults import ApiCall, FaultHook, SlackError
from slackbot.sandbox.slack.files import MAX_APP_UPLOAD_BYTES, Files
from slackbot.sandbox.slack.interactions import Interactions
from slackbot.sandbox.slack.message_rules import checked_body
from slackbot.sandbox.slack.page_api import PageApi
from slackbot.sandbox.slack.page_feed import PageFeed
from slackbot.sandbox.slack.page_guard import guard
from slackbot.sandbox.slack.people import People
from slackbot.sandbox.slack.socket_mode import SocketMode
from slackbot.sandbox.slack.store import Document, Store
from slackbot.sandbox.slack.views import Views
from slackbot.sandbox.slack.web_api import Rooms, WebApi
from slackbot.sandbox.slack.workspace import Workspace

log = structlog.get_logger()

WELCOME_CHANNEL_ID = "C0SANDBOX"


class SlackStandIn:
    """A Slack workspace with one app, at `url` once started.

    `commands`, `shortcuts`, `bot_events` and `scopes` come from `manifest` (the app manifest as a mapping) unless
    they are given; without scopes none is checked. `welcome` is posted by the app into #sandbox when the store is new:
    each a {text, blocks}, the first the root, the others its replies. `links` are shown beside the channels.
    Every `_seconds` argument is one of Slack's own times. `clock` gives Unix seconds.
    """

    def __init__(
        self,
        state_path: Path,
        *,
        bot_token: str,
        app_token: str,
        host: str = "127.0.0.1",
        port: int = 0,
        team_id: str = "T0SANDBOX",
        team_name: str = "DevFlow sandbox",
        manifest: Mapping[str, Any] | None = None,
        commands: Sequence[Mapping[str, Any]] | None = None,
        shortcuts: Sequence[Mapping[str, Any]] | None = None,
        bot_events: Sequence[str] | None = None,
        scopes: Sequence[str] | None = None,
        links: Sequence[Mapping[str, str]] = (),
        welcome: Sequence[Mapping[str, Any]] = (),
        event_ack_seconds: float = 3.0,
        retry_delays_seconds: Sequence[float] = EVENT_RETRY_DELAYS_SECONDS,
        undelivered_seconds: float = 3600.0,
        interaction_seconds: float = 3.0,
        trigger_seconds: float = 3.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._host = host
        self._port = port
        self._welcome = [dict(message) for message in welcome]
        self._runner: web.AppRunner | None = None
        app = describe_app(
            bot_token,
            app_token,
            team_id=team_id,
            team_name=team_name,
            manifest=manifest,
            commands=commands,
            shortcuts=shortcuts,
            bot_events=bot_events,
            scopes=scopes,
        )
        self.backstage: Backstage | None = None
        """What the page shows behind the scenes; given by who runs the bot."""
        self._store = Store(state_path)
        self._feed = PageFeed(clock)
        self.sockets = SocketMode(
            self._store,
            app.app_id,
            ack_timeout_seconds=event_ack_seconds,
            retry_delays_seconds=retry_delays_seconds,
            undelivered_seconds=undelivered_seconds,
            on_change=self._tell_sockets,
            on_lost=self._tell_lost,
        )
        self.workspace = Workspace(self._store, app, self._feed, clock, self.sockets.deliver)
        self.conversation = Conversation(self.workspace)
        self.files = Files(self.workspace)
        self.views = Views(self.workspace)
        self._interactions = Interactions(
            self.workspace,
            self.conversation,
            self.sockets,
            timeout_seconds=interaction_seconds,
            trigger_seconds=trigger_seconds,
        )
        self.people = People(self.workspace, self.conversation, self._interactions, self.views, self.files)
        rooms = Rooms(self.workspace, self.conversation, self._interactions, self.views, self.files, self.sockets)
        methods = (
            *methods_chat.METHODS,
            *methods_conversations.METHODS,
            *methods_users.METHODS,
            *methods_views.METHODS,
        )
        self._web_api = WebApi(rooms, methods)
        self._page_api = PageApi(
            self.workspace,
            self.people,
            self.views,
            self.files,
            self._feed,
            self._web_api.calls,
            lambda: self.sockets.connection_count,
            links,
            lambda: self.backstage,
        )
        self._seed()

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self._port}"

    @property
    def port(self) -> int:
        return self._port

    @property
    def api_url(self) -> str:
        """For `AsyncWebClient(base_url=...)`."""
        return self.url + "/api/"

    @property
    def feed(self) -> PageFeed:
        """What happens, as the page is told of it."""
        return self._feed

    @property
    def calls(self) -> list[ApiCall]:
        """The latest API calls, oldest first."""
        return list(self._web_api.calls)

    @property
    def fault(self) -> FaultHook | None:
        """Called as `fault(method, arguments)` before each API call; a `Fault` it returns then happens."""
        return self._web_api.fault

    @fault.setter
    def fault(self, hook: FaultHook | None) -> None:
        self._web_api.fault = hook

    async def start(self) -> None:
        """Listens. OSError names the address when it is taken."""
        listening = self._listen()
        self._port = listening.getsockname()[1]
        self.workspace.base_url = self.url
        application = web.Application(
            client_max_size=MAX_APP_UPLOAD_BYTES + 1024, middlewares=[guard(self._allowed_hosts)]
        )
        router = application.router
        router.add_route("*", "/api/{method}", self._web_api.handle)
        router.add_get("/link/", self.sockets.serve)
        router.add_post("/response/{token}", self._respond)
        router.add_post("/upload/v1/{token}", self._receive_upload)
        router.add_get("/files-pri/{file:.+}", self._private_file)
        self._page_api.add_routes(router)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        try:
            await self._runner.setup()
            await web.SockSite(self._runner, listening).start()
        except BaseException:
            listening.close()
            raise
        self._store.remove_older("response_url", "expires_at", self.workspace.clock())
        self.sockets.start()
        log.info("slack_stand_in_listens", url=self.url)

    async def stop(self) -> None:
        """Closes every connection and the store. Harmless when repeated."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await self.sockets.stop()
            self._feed.close()
            await runner.cleanup()
        self._store.close()

    async def disconnect_sockets(self, reason: str = "refresh_requested", *, abruptly: bool = False) -> None:
        """Ends the app's sockets as Slack does now and then.

        `reason`: `warning`, `refresh_requested`, `link_disabled` (told, then the app reconnects); `abruptly` cuts
        the connections with no word.
        """
        await self.sockets.disconnect(reason, abruptly=abruptly)

    def inject_event(self, event: Mapping[str, Any], *, event_id: str | None = None) -> str:
        """Sends the app an event as given, whatever it subscribes to; returns the event_id.

        For what this workspace would not do by itself: unknown types, odd fields, the same event under one id again.
        """
        return self.workspace.send(dict(event), None, event_id=event_id)

    def _listen(self) -> socket.socket:
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((self._host, self._port))
        except OSError as error:
            listening.close()
            raise OSError(
                error.errno, f"Slack's stand-in cannot listen on {self._host}:{self._port}: {error.strerror}"
            ) from error
        return listening

    def _allowed_hosts(self) -> frozenset[str]:
        return frozenset({f"{self._host}:{self._port}", f"127.0.0.1:{self._port}", f"localhost:{self._port}"})

    # Seeds

    def _seed(self) -> None:
        workspace = self.workspace
        bot_user_id = workspace.app.bot_user_id
        if workspace.find_user(bot_user_id) is not None:
            return
        with self._store.transaction():
            workspace.add_user("U0ADA", "ada", "Ada Lovelace")
            workspace.add_user("U0GRACE", "grace", "Grace Hopper", tz="America/New_York")
            workspace.add_user("U0YUKI", "yuki", "Yuki Tanaka", tz="Asia/Tokyo", locale="ja-JP")
            workspace.add_user(bot_user_id, workspace.app.bot_name, "DevFlow", is_bot=True)
            members = ["U0ADA", "U0GRACE", "U0YUKI"]
            workspace.add_channel(
                WELCOME_CHANNEL_ID, "sandbox", members=[*members, bot_user_id], topic="Try DevFlow here"
            )
            workspace.add_channel("C0RANDOM", "random", members=members, topic="The app is not a member here")
            for user_id in members:
                workspace.add_dm(user_id)
            self._post_welcome()

    def _post_welcome(self) -> None:
        channel = self.workspace.channel(WELCOME_CHANNEL_ID)
        root_ts: str | None = None
        for message in self._welcome:
            body = checked_body(message)
            posted = self.conversation.post_as_app(
                channel, text=body["text"] or "", blocks=body["blocks"], thread_ts=root_ts
            )
            root_ts = root_ts or posted["ts"]

    # Addresses that the app is given

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        try:
            self._interactions.respond(request.match_info["token"], await request.json())
        except SlackError as error:
            gone = error.error in ("used_url", "expired_url", "no_such_url")
            return web.json_response(error.answer(), status=404 if gone else 400)
        except ValueError:
            return web.json_response({"ok": False, "error": "invalid_payload"}, status=400)
        return web.Response(text="ok")

    async def _receive_upload(self, request: web.Request) -> web.StreamResponse:
        content = await request.read()
        if request.content_type == "multipart/form-data":
            return web.Response(status=400, text="Send the bytes of the file as the body.")
        try:
            size = self.files.receive(request.match_info["token"], content)
        except SlackError as error:
            return web.Response(status=404 if error.error == "file_not_found" else 400, text=error.error)
        return web.Response(text=f"OK - {size}")

    async def _private_file(self, request: web.Request) -> web.StreamResponse:
        """`url_private`: the bytes for who brings the app's token; anyone else is sent to sign in, as by Slack."""
        if request.headers.get("Authorization") != f"Bearer {self.workspace.app.bot_token}":
            raise web.HTTPFound("/")
        file_id = request.match_info["file"].partition("/")[0].rpartition("-")[2]
        try:
            file = self.files.get(file_id)
            channels = [self.workspace.find_channel(channel_id) for channel_id in file["channels"]]
            if not any(channel and self.workspace.is_bot_in(channel) for channel in channels) and (
                file["user"] != self.workspace.app.bot_user_id
            ):
                raise SlackError("file_not_found")
            content = self.files.content(file_id)
        except SlackError as error:
            raise web.HTTPNotFound(text=error.error) from error
        headers = {**self.files.headers(file), "Content-Type": file["mimetype"]}
        return web.Response(body=content, headers=headers)

    # What the page is told of the sockets

    def _tell_sockets(self, connections: int) -> None:
        self._feed.publish({"type": "socket", "connections": connections})

    def _tell_lost(self, payload: Document) -> None:
        event = payload["event"]
        self._feed.publish(
            {
                "type": "notice",
                "level": "warning",
                "text": f"The app never acknowledged {payload['event_id']} ({event['type']}); Slack gave it up.",
            }
        )
