"""The GitHub adapter where a pull request's life goes wrong: limits, missing permissions, lost answers, Enterprise."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from slackbot.adapters.github import GithubCodeHost
from slackbot.adapters.github_client import web_host
from slackbot.core.errors import NotFound, PermanentError, TemporaryError
from slackbot.core.ports import Repository
from slackbot.core.repository_name import RepositoryName
from slackbot.sandbox.github import rest_shapes
from slackbot.sandbox.github.review_store import Rule
from slackbot.sandbox.github.server import GithubStandIn
from tests.fakes.github_support import Fault, Faults, app_key

SHOP = RepositoryName("acme", "shop")
GRAPHQL = "/api/graphql"


class Hub:
    """A repository with one open pull request, and faults on the wire."""

    def __init__(self, stand_in: GithubStandIn, code_host: GithubCodeHost, faults: Faults) -> None:
        self.stand_in, self.code_host, self.faults = stand_in, code_host, faults
        self.shop: Repository
        self.node_id = ""
        self.head_sha = ""

    @property
    def row(self) -> Any:
        return self.stand_in.world.store.repository(SHOP.full_name)

    @property
    def pull(self) -> Any:
        return self.stand_in.world.store.pull(self.row.id, 1)

    async def look(self) -> Any:
        found = await self.code_host.look_at_pull_requests(self.shop.installation_id, [self.node_id])
        return found[self.node_id]


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    faults = Faults()
    stand_in = GithubStandIn(tmp_path, private_key_pem=app_key(), middlewares=[faults.middleware])
    await stand_in.start()
    await stand_in.create_repository(SHOP.full_name, files={"cart.py": "total = 1\n"})
    stand_in.world.store.reviews.add_person("ada", "Ada", collaborator=True)
    code_host = GithubCodeHost(api_url=stand_in.api_url, app_id=stand_in.app_id, private_key=app_key())
    made = Hub(stand_in, code_host, faults)
    made.shop = await code_host.find_repository(SHOP)
    main = await code_host.get_branch(made.shop, "main")
    assert main is not None
    await code_host.create_branch(made.shop, "devflow/x", main.head_sha)
    made.head_sha = await stand_in.commit_files(SHOP.full_name, "devflow/x", {"cart.py": "total = 2\n"}, "Fix")
    opened = await code_host.open_pull_request(made.shop, head="devflow/x", base="main", title="Fix", body="")
    made.node_id = opened.node_id or ""
    yield made
    await code_host.close()
    await stand_in.stop()


async def test_one_look_is_one_call_and_mints_nothing(hub: Hub) -> None:
    """A hundred ids cost one request, a hundred and one two; the token is the one that is there."""
    mints = hub.faults.count("POST", "/access_tokens")
    await hub.look()
    await hub.code_host.look_at_pull_requests(hub.shop.installation_id, [f"PR_{n}" for n in range(100)])
    await hub.code_host.look_at_pull_requests(hub.shop.installation_id, [f"PR_{n}" for n in range(101)])
    assert hub.faults.count("POST", GRAPHQL) == 4
    assert hub.faults.count("POST", "/access_tokens") == mints


async def test_whether_it_merges_is_unknown_at_first(hub: Hub) -> None:
    """As on GitHub: the first look begins the working out, the next one has it; a new head begins it again."""
    await hub.stand_in.commit_files(SHOP.full_name, "devflow/x", {"cart.py": "total = 3\n"}, "More")
    assert (await hub.look()).mergeable == "unknown"
    assert (await hub.look()).mergeable == "mergeable"
    await hub.stand_in.commit_files(SHOP.full_name, "main", {"cart.py": "total = 9\n"}, "Other")
    assert (await hub.look()).mergeable == "unknown"
    assert (await hub.look()).mergeable == "conflicting"


@pytest.mark.parametrize(
    ("status", "headers", "low", "high"),
    [
        (403, {"Retry-After": "37"}, 36, 37.1),
        (429, {"Retry-After": "5"}, 4, 5.1),
        (403, {"X-RateLimit-Remaining": "0"}, 100, 122),
    ],
)
async def test_a_limit_is_kept_without_asking_again(
    hub: Hub, status: int, headers: dict[str, str], low: float, high: float
) -> None:
    """What GitHub asks for is told; the next look sends nothing, and a person's own act still goes through."""
    if "Retry-After" not in headers:
        headers = {**headers, "X-RateLimit-Reset": str(int(time.time()) + 120)}
    hub.faults.add("POST", GRAPHQL, status, "You have exceeded a secondary rate limit.", headers=headers)
    for _ in range(2):
        with pytest.raises(TemporaryError) as caught:
            await hub.look()
        assert caught.value.retry_after_seconds is not None
        assert low <= caught.value.retry_after_seconds <= high
    assert hub.faults.count("POST", GRAPHQL) == 1
    assert (await hub.code_host.merge_options(hub.shop)).allowed == ("merge", "squash", "rebase")


