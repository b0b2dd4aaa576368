"""Sends what happens in the stand-in to the App's webhook, signed, in order; a receiver that is down misses it.

GitHub does not send again by itself either. https://docs.github.com/en/webhooks/using-webhooks/handling-failed-webhook-deliveries
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import uuid
from collections.abc import Callable

import aiohttp
import structlog

from slackbot.sandbox.github.event_payloads import payload
from slackbot.sandbox.github.git_process import GitError
from slackbot.sandbox.github.happenings import Happening
from slackbot.sandbox.github.world import World

log = structlog.get_logger()

_ANSWER_SECONDS = 10.0
_WAITING = 1000


class WebhookSender:
    """`base` gives the stand-in's own address once it is known. Put `listen` among the world's listeners."""

    def __init__(self, world: World, url: str, secret: str, base: Callable[[], str]) -> None:
        self._world = world
        self._url = url
        self._secret = secret.encode()
        self._base = base
        self._waiting: asyncio.Queue[Happening] = asyncio.Queue(_WAITING)
        self._task: asyncio.Task[None] | None = None

    def listen(self, happening: Happening) -> None:
        if not happening.repository.installed:
            return
        try:
            self._waiting.put_nowait(happening)
        except asyncio.QueueFull:
            log.warning("webhook_dropped", webhook_event=happening.event)

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._send_all())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _send_all(self) -> None:
        timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            while True:
                happening = await self._waiting.get()
                try:
                    await self._send(http, happening)
                except (aiohttp.ClientError, TimeoutError, GitError, LookupError, OSError) as error:
                    log.info("webhook_not_taken", webhook_event=happening.event, error=type(error).__name__)

    async def _send(self, http: aiohttp.ClientSession, happening: Happening) -> None:
        body = json.dumps(await payload(self._world, self._base(), happening)).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/sandbox",
            "X-GitHub-Event": happening.event,
            "X-GitHub-Delivery": str(uuid.uuid4()),
            "X-GitHub-Hook-ID": "1",
            "X-GitHub-Hook-Installation-Target-Type": "integration",
            "X-GitHub-Hook-Installation-Target-ID": self._world.app_id,
            "X-Hub-Signature-256": "sha256=" + hmac.new(self._secret, body, hashlib.sha256).hexdigest(),
        }
        async with http.post(self._url, data=body, headers=headers) as answer:
            if answer.status >= 400:
                log.info("webhook_not_taken", webhook_event=happening.event, status=answer.status)
