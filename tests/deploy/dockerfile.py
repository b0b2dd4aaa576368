"""The Dockerfile and .dockerignore, read: stages with their instructions, and which files reach the builder.

Reads only what this project's Dockerfile uses; an instruction it does not know is an error.
https://docs.docker.com/reference/dockerfile/
"""

from __future__ import annotations

import fnmatch
import json
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[2]

KNOWN = "FROM ARG ENV RUN COPY USER WORKDIR EXPOSE VOLUME STOPSIGNAL ENTRYPOINT CMD HEALTHCHECK".split()


@dataclass(frozen=True)
class Instruction:
    """One instruction: its name in capitals, the rest of its line, continuation lines joined."""

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        return self.text.split()

    @property
    def flags(self) -> dict[str, str]:
        """`--from=build` as {"from": "build"}."""
        return dict(re.findall(r"--([a-z-]+)=(\S+)", self.text.split("CMD")[0]))

    @property
    def arguments(self) -> list[str]:
        """The words that are no flags."""
        return [word for word in self.words if not word.startswith("--")]

    @property
    def exec_form(self) -> list[str]:
        """The list of an ENTRYPOINT, a CMD, or the CMD of a HEALTHCHECK."""
        listed: list[str] = json.loads(self.text[self.text.index("[") :])
        return listed


@dataclass
class Stage:
    """FROM `base` AS `name`; `base` is an image or an earlier stage."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, name: str) -> list[Instruction]:
        return [instruction for instruction in self.instructions if instruction.name == name]


@dataclass
class Dockerfile:
    """`arguments` are those before the first stage, with their defaults."""

    arguments: dict[str, str]
    stages: dict[str, Stage]

    def lineage(self, name: str) -> list[Stage]:
        """The stage and the stages it stands on, the first one first."""
        stage = self.stages[name]
        return [*(self.lineage(stage.base) if stage.base in self.stages else []), stage]

    def last(self, name: str, instruction: str) -> Instruction | None:
        """The instruction of this name that counts in a stage: its own last one, or an inherited one."""
        found = [each for stage in self.lineage(name) for each in stage.all(instruction)]
        return found[-1] if found else None


def read(text: str | None = None) -> Dockerfile:
    """The project's Dockerfile, or `text`."""
    lines = (ROOT / "Dockerfile").read_text() if text is None else text
    joined = re.sub(r"\\\n\s*", "", "\n".join(line for line in lines.splitlines() if not line.lstrip().startswith("#")))
    arguments: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    for line in filter(None, map(str.strip, joined.splitlines())):
        name, _, rest = line.partition(" ")
        if name not in KNOWN:
            raise ValueError(f"an instruction this reader does not know: {line}")
        if name == "FROM":
            base, _as, stage_name = rest.split()
            base = re.sub(r"\$\{(\w+)\}", lambda match: arguments[match.group(1)], base)
            stage = stages[stage_name] = Stage(base, stage_name)
        elif stage is None:
            key, _, value = rest.partition("=")
            arguments[key] = value.strip('"')
        else:
            stage.instructions.append(Instruction(name, rest.strip()))
    return Dockerfile(arguments, stages)


def is_ignored(path: PurePosixPath | str, patterns: str | None = None) -> bool:
    """Whether .dockerignore keeps a file of the project from the builder; the last pattern that matches decides."""
    text = (ROOT / ".dockerignore").read_text() if patterns is None else patterns
    path, ignored = PurePosixPath(path), False
    for line in text.splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        shown = pattern.startswith("!")
        if any(_matches(candidate, pattern.lstrip("!").strip("/")) for candidate in (path, *path.parents)):
            ignored = not shown
    return ignored


def _matches(path: PurePosixPath, pattern: str) -> bool:
    if str(path) == ".":
        return False
    if pattern.startswith("**/"):
        return fnmatch.fnmatchcase(path.name, pattern[3:])
    parts, wanted = path.parts, PurePosixPath(pattern).parts
    return len(parts) == len(wanted) and all(fnmatch.fnmatchcase(*pair) for pair in zip(parts, wanted, strict=True))
