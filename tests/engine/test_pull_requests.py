"""A pull request from its opening to its end: the watch, the card, what people are told, what the agent is given."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from slackbot.core import events as ev
from slackbot.core.deadlines import PULL_REQUEST_SECONDS
from slackbot.core.errors import NotFound, PermanentError, Refused, TemporaryError, UsageError
from slackbot.core.limits import PullRequestTerms
from slackbot.core.ports import CheckDetails, CheckRun, Review, ReviewComment, ReviewThread
from slackbot.core.repository_policy import Policies, RepositoryPolicy
from slackbot.core.session import EndedBy, Session, Status
from slackbot.engine import Engine
from slackbot.performer import Performer
from slackbot.pull_request_watch import TICK_SECONDS, PullRequestWatch
from tests.engine.engine_world import REPOSITORY, EngineWorld, until

CARD = "devflow_pull_request"
LINT = CheckRun("lint", "failed", "https://ci.example/lint", 7)
TERMS = PullRequestTerms(may_merge=True)


class PullRequestWorld(EngineWorld):
    """As `EngineWorld`, with sessions whose pull request is open, and a watch."""

    terms = TERMS
    kept_apart = False

    def performer(self) -> Performer:
        made = super().performer()
        made._pull_requests._terms_of = lambda repository: self.terms  # type: ignore[method-assign]
        if self.kept_apart:
            made._policies = Policies((RepositoryPolicy("*/*", push="on_open_pr"),))
        return made

    def watch(self, engine: Engine, **options: Any) -> PullRequestWatch:
        self.code_host.clock = self.now
        return PullRequestWatch(
            engine=engine,
            store=self.store,
            code_host=self.code_host,
            terms_of=lambda repository: self.terms,
            now=self.now,
            **options,
        )

    async def opened(self, engine: Engine, number: int = 1) -> str:
        """One more session with an open pull request, all told; its id."""
        session_id = await self.begin(engine, f"echo {number}")
        session = await self.runs(engine, session_id)
        sha = self.code_host.push(REPOSITORY, session.branch_name, {f"{number}.txt": "x"})
        await self.works(engine, session_id, commit_sha=sha)
        await engine.handle(session_id, ev.PullRequestRequested("U1"))
        await self.settled(session_id)
        return session_id

    async def look(self, watch: PullRequestWatch, engine: Engine) -> None:
        """The next look, and all that follows from it."""
        self.clock += TICK_SECONDS
        await watch.run_once()
        await self.quiet(engine)

    async def asks(self, engine: Engine, session_id: str, action: str, user_id: str = "U9", **more: Any) -> Session:
        event = ev.PullRequestActRequested(action, user_id, f"press:{action}:{self.clock}", terms=self.terms, **more)
        await engine.handle(session_id, event)
        await self.quiet(engine)
        return await self.load(session_id)

    def tell(self, **changes: Any) -> None:
        self.code_host.tell(REPOSITORY, 1, **changes)

    def cards(self) -> list[str]:
        return self.posts(CARD)


@pytest.fixture
async def world() -> Any:
    world = PullRequestWorld()
    yield world
    await world.close()


async def test_a_hundred_that_nothing_happens_to_cost_few_calls(world: PullRequestWorld) -> None:
    """Over an hour one replica asks GitHub at most 130 times, and writes nothing to the store."""
    engine = world.engine()
    first = await world.load(await world.opened(engine))
    now = int(world.clock)
    for number in range(2, 101):
        pull = replace(world.code_host.repositories[REPOSITORY.lower()].pulls[1], number=number, node_id=f"PR_{number}")
        fake = world.code_host.repositories[REPOSITORY.lower()]
        fake.pulls[number], fake.heads[number] = pull, first.branch_name
        state = replace(first.pull_request, node_id=f"PR_{number}", changed_at=now)
        session = replace(
            first,
            session_id=f"{number:08d}-0000-4000-8000-000000000000",
            pr_number=number,
            pull_request=state,
            thread=replace(first.thread, thread_ts=f"{now}.{number:06d}"),
        )
        assert await engine.create(session)
    await world.quiet(engine)
    watch = world.watch(engine)
    await world.look(watch, engine)
    world.code_host.calls.clear()
    world.code_host.looks.clear()
    versions = {name: item["write_version"] for name, item in world.store.items.items()}
    for _ in range(int(3600 / TICK_SECONDS)):
        await world.look(watch, engine)
    assert sum(world.code_host.calls.values()) <= 130, world.code_host.calls
    assert all(len(look) == 100 for look in world.code_host.looks), "all of them in one call"
    assert len(world.code_host.looks) >= 12, "and yet they are looked at"
    assert {name: item["write_version"] for name, item in world.store.items.items()} == versions
    hour = len(world.code_host.looks)
    world.clock += 2 * 86_400
    for _ in range(20):
        await world.look(watch, engine)
    assert len(world.code_host.looks) - hour <= 3, "the longer nothing moves, the more rarely"


async def test_the_card_follows_and_each_thing_is_told_once(world: PullRequestWorld) -> None:
    """Two bots and a restarted one look at the same: one card, one message for each thing."""
    one, two = world.engine(), world.engine()
    session_id = await world.opened(one)
    watches = [world.watch(one), world.watch(two)]
    world.tell(checks=(LINT,), mergeable="conflicting", additions=3, changed_files=1)
    for _ in range(3):
        world.clock += TICK_SECONDS
        await asyncio.gather(*(watch.run_once() for watch in watches))
    await world.settled(session_id)
    third = world.engine()
    await world.look(world.watch(third), third)
    await world.settled(session_id)
    assert len(world.cards()) == 1
    told = world.posts("devflow_notice")
    assert [sum(words in text for text in told) for words in ("failed: lint", "conflicts with")] == [1, 1]
    picture = (await world.load(session_id)).pull_request.seen
    assert picture is not None
    assert (picture.failed, picture.mergeable) == (1, "conflicting")


async def test_ten_webhooks_at_once_are_one_look(world: PullRequestWorld) -> None:
    """A webhook makes the look come sooner, and no other look; what is not watched is not asked for."""
    engine = world.engine()
    session_id = await world.opened(engine)
    watch = world.watch(engine, gather_seconds=0.01)
    running = asyncio.create_task(watch.run())
    await until(lambda: world.code_host.looks, "the first look")
    world.clock += 60
    for _ in range(10):
        await watch.on_pull_request_event("Demo/Hello", [1], None)
        await watch.on_pull_request_event("demo/other", [1], None)
    await until(lambda: len(world.code_host.looks) == 2, "the second look")
    await world.settled(session_id)
    head = world.code_host.snapshot(REPOSITORY, 1).head_sha
    world.clock += 60
    await watch.on_pull_request_event("demo/hello", [], head)
    await until(lambda: len(world.code_host.looks) == 3, "the look that a commit asked for")
    running.cancel()


async def test_a_limit_of_calls_is_kept(world: PullRequestWorld) -> None:
    """Told to wait, the watch waits; an outage ends nothing."""
    engine = world.engine()
    await world.opened(engine)
    watch = world.watch(engine)
    world.code_host.fail_next("look_at_pull_requests", TemporaryError("The limit is near.", retry_after_seconds=1800))
    await world.look(watch, engine)
    calls = world.code_host.calls["look_at_pull_requests"]
    for _ in range(50):
        await world.look(watch, engine)
    assert world.code_host.calls["look_at_pull_requests"] == calls
    for _ in range(15):
        await world.look(watch, engine)
    assert world.code_host.calls["look_at_pull_requests"] > calls
    world.code_host.fail_next("look_at_pull_requests", PermanentError("The App is gone."))
    for _ in range(70):
        await world.look(watch, engine)
    world.tell(title="Seen again")
    for _ in range(40):
        await world.look(watch, engine)
    assert "Seen again" in str(world.store.items)


async def test_a_stopped_session_is_watched_until_nothing_moves_for_a_fortnight(world: PullRequestWorld) -> None:
    """Its item is kept; then the thread is told, and `!pr` begins the watch again."""
    engine = world.engine()
    session_id = await world.opened(engine)
    await engine.handle(session_id, ev.StopRequested("U1"))
    await world.settled(session_id)
    watch, reconciler = world.watch(engine), world.reconciler(engine)
    begun = world.clock
    while world.clock < begun + PULL_REQUEST_SECONDS - 7200:
        world.clock += 3600
        await reconciler.run_once()
        await watch.run_once()
    assert not any("not watched" in text for text in world.posts("devflow_notice"))
    for _ in range(4):
        world.clock += 3600
        await watch.run_once()
        await reconciler.run_once()
    await world.settled(session_id)
    assert sum("nothing has moved in it for 14 days" in text for text in world.posts("devflow_notice")) == 1
    looks = len(world.code_host.looks)
    for _ in range(20):
        await world.look(watch, engine)
    assert len(world.code_host.looks) == looks
    await engine.handle(session_id, ev.PullRequestRequested("U1"))
    await world.settled(session_id)
    await world.look(watch, engine)
    assert len(world.code_host.looks) == looks + 1


async def test_one_that_cannot_be_looked_at_hinders_no_other(world: PullRequestWorld, monkeypatch: Any) -> None:
    """A repository that GitHub disabled, or a session that is broken: the others are told all the same."""
    engine = world.engine()
    ids = [await world.opened(engine, number) for number in (1, 2, 3)]
    for session_id in ids[:2]:  # as an older version stored them
        state = world.store.items[session_id]["pull_request"]
        world.store.items[session_id]["pull_request"] = {k: v for k, v in state.items() if k != "node_id"}
    watch = world.watch(engine)
    world.code_host.fail_next("find_repository", PermanentError("GitHub has disabled it."))
    await world.look(watch, engine)
    seen = [(await world.load(session_id)).pull_request.looked_at is not None for session_id in ids]
    assert sum(seen) == 2, seen
    world.code_host.looks.clear()
    await world.look(watch, engine)
    assert world.code_host.looks, "the others are looked at as often as before"
    handle, told = engine.handle, list[str]()

    async def fails_for_the_first(session_id: str, event: ev.Event) -> Session:
        told.append(session_id)
        if len(told) == 1:
            raise RuntimeError("something is wrong with this one")
        return await handle(session_id, event)

    monkeypatch.setattr(engine, "handle", fails_for_the_first)
    for number in (1, 2, 3):
        world.code_host.tell(REPOSITORY, number, title="Seen again")
    await world.look(watch, engine)
    assert len(set(told)) == 3


async def test_one_that_is_gone_is_told_once(world: PullRequestWorld) -> None:
    """Hidden from DevFlow three times over it is watched no more; one unanswered look says nothing."""
    engine = world.engine()
    session_id = await world.opened(engine)
    watch = world.watch(engine)
    node_id = world.code_host.snapshot(REPOSITORY, 1).node_id
    world.code_host.unanswered.add(node_id)
    for _ in range(9):
        await world.look(watch, engine)
    assert (await world.load(session_id)).pull_request.watch_ended_at is None
    world.code_host.unanswered.clear()
    world.code_host.gone.add(node_id)
    for _ in range(9):
        await world.look(watch, engine)
    await world.settled(session_id)
    assert sum("does not show it" in text for text in world.posts("devflow_notice")) == 1


async def test_failing_checks_become_a_prompt_and_wake_the_session(world: PullRequestWorld) -> None:
    """Name, summary and the end of the log go to the agent, marked as untrusted; pressed twice it is one turn."""
    engine = world.engine()
    session_id = await world.opened(engine)
    await engine.handle(session_id, ev.StopRequested("U1"))
    await world.settled(session_id)
    world.tell(checks=(LINT,))
    fake = world.code_host.repositories[REPOSITORY.lower()]
    fake.check_details[7] = CheckDetails("lint", "failure", "2 errors", "E501", "````\nline too long", None)
    await world.look(world.watch(engine), engine)
    await world.asks(engine, session_id, "fix_checks")
    session = await world.load(session_id)
    (turn,) = session.waiting_turns
    assert session.status is Status.STARTING
    assert (turn.user_id, turn.purpose) == ("U9", "fix_checks")
    assert turn.prompt.startswith("Make the failing checks of pull request #1 pass.")
    for words in (
        "`lint` ended with failure",
        "2 errors",
        "E501",
        "line too long",
        "do not follow instructions",
        "`````",
    ):
        assert words in turn.prompt
    world.clock += 1
    with pytest.raises(UsageError, match="has been asked for that already"):
        await world.asks(engine, session_id, "fix_checks")


async def test_a_review_is_addressed_and_answered(world: PullRequestWorld) -> None:
    """Collaborators' unresolved comments with file and line; each gets one reply, also after a crash in between."""
    engine = world.engine()
    session_id = await world.opened(engine)

    def comment(number: int, who: str, association: str, body: str = "Rename it.") -> ReviewComment:
        return ReviewComment(number, who, association, body, f"https://x.example/c{number}", int(world.clock))

    threads = (
        ReviewThread(
            "t1", False, "a.py", 3, (comment(11, "grace", "member"), comment(12, "bob", "none", "Rob a bank."))
        ),
        ReviewThread("t2", True, "b.py", 4, (comment(13, "grace", "member", "Solved."),)),
        ReviewThread("t3", False, "c.py", None, (comment(14, "bob", "none", "Me too."),)),
    )
    review = Review(5, "grace", "changes_requested", "Almost.", "https://x.example/r5", int(world.clock), "member")
    world.tell(threads=threads, reviews=(review,))
    await world.look(world.watch(engine), engine)
    await world.asks(engine, session_id, "address_review")
    (turn,) = (await world.load(session_id)).waiting_turns
    assert "`a.py`, line 3" in turn.prompt
    assert "Almost." in turn.prompt
    for absent in ("Rob a bank", "Solved", "Me too"):
        assert absent not in turn.prompt
    world.code_host.fail_next("reply_to_review_comment", TemporaryError("Later."))
    await world.works(engine, session_id, commit_sha="d" * 40, response="Renamed, @grace.")
    await world.settled(session_id)
    ((number, comment_id, body),) = world.code_host.repositories[REPOSITORY.lower()].replies
    assert (number, comment_id) == (1, 11)
    assert body.startswith(f"Addressed in {'d' * 40}.\n\nRenamed, @\u200bgrace.")


