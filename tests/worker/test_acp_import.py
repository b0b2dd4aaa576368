"""ACP's models as the worker imports them: the same, without reading their source at every start."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pydantic

MODEL = """
import json
from acp.schema import NewSessionRequest as model
fields = {name: [field.alias, field.description] for name, field in model.model_fields.items()}
print(json.dumps(fields))
"""


def fields_after(imports: str) -> dict[str, Any]:
    """By name: the alias and the description, in a process of its own, as the tests' has them imported already."""
    told = subprocess.run([sys.executable, "-c", imports + MODEL], capture_output=True, text=True, check=True).stdout
    return dict(json.loads(told))


def test_the_models_are_the_same_but_for_their_documentation() -> None:
    """And nobody else's models are touched."""
    plain, ours = fields_after(""), fields_after("import slackbot.worker.acp_import")
    assert {name: alias for name, (alias, _) in ours.items()} == {name: alias for name, (alias, _) in plain.items()}
    assert any(description for _, description in plain.values())
    assert {description for _, description in ours.values()} == {None}
    assert pydantic.ConfigDict(use_attribute_docstrings=True) == {"use_attribute_docstrings": True}


BEFORE_AND_AFTER = """
import asyncio, sys
import slackbot.worker.main
before = "acp" in sys.modules
from slackbot.worker.agent_host import load_protocol
asyncio.run(load_protocol())
from acp.schema import NewSessionRequest
print(before, NewSessionRequest.model_fields["cwd"].description)
"""


def test_a_worker_begins_its_checkout_without_them() -> None:
    """They are loaded while the agent's process starts, and then without their documentation too."""
    told = subprocess.run([sys.executable, "-c", BEFORE_AND_AFTER], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["False", "None"]
