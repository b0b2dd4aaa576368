"""What people type: repository names, commands, replies; and text as Slack stores it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slackbot.core.command_text import (
    Aside,
    FormCommand,
    HelpCommand,
    ListCommand,
    Nothing,
    Prompt,
    SessionCommand,
    StartCommand,
    ThreadCommand,
    check_base_branch,
    parse_command,
    parse_reply,
)
from slackbot.core.errors import UsageError
from slackbot.core.repository_name import RepositoryName, looks_like_repository, parse_repository_name
from slackbot.core.slack_text import clean, escape, harmless_markdown, leading_mention, plain_text

SHOP = RepositoryName("acme", "shop")
anything = st.text(alphabet=st.characters(exclude_categories=()), max_size=80)
"""Every code point there is, lone surrogates too."""


# ------------------------------------------------------------------------------------ repository names


@pytest.mark.parametrize(
    "typed",
    [
        "acme/shop",
        "  acme/shop ",
        "https://github.com/acme/shop",
        "https://github.com/acme/shop/",
        "https://github.com/acme/shop.git",
        "http://www.github.com/acme/shop",
        "HTTPS://GitHub.com/acme/shop",
        "git@github.com:acme/shop.git",
        "git@github.com:acme/shop",
        "ssh://git@github.com/acme/shop.git",
        "<https://github.com/acme/shop>",
        "<https://github.com/acme/shop|github.com/acme/shop>",
    ],
)
def test_good_forms(typed: str) -> None:
    """Each means the same repository."""
    assert parse_repository_name(typed) == SHOP
    assert looks_like_repository(typed)


@pytest.mark.parametrize("typed", ["a-b/c.d", "A1/x_y", "a/.github", "acme_corp/shop", "o/" + "n" * 100])
def test_unusual_names(typed: str) -> None:
    """GitHub allows these."""
    assert str(parse_repository_name(typed)) == typed


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "acme",
        "acme/",
        "/shop",
        "acme/shop/x",
        "acme//shop",
        "../etc/passwd",
        "acme/..",
        "acme/.",
        "../..",
        "-acme/shop",
        "acme/-shop",
        "acme/--upload-pack=x",
        "acme/shop.git",
        "acme/sh op",
        "acme/sh\nop",
        "acme/shop\x00",
        "äcme/shop",
        "acme/shøp",
        "a" * 40 + "/shop",
        "acme/" + "n" * 101,
        "https://github.com/acme",
        "https://github.com/acme/shop/tree/main",
        "https://github.com/acme/shop?x=1",
        "https://github.com/acme/shop#readme",
        "https://github.com/../shop",
        "https://github.com/acme/%2e%2e",
        "https://user:secret@github.com/acme/shop",
        "https://user:secret@github.com/acme/shop?x=1",
        "https://github.com@evil.example/acme/shop",
        "https://github.com.evil.example/acme/shop",
        "https://evil.example/acme/shop",
        "https://github.com:444/acme/shop",
        "git@evil.example:acme/shop",
        "git@github.com:/acme/shop",
        "git@github.com:../shop",
        "ssh://git@evil.example/acme/shop",
        "ssh://root@github.com/acme/shop",
        "ssh://git@github.com/-oProxyCommand=x/shop",
        "file:///etc/passwd",
        "ext::sh -c id",
        "<!channel>",
    ],
)
def test_hostile_forms(typed: str) -> None:
    """Traversal, options, foreign hosts, credentials: refused in words, without what would break the message."""
    with pytest.raises(UsageError) as caught:
        parse_repository_name(typed)
    assert "secret" not in str(caught.value)
    assert "<" not in caught.value.summary


def test_other_hosts_by_setting() -> None:
    """GitHub Enterprise and the stand-in have hosts of their own, with a port where it is not the usual one."""
    hosts = frozenset({"127.0.0.1:8401", "git.example.com"})
    assert parse_repository_name("http://127.0.0.1:8401/acme/shop", hosts) == SHOP
    assert parse_repository_name("git@Git.Example.com:acme/shop.git", hosts) == SHOP
    with pytest.raises(UsageError) as caught:
        parse_repository_name("https://github.com/acme/shop", hosts)
    assert "git.example.com" in caught.value.remedy


def test_a_name_checks_itself() -> None:
    """Whoever makes one without parsing cannot make a bad one."""
    assert (SHOP.full_name, str(SHOP)) == ("acme/shop", "acme/shop")
    with pytest.raises(UsageError):
        RepositoryName("acme", "..")
    with pytest.raises(UsageError):
        RepositoryName("a/b", "c")


@given(anything)
def test_any_text_is_a_name_or_refused(typed: str) -> None:
    """Nothing else is raised, and what is accepted is plain."""
    try:
        name = parse_repository_name(typed)
    except UsageError:
        return
    assert name.full_name.isascii()
    assert ".." not in name.full_name.split("/")


# ----------------------------------------------------------------------------------------- the command


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        ("", FormCommand()),
        ("   ", FormCommand()),
        ("start", FormCommand()),
        ("start acme/shop", FormCommand(SHOP)),
        ("acme/shop", FormCommand(SHOP)),
        ("start acme/shop base=main agent=x", FormCommand(SHOP, "main", "x")),
        ("start base=main", FormCommand(None, "main")),
        ("start fix the test", StartCommand(None, "fix the test")),
        ("start base=dev fix it", StartCommand(None, "fix it", "dev")),
        ("fix the `test`", StartCommand(None, "fix the `test`")),
        ("start list", StartCommand(None, "list")),
        ("help", HelpCommand()),
        ("list", ListCommand()),
        ("LIST abc", ListCommand("abc")),
        ("stop", SessionCommand("stop")),
        ("Stop 1a2b3c4d", SessionCommand("stop", "1a2b3c4d")),
        ("status acme/shop", SessionCommand("status", "acme/shop")),
        ("cancel", SessionCommand("cancel")),
        ("pr", SessionCommand("pr")),
        ("retry x", SessionCommand("retry", "x")),
        ("start acme/shop fix it", StartCommand(SHOP, "fix it")),
        ("acme/shop fix it", StartCommand(SHOP, "fix it")),
        ("start <https://github.com/acme/shop> fix it", StartCommand(SHOP, "fix it")),
        ("https://github.com/acme/shop fix it", StartCommand(SHOP, "fix it")),
        ("start acme/shop base=dev fix it", StartCommand(SHOP, "fix it", "dev")),
        ('start acme/shop agent="python -m x" base=a/b fix', StartCommand(SHOP, "fix", "a/b", "python -m x")),
        ("start acme/shop BASE=dev fix", StartCommand(SHOP, "fix", "dev")),
        ("start acme/shop fix base=dev in the docs", StartCommand(SHOP, "fix base=dev in the docs")),
        ("start acme/shop one\ntwo\n\n  three", StartCommand(SHOP, "one\ntwo\n\n  three")),
        ("start acme/shop a\x00b \ud800c", StartCommand(SHOP, "ab c")),
        ("acme/shop stop", StartCommand(SHOP, "stop")),
    ],
)  # fmt: skip
def test_commands(typed: str, command: object) -> None:
    """What is typed -> what is meant."""
    assert parse_command(typed) == command


@pytest.mark.parametrize(
    ("typed", "summary", "remedy"),
    [
        ("start acme/shop base=a base=b x", "given twice", "once"),
        ("start acme/shop base=-x y", "not a branch name", "base=main"),
        ('start acme/shop base="" y', "not a branch name", "base=main"),
        ('start acme/shop agent=" " y', "`agent=` is empty", "Leave it out"),
        ("start https://evil.example/a/b x", "not a host", "github.com"),
        ("stpo", "neither a command nor a repository", "`/devflow stop`"),
        ("stop that thing now", "neither a command", "/devflow help"),
        ("help me", "neither a command", "/devflow help"),
        ("fix this", "`fix` is neither", "/devflow start"),
        ("strat acme/shop fix it", "`strat` is neither", "`/devflow start`"),
        ("lists all my sessions", "`lists` is neither", "`/devflow list`"),
        ("x" * 500, "…", "/devflow help"),
    ],
)
def test_commands_that_are_not(typed: str, summary: str, remedy: str) -> None:
    """What is wrong, and what to type instead."""
    with pytest.raises(UsageError) as caught:
        parse_command(typed)
    assert summary in caught.value.summary
    assert remedy in caught.value.remedy
    assert len(caught.value.summary) < 200


@given(anything)
def test_any_command_is_understood_or_refused(typed: str) -> None:
    """Nothing but UsageError is raised, alone and behind each verb."""
    for text in (typed, f"start {typed}", f"start acme/shop {typed}", f"stop {typed}", f"acme/shop base={typed} x"):
        try:
            command = parse_command(text)
        except UsageError:
            continue
        if isinstance(command, StartCommand):
            assert command.prompt.strip()
            assert "\x00" not in command.prompt
            command.prompt.encode()


@pytest.mark.parametrize("name", ["main", "release-2", "feature/x.y", "a@b", "日本"])
def test_good_base_branches(name: str) -> None:
    """As git allows them."""
    assert check_base_branch(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "", "-x", "/x", "x/", "x.", "a..b", "a//b", "a b", "a~1", "a^", "a:b", "a?", "a*", "a[", "a\\b", "a@{1}", "@",
        "x.lock", "x.lock/y", "refs/heads/x", "a\x7f", "x" * 201, "x\n",
    ],
)  # fmt: skip
def test_bad_base_branches(name: str) -> None:
    """Nothing that git reads as an option, a revision or a path out of refs."""
    with pytest.raises(UsageError, match="not a branch name"):
        check_base_branch(name)


# ----------------------------------------------------------------------------------------------- replies


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("fix it", Prompt("fix it")),
        ("  fix &lt;b&gt; &amp;amp; it ", Prompt("fix <b> &amp; it")),
        ("see <https://example.com/a|here>", Prompt("see https://example.com/a")),
        ("see <http://example.com|example.com>", Prompt("see example.com")),
        ("mail <mailto:a@b.example|a@b.example>", Prompt("mail a@b.example")),
        ("<@UBOT> fix it", Prompt("fix it")),
        ("<@UBOT|devflow>: fix it", Prompt("fix it")),
        ("<@UBOT> !stop", ThreadCommand("stop")),
        ("<@U1> what do you think?", Aside("<@U1> what do you think?")),
        ("ask <@U1> about it", Prompt("ask <@U1> about it")),
        ("tell <!here> and <!channel|channel> in <#C1|general>", Prompt("tell @here and @channel in #general")),
        ("!stop", ThreadCommand("stop")),
        (" !CANCEL ", ThreadCommand("cancel")),
        ("!pr", ThreadCommand("pr")),
        ("!help", ThreadCommand("help")),
        ("!stop the server in main.py", Prompt("!stop the server in main.py")),
        ("!handover <@U1>", ThreadCommand("handover", "U1")),
        ("!hand over to <@U1|grace>", ThreadCommand("handover", "U1")),
        ("!handover to @grace", ThreadCommand("handover")),
        ("!handover the lock to the other thread", Prompt("!handover the lock to the other thread")),
        ("!list", Prompt("!list")),
        ("!important: do x", Prompt("!important: do x")),
        ("!", Prompt("!")),
        ("!aside lunch?", Aside("lunch?")),
        ("!aside", Aside("")),
        ("", Nothing()),
        ("<@UBOT>", Nothing()),
        ("\x00\x07", Nothing()),
        ("a\x00b\r\nc\rd", Prompt("ab\nc\nd")),
        ("日本語で `x` を直して :tada:", Prompt("日本語で `x` を直して :tada:")),
    ],
)
def test_replies(text: str, reply: object) -> None:
    """A message as Slack stores it -> prompt, command, aside or nothing."""
    assert parse_reply(text, "UBOT") == reply


@given(anything)
def test_any_reply_is_one_of_the_four(text: str) -> None:
    """Never a crash, and never a control character or half a character in what goes to the agent."""
    reply = parse_reply(text, "UBOT")
    if isinstance(reply, Prompt):
        assert reply.text == clean(reply.text).strip()
        reply.text.encode()


@given(anything)
def test_escaping_is_undone_by_reading(text: str) -> None:
    """What DevFlow shows as it is, Slack gives back as it was."""
    assert plain_text(escape(text)) == clean(text)


def test_leading_mention() -> None:
    """Only at the very beginning."""
    assert leading_mention(" <@U1>, x") == ("U1", "x")
    assert leading_mention("x <@U1>") == (None, "x <@U1>")


@given(st.text(alphabet="<>!@#|U1", max_size=60))
def test_harmless_markdown_pings_nobody(text: str) -> None:
    """No mention of a person, a group or a channel survives, and doing it twice is doing it once."""
    shown = harmless_markdown(text + " <!channel> <@U1> <!subteam^S1> <#C1> @here, @everyone @channel")
    for power in ("<@", "<!", "<#", "@here", "@everyone", "@channel"):
        assert power not in shown
    assert harmless_markdown(shown) == shown
    assert harmless_markdown("@hereby me@example.com `a < b`") == "@hereby me@example.com `a < b`"
