"""The transition table as a Mermaid state diagram. Pure; `docs/sessions.md` holds what this makes.

`python -m slackbot.core.state_diagram` prints it; with `--write`, it puts it between the page's markers.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from slackbot.core.events import Event
from slackbot.core.session import Status
from slackbot.core.transitions import TRANSITIONS

BEGIN = "<!-- state diagram: begin -->"
END = "<!-- state diagram: end -->"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "sessions.md"
COMMAND = "python -m slackbot.core.state_diagram --write"


def state_diagram(transitions: Mapping[Status, Mapping[type[Event], tuple[Status, ...]]] = TRANSITIONS) -> str:
    """The moves between statuses, an arrow each; what leaves the status as it is stands in no arrow.

    https://mermaid.js.org/syntax/stateDiagram.html
    """
    lines = ["stateDiagram-v2", f"    [*] --> {Status.STARTING}"]
    for source, row in transitions.items():
        for target in Status:
            names = sorted(event.__name__ for event, targets in row.items() if target in targets)
            if names and target is not source:
                lines.append(f"    {source} --> {target} : {', '.join(names)}")
    return "\n".join(lines)


def fenced() -> str:
    """The diagram as it stands in the page, markers included."""
    return f"{BEGIN}\n```mermaid\n{state_diagram()}\n```\n{END}"


def with_diagram(page: str) -> str:
    """The page's text with the present diagram between its markers. `ValueError` when a marker is missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"The page has no `{BEGIN}` ... `{END}` to put the diagram between.")
    return before + fenced() + after


def main(arguments: list[str]) -> None:
    if "--write" in arguments:
        PAGE.write_text(with_diagram(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        sys.stdout.write(state_diagram() + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
