"""The repositories a fresh sandbox opens with. Content only; `server.py` keeps it.

`demo/hello` is small and honest: its one failing test says what is wrong, and one `sed` mends it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from slackbot.sandbox.github.git_commands import NewCommit
from slackbot.sandbox.github.review_store import Ways
from slackbot.sandbox.github.server import GithubStandIn

FIX_COMMAND = "sed -i.bak 's/Hello {name}/Hello, {name}/' hello.py && rm hello.py.bak && python3 -m unittest"
"""What a person types in the thread to mend `demo/hello`; works with GNU and BSD sed."""

_README_FIRST = """# hello

Says hello, one name a line.

    $ python3 hello.py Ada Grace
    Hello, Ada!
    Hello, Grace!
"""
_README = (
    _README_FIRST
    + """
## Tests

    $ python3 -m unittest

One of them fails: it wants a comma in the greeting. See [the notes](NOTES.md).
"""
)
_HELLO_FIRST = '''"""Greets everyone who is named on the command line."""

import sys


def greeting(name: str) -> str:
    """One line for one person."""
    return f"Hello {name}!"


def main(names: list[str]) -> int:
    for name in names:
        print(greeting(name))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
'''
_HELLO = _HELLO_FIRST.replace(
    """    for name in names:
        print(greeting(name))
    return 0
""",
    """    if not names:
        print("usage: hello.py NAME...", file=sys.stderr)
        return 2
    for name in names:
        print(greeting(name))
    return 0
""",
)
_TEST_FIRST = '''"""What hello promises."""

import unittest

from hello import greeting, main


class Greeting(unittest.TestCase):
    def test_names_the_person(self) -> None:
        self.assertIn("Ada", greeting("Ada"))

    def test_ends_with_an_exclamation_mark(self) -> None:
        self.assertTrue(greeting("Ada").endswith("!"))
'''
_TEST_MAIN = """

class Main(unittest.TestCase):
    def test_needs_a_name(self) -> None:
        self.assertEqual(main([]), 2)


if __name__ == "__main__":
    unittest.main()
"""
_TEST = (
    _TEST_FIRST
    + """
    def test_has_a_comma(self) -> None:
        self.assertEqual(greeting("Ada"), "Hello, Ada!")
"""
    + _TEST_MAIN
)
_NOTES = """# Notes

- The README shows a comma after *Hello*; `greeting` writes none. The test
  `test_has_a_comma` is right, and `hello.py` is wrong.
- Wanted: greet each person once, even when named twice.
- Wanted: `--language`, beginning with French and Japanese.
"""

_HISTORY = (
    (9, "Ada Martin", "Begin with a greeting", {"README.md": _README_FIRST, "hello.py": _HELLO_FIRST}),
    (
        6,
        "Ada Martin",
        "Refuse an empty command line\n\nWithout a name nothing was printed and the exit code was 0, which looked "
        "like\nsuccess to scripts.",
        {"hello.py": _HELLO},
    ),
    (
        4,
        "Jun Sato",
        "Test what the README promises",
        {"tests/__init__.py": "", "tests/test_hello.py": _TEST_FIRST + _TEST_MAIN, ".gitignore": "__pycache__/\n"},
    ),
    (
        1,
        "Jun Sato",
        "Add a failing test for the comma, and notes\n\nThe greeting lacks the comma that the README shows.",
        {"tests/test_hello.py": _TEST, "NOTES.md": _NOTES, "README.md": _README},
    ),
)


_PEOPLE = (
    ("ada-martin", "Ada Martin", True),
    ("jun-sato", "Jun Sato", True),
    ("mallory", "Mallory Marsh", False),
)
"""Two who may review, and one who only passes by."""


async def seed_demo(stand_in: GithubStandIn) -> None:
    """Makes the people and the demo repositories that are not there yet; what is there is left as it is."""
    for login, name, collaborator in _PEOPLE:
        stand_in.world.store.reviews.add_person(login, name, collaborator=collaborator)
    there = {row.full_name for row in stand_in.repositories()}
    today = datetime.fromtimestamp(stand_in.world.now(), UTC).replace(hour=9, minute=0, second=0, microsecond=0)

    def commits(days_later: int = 0) -> list[NewCommit]:
        return [
            NewCommit(
                message,
                dict(files),
                at=int((today - timedelta(days=days) + timedelta(minutes=37 * days)).timestamp()) + days_later,
                author_name=author,
                author_email=f"{author.split()[0].lower()}@example.com",
            )
            for days, author, message, files in _HISTORY
        ]

    if "demo/hello" not in there:
        description = "A greeting with one failing test: something to try DevFlow on"
        made = await stand_in.create_repository("demo/hello", commits=commits(), description=description)
        stand_in.world.store.reviews.set_ways(made.id, Ways(ci=("test", "lint")))
    if "demo/empty" not in there:
        await stand_in.create_repository("demo/empty", empty=True, description="No commits yet")
    if "demo/archived" not in there:
        description = "Archived: can be read, not changed"
        await stand_in.create_repository("demo/archived", commits=commits()[:2], archived=True, description=description)
    if "demo/private-uninstalled" not in there:
        description = "Private, and the App is not installed on it"
        await stand_in.create_repository(
            "demo/private-uninstalled", private=True, installed=False, description=description
        )
