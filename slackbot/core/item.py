"""Session <-> item of the table `devflow-sessions` (docs/table.md), and the size of an item in bytes. Pure.

An absent attribute is absent: never None, never an empty string. Attributes that are not known here are kept in
`extra` and written back unchanged, at the top, in maps and in entries of `history`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import MISSING, fields
from operator import attrgetter
from typing import Any, TypeVar

from slackbot.core.errors import PermanentError, UsageError
from slackbot.core.ports import IndexEntry, Item
from slackbot.core.repository_name import RepositoryName
from slackbot.core.session import (
    Branch,
    Ended,
    EndedBy,
    Lease,
    Notice,
    Permission,
    PullRequestState,
    Session,
    Status,
    TaskState,
    Thread,
    Turn,
    TurnState,
)
from slackbot.core.spending import Spending
from slackbot.core.staying import Stay
from slackbot.core.values import make, remember, remembered

T = TypeVar("T")


_DEFAULTS: dict[type, dict[str, Any]] = {
    kind: {field.name: field.default for field in fields(kind) if field.name != "extra"}
    for kind in (
        Session,
        Turn,
        Thread,
        Notice,
        TaskState,
        Branch,
        PullRequestState,
        Lease,
        Ended,
        Spending,
        Stay,
        Permission,
    )
}
"""The fields of each value but `extra`, with their defaults (MISSING: it has none). Asking `dataclasses` again for
every value would be most of the time that reading a session takes."""

_LISTS = frozenset(name for name, default in _DEFAULTS[PullRequestState].items() if default == ())

MAX_ITEM_BYTES = 400 * 1024
"""https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-items"""

BUDGET_BYTES = 300 * 1024
"""What DevFlow lets an item grow to; the rest is room for what must still be written."""

_TEXTS = (
    "session_id user_id repository_url branch_name initial_prompt base_branch agent ecs_cluster_arn ecs_task_arn "
    "ecs_task_definition_arn pr_url editor_url model mode error_message error_remedy forgotten_by dropped_ts"
).split()
_NUMBERS = "github_installation_id created_at updated_at ttl launch write_version due_at pr_number".split()
_TOP = (*_TEXTS, *_NUMBERS)

_ALL_TEXTS = (*_TEXTS, "repository_owner", "repository_name", "status")
_texts_of = attrgetter(*_TEXTS, "repository.owner", "repository.name", "status._value_")
_numbers_of = attrgetter(*_NUMBERS)

_PARTS = {
    "slack": "thread",
    "task": "task",
    "branch": "branch",
    "pull_request": "pull_request",
    "stay": "stay",
    "lease": "lease",
    "ended": "ended",
}
"""Maps of the item that are one value of the session each, and which."""

_parts_of = attrgetter(*_PARTS.values())

_KNOWN = frozenset(
    "repository_owner repository_name status history slack task branch pull_request spending stay lease ended asides "
    "aside_files heard dropped_user_ids permissions".split()
).union(_TOP)


def to_item(session: Session) -> Item:
    """The session as an item: every attribute under its name in the table. Items share maps: nobody may change them."""
    return sized_item(session)[0]


def sized_item(session: Session) -> tuple[Item, int]:
    """As `to_item`, and its size as `item_size_bytes` counts it. What did not change is not counted anew."""
    item: Item = {}
    size_bytes = 0
    for name, text in zip(_ALL_TEXTS, _texts_of(session), strict=True):
        if text:
            item[name] = text
            size_bytes += len(name) + _text_bytes(text)
    for name, number in zip(_NUMBERS, _numbers_of(session), strict=True):
        if number is not None:
            item[name] = number
            size_bytes += len(name) + _number_bytes(number)
    # There from the start; everything else that is empty is absent.
    item["history"] = history = []
    size_bytes += len("history") + 3
    for turn in session.history:
        flat, flat_bytes = _sized(turn)
        history.append(flat)
        size_bytes += 1 + flat_bytes
    for name, part in zip(_PARTS, _parts_of(session), strict=True):
        if part is None:
            continue
        flat, flat_bytes = _sized(part)
        if flat:
            item[name] = flat
            size_bytes += len(name) + flat_bytes
    if rest := _rest(session):
        item.update(rest)
        size_bytes += item_size_bytes(rest)
    return item, size_bytes


def _rest(session: Session) -> Item:
    """What is mostly not there."""
    rest: Item = dict(session.extra)
    if flat := _flat_spending(session.spending):
        rest["spending"] = flat
    if session.asides:
        rest["asides"] = list(session.asides)
    if session.aside_files:
        rest["aside_files"] = [dict(file) for file in session.aside_files]
    if session.heard:
        rest["heard"] = list(session.heard)
    if session.dropped_user_ids:
        rest["dropped_user_ids"] = list(session.dropped_user_ids)
    if session.permissions:
        rest["permissions"] = [_flat(permission) for permission in session.permissions]
    return rest


def from_item(item: Item) -> Session:
    """The session an item holds. `PermanentError` when a required attribute is missing or of a wrong type."""
    try:
        return _from_item(item)
    except (KeyError, TypeError, ValueError, AttributeError, UsageError) as error:
        session_id = item.get("session_id", "?")
        raise PermanentError(
            f"The stored session {session_id} cannot be read: {type(error).__name__} at {error}.",
            "Look at the item in the table; `devflow check --sessions` names what is wrong.",
        ) from error


def _from_item(item: Item) -> Session:
    defaults = _DEFAULTS[Session]
    for name in _TOP:
        if name in item and not isinstance(item[name], int if name in _NUMBERS else str):
            raise TypeError(name)
    slack = dict(item["slack"])
    notices = tuple(_build(Notice, entry) for entry in slack.pop("notices", ()))
    values = {name: item[name] for name in _TOP if name in item or defaults[name] is MISSING}
    values.update(
        repository=RepositoryName(item["repository_owner"], item["repository_name"]),
        status=Status(item["status"]),
        history=tuple(_turn(entry) for entry in item.get("history", ())),
        thread=_build(Thread, {**slack, "notices": notices}),
        task=_task(item.get("task", {})),
        branch=_build(Branch, item.get("branch", {})),
        spending=_spending(item.get("spending", {})),
        pull_request=_pull_request(item.get("pull_request", {})),
        stay=_build(Stay, item.get("stay", {})),
        lease=_build(Lease, item["lease"]) if item.get("lease") else None,
        ended=_ended(item["ended"]) if item.get("ended") else None,
        asides=tuple(item.get("asides", ())),
        aside_files=tuple(dict(file) for file in item.get("aside_files", ())),
        heard=tuple(item.get("heard", ())),
        dropped_user_ids=tuple(item.get("dropped_user_ids", ())),
        permissions=tuple(_permission(entry) for entry in item.get("permissions", ())),
        extra={name: value for name, value in item.items() if name not in _KNOWN},
    )
    return make(Session, values)


def index_entry(item: Mapping[str, Any]) -> IndexEntry:
    """What the index projects of an item."""
    return IndexEntry(**{f.name: item[f.name] for f in fields(IndexEntry) if f.name in item})


def item_size_bytes(item: Mapping[str, Any]) -> int:
    """The size DynamoDB counts: names and values in UTF-8, 3 bytes a list or map and 1 for each of its elements.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def turn_size_bytes(turn: Turn) -> int:
    """What one entry of `history` adds to the size of its item."""
    return 1 + _sized(turn)[1]


