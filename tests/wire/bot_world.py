"""The bot in this process, over real wires: Bolt on a WebSocket, PyGithub and workers over HTTP, SQLite on disk.

Slack and GitHub are the sandbox's stand-ins; tasks are `FakeTasks`, whose workers tests play by `worker.py`, unless
a test asks for real processes. Tests act as persons (`Person`) and look at what the thread shows (`SessionThread`).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from slackbot.app import BotReady, run_bot
from slackbot.app_parts import Pace
from slackbot.config import load_settings
from slackbot.core.ports import SessionStore, Tasks
from slackbot.core.session import derive_session_id
from slackbot.sandbox.github.demo import seed_demo
from slackbot.sandbox.github.server import GithubStandIn
from slackbot.sandbox.slack.server import SlackStandIn
from slackbot.sandbox.welcome import SHORTCUTS
from tests.fakes.tasks import FakeTasks
from tests.wire.worker import ScriptedWorker

T = TypeVar("T")

BOT = "U0DEVFLOW"
SECRET = "0123456789abcdef0123456789abcdef"
COMMANDS = [{"command": "/devflow", "usage_hint": "start owner/repo PROMPT", "description": "Starts a session"}]
PACE = Pace(retry=0.05, first_progress=0.0, long_poll=5.0, catch_up=0.01, drain=3.0)


async def until(look: Callable[[], T | Awaitable[T | None] | None], what: str = "", seconds: float = 60.0) -> T:
    """What `look` finds, as soon as it finds something; never waits for a time."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        found = look()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"what was waited for did not come: {what or look}")
        await asyncio.sleep(0.01)


class BotWorld:
    """The stand-ins, the store's file, and the bot that runs between them; the bot may be ended and begun again."""

    def __init__(self, directory: Path, slack: SlackStandIn, github: GithubStandIn, http: aiohttp.ClientSession):
        self.directory = directory
        self.slack = slack
        self.github = github
        self.http = http
        self.tasks = FakeTasks()
        self.store_path = directory / "sessions.sqlite3"
        self.ready: BotReady | None = None
        self._bot: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._numbers = itertools.count(1)

    async def start_bot(
        self,
        *,
        store: SessionStore | None = None,
        tasks: Tasks | None = None,
        stop_sessions_at_end: bool = False,
        pace: Pace = PACE,
        **settings: str,
    ) -> None:
        """Begins the bot and waits until it hears Slack. `settings` go on top of the world's own."""
        ready: asyncio.Future[BotReady] = asyncio.get_running_loop().create_future()
        self._stop = asyncio.Event()
        given = load_settings({**self.environment, **settings})
        running = run_bot(
            given,
            stop=self._stop,
            on_ready=ready.set_result,
            stop_sessions_at_end=stop_sessions_at_end,
            store=store,
            tasks=tasks or self.tasks,
            pace=pace,
        )
        self._bot = asyncio.create_task(running)
        await asyncio.wait((self._bot, ready), return_when=asyncio.FIRST_COMPLETED)
        if self._bot.done():
            await self._bot
        self.ready = ready.result()

    async def stop_bot(self) -> None:
        """Ends it in order."""
        self._stop.set()
        if self._bot is not None:
            await self._bot
            self._bot = None

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "SLACK_API_URL": self.slack.api_url,
            "SLACK_BOT_TOKEN": "xoxb-of-a-test",
            "SLACK_APP_TOKEN": "xapp-of-a-test",
            "GITHUB_API_URL": self.github.api_url,
            "GITHUB_APP_ID": "1",
            "GITHUB_APP_PRIVATE_KEY": self.github.private_key_pem,
            "DEVFLOW_STORE": f"sqlite:{self.store_path}",
            "DEVFLOW_TASKS": "local",
            "DEVFLOW_STATE_DIR": str(self.directory),
            "DEVFLOW_GATEWAY_LISTEN": "127.0.0.1:0",
            "DEVFLOW_SECRET": SECRET,
            "DEVFLOW_ALLOWED_USERS": "*",
            "DEVFLOW_RECONCILE_SECONDS": "0.1",
            "DEVFLOW_PULL_REQUEST_SECONDS": "0.3",
            "DEVFLOW_MERGE": "true",
            "DEVFLOW_MAX_SESSIONS": "500",
        }

    @property
    def gateway_url(self) -> str:
        assert self.ready is not None
        return self.ready.gateway_url

    def someone(self, name: str = "someone", **facts: Any) -> Person:
        """A person nobody else of these tests is, in a channel of their own that the bot is in."""
        number = next(self._numbers)
        user_id = self.slack.workspace.add_user(f"U0T{number:04d}", f"{name}{number}", **facts)
        channel_id = f"C0T{number:04d}"
        self.slack.workspace.add_channel(channel_id, f"room{number}", members=[user_id, BOT])
        return Person(self, user_id, channel_id)

    def items(self) -> list[dict[str, Any]]:
        """Every stored session's item, read by plain SQL."""
        connection = sqlite3.connect(f"file:{self.store_path}?mode=ro", uri=True)
        try:
            return [
                json.loads(row[0])
                for row in connection.execute("SELECT item FROM devflow_sessions WHERE user_id <> ''")
            ]
        finally:
            connection.close()

    def expire(self, session_id: str) -> None:
        """Makes the item one that is gone, as its `ttl` would."""
        connection = sqlite3.connect(self.store_path)
        try:
            connection.execute("DELETE FROM devflow_sessions WHERE session_id = ?", (session_id,))
            connection.commit()
        finally:
            connection.close()

    async def branches(self, full_name: str) -> dict[str, str]:
        """branch name -> commit id, as git has it."""
        row = self.github.world.store.repository(full_name)
        assert row is not None
        return dict(await self.github.world.git(row).branches())

    async def repository(self, **facts: Any) -> str:
        """A repository of its own for one test; its name."""
        full_name = f"demo/r{next(self._numbers)}"
        await self.github.create_repository(full_name, **facts)
        return full_name


