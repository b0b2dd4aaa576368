"""How each known agent is told where its models are: variables of its environment, and files below its HOME.

Data: the agent's name and the worker's `ModelAccess` in; a `Setup` out, whose files the agent's host puts there. Facts
per agent come from their documentation and from runs of the versions in agents/package.json:
https://code.claude.com/docs/en/llm-gateway, https://developers.openai.com/codex/config-reference,
https://geminicli.com/docs/reference/configuration, https://opencode.ai/docs/config
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PROVIDERS_OF: dict[str, tuple[str, ...]] = {
    "claude": ("anthropic", "bedrock"),
    "codex": ("openai",),
    "gemini": ("gemini",),
    "opencode": ("anthropic", "openai", "gemini"),
}
"""Which model providers an agent can work with, best first."""


@dataclass(frozen=True)
class ModelAccess:
    """The worker's proxy as an agent sees it. `key` is worth nothing anywhere else."""

    url_of: Callable[[str], str]
    key: str = field(repr=False)
    providers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Setup:
    """`files` are paths below HOME."""

    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


def setup_of(agent: str, access: ModelAccess | None, home: Path, model: str | None, permissions: str = "all") -> Setup:
    """The setup of a known agent with the best provider there is. Any other agent is told of all, in the variables
    that the providers' own SDKs read."""
    if access is None or not access.providers:
        return Setup()
    if agent not in PROVIDERS_OF:
        return Setup(_sdk_variables(access))
    provider = next((name for name in PROVIDERS_OF[agent] if name in access.providers), None)
    if provider is None:
        return Setup()
    return _SETUPS[agent](access, provider, home, model, permissions)


def _sdk_variables(access: ModelAccess) -> dict[str, str]:
    names = {
        "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", ""),
        "openai": ("OPENAI_API_KEY", "OPENAI_BASE_URL", "/v1"),
        "gemini": ("GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL", ""),
    }
    found: dict[str, str] = {}
    for provider, (key, url, path) in names.items():
        if provider in access.providers:
            found |= {key: access.key, url: access.url_of(provider) + path}
    return found


def _claude(access: ModelAccess, provider: str, home: Path, model: str | None, permissions: str) -> Setup:
    environment = {
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "CLAUDE_CONFIG_DIR": str(home / ".claude"),
    }
    if provider == "bedrock":
        environment |= {
            "CLAUDE_CODE_USE_BEDROCK": "1",
            "CLAUDE_CODE_SKIP_BEDROCK_AUTH": "1",
            "ANTHROPIC_BEDROCK_BASE_URL": access.url_of(provider),
            "AWS_BEARER_TOKEN_BEDROCK": access.key,
            "AWS_REGION": "us-east-1",  # it wants one; the gateway signs for its own
        }
    else:
        environment |= {"ANTHROPIC_BASE_URL": access.url_of(provider), "ANTHROPIC_API_KEY": access.key}
    if model:
        environment["ANTHROPIC_MODEL"] = model
    return Setup(environment)


def _codex(access: ModelAccess, provider: str, home: Path, model: str | None, permissions: str) -> Setup:
    config = [
        f"model = {json.dumps(model)}" if model else "",
        'model_provider = "devflow"',
        "check_for_update_on_startup = false",
        "[analytics]",
        "enabled = false",
        "[model_providers.devflow]",
        'name = "DevFlow"',
        f"base_url = {json.dumps(access.url_of(provider) + '/v1')}",
        'env_key = "DEVFLOW_MODEL_KEY"',
        'wire_api = "responses"',
        "requires_openai_auth = false",
    ]
    environment = {
        "CODEX_HOME": str(home / ".codex"),
        "DEVFLOW_MODEL_KEY": access.key,
        "NO_BROWSER": "1",
        "INITIAL_AGENT_MODE": "agent",
    }
    return Setup(environment, {".codex/config.toml": "\n".join(line for line in config if line) + "\n"})


def _gemini(access: ModelAccess, provider: str, home: Path, model: str | None, permissions: str) -> Setup:
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "general": {"disableAutoUpdate": True, "enableAutoUpdate": False},
        "privacy": {"usageStatisticsEnabled": False},
        "telemetry": {"enabled": False},
    }
    environment = {
        "GOOGLE_GEMINI_BASE_URL": access.url_of(provider),
        "GEMINI_API_KEY": access.key,
        "GEMINI_CLI_NO_RELAUNCH": "true",
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
        **({"GEMINI_MODEL": model} if model else {}),
    }
    return Setup(environment, {".gemini/settings.json": json.dumps(settings, indent=1)})


_OPENCODE_ASKS = {"ask": {"edit": "ask", "bash": "ask", "webfetch": "ask"}, "edits": {"bash": "ask", "webfetch": "ask"}}
"""It has no mode that asks."""


def _opencode(access: ModelAccess, provider: str, home: Path, model: str | None, permissions: str) -> Setup:
    # All under one name of our own, by packages that are bundled: its own providers would want to look up models.
    packages = {"anthropic": "@ai-sdk/anthropic", "openai": "@ai-sdk/openai", "gemini": "@ai-sdk/google"}
    paths = {"anthropic": "/v1", "openai": "/v1", "gemini": "/v1beta"}
    usual = {"anthropic": "claude-sonnet-5", "openai": "gpt-5.5", "gemini": "gemini-3.5-flash"}
    chosen = model or usual[provider]
    config = {
        "$schema": "https://opencode.ai/config.json",
        "autoupdate": False,
        "share": "disabled",
        "enabled_providers": ["devflow"],
        "permission": _OPENCODE_ASKS.get(permissions, {}),
        "model": f"devflow/{chosen}",
        "small_model": f"devflow/{chosen}",
        "provider": {
            "devflow": {
                "npm": packages[provider],
                "name": "DevFlow",
                "options": {"baseURL": access.url_of(provider) + paths[provider], "apiKey": access.key},
                "models": {chosen: {"name": chosen, "tool_call": True}},
            }
        },
    }
    environment = {
        "OPENCODE_CONFIG": str(home / ".config/devflow/opencode.json"),
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
    }
    return Setup(environment, {".config/devflow/opencode.json": json.dumps(config, indent=1)})


_SETUPS: dict[str, Callable[[ModelAccess, str, Path, str | None, str], Setup]] = {
    "claude": _claude,
    "codex": _codex,
    "gemini": _gemini,
    "opencode": _opencode,
}
