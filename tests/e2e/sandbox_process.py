"""A `devflow sandbox` as a process of its own, and people who use its page through HTTP.

Nothing of the product is imported: what is told here is what a user, `git`, `sqlite3` and `ps` can see.
"""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

T = TypeVar("T")

DEVFLOW = str(Path(sys.executable).parent / "devflow")
CHANNEL_ID = "C0SANDBOX"
ADA, GRACE = "U0ADA", "U0GRACE"
PATIENCE_SECONDS = 60.0
END_SECONDS = 120.0
"""What the sandbox itself allows for starting a dead bot again, letting it stop the sessions, and ending the tasks."""

Json = dict[str, Any]


def until(what: str, look: Callable[[], T | None]) -> T:
    """What `look` finds, as soon as it finds something that is neither None nor False."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = look()
        if found is not None and found is not False:
            return found
        assert time.monotonic() < deadline, f"no sign of {what}"
        time.sleep(0.03)


def devflow(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the console script to its end."""
    return subprocess.run(
        [DEVFLOW, *arguments],
        env={**os.environ, **environment},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )


class SandboxProcess:
    """One sandbox on one state directory, started as often as a test likes."""

    def __init__(self, state_dir: Path, *arguments: str, **environment: str) -> None:
        self.state_dir = state_dir
        self._arguments = arguments
        self._environment = environment
        self._process: subprocess.Popen[str] | None = None
        self.addresses: dict[str, str] = {}

    def __enter__(self) -> SandboxProcess:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.kill_tasks()

    @property
    def stderr_path(self) -> Path:
        return self.state_dir.with_name(self.state_dir.name + ".stderr")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def bot_pid(self) -> int | None:
        """The bot: the child of the sandbox that runs its module."""
        for pid, parent, command in process_table():
            if parent == self.pid and "slackbot.sandbox.bot_process" in command:
                return pid
        return None

    def start(self) -> SandboxProcess:
        """Starts it and reads the line that says that it is ready."""
        with self.stderr_path.open("a") as stderr:
            self._process = subprocess.Popen(
                [DEVFLOW, "sandbox", "--state", str(self.state_dir), "--port", "0", "--json", *self._arguments],
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], PATIENCE_SECONDS)
        line = self._process.stdout.readline() if readable else ""
        if not line:
            self.kill()
        assert line, f"the sandbox did not start: {self.stderr_path.read_text()}"
        self.addresses = json.loads(line)
        return self

    def end(self, signal_number: int = signal.SIGINT) -> int:
        """Signals it and waits; the exit status."""
        assert self._process is not None
        self._process.send_signal(signal_number)
        status = self._process.wait(END_SECONDS)
        assert self._process.stdout is not None
        assert self._process.stdout.read() == "", "with --json, stdout has one line"
        self._process.stdout.close()
        return status

    def kill(self) -> None:
        """kill -9, as an outage would; waits until the bot has gone with it."""
        process = self._process
        if process is None:
            return
        bot_pid = self.bot_pid if process.poll() is None else None
        process.kill()
        process.wait(PATIENCE_SECONDS)
        if process.stdout is not None:
            process.stdout.close()
        if bot_pid is not None:
            until("the end of the bot", lambda: not is_alive(bot_pid))

    def kill_tasks(self) -> None:
        """Leaves nothing of a test behind."""
        for pid in self.task_pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    # What can be seen from outside

    def items(self) -> list[Json]:
        """The items of the table, newest first, read by plain SQL."""
        path = self.state_dir / "sessions.sqlite3"
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
        try:
            rows = connection.execute("SELECT item FROM devflow_sessions ORDER BY created_at DESC").fetchall()
        finally:
            connection.close()
        return [json.loads(row[0]) for row in rows]

    def item(self, thread_ts: str) -> Json | None:
        return next((item for item in self.items() if item["slack"]["thread_ts"] == thread_ts), None)

    def item_with(self, thread_ts: str, what: str, check: Callable[[Json], Any]) -> Json:
        """The session's item once `check` holds for it."""

        def look() -> Json | None:
            item = self.item(thread_ts)
            return item if item is not None and check(item) else None

        return until(what, look)

    def ls_remote(self, item: Mapping[str, Any]) -> str | None:
        """The head of the session's branch, by git."""
        address = f"{self.addresses['github_url']}/{item['repository_owner']}/{item['repository_name']}.git"
        output = subprocess.run(
            ["git", "ls-remote", "--", address, f"refs/heads/{item['branch_name']}"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout
        return output.split("\t")[0] or None

    def task_state(self, task_arn: str) -> Json:
        path = self.state_dir / "tasks" / task_arn.rpartition("/")[2] / "state.json"
        state: Json = json.loads(path.read_text())
        return state

    def task_pids(self) -> list[int]:
        """Every process of every task of this state: by the marker in its environment."""
        tasks = self.state_dir / "tasks"
        task_ids = [entry.name for entry in tasks.iterdir()] if tasks.is_dir() else []
        return processes_marked([f"DEVFLOW_TASK_ID={task_id}" for task_id in task_ids])

    def supervisor_pids(self) -> list[int]:
        return [pid for pid, _, command in process_table() if str(self.state_dir) in command and pid != self.pid]

    def log(self) -> str:
        return (self.state_dir / "bot.log").read_text()

    # People

    def get(self, path: str, **query: str) -> Json:
        return self._ask("GET", f"/sandbox/api/{path}?{urlencode(query)}")

    def act(self, path: str, user_id: str = ADA, **body: Any) -> Json:
        return self._ask("POST", f"/sandbox/api/{path}", {"user_id": user_id, "channel_id": CHANNEL_ID, **body})

    def start_session(self, text: str, user_id: str = ADA) -> str:
        """Types `/devflow text`; the ts of the thread that came of it."""
        known = {message["ts"] for message in self.messages(user_id)}
        answer = self.act("command", user_id, command="/devflow", text=text)
        assert answer == {"ok": True}

        def fresh() -> Json | None:
            return next((message for message in self.messages(user_id) if message["ts"] not in known), None)

        root = until("an answer to the command", fresh)
        assert not root.get("is_ephemeral"), root["text"]
        return str(root["ts"])

    def refused(self, text: str, user_id: str = ADA) -> str:
        """Types `/devflow text`, which is refused: what only this person is told."""
        known = {message["ts"] for message in self.messages(user_id)}
        self.act("command", user_id, command="/devflow", text=text)

        def fresh() -> Json | None:
            return next((message for message in self.messages(user_id) if message["ts"] not in known), None)

        said = until("an answer to the command", fresh)
        assert said.get("is_ephemeral")
        return words(said)

    def reply(self, thread_ts: str, text: str, user_id: str = ADA) -> str:
        answer = self.act("post", user_id, text=text, thread_ts=thread_ts)
        assert answer["ok"], answer
        return str(answer["ts"])

    def press(self, thread_ts: str, action_id: str, user_id: str = ADA) -> None:
        """Presses the newest button of this kind in the thread, once it is there."""

        def button() -> tuple[str, str] | None:
            for message in reversed(self.thread(thread_ts, user_id)):
                for block in message.get("blocks") or ():
                    for element in (block.get("elements") or ()) if block["type"] == "actions" else ():
                        if element.get("action_id") == action_id:
                            return message["ts"], block["block_id"]
            return None

        ts, block_id = until(f"a button {action_id}", button)
        answer = self.act("action", user_id, action_id=action_id, block_id=block_id, message_ts=ts)
        assert answer["ok"], answer

    def open_pull_request(self, thread_ts: str, user_id: str = ADA) -> None:
        """Presses "Open PR" and sends the form as it came."""
        self.press(thread_ts, "session_open_pr", user_id)
        view = until("the form", lambda: self.get("bootstrap", user_id=user_id)["views"])[-1]
        answer = self.act("view_submit", user_id, view_id=view["id"], values={})
        assert answer["ok"], answer

    def messages(self, user_id: str = ADA) -> list[Json]:
        found: list[Json] = self.get("messages", user_id=user_id, channel_id=CHANNEL_ID)["messages"]
        return found

    def thread(self, thread_ts: str, user_id: str = ADA) -> list[Json]:
        found = self.get("thread", user_id=user_id, channel_id=CHANNEL_ID, thread_ts=thread_ts)["messages"]
        return list(found)

    def thread_says(self, thread_ts: str, *parts: str) -> Json:
        """The message of the thread that holds all `parts`, once there is one."""

        def look() -> Json | None:
            return next((m for m in self.thread(thread_ts) if all(part in words(m) for part in parts)), None)

        try:
            return until(f"a message with {parts}", look)
        except AssertionError as error:
            said = "\n".join(words(message) for message in self.thread(thread_ts))
            raise AssertionError(f"{error} in:\n{said}") from None

    def _ask(self, method: str, path: str, body: Json | None = None) -> Json:
        status, text = fetch(self.addresses["slack_url"] + path, method, body)
        answer = json.loads(text)
        assert status == 200, answer
        return dict(answer)


def fetch(url: str, method: str = "GET", body: Json | None = None) -> tuple[int, str]:
    """One HTTP exchange with this machine: (status, text)."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        headers = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def words(message: Mapping[str, Any]) -> str:
    """All text of a message: its own and that of its blocks."""
    return json.dumps([message.get("text"), message.get("blocks")], ensure_ascii=False)


def turn(item: Mapping[str, Any], prompt: str) -> Json:
    """The turn of the history with this prompt; empty when there is none."""
    return next((dict(entry) for entry in item["history"] if entry["prompt"] == prompt), {})


def process_table() -> list[tuple[int, int, str]]:
    """(pid, parent, command line) of what runs; zombies run no more."""
    output = subprocess.run(
        ["ps", "-axww", "-o", "pid=,ppid=,stat=,command="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(None, 3) for line in output.splitlines()]
    return [(int(row[0]), int(row[1]), row[3]) for row in rows if len(row) == 4 and not row[2].startswith("Z")]


def processes_marked(markers: list[str]) -> list[int]:
    """Processes of this user with one of these words in their environment."""
    if not markers:
        return []
    flags = "axeww" if sys.platform == "linux" else "-axEww"
    output = subprocess.run(["ps", flags, "-o", "pid=,stat=,command="], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in output.stdout.splitlines()]
    wanted = set(markers)
    return [int(row[0]) for row in rows if len(row) == 3 and row[1][0] != "Z" and wanted & set(row[2].split())]


def is_alive(pid: int) -> bool:
    """Whether a process runs under this pid (a zombie does not)."""
    return any(row[0] == pid for row in process_table())