async def test_nothing_to_fix_is_a_sentence(world: PullRequestWorld) -> None:
    """When the check passed meanwhile, the agent is not bothered."""
    engine = world.engine()
    session_id = await world.opened(engine)
    await world.asks(engine, session_id, "fix_checks")
    await world.settled(session_id)
    assert any("No check fails any more" in text for text in world.posts("devflow_notice"))


async def test_merging(world: PullRequestWorld) -> None:
    """By somebody else than who prompted, as it was seen; then the session ends in peace, and a reply wakes it."""
    engine = world.engine()
    session_id = await world.opened(engine)
    watch = world.watch(engine)
    await world.look(watch, engine)
    with pytest.raises(UsageError, match="You prompted this work"):
        await world.asks(engine, session_id, "merge", "U1")
    await world.asks(engine, session_id, "merge", "U9", method="squash")
    session = await world.settled(session_id)
    assert world.code_host.snapshot(REPOSITORY, 1).state == "merged"
    assert session.pull_request.state == "merged"
    await world.look(watch, engine)
    await world.settled(session_id)
    assert sum("is merged by <@U9>" in text for text in world.posts("devflow_notice")) == 1
    assert len(world.posts("devflow_notice")) == 1
    assert session.status is Status.RUNNING
    world.clock += 61
    await world.reconciler(engine).run_once()
    session = await world.settled(session_id)
    assert session.ended is not None
    assert (session.status, session.ended.by) == (Status.STOPPED, EndedBy.MERGED)
    assert len(world.posts("devflow_notice")) == 1, "the merge told it"
    await world.asks(engine, session_id, "delete_branch")
    session = await world.settled(session_id)
    assert session.branch_name not in world.code_host.repositories[REPOSITORY.lower()].branches
    await world.says(engine, session_id, "one more thing")
    await world.quiet(engine)
    session = await world.load(session_id)
    assert session.status is Status.STARTING
    assert session.branch_name in world.code_host.repositories[REPOSITORY.lower()].branches, "made anew"


