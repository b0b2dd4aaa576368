"""What may be wrong with a JSON document: each field missing, null, of another type, huge, or somebody else's.

Pure, by a `random.Random`; used on Slack's envelopes, on bodies of the worker protocol and on GitHub's payloads.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]

HUGE_TEXT = "x" * 100_000
DEEP: Any = "bottom"
for _ in range(60):
    DEEP = [DEEP]

WRONG: tuple[Any, ...] = (
    None, True, 0, -1, 2**63, 1.5, "", " ", "0", "\x00", "é\u202e\U0001f9ca", "../../etc/passwd", "<!channel>",
    [], {}, [None], [[]], {"": ""}, {"id": {"id": 1}}, HUGE_TEXT, ["y"] * 2_000, DEEP,
)  # fmt: skip
"""One for each kind of wrong; `None` is JSON's null."""

MISSING = object()


def paths(document: Any, prefix: Path = ()) -> Iterator[Path]:
    """Every place in the document but the whole of it."""
    parts: Iterator[tuple[str | int, Any]]
    if isinstance(document, dict):
        parts = iter(document.items())
    elif isinstance(document, list):
        parts = iter(enumerate(document))
    else:
        return
    for name, value in parts:
        yield (*prefix, name)
        yield from paths(value, (*prefix, name))


def changed(document: Any, path: Path, value: Any) -> Any:
    """A copy with `value` in this place; `MISSING` takes the place away. A place that is gone already stays so."""
    result = copy.deepcopy(document)
    at = result
    for name in path[:-1]:
        try:
            at = at[name]
        except (KeyError, IndexError, TypeError):
            return result
    if not isinstance(at, dict | list):
        return result
    if value is not MISSING:
        if isinstance(at, dict) or path[-1] in range(len(at)):
            at[path[-1]] = value  # type: ignore[call-overload]
    elif isinstance(at, dict):
        at.pop(path[-1], None)
    elif path[-1] in range(len(at)):
        del at[path[-1]]  # type: ignore[arg-type]
    return result


def every_single(document: Any) -> Iterator[Any]:
    """Each field missing, null, of another type, and huge: one change each."""
    for path in paths(document):
        for value in (MISSING, None, 7, [], {"a": "b"}, HUGE_TEXT):
            yield changed(document, path, value)


def some(document: Any, rng: random.Random, forged: tuple[str, ...]) -> Any:
    """One to four changes; `forged`: names of what belongs to others, put where some text stood."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        places = list(paths(document))
        if not places:
            break
        path = rng.choice(places)
        value: Any = rng.choice((MISSING, *WRONG)) if rng.random() < 0.6 or not forged else rng.choice(forged)
        document = changed(document, path, value)
    return document
