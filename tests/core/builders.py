"""Plain values to begin with, and `tell` to move them on: used by the tests of core and of views."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from slackbot.core import events as ev
from slackbot.core.limits import PullRequestTerms
from slackbot.core.ports import CheckRun, PullRequestSnapshot, TaskObservation
from slackbot.core.repository_name import RepositoryName
from slackbot.core.session import Session, Status, Thread, TurnState, derive_session_id
from slackbot.core.transitions import decide

T0 = 1_790_000_000
"""When the sessions of these tests begin (Unix seconds)."""

TEAM, CHANNEL, THREAD_TS = "T0000001", "C0000001", "1790000000.000100"
TASK_ARN = "arn:aws:ecs:eu-central-1:123456789012:task/devflow/0123456789abcdef"


def a_session(**changes: Any) -> Session:
    """A session that was just begun: nothing made yet, no turn."""
    session = Session(
        session_id=derive_session_id(TEAM, CHANNEL, THREAD_TS),
        user_id="U0000001",
        repository=RepositoryName("acme", "shop"),
        repository_url="https://github.com/acme/shop",
        branch_name="devflow/fix-the-test-0b0c0d0e",
        status=Status.STARTING,
        initial_prompt="fix the flaky checkout test",
        github_installation_id=77,
        created_at=T0,
        updated_at=T0,
        ttl=T0 + 86_400,
        base_branch="main",
        agent="shell",
        thread=Thread(TEAM, CHANNEL, THREAD_TS),
        launch=T0 * 1000,
    )
    return replace(session, **changes)


def tell(session: Session, *events: ev.Event, now: int = T0) -> Session:
    """The session after these events, one after the other, each saved (so `write_version` counts)."""
    for event in events:
        changed = decide(session, event, now)
        if changed is not session:
            changed = replace(changed, write_version=changed.write_version + 1, updated_at=now)
        session = changed
    return session


def prompt(number: int = 1, text: str | None = None, user_id: str = "U0000001") -> ev.PromptReceived:
    """Prompt `number` of the thread; a greater one is a younger message."""
    ts = f"{T0}.{number:06d}"
    return ev.PromptReceived(f"{CHANNEL}:{ts}", user_id, text or f"do thing {number}", prompt_ts=ts)


def observed(session: Session, last_status: str, **values: Any) -> ev.TaskObserved:
    return ev.TaskObserved(session.launch, TaskObservation(session.ecs_task_arn or TASK_ARN, last_status, **values))


def starting(**changes: Any) -> Session:
    """Begun with one prompt; branch made, task asked for."""
    session = a_session(**changes)
    return tell(
        session,
        prompt(1),
        ev.BranchMade(session.branch_name, "b" * 40),
        ev.TaskStarted(session.launch, TaskObservation(TASK_ARN, "PROVISIONING", cluster_arn="arn:cluster")),
    )


def running(**changes: Any) -> Session:
    """The worker is ready; prompt 1 waits."""
    session = starting(**changes)
    return tell(session, observed(session, "RUNNING"), ev.WorkerReady(session.launch))


def working(**changes: Any) -> Session:
    """Prompt 1 is in work."""
    session = running(**changes)
    return tell(session, ev.TurnClaimed(session.launch, session.history[0].turn_id))


def ended_turn(session: Session, **values: Any) -> ev.TurnEnded:
    """The worker's answer to the turn in work."""
    turn = session.working_turn
    assert turn is not None
    given: dict[str, Any] = {"state": TurnState.ANSWERED, "response": "Done.", **values}
    return ev.TurnEnded(session.launch, turn.turn_id, **given)


def answered(**values: Any) -> Session:
    """Prompt 1 is answered and told; the session is ready for another one."""
    session = working()
    session = tell(session, ended_turn(session, **values), now=T0 + 60)
    return tell(session, ev.AnswerPosted(session.history[0].turn_id, f"{T0}.900001"), now=T0 + 61)


def with_commit() -> Session:
    """As `answered`, with a commit on the branch."""
    return answered(commit_sha="c" * 40, files_changed=2, additions=10, deletions=3)


FAILING = (CheckRun("lint", "failed", "https://ci.example/1", 1), CheckRun("test", "passed", None, 2))


def a_snapshot(**changes: Any) -> PullRequestSnapshot:
    """Pull request 12 as it was just opened: nothing said of it yet."""
    given: dict[str, Any] = {
        "node_id": "PR_12",
        "number": 12,
        "url": "https://github.com/acme/shop/pull/12",
        "title": "Fix the flaky checkout test",
        "state": "open",
        "draft": False,
        "mergeable": "mergeable",
        "review_decision": None,
        "head_ref": "devflow/fix-the-test-0b0c0d0e",
        "head_sha": "c" * 40,
        "base_ref": "main",
        "additions": 10,
        "deletions": 3,
        "changed_files": 2,
        "updated_at": T0,
        **changes,
    }
    return PullRequestSnapshot(**{"checks_total": len(given.get("checks", ())), **given})


def opened(session: Session | None = None) -> Session:
    """With pull request 12 open, its card told."""
    session = tell(session or with_commit(), ev.PullRequestRequested("U0000007"), now=T0 + 70)
    session = tell(
        session, ev.PullRequestOpened(12, "https://github.com/acme/shop/pull/12", node_id="PR_12"), now=T0 + 71
    )
    number = session.pull_request.card_number
    return tell(session, ev.PullRequestCardTold("-", f"{T0}.910000", number), now=T0 + 72)


NO_TERMS = PullRequestTerms()


def look(session: Session, *, at: int = T0 + 80, terms: PullRequestTerms = NO_TERMS, **seen: Any) -> Session:
    """After a look at the pull request."""
    return tell(session, ev.PullRequestObserved(a_snapshot(**seen), at * 1000, terms), now=at)


def stopped() -> Session:
    """Stopped by a person while nothing was in work; its task is gone."""
    session = tell(answered(), ev.StopRequested("U0000002"), now=T0 + 100)
    return tell(session, observed(session, "STOPPED", stop_code="UserInitiated"), now=T0 + 120)


def idle() -> Session:
    """Stopped itself; its task is gone."""
    session = answered()
    session = tell(session, ev.WorkerLeft(session.launch, "idle"), now=T0 + 2000)
    return tell(session, observed(session, "STOPPED", exit_code=0), now=T0 + 2001)


def failed() -> Session:
    """The task was killed while prompt 1 was in work."""
    session = working()
    return tell(session, observed(session, "STOPPED", exit_code=137), now=T0 + 60)


BY_STATUS = {
    Status.STARTING: starting,
    Status.RUNNING: working,
    Status.STOPPED: stopped,
    Status.ERROR: failed,
}