def _sized(value: Any) -> tuple[Mapping[str, Any], int]:
    """`_flat(value)`, and what it adds to the size of an item."""
    flat = _flat(value)
    known: int | None = remembered(value, "_size_bytes")
    return flat, known if known is not None else remember(value, "_size_bytes", _value_size(flat))


def _value_size(value: Any) -> int:
    if isinstance(value, str):
        return _text_bytes(value)
    if value is None or isinstance(value, bool):
        return 1
    if isinstance(value, int):
        return _number_bytes(value)
    if isinstance(value, dict | Mapping):
        size_bytes = 3
        for name, inner in value.items():
            size_bytes += 1 + _text_bytes(str(name)) + _value_size(inner)
        return size_bytes
    if isinstance(value, list | tuple):
        return 3 + sum(1 + _value_size(inner) for inner in value)
    return len(str(value).encode())


def _text_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


@functools.lru_cache(maxsize=4096)
def _number_bytes(number: int) -> int:
    digits = str(abs(number)).rstrip("0") or "0"
    return (len(digits) + 1) // 2 + 1 + (1 if number < 0 else 0)


def _turn(entry: Mapping[str, Any]) -> Turn:
    turn = dict(entry)
    turn["state"] = TurnState(turn["state"])
    turn["context"] = tuple(turn.get("context", ()))
    for name in ("steps", "files", "shown"):
        turn[name] = tuple(dict(part) for part in turn.get(name, ()))
    built = _build(Turn, turn)
    # Most turns of a session never change again: they go back as they came.
    remember(built, "_flat", entry)
    return built


