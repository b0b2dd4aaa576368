"""What `devflow check` asks of each system, one function a part. Nothing here changes anything.

Called by `check`, which runs all at once, bounds each and shows what they found.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path

from slackbot import check_aws, check_models
from slackbot.adapters.github import GithubCodeHost
from slackbot.adapters.local_tasks import LocalTasks
from slackbot.adapters.slack import SlackChat
from slackbot.adapters.socket_mode import open_socket_url
from slackbot.app_parts import build_store
from slackbot.check import Finding, Probe, of_error
from slackbot.check_github import webhook
from slackbot.check_public import is_devflow, public, web_editor
from slackbot.config import Settings
from slackbot.core.errors import ConfigError, DevflowError
from slackbot.core.item import to_item
from slackbot.core.repository_name import RepositoryName
from slackbot.core.repository_policy import RepositoryPolicy
from slackbot.core.session import Session, Status, Thread
from slackbot.gateway.server import listen
from slackbot.policy import load_policies
from slackbot.worker.agents import launch_of

BOT_SCOPES = frozenset(
    "app_mentions:read channels:history channels:read chat:write commands files:read files:write groups:history "
    "groups:read im:history im:read mpim:history mpim:read reactions:write usergroups:read users:read".split()
)
"""Exactly those of manifest.yml."""

APP_PERMISSIONS = {
    "actions": "read",
    "checks": "read",
    "contents": "write",
    "metadata": "read",
    "pull_requests": "write",
    "statuses": "read",
}
"""What the GitHub App must be given, and every installation must have accepted."""


_LEVELS = {"read": 1, "write": 2, "admin": 3}
_NOBODY = "00000000-0000-4000-8000-000000000000"
_NOTHING = Session(
    session_id=_NOBODY,
    user_id="U0",
    repository=RepositoryName("devflow", "check"),
    repository_url="https://github.com",
    branch_name="-",
    status=Status.STOPPED,
    initial_prompt="-",
    github_installation_id=0,
    created_at=0,
    updated_at=0,
    ttl=0,
    base_branch="-",
    agent="-",
    thread=Thread("T0", "C0", "0.0"),
    launch=0,
)
"""What the write that can never be done would store."""


def probes_of(settings: Settings) -> dict[str, Probe]:
    """The probes that these settings need, in the order in which they are shown."""
    return {
        "Slack": partial(slack, settings),
        "Socket Mode": partial(socket_mode, settings),
        "store": partial(store, settings),
        "tasks": partial(check_aws.ecs if settings.DEVFLOW_TASKS == "ecs" else local_tasks, settings),
        "GitHub": partial(github, settings),
        "gateway": partial(gateway, settings),
        "agent": partial(agent, settings),
        "models": partial(check_models.models, settings),
        "public": partial(public, settings),
        "webhook": partial(webhook, settings),
        "editor": partial(web_editor, settings),
        "policy": partial(policy, settings),
    }


def _chat(settings: Settings) -> SlackChat:
    assert settings.SLACK_BOT_TOKEN is not None  # noqa: S101  load_settings saw to it
    return SlackChat(token=settings.SLACK_BOT_TOKEN.get_secret_value(), api_url=settings.SLACK_API_URL)


async def slack(settings: Settings) -> list[Finding]:
    """The bot token, its workspace and its scopes. Events cannot be asked for with any token the bot has."""
    chat = _chat(settings)
    try:
        identity = await chat.identify()
        granted = await chat.granted_scopes()
    finally:
        await chat.close()
    team = f"{identity.team_name or '?'} ({identity.team_id})"
    found = [Finding("Slack", True, f"bot token of {team}, where the bot is {identity.user_id}")]
    if granted is None:
        return [*found, Finding("Slack", True, "what answers does not tell the token's scopes, so it is not Slack")]
    missing, more = sorted(BOT_SCOPES - granted), sorted(granted - BOT_SCOPES)
    if missing:
        remedy = "Add what is missing on the app's page OAuth & Permissions, then install the app again"
        return [*found, Finding("Slack", False, f"the token lacks the scopes {', '.join(missing)}", remedy)]
    beside = f"; nothing uses {', '.join(more)}" if more else ""
    summary = f"scopes as in manifest.yml{beside} (events are not told to a bot: compare them there)"
    return [*found, Finding("Slack", True, summary)]


async def socket_mode(settings: Settings) -> list[Finding]:
    """The app token; opens nothing but an address that is never used."""
    assert settings.SLACK_APP_TOKEN is not None  # noqa: S101
    chat = _chat(settings)
    try:
        await open_socket_url(chat.web_client, settings.SLACK_APP_TOKEN.get_secret_value())
    finally:
        await chat.close()
    return [Finding("Socket Mode", True, "the app token opens it")]


async def store(settings: Settings) -> list[Finding]:
    """The table as it should be, and each kind of call the bot makes, the write one that can change nothing."""
    found: list[Finding] = []
    if settings.sqlite_path is None:
        found = await asyncio.to_thread(check_aws.table, settings.DEVFLOW_TABLE)
        if not all(finding.ok for finding in found[:1]):
            return found
    where = str(settings.sqlite_path or settings.DEVFLOW_TABLE)
    opened = await asyncio.to_thread(build_store, settings)
    now = int(time.time())
    try:
        await opened.get(_NOBODY, now)
        await opened.list_by_user("U0", now, 1)
        async with aclosing(opened.scan(now, live=True)) as entries:  # type: ignore[type-var]
            live = sum([1 async for _ in entries])
        # No item has this version, so its condition never holds.
        await opened.replace(to_item(_NOTHING), -1)
    except DevflowError as error:
        return [*found, of_error("store", error)]
    finally:
        await opened.close()
    return [*found, Finding("store", True, f"{where} can be read and written; {live} live sessions")]


async def local_tasks(settings: Settings) -> list[Finding]:
    """The directory of local tasks, and how many run."""
    assert settings.DEVFLOW_STATE_DIR is not None  # noqa: S101
    tasks = LocalTasks(settings.DEVFLOW_STATE_DIR / "tasks")
    try:
        root = await tasks.check_writable()
        running = len(await tasks.list_tasks())
    finally:
        await tasks.close()
    return [Finding("tasks", True, f"processes of this machine, kept in {root}; {running} run")]


async def github(settings: Settings) -> list[Finding]:
    """The App's key, what it may do, where it is installed and how many repositories that makes."""
    host = GithubCodeHost(
        api_url=settings.GITHUB_API_URL,
        app_id=settings.GITHUB_APP_ID or "",
        private_key=settings.private_key_pem(),
    )
    try:
        app = await host.describe_app()
        found = [Finding("GitHub", True, f"the key is accepted for the App {app.name}")]
        lacking = _lacking(app.permissions)
        if lacking:
            remedy = f"Give the App {lacking} on its settings page (Permissions & events)"
            found.append(Finding("GitHub", False, f"the App {app.name} lacks {lacking}", remedy))
        for installation in app.installations:
            if installation.suspended:
                summary = f"the installation on {installation.account} is suspended"
                found.append(Finding("GitHub", False, summary, "Its owner can unsuspend it, or uninstall the App"))
                continue
            short = _lacking(installation.permissions)
            if short and not lacking:
                remedy = f"An owner of {installation.account} must accept the App's new permissions"
                found.append(
                    Finding("GitHub", False, f"the installation on {installation.account} lacks {short}", remedy)
                )
        if not app.installations:
            remedy = f"Install it: {app.html_url}/installations/new" if app.html_url else "Install it on an account"
            return [*found, Finding("GitHub", False, f"the App {app.name} is installed nowhere", remedy)]
        try:
            count = len(await host.list_repositories())
        except DevflowError as error:
            return [*found, of_error("GitHub", error)]
        accounts = ", ".join(sorted(installation.account for installation in app.installations)[:10])
        summary = f"installed on {accounts}: {count} repositories"
        remedy = "Give an installation access to repositories on its page on GitHub"
        return [*found, Finding("GitHub", count > 0, summary, remedy if count == 0 else "")]
    finally:
        await host.close()