def answer_with(body: dict[str, Any]) -> Any:
    return lambda: web.json_response(body)


async def test_a_limit_in_an_answer_of_200_is_one(hub: Hub) -> None:
    """GraphQL says it so."""
    body = {"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded for installation."}]}
    hub.faults.faults.append(Fault("POST", GRAPHQL, answer_with(body)))
    with pytest.raises(TemporaryError) as caught:
        await hub.look()
    assert caught.value.retry_after_seconds == 60


async def test_few_points_left_keep_the_next_look_back(hub: Hub) -> None:
    """The rest is for what people press."""
    limit = {"cost": 20, "remaining": 150, "resetAt": "2099-01-01T00:00:00Z"}
    hub.faults.faults.append(Fault("POST", GRAPHQL, answer_with({"data": {"rateLimit": limit, "nodes": [None]}})))
    assert await hub.code_host.look_at_pull_requests(hub.shop.installation_id, [hub.node_id]) == {}
    with pytest.raises(TemporaryError):
        await hub.look()
    assert hub.faults.count("POST", GRAPHQL) == 1


async def test_what_github_failed_to_answer_is_left_out(hub: Hub) -> None:
    """Only what GitHub says is gone is gone."""
    errors = [
        {"path": ["nodes", 0], "message": "Something went wrong while executing your query."},
        {"path": ["nodes", 1], "type": "NOT_FOUND", "message": "Could not resolve to a node"},
    ]
    answer = {"data": {"nodes": [None, None, {"__typename": "Issue"}]}, "errors": errors}
    hub.faults.faults.append(Fault("POST", GRAPHQL, answer_with(answer)))
    found = await hub.code_host.look_at_pull_requests(hub.shop.installation_id, ["a", "b", "c"])
    assert found == {"b": None, "c": None}


async def test_an_app_without_leave_to_read_checks_sees_the_rest(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """An App made before checks were asked for goes on; its pull requests show none."""
    monkeypatch.delitem(rest_shapes.INSTALLATION_PERMISSIONS, "checks")
    hub.stand_in.reviewing.set_check(hub.row, hub.head_sha, "test", "failed")
    other = GithubCodeHost(api_url=hub.stand_in.api_url, app_id=hub.stand_in.app_id, private_key=app_key())
    found = (await other.look_at_pull_requests(hub.shop.installation_id, [hub.node_id]))[hub.node_id]
    assert found is not None
    assert (found.title, found.checks, found.checks_total) == ("Fix", (), 0)
    await other.close()


async def test_a_lost_answer_to_a_merge_is_looked_up(hub: Hub) -> None:
    """Merged, and only the answer lost: its sha is told, and nothing is merged twice."""
    hub.faults.add("PUT", "/pulls/1/merge", 502, after=True)
    sha = await hub.code_host.merge_pull_request(hub.shop, 1, method="merge", head_sha=hub.head_sha)
    assert sha == hub.pull.merge_commit_sha
    assert hub.faults.count("PUT", "/merge") == 1


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Rule("main", 1, ()), "At least 1 approving review is required"),
        (Rule("main", 0, ("test",)), 'Required status check "test" is expected'),
    ],
)
async def test_a_rule_against_the_merge_is_told(hub: Hub, rule: Rule, said: str) -> None:
    """In GitHub's words, with whom to ask; once it is fulfilled the merge goes through."""
    hub.stand_in.world.store.reviews.set_rule(hub.row.id, "main", rule)
    with pytest.raises(PermanentError, match="A rule of the repository") as caught:
        await hub.code_host.merge_pull_request(hub.shop, 1, method="rebase", head_sha=hub.head_sha)
    assert said in caught.value.summary
    hub.stand_in.reviewing.review(hub.row, hub.pull, "ada", "APPROVED", "")
    hub.stand_in.reviewing.set_check(hub.row, hub.head_sha, "test", "passed")
    assert await hub.code_host.merge_pull_request(hub.shop, 1, method="rebase", head_sha=hub.head_sha)


