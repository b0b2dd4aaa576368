"""Where everything of one worker lies: its own repositories, and the agent's checkout, home and staging beside them.

The root comes from the worker's settings (`main.py`); every other room of the worker takes its paths from here, and
changes the agent's files through `as_agent` alone.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from slackbot.core.errors import DevflowError
from slackbot.worker.confinement import Confinement, ScriptFailed

ATTACHMENTS, SHOW = ".devflow/attachments", ".devflow/show"
"""In the checkout: what came with a prompt, and what the agent wants to show."""
OUTSIDE_VERSION_CONTROL = (f"/{ATTACHMENTS}/", f"/{SHOW}/")


class CheckoutBroken(DevflowError):
    """The agent left something behind that git cannot take over."""


@dataclass(frozen=True)
class Place:
    """Where everything of one worker lies, below one private directory.

    What the agent's user writes to is apart, where that is another user than the worker's.
    """

    root: Path
    confinement: Confinement = field(default_factory=Confinement)
    editor_port: int = 0
    """Where the door to the editor listens; 0 = any free port."""

    @property
    def agents(self) -> Path:
        """The directory whose contents are the agent's."""
        return self.root / "agent" if self.confinement.is_separate else self.root

    @property
    def origin(self) -> Path:
        return self.root / "origin.git"

    @property
    def staging(self) -> Path:
        return self.agents / "staging.git"

    @property
    def checkout(self) -> Path:
        return self.agents / "checkout"

    @property
    def home(self) -> Path:
        """The agent's HOME."""
        return self.agents / "home"

    @property
    def scratch(self) -> Path:
        """Bundles, temporary worktrees, and the (empty) HOME of the worker's git."""
        return self.root / "scratch"

    def prepare(self) -> None:
        """Makes the directories, for this user and the agent's alone; what an earlier worker left there goes."""
        separate = self.confinement.is_separate
        mode = 0o711 if separate else 0o700
        self.root.mkdir(mode=mode, parents=True, exist_ok=True)
        self.root.chmod(mode)
        self.as_agent('rm -rf -- "$@"', *map(str, (self.staging, self.checkout, self.home)))
        for path in (self.origin, self.scratch, *([self.agents] if separate else [])):
            shutil.rmtree(path, ignore_errors=True)
        self.scratch.mkdir(mode=0o700)
        if separate:
            self.agents.mkdir(mode=0o700)
            self.confinement.give(self.agents)
        self.as_agent('mkdir -m 700 -- "$1"', str(self.home))

    def as_agent(self, script: str, *arguments: str, stdin: str = "") -> str:
        """Runs a small script of the worker's on the agent's files, as the agent; `CheckoutBroken` when it fails."""
        try:
            return self.confinement.script(script, *arguments, stdin=stdin)
        except ScriptFailed as failure:
            raise CheckoutBroken(failure.summary) from failure