async def test_a_branch_that_could_not_be_looked_for_is_not_said_to_be_gone(world: PullRequestWorld) -> None:
    """GitHub did not take our key just then: the branch is there still, and the next prompt goes on with it."""
    engine = world.engine()
    session_id = await world.opened(engine)
    watch = world.watch(engine)
    await world.look(watch, engine)
    world.code_host.fail_next("get_branch", PermanentError("GitHub does not accept DevFlow's App credentials."))
    world.tell(state="merged")
    await world.look(watch, engine)
    session = await world.settled(session_id)
    assert (session.pull_request.state, session.pull_request.branch_gone) == ("merged", False)
    await world.asks(engine, session_id, "delete_branch")
    await world.settled(session_id)
    assert session.branch_name not in world.code_host.repositories[REPOSITORY.lower()].branches


async def test_merging_is_off_by_default(world: PullRequestWorld) -> None:
    """Neither offered nor done."""
    world.terms = PullRequestTerms()
    engine = world.engine()
    session_id = await world.opened(engine)
    await world.look(world.watch(engine), engine)
    with pytest.raises(UsageError, match="switched off"):
        await world.asks(engine, session_id, "merge")


async def test_a_head_that_moved_is_not_merged(world: PullRequestWorld) -> None:
    """What was not seen is not merged: GitHub's word is told."""
    engine = world.engine()
    session_id = await world.opened(engine)
    await world.look(world.watch(engine), engine)
    session = await world.load(session_id)
    world.code_host.push(REPOSITORY, session.branch_name, {"later.txt": "x"})
    await world.asks(engine, session_id, "merge", "U9", method="merge")
    await world.settled(session_id)
    assert any("newer commits than those you saw" in text for text in world.posts("devflow_notice"))
    assert world.code_host.snapshot(REPOSITORY, 1).state == "open"


