"""The model providers that the settings name, and the operator's list of prices: for `app` and `devflow check`."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from slackbot.adapters.models_anthropic import AnthropicModels
from slackbot.adapters.models_gemini import GeminiModels
from slackbot.adapters.models_openai import OpenAIModels
from slackbot.config import Settings
from slackbot.core.errors import ConfigError
from slackbot.core.model_port import ModelProvider
from slackbot.core.model_prices import Prices
from slackbot.price_list import read_prices


def build_providers(settings: Settings) -> dict[str, ModelProvider]:
    """Those that there is a key for, by name. `PermanentError` where Bedrock cannot be used."""
    found: list[ModelProvider] = []
    if settings.ANTHROPIC_API_KEY is not None:
        found.append(AnthropicModels(key=_value(settings.ANTHROPIC_API_KEY), base_url=settings.ANTHROPIC_BASE_URL))
    if settings.OPENAI_API_KEY is not None:
        found.append(OpenAIModels(key=_value(settings.OPENAI_API_KEY), base_url=settings.OPENAI_BASE_URL))
    if settings.GEMINI_API_KEY is not None:
        found.append(GeminiModels(key=_value(settings.GEMINI_API_KEY), base_url=settings.GEMINI_BASE_URL))
    if settings.DEVFLOW_BEDROCK:
        # Here, so that the sandbox does not wait for boto3.
        from slackbot.adapters.models_bedrock import BedrockModels

        found.append(BedrockModels())
    return {provider.name: provider for provider in found}


def load_prices(path: Path | None) -> Prices:
    """The operator's prices, or a `ConfigError` that names all that is wrong in the file."""
    prices, faults = read_prices(path)
    if faults:
        raise ConfigError(faults)
    return prices


def _value(key: SecretStr) -> str:
    return key.get_secret_value().strip()
