"""Commands run, sentences are answered: the shell agent's judgement, case by case."""

from __future__ import annotations

import pytest

from slackbot.worker.prose import BUILTINS, looks_like_prose, unwrap

ON_PATH = frozenset(
    "ls cat make test find git python3 npm echo sort file which install yes grep sed touch cp time go sudo env "
    "pytest docker curl bash sh date tail head wc tree more look split cut kill watch rm mkdir "
    "./run.sh bin/check".split()
)


def runnable(word: str) -> bool:
    """What a machine of our imagination has."""
    return word in ON_PATH or word in BUILTINS


COMMANDS = [
    "ls",
    "ls -la",
    "cat README.md",
    "cat the README.md",
    "make test",
    "make",
    "find . -name x",
    "find . -name '*.py' -newer the_file",
    "git log",
    "git log --oneline",
    'git commit -am "make it work for the team"',
    "git grep for",
    "python3 -m unittest",
    "echo hello world",
    "echo this is a test of the shell",
    "./run.sh the tests",
    "bin/check",
    "FOO=bar make test",
    "X=1",
    "cd src && ls",
    "ls | wc -l",
    "sort names.txt > sorted.txt",
    "for f in *.py; do wc -l $f; done",
    "if test -f x; then cat x; fi",
    "while read line; do echo $line; done < file",
    "(cd src; ls)",
    "[ -f x ] && cat x",
    "cp a b",
    "sed -i s/a/b/ the_file",
    "curl https://example.com/a",
    'grep "in the" README.md',
    "ls; pwd",
    "time make test",
    "npm run build",
    "npm test",
    "go test ./...",
    "true",
    "pytest tests",
    "date",
    "tree",
    "env",
    "ls\npwd",
]

SENTENCES = [
    "",
    "   ",
    "fix the test",
    "please add a README",
    "Please run the tests.",
    "make the tests pass",
    "make it work",
    "make sure it doesn't break",
    "Make the button blue",
    "find the bug in hello.py",
    "find out why the build of this is slow",
    "test whether it works please",
    "sort the imports",
    "which files did you change?",
    "file a bug about the login",
    "look at the failing test",
    "install the dependencies",
    "kill the old server",
    "yes",
    "yes do it",
    "help",
    "continue",
    "continue with the next step",
    "git push it to the remote please",
    "time to fix the tests",
    "if the tests fail, fix them",
    "for all of the files add a license header",
    "while you are at it, update the docs",
    "who are you",
    "what is this repository about?",
    "テストを直して",
    "テスト を 直して ください",
    "pytest を実行して結果を教えて",
    "修复测试",
    "hello",
    "hi, can you help?",
    'make the page say "hello" to each of the users',
    "read the docs",
    "set up the project",
    "type hints are missing in the parser",
    "split this file into two",
    "python is broken",
]


@pytest.mark.parametrize("prompt", COMMANDS)
def test_a_command_is_run(prompt: str) -> None:
    """What a person types into a shell is no sentence."""
    assert not looks_like_prose(prompt, runnable)


@pytest.mark.parametrize("prompt", SENTENCES)
def test_a_sentence_is_not_run(prompt: str) -> None:
    """What a person writes to a colleague is a sentence, also when it begins with a word that could be run."""
    assert looks_like_prose(prompt, runnable)


@pytest.mark.parametrize(
    ("prompt", "command", "insists"),
    [
        ("ls", "ls", False),
        ("`ls -l`", "ls -l", False),
        ("```ls -l```", "ls -l", False),
        ("```\nls -l\n```", "ls -l", False),
        ("```sh\nls -l\npwd\n```", "ls -l\npwd", False),
        ("```ls\npwd```", "ls\npwd", False),
        ("$ fix the test", "fix the test", True),
        ("`$ make it`", "make it", True),
        ("$HOME/x", "$HOME/x", False),
        ("`a` and `b`", "`a` and `b`", False),
        ("```a``` and ```b```", "```a``` and ```b```", False),
        ("ls\x00 -l", "ls -l", False),
    ],
)
def test_unwrapping(prompt: str, command: str, insists: bool) -> None:
    """One fence or one span is taken off, and `$ ` means "run it whatever it looks like"."""
    assert unwrap(prompt) == (command, insists)