def _lacking(permissions: object) -> str:
    """What of `APP_PERMISSIONS` these do not hold, in words."""
    given = permissions if isinstance(permissions, dict) else {}
    return ", ".join(
        f"{name}: {level}"
        for name, level in APP_PERMISSIONS.items()
        if _LEVELS.get(str(given.get(name)), 0) < _LEVELS[level]
    )


async def gateway(settings: Settings) -> list[Finding]:
    """Its address is free, or DevFlow itself answers there; and what workers dial leads to it."""
    host, port = settings.gateway_address
    url = settings.gateway_url_on(port)
    try:
        listen(host, port).close()
    except ConfigError as error:
        if port and await is_devflow(url):
            return [Finding("gateway", True, f"DevFlow runs and answers at {url}")]
        summary = f"{settings.DEVFLOW_GATEWAY_LISTEN} is in use, and no DevFlow answers at {url}"
        remedy = f"{error.faults[0].partition('; ')[2]}; or correct DEVFLOW_GATEWAY_URL"
        return [Finding("gateway", False, summary, remedy.removeprefix("; "))]
    found = [Finding("gateway", True, f"{settings.DEVFLOW_GATEWAY_LISTEN} is free to listen on")]
    if settings.DEVFLOW_TASKS != "ecs":
        return found
    if await is_devflow(url):
        return [*found, Finding("gateway", True, f"a DevFlow that runs elsewhere answers at {url}")]
    if host.startswith("127.") or host in ("localhost", "::1"):
        summary = f"it would listen on {settings.DEVFLOW_GATEWAY_LISTEN} alone, which no task reaches"
        remedy = f"Set DEVFLOW_GATEWAY_LISTEN=0.0.0.0:{port}, unless something here passes {url} on to it"
        return [*found, Finding("gateway", False, summary, remedy)]
    return [*found, Finding("gateway", True, f"workers dial {url} (that they reach it shows when DevFlow runs)")]


