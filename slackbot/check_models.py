"""What `devflow check` says of models: each provider asked with its key, and whether the agents that
are named have one."""

from __future__ import annotations

from slackbot.check import Finding, of_error
from slackbot.config import Settings
from slackbot.core.errors import DevflowError
from slackbot.core.spending import amount_words
from slackbot.model_providers import build_providers
from slackbot.policy import load_policies
from slackbot.worker.agent_setup import PROVIDERS_OF

_SETTINGS = {
    "anthropic": "ANTHROPIC_API_KEY",
    "openai": "OPENAI_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "bedrock": "DEVFLOW_BEDROCK=on",
}


async def models(settings: Settings) -> list[Finding]:
    """A line for each provider, for each agent that has none, and for the limits."""
    found: list[Finding] = []
    try:
        providers = build_providers(settings)
    except DevflowError as error:
        return [of_error("models", error)]
    for name, provider in providers.items():
        try:
            found.append(Finding("models", True, f"{name}: {await provider.probe()}"))
        except DevflowError as error:
            found.append(of_error("models", error))
        finally:
            await provider.close()
    found += _lacking(settings, set(providers))
    if not found:
        return [Finding("models", True, "no key of a provider is set, and no agent named is known to need one")]
    return [*found, _limits(settings)] if providers else found


def _lacking(settings: Settings, there: set[str]) -> list[Finding]:
    rules = load_policies(settings.DEVFLOW_POLICY).rules
    named = dict.fromkeys([settings.DEVFLOW_AGENT, *(rule.agent for rule in rules if rule.agent)])
    found = []
    for name in named:
        wanted = PROVIDERS_OF.get(name, ())
        if wanted and not there.intersection(wanted):
            remedy = f"Set {' or '.join(_SETTINGS[provider] for provider in wanted)}, or name another agent"
            found.append(Finding("models", False, f"{name} has no model provider", remedy))
    return found


def _limits(settings: Settings) -> Finding:
    limits = settings.spending_limits
    parts = [
        f"{amount_words(number, unit)} a {scope}"
        for unit, given in (("microdollars", limits.cost_microdollars), ("tokens", limits.tokens))
        for scope, number in given.items()
    ]
    return Finding(
        "models", True, f"limits: {', '.join(parts)}" if parts else "no limit is set to what models may cost"
    )
