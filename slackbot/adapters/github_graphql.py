"""GraphQL on GitHub: sends a query with a thread's client, reads errors and the limit of calls out of the answer.

`github_pulls.py` asks it from a worker thread. GraphQL says most of its errors with status 200.
https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from github import Github, GithubException

from slackbot.adapters.github_query import unix_seconds
from slackbot.core.errors import TemporaryError

log = structlog.get_logger()

_KEPT_BACK_POINTS = 200
"""Of an installation's hourly points, what a look leaves for people's own requests (a merge, a reply)."""
_NEW_ID = "fullDatabaseId"
_GONE = frozenset({"NOT_FOUND", "FORBIDDEN"})


@dataclass(frozen=True)
class Answer:
    """`data` of an answer; `errors` by the top-level path they are about (`("nodes", 3)`), with their type."""

    data: Mapping[str, Any]
    errors: Mapping[tuple[Any, ...], str] = field(default_factory=dict)

    def is_gone(self, *path: str | int) -> bool:
        """Whether GitHub said that there is nothing at `path`, or nothing this installation may see."""
        return self.errors.get(path, "") in _GONE


class Budget:
    """When each installation may ask again, and how much is left to it. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[int, float] = {}

    def check(self, installation_id: int) -> None:
        """`TemporaryError` while GitHub has asked this installation to wait; nothing is sent then."""
        with self._lock:
            wait = self._until.get(installation_id, 0.0) - time.time()
        if wait > 0:
            raise TemporaryError("GitHub asks DevFlow to slow down.", retry_after_seconds=wait)

    def wait(self, installation_id: int, seconds: float) -> None:
        with self._lock:
            self._until[installation_id] = time.time() + seconds

    def read(self, installation_id: int, limit: Any) -> None:
        """`rateLimit` of an answer: with few points left, the next look waits for the next hour."""
        if not isinstance(limit, Mapping):
            return
        remaining, cost = int(limit.get("remaining") or 0), int(limit.get("cost") or 1)
        if remaining < _KEPT_BACK_POINTS + cost:
            with self._lock:
                self._until[installation_id] = float(unix_seconds(limit["resetAt"]) + 1)
            log.warning("github_points_low", installation_id=installation_id, remaining=remaining)


def ask(github: Github, query: str, variables: Mapping[str, Any], *, whole: bool = False) -> Answer:
    """Sends the query. Raises what PyGithub raises, also for errors that GitHub puts into an answer of 200.

    An answer that has data keeps it, whatever else is missing: then the caller looks at `errors`. Not so when it
    must be `whole`, as that of a change.
    """
    requester = github.requester
    headers, body = requester.requestJsonAndCheck(
        "POST", requester.graphql_url, input={"query": query, "variables": dict(variables)}
    )
    if not isinstance(body, dict):
        raise ValueError("no JSON object")
    data, errors = body.get("data"), [one for one in body.get("errors") or [] if isinstance(one, dict)]
    if data is None or (whole and errors) or any(one.get("type") == "RATE_LIMITED" for one in errors):
        raise _as_exception(errors, headers)
    if errors:
        kinds = sorted({str(one.get("type") or one.get("message") or "?")[:60] for one in errors})
        log.info("github_graphql_partial", errors=len(errors), kinds=kinds[:5])
    return Answer(data, {tuple(one.get("path") or ()): str(one.get("type") or "") for one in errors})


def older(query: str) -> str:
    """The query for an Enterprise Server whose schema has no `fullDatabaseId` yet."""
    return query.replace(_NEW_ID, f"{_NEW_ID}: databaseId")


def is_older(error: GithubException) -> bool:
    """Whether a query was refused for it."""
    return error.status == 422 and _NEW_ID in str(error.data)


def _as_exception(errors: list[dict[str, Any]], headers: Mapping[str, Any]) -> GithubException:
    """As the same thing would have come by REST, so that `github_errors.translate` puts it into words."""
    kinds = {str(one.get("type") or "") for one in errors}
    said = "; ".join(str(one.get("message") or "?") for one in errors)[:500] or "no data"
    if "RATE_LIMITED" in kinds or "rate limit" in said.lower():
        status = 403
    elif "NOT_FOUND" in kinds:
        status = 404
    elif "FORBIDDEN" in kinds or "not accessible by integration" in said.lower():
        status = 403
    elif kinds == {""} and "something went wrong" in said.lower():
        status = 502
    else:
        status = 422
    return GithubException(status, {"message": said}, dict(headers))
