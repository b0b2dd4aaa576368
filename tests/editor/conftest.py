"""Only for `make test-editor`: code-server is needed, which `make editor` builds and `make test` does without."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.conftest import browser, complaints, open_page, sandbox  # noqa: F401  fixtures


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Collected only where it is named on the command line."""
    named = any(Path(str(argument)).resolve().is_relative_to(Path(__file__).parent) for argument in config.args)
    return None if named else True