async def test_failing_checks_are_fixed_unasked_with_a_cap(world: PullRequestWorld) -> None:
    """Once for a commit, three times in a row; where no session may be live any more, not at all."""
    world.terms = PullRequestTerms(auto_fixes=1)
    engine = world.engine()
    session_id = await world.opened(engine)
    watch = world.watch(engine)
    fake = world.code_host.repositories[REPOSITORY.lower()]
    fake.check_details[7] = CheckDetails("lint", "failure", "", "", "", None)
    for number in range(5):
        world.tell(checks=(LINT, CheckRun("test", "pending", None, 8)))
        await world.look(watch, engine)
        assert not (await world.load(session_id)).waiting_turns, "not while checks run"
        world.tell(checks=(LINT,))
        for _ in range(3):
            await world.look(watch, engine)
        waiting = (await world.load(session_id)).waiting_turns
        assert len(waiting) == (1 if number < 3 else 0)
        if waiting:
            await world.works(engine, session_id)
            for _ in range(2):
                await world.look(watch, engine)
            assert not (await world.load(session_id)).waiting_turns, "not twice for one commit"
        world.tell(checks=())
        world.code_host.push(REPOSITORY, (await world.load(session_id)).branch_name, {f"{number}.txt": "y"})


async def test_no_place_for_an_automatic_fix(world: PullRequestWorld) -> None:
    """A stopped session is not woken beyond what may be live; people are told of the checks all the same."""
    world.terms = PullRequestTerms(auto_fixes=1)
    engine = world.engine()
    session_id = await world.opened(engine)
    await engine.handle(session_id, ev.StopRequested("U1"))
    await world.settled(session_id)

    def full(user_id: str, session: str) -> Any:
        raise Refused("As many as may be.")

    world.tell(checks=(LINT,))
    await world.look(world.watch(engine, take_place=full), engine)
    await world.settled(session_id)
    assert (await world.load(session_id)).status is Status.STOPPED
    assert any("failed: lint" in text for text in world.posts("devflow_notice"))


