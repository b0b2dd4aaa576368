"""Engines on fakes: a store, a chat, tasks and a code host in memory, a clock that stands until it is moved.

Several engines may share the world, as replicas or one after the other's death; `Mortal` performers die on demand.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from slackbot.core import events as ev
from slackbot.core.effects import Effect, owed
from slackbot.core.limits import Limits
from slackbot.core.naming import branch_name_for
from slackbot.core.ports import Metadata, TaskObservation
from slackbot.core.repository_name import RepositoryName
from slackbot.core.repository_policy import Policies
from slackbot.core.session import TTL_SECONDS, Session, Status, Thread, Turn, TurnState, derive_session_id
from slackbot.engine import Engine
from slackbot.performer import Performer, WorkerSettings
from slackbot.progress_board import ProgressBoard
from slackbot.reconciler import Reconciler
from slackbot.sealing import LEASE_SECONDS
from tests.fakes.chat import TEAM_ID, FakeChat
from tests.fakes.code_host import FakeCodeHost
from tests.fakes.session_store import FakeStore
from tests.fakes.tasks import FakeTasks

LIMITS = Limits()
REPOSITORY = "demo/hello"


class EngineWorld:
    """`clock` in Unix seconds; only tests move it."""

    def __init__(self, *, chat: FakeChat | None = None, store: FakeStore | None = None) -> None:
        self.clock = 1_790_000_000.0
        self.chat = chat or FakeChat()
        self.store = store or FakeStore()
        self.tasks = FakeTasks()
        self.code_host = FakeCodeHost()
        self.code_host.add_repository(REPOSITORY)
        self.engines: list[Engine] = []

    def now(self) -> float:
        return self.clock

    def performer(self) -> Performer:
        board = ProgressBoard(self.chat, clock=time.monotonic)
        worker = WorkerSettings(gateway_url="http://127.0.0.1:1", secret="s" * 32)
        return Performer(
            chat=self.chat,
            tasks=self.tasks,
            code_host=self.code_host,
            board=board,
            worker=worker,
            policies=Policies(),
            load=lambda session_id: self.engines[-1].load(session_id),
        )

    def engine(self, performer: Any = None) -> Engine:
        """One more replica."""
        engine = Engine(
            self.store,
            performer or self.performer(),
            replica_id=f"replica-{len(self.engines)}",
            now=self.now,
            limits_of=lambda _: LIMITS,
            retry_seconds=0.01,
        )
        self.engines.append(engine)
        return engine

    def reconciler(self, engine: Engine, **options: Any) -> Reconciler:
        return Reconciler(
            engine=engine,
            store=self.store,
            tasks=self.tasks,
            limits_of=lambda _: LIMITS,
            now=self.now,
            interval_seconds=0.02,
            **options,
        )

    async def begin(self, engine: Engine, prompt: str = "echo hi") -> str:
        """A session whose root stands and whose first prompt waits; its id."""
        ts = await self.chat.post_message("C1", text=prompt, metadata=Metadata("devflow_session", {"user_id": "U1"}))
        session_id = derive_session_id(TEAM_ID, "C1", ts)
        now = int(self.clock)
        session = Session(
            session_id=session_id,
            user_id="U1",
            repository=RepositoryName(*REPOSITORY.split("/")),
            repository_url=f"http://127.0.0.1:1/{REPOSITORY}",
            branch_name=branch_name_for(prompt, session_id),
            status=Status.STARTING,
            initial_prompt=prompt,
            github_installation_id=1,
            created_at=now,
            updated_at=now,
            ttl=now + TTL_SECONDS,
            base_branch="main",
            agent="shell",
            thread=Thread(TEAM_ID, "C1", ts, status_ts=ts),
            launch=now * 1000,
            history=(Turn(f"C1:{ts}", "U1", prompt, TurnState.QUEUED, now),),
        )
        assert await engine.create(session)
        return session_id

    async def load(self, session_id: str) -> Session:
        session = await self.engines[-1].load(session_id)
        assert session is not None
        return session

    async def says(self, engine: Engine, session_id: str, text: str) -> str:
        """A person's reply, stored; its ts."""
        session = await self.load(session_id)
        ts = self.chat.say("U1", "C1", text, session.thread.thread_ts)
        await engine.handle(session_id, ev.PromptReceived(f"C1:{ts}", "U1", text, prompt_ts=ts))
        return ts

    async def runs(self, engine: Engine, session_id: str) -> Session:
        """The worker of the present launch is up and ready."""
        await self.quiet(engine)
        session = await self.load(session_id)
        assert session.ecs_task_arn is not None
        task = self.tasks.advance(session.ecs_task_arn, "RUNNING")
        await engine.handle(session_id, ev.TaskObserved(session.launch, task))
        return await engine.handle(session_id, ev.WorkerReady(session.launch))

    async def works(self, engine: Engine, session_id: str, **facts: Any) -> Session:
        """The worker takes the next turn and answers it."""
        session = await self.load(session_id)
        turn_id = session.waiting_turns[0].turn_id
        await engine.handle(session_id, ev.TurnClaimed(session.launch, turn_id))
        given = {"state": TurnState.ANSWERED, "response": "Done.", **facts}
        return await engine.handle(session_id, ev.TurnEnded(session.launch, turn_id, **given))

    async def quiet(self, engine: Engine) -> None:
        """Nothing is being performed just now."""
        await until(lambda: not engine.is_busy, "quiet")

    async def settled(self, session_id: str) -> Session:
        """Waits until nothing is owed any more; the session then."""
        settled: Session = await until(lambda: self.is_settled(session_id), "nothing owed")
        return settled

    async def is_settled(self, session_id: str) -> Session | None:
        """The session when nothing is owed; tasks that were told to stop do so."""
        for task in self.tasks.tasks:
            if task.stop_code is not None:
                self.tasks.advance(task.task_arn, "STOPPED")
        session = await self.load(session_id)
        return session if not owed(session) and session.lease is None else None

    def posts(self, event_type: str) -> list[str]:
        """The texts of the bot's messages that stand, with that metadata."""
        return [
            message.text
            for message in self.chat.messages.values()
            if message.metadata is not None and message.metadata["event_type"] == event_type
        ]

    def outlive_lease(self) -> None:
        self.clock += LEASE_SECONDS + 1

    async def close(self) -> None:
        for engine in self.engines:
            await engine.drain(0)


