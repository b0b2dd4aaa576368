"""Two looks at a pull request: the card equals the truth, nothing is told twice, nothing is missed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slackbot.core import events as ev
from slackbot.core.effects import RemoveOldCard, owed
from slackbot.core.item import BUDGET_BYTES, from_item, item_size_bytes, to_item
from slackbot.core.limits import PullRequestTerms
from slackbot.core.ports import CheckRun, PullRequestSnapshot, Review
from slackbot.core.pull_request import observe
from slackbot.core.pull_request_rules import hindrance_of, prompted_by
from slackbot.core.pull_request_state import Picture, PullRequestState
from tests.core.builders import T0, a_snapshot, opened, tell

SESSION = opened()
PEOPLE = ("ada", "grace", "linus")


def review(number: int, login: str, state: str, association: str = "member") -> Review:
    return Review(number, login, state, "Please.", f"https://x.example/r/{number}", T0 + number, association)


@st.composite
def courses(draw: st.DrawFn) -> list[PullRequestSnapshot]:
    """A pull request's life, look by look: pushes, checks, reviews, conflicts, unknowns, an end."""
    looks: list[PullRequestSnapshot] = []
    head, run, reviews, number = 1, 0, [], 0
    checks: dict[str, CheckRun] = {}
    facts: dict[str, Any] = {"mergeable": "unknown", "draft": draw(st.booleans()), "state": "open"}
    for _ in range(draw(st.integers(1, 14))):
        for what in draw(
            st.lists(st.sampled_from("push check check review merge_state draft end".split()), max_size=6)
        ):
            if facts["state"] != "open":
                break
            if what == "push":
                head, checks = head + 1, {}
                facts["mergeable"] = "unknown"
            elif what == "check":
                run += 1
                name = draw(st.sampled_from(["lint", "test", "build"]))
                state = draw(st.sampled_from(["pending", "passed", "failed", "neutral"]))
                known = checks.get(name)
                same = known is not None and known.state == "pending" and state != "pending"
                checks[name] = CheckRun(name, state, None, known.check_run_id if known and same else run)
            elif what == "review":
                number += 1
                state = draw(st.sampled_from(["approved", "changes_requested", "commented", "dismissed"]))
                who, what_of = draw(st.sampled_from(PEOPLE)), draw(st.sampled_from(["member", "none"]))
                reviews.append(review(number, who, state, what_of))
            elif what == "merge_state":
                facts["mergeable"] = draw(st.sampled_from(["mergeable", "conflicting", "unknown"]))
            elif what == "draft":
                facts["draft"] = not facts["draft"]
            elif what == "end" and draw(st.integers(0, 3)) == 0:
                facts["state"] = draw(st.sampled_from(["merged", "closed"]))
        looks.append(
            a_snapshot(head_sha=f"{head:040d}", checks=tuple(checks.values()), reviews=tuple(reviews), **facts)
        )
    return looks


def opinion_of(snapshot: PullRequestSnapshot) -> dict[str, Review]:
    latest: dict[str, Review] = {}
    for one in snapshot.reviews:
        if one.author_association == "member" and one.state != "commented":
            latest[one.user_login] = one
    return {login: one for login, one in latest.items() if one.state != "dismissed"}


