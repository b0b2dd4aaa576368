"""What every page handler needs: the repository in the URL, the answer with safe headers, the page that says no."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from slackbot.sandbox.github.page_parts import Child, Html, el, link, page
from slackbot.sandbox.github.store import RepositoryRow
from slackbot.sandbox.github.world import World

SAFE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


def answer(title: str, *children: Child) -> web.Response:
    return web.Response(text=page(title, *children), content_type="text/html", headers=SAFE_HEADERS)


def missing(sentence: str) -> web.HTTPNotFound:
    """A 404 page that says what is not there, and leads back."""
    body = page("Not found", el("h1", "Not found"), el("p", sentence), el("p", link("/", "All repositories")))
    return web.HTTPNotFound(text=body, content_type="text/html", headers=SAFE_HEADERS)


def find(request: web.Request, world: World) -> RepositoryRow:
    """The repository in the URL; a redirect when it has another name now, 404 when there is none."""
    full_name = f"{request.match_info['owner']}/{request.match_info['name'].removesuffix('.git')}"
    row = world.store.repository(full_name)
    if row is None and (moved := world.store.renamed(full_name)) is not None:
        rest = "/".join(request.path.split("/")[3:])
        raise web.HTTPFound(f"/{moved.full_name}/{rest}".rstrip("/"))
    if row is None:
        raise missing("There is no repository of this name here.")
    return row


def columns(wide: Sequence[Child], narrow: Sequence[Child]) -> Html:
    return el("div", el("div", wide), el("aside", narrow), class_="columns")