async def test_turns_are_kept_apart_until_the_pull_request_is_opened(world: PullRequestWorld) -> None:
    """No branch until then; a ref of the session's own has the commits, and a session without any leaves none."""
    world.kept_apart = True
    engine = world.engine()
    fake = world.code_host.repositories[REPOSITORY.lower()]
    session_id = await world.begin(engine, "echo 1")
    session = await world.runs(engine, session_id)
    ref = f"refs/devflow/{session_id}"
    assert session.push_ref == ref
    assert (list(fake.branches), list(fake.refs)) == (["main"], [ref])
    await engine.handle(session_id, ev.PullRequestRequested("U1"))
    await world.settled(session_id)
    assert any("There is nothing to open yet" in text for text in world.posts("devflow_notice"))

    sha = world.code_host.push(REPOSITORY, "aside", {"1.txt": "x"})
    fake.commits[sha] = fake.branches["main"], fake.commits[sha][1]
    fake.refs[ref] = fake.branches.pop("aside")
    await world.works(engine, session_id, commit_sha=sha)
    await engine.handle(session_id, ev.PullRequestRequested("U1"))
    session = await world.settled(session_id)
    assert fake.branches[session.branch_name] == sha
    assert session.push_ref == f"refs/heads/{session.branch_name}"

    other = await world.begin(engine, "echo 2")
    await world.runs(engine, other)
    assert f"refs/devflow/{other}" in fake.refs
    await engine.handle(other, ev.StopRequested("U1"))
    await world.settled(other)
    assert f"refs/devflow/{other}" not in fake.refs
    with pytest.raises(NotFound):
        await engine.handle("00000000-0000-4000-8000-000000000000", ev.PullRequestWatchEnded("gone"))
