"""Webhooks: every event the stand-in sends is as GitHub's schemas have it, and every example that is published is
taken by DevFlow's endpoint.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from jsonschema import Draft7Validator

from slackbot.adapters.github import GithubCodeHost
from slackbot.core.repository_name import RepositoryName
from slackbot.gateway.public import PublicServer
from slackbot.gateway.server import listen
from slackbot.gateway.webhooks import PATH, GithubWebhook, pull_request_event, signature
from slackbot.sandbox.github.review_store import Ways
from slackbot.sandbox.github.server import GithubStandIn
from tests.fakes.github_support import app_key

SECRET = "a secret of sixteen and more"
OF_PULL_REQUESTS = {
    "pull_request": ["opened", "synchronize", "review_requested", "converted_to_draft", "ready_for_review", "closed"],
    "pull_request_review": ["submitted"],
    "pull_request_review_comment": ["created"],
    "pull_request_review_thread": ["resolved", "unresolved"],
    "issue_comment": ["created"],
    "check_run": ["created", "completed"],
    "status": [""],
    "push": [""],
}
SHOWS_NONE = {"check_suite", "check_run", "issue_comment", "push"}
"""Events of which some examples are about nothing that can have a pull request."""


class Receiver:
    """DevFlow's endpoint behind a recorder. `sent` holds what came, `woken` what the watch was told."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.woken: list[tuple[str, tuple[int, ...], str | None]] = []
        self.url = ""

    async def wake(self, repository: str, numbers: tuple[int, ...], head_sha: str | None) -> None:
        self.woken.append((repository, numbers, head_sha))


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    room = GithubWebhook(SECRET, made.wake)

    class Recording:
        def add_routes(self, router: web.UrlDispatcher) -> None:
            async def receive(request: web.Request) -> web.Response:
                body = json.loads(await request.read())
                answer = await room._receive(request)
                assert answer.status == 202, answer.text
                made.sent.append((request.headers["X-GitHub-Event"], body))
                return answer

            router.add_post(PATH, receive)

        async def close(self) -> None: ...

    listening = listen("127.0.0.1", 0, setting="DEVFLOW_PUBLIC_LISTEN")
    server = PublicServer(listening, [Recording()])
    await server.start()
    made.url = f"http://127.0.0.1:{listening.getsockname()[1]}{PATH}"
    yield made
    await server.stop()


async def test_what_the_stand_in_sends_is_as_github_sends_it(
    receiver: Receiver, tmp_path: Path, webhook_schema: dict[str, Any]
) -> None:
    """A pull request's whole life, each event valid and signed, each naming the pull request or its head."""
    stand_in = GithubStandIn(tmp_path, private_key_pem=app_key())
    await stand_in.start()
    stand_in.send_webhooks(receiver.url, SECRET)
    row = await stand_in.create_repository("acme/shop", files={"cart.py": "total = 1\n"})
    store = stand_in.world.store
    store.reviews.add_person("ada", "Ada", collaborator=True)
    store.reviews.set_ways(row.id, Ways(ci=("test",)))
    git = stand_in.world.git(row)
    await git.update_ref("refs/heads/devflow/x", await git.head_of("main"))
    await stand_in.commit_files("acme/shop", "devflow/x", {"cart.py": "total = 2\n"}, "Fix")
    await _open(stand_in)

    def pull() -> Any:
        return store.pull(row.id, 1)

    act = stand_in.reviewing
    act.request_reviews(row, pull(), ["ada"], stand_in.world.app_login)
    comment = act.comment_on_line(row, pull(), "ada", "cart.py", 1, "Why two?")
    act.reply(row, pull(), stand_in.world.app_login, comment.id, "Because.")
    (thread,) = store.reviews.threads(pull().id)
    act.resolve(row, pull(), "ada", thread, True)
    act.resolve(row, pull(), "ada", thread, False)
    act.review(row, pull(), "ada", "CHANGES_REQUESTED", "No.")
    act.comment(row, pull(), "ada", "A word.")
    act.set_check(row, pull().head_sha, "test", "failed", log="x")
    act.set_check(row, pull().head_sha, "deploy", "pending", kind="status")
    await stand_in.commit_files("acme/shop", "devflow/x", {"cart.py": "total = 3\n"}, "Fix more")
    act.set_draft(row, pull(), "ada", True)
    act.set_draft(row, pull(), "ada", False)
    act.review(row, pull(), "ada", "APPROVED", "")
    await act.merge(row, pull(), "ada", "squash")
    async with asyncio.timeout(20):
        while not any(body["pull_request"]["merged"] for name, body in receiver.sent if name == "pull_request"):
            await asyncio.sleep(0.02)
    await stand_in.stop()

    faults = []
    for name, body in receiver.sent:
        definition = f"{name}${body.get('action') or 'event'}"
        schema = {"$ref": f"#/definitions/{definition}", "definitions": webhook_schema["definitions"]}
        for error in Draft7Validator(schema).iter_errors(body):
            faults.append(f"{definition} {error.json_path}: {error.message[-250:]}")
    assert sorted(set(faults)) == []
    seen = {(name, body.get("action", "")) for name, body in receiver.sent}
    assert seen >= {(name, action) for name, actions in OF_PULL_REQUESTS.items() for action in actions}
    assert all(repository == "acme/shop" and (numbers == (1,) or sha) for repository, numbers, sha in receiver.woken)


async def _open(stand_in: GithubStandIn) -> None:
    code_host = GithubCodeHost(api_url=stand_in.api_url, app_id=stand_in.app_id, private_key=app_key())
    shop = await code_host.find_repository(RepositoryName("acme", "shop"))
    await code_host.open_pull_request(shop, head="devflow/x", base="main", title="Fix", body="Why")
    await code_host.close()


async def test_every_published_example_is_taken(receiver: Receiver, webhook_examples: list[dict[str, Any]]) -> None:
    """Each answers 202, and those of pull requests name theirs."""
    examples = [(entry["name"], example) for entry in webhook_examples for example in entry["examples"]]
    assert len(examples) > 300
    async with aiohttp.ClientSession() as http:
        for number, (name, example) in enumerate(examples):
            body = json.dumps(example).encode()
            headers = {
                "X-GitHub-Event": name,
                "X-GitHub-Delivery": f"example-{number}",
                "X-Hub-Signature-256": signature(SECRET.encode(), body),
                "Content-Type": "application/json",
            }
            async with http.post(receiver.url, data=body, headers=headers) as answer:
                assert answer.status == 202, name
    for name, example in examples:
        found = pull_request_event(name, example)
        if name in OF_PULL_REQUESTS and name not in SHOWS_NONE:
            assert found is not None, name
        if name.startswith("pull_request"):
            assert found is not None
            assert found.numbers == (example["pull_request"]["number"],)
    assert receiver.woken
