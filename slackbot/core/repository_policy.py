"""What the administrator's TOML file says of single repositories: text -> rules, or every fault in it. Pure.

`slackbot/policy.py` reads the file; the starter, the performer and the limits of sessions ask `Policies`.
"""

from __future__ import annotations

import fnmatch
import re
import shlex
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from slackbot.core.command_text import is_choice
from slackbot.core.errors import Refused
from slackbot.core.limits import Limits, PullRequestTerms
from slackbot.core.policy_lines import PolicyLines
from slackbot.core.repository_name import RepositoryName
from slackbot.core.values import replace

LIMITS = {"turn_seconds": 5, "idle_seconds": 10, "max_session_seconds": 60}
"""Each limit with the least it may be, in seconds; the same as those of the settings."""

PERMISSIONS = ("ask", "edits", "all")
"""What an agent may do without asking: nothing it asks leave for, reading and editing, everything."""

FARGATE_MEMORY = {
    256: (512, 1024, 2048),
    512: range(1024, 4096 + 1, 1024),
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16384 + 1, 1024),
    4096: range(8192, 30720 + 1, 1024),
    8192: range(16384, 61440 + 1, 4096),
    16384: range(32768, 122880 + 1, 8192),
}
"""CPU units -> MiB that Fargate offers with them; a size that is not named here is left to ECS to judge.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html#fargate-tasks-size"""

PUSHES = ("every_turn", "on_open_pr")
"""When the working branch is pushed: after each turn, or when the pull request is opened, which is when CI begins."""

LimitsOf = Callable[[RepositoryName], Limits]
"""How long things may take in sessions on one repository."""

_GLOB = re.compile(r"[\w.*?\[\]!-]+/[\w.*?\[\]!-]+", re.ASCII)
_BRACKETS = re.compile(r"(?:[^\[\]]|\[!?[^\[\]]+\])*")
_FAMILY = re.compile(r"[A-Za-z0-9_-]{1,255}(?::[1-9]\d*)?", re.ASCII)
_UNITS = re.compile(r"[1-9]\d{1,6}", re.ASCII)
_CHANNEL = re.compile(r"[CGD][A-Z0-9]{2,}", re.ASCII)
_AT_LINE = re.compile(r"\s*\(at line (\d+), column \d+\)$")


@dataclass(frozen=True)
class RepositoryPolicy:
    """One `[[repository]]` of the file. What is None or absent is as the settings say."""

    match: str
    """A glob of owner/name; upper and lower case are the same."""
    task_definition: str | None = None
    """The family of the worker's task definition, or family:revision."""
    cpu: str | None = None
    """CPU units of the task (1024 = one vCPU)."""
    memory: str | None = None
    """MiB of the task."""
    agent: str | None = None
    model: str | None = None
    """Which model the agent uses where nobody names one."""
    mode: str | None = None
    """Which of the agent's modes is set where nobody names one."""
    permissions: str | None = None
    """What an agent may do without asking: `ask`, `edits`, `all`."""
    channels: tuple[str, ...] | None = None
    limits: tuple[tuple[str, int], ...] = ()
    """Names of `LIMITS` and seconds."""
    push: str | None = None
    """One of `PUSHES`: where turns are pushed before the pull request is opened."""
    merge: bool | None = None
    """Whether pull requests may be merged from the thread."""
    auto_fix: int | None = None
    """How often failing checks of one commit are given to the agent unasked."""
    line: int = 0

    def matches(self, name: RepositoryName) -> bool:
        return fnmatch.fnmatchcase(name.full_name.lower(), self.match.lower())


