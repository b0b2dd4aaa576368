"""Who may call the page's addresses: this host's own page, and nobody else's.

`server.py` puts it before every route. Without it any web page open in the same browser could give the app commands.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web


def guard(allowed_hosts: Callable[[], frozenset[str]]) -> Any:
    """Middleware: the page's addresses answer only to this host's own page.

    A foreign Host is a rebinding attack, a foreign Origin another site's script; a POST that is not JSON could be
    sent by another site's form without asking.
    """

    @web.middleware
    async def middleware(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.path.startswith(("/api/", "/link/", "/response/", "/upload/", "/files-pri/")):
            return await handler(request)  # these ask for a token, a ticket or an unguessable address
        hosts = allowed_hosts()
        if request.headers.get("Host", "") not in hosts:
            raise web.HTTPForbidden(text="This sandbox answers only under its own address.")
        origin = request.headers.get("Origin")
        foreign = origin is not None and origin.removeprefix("http://") not in hosts
        if foreign or request.headers.get("Sec-Fetch-Site") == "cross-site":
            raise web.HTTPForbidden(text="This sandbox takes nothing from other sites.")
        if request.method == "POST":
            is_upload = request.path == "/sandbox/api/upload"
            if not is_upload and request.content_type != "application/json":
                raise web.HTTPUnsupportedMediaType(text="Send application/json.")
            if is_upload and request.content_type.startswith(("multipart/", "application/x-www-form")):
                raise web.HTTPUnsupportedMediaType(text="Send the bytes of the file as the body.")
        return await handler(request)

    return middleware
