"""Slack's way in: Socket Mode connections kept open for one Bolt app, each envelope acknowledged when it is done.

`app.py` builds the app here, registers the listeners on it and starts the keeper; envelopes end in the listeners.
Several connections, because a single one has a gap whenever Slack asks it to reconnect.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.context.async_context import AsyncBoltContext
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.web.async_client import AsyncWebClient

from slackbot.adapters.bolt_log import OncePerFault
from slackbot.adapters.slack import SlackChat
from slackbot.adapters.slack_errors import FOREIGN_ERRORS, error_code, translate
from slackbot.adapters.socket_connection import Intervals, SocketConnection
from slackbot.adapters.socket_intake import NOT_AUTHORIZED, SocketIntake
from slackbot.adapters.straight_events import StraightEvents
from slackbot.core.errors import DevflowError, PermanentError, TemporaryError

log = structlog.get_logger()

_GAP_SECONDS = 2.0
_GAP_LOOK_SECONDS = 0.02
_TOKEN_REFUSALS = frozenset(
    {"invalid_auth", "not_authed", "not_allowed_token_type", "missing_scope", "token_revoked", "token_expired"}
)


def build_app(chat: SlackChat) -> AsyncApp:
    """The Bolt app on `chat`'s session; no call goes out before the first envelope.

    A listener runs to its end before its envelope is acknowledged, and one that raises leaves it unacknowledged.
    When Slack cannot say who the bot is, envelopes stay unacknowledged too (Bolt's own way drops them).
    """

    async def authorize(
        context: AsyncBoltContext, enterprise_id: str | None, team_id: str | None, user_id: str | None
    ) -> AuthorizeResult:
        try:
            identity = await chat.identify()
        except BaseException:
            context[NOT_AUTHORIZED] = True
            raise
        # Bolt makes a client for each envelope, and that one takes the environment's proxy for a loopback address too.
        context.client.proxy = client.proxy
        return AuthorizeResult(
            enterprise_id=enterprise_id,
            team_id=team_id or identity.team_id,
            team=identity.team_name,
            url=identity.url,
            bot_user_id=identity.user_id,
            bot_id=identity.bot_id,
            bot_token=chat.connection.token,
            user_id=user_id,
        )

    logger = logging.getLogger("devflow.bolt")
    if not logger.filters:
        logger.addFilter(OncePerFault())
    # Bolt warns of a token in the environment beside `authorize`; here both are meant.
    logger.setLevel(logging.ERROR)
    client = chat.connection.tokenless_client()
    app = AsyncApp(
        name="devflow",
        client=client,
        logger=logger,
        authorize=authorize,
        process_before_response=True,
        raise_error_for_unhandled_request=False,
        request_verification_enabled=False,
        ssl_check_enabled=False,
        url_verification_enabled=False,
        attaching_function_token_enabled=False,
    )
    # At no level of its own Bolt would prepare its debug lines for nobody.
    logger.setLevel(logging.INFO)
    client.token = chat.connection.token
    return app


async def open_socket_url(client: AsyncWebClient, app_token: str) -> str:
    """A one-time address for Socket Mode (apps.connections.open). `PermanentError` when the app token is not good."""
    try:
        answer = await client.apps_connections_open(app_token=app_token)
    except FOREIGN_ERRORS as error:
        raise _app_token_error(error) from error
    url: Any = answer.get("url")
    if not isinstance(url, str) or not url.startswith(("ws://", "wss://")):
        raise PermanentError("Slack named no address for Socket Mode.", "Check SLACK_API_URL.")
    return url


class SocketKeeper:
    """`connections` Socket Mode connections on one app, started, watched and ended together.

    `on_heard` is called whenever Slack is heard again, with the Unix time since when it was not (0: never before), or
    since when there was more than the bot could take.
    Use: `await start()`; at the end `await stop_intake()`, `await drain(seconds)`, `await close()`.
    """

    def __init__(
        self,
        app: AsyncApp,
        app_token: str,
        *,
        straight: StraightEvents | None = None,
        connections: int = 2,
        ping_interval_seconds: float = 5.0,
        replace_after_seconds: float = 10.0,
        check_seconds: float = 1.0,
        connect_seconds: float = 10.0,
        first_pause_seconds: float = 1.0,
        start_seconds: float = 30.0,
        concurrency: int = 200,
        queued: int = 2000,
        on_heard: Callable[[int], None] = lambda silent_since: None,
    ) -> None:
        self._app = app
        self._app_token = app_token
        self._start_seconds = start_seconds
        self._first_pause_seconds = first_pause_seconds
        self._intake = SocketIntake(
            app,
            self._find_client,
            straight=straight,
            concurrency=concurrency,
            queued=queued,
            on_worked_off=on_heard,
        )
        intervals = Intervals(
            ping=ping_interval_seconds,
            replace_after=replace_after_seconds,
            check=check_seconds,
            connect=connect_seconds,
            first_pause=first_pause_seconds,
        )
        self._connections = [
            SocketConnection(
                index,
                app,
                app_token,
                intervals=intervals,
                open_url=self._open_url,
                on_message=self._intake.receive,
                on_change=self._changed,
            )
            for index in range(connections)
        ]
        self._tasks: list[asyncio.Task[None]] = []
        self._first_heard = asyncio.Event()
        self._was_heard = False
        self._on_heard = on_heard
        self._silent_since = 0

    @property
    def is_heard(self) -> bool:
        """Whether Slack can reach the app now: a connection is live, and envelopes are taken."""
        return self._intake.is_open and any(connection.is_live for connection in self._connections)

    @property
    def live_connections(self) -> int:
        return sum(connection.is_live for connection in self._connections)

    @property
    def in_flight(self) -> int:
        """Envelopes taken and not done."""
        return self._intake.in_flight

    async def start(self) -> None:
        """Returns when a connection stands.

        `PermanentError` when the app token is not good, `TemporaryError` when Slack was not reached in time.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._start_seconds
        url = await self._first_url(deadline)
        for index, connection in enumerate(self._connections):
            self._tasks.append(asyncio.create_task(connection.run(url if index == 0 else None)))
        try:
            await asyncio.wait_for(self._first_heard.wait(), max(0.0, deadline - loop.time()))
        except TimeoutError:
            reasons = [connection.last_error.summary for connection in self._connections if connection.last_error]
            await self.close()
            raise TemporaryError(
                f"No connection to Slack stood within {self._start_seconds:g} s. {' '.join(reasons[:1])}".strip(),
                "Check that WebSockets to wss-primary.slack.com get through the network and any proxy.",
            ) from None

    async def stop_intake(self) -> None:
        """From now on nothing new is taken; connections stay only for acknowledgements that are still due."""
        self._intake.is_open = False
        await self._end_tasks()
        await asyncio.gather(
            *(
                connection.close()
                for connection in self._connections
                if connection.client is None or not self._intake.is_busy(connection.client)
            )
        )

    async def drain(self, deadline_seconds: float) -> int:
        """Waits for the listeners under way, acknowledgements included; the number that did not end in time."""
        left = await self._intake.drain(deadline_seconds)
        if left:
            log.warning("slack_listeners_not_done", count=left)
        return left

    async def close(self) -> None:
        """Ends everything, whatever is under way. Harmless when repeated."""
        self._intake.is_open = False
        await self._end_tasks()
        await self._intake.cancel()
        await asyncio.gather(*(connection.close() for connection in self._connections))

    async def _end_tasks(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                log.error("slack_connection_task_failed", exc_info=outcome)

    async def _first_url(self, deadline: float) -> str:
        """A first address; the SDK itself would retry for ever with a token that is refused."""
        loop = asyncio.get_running_loop()
        pause_seconds = self._first_pause_seconds
        while True:
            try:
                return await self._open_url()
            except TemporaryError as error:
                wait = max(pause_seconds, error.retry_after_seconds or 0.0)
                if loop.time() + wait >= deadline:
                    raise
                log.warning("slack_not_reached", why=error.summary, again_in_seconds=wait)
                await asyncio.sleep(wait)
                pause_seconds *= 2

    async def _open_url(self) -> str:
        return await open_socket_url(self._app.client, self._app_token)

    async def _find_client(self, preferred: AsyncBaseSocketModeClient) -> AsyncBaseSocketModeClient | None:
        """The client that the envelope came over, or any other that can send, waited for a little while.

        Slack asks sockets to reconnect at any moment, and an acknowledgement may fall into that gap.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _GAP_SECONDS
        while True:
            if await preferred.is_connected():
                return preferred
            for connection in self._connections:
                if connection.is_live and connection.client is not None:
                    return connection.client
            if loop.time() >= deadline:
                return None
            await asyncio.sleep(_GAP_LOOK_SECONDS)

    def _changed(self) -> None:
        """Called by every connection now and then; an outage is told once, and once its end."""
        is_heard = self.is_heard
        if is_heard:
            self._first_heard.set()
        if is_heard == self._was_heard:
            return
        self._was_heard = is_heard
        if is_heard:
            log.info("slack_is_heard", connections=self.live_connections)
            self._on_heard(self._silent_since)
        elif self._intake.is_open:
            self._silent_since = int(time.time())
            log.error(
                "slack_is_not_heard", remedy="Nothing is lost: Slack keeps events for a while. It is tried again."
            )


def _app_token_error(error: BaseException) -> DevflowError:
    if isinstance(error, SlackApiError) and error_code(error) in _TOKEN_REFUSALS:
        return PermanentError(
            f"Slack refused SLACK_APP_TOKEN ({error_code(error)}).",
            "It is the app-level token (xapp-...) with connections:write, on the app's page Basic Information.",
        )
    if isinstance(error, SlackApiError) and error_code(error) in ("forbidden_team", "socket_mode_not_enabled"):
        return PermanentError(
            f"Socket Mode is not switched on for the app ({error_code(error)}).",
            "Switch it on, on the app's page Socket Mode.",
        )
    return translate(error, "apps.connections.open")
