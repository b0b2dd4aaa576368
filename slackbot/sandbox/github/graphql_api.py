"""What GraphQL answers: the look at many pull requests, one of them, and the end of a draft. Asked by `graphql_route`.

graphql-core parses, validates and executes against `schema.graphql`, a part of GitHub's own schema: what is not in
it is refused as GitHub refuses an unknown field. https://docs.github.com/en/graphql/guides/forming-calls-with-graphql
"""

from __future__ import annotations

import functools
from base64 import b64decode
from pathlib import Path
from typing import Any

from graphql import GraphQLError, GraphQLResolveInfo, GraphQLSchema, build_schema, execute, parse, validate

from slackbot.sandbox.github.graphql_route import POINTS_PER_HOUR, within
from slackbot.sandbox.github.graphql_shapes import Fault, Json, Shapes
from slackbot.sandbox.github.rest_base import Caller
from slackbot.sandbox.github.rest_guard import RestGuard
from slackbot.sandbox.github.rest_shapes import node_id, timestamp
from slackbot.sandbox.github.reviewing import Reviewing
from slackbot.sandbox.github.store import PullRow, RepositoryRow
from slackbot.sandbox.github.world import World

_NODES_MOST = 100


@functools.cache
def schema() -> GraphQLSchema:
    return build_schema((Path(__file__).parent / "schema.graphql").read_text())


class GraphqlApi:
    def __init__(self, world: World, guard: RestGuard, reviewing: Reviewing) -> None:
        self._world = world
        self._guard = guard
        self._reviewing = reviewing

    async def answer(self, wanted: Json, caller: Caller, base: str) -> Json:
        """What the body of a request asks for; faults are part of the answer."""
        asked = Asked(self, caller, base)
        query, variables = wanted.get("query"), wanted.get("variables") or {}
        if not isinstance(query, str) or not isinstance(variables, dict):
            return {"errors": [{"message": "A query attribute must be specified and must be a string."}]}
        try:
            document = parse(query, max_tokens=5000)
        except GraphQLError as error:
            return {"errors": [_formatted(error)]}
        faults = validate(schema(), document)
        if faults:
            return {"errors": [_formatted(fault) for fault in faults]}
        cost = _cost(variables)
        rate = self._guard.rate(caller, count=True, resource="graphql", cost=cost)
        if rate["used"] > POINTS_PER_HOUR:
            return {"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded for installation."}]}
        asked.rate = {**within(rate), "cost": cost, "nodeCount": 0, "resetAt": timestamp(rate["reset"])}
        result = execute(schema(), document, root_value=asked.root(), variable_values=variables)
        done = result if not hasattr(result, "__await__") else await result
        answer: Json = {"data": done.data}
        if done.errors:
            answer["errors"] = [_formatted(fault) for fault in done.errors]
        # Only now does GitHub begin to work out whether they merge; the next look finds it.
        for pull in asked.seen:
            await self._world.merges(pull)
        return answer

    async def pull(self, row: RepositoryRow, pull: PullRow, asked: Asked) -> Json:
        difference = await self._world.git(row).compare(pull.base_sha, pull.head_sha, patches=False)
        asked.seen += [pull] if pull.state == "open" else []
        clean = self._world.known_merges(pull) if pull.state == "open" else None
        facts = {
            "additions": sum(file.additions for file in difference.files),
            "deletions": sum(file.deletions for file in difference.files),
            "changedFiles": len(difference.files),
            "mergeable": {None: "UNKNOWN", True: "MERGEABLE", False: "CONFLICTING"}[clean],
            "decision": self._reviewing.decision(pull),
            "opinions": self._reviewing.opinions(pull),
        }
        shapes = Shapes(asked.base, self._world.app_login, self._world.store.reviews)
        return shapes.pull(
            row, pull, facts, asked.caller.may("checks", "read") and asked.caller.may("statuses", "read")
        )

    def find(self, global_id: str, caller: Caller) -> tuple[RepositoryRow, PullRow]:
        """The pull request of a node id; `Fault` when there is none that the caller may see."""
        try:
            kind, _, rest = b64decode(global_id, validate=True).decode().partition(":")
            number = int(rest.removeprefix("PullRequest")) if rest.startswith("PullRequest") and kind else 0
        except ValueError:
            number = 0
        pull = self._world.store.pull_by_id(number) if number else None
        row = self._world.store.repository_by_id(pull.repository_id) if pull is not None else None
        if pull is None or row is None or not self.may_see(row, caller):
            raise Fault("NOT_FOUND", f"Could not resolve to a node with the global id of '{global_id}'")
        return row, pull

    def may_see(self, row: RepositoryRow, caller: Caller) -> bool:
        return (caller.reaches(row) and caller.may("pull_requests", "read")) or not row.private

    def named(self, owner: str, name: str, caller: Caller) -> RepositoryRow:
        full_name = f"{owner}/{name}"
        row = self._world.store.repository(full_name) or self._world.store.renamed(full_name)
        if row is None or not (caller.reaches(row) or not row.private):
            raise Fault("NOT_FOUND", f"Could not resolve to a Repository with the name '{full_name}'.")
        return row

    def numbered(self, row: RepositoryRow, number: int) -> PullRow:
        pull = self._world.store.pull(row.id, number)
        if pull is None:
            raise Fault("NOT_FOUND", f"Could not resolve to a PullRequest with the number of {number}.")
        return pull

    async def ready(self, global_id: str, caller: Caller) -> tuple[RepositoryRow, PullRow]:
        row, pull = self.find(global_id, caller)
        if not (caller.reaches(row) and caller.may("pull_requests", "write")):
            raise Fault("FORBIDDEN", "Resource not accessible by integration")
        if pull.state != "open":
            raise Fault("UNPROCESSABLE", "Pull request is closed")
        return row, self._reviewing.set_draft(row, pull, self._world.app_login, False)


