"""ACP's models as the worker imports them: the same, without reading their source at every start."""

from __future__ import annotations

import json
import subprocess
import sys

import pydantic
from acp.schema import NewSessionRequest

PROGRAM = """
import json
import slackbot.worker.acp_import
from acp.schema import NewSessionRequest as model
fields = {name: [field.alias, field.description] for name, field in model.model_fields.items()}
print(json.dumps(fields))
"""


def test_the_models_are_the_same_but_for_their_documentation() -> None:
    """And nobody else's models are touched."""
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    fields = json.loads(told)
    assert {name: alias for name, (alias, _) in fields.items()} == {
        name: field.alias for name, field in NewSessionRequest.model_fields.items()
    }
    assert {description for _, description in fields.values()} == {None}
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
