"""`/github/webhook` on the public listener: GitHub says that something happened, and the watch looks sooner.

Nothing of an event is believed or kept: it names a repository and pull requests, and what is told in the thread
comes from asking GitHub, as without webhooks. An event that is lost costs some minutes.
https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import web

log = structlog.get_logger()

PATH = "/github/webhook"
EVENTS = frozenset(
    {
        *("check_run", "issue_comment", "pull_request", "pull_request_review", "pull_request_review_comment"),
        *("pull_request_review_thread", "push", "status"),
    }
)
"""Those an App should be subscribed to. check_suite and workflow_run are taken as well, and say nothing more."""

_DELIVERIES_KEPT = 4096
_AT_ONCE = 8
"""Bodies are read whole before they can be checked, and one may have 25 MB."""
_READ_SECONDS = 30.0

OnPullRequestEvent = Callable[[str, tuple[int, ...], str | None], Awaitable[None]]
"""(repository's full name, numbers of pull requests it is about, head commit): any of the last two may be empty."""


@dataclass(frozen=True)
class PullRequestEvent:
    """What an event may be about. `head_sha` without `numbers`: whichever has that head (or goes into its branch)."""

    repository_full_name: str
    numbers: tuple[int, ...]
    head_sha: str | None


class GithubWebhook:
    """A room of `PublicServer`. `secret` is the App's webhook secret; `on_pull_request_event` only wakes the watch."""

    def __init__(self, secret: str, on_pull_request_event: OnPullRequestEvent) -> None:
        self._secret = secret.encode()
        self._on_pull_request_event = on_pull_request_event
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._reading = asyncio.Semaphore(_AT_ONCE)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_post(PATH, self._receive)

    async def close(self) -> None:
        """Nothing stays open."""

    async def _receive(self, request: web.Request) -> web.Response:
        given = request.headers.get("X-Hub-Signature-256", "")
        if not given:
            return _said(401, "The X-Hub-Signature-256 header is missing: give the App's webhook a secret.")
        async with self._reading:
            try:
                async with asyncio.timeout(_READ_SECONDS):
                    body = await request.read()
            except TimeoutError:
                return _said(408, "The body did not arrive in time.")
        # A SHA-256 of 25 MB takes 15 ms and more, which the loop has for nobody else then.
        expected = await asyncio.to_thread(signature, self._secret, body)
        if not hmac.compare_digest(expected.encode(), given.encode(errors="surrogateescape")):
            log.warning("webhook_signature_refused", bytes=len(body))
            return _said(401, "The signature does not fit the body and this deployment's secret.")
        if request.content_type != "application/json":
            return _said(415, "Set the webhook's content type to application/json.")
        delivery = request.headers.get("X-GitHub-Delivery", "")
        if self._is_replay(delivery.encode(errors="surrogateescape")[:128], expected.encode()):
            return _said(202, "Known already.")
        try:
            payload = json.loads(body)
        except ValueError:
            return _said(400, "The body is no JSON.")
        event = pull_request_event(request.headers.get("X-GitHub-Event", ""), payload)
        if event is None:
            return _said(202, "Nothing of DevFlow's.")
        log.info("webhook_received", repository=event.repository_full_name, numbers=event.numbers)
        await self._on_pull_request_event(event.repository_full_name, event.numbers, event.head_sha)
        return _said(202, "Thank you.")

    def _is_replay(self, *keys: bytes) -> bool:
        """Whether one of them came before. The delivery's id is not signed, so the signature counts as well."""
        known = any(key in self._seen for key in keys if key)
        for key in keys:
            if key:
                self._seen[key] = None
                self._seen.move_to_end(key)
        while len(self._seen) > 2 * _DELIVERIES_KEPT:
            self._seen.popitem(last=False)
        return known


def signature(secret: bytes, body: bytes) -> str:
    """The value of `X-Hub-Signature-256` for these bytes."""
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


def pull_request_event(name: str, payload: object) -> PullRequestEvent | None:
    """What an event says of pull requests; None for one that says nothing (unknown ones as well).

    https://docs.github.com/en/webhooks/webhook-events-and-payloads
    """
    if not isinstance(payload, Mapping):
        return None
    repository = _get(payload, "repository", "full_name")
    if not isinstance(repository, str):
        return None
    numbers: tuple[int, ...] = ()
    sha: object = None
    if name.startswith("pull_request"):  # also ..._review, ..._review_comment, ..._review_thread
        numbers, sha = _numbers([payload.get("pull_request")]), _get(payload, "pull_request", "head", "sha")
    elif name == "issue_comment" and _get(payload, "issue", "pull_request") is not None:
        numbers = _numbers([payload.get("issue")])
    elif name in {"check_run", "check_suite", "workflow_run"}:
        numbers, sha = _numbers(_get(payload, name, "pull_requests")), _get(payload, name, "head_sha")
    elif name == "status":
        sha = payload.get("sha")
    elif name == "push":
        sha = payload.get("after")
    head_sha = sha if isinstance(sha, str) and len(sha) in {40, 64} else None
    if not numbers and head_sha is None:
        return None
    return PullRequestEvent(repository, numbers, head_sha)


def _get(payload: object, *names: str) -> object:
    for name in names:
        payload = payload.get(name) if isinstance(payload, Mapping) else None
    return payload


def _numbers(pulls: object) -> tuple[int, ...]:
    found: Iterable[Any] = pulls if isinstance(pulls, list) else []
    numbers = [one.get("number") for one in found if isinstance(one, Mapping)]
    return tuple(dict.fromkeys(number for number in numbers if isinstance(number, int) and number > 0))


def _said(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text + "\n")
