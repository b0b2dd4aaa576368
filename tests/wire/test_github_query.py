"""What GraphQL answers of a pull request -> a snapshot: foreign words, hidden people, ids of more than 32 bits."""

from __future__ import annotations

from typing import Any

import pytest

from slackbot.adapters.github_query import snapshot

AT = "2026-01-02T03:04:05Z"
URL = "https://github.com/acme/shop"


def pull(**changed: Any) -> dict[str, Any]:
    """A pull request without anything said of it."""
    return {
        "id": "PR_1", "number": 7, "url": f"{URL}/pull/7", "title": "Fix", "state": "OPEN", "isDraft": False,
        "mergeable": "MERGEABLE", "reviewDecision": None, "updatedAt": AT, "headRefName": "devflow/x",
        "headRefOid": "a" * 40, "baseRefName": "main", "additions": 1, "deletions": 2, "changedFiles": 3,
        "author": {"__typename": "Bot", "login": "devflow"}, "mergedBy": None, "commits": {"nodes": []},
        "latestOpinionatedReviews": None, "reviews": None, "comments": {"nodes": []}, "reviewThreads": {"nodes": []},
        **changed,
    }  # fmt: skip


def checks(*nodes: Any, oid: str = "a" * 40, total: int | None = None) -> dict[str, Any]:
    contexts = {"totalCount": len(nodes) if total is None else total, "nodes": list(nodes)}
    return {"nodes": [{"commit": {"oid": oid, "statusCheckRollup": {"contexts": contexts}}}]}


def run(name: str, conclusion: str | None, **more: Any) -> dict[str, Any]:
    status = "COMPLETED" if conclusion else "IN_PROGRESS"
    return {"__typename": "CheckRun", "name": name, "status": status, "conclusion": conclusion, **more}


def review(number: int, login: str | None, state: str, association: str = "MEMBER") -> dict[str, Any]:
    return {
        "fullDatabaseId": str(number), "state": state, "body": "", "url": URL, "submittedAt": AT,
        "authorAssociation": association, "author": {"__typename": "User", "login": login} if login else None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("conclusion", "state"),
    [
        ("SUCCESS", "passed"), ("SKIPPED", "neutral"), ("NEUTRAL", "neutral"), ("FAILURE", "failed"),
        ("CANCELLED", "failed"), ("TIMED_OUT", "failed"), ("ACTION_REQUIRED", "failed"), ("STALE", "pending"),
        (None, "pending"), ("INVENTED_LATER", "invented_later"),
    ],
)  # fmt: skip
def test_conclusions_in_four_words(conclusion: str | None, state: str) -> None:
    """One that GitHub invents later is passed on as it is."""
    (found,) = snapshot(pull(commits=checks(run("test", conclusion)))).checks
    assert found.state == state


def test_checks_by_what_matters() -> None:
    """Failed first, then running; a status has no run; what is hidden is left out, and the total still counts it."""
    nodes = [
        run("z", "SUCCESS", databaseId=70_000_000_001),
        None,
        {"__typename": "StatusContext", "context": "deploy", "state": "EXPECTED", "targetUrl": None},
        run("a", "FAILURE", detailsUrl=f"{URL}/actions/runs/5/job/70000000002"),
    ]
    found = snapshot(pull(commits=checks(*nodes, total=140)))
    assert [(one.name, one.state, one.check_run_id) for one in found.checks] == [
        ("a", "failed", 70_000_000_002),  # its id is in its address, where GitHub's Int did not hold it
        ("deploy", "pending", None),
        ("z", "passed", 70_000_000_001),
    ]
    assert found.checks_total == 140


def test_checks_of_an_older_commit_are_none() -> None:
    """While a push is under way the newest commit may not be the head yet: nothing is told of the wrong one."""
    found = snapshot(pull(commits=checks(run("test", "FAILURE"), oid="b" * 40)))
    assert (found.checks, found.checks_total) == ((), 0)


