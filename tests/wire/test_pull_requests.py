"""A pull request over real wires: the form, the card, a review and CI on GitHub's stand-in, the agent, the merge."""

from __future__ import annotations

from typing import Any

import pytest

from slackbot.sandbox.github.store import PullRow, RepositoryRow
from tests.wire.bot_world import BotWorld, SessionThread, until, words
from tests.wire.test_main_job import pushed

pytestmark = pytest.mark.asyncio(loop_scope="module")

CARD = "devflow_pull_request"


class Hub:
    """GitHub's page, as reviewers and CI use it."""

    def __init__(self, world: BotWorld, full_name: str) -> None:
        self.world = world
        self.full_name = full_name

    @property
    def row(self) -> RepositoryRow:
        row = self.world.github.world.store.repository(self.full_name)
        assert row is not None
        return row

    @property
    def pull(self) -> PullRow:
        pull = self.world.github.world.store.pull(self.row.id, 1)
        assert pull is not None
        return pull

    @property
    def reviewing(self) -> Any:
        return self.world.github.reviewing

    def check(self, name: str, state: str, log: str = "") -> None:
        self.reviewing.set_check(self.row, self.pull.head_sha, name, state, log=log)


async def card_says(thread: SessionThread, *parts: str, absent: str = "\x00") -> str:
    """The one card of the pull request, once it holds all `parts`."""

    def look() -> str | None:
        (card,) = thread.of_type(CARD) or [None]
        said = words(card) if card is not None else ""
        return said if all(part in said for part in parts) and absent not in said else None

    return await until(look, f"{parts} on the card", 20)


async def test_from_the_form_to_the_merge(world: BotWorld) -> None:
    """Opened as the form says; CI, a review and a conflict on the card; the agent answers the review; merged."""
    ada = world.someone("ada")
    grace = world.someone("grace").beside(ada)
    repository = await world.repository()
    world.github.world.store.reviews.add_person("grace", "Grace Hopper", collaborator=True)
    await world.github.commit_files(repository, "main", {".github/pull_request_template.md": "## Checklist\n"}, "Ask")
    thread = await ada.starts(repository, "echo hi")
    worker = await thread.worker()
    await worker.works("# Say hello\n\nIt says so now.", **await pushed(world, thread))
    await thread.turn(1, "answered")

    await ada.presses(thread, "Open PR")
    people = world.slack.people
    view = (await until(lambda: people.open_views(ada.user_id), "the form"))[-1]
    offered = await people.options(ada.user_id, "pull_request_reviewers", "gr", view_id=view["id"])
    assert [option["value"] for option in offered] == ["grace"]
    bases = await people.options(ada.user_id, "pull_request_base", "", view_id=view["id"])
    assert [option["value"] for option in bases] == ["main"], "the session's own branch is none"
    draft = {"text": {"type": "plain_text", "text": "A draft"}, "value": "draft"}
    nowhere = {**bases[0], "value": "nowhere"}
    given = {
        "title": "A better title",
        "reviewers": offered,
        "kind": {"selected_option": draft},
        "base": {"selected_option": nowhere},
    }

    def filled_in() -> dict[str, Any]:
        return {f"pull_request_{name}": {f"pull_request_{name}": value} for name, value in given.items()}

    refused = await people.submit_view(ada.user_id, view["id"], filled_in())
    assert list(refused["errors"]) == ["pull_request_base"], "the form stays, with what was typed"
    given["base"] = {"selected_option": bases[0]}
    sent = await people.submit_view(ada.user_id, view["id"], filled_in())
    assert sent["ok"], sent
    fields = {block["block_id"]: block["element"] for block in view["blocks"]}
    assert fields["pull_request_title"]["initial_value"] == "Say hello"
    assert "## Checklist" in fields["pull_request_body"]["initial_value"]
    await card_says(thread, "Pull request #1> is a draft", "A better title", f"asked for by <@{ada.user_id}>")
    await ada.presses(thread, "Ready for review")
    await card_says(thread, "Pull request #1> is open")
    hub = Hub(world, repository)
    assert hub.pull.title == "A better title"
    assert f"<!-- devflow-session: {thread.session_id} -->" in hub.pull.body
    assert "grace" in world.github.world.store.reviews.requested(hub.pull.id)

    hub.check("lint", "failed", log="line too long\n")
    await card_says(thread, "1 failing: ", "lint")
    await thread.shows("failed: ")
    await ada.presses(thread, "Fix checks")
    work = await worker.works("Shortened.", **await pushed(world, thread, "shorter.txt"))
    assert work["prompt"].startswith("Make the failing checks of pull request #1 pass.")
    assert "line too long" in work["prompt"]
    hub.check("lint", "passed")
    await card_says(thread, "1 passed", absent="failing")

    hub.reviewing.comment_on_line(hub.row, hub.pull, "grace", "new.txt", 1, "Why new?")
    hub.reviewing.review(hub.row, hub.pull, "grace", "CHANGES_REQUESTED", "Not yet.")
    await card_says(thread, "Changes asked for by *grace*", "1 review thread is open")
    await thread.shows("asks for changes to")
    await grace.presses(thread, "Address review")
    work = await worker.works("Because.", **await pushed(world, thread, "newer.txt"))
    assert "`new.txt`, line 1" in work["prompt"]
    assert "Why new?" in work["prompt"]

    def replied() -> bool:
        bodies = [one.body for one in world.github.world.store.reviews.all_comments(hub.pull.id)]
        return any("Addressed in" in body and "Because." in body for body in bodies)

    await until(replied, "a reply on GitHub")
    hub.check("lint", "passed")
    hub.reviewing.review(hub.row, hub.pull, "grace", "APPROVED", "")
    await card_says(thread, "Approved by *grace*", absent="failing")

    await grace.presses(thread, "Merge…")
    await grace.is_told(thread, "or an administrator, may merge its pull request")
    await ada.presses(thread, "Merge…")
    form = (await until(lambda: world.slack.people.open_views(ada.user_id), "the form"))[-1]
    outcome = await world.slack.people.submit_view(ada.user_id, form["id"])
    assert outcome["ok"], outcome
    await card_says(thread, "is merged")
    await thread.shows(f"is merged by <@{ada.user_id}>")
    assert hub.pull.merged
    await grace.presses(thread, "Delete branch")
    await card_says(thread, "its branch is deleted")
    assert thread.item()["branch_name"] not in await world.branches(repository)
    assert len(thread.of_type(CARD)) == 1
    assert len([text for text in thread.said() if "failed: " in text]) == 1