@dataclass(frozen=True)
class Person:
    """Somebody at the keyboard, in a channel."""

    world: BotWorld
    user_id: str
    channel_id: str

    def beside(self, other: Person) -> Person:
        """The same person, in the other's channel."""
        self.world.slack.workspace.join(other.channel_id, self.user_id)
        return Person(self.world, self.user_id, other.channel_id)

    async def types(self, text: str) -> str:
        """`/devflow TEXT`; what this person alone reads then ("" = nothing)."""
        before = {message["ts"] for message in self.private()}
        outcome = await self.world.slack.people.command(self.user_id, self.channel_id, "/devflow", text)
        assert outcome == {"ok": True}, outcome
        return "\n".join(words(message) for message in self.private() if message["ts"] not in before)

    async def starts(self, repository: str, prompt: str = "echo hi") -> SessionThread:
        """`/devflow start`, which must be taken."""
        before = {message["ts"] for message in self.public()}
        assert await self.types(f"start {repository} {prompt}") == ""
        (root,) = [message for message in self.public() if message["ts"] not in before]
        return SessionThread(self.world, self.channel_id, str(root["ts"]))

    def all_messages(self) -> list[dict[str, Any]]:
        return self.world.slack.people.messages(self.user_id, self.channel_id)[0]

    def public(self) -> list[dict[str, Any]]:
        """What stands in the channel for all to see."""
        return [message for message in self.all_messages() if not message.get("is_ephemeral")]

    def private(self) -> list[dict[str, Any]]:
        """What only this person sees, in the channel."""
        return [message for message in self.all_messages() if message.get("is_ephemeral")]

    async def says(self, thread: SessionThread, text: str) -> str:
        """A reply in the thread; its ts."""
        return await self.world.slack.people.post_message(
            self.user_id, thread.channel_id, text, thread_ts=thread.thread_ts
        )

    async def calls(self, text: str, thread_ts: str | None = None) -> str:
        """Writes to the bot by name, in the channel or in a thread; the message's ts."""
        return await self.world.slack.people.post_message(
            self.user_id, self.channel_id, f"<@{BOT}> {text}", thread_ts=thread_ts
        )

    async def reads(self, sentence: str, thread_ts: str | None = None) -> dict[str, Any]:
        """Waits for a message for this person alone that says so, in the channel or in a thread."""

        def look() -> dict[str, Any] | None:
            people = self.world.slack.people
            shown = (
                people.thread(self.user_id, self.channel_id, thread_ts)
                if thread_ts
                else people.messages(self.user_id, self.channel_id)[0]
            )
            found = [message for message in shown if message.get("is_ephemeral") and sentence in words(message)]
            return found[-1] if found else None

        return await until(look, f"{sentence!r} told in private")

    async def presses_on(self, message: Mapping[str, Any], label: str) -> dict[str, Any]:
        """Presses a button of one message; what the page shows of it."""
        (found,) = [
            (block["block_id"], element["action_id"])
            for block in message["blocks"]
            for element in block.get("elements") or ()
            if block["type"] == "actions" and element["text"]["text"] == label
        ]
        return await self.world.slack.people.press(
            self.user_id, found[1], block_id=found[0], channel_id=self.channel_id, message_ts=message["ts"]
        )

    def form(self) -> dict[str, Any] | None:
        """The modal that lies on top for this person."""
        stack = self.world.slack.views.stack(self.user_id)
        return stack[-1] if stack else None

    async def told_in_form(self, what: str = "a form") -> dict[str, Any]:
        return await until(self.form, what)

    async def submits(self, view: Mapping[str, Any], **fields: str) -> dict[str, Any]:
        """Fills in fields of the form by name (`repository`, `prompt`, ...) and sends it; what comes of it."""
        values: dict[str, Any] = {}
        for name, value in fields.items():
            key = f"form_{name}"
            chosen = {"text": {"type": "plain_text", "text": value}, "value": value}
            given = {"prompt": {"value": value}, "channel": {"selected_conversation": value}}
            values[key] = {key: given.get(name, {"selected_option": chosen})}
        return await self.world.slack.people.submit_view(self.user_id, view["id"], values)

    def told_in(self, thread: SessionThread) -> str:
        """What only this person sees in the thread."""
        shown = self.world.slack.people.thread(self.user_id, thread.channel_id, thread.thread_ts)
        return "\n".join(words(message) for message in shown if message.get("is_ephemeral"))

    async def is_told(self, thread: SessionThread, sentence: str, *, times: int = 1) -> None:
        """Waits until the private messages of the thread say this."""
        await until(lambda: self.told_in(thread).count(sentence) >= times, f"{sentence!r} told in private")

    async def presses_what_is_told(self, thread: SessionThread, label: str) -> None:
        """Presses a button of the newest message that only this person sees in the thread."""
        shown = self.world.slack.people.thread(self.user_id, thread.channel_id, thread.thread_ts)
        (*_, told) = [message for message in shown if message.get("is_ephemeral")]
        assert (await self.presses_on(told, label))["ok"]

    async def presses(self, thread: SessionThread, label: str, *, under: str = "") -> dict[str, Any]:
        """Presses the thread's newest button of that label, or that of the message `under`; the element as it was."""
        message, block, element = await until(lambda: thread.button(label, under), f"a button {label}")
        outcome = await self.world.slack.people.press(
            self.user_id,
            element["action_id"],
            block_id=block["block_id"],
            channel_id=thread.channel_id,
            message_ts=message["ts"],
        )
        assert outcome["ok"], outcome
        return element

    async def opens_pull_request(self, thread: SessionThread, **values: Any) -> dict[str, Any]:
        """Presses "Open PR" and sends the form, `values` by the names of its inputs; the form as it came."""
        await self.presses(thread, "Open PR")
        people = self.world.slack.people
        view = (await until(lambda: people.open_views(self.user_id), "the form"))[-1]
        given = {f"pull_request_{name}": {f"pull_request_{name}": value} for name, value in values.items()}
        outcome = await people.submit_view(self.user_id, view["id"], given)
        assert outcome["ok"], outcome
        return dict(view)


