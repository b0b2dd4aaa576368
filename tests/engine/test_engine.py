"""load -> decide -> save -> perform: crashes, lost answers, leases and races, on fakes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from slackbot.core import events as ev
from slackbot.core.effects import DeliverAnswer, Effect, OpenPullRequest
from slackbot.core.errors import IllegalTransition, NotFound, PermanentError, TemporaryError, ThreadUnreachable
from slackbot.core.item import MAX_ITEM_BYTES, item_size_bytes
from slackbot.core.ports import Item, Message
from slackbot.core.session import Session, Status, TurnState
from slackbot.engine import Engine
from slackbot.performer import Performer
from slackbot.sealing import LEASE_SECONDS
from tests.engine.engine_world import LIMITS, REPOSITORY, EngineWorld, Mortal, until
from tests.fakes.chat import FakeChat
from tests.fakes.session_store import FakeStore

# ------------------------------------------------------------------------------------------------ crashes


async def main_job(world: EngineWorld, performer: Mortal) -> str | None:
    """The whole main job; a bot that dies on the way is followed by another one. What it died of."""
    engine = world.engine(performer)
    alive = [engine]

    async def rest() -> Engine:
        """What is owed is done; or this bot is dead, and the next one has taken up its debts."""
        if performer.died_of is None:
            await until(lambda: performer.died_of or not engine.is_busy, "quiet or dead")
        if performer.died_of is not None and len(alive) == 1:
            await engine.drain(0)
            alive.append(world.engine())
            world.outlive_lease()
            async for entry in world.store.scan(int(world.clock), due_by=int(world.clock)):
                await alive[1].handle(entry.session_id, ev.TimePassed(LIMITS, int(world.clock)))
                alive[1].visit(entry.session_id)
        await world.quiet(alive[-1])
        return alive[-1]

    async def ended() -> bool:
        await rest()
        return await world.is_settled(session_id) is not None

    session_id = await world.begin(engine)
    now = await rest()
    await until(lambda: len(world.tasks.tasks) == 1, "the task")
    await world.quiet(now)
    session = await world.load(session_id)
    task = world.tasks.advance(session.ecs_task_arn or "", "RUNNING")
    await now.handle(session_id, ev.TaskObserved(session.launch, task))
    now = await rest()
    await now.handle(session_id, ev.WorkerReady(session.launch))
    now = await rest()
    sha = world.code_host.push(REPOSITORY, session.branch_name, {"new": "new\n"})
    await world.works(now, session_id, commit_sha=sha)
    now = await rest()
    await now.handle(session_id, ev.PullRequestRequested("U1"))
    now = await rest()
    ts = await world.says(now, session_id, "never done")
    now = await rest()
    await now.handle(session_id, ev.StopRequested("U1"))
    await until(lambda: ended(), "the end")
    assert world.chat.reactions("C1", ts) == {"octagonal_sign"}
    return performer.died_of


@pytest.mark.parametrize("after", [False, True], ids=["before it took effect", "after it took effect"])
async def test_a_bot_that_dies_at_any_effect_is_followed_by_one_that_does_what_was_owed(after: bool) -> None:
    """Killed at the first, second, third ... effect: in the end each thing was done, and none twice."""
    deaths: list[str] = []
    while True:
        world = EngineWorld()
        died_of = await main_job(world, Mortal(world.performer(), len(deaths) + 1, after=after))
        assert len(world.posts("devflow_answer")) == 1, (died_of, len(deaths))
        assert len(world.posts("devflow_notice")) == 1, "the stop, once"
        assert len(world.posts("devflow_pull_request")) == 1
        assert len(world.posts("devflow_session")) == 1
        assert len(world.tasks.tasks) == 1
        assert world.tasks.tasks[0].last_status == "STOPPED"
        hello = world.code_host.repositories[REPOSITORY]
        assert len(hello.pulls) == 1
        assert len(hello.branches) == 2
        await world.close()
        if died_of is None:
            break
        deaths.append(died_of)
    kinds = {"UpdateCard", "MakeBranch", "RunTask", "DeliverAnswer", "OpenPullRequest", "PostNotice", "StopTask"}
    kinds.add("UpdatePullRequestCard")
    assert set(deaths) == kinds, "every kind of effect was died of"


async def test_what_was_begun_before_a_crash_is_marked_again(world: EngineWorld) -> None:
    """The eyes under a stored prompt are not stored themselves; the next bot puts them there."""
    first = world.engine(Mortal(world.performer(), 1, after=False))
    session_id = await world.begin(first)
    await first.drain(0)
    second = world.engine()
    session = await world.load(session_id)
    ts = world.chat.say("U1", "C1", "more", session.thread.thread_ts)
    await second.handle(session_id, ev.PromptReceived(f"C1:{ts}", "U1", "more", prompt_ts=ts))
    await until(lambda: world.chat.reactions("C1", ts) == {"eyes"}, "eyes")


# ------------------------------------------------------------------------------------- posts that are lost


async def test_a_post_with_an_unknown_outcome_is_looked_up_before_it_is_repeated(world: EngineWorld) -> None:
    """Slack took the answer and the connection broke: it is found, not posted again."""
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.runs(engine, session_id)
    await world.quiet(engine)
    world.chat.lose_answer("post_message")
    await world.works(engine, session_id)
    session = await world.settled(session_id)
    assert len(world.posts("devflow_answer")) == 1
    assert len(world.chat.called("post_message")) == 2, "the root and the answer"
    (turn,) = session.history
    assert (session.thread.channel_id, turn.response_ts) in world.chat.messages


class Hiding(FakeChat):
    """Does not show what was posted the first `hides` times it is asked."""

    hides = 0

    async def find_messages(self, *args: Any, **kwargs: Any) -> list[Message]:
        if self.hides:
            self.hides -= 1
            return []
        return await super().find_messages(*args, **kwargs)


async def test_a_double_that_slack_hid_is_deleted_when_it_is_seen() -> None:
    """Accepted, denied, hidden, posted again: the second one goes as soon as both are shown."""
    chat = Hiding()
    world = EngineWorld(chat=chat)
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.runs(engine, session_id)
    await world.quiet(engine)
    # Hidden after the first post and at the second look; seen after the second post, whose answer is lost too.
    chat.hides = 2
    chat.lose_answer("post_message", times=2)
    await world.works(engine, session_id)
    session = await world.settled(session_id)
    assert len(world.posts("devflow_answer")) == 1
    assert ("C1", session.history[0].response_ts) in chat.messages
    assert len(chat.deleted) == 1
    await world.close()


async def test_the_file_of_a_long_answer_is_there_once_whatever_came_between(world: EngineWorld) -> None:
    """Its post stands, and the bot died before the file: the next one attaches it; a mark that fails adds no other."""
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.runs(engine, session_id)
    ts = await world.says(engine, session_id, "two")
    await world.works(engine, session_id)
    await world.quiet(engine)
    world.chat.lose_answer("post_message")
    world.chat.fail("add_reaction", TemporaryError("Slack does not answer."), times=2)
    await world.works(engine, session_id, response="word " * 4_000)
    await world.settled(session_id)
    assert [file.content.strip() for file in world.chat.files.values()] == [("word " * 4_000).strip()]
    assert len(world.posts("devflow_answer")) == 2
    assert world.chat.reactions("C1", ts) == {"white_check_mark"}


async def test_after_retry_after_nothing_is_tried_before_its_time(world: EngineWorld) -> None:
    """429 with Retry-After: what happens meanwhile is no reason to ask Slack again; then it is posted, once."""
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.runs(engine, session_id)
    await world.quiet(engine)
    world.chat.fail("post_message", TemporaryError("Slack asks to wait.", retry_after_seconds=0.3))
    await world.works(engine, session_id)
    await world.quiet(engine)
    for text in ("one", "two", "three"):
        await engine.handle(session_id, ev.AsideSaid(text))
        await world.quiet(engine)
    assert len(world.chat.called("post_message")) == 2, "the root, and the answer that was refused"
    await world.settled(session_id)
    assert len(world.chat.called("post_message")) == 3
    assert len(world.posts("devflow_answer")) == 1


async def test_blocks_that_slack_refuses_are_told_in_plain_text(world: EngineWorld) -> None:
    """Better a bare sentence than silence."""
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.runs(engine, session_id)
    await world.quiet(engine)
    world.chat.fail("post_message", PermanentError("invalid_blocks"))
    await world.works(engine, session_id)
    await world.settled(session_id)
    assert [call["blocks"] for call in world.chat.called("post_message")[-2:]][1] is None
    assert world.posts("devflow_answer") == ["Done."]


async def test_a_lost_thread_ends_its_session_and_its_task(world: EngineWorld) -> None:
    """Channel archived: nothing more is posted, nothing is left running; a word in it brings it back."""
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.runs(engine, session_id)
    await world.quiet(engine)
    world.chat.fail("post_message", ThreadUnreachable("The channel is archived."), times=9)
    await world.works(engine, session_id)
    session = await world.settled(session_id)
    assert (session.status, session.thread.lost) == (Status.STOPPED, "The channel is archived.")
    assert [task.last_status for task in world.tasks.tasks] == ["STOPPED"]


async def test_a_missing_scope_costs_the_mark_and_never_the_answer(world: EngineWorld) -> None:
    """reactions.add refused: the answer is told all the same."""
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.runs(engine, session_id)
    await world.works(engine, session_id)
    world.chat.fail("add_reaction", PermanentError("missing_scope"), times=9)
    await world.says(engine, session_id, "two")
    await world.works(engine, session_id)
    await world.settled(session_id)
    assert len(world.posts("devflow_answer")) == 2


# ------------------------------------------------------------------------------------- leases and races


class Stalling(Mortal):
    """A replica that hangs in the pull request, and dies when it has posted an answer."""

    def __init__(self, world: EngineWorld) -> None:
        self._performer = world.performer()
        super().__init__(self._performer, 1_000, after=True)

    async def perform(self, effect: Effect, session: Session, *, first: bool) -> ev.Event | None:
        if isinstance(effect, OpenPullRequest):
            return await asyncio.Event().wait()  # type: ignore[return-value]
        outcome = await self._performer.perform(effect, session, first=first)
        return await asyncio.Event().wait() if isinstance(effect, DeliverAnswer) else outcome  # type: ignore[return-value]


async def test_a_debt_that_was_stored_under_anothers_lease_is_looked_up_before_it_is_paid(world: EngineWorld) -> None:
    """The second stores an answer, the first posts it and dies: the second finds the post."""
    first = world.engine(Stalling(world))
    session_id = await world.begin(first)
    await world.runs(first, session_id)
    second = world.engine()
    await first.handle(session_id, ev.PullRequestRequested("U1"))
    await world.works(second, session_id)
    first.visit(session_id)
    await until(lambda: world.posts("devflow_answer"), "an answer")
    await first.drain(0)
    world.outlive_lease()
    second.visit(session_id)
    await world.settled(session_id)
    assert len(world.posts("devflow_answer")) == 1


async def test_a_second_replica_acts_only_after_the_firsts_lease_ran_out(world: EngineWorld) -> None:
    """Visits and events on the second one do nothing about the debts of the first, until it is 30 s silent."""
    first = world.engine(Mortal(world.performer(), 1, after=False))
    second = world.engine()
    session_id = await world.begin(first)
    await until(lambda: first.is_busy, "the first at work")
    second.visit(session_id)
    await second.handle(session_id, ev.AsideSaid("an event that comes in on the second"))
    await world.quiet(second)
    session = await world.load(session_id)
    assert session.lease is not None
    assert (session.lease.owner, session.due_at) == ("replica-0", int(world.clock) + LEASE_SECONDS)
    assert world.tasks.tasks == []
    assert world.code_host.calls.get("create_branch", 0) == 0

    world.clock += LEASE_SECONDS - 1
    second.visit(session_id)
    await world.quiet(second)
    assert world.tasks.tasks == []

    world.clock += 2
    second.visit(session_id)
    await until(lambda: len(world.tasks.tasks) == 1, "the task, by the second")
    await world.quiet(second)
    assert (await world.load(session_id)).ecs_task_arn == world.tasks.tasks[0].task_arn


class Held:
    """A performer whose every effect waits for `gate`, if it has one, and is noted: (replica, effect, first)."""

    def __init__(self, inner: Performer, name: str, tried: list[tuple[str, str, bool]]) -> None:
        self._inner = inner
        self._name = name
        self._tried = tried
        self.gate: asyncio.Event | None = None
        self.dies_at = ""

    async def perform(self, effect: Effect, session: Session, *, first: bool) -> ev.Event | None:
        kind = type(effect).__name__
        self._tried.append((self._name, kind, first))
        if self.gate is not None:
            await self.gate.wait()
        outcome = await self._inner.perform(effect, session, first=first)
        return await asyncio.Event().wait() if kind == self.dies_at else outcome  # type: ignore[return-value]

    def owes_marks(self, session: Session) -> bool:
        return False

    async def mark(self, session: Session) -> frozenset[str]:
        return frozenset()

    async def mark_over(self, session: Session, turn_ids: frozenset[str]) -> None: ...


async def test_what_another_replica_may_have_tried_is_looked_up(world: EngineWorld) -> None:
    """The first hangs in front of a notice; the second posts it and dies; the first goes on, and finds the post."""
    tried: list[tuple[str, str, bool]] = []
    held, other = Held(world.performer(), "first", tried), Held(world.performer(), "second", tried)
    first, second = world.engine(held), world.engine(other)
    session_id = await world.begin(first)
    await world.runs(first, session_id)
    await world.works(first, session_id)
    await world.quiet(first)
    held.gate, other.dies_at = asyncio.Event(), "PostNotice"
    await first.handle(session_id, ev.StopRequested("U1"))
    await until(lambda: ("first", "UpdateCard", True) in tried[-2:], "the first, held at the card")
    world.clock += LEASE_SECONDS + 1
    second.visit(session_id)
    await until(lambda: any(name == "second" and kind == "PostNotice" for name, kind, _ in tried), "the second's post")
    await until(lambda: len(world.posts("devflow_notice")) == 1, "the notice")
    world.clock += LEASE_SECONDS + 1
    held.gate.set()
    await until(lambda: ("first", "PostNotice", False) in tried, "the first, looking for the notice")
    await world.settled(session_id)
    assert len(world.posts("devflow_notice")) == 1
    assert ("first", "PostNotice", True) not in tried


class Yielding(FakeStore):
    """Lets others in between a read and the write that follows it."""

    races = 0

    async def get(self, session_id: str, now: int) -> Item | None:
        item = await super().get(session_id, now)
        await asyncio.sleep(0)
        return item

    async def replace(self, item: Item, expected_write_version: int) -> bool:
        await asyncio.sleep(0)
        done = await super().replace(item, expected_write_version)
        self.races += not done
        return done


async def test_lost_races_are_decided_again() -> None:
    """Two replicas store ten prompts at once: none is lost, none is doubled, the order is that of the messages."""
    store = Yielding()
    world = EngineWorld(store=store)
    engines = [world.engine(), world.engine()]
    session_id = await world.begin(engines[0])
    root = (await world.load(session_id)).thread.thread_ts
    stamps = [world.chat.say("U1", "C1", f"number {number}", root) for number in range(9)]
    prompts = [ev.PromptReceived(f"C1:{ts}", "U1", f"say {ts}", prompt_ts=ts) for ts in stamps]
    # Each is delivered to both replicas, the later ones first.
    await asyncio.gather(*(engine.handle(session_id, event) for event in reversed(prompts) for engine in engines))
    session = await world.load(session_id)
    assert [turn.prompt_ts for turn in session.history] == [None, *stamps]
    assert store.races > 0
    await world.close()


async def test_a_store_that_fails_changes_nothing_and_says_so(world: EngineWorld) -> None:
    """The caller hears of it, and nothing is begun; a failure while performing is tried again."""
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.runs(engine, session_id)
    await world.quiet(engine)
    before = world.store.items[session_id]
    world.store.fail_next = TemporaryError("The disk is full.")
    with pytest.raises(TemporaryError, match="disk is full"):
        await engine.handle(session_id, ev.StopRequested("U1"))
    await world.quiet(engine)
    assert world.store.items[session_id] == before
    await engine.handle(session_id, ev.StopRequested("U1"))
    world.store.fail_next = TemporaryError("The disk is full.")
    await until(lambda: world.store.fail_next is None, "a failure while performing")
    assert (await world.settled(session_id)).status is Status.STOPPED


async def test_events_for_a_session_that_is_none(world: EngineWorld) -> None:
    """A sentence, and nothing is made of it."""
    engine = world.engine()
    with pytest.raises(NotFound, match="over and forgotten"):
        await engine.handle("00000000-0000-4000-8000-000000000000", ev.StopRequested("U1"))
    engine.visit("00000000-0000-4000-8000-000000000000")
    await world.quiet(engine)


async def test_the_same_turn_told_twice_is_one_message(world: EngineWorld) -> None:
    """The prompt delivered five times and the answer reported five times: one turn, one answer."""
    engine = world.engine()
    session_id = await world.begin(engine)
    session = await world.runs(engine, session_id)
    await world.works(engine, session_id)
    ts = world.chat.say("U1", "C1", "again", session.thread.thread_ts)
    event = ev.PromptReceived(f"C1:{ts}", "U1", "again", prompt_ts=ts)
    await asyncio.gather(*(engine.handle(session_id, event) for _ in range(5)))
    claimed = await engine.handle(session_id, ev.TurnClaimed(session.launch, f"C1:{ts}"))
    answer = ev.TurnEnded(claimed.launch, f"C1:{ts}", TurnState.ANSWERED, "Done.")
    await asyncio.gather(*(engine.handle(session_id, answer) for _ in range(5)))
    settled = await world.settled(session_id)
    assert len(settled.history) == 2
    assert len(world.posts("devflow_answer")) == 2


async def test_a_draining_engine_stores_and_leaves_the_rest_to_the_next(world: EngineWorld) -> None:
    """What comes in during the end is durable; the next bot performs it after the lease."""
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.runs(engine, session_id)
    await world.quiet(engine)
    assert await engine.drain(5)
    await engine.handle(session_id, ev.StopRequested("U1"))
    assert not engine.is_busy
    follower = world.engine()
    world.outlive_lease()
    await follower.handle(session_id, ev.TimePassed(LIMITS, int(world.clock)))
    session = await world.settled(session_id)
    assert (session.status, session.ecs_task_arn) == (Status.STOPPED, None)
    assert len(world.posts("devflow_notice")) == 1


async def test_a_card_that_was_drawn_late_over_anothers_is_drawn_again(world: EngineWorld) -> None:
    """Two replicas draw at once, and the older picture lands last: who drew it sees that and mends it."""
    slow, quick = world.engine(), world.engine()
    session_id = await world.begin(slow)
    await world.quiet(slow)
    await world.runs(slow, session_id)
    await world.quiet(slow)
    thread = (await world.load(session_id)).thread
    older = world.chat.thread(thread.channel_id, thread.thread_ts)[0].text
    old_blocks = world.chat.thread(thread.channel_id, thread.thread_ts)[0].blocks
    world.outlive_lease()
    await quick.handle(session_id, ev.StopRequested("U1"))
    world.tasks.settle()
    await until(lambda: not quick.is_busy, "quick")
    await world.chat.update_message(thread.channel_id, thread.thread_ts, text=older, blocks=old_blocks)
    slow.visit(session_id)
    await world.quiet(slow)
    assert world.chat.thread(thread.channel_id, thread.thread_ts)[0].blocks != old_blocks


async def test_long_polls_of_sessions_that_another_replica_saves_leave_nothing_behind(world: EngineWorld) -> None:
    """A worker polls here and answers there: whoever waits hears of a save here, and nobody is kept waiting for."""
    engine = world.engine()
    session_id = await world.begin(engine)
    for number in range(50):
        engine.changed(f"elsewhere-{number}")
    held = engine.changed(session_id)
    assert len(engine._changed) == 1
    await world.says(engine, session_id, "and this")
    await until(held.is_set, "the poll hears of it")


async def test_answers_that_slack_does_not_take_never_fill_the_item(world: EngineWorld) -> None:
    """Nothing of them may be shortened, so the next prompt waits until they stand in the thread."""
    engine = world.engine()
    session_id = await world.begin(engine)
    await world.runs(engine, session_id)
    world.chat.fail("post_message", TemporaryError("Slack is down.", retry_after_seconds=0.01), times=10_000)
    put_off = 0
    for _ in range(14):
        if len((await world.load(session_id)).waiting_turns) < 9:
            await world.says(engine, session_id, "p" * 20_000)
        try:
            await world.works(engine, session_id, response="r" * 40_000, steps=({"title": "s" * 3_500},))
        except IllegalTransition:
            put_off += 1
        assert item_size_bytes(world.store.items[session_id]) < MAX_ITEM_BYTES - 20 * 1024
    assert put_off
    world.chat._failures.clear()

    async def is_told() -> bool:
        session = await world.load(session_id)
        return all(turn.response_ts for turn in session.history if turn.state.is_ended)

    await until(is_told, "the answers")
    await world.works(engine, session_id)
