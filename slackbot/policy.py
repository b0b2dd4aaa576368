"""Reads the administrator's file of rules for single repositories (DEVFLOW_POLICY; docs/operations.md).

`config` reads it to name its faults with all others, `app` to use it. What the rules mean: `core.repository_policy`.
"""

from __future__ import annotations

from pathlib import Path

from slackbot.core.errors import ConfigError
from slackbot.core.repository_policy import Policies, parse_policies

MAX_BYTES = 1_000_000


def read_policies(path: Path | None) -> tuple[Policies, list[str]]:
    """The rules of the file and every fault in it; no rules where no file is named."""
    if path is None:
        return Policies(), []
    shown = path.expanduser()
    try:
        with shown.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            return Policies(), [f"DEVFLOW_POLICY: {shown} is larger than {MAX_BYTES // 1_000} kB"]
        text = content.decode("utf-8-sig")
    except OSError as error:
        return Policies(), [f"DEVFLOW_POLICY: {shown} cannot be read: {error.strerror}"]
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        return Policies(), [f"DEVFLOW_POLICY: {shown} line {line}: this is not UTF-8"]
    policies, faults = parse_policies(text)
    return policies, [f"DEVFLOW_POLICY: {shown} {fault}" for fault in faults]


def load_policies(path: Path | None) -> Policies:
    """The rules, or a `ConfigError` that names all that is wrong in the file."""
    policies, faults = read_policies(path)
    if faults:
        raise ConfigError(faults)
    return policies
