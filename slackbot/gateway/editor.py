"""The web editor's room of the public listener: the entrance where a link becomes a cookie, and what lies behind it.

A link comes from Slack (`editor_links`); GET shows a page with a button and changes nothing, so that what looks at
links before people do cannot use one up. Whoever has the cookie is passed on (`editor_proxy`) to the worker's door.
"""

from __future__ import annotations

import html

import structlog
from aiohttp import web

from slackbot.core.errors import DevflowError, Refused, TemporaryError
from slackbot.core.public_address import editor_path
from slackbot.core.session import Session
from slackbot.editor_links import EditorLinks
from slackbot.gateway.editor_proxy import EditorProxy
from slackbot.gateway.editor_requests import check_fetch_site, check_host, check_origin, cookie_name

log = structlog.get_logger()

MAX_FORM_BYTES = 4096
_PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    # Not no-referrer: a form's Origin would then be "null".
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


class EditorRoom:
    """Routes under /open and /s."""

    def __init__(self, links: EditorLinks, proxy: EditorProxy) -> None:
        self._links = links
        self._proxy = proxy

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/open/{session_id}", self._entrance)
        router.add_post("/open/{session_id}", self._enter)
        router.add_get("/s/{session_id}", self._to_editor)
        router.add_route("*", "/s/{session_id}/{path:.*}", self._editor)

    async def close(self) -> None:
        await self._proxy.close()

    async def _entrance(self, request: web.Request) -> web.Response:
        """The page behind a link. It knows nothing of sessions: whether the link is good shows when it is used."""
        check_host(request, self._links.address, request.match_info["session_id"])
        link = html.escape(request.query.get("link", "")[:300], quote=True)
        body = (
            "<p>This opens the editor in the session's checkout. The link is yours alone, works once and for a minute."
            f'</p><form method="post"><input type="hidden" name="link" value="{link}">'
            "<button autofocus>Open the editor</button></form>"
        )
        return _page("Open the editor", body)

    async def _enter(self, request: web.Request) -> web.StreamResponse:
        """Redeems the link, leaves the cookie, and goes on to the editor."""
        session_id = request.match_info["session_id"]
        check_host(request, self._links.address, session_id)
        check_origin(request, self._links.address, session_id)
        if (request.content_length or 0) > MAX_FORM_BYTES:
            raise web.HTTPRequestEntityTooLarge(MAX_FORM_BYTES, request.content_length or 0)
        link = (await request.post()).get("link")
        try:
            entry = await self._links.redeem(session_id, link if isinstance(link, str) else "")
        except TemporaryError:
            raise
        except DevflowError as error:
            log.info("editor_link_refused", session_id=session_id[:40], why=error.summary)
            return _page("Not opened", f"<p>{html.escape(error.summary)} {html.escape(error.remedy)}</p>", 403)
        log.info("editor_opened", session_id=session_id, user_id=entry.user_id)
        path = editor_path(session_id)
        response = web.Response(status=303, headers={**_PAGE_HEADERS, "Location": path})
        response.set_cookie(
            cookie_name(session_id),
            entry.cookie,
            path=path,
            max_age=entry.max_age_seconds,
            httponly=True,
            secure=self._links.address.is_secure,
            samesite="Strict",
        )
        return response

    async def _to_editor(self, request: web.Request) -> web.Response:
        return web.Response(status=308, headers={"Location": editor_path(request.match_info["session_id"])})

    async def _editor(self, request: web.Request) -> web.StreamResponse:
        session_id = request.match_info["session_id"]
        check_host(request, self._links.address, session_id)
        check_origin(request, self._links.address, session_id)
        check_fetch_site(request)
        try:
            session = await self._session(request)
        except Refused as error:
            if request.method == "GET" and request.headers.get("Sec-Fetch-Dest", "document") == "document":
                return _closed(request, error)
            raise web.HTTPForbidden(reason="This editor is closed to you.") from error
        return await self._proxy.forward(request, session)

    async def _session(self, request: web.Request) -> Session:
        session_id = request.match_info["session_id"]
        cookie = request.cookies.get(cookie_name(session_id), "")
        if not cookie:
            raise Refused("This editor is closed to you.", "Press Open editor in the session's thread in Slack.")
        return await self._links.admitted(session_id, cookie)


def _closed(request: web.Request, error: Refused) -> web.Response:
    body = f"<p>{html.escape(error.summary)} {html.escape(error.remedy)}</p>"
    if request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        # A browser does not send the cookie along a link of another site, but does from here.
        here = html.escape(request.path, quote=True)
        body += f'<p>Did you open it in this browser before? <a href="{here}">Go on to the editor</a></p>'
    return _page("Closed", body, 403)


def _page(title: str, body: str, status: int = 200) -> web.Response:
    style = (
        "body{font:16px/1.5 system-ui,sans-serif;max-width:34em;margin:12vh auto;padding:0 1.5em;color:#1d1c1d}"
        "button{font:inherit;padding:.6em 1.2em;border:0;border-radius:.4em;background:#1264a3;color:#fff}"
        "@media(prefers-color-scheme:dark){body{background:#1a1d21;color:#d1d2d3}a{color:#4aa3e0}}"
    )
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title} – DevFlow</title><style>{style}</style><h1>{title}</h1>{body}</html>"
    )
    return web.Response(status=status, text=text, content_type="text/html", headers=_PAGE_HEADERS)