@dataclass(frozen=True)
class SessionThread:
    """A thread, seen from outside: Slack's page, the store's file, the fake tasks."""

    world: BotWorld
    channel_id: str
    thread_ts: str

    @property
    def session_id(self) -> str:
        return derive_session_id("T0SANDBOX", self.channel_id, self.thread_ts)

    def item(self) -> dict[str, Any]:
        """The session's item; {} when there is none."""
        return next((item for item in self.world.items() if item["session_id"] == self.session_id), {})

    def turns(self) -> list[dict[str, Any]]:
        return list(self.item().get("history", ()))

    def messages(self) -> list[dict[str, Any]]:
        """Root first; what one person alone sees is left out."""
        shown = self.world.slack.people.thread("U0ADA", self.channel_id, self.thread_ts)
        return [message for message in shown if not message.get("is_ephemeral")]

    def said(self) -> list[str]:
        """The bot's messages below the root, in words."""
        return [words(message) for message in self.messages()[1:] if message["bot"]]

    def card(self) -> str:
        return words(self.messages()[0])

    def of_type(self, event_type: str) -> list[dict[str, Any]]:
        """The bot's messages with that metadata (`devflow_answer`, `devflow_progress`, ...)."""
        return [
            message for message in self.messages() if (message.get("metadata") or {}).get("event_type") == event_type
        ]

    def marks(self, ts: str) -> set[str]:
        """The bot's reactions to a message."""
        (message,) = [message for message in self.messages() if message["ts"] == ts]
        return {mark["name"] for mark in message["reactions"] if BOT in mark["users"]}

    def button(self, label: str, under: str = "") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]] | None:
        """(message, block, element) of the newest button of that label; `under`: of the message of that ts."""
        for message in reversed([message for message in self.messages() if under in ("", message["ts"])]):
            for block in message.get("blocks") or ():
                row = block.get("elements") or () if block["type"] == "actions" else ()
                for element in (*row, *([block["accessory"]] if "accessory" in block else [])):
                    if element["text"]["text"] == label:
                        return message, block, element
        return None

    def requests(self) -> list[Any]:
        """What was asked of the tasks for this session, launch by launch."""
        return [request for request in self.world.tasks.requests if request.session_id == self.session_id]

    async def worker(self, launch_number: int = 1, *, ready: bool = True) -> ScriptedWorker:
        """The worker of the n-th launch, once its task was asked for; `ready`: it has said so."""
        await until(lambda: len(self.requests()) >= launch_number, f"launch {launch_number}")
        worker = ScriptedWorker(self.world.http, self.requests()[launch_number - 1].environment)
        arn = await until(lambda: self.item().get("ecs_task_arn"), "a task in the item")
        self.world.tasks.advance(arn, "RUNNING")
        if ready:
            await worker.ready()
        return worker

    async def shows(self, sentence: str) -> None:
        """Waits until the bot says this in the thread (the card included)."""
        await until(
            lambda: any(sentence in text for text in [self.card(), *self.said()]),
            f"{sentence!r} in the thread",
        )

    async def is_(self, status: str) -> dict[str, Any]:
        """Waits for the status, and returns the item."""
        return await until(lambda: self.item() if self.item().get("status") == status else None, f"status {status}")

    async def is_settled(self) -> dict[str, Any]:
        """Waits until nothing is owed any more; the item then. Tasks that were told to stop do so."""

        def look() -> dict[str, Any] | None:
            for task in self.world.tasks.tasks:
                if task.session_id == self.session_id and task.stop_code is not None:
                    self.world.tasks.advance(task.task_arn, "STOPPED")
            item = self.item()
            return item if "lease" not in item else None

        return await until(look, "nothing owed")

    async def turn(self, number: int, *states: str, told: bool = True) -> dict[str, Any]:
        """Waits until turn `number` (from 1) has one of these states, and by default until the thread knows."""

        def look() -> dict[str, Any] | None:
            turns = self.turns()
            found = turns[number - 1] if len(turns) >= number else None
            if found is None or found["state"] not in states or (told and "response_ts" not in found):
                return None
            return found

        return await until(look, f"turn {number} in {states}")


