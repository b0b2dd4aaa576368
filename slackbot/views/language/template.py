"""What a text of the catalogue is: a template with named fields, or two of them where the number matters."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plural:
    """Two forms of a text; the field `number` decides between them."""

    one: str
    other: str


Template = str | Plural
