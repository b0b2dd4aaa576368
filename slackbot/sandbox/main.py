"""`devflow sandbox`: stand-ins for what has no credentials, the real bot beside them, until Ctrl-C.

Settings come from the environment and the command line; the bot gets its own as any `devflow run` would.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from slackbot.adapters.local_tasks import OWN_LOGIN_VARIABLE, LocalTasks
from slackbot.core.clipping import one_line
from slackbot.core.errors import ConfigError, DevflowError
from slackbot.logs import configure_logs
from slackbot.sandbox.agents_here import agents_text, found_agents, search_path
from slackbot.sandbox.backstage import Backstage
from slackbot.sandbox.bot_process import BotProcess
from slackbot.sandbox.github.demo import seed_demo
from slackbot.sandbox.github.git_process import GitError
from slackbot.sandbox.github.server import GithubStandIn, local_name
from slackbot.sandbox.slack.server import SlackStandIn
from slackbot.sandbox.state import Ports, SandboxState, Secrets
from slackbot.sandbox.welcome import COMMANDS, SHORTCUTS, welcome_thread

log = structlog.get_logger()

_SLACK_NAMES = ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN")
_GITHUB_NAMES = ("GITHUB_APP_ID", "GITHUB_APP_PRIVATE_KEY")
_RESTART_SECONDS = 0.5
_MAX_RESTART_SECONDS = 30.0
_STEADY_SECONDS = 60.0
"""A bot that ran so long is started again at once when it ends; one that did not, ever later."""


@dataclass(frozen=True)
class SandboxOptions:
    """The command line of `devflow sandbox`."""

    repositories: tuple[Path, ...] = ()
    port: int | None = None
    state_dir: Path | None = None
    as_json: bool = False
    once: str | None = None


@dataclass(frozen=True)
class Sandbox:
    """What runs: stand-ins are None where the real system is used."""

    slack: SlackStandIn | None
    github: GithubStandIn | None
    bot: BotProcess
    addresses: Mapping[str, str]
    local_names: tuple[str, ...]


def run_sandbox(options: SandboxOptions) -> int:
    """Runs until Ctrl-C, or once through the main job; the exit status."""
    environment = dict(os.environ)
    real_slack, real_github = check_environment(environment)
    if options.once is not None and real_slack:
        raise DevflowError(
            "`--once` starts and stops a session by itself, so it is refused with a real Slack.",
            "Unset SLACK_BOT_TOKEN and SLACK_APP_TOKEN, or run `devflow sandbox` without --once.",
        )
    configure_logs("auto")
    logging.getLogger().setLevel(logging.WARNING)
    if options.once is not None:
        from slackbot.sandbox.once import run_once

        return asyncio.run(run_once(options, environment, real_github=real_github))
    return asyncio.run(_serve(options, environment, real_slack=real_slack, real_github=real_github))


def check_environment(environment: Mapping[str, str]) -> tuple[bool, bool]:
    """Which systems are real: (Slack, GitHub). `ConfigError` when credentials are half there or would be unsafe."""
    faults = []
    answers = []
    for names in (_SLACK_NAMES, _GITHUB_NAMES):
        given = [name for name in names if environment.get(name, "").strip()]
        if given and len(given) < len(names):
            missing = next(name for name in names if name not in given)
            faults.append(f"{missing} is not set, but {given[0]} is: give both, or neither for the stand-in")
        answers.append(len(given) == len(names))
    real_slack, real_github = answers
    if not real_slack and environment.get("SLACK_API_URL", "").strip():
        faults.append("SLACK_API_URL is set without SLACK_BOT_TOKEN and SLACK_APP_TOKEN: give all three, or none")
    if real_slack and not environment.get("DEVFLOW_ALLOWED_USERS", "").strip():
        faults.append(
            "DEVFLOW_ALLOWED_USERS is not set: with a real Slack anyone who may use DevFlow runs commands on this "
            "machine, so name the people (Slack user ids, separated by commas)"
        )
    if faults:
        raise ConfigError(faults)
    return real_slack, real_github


async def open_sandbox(
    options: SandboxOptions,
    state: SandboxState,
    environment: Mapping[str, str],
    closing: AsyncExitStack,
    *,
    real_slack: bool,
    real_github: bool,
) -> Sandbox:
    """Starts everything on loopback; `closing` ends it in order. `DevflowError` when something is in the way."""
    state.open()
    closing.callback(state.close)
    ports, secrets = state.ports(options.port), state.secrets()
    github: GithubStandIn | None = None
    local_names: tuple[str, ...] = ()
    if not real_github:
        github = GithubStandIn(state.directory / "github", port=ports.github)
        closing.push_async_callback(github.stop)
        await github.start()
        await seed_demo(github)
        github.send_webhooks(f"http://127.0.0.1:{ports.public}/github/webhook", secrets.webhook_secret)
        local_names = tuple([await _offer(github, path) for path in options.repositories])
    elif options.repositories:
        raise DevflowError("--repo offers a local repository on GitHub's stand-in, but a real GitHub is used.")
    slack: SlackStandIn | None = None
    if not real_slack:
        slack = _slack_stand_in(state, ports, secrets, github, local_names, agents_text(environment))
        closing.push_async_callback(slack.stop)
        await slack.start()
    settings = _bot_environment(environment, state, ports, secrets, slack, github)
    bot = BotProcess(settings, state.bot_log)
    is_local = settings["DEVFLOW_TASKS"] == "local"
    tasks = LocalTasks(Path(settings["DEVFLOW_STATE_DIR"]) / "tasks") if is_local else None
    closing.push_async_callback(bot.end, tasks)
    if slack is not None:
        store = settings["DEVFLOW_STORE"]
        slack.backstage = Backstage(
            bot,
            store_path=Path(store.removeprefix("sqlite:")) if store.startswith("sqlite:") else None,
            tasks=tasks,
            team_id=slack.workspace.app.team_id,
            tell=slack.feed.publish,
        )
    ready = await bot.start()
    slack_api_url = slack.api_url if slack else environment.get("SLACK_API_URL") or "https://slack.com/api/"
    addresses = {
        "slack_url": slack.url if slack else _origin(slack_api_url),
        "slack_api_url": slack_api_url,
        "github_url": github.url if github else environment.get("GITHUB_API_URL") or "https://github.com",
        "gateway_url": ready["gateway_url"],
        "store": settings["DEVFLOW_STORE"],
    }
    return Sandbox(slack, github, bot, addresses, local_names)


async def _serve(
    options: SandboxOptions, environment: Mapping[str, str], *, real_slack: bool, real_github: bool
) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stop.set)
    state = SandboxState(options.state_dir or Path(".devflow"))
    async with AsyncExitStack() as closing:
        sandbox = await open_sandbox(
            options, state, environment, closing, real_slack=real_slack, real_github=real_github
        )
        _announce(sandbox, options, state)
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(_keep_running(sandbox.bot))
            await stop.wait()
            keeping.cancel()
        if not options.as_json:
            _say("\nStopping: sessions are told, workers save what they have …")
    if not options.as_json:
        _say(f"Stopped. Everything is kept in {state.directory}; the next `make sandbox` goes on from there.")
    return 0


async def _keep_running(bot: BotProcess) -> None:
    """A bot that ends by itself is started again; what it owed, it still owes."""
    wait_seconds = _RESTART_SECONDS
    while True:
        started_at = time.monotonic()
        status = await bot.wait()
        if bot.take_purpose() or time.monotonic() - started_at > _STEADY_SECONDS:
            wait_seconds = _RESTART_SECONDS
        why = f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
        _note(f"The bot {why}; it is started again. Its log is {bot.log_path}.")
        await asyncio.sleep(wait_seconds)
        wait_seconds = min(wait_seconds * 2, _MAX_RESTART_SECONDS)
        try:
            await bot.start()
        except DevflowError as error:
            _note(f"{error.summary} {error.remedy}".strip())


async def _offer(github: GithubStandIn, path: Path) -> str:
    """Copies one repository of the user's; its name as `local/NAME`. A `DevflowError` says why it cannot be."""
    shown, path = path, await asyncio.to_thread(path.expanduser)
    if not await asyncio.to_thread(path.is_dir):
        raise DevflowError(f"--repo {shown}: there is no such directory.", "Name the directory of a git repository.")
    try:
        return (await github.import_repository(path)).full_name
    except GitError as error:
        raise DevflowError(
            f"--repo {shown}: git cannot read it as a repository. It says: {one_line(str(error), 300)}",
            "Name the top directory of a git repository, or make one there with `git init` and a first commit.",
        ) from error
    except FileExistsError as error:
        raise DevflowError(
            f"--repo {shown}: this sandbox offers another repository under the same name, local/{local_name(path)}.",
            "Rename one of the directories, or use another sandbox with --state OTHER_DIR.",
        ) from error


