"""Who git speaks as: the person in a commit, and the token for one host.

A token is handed over through a pipe: it is never in an argument, an environment, a file or a URL (git's credential
helper protocol: https://git-scm.com/docs/gitcredentials).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from slackbot.core.errors import PermanentError

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Credentials:
    """A token for one host: `url_prefix` is `scheme://host[:port]`."""

    url_prefix: str
    token: str = field(repr=False)


@dataclass(frozen=True)
class Person:
    """Name and e-mail as they go into a commit."""

    name: str
    email: str


def url_prefix(clone_url: str) -> str:
    """`scheme://host[:port]` of a clone address that the worker may send a token to; PermanentError else."""
    parts = urlsplit(clone_url)
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if not secure or not parts.hostname or "@" in parts.netloc or clone_url.startswith("-"):
        raise PermanentError(
            "The repository's address is not an https address without credentials in it, so no token was sent there.",
            "Look at the GitHub settings of the bot.",
        )
    return f"{parts.scheme}://{parts.netloc}"


def config_text(person: Person) -> str:
    """What the agent's repository is told of its committer (https://git-scm.com/docs/git-config#_syntax)."""

    def quoted(value: str) -> str:
        return '"' + " ".join(value.split()).replace("\\", "\\\\").replace('"', '\\"') + '"'

    return f"[user]\n\tname = {quoted(person.name)}\n\temail = {quoted(person.email)}\n[commit]\n\tgpgSign = false\n"


def token_pipe(token: str) -> int:
    """The reading end of a pipe that holds the token on several lines: git asks once per connection."""
    reading, writing = os.pipe()
    try:
        os.write(writing, f"{token}\n".encode() * 6)  # below the smallest pipe there is (16 KB, macOS)
    finally:
        os.close(writing)
    return reading


def helper(url_prefix: str, pipe: int) -> list[tuple[str, str]]:
    """A credential helper for one host that takes the next line out of the pipe (`read` takes no more)."""
    script = (
        f'!f() {{ test "$1" = get || exit 0; IFS= read -r line </dev/fd/{pipe} || exit 1; '
        'printf "username=x-access-token\\npassword=%s\\n" "$line"; }; f'
    )
    return [(f"credential.{url_prefix}.helper", script)]
