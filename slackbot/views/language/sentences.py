"""Sentences that were written in English elsewhere: errors, and how prompts and tasks ended. Pure.

They are raised by core and desks, stored with sessions and logged, each for readers of any language; so they stay English
there, and are known again here by their form. Used by `language.translated`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_FIELD = re.compile(r"\{(\w+)\}")
_BETWEEN = re.compile(r"(?<=[.?!:)`])\s+(?=[A-Z`])|(?<=\.)\s+(?=\()")
"""Also before the reason in brackets that a foreign system gave."""

ENDS = ("。", "？", "！")
"""What ends a Japanese sentence: no space is due behind it."""

MAX_PART = 300
MAX_CHARACTERS = 4_000
"""Longer texts are an agent's, or a foreign system's."""


class Sentences:
    """One language's translations: English form with fields -> the same in that language."""

    def __init__(self, forms: Mapping[str, str]) -> None:
        self._exact = {english: text for english, text in forms.items() if not _FIELD.search(english)}
        # The more a form says itself, the surer it is meant: "GitHub refused the push: {said}" before "{subject}".
        filled = sorted(filter(_FIELD.search, forms), key=lambda english: -len(_FIELD.sub("", english)))
        self._forms = [(_pattern(english), forms[english]) for english in filled]

    def translated(self, text: str) -> str:
        """All of it where it is known as a whole, else sentence by sentence; what is not known stays as it is."""
        if len(text) > MAX_CHARACTERS:
            return text
        whole = self._known(text)
        if whole is not None:
            return whole
        told = ""
        for sentence in _BETWEEN.split(text):
            known = self._known(sentence)
            told += ("" if not told or told.endswith(ENDS) else " ") + (sentence if known is None else known)
        return told if told.replace(" ", "") != text.replace(" ", "") else text

    def _known(self, sentence: str) -> str | None:
        exact = self._exact.get(sentence)
        if exact is not None:
            return exact
        for pattern, text in self._forms:
            match = pattern.fullmatch(sentence)
            if match:
                values = {name: self._part(value) for name, value in match.groupdict().items()}
                return text.format(**values)
        return None

    def _part(self, value: str) -> str:
        """What was filled in may be known itself: `the branch ...`."""
        if len(value) > MAX_PART:
            return value
        # At the beginning of a sentence it has a capital letter.
        known = self._known(value) or self._known(value[:1].lower() + value[1:])
        return value if known is None else known


def _pattern(english: str) -> re.Pattern[str]:
    parts = _FIELD.split(english)
    # Literal, name, literal, name, ...: a name that stands twice is the same value.
    seen: set[str] = set()
    pattern = ""
    for number, part in enumerate(parts):
        if number % 2 == 0:
            pattern += re.escape(part)
        elif part in seen:
            pattern += f"(?P={part})"
        else:
            seen.add(part)
            # What a sentence begins with is no sentence before it.
            anything = ".+?" if pattern else r"(?:(?![.?!]\s).)+?"
            pattern += f"(?P<{part}>{anything})"
    return re.compile(pattern)