def words(message: Mapping[str, Any]) -> str:
    """All that a message shows, without its buttons: the texts of its blocks, else its text."""
    texts = [text for block in message.get("blocks") or () for text in _texts(block)]
    return "\n".join(texts) or str(message.get("text") or "")


def _texts(part: Any) -> list[str]:
    if isinstance(part, Mapping):
        if part.get("type") == "button":
            return []
        found = []
        for name in ("text", "fields", "elements"):
            value = part.get(name)
            found += [value] if isinstance(value, str) else _texts(value)
        return found
    return [text for inner in part for text in _texts(inner)] if isinstance(part, list) else []


@asynccontextmanager
async def bot_world(directory: Path, **options: Any) -> AsyncIterator[BotWorld]:
    """The stand-ins, with the demo's repositories; the bot is not begun. `options` go to Slack's stand-in."""
    github = GithubStandIn(directory / "github")
    slack = SlackStandIn(
        directory / "slack.sqlite3",
        bot_token="xoxb-of-a-test",
        app_token="xapp-of-a-test",
        commands=COMMANDS,
        shortcuts=SHORTCUTS,
        **{"retry_delays_seconds": (0.02, 0.05, 0.1), **options},
    )
    await github.start()
    await slack.start()
    await seed_demo(github)
    async with aiohttp.ClientSession() as http:
        world = BotWorld(directory, slack, github, http)
        try:
            yield world
        finally:
            await world.stop_bot()
            await slack.stop()
            await github.stop()