@settings(max_examples=70)
@given(courses(), st.data())
def test_any_course_of_looks(looks: list[PullRequestSnapshot], data: st.DataObject) -> None:
    """Looks come several times, by two bots, and out of order; the thread hears each thing once."""
    state = PullRequestState(state="open")
    known_mergeable, conflict_open = "unknown", False
    told_reviews: set[int] = set()
    told_failures: set[tuple[str, str, int | None]] = set()
    for number, snapshot in enumerate(looks):
        before = state
        state, news = observe(state, snapshot, looked_at=number * 10, now=T0 + number)
        kinds = [one.kind.removeprefix("pull_request_") for one in news]

        # The truth, worked out another way.
        if snapshot.mergeable != "unknown":
            known_mergeable = snapshot.mergeable
        picture = state.seen or Picture()
        failing = {check for check in snapshot.checks if check.state == "failed"}
        assert state.state == snapshot.state
        assert (picture.draft, picture.head_sha) == (snapshot.draft, snapshot.head_sha)
        assert picture.mergeable == known_mergeable
        assert {check.name for check in picture.failing} == {check.name for check in failing}
        assert picture.passed == sum(check.state in ("passed", "neutral") for check in snapshot.checks)
        assert picture.pending == sum(check.state == "pending" for check in snapshot.checks)
        opinions = opinion_of(snapshot)
        assert {one.user_login: one.state for one in picture.opinions} == {
            login: one.state for login, one in opinions.items()
        }

        if snapshot.state != "open":
            assert kinds == ([snapshot.state] if before.state == "open" else [])
        else:
            failures = {(snapshot.head_sha, check.name, check.check_run_id) for check in failing}
            assert ("checks_failed" in kinds) == bool(failures and not failures & told_failures)
            told_failures |= failures if "checks_failed" in kinds else set()
            for word in ("approved", "changes_requested"):
                fresh = {
                    one.review_id
                    for one in opinions.values()
                    if one.state == word and one.review_id not in told_reviews
                }
                assert (word in kinds) == bool(fresh)
                told_reviews |= fresh
            assert ("conflict" in kinds) == (known_mergeable == "conflicting" and not conflict_open)
            conflict_open = known_mergeable == "conflicting"

        # The same look by another bot, by a bot that was restarted, and one that comes late.
        if number == len(looks) - 1:
            item = to_item(replace(SESSION, pull_request=state))
            assert from_item(item).pull_request == state
            state = from_item(item).pull_request
        assert observe(state, snapshot, looked_at=number * 10 + 1, now=T0 + 99) == (state, ())
        late = data.draw(st.integers(0, number))
        if late < number and state.looked_at == number * 10:
            assert observe(state, looks[late], looked_at=late * 10, now=T0 + 99) == (state, ())


def test_ten_events_at_once_are_one_message_each() -> None:
    """Five reviewers and twelve failing checks in one look: one notice of each kind, that names them."""
    checks = tuple(CheckRun(f"check-{number:02d}", "failed", None, number) for number in range(12))
    reviews = tuple(review(number, f"person{number}", "changes_requested") for number in range(5))
    _, news = observe(
        PullRequestState(state="open"),
        a_snapshot(checks=checks, reviews=reviews, mergeable="conflicting"),
        looked_at=1,
        now=T0,
    )
    assert [one.kind for one in news] == [
        "pull_request_checks_failed",
        "pull_request_changes_requested",
        "pull_request_conflict",
    ]
    assert news[0].values["more"] == "2"
    assert news[1].values["by"].split("\n") == [f"person{number}" for number in range(5)]


def test_unknown_changes_nothing() -> None:
    """While GitHub computes, the card stays as it was, and nothing is written."""
    state, _ = observe(PullRequestState(state="open"), a_snapshot(mergeable="conflicting"), looked_at=1, now=T0)
    assert observe(state, a_snapshot(mergeable="unknown"), looked_at=2, now=T0 + 5) == (state, ())


def test_a_check_that_is_run_again_and_fails_again_is_told_again() -> None:
    """Another run of the same check is another failure; a second one beside it is not worth a message."""
    state, news = observe(
        PullRequestState(state="open"), a_snapshot(checks=(CheckRun("lint", "failed", None, 1),)), looked_at=1, now=T0
    )
    assert len(news) == 1
    both = (CheckRun("lint", "failed", None, 1), CheckRun("test", "failed", None, 2))
    state, news = observe(state, a_snapshot(checks=both), looked_at=2, now=T0)
    assert news == ()
    state, news = observe(state, a_snapshot(checks=(CheckRun("lint", "failed", None, 3),)), looked_at=3, now=T0)
    assert len(news) == 1


