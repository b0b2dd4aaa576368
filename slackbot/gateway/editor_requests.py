"""What a browser's request to an editor must look like, and what of it is passed on. Nothing is awaited here.

Sessions on hosts of their own are still of one site, so SameSite alone does not keep them apart: `Origin` and
Sec-Fetch-Site must say that the request comes from the editor's own pages.
https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site
"""

from __future__ import annotations

import re

from aiohttp import web
from multidict import CIMultiDict

from slackbot.core.public_address import PublicAddress, editor_path

COOKIE_PREFIX = "devflow_editor_"
DOOR_HEADER = "X-DevFlow-Door"
"""Carries the launch's secret to the worker's door, which takes it out."""

_HOP_BY_HOP = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade".split()
)
"""https://www.rfc-editor.org/rfc/rfc9110#field.connection"""
_NOT_TO_EDITOR = frozenset({"authorization", "forwarded", "x-real-ip", DOOR_HEADER.lower()})
_NOT_TO_BROWSER = frozenset({"clear-site-data", "server"})
_SESSION_ID = re.compile(r"[0-9a-f-]{36}")


def cookie_name(session_id: str) -> str:
    return COOKIE_PREFIX + session_id[:8]


def check_host(request: web.Request, address: PublicAddress, session_id: str) -> None:
    """403 for a session's pages under a host that is not theirs."""
    if not _SESSION_ID.fullmatch(session_id):
        raise web.HTTPNotFound
    default = ":443" if address.is_secure else ":80"
    if request.host.lower().removesuffix(default) != address.host_of(session_id):
        raise web.HTTPForbidden(reason="This page is not served under this host name.")


def check_origin(request: web.Request, address: PublicAddress, session_id: str) -> None:
    """403 for what pages of other origins ask for, WebSockets above all."""
    origin = request.headers.get("Origin")
    # Browsers always say it for WebSockets and forms; what is no browser can be led nowhere by a foreign page.
    if origin is not None and origin.lower() != address.origin_of(session_id):
        raise web.HTTPForbidden(reason="This comes from a page of another origin.")


def check_fetch_site(request: web.Request) -> None:
    """403 for what a foreign page would embed or fetch; a link followed by a person is let through."""
    if request.headers.get("Sec-Fetch-Site") not in ("cross-site", "same-site"):
        return
    if request.headers.get("Sec-Fetch-Mode") == "navigate" and request.headers.get("Sec-Fetch-Dest") == "document":
        return
    raise web.HTTPForbidden(reason="This comes from a page of another origin.")


def headers_to_editor(request: web.Request, *, own_host: bool) -> CIMultiDict[str]:
    """The request's headers without those of the connection, and without any cookie of ours."""
    named = _named_in_connection(request.headers.get("Connection", ""))
    passed: CIMultiDict[str] = CIMultiDict()
    for name, value in request.headers.items():
        lower = name.lower()
        if lower in _HOP_BY_HOP or lower in named or lower in _NOT_TO_EDITOR or lower.startswith("x-forwarded"):
            continue
        if lower == "cookie":
            value = _foreign_cookies(value) if own_host else ""
            if not value:
                continue
        passed.add(name, value)
    return passed


def headers_to_browser(headers: CIMultiDict[str], *, session_id: str, own_host: bool) -> CIMultiDict[str]:
    """The editor's headers, as far as what runs in the task may say them on our origin."""
    named = _named_in_connection(headers.get("Connection", ""))
    passed: CIMultiDict[str] = CIMultiDict()
    for name, value in headers.items():
        lower = name.lower()
        if lower in _HOP_BY_HOP or lower in named or lower in _NOT_TO_BROWSER:
            continue
        if lower == "set-cookie" and (not own_host or value.strip().lower().startswith(COOKIE_PREFIX)):
            continue
        if lower == "service-worker-allowed":
            value = editor_path(session_id)  # no further than the session's own pages
        if lower == "location" and value.startswith("/") and not value.startswith("//"):
            value = editor_path(session_id).rstrip("/") + value
        passed.add(name, value)
    passed["Referrer-Policy"] = "same-origin"
    return passed


def _named_in_connection(value: str) -> frozenset[str]:
    return frozenset(part.strip().lower() for part in value.split(",") if part.strip())


def _foreign_cookies(value: str) -> str:
    parts = [part.strip() for part in value.split(";")]
    return "; ".join(part for part in parts if part and not part.startswith(COOKIE_PREFIX))
