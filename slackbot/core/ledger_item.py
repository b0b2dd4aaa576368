"""A page of the ledger of models <-> an item of the table (docs/table.md): one for each month, one for each person in
it. Pure. It has no `user_id` and no `created_at`, so it stands in no index: no list and no scan of sessions meets it.
"""

from __future__ import annotations

import calendar
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from slackbot.core.ports import Item
from slackbot.core.spending import Counted

KEEP_SECONDS = 400 * 24 * 3600
"""How long after its month a page may be removed: a bill can be compared with last year's."""


@dataclass(frozen=True)
class LedgerPage:
    """What was used in `month` (`2026-11`, UTC) by all (`user_id` empty) or by one person."""

    month: str
    user_id: str = ""
    counted: Counted = field(default_factory=dict)
    models: Mapping[str, Counted] = field(default_factory=dict)
    extended: int = 0
    """How often an administrator granted the limit once more."""
    write_version: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)


def month_of(now: int) -> str:
    """The calendar month of a moment, UTC."""
    return time.strftime("%Y-%m", time.gmtime(now))


def page_id(month: str, user_id: str) -> str:
    """The key of a page, in UUID v4 form like every other: the same page always has the same one."""
    digest = bytearray(hashlib.sha256(f"ledger:{month}:{user_id}".encode()).digest()[:16])
    digest[6] = (digest[6] & 0x0F) | 0x40
    digest[8] = (digest[8] & 0x3F) | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def to_page_item(page: LedgerPage, now: int) -> Item:
    """`ledger` holds the page; `ttl` leaves it there for a year."""
    year, month = (int(part) for part in page.month.split("-"))
    begins = calendar.timegm((year, month, 1, 0, 0, 0))
    ledger = {
        "month": page.month,
        "person": page.user_id,
        "counted": dict(page.counted),
        "models": {name: dict(counted) for name, counted in page.models.items()},
        "extended": page.extended,
    }
    return {
        **page.extra,
        "session_id": page_id(page.month, page.user_id),
        "ledger": {name: value for name, value in ledger.items() if value},
        "updated_at": now,
        "ttl": begins + KEEP_SECONDS,
        "write_version": page.write_version,
    }


def from_page_item(item: Item) -> LedgerPage:
    """The page an item holds; `KeyError` when it is none."""
    ledger = item["ledger"]
    known = ("session_id", "ledger", "updated_at", "ttl", "write_version")
    return LedgerPage(
        month=ledger["month"],
        user_id=ledger.get("person", ""),
        counted=ledger.get("counted", {}),
        models=ledger.get("models", {}),
        extended=ledger.get("extended", 0),
        write_version=item["write_version"],
        extra={name: value for name, value in item.items() if name not in known},
    )
