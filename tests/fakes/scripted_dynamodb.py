"""An HTTP endpoint that speaks DynamoDB's protocol as a test scripts it: faults in front of moto.

Each request takes the next step of `script`; without one it is answered as it should be. Started on a loopback port.
"""

from __future__ import annotations

import json
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from slackbot.adapters.dynamodb_calls import make_client
from tests.fakes import moto_dynamodb
from tests.fakes.moto_dynamodb import REGION, sign_nothing

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class ScriptedDynamo:
    """`requests` are the actions asked for, in order; `reached` counts them, `release` lets hanging ones go on."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.script: list[Step] = []
        self.requests: list[str] = []
        self.reached = threading.Semaphore(0)
        self.release = threading.Event()

    def client(self, **options: Any) -> DynamoDBClient:
        """A client of this endpoint, made as the bot makes its own, but for the signature."""
        client = make_client(region=REGION, endpoint_url=self.url, **options)
        sign_nothing(client)
        return client


class Exchange(BaseHTTPRequestHandler):
    """One connection; steps answer through its methods."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet; in two, the second waits for the first one's acknowledgement
    server: _Server
    body: bytes = b""

    def do_POST(self) -> None:
        dynamo = self.server.dynamo
        self.body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.one_at_a_time:
            dynamo.requests.append(self.headers["X-Amz-Target"].split(".")[1])
            step = dynamo.script.pop(0) if dynamo.script else do
        dynamo.reached.release()
        step(self)

    def done(self) -> tuple[int, dict[str, str], bytes]:
        """Does what is asked, and gives the right answer."""
        return moto_dynamodb.answer(self.body, dict(self.headers))

    def send(self, status: int, body: bytes, **headers: str) -> None:
        """Answers; `content_length` and `x_amz_crc32` may be given wrongly."""
        headers = {"content_length": str(len(body)), "x_amz_crc32": str(zlib.crc32(body))} | headers
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def cut(self) -> None:
        """Closes the connection."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


Step = Callable[[Exchange], None]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    dynamo: ScriptedDynamo

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.one_at_a_time = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up is part of the script."""


@contextmanager
def scripted_dynamodb() -> Iterator[ScriptedDynamo]:
    """The endpoint, until the end of the block."""
    server = _Server()
    server.dynamo = ScriptedDynamo(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.dynamo
    finally:
        server.dynamo.release.set()
        server.shutdown()
        server.server_close()
        thread.join()


# ------------------------------------------------------------------------------------------- steps


def do(exchange: Exchange) -> None:
    """The right answer."""
    status, _, body = exchange.done()
    exchange.send(status, body)


def refuse(code: str, message: str = "", status: int = 400, **more: Any) -> Step:
    """AWS's error of that code; `more` stands beside the message."""
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message, **more}
    return lambda exchange: exchange.send(status, json.dumps(body).encode())


def do_and_cut(exchange: Exchange) -> None:
    """Done, but the answer is lost."""
    exchange.done()
    exchange.cut()


def cut(exchange: Exchange) -> None:
    """Not done, and no answer."""
    exchange.cut()


def hang(exchange: Exchange) -> None:
    """No answer until the test says so, then the right one."""
    exchange.server.dynamo.release.wait()
    do(exchange)


def say(body: bytes, status: int = 200, **headers: str) -> Step:
    """Done, but answered with these bytes."""

    def step(exchange: Exchange) -> None:
        exchange.done()
        exchange.send(status, body, **headers)

    return step


def half(exchange: Exchange) -> None:
    """Done, but the answer breaks off in its middle."""
    status, _, body = exchange.done()
    exchange.send(status, body[: len(body) // 2], content_length=str(len(body)))
    exchange.cut()
