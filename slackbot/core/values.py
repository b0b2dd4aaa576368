"""Changing and making frozen values quickly. Used by the rules of `core`, by `core.item` and by the engine.

`dataclasses.replace` and the constructors of frozen dataclasses set one field after the other through
`object.__setattr__`; a session has some forty, and each prompt changes and writes it several times. These two copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, TypeVar

T = TypeVar("T")

_NOTES = ("_flat", "_size_bytes", "_owed", "_beside_card")
"""What `remember` may keep on a value: true of this one alone, never of a changed copy."""


def replace(value: T, /, **changes: Any) -> T:
    """As `dataclasses.replace`, for the plain dataclasses of the core: no `__post_init__`, no `__slots__`."""
    kind: type[T] = type(value)
    if not changes.keys() <= _shape(kind).defaults.keys():
        raise _unknown(kind, changes)
    changed = object.__new__(kind)
    state = changed.__dict__
    state.update(value.__dict__)
    for note in _NOTES:
        state.pop(note, None)
    state.update(changes)
    return changed


def make(kind: type[T], values: Mapping[str, Any]) -> T:
    """`kind(**values)`, in one go. `TypeError` when a field without a default is missing, or one is unknown."""
    shape = _shape(kind)
    if not values.keys() <= shape.defaults.keys():
        raise _unknown(kind, values)
    if not shape.required <= values.keys():
        raise TypeError(f"{kind.__name__} needs {', '.join(sorted(shape.required - values.keys()))}")
    made = object.__new__(kind)
    state = made.__dict__
    state.update(shape.defaults)
    state.update(values)
    return made


def remember(value: Any, note: str, what: T) -> T:
    """Keeps on a frozen value what was worked out from it. `note` is one of the names above."""
    if note not in _NOTES:
        raise ValueError(note)
    value.__dict__[note] = what
    return what


def remembered(value: Any, note: str) -> Any:
    """What `remember` kept on the value, or None."""
    return value.__dict__.get(note)


class _Shape:
    """The fields of a dataclass: what must be given, and what the others are by default."""

    def __init__(self, kind: Any) -> None:
        self.defaults = {field.name: _default(field) for field in fields(kind)}
        self.required = frozenset(name for name, default in self.defaults.items() if default is MISSING)


_shapes: dict[type, _Shape] = {}


def _shape(kind: type) -> _Shape:
    shape = _shapes.get(kind)
    if shape is None:
        shape = _shapes[kind] = _Shape(kind)
    return shape


def _default(field: Field[Any]) -> Any:
    # A factory's value is made once: nothing in the core is changed in place.
    return field.default if field.default_factory is MISSING else field.default_factory()


def _unknown(kind: type, values: Mapping[str, Any]) -> TypeError:
    names = sorted(values.keys() - _shape(kind).defaults.keys())
    return TypeError(f"{kind.__name__} has no field {', '.join(names)}")
