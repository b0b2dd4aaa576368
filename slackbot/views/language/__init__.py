"""The catalogue: every text that people read in Slack, by key, in every language. Pure.

Views call `say`; the texts are in one file a language (`en.py`, `ja.py`), which hold the same keys with the same
fields (`tests/views/test_language.py`). A language's name is the first part of a Slack locale: `ja` of `ja-JP`.
"""

from __future__ import annotations

from collections.abc import Mapping

from slackbot.views.language import en, ja
from slackbot.views.language.sentences import Sentences
from slackbot.views.language.template import Plural, Template

__all__ = ["DEFAULT", "LANGUAGES", "Plural", "Template", "has", "language_of", "say", "translated"]

DEFAULT = "en"
"""For locales in which DevFlow does not speak, and wherever nothing is known of who reads."""

LANGUAGES: Mapping[str, Mapping[str, Template]] = {"en": en.TEXTS, "ja": ja.TEXTS}
_SENTENCES = {"ja": Sentences(ja.SENTENCES)}


def language_of(locale: str | None) -> str:
    """The language for a Slack locale (`en-GB`, `ja-JP`; a list: https://slack.com/help/articles/215058658)."""
    name = (locale or "").replace("_", "-").partition("-")[0].lower()
    return name if name in LANGUAGES else DEFAULT


def has(key: str) -> bool:
    """Whether the catalogue knows `key`; for keys that come from a stored item or a foreign system."""
    return key in LANGUAGES[DEFAULT]


def translated(language: str, text: str) -> str:
    """A sentence of an error, or of how something ended, which core and desks write in English."""
    sentences = _SENTENCES.get(language)
    return text if sentences is None else sentences.translated(text)


def say(language: str, key: str, /, **values: str | int) -> str:
    """The text of `key` with its fields filled in. `KeyError` when there is none: a fault of the program.

    Texts from outside must have been escaped (`words.shown`, `words.code`) before they come here; numbers are given
    as numbers. Where a text has a plural, the field `number` decides.
    """
    template = LANGUAGES.get(language, {}).get(key)
    if template is None:
        # A language of a newer replica, or a text that is missing: English is better than nothing.
        template = LANGUAGES[DEFAULT][key]
    if isinstance(template, Plural):
        template = template.one if values["number"] == 1 else template.other
    return template.format(
        **{name: f"{value:,}" if isinstance(value, int) else value for name, value in values.items()}
    )
