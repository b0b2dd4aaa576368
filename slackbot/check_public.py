"""`devflow check` of what browsers and GitHub can reach, and of the web editor. Asks only this machine."""

from __future__ import annotations

import aiohttp

from slackbot.check import Finding
from slackbot.config import Settings
from slackbot.core.errors import ConfigError
from slackbot.gateway.server import listen
from slackbot.worker.editor import find_editor

HEALTH_SECONDS = 5.0


async def public(settings: Settings) -> list[Finding]:
    """What browsers and GitHub can reach."""
    at = settings.public_listen_address
    if at is None:
        summary = "no public address: no webhook and no web editor; GitHub is asked instead"
        return [Finding("public", True, f"{summary} (DEVFLOW_PUBLIC_LISTEN and DEVFLOW_PUBLIC_URL give one)")]
    address = settings.public_address_on(at[1])
    health = f"{address.scheme}://{address.host_of('check')}"
    try:
        listen(*at, setting="DEVFLOW_PUBLIC_LISTEN").close()
    except ConfigError as error:
        if not (at[1] and await is_devflow(f"http://{at[0]}:{at[1]}")):
            return [Finding("public", False, f"{error.faults[0].partition(': ')[2]}")]
        return [Finding("public", True, f"DevFlow runs; browsers and GitHub dial {health}")]
    found = [
        Finding("public", True, f"{settings.DEVFLOW_PUBLIC_LISTEN} is free to listen on; {health} must lead to it")
    ]
    if not address.is_secure and at[0] not in ("127.0.0.1", "::1", "localhost"):
        summary = f"{health} is not https: links and cookies of the editor would travel readable"
        found.append(Finding("public", False, summary, "Put TLS before it and name the https address"))
    return found


async def web_editor(settings: Settings) -> list[Finding]:
    """Whether people are offered an editor, and if not, why."""
    if settings.public_listen_address is None:
        summary = "none is offered: browsers have no way to it without DEVFLOW_PUBLIC_LISTEN and DEVFLOW_PUBLIC_URL"
        return [Finding("editor", True, summary)]
    if settings.DEVFLOW_TASKS == "ecs":
        return [Finding("editor", True, "offered where the worker's image has code-server (seen inside the task only)")]
    program = find_editor()
    if program is None:
        summary = "none is offered, as code-server is not installed here (`make editor`, or code-server on PATH)"
        return [Finding("editor", True, summary)]
    return [Finding("editor", True, f"offered: {program}")]


async def is_devflow(url: str) -> bool:
    """Whether a gateway's health page answers there."""
    try:
        timeout = aiohttp.ClientTimeout(total=HEALTH_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as http, http.get(f"{url}/healthz") as answer:
            return answer.status == 200 and (await answer.json()).get("status") == "alive"
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, AttributeError):
        return False
