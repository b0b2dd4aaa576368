"""What the shell agent says: what it ran, how that ended, and what to type instead of a sentence."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from pathlib import Path

from slackbot.worker.output import fenced
from slackbot.worker.prose import BUILTINS

NOT_ALLOWED = "The shell agent (no AI) did not run this: it looks dangerous, and nobody allowed it."

EXPLANATION = """\
I am a shell, not an AI: I run what you write as a command in the checkout, and this reads like a sentence, \
so I ran nothing.

What works here, for example:
{examples}

Start a line with `$ ` to run it whatever it looks like. For an agent that understands sentences, begin a session \
with one: `/devflow start owner/repo agent=claude {sentence}`, or ask whoever runs DevFlow to set `DEVFLOW_AGENT`."""


def is_runnable(word: str, cwd: str) -> bool:
    """Whether the shell finds something to run under `word`, seen from `cwd`."""
    if word in BUILTINS:
        return True
    if "/" in word:
        path = Path(cwd, os.path.expanduser(word))
        return path.is_file() and os.access(path, os.X_OK)
    return shutil.which(word) is not None


def explain(sentence: str, cwd: str) -> str:
    """What to type instead of `sentence`, with examples that fit the files in `cwd`."""
    examples = ["`ls`", "`git log --oneline -5`"]
    present = set(os.listdir(cwd)) if os.path.isdir(cwd) else set()
    if "Makefile" in present:
        examples.insert(0, "`make test`")
    elif "package.json" in present:
        examples.insert(0, "`npm test`")
    elif any(name.endswith(".py") for name in present) or "pyproject.toml" in present:
        examples.insert(0, "`python3 -m unittest`")
    else:
        examples.append("`echo hello > hello.txt` (what changes is committed and pushed)")
    first_line = " ".join(sentence.replace("`", "'").split())
    short = first_line if len(first_line) <= 60 else first_line[:59] + "…"
    return EXPLANATION.format(examples="\n".join(f"- {line}" for line in examples), sentence=short or "PROMPT")


def report(command: str, output: str, status: int, seconds: float, *, left_behind: bool) -> str:
    """What was run, what it wrote, and how it ended."""
    text = output.strip("\n")
    parts = [fenced(command, "sh"), fenced(text) if text.strip() else "It wrote nothing."]
    line = f"The shell agent (no AI) ran this: {status_in_words(status)}, after {_duration(seconds)}."
    if left_behind:
        line += " Processes that it left in the background were ended."
    return "\n".join([*parts, line])


def status_in_words(status: int) -> str:
    """An exit status as a person would say it; negative or above 128 is a signal."""
    number = -status if status < 0 else status - 128
    if status == 0:
        return "it ended well (exit status 0)"
    if status == 127:
        return "a command was not found (exit status 127)"
    if status == 126:
        return "it could not be executed (exit status 126)"
    if status < 0 or status > 128:
        with contextlib.suppress(ValueError):
            return f"it was ended by {signal.Signals(number).name} (exit status {128 + number})"
    return f"it failed (exit status {status})"


def _duration(seconds: float) -> str:
    if seconds < 0.1:
        return "less than 0.1 seconds"
    if seconds < 60:
        return f"{seconds:.1f} seconds"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"
