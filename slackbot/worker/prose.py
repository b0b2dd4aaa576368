"""Is this prompt a shell command or a sentence for an AI? Pure; used by the shell agent before it runs anything.

Data comes in as the text a person typed, and leaves as a command to run or a yes/no.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_FENCE = re.compile(r"\A```(?P<language>(?:sh|bash|zsh|shell|console|text)?(?=\n))?(?P<code>.*?)```\Z", re.DOTALL)
_SPAN = re.compile(r"\A`(?P<code>[^`\n]+)`\Z")
_PROMPT_SIGN = re.compile(r"\A\$[ \t]+")

_ASSIGNMENT = re.compile(r"\A[A-Za-z_]\w*\+?=")
_HIRAGANA = re.compile(r"[\u3041-\u309f]")
_PLAIN_WORD = re.compile(r"\A[A-Za-z]+(?:'[A-Za-z]+)?\Z")

_SURELY_SHELL = re.compile(
    r"(?:^|\s)--?[A-Za-z0-9]"  # a flag
    r"|[|<>]"  # a pipe or a redirection
    r"|&&|\$[\w({?!@#*]|(?:^|\s)&(?:\s|$)"  # a list, an expansion, a job
    r"|\\$"  # a continued line
)
_PERHAPS_SHELL = re.compile(r"""["`;*{}\[\]/=]|(?<!\w)'|'(?!\w)|\?(?=\S)""")

_COMPOUND = {"if": "fi", "for": "done", "while": "done", "until": "done", "select": "done", "case": "esac"}

BUILTINS = frozenset(
    (
        ". : [ [[ alias bg bind break builtin caller cd command compgen complete continue declare dirs disown "
        "echo enable eval exec exit export false fc fg function getopts hash help history jobs kill let local "
        "logout mapfile popd printf pushd pwd read readarray readonly return set shift shopt source suspend "
        "test time times trap true type typeset ulimit umask unalias unset wait ! ( ((  {"
    ).split()
)
"""What the shell runs although no file of that name is on PATH."""

_SAY_ANYTHING = frozenset({"echo", "printf", "cowsay", "figlet", "say"})
"""Commands whose arguments are sentences by nature."""

_TAKE_WORDS = frozenset(
    "git hg gh npm npx yarn pnpm pip pip3 cargo go docker kubectl apt apt-get brew grep egrep rg ag man".split()
)
"""Commands whose arguments are often plain words: one stop word alone proves nothing."""

_MEANT_FOR_AN_AI = frozenset("yes help test continue time type which who break".split())
"""Runnable, and pointless alone; whoever types one of them alone talks to somebody."""

_STOP_WORDS = frozenset(
    (
        "the an this that these those it its is are was were be been being has have had does did do "
        "to into onto from in on of off for with without about at by as if when then than so because "
        "and or but not no why how what where which who whether please can could should would will must may "
        "me my mine you your we our us they them their i'm i'd don't doesn't isn't won't can't let's "
        "every each some any more most sure also again instead still everything something nothing"
    ).split()
)


def unwrap(prompt: str) -> tuple[str, bool]:
    """The command in `prompt`, and whether the person insists that it is one.

    A prompt that is one code fence or one code span is taken out of it; a leading `$ ` is taken off
    and means "run this, whatever it looks like".
    """
    text = prompt.replace("\x00", "").strip()
    fence, span = _FENCE.match(text), _SPAN.match(text)
    if fence is not None and "```" not in fence["code"]:
        text = fence["code"].strip()
    elif span is not None:
        text = span["code"].strip()
    command = _PROMPT_SIGN.sub("", text)
    return command, command != text


def looks_like_prose(prompt: str, is_runnable: Callable[[str], bool]) -> bool:
    """True when `prompt` is a sentence and not a shell command.

    `is_runnable(word)` says whether a word names a command here (on PATH, a builtin, an executable
    path). When in doubt the answer is False for what begins with a runnable word: the person can read
    an error message, and a command that is not run is more puzzling than one that fails.
    """
    text = prompt.strip()
    words = text.split()
    if not words:
        return True
    first = words[0]
    if _ASSIGNMENT.match(first):
        return False
    if first in _COMPOUND:
        return re.search(rf"(?:^|[;\s]){_COMPOUND[first]}(?:$|[;\s|>&)])", text) is None
    if first[0] in "({" or first == "!":
        return False
    if not is_runnable(first.rstrip(";&|")):
        return True
    if len(words) == 1:
        return first in _MEANT_FOR_AN_AI
    if first in _SAY_ANYTHING or _SURELY_SHELL.search(text):
        return False
    return _reads_like_a_sentence(first, words[1:], text)


def _reads_like_a_sentence(first: str, rest: list[str], text: str) -> bool:
    if any(_HIRAGANA.search(word) and not re.search(r"[./]", word) for word in rest):
        return True
    bare = [word.strip(".,!?:;()\"'").lower() for word in rest]
    plain = sum(1 for word in bare if _PLAIN_WORD.match(word))
    stop_words = sum(1 for word in bare if word in _STOP_WORDS)
    if text.endswith("?") and plain >= 2:
        return True
    if plain < 2:
        return False
    if _PERHAPS_SHELL.search(text):
        return stop_words >= 3 and plain * 4 >= len(rest) * 3
    if first in _TAKE_WORDS:
        return stop_words >= 2
    return stop_words >= 1
