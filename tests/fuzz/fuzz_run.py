"""One run of the fuzzer: a bot on real wires, strangers who send what they like, and what must be so afterwards.

Every envelope is acknowledged, nothing is logged as a fault of the bot's own, and no session of others is touched.
`test_fuzz.py` runs it short, `python -m tests.fuzz` as long as one likes.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from slackbot import worker_protocol as wp
from slackbot.app_parts import Pace
from slackbot.gateway.webhooks import pull_request_event
from slackbot.views import action_ids
from tests.fuzz import envelopes, mutations
from tests.wire.bot_world import BotWorld, Person, SessionThread, bot_world, until
from tests.wire.worker import ScriptedWorker, turn_path

ACK_SECONDS = 180.0
"""That it is acknowledged is what counts here; on a slow machine that may come late."""
AT_ONCE = 24
BEAT_SECONDS = 0.1
STALL_SECONDS = 2.0
MALLORY = "U0MALLORY"
"""Let in, and no more to the others' sessions than a participant."""

GUEST = "U0GUEST"
"""Not let in."""

PACE = Pace(retry=0.05, first_progress=0.0, long_poll=0.0, catch_up=0.01, drain=3.0)


@dataclass
class Outcome:
    """What was tried, and what did not hold (empty = all did)."""

    seed: int
    cases: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)
    """What the bot logged as worth knowing, by its name: a connection made anew, an outage."""
    stalls: list[float] = field(default_factory=list)
    """For how long the loop of bot and stand-ins answered nobody, in seconds, where that was long."""

    def __str__(self) -> str:
        tried = ", ".join(f"{count} {name}" for name, count in sorted(self.cases.items()))
        said = ", ".join(f"{count} x {name}" for name, count in sorted(self.answers.items()))
        lines = [f"seed {self.seed}: {self.cases.total()} cases ({tried}); answers: {said}"]
        if self.told or self.stalls:
            told = ", ".join(f"{count} x {name}" for name, count in sorted(self.told.items()))
            lines.append(f"  logged: {told or 'nothing'}; stalls: {[round(s, 1) for s in self.stalls[:20]]}")
        return "\n".join([*lines, *(f"  FAULT: {fault}" for fault in self.faults[:20])])


@contextmanager
def complaints(told: Counter[str]) -> Iterator[list[str]]:
    """What is logged inside as an error of the bot's own; `told` counts the warnings."""
    noted: list[str] = []
    before = structlog.get_config()

    def note(logger: Any, name: str, event: MutableMapping[str, Any]) -> Any:
        if name in ("error", "exception", "critical") or event.get("event") == "slack_envelope_unacknowledged":
            noted.append(repr(event)[:1_500])
        if name == "warning":
            told[str(event.get("event"))] += 1
        raise structlog.DropEvent

    structlog.configure(processors=[structlog.processors.format_exc_info, note])
    try:
        yield noted
    finally:
        structlog.configure(**before)


@asynccontextmanager
async def watched_loop(stalls: list[float]) -> AsyncIterator[None]:
    """Notes how long the event loop lets others wait, where that is long."""

    async def watch() -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(BEAT_SECONDS)
            late = loop.time() - before - BEAT_SECONDS
            if late > STALL_SECONDS:
                stalls.append(late)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()


