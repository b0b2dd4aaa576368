"""The contract suite of a pull request's life once more, against GitHub's OpenAPI description."""

from __future__ import annotations

from tests.contract.test_code_host_pulls import *  # noqa: F403  its tests run here too
from tests.contract.test_code_host_pulls import hub, pull, shop  # noqa: F401
from tests.github_schemas.test_every_route import checked  # noqa: F401
