"""Settings: from the environment to one frozen object, all faults named at once (docs/settings.md lists them).

Each field says its unit and why its default is what it is. Nothing else of the bot reads the environment.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from slackbot.core.access import AccessPolicy
from slackbot.core.errors import ConfigError
from slackbot.core.limits import Limits, PullRequestTerms
from slackbot.core.public_address import PublicAddress, parse_public_url
from slackbot.core.spending import SpendingLimits, parse_limits
from slackbot.policy import read_policies
from slackbot.price_list import read_prices

_WEBHOOK_SECRET_CHARACTERS = 16
_URLS = ("ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "GEMINI_BASE_URL")
_LOOPBACK = {"127.0.0.1", "localhost", "::1", "[::1]"}


class Settings(BaseModel):
    """What `devflow run` works with. Field names in capitals are the environment variables themselves."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    SLACK_BOT_TOKEN: SecretStr | None = None
    """The bot's token, `xoxb-...`, as Bolt names it."""
    SLACK_APP_TOKEN: SecretStr | None = None
    """The app-level token with `connections:write`, `xapp-...`: opens Socket Mode."""
    SLACK_API_URL: str = "https://slack.com/api/"
    """Where Slack's Web API answers; another one is a stand-in."""
    DEVFLOW_STORE: str = "dynamodb"
    """`dynamodb`, or `sqlite:PATH` for one machine."""
    DEVFLOW_TABLE: str = "devflow-sessions"
    """The DynamoDB table's name."""
    DEVFLOW_TASKS: Literal["ecs", "local"] = "ecs"
    """Where workers run: Amazon ECS, or processes of this machine."""
    DEVFLOW_ECS_CLUSTER: str | None = None
    """Name or ARN of the cluster that workers run in."""
    DEVFLOW_ECS_TASK_DEFINITION: str | None = None
    """The worker's task definition, by family: the newest active revision is used."""
    DEVFLOW_ECS_CONTAINER: str = "worker"
    """The container of the task definition that is given the session."""
    DEVFLOW_ECS_SUBNETS: str = ""
    """Subnet ids, separated by commas."""
    DEVFLOW_ECS_SECURITY_GROUPS: str = ""
    """Security group ids, separated by commas."""
    DEVFLOW_ECS_CAPACITY_PROVIDER: str | None = None
    """For example FARGATE_SPOT, which costs less and may be taken away; unset = Fargate on demand."""
    DEVFLOW_ECS_ASSIGN_PUBLIC_IP: bool = False
    """Whether tasks get a public address; off, because nothing needs to reach them."""
    GITHUB_APP_ID: str | None = None
    """The GitHub App's id."""
    GITHUB_APP_PRIVATE_KEY: SecretStr | None = None
    """The App's private key: PEM text, or the path of a file that holds it."""
    GITHUB_API_URL: str = "https://api.github.com"
    """GitHub's REST API; `https://HOST/api/v3` for GitHub Enterprise Server."""
    GITHUB_WEBHOOK_SECRET: SecretStr | None = None
    """The secret of the App's webhook, at least 16 characters; set = `/github/webhook` is served to GitHub."""
    DEVFLOW_GATEWAY_LISTEN: str = "127.0.0.1:8402"
    """host:port the gateway listens on, for workers and health checks; loopback unless told otherwise."""
    DEVFLOW_GATEWAY_URL: str | None = None
    """What workers dial. From the listen address where that is loopback and tasks are local."""
    DEVFLOW_PUBLIC_LISTEN: str | None = None
    """host:port for browsers and GitHub; unset = no web editor, no webhook."""
    DEVFLOW_PUBLIC_URL: str | None = None
    """What they dial; with `{session}` in its host each session has an origin of its own.

    From the listen address where that is loopback."""
    DEVFLOW_SECRET: SecretStr | None = None
    """At least 32 characters; signs worker tokens. A new one cuts off the workers that run."""
    DEVFLOW_AGENT: str = "shell"
    """`shell`, `claude`, `codex`, `gemini`, `opencode`, or a command line that speaks ACP."""
    ANTHROPIC_API_KEY: SecretStr | None = None
    """The key for Anthropic's models; the gateway's alone, no worker gets it."""
    ANTHROPIC_BASE_URL: str | None = None
    """Where Anthropic's API answers, without /v1; unset = https://api.anthropic.com."""
    OPENAI_API_KEY: SecretStr | None = None
    """The key for OpenAI's models, or for whatever speaks their API."""
    OPENAI_BASE_URL: str | None = None
    """Where OpenAI's API answers, with /v1; unset = https://api.openai.com/v1."""
    GEMINI_API_KEY: SecretStr | None = None
    """The key for Google's Gemini API."""
    GEMINI_BASE_URL: str | None = None
    """Where the Gemini API answers, without /v1beta; unset = https://generativelanguage.googleapis.com."""
    DEVFLOW_BEDROCK: bool = False
    """Whether Anthropic's models are reached on Amazon Bedrock, by the bot's own AWS role."""
    DEVFLOW_COST_LIMITS: str | None = None
    """US dollars, such as `turn=5,session=20,person=200,month=2000`; `person` and `month` count calendar months."""
    DEVFLOW_TOKEN_LIMITS: str | None = None
    """The same in tokens; for models whose price is not known these alone count."""
    DEVFLOW_MODEL_PRICES: Path | None = None
    """A TOML file of prices that come before the known ones (docs/models.md)."""
    DEVFLOW_ALLOWED_USERS: str | None = None
    """Slack user ids (U..., W...) or user groups (S...), separated by commas; `*` = every full member."""
    DEVFLOW_ALLOWED_CHANNELS: str | None = None
    """Channel ids, separated by commas; unset = all."""
    DEVFLOW_ALLOWED_REPOSITORIES: str | None = None
    """Globs of owner/name, separated by commas; unset = all the App is installed on."""
    DEVFLOW_ADMINS: str | None = None
    """Slack user ids, separated by commas: may stop anyone's session."""
    DEVFLOW_MAX_SESSIONS: int = Field(default=50, ge=1)
    """Live sessions in all: a bound on what can be running at once."""
    DEVFLOW_MAX_SESSIONS_PER_USER: int = Field(default=3, ge=1)
    """Live sessions of one person: enough to work in parallel, too few to forget."""
    DEVFLOW_IDLE_SECONDS: int = Field(default=1800, ge=10)
    """No prompt for so long: the session stops itself; a reply wakes it."""
    DEVFLOW_MAX_SESSION_SECONDS: int = Field(default=28800, ge=60)
    """A working day: longer than that a task is more often forgotten than used."""
    DEVFLOW_TURN_SECONDS: int = Field(default=3600, ge=5)
    """A turn longer than that is cancelled."""
    DEVFLOW_PERMISSIONS: Literal["ask", "edits", "all"] | None = None
    """What an agent may do unasked: `all`; `edits` = reading and editing; `ask` = nothing of what it asks leave for.
    Unset: `all` with `ecs`, where the task is the fence, `edits` with `local`, where there is none."""
    DEVFLOW_PERMISSION_SECONDS: int = Field(default=900, ge=5)
    """How long an agent waits for an answer; after that it is a no."""
    DEVFLOW_RECONCILE_SECONDS: float = Field(default=10, gt=0)
    """How often tasks are looked at; one DescribeTasks call for each hundred of them."""
    DEVFLOW_PULL_REQUEST_SECONDS: float = Field(default=30, gt=0)
    """The shortest time between two looks at open pull requests; one call to GitHub for each hundred of them."""
    DEVFLOW_MERGE: bool = False
    """Whether pull requests may be merged from the thread."""
    DEVFLOW_AUTO_FIX: int = Field(default=0, ge=0, le=10)
    """How often failing checks of one commit are given to the agent unasked; 0 = only when somebody asks."""
    DEVFLOW_POLICY: Path | None = None
    """A TOML file of rules for single repositories (docs/operations.md)."""
    DEVFLOW_AUDIT_LOG: Path | None = None
    """File that the audit log is appended to, one JSON object a line; unset = stdout."""
    DEVFLOW_STATE_DIR: Path | None = None
    """Where local tasks keep their files; needed with DEVFLOW_TASKS=local."""
    DEVFLOW_LOG_FORMAT: Literal["auto", "json", "text"] = "auto"
    """`auto`: text on a terminal, JSON lines otherwise."""

    # ------------------------------------------------------------------------- derived

    @property
    def access_policy(self) -> AccessPolicy:
        named = _split(self.DEVFLOW_ALLOWED_USERS)
        channels, repositories = _split(self.DEVFLOW_ALLOWED_CHANNELS), _split(self.DEVFLOW_ALLOWED_REPOSITORIES)
        return AccessPolicy(
            users=frozenset(name for name in named if name[0] in "UW"),
            groups=frozenset(name for name in named if name.startswith("S")),
            everyone="*" in named,
            channels=frozenset(channels) or None,
            repositories=repositories or None,
            admins=frozenset(_split(self.DEVFLOW_ADMINS)),
        )

    @property
    def limits(self) -> Limits:
        return Limits(
            turn_seconds=self.DEVFLOW_TURN_SECONDS,
            permission_seconds=self.DEVFLOW_PERMISSION_SECONDS,
            idle_seconds=self.DEVFLOW_IDLE_SECONDS,
            max_session_seconds=self.DEVFLOW_MAX_SESSION_SECONDS,
        )

    @property
    def pull_request_terms(self) -> PullRequestTerms:
        return PullRequestTerms(may_merge=self.DEVFLOW_MERGE, auto_fixes=self.DEVFLOW_AUTO_FIX)

    @property
    def permissions(self) -> str:
        return self.DEVFLOW_PERMISSIONS or ("edits" if self.DEVFLOW_TASKS == "local" else "all")

    @property
    def gateway_address(self) -> tuple[str, int]:
        host, _, port = self.DEVFLOW_GATEWAY_LISTEN.rpartition(":")
        return host.strip("[]") or "127.0.0.1", int(port)

    def gateway_url_on(self, port: int) -> str:
        """What workers dial, when the gateway listens on `port`."""
        host, _ = self.gateway_address
        dialled = "127.0.0.1" if host == "0.0.0.0" else f"[{host}]" if ":" in host else host  # noqa: S104
        return (self.DEVFLOW_GATEWAY_URL or f"http://{dialled}:{port}").rstrip("/")

    @property
    def public_listen_address(self) -> tuple[str, int] | None:
        """None = nothing is served to the public."""
        if self.DEVFLOW_PUBLIC_LISTEN is None:
            return None
        host, _, port = self.DEVFLOW_PUBLIC_LISTEN.rpartition(":")
        return host.strip("[]") or "127.0.0.1", int(port)

    def public_address_on(self, port: int) -> PublicAddress:
        """What browsers dial, when the public listener is on `port`."""
        host, _ = self.public_listen_address or ("127.0.0.1", 0)
        shown = f"[{host}]" if ":" in host else host
        return parse_public_url(self.DEVFLOW_PUBLIC_URL or f"http://{shown}:{port}")

    @property
    def is_real_slack(self) -> bool:
        host = urlsplit(self.SLACK_API_URL).hostname or ""
        return host == "slack.com" or host.endswith((".slack.com", ".slack-gov.com"))

    @property
    def sqlite_path(self) -> Path | None:
        kind, _, path = self.DEVFLOW_STORE.partition(":")
        return Path(path).expanduser() if kind == "sqlite" else None

    @property
    def store_name(self) -> str:
        """What tells this store from every other of the account: tasks are found again, and stopped, by it."""
        path = self.sqlite_path
        return self.DEVFLOW_TABLE if path is None else f"{socket.gethostname()}:{path.absolute()}"

    @property
    def ecs_subnets(self) -> tuple[str, ...]:
        return _split(self.DEVFLOW_ECS_SUBNETS)

    @property
    def ecs_security_groups(self) -> tuple[str, ...]:
        return _split(self.DEVFLOW_ECS_SECURITY_GROUPS)

    @property
    def spending_limits(self) -> SpendingLimits:
        return parse_limits(self.DEVFLOW_COST_LIMITS, self.DEVFLOW_TOKEN_LIMITS)[0]

    def secrets(self) -> tuple[str, ...]:
        """Every secret value, for redaction."""
        fields = (getattr(self, name) for name in type(self).model_fields)
        return tuple(value.get_secret_value() for value in fields if isinstance(value, SecretStr))

    def private_key_pem(self) -> str:
        """The App's private key as PEM text, read from its file where a path was given."""
        assert self.GITHUB_APP_PRIVATE_KEY is not None  # noqa: S101  load_settings saw to it
        value = self.GITHUB_APP_PRIVATE_KEY.get_secret_value()
        return value if "-----BEGIN" in value else Path(value).expanduser().read_text()


