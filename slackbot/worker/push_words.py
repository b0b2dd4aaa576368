"""What stands in the way of a push, in sentences: the errors, and what git and the host say of it.

Data: git's output in; sentences for people out. Rules of git's push output: https://git-scm.com/docs/git-push#_output
"""

from __future__ import annotations

import re

from slackbot.core.errors import DevflowError


class NotPushed(DevflowError):
    """The commits are in the checkout and not on the branch."""


class NeedsLeave(NotPushed):
    """They change files that need a person's yes, and nobody said it."""


def said(errors: str, verdict: str = "") -> str:
    """What the other side said, in one line and bounded."""
    lines = [re.sub(r"^(remote|fatal|error):\s*", "", line).strip() for line in errors.splitlines()]
    reason = re.search(r"\(([^()]*)\)\s*$", verdict)
    told = [line for line in lines if line and not line.startswith(("To http", "hint:", "!", "failed to push"))]
    return "; ".join([*dict.fromkeys(told), *([reason[1]] if reason else [])])[:600] or "git gave no reason"


def remedy(text: str) -> str:
    """What to do about a refusal, by what the host said."""
    if "workflow" in text:
        return (
            "Give the GitHub App the permission to write workflows, or ask the agent to leave .github/workflows alone."
        )
    if "protected branch" in text.lower() or "GH006" in text or "GH013" in text:
        return "Ask an administrator of the repository to let the GitHub App push to this branch."
    if "GH001" in text or "large" in text.lower():
        return "Ask the agent to take the large file out of its commits."
    return "The commits are kept; once the cause is mended, write again to push them."
