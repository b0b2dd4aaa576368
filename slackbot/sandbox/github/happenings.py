"""What happens in the stand-in, told to whoever listens (the sender of webhooks). Names are GitHub's events'."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from slackbot.sandbox.github.store import PullRow, RepositoryRow


@dataclass(frozen=True)
class Happening:
    """`event` and `action` as GitHub sends them; `rows` are the rows of the store that it is about, by kind."""

    event: str
    action: str
    repository: RepositoryRow
    sender: str
    pull: PullRow | None = None
    rows: dict[str, Any] = field(default_factory=dict)
