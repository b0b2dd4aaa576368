"""On which line of a policy file a rule, or a key of it, stands: tomllib tells that only of faults of syntax. Pure.

`repository_policy` asks for the line of what it found wrong. Whatever is written in a rarer form of TOML (a whole
rule in one line, say) gets the line of the table around it.
"""

from __future__ import annotations

import re

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]#]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*(["']?)([\w-]+)\1\s*(?:\.\s*(["']?)([\w-]+)\3\s*)?=""")
_LONG_STRING = re.compile(r'"""|' + "'''")


class PolicyLines:
    """Lines count from 1; 1 is also the answer where nothing is found."""

    def __init__(self, text: str) -> None:
        self._text = text.splitlines()
        self._tops: dict[str, int] = {}
        self._rules: list[int] = []
        self._keys: dict[tuple[int, str], int] = {}
        self._limits: dict[tuple[int, str], int] = {}
        self._scan()

    def of_top(self, name: str) -> int:
        return self._tops.get(name, 1)

    def of_rule(self, number: int) -> int:
        return self._rules[number] if number < len(self._rules) else self.of_top("repository")

    def of_key(self, number: int, key: str) -> int:
        return self._keys.get((number, key)) or self.of_rule(number)

    def of_limit(self, number: int, name: str) -> int:
        exact = self._limits.get((number, name))
        if exact is not None:
            return exact
        # limits = { ... } may go over several lines since TOML 1.1; in 1.0 it is one.
        return self.of_key(number, "limits")

    def _scan(self) -> None:
        table = ""
        until: str | None = None
        for number, line in enumerate(self._text, start=1):
            if until is not None:
                until = None if until in line else until
                continue
            header = _HEADER.match(line)
            if header and "=" not in line.partition("#")[0]:
                table = self._open(header.group(1), header.group(2), number)
                continue
            key = _KEY.match(line)
            if key:
                self._note(table, key.group(2), key.group(4), number)
                opened = _LONG_STRING.findall(line)
                until = opened[-1] if len(opened) % 2 else None

    def _open(self, brackets: str, name: str, number: int) -> str:
        plain = re.sub(r"[\s\"']", "", name)
        self._tops.setdefault(plain.partition(".")[0], number)
        if plain == "repository" and brackets == "[[":
            self._rules.append(number)
        elif plain.startswith("repository.") and self._rules:
            self._keys.setdefault((len(self._rules) - 1, plain.split(".")[1]), number)
        return plain

    def _note(self, table: str, key: str, inner: str | None, number: int) -> None:
        rule = len(self._rules) - 1
        if not table:
            self._tops.setdefault(key, number)
        elif table == "repository":
            self._keys.setdefault((rule, key), number)
            if key == "limits" and inner is not None:
                self._limits.setdefault((rule, inner), number)
        elif table == "repository.limits":
            self._limits.setdefault((rule, key), number)
