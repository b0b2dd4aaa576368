"""The proxy that what the agent starts must go out by, where the task has one. Pure.

The worker's own variables name it (deploy/stack.yml sets them from ProxyUrl, and lets nothing out beside it); programs
read them in either case. https://docs.aws.amazon.com/AmazonECS/latest/developerguide/http_proxy_config.html
"""

from __future__ import annotations

from collections.abc import Mapping

_LOCAL = ("127.0.0.1", "localhost", "::1")
"""Never asked for by a proxy: the way to the models is on loopback."""


def proxy_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables for a program of the agent's; empty where the worker has no proxy."""
    found: dict[str, str] = {}
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        value = environ.get(name) or environ.get(name.upper())
        if value:
            found |= {name: value, name.upper(): value}
    if not found:
        return {}
    direct = [part.strip() for part in (environ.get("no_proxy") or environ.get("NO_PROXY") or "").split(",")]
    value = ",".join(dict.fromkeys([*filter(None, direct), *_LOCAL]))
    return {**found, "no_proxy": value, "NO_PROXY": value}