async def fuzz_run(seed: int, cases: int, directory: Path, *, exhaustive: bool = False) -> Outcome:
    """`cases` in all, most of them Slack's. `exhaustive`: also every single change of every envelope recorded."""
    outcome = Outcome(seed)
    rng = random.Random(seed)
    with complaints(outcome.told) as noted:
        async with bot_world(directory) as world, watched_loop(outcome.stalls):
            await world.start_bot(
                pace=PACE,
                DEVFLOW_MAX_SESSIONS_PER_USER="50",
                DEVFLOW_MAX_SESSIONS="100000",
                DEVFLOW_ADMINS="U0ADMIN",
                DEVFLOW_AUDIT_LOG=str(directory / "audit.log"),
            )
            run = _Run(world, rng, outcome)
            await run.prepare()
            await run.slack(cases * 7 // 10, exhaustive=exhaustive)
            await run.worker(cases * 2 // 10)
            run.github(cases - cases * 7 // 10 - cases * 2 // 10)
            try:
                await run.still_works()
            except AssertionError as error:
                outcome.faults.append(f"it does not work any more: {error}")
        outcome.faults += [f"logged: {line}" for line in noted]
    return outcome


class _Run:
    def __init__(self, world: BotWorld, rng: random.Random, outcome: Outcome) -> None:
        self._world, self._rng, self._outcome = world, rng, outcome
        self._seeds: list[envelopes.Envelope] = []
        self._threads: list[SessionThread] = []
        self._forged: tuple[str, ...] = ()
        self._victims: dict[str, dict[str, Any]] = {}
        self._strangers = {MALLORY}

    async def prepare(self) -> None:
        """Sessions of others, in every state, and what their people sent meanwhile."""
        world = self._world
        workspace = world.slack.workspace
        workspace.add_user(MALLORY, "mallory")
        workspace.add_user(GUEST, "guest", is_restricted=True)
        with envelopes.record(world) as recorded:
            for end in ("live", "stopped", "idle", "answered"):
                await self._session(end)
        first = self._threads[0]
        self._seeds = [*recorded, *envelopes.extra(first.channel_id, first.thread_ts, MALLORY)]
        ids = [thread.session_id for thread in self._threads]
        spots = [spot for thread in self._threads for spot in (thread.channel_id, thread.thread_ts)]
        names = [value for name, value in vars(action_ids).items() if name.isupper() and isinstance(value, str)]
        self._forged = (*ids, *spots, *names, MALLORY, GUEST, "U0DEVFLOW", "USLACKBOT")
        self._victims = self._pictures()

    async def _session(self, end: str) -> None:
        ada = self._world.someone("ada")
        for user_id in (MALLORY, GUEST):
            self._world.slack.workspace.join(ada.channel_id, user_id)
        thread = await ada.starts("demo/hello", "echo hi")
        self._threads.append(thread)
        worker = await thread.worker()
        await worker.works(commit_sha="c" * 40)
        await thread.turn(1, "answered")
        if end == "answered":
            await self._people_do_things(ada, thread)
        if end == "stopped":
            await ada.presses(thread, "Stop")
        if end == "idle":
            await worker.leaves("idle")
        if end in ("stopped", "idle"):
            await thread.is_settled()

    async def _people_do_things(self, ada: Person, thread: SessionThread) -> None:
        people = self._world.slack.people
        ts = await ada.says(thread, "!aside one thing")
        await people.edit(ada.user_id, thread.channel_id, ts, "!aside another thing")
        await people.delete(ada.user_id, thread.channel_id, ts)
        await people.open_home(ada.user_id)
        await ada.types("")
        await ada.types("list")
        await ada.types("status")
        await ada.types("forget")
        for message in [*thread.messages(), *ada.private()]:
            for block in message.get("blocks") or ():
                for element in block.get("elements") or () if block["type"] == "actions" else ():
                    if element.get("url") or element.get("type") != "button":
                        continue
                    # Recorded and answered as it comes: some open a form, some change the session.
                    await people.press(
                        ada.user_id,
                        element["action_id"],
                        block_id=block["block_id"],
                        channel_id=thread.channel_id,
                        message_ts=message["ts"],
                    )
        await thread.is_settled()

    # ------------------------------------------------------------------------------------- Slack

    async def slack(self, cases: int, *, exhaustive: bool) -> None:
        """Sends changed envelopes, some at once; holds the sessions of others against what they were."""
        if exhaustive:
            await self._send_all(self._of_strangers(self._every_single()), "every single change")
        await self._send_all((self._case() for _ in range(cases)), "Slack")

    def _every_single(self) -> Iterator[envelopes.Envelope]:
        for kind, payload in self._seeds:
            for changed in mutations.every_single(payload):
                yield kind, changed

    def _case(self) -> envelopes.Envelope:
        kind, payload = self._rng.choice(self._seeds)
        payload = self._as_if_by(payload, self._rng.choice((GUEST, GUEST, MALLORY)))
        payload = mutations.some(payload, self._rng, self._forged)
        if self._rng.random() < 0.02:
            kind = self._rng.choice(("events_api", "interactive", "slash_commands", "hello", "new", ""))
        return kind, payload

    def _of_strangers(self, made: Iterator[envelopes.Envelope]) -> Iterator[envelopes.Envelope]:
        return ((kind, self._as_if_by(payload, GUEST)) for kind, payload in made)

    def _as_if_by(self, payload: Any, user_id: str) -> Any:
        """The same, sent by a stranger, wherever a person's id stands; no owner or administrator is left in it."""
        text = json.dumps(payload)
        for thread in self._threads:
            owner = thread.item().get("user_id") if not self._victims else self._victims[thread.session_id]["user_id"]
            text = text.replace(f'"{owner}"', f'"{user_id}"')
        return json.loads(text)

    async def _send_all(self, made: Iterator[envelopes.Envelope], name: str) -> None:
        places = asyncio.Semaphore(AT_ONCE)
        sending: set[asyncio.Task[None]] = set()
        for number, (kind, payload) in enumerate(made, start=1):
            await places.acquire()
            task = asyncio.create_task(self._send(kind, payload, places))
            sending.add(task)
            task.add_done_callback(sending.discard)
            self._outcome.cases[name] += 1
            if number % 2_000 == 0:
                self._check_victims()
        await asyncio.gather(*sending)
        self._check_victims()

    async def _send(self, kind: str, payload: Any, places: asyncio.Semaphore) -> None:
        try:
            ack = await self._world.slack.sockets.request(kind, payload, ACK_SECONDS)
        finally:
            places.release()
        self._outcome.answers["acknowledged" if ack.error is None else str(ack.error)] += 1
        if ack.error is not None:
            self._outcome.faults.append(f"not acknowledged ({ack.error}): {kind} {json.dumps(payload)[:1_500]}")

    # -------------------------------------------------------------------------------- the victims

    def _pictures(self) -> dict[str, dict[str, Any]]:
        """What no stranger may change, of each session."""
        return {
            item["session_id"]: {
                "user_id": item["user_id"],
                # Nobody plays the workers of the others here; on a slow machine one is given up for its silence.
                "status": "running" if "not heard from" in item.get("error_message", "") else item["status"],
                "launch": item["launch"],
                "pr": item.get("pr_number"),
                "asked": item.get("pull_request", {}).get("requested_at"),
                "cancelled": [turn.get("cancelled_by") for turn in item["history"] if turn["user_id"] != MALLORY],
                "turns": [turn["turn_id"] for turn in item["history"] if turn["user_id"] != MALLORY],
            }
            for item in self._world.items()
        }

    def _check_victims(self) -> None:
        now = self._pictures()
        for session_id, before in self._victims.items():
            after = now.get(session_id)
            if after is None:
                self._outcome.faults.append(f"{session_id} was forgotten by a stranger")
                continue
            # A participant may cancel, run again, and ask for the pull request; never stop, and never as someone else.
            allowed = before["status"] in ("stopped", "error") and after["status"] in ("starting", "running")
            # Nobody plays its worker: what begins may be given up for that.
            allowed = allowed or (before["status"], after["status"]) == ("starting", "error")
            for name in ("user_id", "turns") if allowed else ("user_id", "status", "turns"):
                if after[name] != before[name]:
                    self._outcome.faults.append(f"{session_id}: {name} was {before[name]}, is {after[name]}")
        others = {item["user_id"] for item in self._world.items()} - {v["user_id"] for v in self._victims.values()}
        if others - self._strangers:
            self._outcome.faults.append(f"sessions of {others} came from nowhere")

    # ------------------------------------------------------------------------------------ workers

    async def worker(self, cases: int) -> None:
        """A worker that says what it likes, about its own session and about others'."""
        trudy = self._world.someone("trudy")
        self._strangers.add(trudy.user_id)
        thread = await trudy.starts("demo/hello", "echo hi")
        worker = await thread.worker()
        others = [turn["turn_id"] for victim in self._threads for turn in victim.turns()]
        for _ in range(cases):
            await self._worker_case(worker, thread, others)
            self._outcome.cases["worker protocol"] += 1
        self._check_victims()

    async def _worker_case(self, worker: ScriptedWorker, thread: SessionThread, others: list[str]) -> None:
        rng = self._rng
        turn_ids = [*others, *(turn["turn_id"] for turn in thread.turns()), "none", "../x", "%00", "a" * 3_000]
        method, path, body = rng.choice(_WORKER_CALLS)
        if "{" in path:
            path = turn_path(path, rng.choice(turn_ids))
        body = mutations.some(body, rng, (*self._forged, *others)) if body is not None else None
        data = json.dumps(body).encode() if rng.random() < 0.95 else rng.randbytes(rng.randrange(40))
        status, _ = await worker.call(method, path, data=data)
        self._outcome.answers[f"HTTP {status}"] += 1
        if status not in (200, 204, 400, 404, 409, 413, 422):
            self._outcome.faults.append(f"{status} to {method} {path} {data[:800]!r}")

    # ------------------------------------------------------------------------------------- GitHub

    def github(self, cases: int) -> None:
        """What a webhook may hold: understood, or nothing of ours; never more than it names."""
        for _ in range(cases):
            name, payload = self._rng.choice(_GITHUB_EVENTS)
            payload = mutations.some(payload, self._rng, self._forged)
            self._outcome.cases["GitHub"] += 1
            try:
                event = pull_request_event(name, payload)
            except Exception as error:
                self._outcome.faults.append(f"{error!r} for {name} {json.dumps(payload)[:800]}")
                continue
            self._outcome.answers["a webhook's event" if event else "nothing of ours"] += 1
            if event is not None and not all(isinstance(number, int) for number in event.numbers):
                self._outcome.faults.append(f"{name}: {event}")

    async def still_works(self) -> None:
        """Afterwards the bot serves the next person as ever."""
        ada = self._world.someone("ada")
        people = self._world.slack.people

        async def starts() -> bool:
            # On a slow machine Slack's three seconds may be over before it is acknowledged; people try again.
            given = await people.command(
                ada.user_id, ada.channel_id, "/devflow", "start demo/hello echo after all that"
            )
            return bool(given["ok"])

        await until(starts, "a start that is taken", seconds=60.0)
        thread = SessionThread(self._world, ada.channel_id, ada.public()[-1]["ts"])
        await (await thread.worker()).works()
        await thread.turn(1, "answered")
        await until(lambda: self._world.slack.sockets.undelivered_count == 0, "every event is acknowledged")


_WORKER_CALLS: list[tuple[str, str, Any]] = [
    ("GET", wp.SESSION_PATH, None),
    ("POST", wp.READY_PATH, {"editor_url": None}),
    ("POST", wp.NEXT_TURN_PATH, None),
    (
        "POST",
        wp.PROGRESS_PATH,
        {
            "text": "hi",
            "plan": [{"content": "a", "status": "pending"}],
            "tool_calls": [{"title": "b", "status": "completed"}],
            "elapsed_seconds": 3,
            "handle": "1.2",
        },
    ),
    (
        "POST",
        wp.ANSWER_PATH,
        {
            "outcome": "answered",
            "response": "done",
            "commit_sha": "c" * 40,
            "files_changed": 1,
            "additions": 1,
            "deletions": 1,
            "usage": {"total_tokens": 5},
            "steps": [{"title": "a", "status": "completed"}],
        },
    ),
    ("POST", wp.CANCEL_PATH, None),
    ("POST", wp.GITHUB_TOKEN_PATH, None),
]

_GITHUB_EVENTS: list[tuple[str, dict[str, Any]]] = [
    (
        name,
        {
            "action": "completed",
            "repository": {"full_name": "acme/shop", "id": 1},
            "pull_request": {"number": 7, "head": {"sha": "c" * 40, "ref": "devflow/x"}, "base": {"ref": "main"}},
            "issue": {"number": 7, "pull_request": {"url": "https://api.github.com/x"}},
            "check_run": {"head_sha": "c" * 40, "pull_requests": [{"number": 7}]},
            "check_suite": {"head_sha": "c" * 40, "pull_requests": [{"number": 7}]},
            "workflow_run": {"head_sha": "c" * 40, "pull_requests": []},
            "sha": "c" * 40,
            "ref": "refs/heads/devflow/x",
            "after": "c" * 40,
        },
    )
    for name in (
        "pull_request", "pull_request_review", "pull_request_review_comment", "pull_request_review_thread",
        "issue_comment", "check_run", "check_suite", "workflow_run", "status", "push", "ping", "installation", "",
    )
]  # fmt: skip