async def agent(settings: Settings) -> list[Finding]:
    """The agents that the settings and the rules name: there, where that can be seen from here."""
    rules = load_policies(settings.DEVFLOW_POLICY).rules
    named = dict.fromkeys([settings.DEVFLOW_AGENT, *(rule.agent for rule in rules if rule.agent)])
    return [_agent(name, is_local=settings.DEVFLOW_TASKS == "local") for name in named]


def _agent(name: str, *, is_local: bool) -> Finding:
    if not is_local:
        return Finding("agent", True, f"{name} (that it is installed shows only inside the task)")
    try:
        command = launch_of(name, Path.home()).command
    except DevflowError as error:
        return of_error("agent", error)
    return Finding("agent", True, f"{name} is installed: {command[0]} (that it is logged in shows in a session)")


async def policy(settings: Settings) -> Sequence[Finding]:
    """The rules for single repositories, in the order in which they count."""
    rules = load_policies(settings.DEVFLOW_POLICY).rules
    if settings.DEVFLOW_POLICY is None:
        return []
    if not rules:
        return [Finding("policy", True, f"{settings.DEVFLOW_POLICY} holds no rule")]
    return [Finding("policy", True, _rule(number, rule)) for number, rule in enumerate(rules, start=1)]


def _rule(number: int, rule: RepositoryPolicy) -> str:
    parts = [
        f"{name} {value}"
        for name, value in (
            ("task definition", rule.task_definition),
            ("cpu", rule.cpu),
            ("memory", rule.memory),
            ("agent", rule.agent),
            ("channels", ", ".join(rule.channels) if rule.channels else None),
            ("push", rule.push),
            ("merge", None if rule.merge is None else "on" if rule.merge else "off"),
            ("auto fix", None if rule.auto_fix is None else str(rule.auto_fix)),
            *rule.limits,
        )
        if value
    ]
    return f"rule {number}, {rule.match} (line {rule.line}): {'; '.join(parts) or 'as the settings say'}"
