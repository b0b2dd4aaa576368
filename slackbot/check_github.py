"""`devflow check` of GitHub's webhook: whether the App sends its events to this deployment. Changes nothing."""

from __future__ import annotations

from slackbot.adapters.github import GithubCodeHost
from slackbot.check import Finding
from slackbot.config import Settings
from slackbot.gateway.webhooks import EVENTS, PATH


async def webhook(settings: Settings) -> list[Finding]:
    """Its address, its form and its events. GitHub shows its secret to nobody, so that is not compared."""
    at = settings.public_listen_address
    if settings.GITHUB_WEBHOOK_SECRET is None or at is None:
        summary = "no webhook: GitHub is asked at intervals (GITHUB_WEBHOOK_SECRET and a public address make it sooner)"
        return [Finding("webhook", True, summary)]
    address = settings.public_address_on(at[1])
    wanted = f"{address.scheme}://{address.host_of('github')}{PATH}"
    host = GithubCodeHost(
        api_url=settings.GITHUB_API_URL,
        app_id=settings.GITHUB_APP_ID or "",
        private_key=settings.private_key_pem(),
    )
    try:
        found = await host.describe_webhook()
    finally:
        await host.close()
    if found.url is None:
        remedy = f"Make it active in the App's settings, with the URL {wanted} and the same secret"
        return [Finding("webhook", False, "the App has no webhook", remedy)]
    faults = []
    if not found.url.endswith(PATH):
        faults.append(Finding("webhook", False, f"the App sends its events to {found.url}", f"Name {wanted} there"))
    if found.content_type != "json":
        summary = f"the App sends its events as {found.content_type or 'a form'}"
        faults.append(Finding("webhook", False, summary, "Choose application/json in the App's settings"))
    lacking = ", ".join(sorted(EVENTS - found.events))
    if lacking:
        summary = f"the App is not subscribed to {lacking}"
        faults.append(
            Finding("webhook", False, summary, "Subscribe to them in the App's settings (Permissions & events)")
        )
    return faults or [Finding("webhook", True, f"the App sends its events to {found.url}")]