def _slack_stand_in(
    state: SandboxState,
    ports: Ports,
    secrets: Secrets,
    github: GithubStandIn | None,
    local_names: tuple[str, ...],
    agents: str,
) -> SlackStandIn:
    links, welcome = [], []
    if github is not None:
        demo_url = f"{github.url}/demo/hello"
        names = ("demo/hello", *local_names)
        links = [{"title": name, "url": f"{github.url}/{name}"} for name in names]
        links.append({"title": "All repositories", "url": f"{github.url}/"})
        welcome = welcome_thread(demo_url, local_names, agents)
    return SlackStandIn(
        state.directory / "slack.sqlite3",
        bot_token=secrets.bot_token,
        app_token=secrets.app_token,
        port=ports.slack,
        commands=COMMANDS,
        shortcuts=SHORTCUTS,
        links=links,
        welcome=welcome,
    )


def _bot_environment(
    environment: Mapping[str, str],
    state: SandboxState,
    ports: Ports,
    secrets: Secrets,
    slack: SlackStandIn | None,
    github: GithubStandIn | None,
) -> dict[str, str]:
    """The settings of section "Settings" in docs/settings.md, as the sandbox fills them."""
    given = {
        "DEVFLOW_STORE": f"sqlite:{state.store_path}",
        "DEVFLOW_TASKS": "local",
        "DEVFLOW_STATE_DIR": str(state.directory),
        "DEVFLOW_AUDIT_LOG": str(state.directory / "audit.log"),
        "DEVFLOW_RECONCILE_SECONDS": "2",
        "DEVFLOW_PULL_REQUEST_SECONDS": "2",
        "DEVFLOW_PUBLIC_URL": f"http://127.0.0.1:{ports.public}",
        **{name: value for name, value in environment.items() if value.strip()},
        "DEVFLOW_GATEWAY_LISTEN": f"127.0.0.1:{ports.gateway}",
        "DEVFLOW_GATEWAY_URL": f"http://127.0.0.1:{ports.gateway}",
        "DEVFLOW_PUBLIC_LISTEN": f"127.0.0.1:{ports.public}",
        "DEVFLOW_SECRET": secrets.devflow_secret,
        "DEVFLOW_LOG_FORMAT": "json",
        "PATH": search_path(environment),
    }
    # What is on this machine is never asked for through a proxy, whatever else is.
    direct = [environment.get("no_proxy") or environment.get("NO_PROXY") or "", "127.0.0.1", "localhost"]
    given["NO_PROXY"] = given["no_proxy"] = ",".join(filter(None, direct))
    if slack is not None:
        given |= {
            "SLACK_API_URL": slack.api_url,
            "SLACK_BOT_TOKEN": secrets.bot_token,
            "SLACK_APP_TOKEN": secrets.app_token,
        }
        given.setdefault("DEVFLOW_ALLOWED_USERS", "*")
        # On one's own page, and nowhere else, an agent without a key may use one's own login.
        given[OWN_LOGIN_VARIABLE] = "1"
    if github is not None:
        given |= {
            "GITHUB_API_URL": github.api_url,
            "GITHUB_APP_ID": "1",
            "GITHUB_APP_PRIVATE_KEY": github.private_key_pem,
            "GITHUB_WEBHOOK_SECRET": secrets.webhook_secret,
        }
    return given


def _announce(sandbox: Sandbox, options: SandboxOptions, state: SandboxState) -> None:
    if options.as_json:
        _say(json.dumps(dict(sandbox.addresses)))
        return
    stands_in = [name for name, part in (("Slack", sandbox.slack), ("GitHub", sandbox.github)) if part is not None]
    real = ["git", "the bot", "workers (processes of this machine)", "the session store (SQLite)"]
    real += [name for name, part in (("Slack", sandbox.slack), ("GitHub", sandbox.github)) if part is None]
    _say(f"DevFlow sandbox ready: {sandbox.addresses['slack_url']}")
    _say(f"Real here: {', '.join(real)}. Standing in: {', '.join(stands_in) or 'nothing'}.")
    _say("It is for trying things, not an isolation boundary: what you prompt runs on this machine as you.")
    agents = found_agents(search_path(os.environ))
    if agents:
        _say(f"Coding agents here: {', '.join(agents)} (agent=NAME). Nothing isolates them; they work on a copy only.")
    _say(f"Repositories: {sandbox.addresses['github_url']} · state: {state.directory} · Ctrl-C stops it.")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _note(line: str) -> None:
    """On stderr: stdout may be read by a program."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