@dataclass(frozen=True)
class Policies:
    """The rules in their order: the first that matches counts, and no other."""

    rules: tuple[RepositoryPolicy, ...] = ()

    def of(self, name: RepositoryName) -> RepositoryPolicy | None:
        """The rule for a repository; None = only the settings count."""
        return next((rule for rule in self.rules if rule.matches(name)), None)

    def limits_of(self, name: RepositoryName, limits: Limits) -> Limits:
        """`limits`, as far as no rule has others."""
        rule = self.of(name)
        return replace(limits, **dict(rule.limits)) if rule is not None and rule.limits else limits

    def terms_of(self, name: RepositoryName, terms: PullRequestTerms) -> PullRequestTerms:
        """`terms`, as far as no rule has others."""
        rule = self.of(name)
        if rule is None:
            return terms
        merge = terms.may_merge if rule.merge is None else rule.merge
        return PullRequestTerms(merge, terms.auto_fixes if rule.auto_fix is None else rule.auto_fix)

    def keeps_turns_apart(self, name: RepositoryName) -> bool:
        """Whether turns are kept on a ref of the session's own until the pull request is opened."""
        rule = self.of(name)
        return rule is not None and rule.push == "on_open_pr"

    def permissions_of(self, name: RepositoryName, permissions: str) -> str:
        """`permissions`, unless a rule says otherwise."""
        rule = self.of(name)
        return rule.permissions if rule is not None and rule.permissions else permissions

    def check_channel(self, name: RepositoryName, channel_id: str) -> None:
        """`Refused` when the repository's rule names channels, and this is none of them."""
        rule = self.of(name)
        if rule is None or rule.channels is None or channel_id in rule.channels:
            return
        raise Refused(
            f"`{name}` may not be worked on from this channel, so nothing was started.",
            f"The administrator's rule for `{rule.match}` names the channels it may be worked on from (`channels` "
            "in the file of DEVFLOW_POLICY).",
        )


