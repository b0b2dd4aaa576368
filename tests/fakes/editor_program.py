"""A program that is started as code-server is, and tells what it was asked: HTTP and WebSocket on a socket file.

python tests/fakes/editor_program.py --socket PATH ...     `make_program` writes a command that does so
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from aiohttp import web


def make_program(directory: Path) -> str:
    """An executable that starts this file."""
    program = directory / "code-server"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" "$@"\n')
    program.chmod(0o755)
    return str(program)


async def tell(request: web.Request) -> web.Response:
    """What came in, as it came in."""
    body = {
        "method": request.method,
        "path": request.raw_path,
        "headers": dict(request.headers),
        "body": (await request.read()).decode(),
        "environment": sorted(os.environ),
        "folder": sys.argv[-1],
    }
    headers = {"Set-Cookie": "from-the-editor=1; Path=/", "Clear-Site-Data": '"cookies"', "Service-Worker-Allowed": "/"}
    return web.json_response(body, headers=headers)


async def away(request: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": request.query["to"]})


async def never(request: web.Request) -> web.Response:
    """Says in the checkout that it was asked, and no more."""
    Path("asked").touch()
    await asyncio.Event().wait()
    return web.Response()


async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(protocols=("a", "b"))
    await socket.prepare(request)
    async for message in socket:
        if message.type is web.WSMsgType.BINARY:
            await socket.send_bytes(message.data)
        elif message.data == "bye":
            await socket.close(code=4001)
        else:
            await socket.send_str(f"{request.headers.get('Origin')} {message.data}")
    return socket


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", required=True)
    given, _ = parser.parse_known_args()
    app = web.Application()
    app.router.add_get("/ws", echo)
    app.router.add_get("/away", away)
    app.router.add_get("/never", never)
    app.router.add_route("*", "/{path:.*}", tell)
    web.run_app(app, path=given.socket, print=None)


if __name__ == "__main__":
    main()