def test_what_is_remembered_is_bounded() -> None:
    """A pull request that hundreds review and a hundred checks fail on, for ever: the item stays small."""
    state = PullRequestState(state="open")
    for number in range(60):
        checks = tuple(
            CheckRun("c" * 200 + str(one), "failed", "https://x.example/" + "u" * 600, one) for one in range(100)
        )
        reviews = tuple(review(number * 100 + one, f"p{one}", "changes_requested") for one in range(100))
        snapshot = a_snapshot(head_sha=f"{number:040d}", checks=checks, reviews=reviews, title="t" * 900)
        state, _ = observe(state, snapshot, looked_at=number, now=T0)
    assert item_size_bytes(to_item(replace(opened(), pull_request=state))) < BUDGET_BYTES / 10


def test_a_card_that_is_moved_while_it_is_posted() -> None:
    """The one that was just posted is not the card any more when it is told of, and goes."""
    session = opened()
    number = session.pull_request.card_number
    session = tell(session, ev.PullRequestRequested("U1", "press:1"), ev.PullRequestRequested("U1", "press:2"))
    assert session.pull_request.card_number == number + 2
    session = tell(
        session, ev.PullRequestCardTold("-", "9.1", number + 1), ev.PullRequestCardTold("-", "9.2", number + 2)
    )
    assert session.pull_request.card_ts == "9.2"
    removals = [effect.card_ts for effect in owed(session) if isinstance(effect, RemoveOldCard)]
    assert removals == [f"{T0}.910000", "9.1"]
    session = tell(session, *(ev.OldCardRemoved(ts) for ts in removals))
    assert session.pull_request.old_cards == ()


def test_a_look_from_before_the_merge_does_not_open_it_again() -> None:
    """Merged from the thread while a look was under way: GitHub opens no merged pull request again."""
    asked = {"action": "merge", "request_id": "press", "user_id": "U1", "at": T0}
    session = replace(SESSION, pull_request=replace(SESSION.pull_request, asked=(asked,)))
    session = tell(session, ev.PullRequestActDone("press", "merge", merged_sha="a" * 40))
    assert session.pull_request.state == "merged"
    late, after = a_snapshot(number=session.pr_number), a_snapshot(number=session.pr_number, state="merged")
    for number, snapshot in enumerate((late, after)):
        session = tell(session, ev.PullRequestObserved(snapshot, (T0 + number) * 1000))
        assert session.pull_request.state == "merged"
    assert [one.kind for one in session.thread.notices].count("pull_request_merged") == 1


@pytest.mark.parametrize("why", ["frozen", "lost", "forgotten", "open"])
def test_checks_are_fixed_unasked_only_where_people_can_see_it(why: str) -> None:
    """Not while strangers read the channel, not for a thread that is gone, not for what is about to be forgotten."""
    session = tell(SESSION, ev.StopRequested("U1"))
    if why == "frozen":
        session = tell(session, ev.ChannelShared())
    elif why == "lost":
        session = tell(session, ev.ThreadLost("channel_not_found"))
    elif why == "forgotten":
        session = replace(session, forgotten_by="U1")
    failing = a_snapshot(number=session.pr_number, checks=(CheckRun("lint", "failed", None, 7),))
    session = tell(session, ev.PullRequestObserved(failing, T0 * 1000, PullRequestTerms(auto_fixes=2)))
    assert session.status.is_live is (why == "open")
    assert bool(session.pull_request.asked) is (why == "open")


def test_who_may_merge_is_not_forgotten_with_the_history() -> None:
    """Whose prompts had to leave it prompted the work as much as whose are still there."""
    session = replace(SESSION, dropped_user_ids=("U7",))
    prompters = {turn.user_id for turn in session.history}
    assert set(prompted_by(session)) == {"U7", *prompters}
    ready = Picture(mergeable="mergeable")
    state = replace(session.pull_request, state="open", may_merge=True, picture=ready.as_map())
    session = replace(session, pull_request=state)
    assert "You prompted this work" in str(hindrance_of(session, "merge", "U7"))
    assert hindrance_of(session, "merge", "U8") is None
