"""`devflow sandbox --once PROMPT`: the main job in the terminal, the thread printed as it grows.

Acts as a person through the stand-in's people, and believes nothing: session, prompt, answer, push, pull request and
stop are each looked up where they would stand (thread, store, git, GitHub), and only all of them make exit status 0.
"""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import signal
import sqlite3
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp

from slackbot.core.clipping import one_line
from slackbot.core.errors import DevflowError
from slackbot.core.session import Status
from slackbot.core.slack_text import plain_text
from slackbot.sandbox.main import Sandbox, SandboxOptions, open_sandbox
from slackbot.sandbox.slack.server import WELCOME_CHANNEL_ID, SlackStandIn
from slackbot.sandbox.state import SandboxState

PERSON = "U0ADA"
_MENTION = re.compile(r"<@[A-Z0-9]+>")

_LABELLED = re.compile(r"<https?://[^|<>]+\|([^<>]+)>")

STEP_SECONDS = 120.0
"""How long one step of the main job may take before it counts as not happened."""


async def run_once(options: SandboxOptions, environment: Mapping[str, str], *, real_github: bool) -> int:
    """0 when the whole main job happened, 1 when anything did not; what is missing is named."""
    if real_github:
        raise DevflowError("`--once` works on the stand-ins only.", "Unset GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY.")
    state = SandboxState(options.state_dir or Path(".devflow/demo"))
    options = SandboxOptions(
        repositories=options.repositories,
        port=0 if options.port is None and not (state.directory / "sandbox.json").exists() else options.port,
        once=options.once,
    )
    me = asyncio.current_task()
    assert me is not None  # noqa: S101  a coroutine that runs is in a task
    # Ctrl-C and SIGTERM end it in order, too: the session is stopped, and nothing is left running.
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, me.cancel)
    try:
        return await _run_in(state, options, environment)
    except asyncio.CancelledError:
        _say("\nStopped before all of it happened.")
        return 130


async def _run_in(state: SandboxState, options: SandboxOptions, environment: Mapping[str, str]) -> int:
    async with AsyncExitStack() as closing:
        sandbox = await open_sandbox(options, state, environment, closing, real_slack=False, real_github=False)
        assert sandbox.slack is not None  # noqa: S101  the real one was refused
        demo = _Demo(sandbox, sandbox.slack, state)
        printing = asyncio.create_task(demo.print_thread())
        try:
            await demo.run(options.once or "")
        except _Missing as missing:
            demo.print_new()
            _say(f"✗ {missing}\n  The bot's log is {state.bot_log}.")
            return 1
        finally:
            printing.cancel()
        demo.print_new()
    _say("✓ All of it happened: session, prompt, answer, push, pull request, stop.")
    _say(f"Kept in {state.directory}: the session in sessions.sqlite3, the repository in github/.")
    shown = shlex.quote(str(state.directory))
    _say(f"To see it in a browser: make sandbox STATE={shown} (without make: devflow sandbox --state {shown})")
    return 0


class _Missing(Exception):
    """A step of the main job did not happen."""


