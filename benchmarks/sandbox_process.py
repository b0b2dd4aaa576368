"""A `devflow sandbox` as a process of its own, used as its page uses it: through HTTP, with `DEVFLOW_AGENT` at will."""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlencode, urlsplit

USER_ID, CHANNEL_ID = "U0ADA", "C0SANDBOX"
START_SECONDS, END_SECONDS = 60.0, 60.0


class SandboxProcess:
    """Runs from `with` to the end of the block. `ready_seconds`: from the process's start to its line of JSON."""

    def __init__(self, state_dir: Path, **environment: str) -> None:
        self.state_dir = state_dir
        self._environment = environment

    def __enter__(self) -> SandboxProcess:
        # What this shell has set for the real systems is not meant here.
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DEVFLOW_", "SLACK_", "GITHUB_", "AWS_"))
        }
        command = [sys.executable, "-m", "slackbot", "sandbox", "--state", str(self.state_dir), "--port", "0", "--json"]
        with self.state_dir.with_suffix(".stderr").open("a") as stderr:
            began_at = time.perf_counter()
            self._process = subprocess.Popen(
                command,
                env={**inherited, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], START_SECONDS)
        line = self._process.stdout.readline() if readable else b""
        self.ready_seconds = time.perf_counter() - began_at
        if not line:
            self._end()
            raise RuntimeError(f"the sandbox did not start:\n{self.state_dir.with_suffix('.stderr').read_text()}")
        self.addresses: dict[str, str] = json.loads(line)
        slack = urlsplit(self.addresses["slack_url"])
        self._connection = http.client.HTTPConnection(slack.hostname or "", slack.port, timeout=30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        self._end()

    def act(self, name: str, **body: Any) -> dict[str, Any]:
        """What a person does on the page: `POST /sandbox/api/NAME`."""
        content = json.dumps({"user_id": USER_ID, "channel_id": CHANNEL_ID, **body})
        self._connection.request("POST", f"/sandbox/api/{name}", content, {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        answer = json.loads(response.read())
        if response.status != 200 or not answer.get("ok"):
            raise RuntimeError(f"the page's {name} was refused: {answer}")
        return dict(answer)

    def read(self, name: str) -> dict[str, Any]:
        """What the page asks for: `GET /sandbox/api/NAME`."""
        self._connection.request("GET", f"/sandbox/api/{name}")
        return dict(json.loads(self._connection.getresponse().read()))

    def thread_texts(self, thread_ts: str) -> list[str]:
        """The messages of a thread as the page gets them, each as JSON text."""
        query = urlencode({"user_id": USER_ID, "channel_id": CHANNEL_ID, "thread_ts": thread_ts})
        self._connection.request("GET", f"/sandbox/api/thread?{query}")
        response = self._connection.getresponse()
        answer = json.loads(response.read())
        return [json.dumps(message, ensure_ascii=False) for message in answer.get("messages", [])]

    def _end(self) -> None:
        """As Ctrl-C does: sessions are stopped, nothing is left running."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
