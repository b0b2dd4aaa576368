"""The page's JSON API and its live stream: what persons see, and what they do.

The page (`page/`) calls it; it reads through `people.py` and `shapes.py` and acts through `people.py`.
`page_guard.py` has refused everyone but the page itself before.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web

from slackbot.sandbox.slack import shapes
from slackbot.sandbox.slack.behind import Backstage
from slackbot.sandbox.slack.faults import ApiCall, PersonRefusedError, SlackError
from slackbot.sandbox.slack.files import MAX_PERSON_UPLOAD_BYTES, Files
from slackbot.sandbox.slack.page_feed import FeedEvent, PageFeed
from slackbot.sandbox.slack.people import People
from slackbot.sandbox.slack.views import Views
from slackbot.sandbox.slack.views import shape as view_shape
from slackbot.sandbox.slack.workspace import Workspace

_PAGE = Path(__file__).parent / "page"
_SHOWN_CALLS = 200
_PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "font-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_KEEPALIVE_SECONDS = 15.0
"""A stream without events says something as often, so that a lost page is noticed, and no proxy cuts the others."""

Body = dict[str, Any]


class PageApi:
    """Handlers for `/`, `/page/`, `/sandbox/`."""

    def __init__(
        self,
        workspace: Workspace,
        people: People,
        views: Views,
        files: Files,
        feed: PageFeed,
        calls: deque[ApiCall],
        connection_count: Callable[[], int],
        links: Sequence[Mapping[str, str]],
        backstage: Callable[[], Backstage | None],
    ) -> None:
        self._workspace = workspace
        self._people = people
        self._views = views
        self._files = files
        self._feed = feed
        self._calls = calls
        self._connection_count = connection_count
        self._links = [dict(link) for link in links]
        self._backstage = backstage

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/", self._index)
        router.add_get("/page/{name:.+}", self._asset)
        router.add_get("/archives/{channel_id}/{message}", self._permalink)
        router.add_get("/sandbox/files/{file_id}/{name}", self._file)
        api = "/sandbox/api/"
        router.add_get(api + "bootstrap", self._bootstrap)
        router.add_get(api + "messages", self._messages)
        router.add_get(api + "thread", self._thread)
        router.add_get(api + "events", self._events)
        router.add_get(api + "calls", self._latest_calls)
        router.add_get(api + "backstage", self._behind)
        router.add_post(api + "upload", self._upload)
        for name, act in (
            ("post", self._post), ("command", self._command), ("action", self._action),
            ("options", self._options), ("view_submit", self._view_submit), ("view_close", self._view_close),
            ("react", self._react), ("edit", self._edit), ("delete", self._delete),
            ("shortcut", self._shortcut), ("home", self._home), ("backstage/kill_bot", self._kill_bot),
        ):  # fmt: skip
            router.add_post(api + name, _json_handler(act))

    # The page

    async def _index(self, request: web.Request) -> web.StreamResponse:
        return _served(_PAGE / "index.html")

    async def _asset(self, request: web.Request) -> web.StreamResponse:
        path = (_PAGE / request.match_info["name"]).resolve()
        if not path.is_relative_to(_PAGE.resolve()):
            raise web.HTTPNotFound
        return _served(path)

    async def _permalink(self, request: web.Request) -> web.StreamResponse:
        digits = request.match_info["message"].removeprefix("p")
        ts = f"{digits[:10]}.{digits[10:]}"
        thread_ts = request.query.get("thread_ts", ts)
        channel_id = request.match_info["channel_id"]
        raise web.HTTPFound(f"/#channel={channel_id}&thread={thread_ts}&message={ts}")

    async def _file(self, request: web.Request) -> web.StreamResponse:
        try:
            file = self._files.get(request.match_info["file_id"])
            return web.Response(body=self._files.content(file["id"]), headers=self._files.headers(file))
        except SlackError as error:
            raise web.HTTPNotFound(text="This file is not there any more.") from error

    # Reading

    async def _bootstrap(self, request: web.Request) -> web.Response:
        user_id = request.query.get("user_id", "")
        workspace, app = self._workspace, self._workspace.app
        people = [
            {
                "user_id": user["id"],
                "name": user["name"],
                "real_name": user["real_name"],
                "color": f"#{user['color']}",
                "is_bot": user["is_bot"],
                "tz": user["tz"],
            }
            for user in workspace.store.all("user")
            if not user["deleted"]
        ]
        channels = [
            shapes.page_channel(workspace, channel, user_id)
            for channel in workspace.store.all("channel")
            if workspace.may_see(channel, user_id)
        ]
        channels.sort(key=lambda channel: (channel["is_im"], channel["name"] != "sandbox", channel["name"]))
        return web.json_response(
            {
                "team": {"id": app.team_id, "name": app.team_name},
                "people": people,
                "channels": channels,
                "commands": [command.as_json() for command in app.commands],
                "shortcuts": [shortcut.as_json() for shortcut in app.shortcuts],
                "bot": {"user_id": app.bot_user_id, "name": workspace.bot_display_name},
                "views": [view_shape(view) for view in self._views.stack(user_id)],
                "links": self._links,
                "has_backstage": self._backstage() is not None,
                "socket_connections": self._connection_count(),
                "last_event_id": self._feed.latest,
            }
        )

    async def _messages(self, request: web.Request) -> web.Response:
        query = request.query
        try:
            messages, has_more = self._people.messages(query.get("user_id", ""), query.get("channel_id", ""))
        except PersonRefusedError as error:
            return _refused(error)
        return web.json_response({"messages": messages, "has_more": has_more})

    async def _thread(self, request: web.Request) -> web.Response:
        query = request.query
        try:
            messages = self._people.thread(
                query.get("user_id", ""), query.get("channel_id", ""), query.get("thread_ts", "")
            )
        except PersonRefusedError as error:
            return _refused(error)
        return web.json_response({"messages": messages})

    async def _latest_calls(self, request: web.Request) -> web.Response:
        shown = list(self._calls)[-_SHOWN_CALLS:]
        hidden = {"apps.connections.open"}
        return web.json_response({"calls": [call.as_json() for call in shown if call.method not in hidden]})

    async def _behind(self, request: web.Request) -> web.Response:
        """The session of a thread, its task and the bot, as they are now."""
        backstage = self._backstage()
        if backstage is None:
            return web.json_response({"ok": False, "error": "There is nothing behind this page."}, status=404)
        query = request.query
        try:
            if query.get("channel_id"):
                self._workspace.channel_of_person(query["channel_id"], query.get("user_id", ""))
        except PersonRefusedError as error:
            return _refused(error)
        return web.json_response(await backstage.look(query.get("channel_id", ""), query.get("thread_ts", "")))

    async def _kill_bot(self, body: Body) -> Body:
        backstage = self._backstage()
        if backstage is None:
            raise PersonRefusedError("The bot is not a process of this sandbox.")
        pid = await backstage.kill_bot()
        if pid is None:
            raise PersonRefusedError("The bot is not running just now; it is being started again.")
        return {"ok": True, "pid": pid}

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Server-Sent Events; resumes after `Last-Event-ID` (or `?last_event_id=`)."""
        user_id = request.query.get("user_id", "")
        last = request.headers.get("Last-Event-ID") or request.query.get("last_event_id", "")
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        )
        queue = self._feed.subscribe()
        try:
            await response.prepare(request)
            missed = self._feed.since(int(last)) if last.isdigit() else []
            if missed is None:
                missed = [FeedEvent(self._feed.latest, {"type": "resync"}, None)]
            await response.write(b": connected\n\n")
            for event in missed:
                await _write_event(response, event, user_id)
            while True:
                try:
                    async with asyncio.timeout(_KEEPALIVE_SECONDS):
                        following = await queue.get()
                except TimeoutError:
                    await response.write(b": still here\n\n")
                    continue
                if following is None:
                    break
                await _write_event(response, following, user_id)
        except ConnectionError:
            pass  # the page went away
        finally:
            self._feed.unsubscribe(queue)
        return response

    # Acting

    async def _post(self, body: Body) -> Body:
        ts = await self._people.post_message(
            _text(body, "user_id"),
            _text(body, "channel_id"),
            str(body.get("text") or ""),
            thread_ts=body.get("thread_ts") or None,
            broadcast=bool(body.get("broadcast")),
            file_ids=[str(file_id) for file_id in body.get("file_ids") or []],
        )
        return {"ok": True, "ts": ts}

    async def _command(self, body: Body) -> Body:
        return await self._people.command(
            _text(body, "user_id"),
            _text(body, "channel_id"),
            _text(body, "command"),
            str(body.get("text") or ""),
        )

    async def _action(self, body: Body) -> Body:
        chosen = {key: value for key, value in body.items() if key.startswith("selected_") or key == "rich_text_value"}
        return await self._people.press(
            _text(body, "user_id"),
            _text(body, "action_id"),
            block_id=body.get("block_id"),
            channel_id=body.get("channel_id"),
            message_ts=body.get("message_ts"),
            view_id=body.get("view_id"),
            value=body.get("value"),
            chosen=chosen or None,
            view_values=body.get("values"),
        )

    async def _options(self, body: Body) -> Body:
        options = await self._people.options(
            _text(body, "user_id"),
            _text(body, "action_id"),
            str(body.get("value") or ""),
            block_id=body.get("block_id"),
            view_id=body.get("view_id"),
            channel_id=body.get("channel_id"),
            message_ts=body.get("message_ts"),
        )
        return {"ok": True, "options": options}

    async def _view_submit(self, body: Body) -> Body:
        values = body.get("values") or {}
        return await self._people.submit_view(_text(body, "user_id"), _text(body, "view_id"), values)

    async def _view_close(self, body: Body) -> Body:
        await self._people.close_view(_text(body, "user_id"), _text(body, "view_id"))
        return {"ok": True}

    async def _react(self, body: Body) -> Body:
        await self._people.react(
            _text(body, "user_id"),
            _text(body, "channel_id"),
            _text(body, "ts"),
            _text(body, "name"),
            remove=bool(body.get("remove")),
        )
        return {"ok": True}

    async def _edit(self, body: Body) -> Body:
        await self._people.edit(
            _text(body, "user_id"), _text(body, "channel_id"), _text(body, "ts"), str(body.get("text") or "")
        )
        return {"ok": True}

    async def _delete(self, body: Body) -> Body:
        await self._people.delete(_text(body, "user_id"), _text(body, "channel_id"), _text(body, "ts"))
        return {"ok": True}

    async def _shortcut(self, body: Body) -> Body:
        return await self._people.open_shortcut(
            _text(body, "user_id"),
            _text(body, "callback_id"),
            channel_id=body.get("channel_id"),
            message_ts=body.get("message_ts"),
        )

    async def _home(self, body: Body) -> Body:
        return {"ok": True, "view": await self._people.open_home(_text(body, "user_id"))}

    async def _upload(self, request: web.Request) -> web.Response:
        if request.content_length is not None and request.content_length > MAX_PERSON_UPLOAD_BYTES:
            return _refused(PersonRefusedError("That file has more than 25 MB. Attach a smaller file."))
        query = request.query
        try:
            content = await request.read()
            file_id = await self._people.upload(
                query.get("user_id", ""), query.get("channel_id", ""), query.get("filename", "file"), content
            )
        except PersonRefusedError as error:
            return _refused(error)
        return web.json_response({"ok": True, "file_id": file_id})


def _json_handler(act: Callable[[Body], Awaitable[Body]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            body = await request.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return web.json_response({"ok": False, "error": "Send one JSON object."}, status=400)
        try:
            return web.json_response(await act(body))
        except PersonRefusedError as error:
            return web.json_response({"ok": False, "error": str(error)})

    return handle


def _text(body: Body, key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value:
        raise PersonRefusedError(f"The field {key} is missing.")
    return value


def _refused(error: PersonRefusedError) -> web.Response:
    return web.json_response({"ok": False, "error": str(error)}, status=404)


def _served(path: Path) -> web.StreamResponse:
    if not path.is_file():
        raise web.HTTPNotFound(text="There is no such page.")
    return web.FileResponse(path, headers=_PAGE_HEADERS)


async def _write_event(response: web.StreamResponse, event: FeedEvent, user_id: str) -> None:
    if event.is_for(user_id):
        await response.write(f"id: {event.number}\ndata: {json.dumps(event.data)}\n\n".encode())