def _flat_spending(spending: Spending) -> dict[str, Any]:
    flat = _flat(spending)
    return {name: value for name, value in flat.items() if value or name not in ("counted", "models")} if flat else {}


def _spending(entry: Mapping[str, Any]) -> Spending:
    return _build(Spending, {**entry, "told": tuple(entry["told"])} if "told" in entry else entry)


def _permission(entry: Mapping[str, Any]) -> Permission:
    return _build(Permission, {**entry, "options": tuple(dict(option) for option in entry["options"])})


def _task(entry: Mapping[str, Any]) -> TaskState:
    task = dict(entry)
    if "editor_links" in task:
        task["editor_links"] = tuple(task["editor_links"])
    return _build(TaskState, task)


def _pull_request(entry: Mapping[str, Any]) -> PullRequestState:
    lists = {name: tuple(value) for name, value in entry.items() if isinstance(value, list) and name in _LISTS}
    return _build(PullRequestState, {**entry, **lists})


def _ended(entry: Mapping[str, Any]) -> Ended:
    return _build(Ended, {**entry, "by": EndedBy(entry["by"])})


def _build(kind: type[T], entry: Mapping[str, Any]) -> T:
    names = _DEFAULTS[kind]
    if entry.keys() <= names.keys():
        return make(kind, entry)
    values = {name: value for name, value in entry.items() if name in names}
    values["extra"] = {name: value for name, value in entry.items() if name not in names}
    return make(kind, values)


def _flat(value: Any) -> Mapping[str, Any]:
    """The value as a map of the item. It is kept on the value and shared by items: nobody may change it."""
    known: Mapping[str, Any] | None = remembered(value, "_flat")
    return known if known is not None else remember(value, "_flat", _flattened(value))


def _flattened(value: Any) -> dict[str, Any]:
    state = value.__dict__
    flat = dict(state.get("extra", {}))
    for name, default in _DEFAULTS[type(value)].items():
        inner = state[name]
        if inner is default:
            continue
        if isinstance(inner, str | int):
            if isinstance(inner, TurnState | EndedBy):
                inner = str(inner)
        elif isinstance(inner, tuple):
            inner = [_flat_part(part) for part in inner]
        elif isinstance(inner, Mapping):
            inner = dict(inner)
        if default is MISSING or not (_is_empty(inner) or inner == default):
            flat[name] = inner
    return flat


def _flat_part(part: Any) -> Any:
    if isinstance(part, Notice):
        return _flat(part)
    return dict(part) if isinstance(part, Mapping) else part


def _is_empty(value: Any) -> bool:
    return value is None or value is False or value == "" or (isinstance(value, dict | list) and not value)