async def test_a_rule_of_the_repository_against_a_branch_is_told(hub: Hub) -> None:
    """Rulesets refuse with 422 and say which."""
    message = "Repository rule violations found\n\nCannot create ref due to creations being restricted.\n\n"
    hub.faults.add("POST", "/git/refs", 422, message)
    with pytest.raises(PermanentError, match="creations being restricted") as caught:
        await hub.code_host.create_branch(hub.shop, "devflow/y", hub.head_sha)
    assert "administers" in caught.value.remedy


async def test_a_base_that_is_gone_is_told(hub: Hub) -> None:
    """And a head that was never pushed."""
    with pytest.raises(PermanentError, match="There is no branch `gone`"):
        await hub.code_host.open_pull_request(hub.shop, head="devflow/x", base="gone", title="x", body="")
    with pytest.raises(PermanentError, match="`nowhere` is not on GitHub"):
        await hub.code_host.open_pull_request(hub.shop, head="nowhere", base="main", title="x", body="")


async def test_a_missing_permission_is_named(hub: Hub) -> None:
    """The one that this very act needs."""
    hub.faults.add("GET", "/check-runs/7", 403, "Resource not accessible by integration")
    with pytest.raises(PermanentError) as caught:
        await hub.code_host.check_details(hub.shop, 7, 1000)
    assert "Checks: read" in caught.value.remedy


async def test_a_look_that_is_too_much_at_once_is_taken_in_parts(hub: Hub) -> None:
    """GitHub ends a query after ten seconds, each time: the half without what is so slow is seen all the same."""
    ids = [*(f"PR_{number}" for number in range(99)), hub.node_id]
    hub.faults.add("POST", GRAPHQL, 502, "We couldn't respond to your request in time.", times=2)
    before = hub.faults.count("POST", GRAPHQL)
    found = await hub.code_host.look_at_pull_requests(hub.shop.installation_id, ids)
    assert found[hub.node_id] is not None
    assert len(found) == 100
    assert hub.faults.count("POST", GRAPHQL) == before + 5, "a hundred, fifty, twice twenty-five, fifty"
    hub.faults.add("POST", GRAPHQL, 502, times=99)
    before = hub.faults.count("POST", GRAPHQL)
    with pytest.raises(TemporaryError):
        await hub.code_host.look_at_pull_requests(hub.shop.installation_id, ids)
    assert hub.faults.count("POST", GRAPHQL) - before <= 7, "an outage does not make a storm"


async def test_a_log_that_cannot_be_had_hinders_nothing(hub: Hub) -> None:
    """Actions may answer for a log with an error of its own for ever; what the check says is told without it."""
    failed = hub.stand_in.reviewing.set_check(hub.row, hub.head_sha, "test", "failed", log="one\n")
    hub.faults.add("GET", f"/actions/jobs/{failed.id}/logs", 500, "Server Error", times=9)
    told = await hub.code_host.check_details(hub.shop, failed.id, 1000)
    assert (told.name, told.conclusion, told.log_tail) == ("test", "failure", "")


