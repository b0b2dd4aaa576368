"""The GitHub App as GitHub describes it, for `devflow check`: its permissions, and the accounts it is installed on.

Called by `adapters/github.py` in one of its threads. https://docs.github.com/en/rest/apps/apps
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from github import GithubIntegration


@dataclass(frozen=True)
class GithubInstallation:
    """The App on one account, with the permissions that its owner has accepted."""

    account: str
    permissions: Mapping[str, str]
    suspended: bool


@dataclass(frozen=True)
class GithubApp:
    """`permissions` are those the App asks for: name -> read, write or admin."""

    name: str
    html_url: str
    permissions: Mapping[str, str]
    installations: tuple[GithubInstallation, ...]


@dataclass(frozen=True)
class AppWebhook:
    """Where the App's webhook goes (None: nowhere), in which form, and the events it is subscribed to."""

    url: str | None
    content_type: str
    events: frozenset[str]


def describe_webhook(client: GithubIntegration) -> AppWebhook:
    """Two calls. https://docs.github.com/en/rest/apps/webhooks#get-a-webhook-configuration-for-an-app"""
    _, found = client.requester.requestJsonAndCheck("GET", "/app/hook/config")
    events = client.get_app().raw_data.get("events") or []
    return AppWebhook(
        url=str(found["url"]) if found.get("url") else None,
        content_type=str(found.get("content_type") or ""),
        events=frozenset(str(event) for event in events),
    )


def describe_app(client: GithubIntegration) -> GithubApp:
    """Two calls and more (installations come by the hundred). Raises what PyGithub raises."""
    app = client.get_app()
    installations = [
        GithubInstallation(
            account=str((found.raw_data.get("account") or {}).get("login") or "?"),
            permissions=dict(found.raw_data.get("permissions") or {}),
            suspended=found.raw_data.get("suspended_at") is not None,
        )
        for found in client.get_installations()
    ]
    return GithubApp(
        name=str(app.name or app.slug or "?"),
        html_url=str(app.html_url or ""),
        permissions=dict(app.raw_data.get("permissions") or {}),
        installations=tuple(installations),
    )