class Asked:
    """One request: who asks, and the root of what may be asked for."""

    def __init__(self, api: GraphqlApi, caller: Caller, base: str) -> None:
        self.api, self.caller, self.base = api, caller, base
        self.rate: Json = {}
        self.seen: list[PullRow] = []

    def root(self) -> Json:
        return {
            "rateLimit": lambda info, dryRun=False: self.rate,
            "node": self._node,
            "nodes": self._nodes,
            "repository": self._repository,
            "markPullRequestReadyForReview": self._ready,
        }

    async def _node(self, info: GraphQLResolveInfo[Any], id: str) -> Json:
        row, pull = self.api.find(id, self.caller)
        return await self.api.pull(row, pull, self)

    async def _nodes(self, info: GraphQLResolveInfo[Any], ids: list[str]) -> list[Any]:
        if len(ids) > _NODES_MOST:
            message = f"You may not provide more than {_NODES_MOST} node ids; you provided {len(ids)}."
            raise Fault("ARGUMENT_LIMIT", message)
        found: list[Any] = []
        for one in ids:
            try:
                found.append(await self._node(info, one))
            except Fault as fault:
                found.append(fault)  # becomes null, with an error at this place
        return found

    async def _repository(
        self, info: GraphQLResolveInfo[Any], owner: str, name: str, followRenames: bool = True
    ) -> Json:
        row = self.api.named(owner, name, self.caller)

        async def pull_request(info: GraphQLResolveInfo[Any], number: int) -> Json:
            return await self.api.pull(row, self.api.numbered(row, number), self)

        return {"id": node_id("Repository", row.id), "nameWithOwner": row.full_name, "pullRequest": pull_request}

    async def _ready(self, info: GraphQLResolveInfo[Any], input: Json) -> Json:
        row, pull = await self.api.ready(input["pullRequestId"], self.caller)
        shown = await self.api.pull(row, pull, self)
        return {"clientMutationId": input.get("clientMutationId"), "pullRequest": shown}


def _cost(variables: Json) -> int:
    """About what GitHub's formula gives for the look: its connections, and each thread's comments."""
    pulls = len(variables["ids"]) if isinstance(variables.get("ids"), list) else 1
    threads = variables["threads"] if isinstance(variables.get("threads"), int) else 0
    return max(1, round(pulls * (6 + threads) / 100))


def _formatted(error: GraphQLError) -> Json:
    shown: Json = dict(error.formatted)
    kind = getattr(error.original_error or error, "type", None)
    return {"type": kind, **shown} if kind else shown