def load_settings(environment: Mapping[str, str]) -> Settings:
    """The settings, or a `ConfigError` that names every missing or malformed one. An empty value is unset."""
    given = {name: value for name, value in environment.items() if name in Settings.model_fields and value.strip()}
    faults: list[str] = []
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        for fault in error.errors(include_input=False, include_url=False):
            name = str(fault["loc"][0])
            faults.append(f"{name}: {fault['msg']}")
            given.pop(name, None)
        settings = Settings.model_validate(given)
    malformed = {fault.split(":")[0] for fault in faults}
    if "DEVFLOW_TASKS" in malformed:
        # Which other settings are needed is not known then; asking for all of ECS's would mislead.
        malformed |= {name for name in Settings.model_fields if name.startswith("DEVFLOW_ECS_")}
        malformed |= {"DEVFLOW_GATEWAY_URL", "DEVFLOW_STATE_DIR"}
    faults += [fault for fault in _faults(settings) if fault.split(":")[0].split(" ")[0] not in malformed]
    if faults:
        raise ConfigError(faults)
    return settings


def _faults(settings: Settings) -> list[str]:
    """What pydantic cannot see: settings that need each other, and the shapes of foreign ids."""
    faults = [
        f"{name} is not set: {why}"
        for name, why in (
            ("SLACK_BOT_TOKEN", "the bot token of the Slack app (xoxb-...)"),
            ("SLACK_APP_TOKEN", "the app-level token of the Slack app (xapp-...)"),
            ("GITHUB_APP_ID", "the id of the GitHub App"),
            ("GITHUB_APP_PRIVATE_KEY", "the GitHub App's private key, as PEM text or the path of a file"),
            ("DEVFLOW_SECRET", "at least 32 random characters, for example from `openssl rand -hex 32`"),
            ("DEVFLOW_ALLOWED_USERS", "Slack user ids or user groups, or `*` for every full member"),
        )
        if getattr(settings, name) is None
    ]
    secret = settings.DEVFLOW_SECRET
    if secret is not None and len(secret.get_secret_value()) < 32:
        faults.append("DEVFLOW_SECRET: it must have at least 32 characters")
    faults += _key_faults(settings)
    faults += read_policies(settings.DEVFLOW_POLICY)[1]
    faults += parse_limits(settings.DEVFLOW_COST_LIMITS, settings.DEVFLOW_TOKEN_LIMITS)[1]
    faults += read_prices(settings.DEVFLOW_MODEL_PRICES)[1]
    for name, pattern, shape in (
        ("DEVFLOW_ALLOWED_USERS", r"\*|[UWS][A-Z0-9]{2,}", "Slack ids that begin with U, W or S, or `*`"),
        ("DEVFLOW_ALLOWED_CHANNELS", r"[CGD][A-Z0-9]{2,}", "Slack ids that begin with C, G or D"),
        ("DEVFLOW_ADMINS", r"[UW][A-Z0-9]{2,}", "Slack ids that begin with U or W"),
        ("DEVFLOW_ALLOWED_REPOSITORIES", r"[^/\s]+/[^/\s]+", "globs such as acme/*"),
    ):
        wrong = [part for part in _split(getattr(settings, name)) if not re.fullmatch(pattern, part)]
        if wrong:
            faults.append(f"{name}: {', '.join(wrong)} — expected {shape}")
    for name in (*_URLS, "SLACK_API_URL", "GITHUB_API_URL", "DEVFLOW_GATEWAY_URL"):
        value = getattr(settings, name)
        if value and (urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname):
            faults.append(f"{name}: {value} is not an http or https address")
    for name in ("DEVFLOW_GATEWAY_LISTEN", "DEVFLOW_PUBLIC_LISTEN"):
        value = getattr(settings, name)
        if value is not None and not re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^:\s]*):\d{1,5}", value):
            faults.append(f"{name}: {value} is not host:port")
    faults += _public_faults(settings)
    webhook_secret = settings.GITHUB_WEBHOOK_SECRET
    if webhook_secret is not None:
        if len(webhook_secret.get_secret_value()) < _WEBHOOK_SECRET_CHARACTERS:
            faults.append(f"GITHUB_WEBHOOK_SECRET: at least {_WEBHOOK_SECRET_CHARACTERS} characters, as on GitHub")
        if settings.DEVFLOW_PUBLIC_LISTEN is None:
            faults.append("DEVFLOW_PUBLIC_LISTEN is not set, but GITHUB_WEBHOOK_SECRET is: GitHub could reach nothing")
    kind, _, path = settings.DEVFLOW_STORE.partition(":")
    if settings.DEVFLOW_STORE != "dynamodb" and not (kind == "sqlite" and path):
        faults.append(f"DEVFLOW_STORE: {settings.DEVFLOW_STORE} is neither `dynamodb` nor `sqlite:PATH`")
    if settings.DEVFLOW_TASKS == "ecs":
        faults += _ecs_faults(settings)
    elif settings.DEVFLOW_STATE_DIR is None:
        faults.append("DEVFLOW_STATE_DIR is not set: local tasks keep their files there")
    return faults


