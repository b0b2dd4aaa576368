"""GitHub's OpenAPI description: which operation a request is, and what is wrong with request and answer."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from openapi_schema_validator import OAS30Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

FOLDERS = os.environ.get("GITHUB_SCHEMAS", "").split(os.pathsep)
_SPANNING = {"ref", "path", "basehead", "branch"}
_ROOT = "urn:github"


@dataclass
class Exchange:
    """One call of the API as it was on the wire."""

    method: str
    path: str
    query: dict[str, str]
    sent: bytes
    status: int
    content_type: str
    answered: bytes


@dataclass
class Description:
    """`used` collects the operations that were checked, as `GET /repos/{owner}/{repo}`."""

    document: dict[str, Any]
    used: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        resource = Resource.from_contents(self.document, default_specification=DRAFT4)
        self._registry: Registry[Any] = Registry().with_resource(_ROOT, resource)
        self._paths = [(_pattern(path), path) for path in self.document["paths"]]
        self._paths.sort(key=lambda one: -len(re.sub(r"\{[^}]*\}", "", one[1])))

    def faults(self, exchange: Exchange) -> list[str]:
        """What GitHub's description has against it; [] when all is as described."""
        operations = [
            (path, self.document["paths"][path][exchange.method.lower()])
            for pattern, path in self._paths
            if pattern.fullmatch(exchange.path) and exchange.method.lower() in self.document["paths"][path]
        ]
        if not operations:
            return [f"{exchange.method} {exchange.path}: GitHub has no such route"]
        path, operation = operations[0]
        name = f"{exchange.method} {path}"
        self.used.add(name)
        return [
            f"{name}: {fault}"
            for fault in [*self._of_request(operation, exchange), *self._of_answer(operation, exchange)]
        ]

    def _of_request(self, operation: dict[str, Any], exchange: Exchange) -> Iterator[str]:
        parameters = [self._resolved(one) for one in operation.get("parameters", [])]
        known = {one["name"] for one in parameters if one["in"] == "query"}
        for name in exchange.query:
            if name not in known:
                yield f"the query has {name}, which is not described"
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if exchange.sent and exchange.status < 400:
            if body is None:
                yield "a body was sent, and none is described"
            else:
                yield from self._against(body["schema"], exchange.sent, "request")
                shape = self._resolved(body["schema"])
                allowed = self._resolved(shape.get("anyOf", [{}, shape])[1]).get("properties", {})
                yield from (f"request has {name}" for name in json.loads(exchange.sent) if name not in allowed)

    def _of_answer(self, operation: dict[str, Any], exchange: Exchange) -> Iterator[str]:
        described = operation["responses"].get(str(exchange.status))
        if described is None:
            if exchange.status < 400:
                yield f"status {exchange.status} is not described"
            return
        content = self._resolved(described).get("content", {}).get("application/json")
        if content is None or exchange.status == 304:
            if exchange.answered and exchange.status < 400:
                yield f"status {exchange.status} has a body, and none is described"
            return
        yield from self._against(content["schema"], exchange.answered, f"answer {exchange.status}")

    def _against(self, schema: dict[str, Any], body: bytes, what: str) -> Iterator[str]:
        validator = OAS30Validator(schema, registry=self._registry)
        for error in validator.iter_errors(json.loads(body)):
            reasons = " / ".join(one.message[-150:] for one in error.context or [])[:900]
            yield f"{what}{error.json_path[1:]}: {error.message[-200:]} {reasons}"

    def _resolved(self, found: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in found:
            return found
        target: Any = self.document
        for part in found["$ref"].removeprefix(_ROOT).removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        return self._resolved(target)


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{([^}]*)\}", path)
    names = [".*" if name in _SPANNING else "[^/]+" for name in parts[1::2]]
    literal = [re.escape(part) for part in parts[::2]]
    return re.compile("".join(one + (names[index] if index < len(names) else "") for index, one in enumerate(literal)))


def _absolute(schema: Any) -> Any:
    """References name the whole document, so that they are found from any part of it."""
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith("#"):
            return {"$ref": _ROOT + reference}
        # A discriminator names schemas by references of its own; the alternatives say the same.
        made = {key: _absolute(value) for key, value in schema.items() if key != "discriminator"}
        if made.get("nullable") is True and "$ref" not in made:
            # Beside `enum` or `anyOf` a validator would not let null pass, and GitHub means it to.
            del made["nullable"]
            return {"anyOf": [{"enum": [None]}, made]}
        return made
    return [_absolute(one) for one in schema] if isinstance(schema, list) else schema


@cache
def description(path: Path) -> Description:
    """The description in the file, its references made absolute once."""
    document = json.loads(path.read_text())
    # An installation's account is a user or an enterprise; here a bundler has written that it is both at once, which
    # GitHub's own example is not.
    account = document["paths"]["/app/installations"]["get"]["responses"]["200"]["content"]["application/json"]
    account = account["schema"]["items"]["properties"]["account"]
    if "allOf" in account:
        account["anyOf"] = account.pop("allOf")
    return Description(_absolute(document))


def published(name: str) -> Path:
    """A file that start.py unpacked. Read once the module is loaded: tests are given an empty environment."""
    return next(path for folder in FOLDERS if (path := Path(folder) / name).exists())