class _Demo:
    """One person at the keyboard, and a look behind the scenes after each step."""

    def __init__(self, sandbox: Sandbox, slack: SlackStandIn, state: SandboxState) -> None:
        self._sandbox = sandbox
        self._slack = slack
        self._state = state
        self._thread_ts: str | None = None
        self._shown: dict[str, str] = {}

    async def run(self, prompt: str) -> None:
        repository = self._sandbox.local_names[0] if self._sandbox.local_names else "demo/hello"
        command = prompt if prompt.strip().startswith(("start ", "/devflow ")) else f"start {repository} {prompt}"
        command = command.strip().removeprefix("/devflow ")
        person = self._slack.workspace.person(PERSON)["real_name"]
        _say(f"{person} types in #sandbox:  /devflow {command}\n")
        known = {message["ts"] for message in self._messages()}
        answer = await self._slack.people.command(PERSON, WELCOME_CHANNEL_ID, "/devflow", command)
        if not answer["ok"]:
            raise _Missing(f"The command was not taken: {answer['error']}")
        root = await self._until("a session", lambda: self._new_root(known))
        self._thread_ts = str(root["ts"])

        session = await self._until("a session in the store", self._item)
        await self._until("a running worker", lambda: self._has(status=Status.RUNNING))
        turn = await self._until("an answer to the prompt", self._ended_turn)
        if turn["state"] != "answered":
            raise _Missing(f"The prompt was not answered: it {turn['state']}. {turn.get('response', '')[:300]}")
        if "commit_sha" not in turn:
            raise _Missing("The prompt changed no file, so there is nothing to push. Try one that does.")
        branch = await self._branch_head(session)
        if branch != turn["commit_sha"]:
            raise _Missing(f"The branch {session['branch_name']} does not hold commit {turn['commit_sha'][:12]}.")
        await self._press("session_open_pr")
        await self._submit("the form of the pull request")
        number = (await self._until("a pull request", lambda: self._has(present="pr_number")))["pr_number"]
        pull = await self._get(f"/{session['repository_owner']}/{session['repository_name']}/pull/{number}")
        if pull != 200:
            raise _Missing(f"Pull request #{number} is not to be found on GitHub's stand-in.")
        await self._press("session_stop")
        await self._until("an end", lambda: self._has(status=Status.STOPPED, absent="ecs_task_arn"))
        await self._until("the thread's last word", lambda: self._has(absent="lease"))

    async def print_thread(self) -> None:
        """Prints each message of the thread when it comes, and again when it changes."""
        queue = self._slack.feed.subscribe()
        try:
            while await queue.get() is not None:
                self.print_new()
        finally:
            self._slack.feed.unsubscribe(queue)

    def print_new(self) -> None:
        """Prints what was not printed yet."""
        for message in self._thread():
            text = self._named(_words(message))
            before = self._shown.get(message["ts"])
            if not text or before == text:
                continue
            self._shown[message["ts"]] = text
            name = message.get("name") or message["user_id"]
            if before is None:
                _say(_indented(name, text.splitlines()))
            else:
                fresh = [line for line in text.splitlines() if line not in before.splitlines()]
                what = "the card" if message["ts"] == self._thread_ts else "this message"
                if fresh:
                    _say(_indented(f"{name} ({what} now says)", fresh))

    def _named(self, text: str) -> str:
        """Mentions with the person's name in them."""
        names = {f"<@{user['id']}>": f"@{user['name']}" for user in self._slack.workspace.store.all("user")}
        return _MENTION.sub(lambda match: names.get(match.group(), match.group()), text)

    # ------------------------------------------------------------------------------ looking

    def _messages(self) -> list[dict[str, Any]]:
        return self._slack.people.messages(PERSON, WELCOME_CHANNEL_ID)[0]

    def _thread(self) -> list[dict[str, Any]]:
        if self._thread_ts is None:
            return []
        return self._slack.people.thread(PERSON, WELCOME_CHANNEL_ID, self._thread_ts)

    def _new_root(self, known: set[str]) -> dict[str, Any] | None:
        for message in self._messages():
            if message["ts"] not in known:
                if message.get("is_ephemeral"):
                    raise _Missing(f"The command was refused: {_words(message)}")
                return message
        return None

    def _item(self) -> dict[str, Any] | None:
        """The session's item, read from SQLite by plain SQL."""
        if self._thread_ts is None:
            return None
        with sqlite3.connect(f"file:{self._state.store_path}?mode=ro", uri=True) as connection:
            rows = connection.execute("SELECT item FROM devflow_sessions").fetchall()
        connection.close()
        items = [json.loads(row[0]) for row in rows]
        return next((item for item in items if item["slack"]["thread_ts"] == self._thread_ts), None)

    def _has(
        self, *, status: Status | None = None, present: str | None = None, absent: str | None = None
    ) -> dict[str, Any] | None:
        item = self._item()
        if item is None:
            return None
        if item["status"] == Status.ERROR:
            raise _Missing(f"The session failed: {item.get('error_message')}")
        right = (
            (status is None or item["status"] == status)
            and (present is None or present in item)
            and (absent is None or absent not in item)
        )
        return item if right else None

    def _ended_turn(self) -> dict[str, Any] | None:
        item = self._has()
        turn = item["history"][0] if item and item["history"] else None
        return turn if turn and turn["state"] in ("answered", "failed", "cancelled") and "response_ts" in turn else None

    async def _branch_head(self, item: Mapping[str, Any]) -> str:
        repository = f"{self._sandbox.addresses['github_url']}/{item['repository_owner']}/{item['repository_name']}.git"
        process = await asyncio.create_subprocess_exec(
            "git",
            "ls-remote",
            "--",
            repository,
            f"refs/heads/{item['branch_name']}",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        output, _ = await process.communicate()
        return output.decode().split("\t")[0]

    async def _get(self, path: str) -> int:
        url = self._sandbox.addresses["github_url"] + path
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            return answer.status

    async def _press(self, action_id: str) -> None:
        """Presses a button of the thread, the newest one of its kind."""

        def button() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]] | None:
            for message in reversed(self._thread()):
                for block in message.get("blocks") or ():
                    for element in block.get("elements") or () if block["type"] == "actions" else ():
                        if element.get("action_id") == action_id:
                            return message, block, element
            return None

        message, block, element = await self._until(f"a button {action_id}", button)
        answer = await self._slack.people.press(
            PERSON,
            block_id=block["block_id"],
            action_id=action_id,
            channel_id=WELCOME_CHANNEL_ID,
            message_ts=message["ts"],
        )
        if not answer["ok"]:
            raise _Missing(f"The button {element['text']['text']} was not taken: {answer['error']}")

    async def _submit(self, what: str) -> None:
        """Sends the form that is open, filled in as it came."""

        def form() -> dict[str, Any] | None:
            views = self._slack.people.open_views(PERSON)
            return views[-1] if views else None

        view = await self._until(what, form)
        _say(_indented(f"{self._slack.workspace.person(PERSON)['real_name']} sends the form", _filled_in(view)))
        answer = await self._slack.people.submit_view(PERSON, view["id"])
        if not answer["ok"]:
            raise _Missing(f"{what} was not taken: {answer.get('errors') or answer.get('error')}")

    async def _until(self, what: str, look: Callable[[], Any]) -> Any:
        """What `look` finds, as soon as it finds something."""
        try:
            async with asyncio.timeout(STEP_SECONDS):
                while True:
                    found = look()
                    if found is not None:
                        return found
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise _Missing(f"There was no sign of {what} within {STEP_SECONDS:.0f} seconds.") from error