async def test_a_form_asked_for_again_costs_nothing_of_the_limit(hub: Hub) -> None:
    """The second asking has the ETag, and GitHub answers that nothing changed."""
    await hub.code_host.list_reviewers(hub.shop, "", 5)
    hub.code_host._reviewers._values.clear()  # as after some minutes
    assert await hub.code_host.list_reviewers(hub.shop, "a", 5) == ["ada"]
    assert hub.faults.count("GET", "/collaborators") == 2
    assert hub.faults.answered[-1] == 304


async def test_an_unknown_draft_is_not_found(hub: Hub) -> None:
    """A node id that is nobody's."""
    with pytest.raises(NotFound):
        await hub.code_host.mark_ready_for_review(hub.shop, "PR_nowhere")


async def test_enterprise_is_one_host(hub: Hub) -> None:
    """REST under /api/v3, GraphQL under /api/graphql, git and links on the host itself."""
    await hub.look()
    paths = {one.split(" ")[1] for one in hub.faults.seen}
    assert all(path.startswith("/api/v3/") or path == GRAPHQL for path in paths)
    host = hub.stand_in.url.partition("://")[2]
    assert hub.code_host.hosts == {host}
    assert hub.shop.clone_url == f"{hub.stand_in.url}/acme/shop.git"
    assert (await hub.look()).url == f"{hub.stand_in.url}/acme/shop/pull/1"


async def test_an_older_enterprise_is_asked_in_its_own_words(hub: Hub) -> None:
    """One whose schema lacks the large ids refuses the query once; from then on it is asked for the small ones."""
    message = "Field 'fullDatabaseId' doesn't exist on type 'PullRequestReview'"
    body = {"errors": [{"message": message, "extensions": {"code": "undefinedField"}}]}
    hub.faults.faults.append(Fault("POST", GRAPHQL, answer_with(body)))
    hub.faults.faults.append(Fault("POST", GRAPHQL, answer_with({"data": {"nodes": [None]}}), times=2))
    for _ in range(2):
        assert await hub.code_host.look_at_pull_requests(hub.shop.installation_id, [hub.node_id]) == {}
    assert hub.faults.count("POST", GRAPHQL) == 3


@pytest.mark.parametrize(
    ("api_url", "host"),
    [
        ("https://api.github.com", "github.com"),
        ("https://ghe.acme.com/api/v3", "ghe.acme.com"),
        ("https://ghe.acme.com:8443/api/v3/", "ghe.acme.com:8443"),
        ("https://api.acme.ghe.com", "acme.ghe.com"),
    ],
)
def test_where_graphql_git_and_links_are(api_url: str, host: str) -> None:
    """github.com, Enterprise Server and Enterprise Cloud with data residency."""
    assert web_host(api_url) == host
    code_host = GithubCodeHost(api_url=api_url, app_id=1, private_key=app_key())
    graphql = code_host._github.app().requester.graphql_url
    expected = f"https://{host}/api/graphql" if "/api/v3" in api_url else f"{api_url}/graphql"
    assert graphql == expected


async def test_the_last_word_of_a_long_thread_is_seen(hub: Hub) -> None:
    """Else a thread that DevFlow has answered stays open for ever, and is answered again after every crash."""
    reviewing = hub.stand_in.reviewing
    first = reviewing.comment_on_line(hub.row, hub.pull, "ada", "cart.py", 1, "comment 0")
    for number in range(1, 45):
        reviewing.reply(hub.row, hub.pull, "ada", first.id, f"comment {number}")
    await hub.code_host.reply_to_review_comment(hub.shop, 1, first.id, "Done.")
    (thread,) = (await hub.look()).threads
    assert thread.comments[-1].body == "Done."
    (thread,) = (await hub.code_host.get_pull_request_snapshot(hub.shop, 1)).threads
    assert (thread.comments[0].comment_id, thread.comments[-1].body) == (first.id, "Done.")
    said = [one.body for one in thread.comments]
    assert said == [f"comment {number}" for number in (*range(10), *range(16, 45))] + ["Done."]
