"""The administrator's rules for single repositories: what they mean, and every fault with its line."""

from __future__ import annotations

import pytest

from slackbot.core.errors import Refused
from slackbot.core.limits import Limits
from slackbot.core.repository_name import RepositoryName
from slackbot.core.repository_policy import Policies, parse_policies

GOOD = """\
# Rules of Acme.
[[repository]]
match = "acme/Shop-*"
task_definition = "devflow-big"
cpu = "4096"
memory = "16384"
agent = "claude"
channels = ["C0SHOP1", "G0SHOP2"]
limits = { turn_seconds = 7200, idle_seconds = 900 }

[[repository]]
match = "acme/*"

[repository.limits]
max_session_seconds = 600
"""


def faults(text: str) -> list[str]:
    return parse_policies(text)[1]


def good() -> Policies:
    policies, wrong = parse_policies(GOOD)
    assert wrong == []
    return policies


def test_the_first_rule_that_matches_counts_and_no_other() -> None:
    """acme/shop-api matches both globs: all it has is of the first one; case is the same to GitHub."""
    policies = good()
    shop = policies.of(RepositoryName("ACME", "shop-api"))
    assert shop is not None
    assert (shop.task_definition, shop.cpu, shop.memory, shop.agent) == ("devflow-big", "4096", "16384", "claude")
    assert shop.line == 2
    other = policies.of(RepositoryName("acme", "blog"))
    assert other is not None
    assert (other.match, other.task_definition, other.channels) == ("acme/*", None, None)
    assert policies.of(RepositoryName("acmes", "shop-api")) is None


def test_limits_of_a_rule_replace_those_of_the_settings_one_by_one() -> None:
    """What a rule does not name stays."""
    limits = Limits(turn_seconds=1, idle_seconds=2, max_session_seconds=3, silence_seconds=4)
    shop = good().limits_of(RepositoryName("acme", "shop-api"), limits)
    assert (shop.turn_seconds, shop.idle_seconds, shop.max_session_seconds, shop.silence_seconds) == (7200, 900, 3, 4)
    assert good().limits_of(RepositoryName("acme", "blog"), limits).max_session_seconds == 600
    assert good().limits_of(RepositoryName("else", "where"), limits) is limits


def test_channels_of_a_rule_keep_others_out_with_a_sentence() -> None:
    """The sentence names the rule; a repository without such a rule is for all channels."""
    policies = good()
    policies.check_channel(RepositoryName("acme", "shop-api"), "G0SHOP2")
    policies.check_channel(RepositoryName("acme", "blog"), "C0OTHER")
    with pytest.raises(Refused, match=r"acme/shop-api.*acme/Shop-\*.*`channels`"):
        policies.check_channel(RepositoryName("acme", "shop-api"), "C0OTHER")


def test_no_file_means_no_rule() -> None:
    """An empty one neither."""
    assert parse_policies("") == (Policies(), [])


def test_every_fault_is_named_at_once_with_its_line() -> None:
    """Unknown keys, wrong types, bad globs, foreign ids, sizes that Fargate has not, and rules never reached."""
    told = faults("""\
colour = "red"
[[repository]]
match = "acme"
agnet = "claude"
cpu = 1024
memory = "4 GB"
channels = ["general", 7]
limits = { idle_seconds = 5, turn_second = 9, turn_seconds = true }

[[repository]]
agent = "say 'what"
channels = []
limits = 3
task_definition = "a family"

[[repository]]
match = "acme/[a-"
cpu = "256"
memory = "4096"
[repository.limits]
idle_seconds = "long"

[[repository]]
match = "*/*"
limits.turn_seconds = 1

[[repository]]
match = "acme/shop"
[[repository]]
match = "ACME/shop"
""")
    assert [fault.split(":")[0] for fault in told] == [
        f"line {line}" for line in (1, 3, 4, 5, 6, 7, 8, 8, 8, 10, 11, 12, 13, 14, 17, 19, 21, 25, 28, 30)
    ]
    together = "\n".join(told)
    for part in (
        "`colour` is not known here",
        'match = "acme" is not a glob of owner/name',
        "`agnet` is not known in a rule; there are match, task_definition",
        "cpu = 1024 is not CPU units as text",
        'memory = "4 GB" is not MiB',
        'channels: "general", 7',
        "idle_seconds = 5 is not a whole number of seconds, at least 10",
        "`turn_second` is not known in limits",
        "turn_seconds = true is not",
        "line 10: the rule has no `match`",
        "agent = \"say 'what\" is not an agent's name",
        "channels is empty",
        "limits = 3 is not a table",
        'task_definition = "a family" is not a family of ECS',
        'match = "acme/[a-" is not a glob',
        "no 4096 MiB with 256 CPU units, but 512 to 2048",
        'idle_seconds = "long" is not',
        "line 25: turn_seconds = 1",
        "line 28: the rule of line 23 takes every repository",
        "line 30: the rule of line 23 takes every repository",
    ):
        assert part in together, part


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[[repository]]\nmatch = "a/b"\nagent = \n', 3),
        ('[[repository]]\nmatch = "a/b"\nmatch = "a/c"\n', 3),
        ('[[repository]]\nmatch = "a/b', 2),
        ("[[repository]\n", 1),
    ],
)
def test_what_is_no_toml_is_named_with_its_line(text: str, line: int) -> None:
    """A key given twice counts as such a fault."""
    (told,) = faults(text)
    assert told.startswith(f"line {line}: ")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[repository]\nmatch = "a/b"\n', "line 1: a rule begins with [[repository]]"),
        ('# all in one\nrepository = [{ match = "a" }]\n', 'line 2: match = "a" is not a glob'),
        (
            '[[repository]]\nmatch = "a/b"\nagent = """\nx = 1\n[[repository]]\n"""\n'
            '[[repository]]\nmatch = "a/c"\ncpu = ""',
            'line 9: cpu = ""',
        ),
        (
            '[[repository]]\nmatch = "a/b"\n[[repository]] # again\n  "match" = "A/b"',
            "line 4: line 1 has a rule for A/b already",
        ),
    ],
)
def test_lines_are_right_in_rarer_forms_too(text: str, fault: str) -> None:
    """Single brackets, one-line rules, long strings that look like rules, quoted keys, comments."""
    assert any(told.startswith(fault) for told in faults(text)), faults(text)