def _public_faults(settings: Settings) -> list[str]:
    listen, url = settings.DEVFLOW_PUBLIC_LISTEN, settings.DEVFLOW_PUBLIC_URL
    if url is not None:
        try:
            parse_public_url(url)
        except ValueError as error:
            return [f"DEVFLOW_PUBLIC_URL: {error}"]
        return [] if listen else ["DEVFLOW_PUBLIC_LISTEN is not set, but DEVFLOW_PUBLIC_URL is: give both, or neither"]
    if listen is not None and (listen.rpartition(":")[0] or "127.0.0.1") not in _LOOPBACK:
        return [f"DEVFLOW_PUBLIC_URL is not set: it must say what browsers and GitHub dial to reach {listen}"]
    return []


def _key_faults(settings: Settings) -> list[str]:
    if settings.GITHUB_APP_PRIVATE_KEY is None:
        return []
    value = settings.GITHUB_APP_PRIVATE_KEY.get_secret_value()
    if "-----BEGIN" in value:
        return []
    try:
        text = Path(value).expanduser().read_text()
    except (OSError, ValueError, RuntimeError):
        return ["GITHUB_APP_PRIVATE_KEY: it is neither PEM text nor the path of a file that can be read"]
    return [] if "-----BEGIN" in text else ["GITHUB_APP_PRIVATE_KEY: the file it names holds no PEM key"]


def _ecs_faults(settings: Settings) -> list[str]:
    faults = [
        f"{name} is not set: {why}"
        for name, why in (
            ("DEVFLOW_ECS_CLUSTER", "the cluster workers run in"),
            ("DEVFLOW_ECS_TASK_DEFINITION", "the family of the worker's task definition"),
            ("DEVFLOW_ECS_SUBNETS", "the subnets workers run in"),
        )
        if not getattr(settings, name)
    ]
    host = urlsplit(settings.DEVFLOW_GATEWAY_URL or "").hostname
    if host is None or host in _LOOPBACK:
        faults.append("DEVFLOW_GATEWAY_URL is not set to an address that tasks can reach: they run on other machines")
    return faults


def _split(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())