class Mortal:
    """A performer whose process is killed at its `die_at`-th effect: before it, or after it took effect."""

    def __init__(self, inner: Performer, die_at: int, *, after: bool) -> None:
        self._inner = inner
        self._die_at = die_at
        self._after = after
        self._count = 0
        self.died_of: str | None = None

    def die_now(self) -> None:
        """At the next effect, whichever it is."""
        self._die_at = self._count + 1

    async def perform(self, effect: Effect, session: Session, *, first: bool) -> ev.Event | None:
        if self.died_of is None:
            self._count += 1
            if self._count < self._die_at:
                return await self._inner.perform(effect, session, first=first)
            self.died_of = type(effect).__name__
            if self._after:
                await self._inner.perform(effect, session, first=first)
        return await asyncio.Event().wait()  # type: ignore[return-value]

    def owes_marks(self, session: Session) -> bool:
        return self.died_of is None and self._inner.owes_marks(session)

    async def mark(self, session: Session) -> frozenset[str]:
        return await self._inner.mark(session) if self.died_of is None else frozenset()

    async def mark_over(self, session: Session, turn_ids: frozenset[str]) -> None:
        if self.died_of is None:
            await self._inner.mark_over(session, turn_ids)


def observation(session_id: str, launch: int, arn: str = "arn:orphan", **facts: Any) -> TaskObservation:
    """A task that something else started."""
    return TaskObservation(arn, "RUNNING", session_id=session_id, launch=launch, **facts)


async def until(look: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """What `look` finds (awaited where it can be); never waits for a time."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        found = look()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"what was waited for did not come: {what}")
        await asyncio.sleep(0.002)
