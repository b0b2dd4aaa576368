"""Leaves these tests out unless start.py (`make test-github-schemas`) says where GitHub's descriptions are."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.github_schemas.openapi import published

VARIABLE = "GITHUB_SCHEMAS"

if not os.environ.get(VARIABLE):
    collect_ignore_glob = ["test_*.py"]


def pytest_report_header(config: pytest.Config) -> str | None:
    """Says so when somebody names this directory without the descriptions."""
    if os.environ.get(VARIABLE):
        return None
    return "GitHub's schemas: none, so their tests are left out; run `make test-github-schemas`"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The suites of tests/contract are run here for the stand-in only, not for the fake."""
    items[:] = [item for item in items if not ("github_schemas" in str(item.path) and "[fake" in item.name)]


@pytest.fixture(scope="session")
def webhook_schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(published("schema.json").read_text())
    return found


@pytest.fixture(scope="session")
def webhook_examples() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(published("api.github.com/index.json").read_text())
    return found