def parse_policies(text: str) -> tuple[Policies, list[str]]:
    """The rules of the file, and all that is wrong in it, each fault with its line; with faults, use no rule."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        at = _AT_LINE.search(said)
        # At the end of the file the parser names no line.
        line = int(at.group(1)) if at else max(len(text.splitlines()), 1)
        return Policies(), [f"line {line}: {_AT_LINE.sub('', said).removesuffix(' (at end of document)')}"]
    return _Reader(PolicyLines(text)).read(content)


class _Reader:
    """Checks the parsed file part by part and gathers what is wrong."""

    def __init__(self, lines: PolicyLines) -> None:
        self._lines = lines
        self._faults: list[tuple[int, str]] = []

    def read(self, content: Mapping[str, Any]) -> tuple[Policies, list[str]]:
        for name in content:
            if name != "repository":
                self._fault(self._lines.of_top(name), f"`{name}` is not known here; rules begin with [[repository]]")
        tables = content.get("repository", [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self._fault(self._lines.of_top("repository"), "a rule begins with [[repository]], in double brackets")
            tables = []
        rules = [self._rule(number, table) for number, table in enumerate(tables)]
        self._check_order(rules)
        faults = [f"line {line}: {what}" for line, what in sorted(self._faults)]
        return Policies(tuple(rules)), faults

    def _rule(self, number: int, table: Mapping[str, Any]) -> RepositoryPolicy:
        line = self._lines.of_rule(number)
        for name in table:
            if name not in _KEYS:
                known = ", ".join(_KEYS)
                self._fault(self._lines.of_key(number, name), f"`{name}` is not known in a rule; there are {known}")
        if "match" not in table:
            self._fault(line, 'the rule has no `match`, for example match = "acme/*"')
        rule = RepositoryPolicy(
            match=self._text(number, table, "match", _is_glob, "a glob of owner/name, such as acme/*") or "",
            task_definition=self._text(
                number, table, "task_definition", _FAMILY.fullmatch, "a family of ECS, or family:revision"
            ),
            cpu=self._text(number, table, "cpu", _UNITS.fullmatch, 'CPU units as text, such as "1024" for one vCPU'),
            memory=self._text(number, table, "memory", _UNITS.fullmatch, 'MiB as text, such as "4096"'),
            agent=self._text(number, table, "agent", _is_command, "an agent's name or a command line"),
            model=self._text(number, table, "model", is_choice, "the id of a model"),
            mode=self._text(number, table, "mode", is_choice, "the id of one of the agent's modes"),
            permissions=self._text(number, table, "permissions", PERMISSIONS.__contains__, "`ask`, `edits` or `all`"),
            channels=self._channels(number, table),
            limits=self._limits(number, table),
            push=self._text(number, table, "push", PUSHES.__contains__, " or ".join(f'"{one}"' for one in PUSHES)),
            merge=self._flag(number, table, "merge"),
            auto_fix=self._number(number, table, "auto_fix", 10),
            line=line,
        )
        offered = FARGATE_MEMORY.get(int(rule.cpu)) if rule.cpu else None
        if offered is not None and rule.memory and int(rule.memory) not in offered:
            between = f"{offered[0]} to {offered[-1]}"
            self._fault(
                self._lines.of_key(number, "memory"),
                f"Fargate offers no {rule.memory} MiB with {rule.cpu} CPU units, but {between} in its own steps",
            )
        return rule

    def _text(self, number: int, table: Mapping[str, Any], key: str, is_good: Any, expected: str) -> str | None:
        if key not in table:
            return None
        value = table[key]
        if isinstance(value, str) and is_good(value):
            return value
        self._fault(self._lines.of_key(number, key), f"{key} = {_shown(value)} is not {expected}")
        return None

    def _flag(self, number: int, table: Mapping[str, Any], key: str) -> bool | None:
        value = table.get(key)
        if value is None or isinstance(value, bool):
            return value
        self._fault(self._lines.of_key(number, key), f"{key} = {_shown(value)} is neither true nor false")
        return None

    def _number(self, number: int, table: Mapping[str, Any], key: str, most: int) -> int | None:
        value = table.get(key)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most):
            return value
        self._fault(self._lines.of_key(number, key), f"{key} = {_shown(value)} is not a whole number from 0 to {most}")
        return None

    def _channels(self, number: int, table: Mapping[str, Any]) -> tuple[str, ...] | None:
        if "channels" not in table:
            return None
        value, line = table["channels"], self._lines.of_key(number, "channels")
        if not isinstance(value, list):
            self._fault(line, f'channels = {_shown(value)} is not a list of channel ids, such as ["C012AB3CD"]')
            return None
        wrong = [one for one in value if not (isinstance(one, str) and _CHANNEL.fullmatch(one))]
        if wrong:
            named = ", ".join(_shown(one) for one in wrong)
            self._fault(line, f"channels: {named} — expected Slack ids that begin with C, G or D")
        elif not value:
            self._fault(line, "channels is empty: leave it out to allow all channels")
        return tuple(str(one) for one in value)

    def _limits(self, number: int, table: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
        given = table.get("limits", {})
        if not isinstance(given, dict):
            line = self._lines.of_key(number, "limits")
            self._fault(line, f"limits = {_shown(given)} is not a table, such as {{ idle_seconds = 900 }}")
            return ()
        limits: list[tuple[str, int]] = []
        for name, value in given.items():
            line, least = self._lines.of_limit(number, name), LIMITS.get(name)
            if least is None:
                self._fault(line, f"`{name}` is not known in limits; there are {', '.join(LIMITS)}")
            elif not isinstance(value, int) or isinstance(value, bool) or value < least:
                self._fault(line, f"{name} = {_shown(value)} is not a whole number of seconds, at least {least}")
            else:
                limits.append((name, value))
        return tuple(limits)

    def _check_order(self, rules: list[RepositoryPolicy]) -> None:
        """A rule that can never be reached was meant to be."""
        for number, rule in enumerate(rules):
            for earlier in rules[:number]:
                if not rule.match or not earlier.match:
                    continue
                if earlier.match.lower() == rule.match.lower():
                    why = f"line {earlier.line} has a rule for {rule.match} already"
                elif earlier.match in ("*/*", "**/*", "*/**"):
                    why = f"the rule of line {earlier.line} takes every repository"
                else:
                    continue
                self._fault(self._lines.of_key(number, "match"), f"{why}, and the first that matches counts")
                break

    def _fault(self, line: int, what: str) -> None:
        self._faults.append((line, what))


_KEYS = (
    "match",
    "task_definition",
    "cpu",
    "memory",
    "agent",
    "model",
    "mode",
    "permissions",
    "channels",
    "limits",
    "push",
    "merge",
    "auto_fix",
)


def _is_glob(text: str) -> bool:
    return bool(_GLOB.fullmatch(text) and _BRACKETS.fullmatch(text))


def _is_command(text: str) -> bool:
    if not text.strip() or not text.isprintable():
        return False
    try:
        return bool(shlex.split(text))
    except ValueError:
        return False


def _shown(value: Any) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else text[:59] + "…"
