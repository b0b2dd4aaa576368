"""Items <-> DynamoDB's typed values (`{"S": "x"}`), without loss in either direction. Pure.

Used by `adapters.dynamodb`: items of the engine go in, values of the low-level boto3 client come out, and back.
Types: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from decimal import Decimal, InvalidOperation
from typing import Any

from slackbot.core.errors import PermanentError
from slackbot.core.ports import Item

WireValue = dict[str, Any]
"""One attribute value with its type, as the low-level client takes and gives it."""

WireItem = dict[str, WireValue]

MAX_DIGITS = 38
"""A number has at most so many significant digits; DynamoDB refuses more rather than round them."""

STRINGS = (
    "session_id user_id repository_url repository_owner repository_name branch_name ecs_cluster_arn ecs_task_arn "
    "ecs_task_definition_arn pr_url editor_url status initial_prompt error_message base_branch agent"
).split()
NUMBERS = "pr_number github_installation_id created_at updated_at ttl write_version launch due_at".split()
REQUIRED = (
    "session_id user_id repository_url repository_owner repository_name branch_name status initial_prompt history "
    "github_installation_id created_at updated_at ttl write_version"
).split()
REQUIRED_OF_LEDGER = ("session_id", "updated_at", "ttl", "write_version")
"""A page of the ledger is no session: without `user_id` and `created_at` it stands in no index."""

_TYPES = {**dict.fromkeys(STRINGS, "S"), **dict.fromkeys(NUMBERS, "N"), "history": "L"}
"""The type of each attribute that the table's description fixes (docs/table.md)."""


def to_wire(item: Mapping[str, Any]) -> WireItem:
    """The item as the client takes it: a copy, so later changes of `item` do not reach it.

    `PermanentError` names the attribute that is missing, has another type than the table says, or cannot be stored.
    """
    wire = {name: _to_wire(value, name) for name, value in item.items()}
    for name in REQUIRED_OF_LEDGER if "ledger" in wire else REQUIRED:
        if name not in wire:
            raise PermanentError(f"The session cannot be stored: it has no attribute '{name}'.")
    for name, kind in _TYPES.items():
        value = wire.get(name)
        if value is not None and (kind not in value or value == {"S": ""}):
            found = "empty" if value == {"S": ""} else f"of type {next(iter(value))}"
            raise PermanentError(f"The session cannot be stored: '{name}' is {found}, the table wants {kind}.")
    return wire


def from_wire(wire: Mapping[str, Mapping[str, Any]]) -> Item:
    """The item of typed values.

    Whole numbers become int, others float where that is exact and Decimal where it is not; sets become `set`, binary
    `bytes`, NULL None. `to_wire` makes the same typed values of them again. An attribute of the table that another
    writer left NULL is absent.
    """
    item = {name: _from_wire(value) for name, value in wire.items()}
    return {name: value for name, value in item.items() if value is not None or name not in _TYPES}


def is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two items in typed values are the same to DynamoDB, which may write a number or a set differently."""
    return _comparable({"M": one}) == _comparable({"M": other})


def _to_wire(value: Any, name: str) -> WireValue:
    if isinstance(value, str):
        return {"S": _text(value)}
    # Before int: True is an int to Python.
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int | float | Decimal):
        return {"N": _number(value, name)}
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise PermanentError(f"The session cannot be stored: a map in '{name}' has the key {key!r}.")
        return {"M": {_text(key): _to_wire(inner, name) for key, inner in value.items()}}
    if isinstance(value, list | tuple):
        return {"L": [_to_wire(inner, name) for inner in value]}
    if value is None:
        # DevFlow writes none (core.item leaves them out); one that another writer put is carried through.
        return {"NULL": True}
    if isinstance(value, bytes | bytearray):
        return {"B": bytes(value)}
    if isinstance(value, Set) and value:
        kinds = {"S" if isinstance(part, str) else "B" if isinstance(part, bytes) else "N" for part in value}
        if len(kinds) == 1:
            kind = kinds.pop()
            return {kind + "S": [_to_wire(part, name).get(kind) for part in value]}
    raise PermanentError(f"The session cannot be stored: '{name}' holds a {type(value).__name__}.")


def _text(text: str) -> str:
    """The text, halves of surrogate pairs joined; one without its other half has no UTF-8 and becomes U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _number(value: float | Decimal, name: str) -> str:
    # repr is the shortest text that gives the same float again.
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        raise PermanentError(f"The session cannot be stored: '{name}' holds {value}, which is no number.")
    digits = "".join(map(str, number.as_tuple().digits)).strip("0")
    # 1E-130 to 9.99E+125 are DynamoDB's bounds.
    if len(digits) > MAX_DIGITS or (number and not -130 <= number.adjusted() <= 125):
        raise PermanentError(
            f"The session cannot be stored: a number in '{name}' is not within DynamoDB's {MAX_DIGITS} digits."
        )
    return str(value) if isinstance(value, int) else str(number)


def _from_wire(value: Mapping[str, Any]) -> Any:
    ((kind, inner),) = value.items()
    match kind:
        case "S" | "B" | "BOOL":
            return inner
        case "N":
            return _from_number(inner)
        case "M":
            return {name: _from_wire(part) for name, part in inner.items()}
        case "L":
            return [_from_wire(part) for part in inner]
        case "NULL":
            return None
        case "SS" | "BS":
            return set(inner)
        case "NS":
            return {_from_number(part) for part in inner}
    raise PermanentError(f"The table holds a value of the type {kind}, which this version does not know.")


def _from_number(text: str) -> int | float | Decimal:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise PermanentError(f"The table holds the number {text[:60]!r}, which is none.") from error
    if number == number.to_integral_value():
        return int(number)
    as_float = float(number)
    return as_float if Decimal(repr(as_float)) == number else number


def _comparable(value: Mapping[str, Any]) -> tuple[str, Any]:
    ((kind, inner),) = value.items()
    match kind:
        case "N":
            return kind, Decimal(inner)
        case "M":
            return kind, {name: _comparable(part) for name, part in inner.items()}
        case "L":
            return kind, [_comparable(part) for part in inner]
        case "NS":
            return kind, frozenset(Decimal(part) for part in inner)
        case "SS" | "BS":
            return kind, frozenset(inner)
    return kind, inner
