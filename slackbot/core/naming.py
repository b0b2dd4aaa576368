"""Names DevFlow makes: working branches, pull request titles, client tokens. Pure."""

from __future__ import annotations

import re
import unicodedata

from slackbot.core.clipping import one_line

MAX_SLUG = 40

_COMMAND = re.compile(r"""[|&;<>$"\\={}]|(?:^|\s)--?[a-z]|^\.?/""")
"""Signs of a shell command: quotes, redirections, options."""


def branch_name_for(prompt: str, session_id: str) -> str:
    """`devflow/<what was asked>-<start of the session id>`: plain ASCII, safe as a ref and in a URL."""
    ascii_text = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", ascii_text)
    slug = ""
    for word in words:
        if len(slug) + len(word) + 1 > MAX_SLUG:
            break
        slug = f"{slug}-{word}" if slug else word
    return f"devflow/{slug or words[0][:MAX_SLUG] if words else 'session'}-{session_id[:8]}"


def title_for(prompt: str) -> str:
    """A pull request title: the first line that says something, at most 72 characters."""
    for line in prompt.splitlines():
        words = one_line(line.strip("#*`>$ \t"), 72)
        if words:
            # A sentence begins with a capital; a command stays as it was typed.
            return words if _COMMAND.search(words) else words[0].upper() + words[1:]
    return "Work from a DevFlow session"


def client_token_for(session_id: str, launch: int) -> str:
    """The same for each attempt at one launch, never the same for two: at most 64 characters.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html
    """
    return f"{session_id}-{launch}"