@pytest.mark.parametrize(
    ("given", "opinions", "expected"),
    [
        ("REVIEW_REQUIRED", [review(1, "ada", "APPROVED")], "review_required"),
        (None, [review(1, "ada", "APPROVED")], "approved"),
        (None, [review(1, "ada", "APPROVED"), review(2, "jun", "CHANGES_REQUESTED")], "changes_requested"),
        (None, [review(1, "mallory", "CHANGES_REQUESTED", "NONE")], None),
        (None, [review(1, "ada", "DISMISSED")], None),
        (None, [], None),
    ],
)
def test_the_decision_without_a_rule(given: str | None, opinions: list[Any], expected: str | None) -> None:
    """GitHub decides where a rule asks for reviews; elsewhere those who may write do, and nobody else."""
    found = snapshot(pull(reviewDecision=given, latestOpinionatedReviews={"nodes": opinions}))
    assert found.review_decision == expected


def test_people_as_rest_names_them() -> None:
    """Apps with [bot], deleted accounts as ghost; a review that is not sent yet, and one that came twice."""
    reviews = {"nodes": [review(3_000_000_001, None, "COMMENTED"), review(1, "ada", "PENDING")]}
    found = snapshot(
        pull(reviews=reviews, latestOpinionatedReviews=reviews, mergedBy={"__typename": "User", "login": "x"})
    )
    assert found.author_login == "devflow[bot]"
    assert found.merged_by == "x"
    assert [(one.review_id, one.user_login) for one in found.reviews] == [(3_000_000_001, "ghost")]


@pytest.mark.parametrize("changed", [{"id": None, "number": None}, {"updatedAt": "yesterday"}, {"additions": "many"}])
def test_what_is_no_pull_request_raises(changed: dict[str, Any]) -> None:
    """KeyError, TypeError or ValueError, which the look takes for an answer that failed."""
    with pytest.raises((KeyError, TypeError, ValueError)):
        snapshot(pull(**changed))


def test_what_has_no_id_hides_nothing_else() -> None:
    """`fullDatabaseId` may be null: what has none can be neither told once nor answered, the rest can."""
    bare = {**review(1, "ada", "APPROVED"), "fullDatabaseId": None}
    said = {"body": "", "url": URL, "createdAt": AT, "authorAssociation": "MEMBER", "author": None}
    comments = {"nodes": [{**said, "fullDatabaseId": None}, {**said, "fullDatabaseId": "5"}]}
    thread = {"id": "T", "isResolved": False, "path": "a.py", "line": None, "comments": comments}
    found = snapshot(
        pull(
            reviews={"nodes": [bare, review(2, "grace", "APPROVED")]},
            comments=comments,
            reviewThreads={"nodes": [thread]},
        )
    )
    assert [one.review_id for one in found.reviews] == [2]
    assert [one.comment_id for one in found.comments] == [5]
    assert [one.comment_id for one in found.threads[0].comments] == [5]


@pytest.mark.parametrize(
    ("rollup", "states"), [("FAILURE", {"failed"}), ("ERROR", {"failed"}), ("PENDING", {"pending"}), ("SUCCESS", set())]
)
def test_checks_beyond_a_hundred_count_as_github_sums_them_up(rollup: str, states: set[str]) -> None:
    """Else a pull request whose hundred-and-first check fails would be shown as passed, and offered for merging."""
    seen = checks(run("a", "SUCCESS"), run("b", "SUCCESS"), total=140)
    seen["nodes"][0]["commit"]["statusCheckRollup"]["state"] = rollup
    found = snapshot(pull(commits=seen)).checks
    assert {one.state for one in found} - {"passed"} == states
    if rollup == "FAILURE":
        seen["nodes"][0]["commit"]["statusCheckRollup"]["contexts"]["nodes"].append(run("c", "FAILURE"))
        found = snapshot(pull(commits=seen)).checks
        assert [one.name for one in found if one.state == "failed"] == ["c"], "the one that is known is enough"
        seen["nodes"][0]["commit"]["statusCheckRollup"]["contexts"] = {"totalCount": 0, "nodes": []}
        assert snapshot(pull(commits=seen)).checks == (), "none are told of where none are shown"
