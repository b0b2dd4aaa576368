"""Leaves these tests out unless start.py (`make test-dynamodb-local`) gives the address of a DynamoDB Local."""

from __future__ import annotations

import os

import pytest

URL_VARIABLE = "DYNAMODB_LOCAL_URL"

if not os.environ.get(URL_VARIABLE):
    collect_ignore_glob = ["test_*.py"]


def pytest_report_header(config: pytest.Config) -> str | None:
    """Says so when somebody names this directory without an emulator."""
    if os.environ.get(URL_VARIABLE):
        return f"DynamoDB Local: {os.environ[URL_VARIABLE]}"
    return "DynamoDB Local: none, so its tests are left out; run `make test-dynamodb-local`"