def _words(message: Mapping[str, Any]) -> str:
    """What a message says, its blocks' text without markup; buttons in brackets."""
    lines = []
    for block in message.get("blocks") or ():
        parts = _texts(block)
        if parts:
            lines.append(" · ".join(parts))
    return "\n".join(lines) or plain_text(str(message.get("text") or ""))


def _filled_in(view: Mapping[str, Any]) -> list[str]:
    """The fields of a form that one line can show."""
    lines = []
    for block in view["blocks"]:
        if block.get("type") == "input":
            value = block["element"].get("initial_value") or (block["element"].get("initial_option") or {}).get("value")
            lines.append(f"{block['label']['text']}: {one_line(str(value or '–'), 70)}")
    return lines


def _texts(part: Any) -> list[str]:
    if isinstance(part, Mapping):
        if part.get("type") == "button":
            return [f"[{one_line(str(part['text']['text']), 40)}]"]
        if part.get("type") == "section" and part.get("fields"):
            return [": ".join(_readable(str(field["text"])).replace("*", "").split("\n")) for field in part["fields"]]
        found = []
        for name in ("text", "fields", "elements"):
            value = part.get(name)
            found += [_readable(value)] if isinstance(value, str) else _texts(value)
        return [text for text in found if text.strip()]
    if isinstance(part, list):
        return [text for inner in part for text in _texts(inner)]
    return []


def _readable(mrkdwn: str) -> str:
    """Links by their label, as a page would show them."""
    return plain_text(_LABELLED.sub(r"\1", mrkdwn))


def _indented(name: str, lines: list[str]) -> str:
    body = "\n".join(f"  │ {line}" for line in lines)
    return f"{name}\n{body}\n"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
