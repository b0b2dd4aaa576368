"""Repository names as people type them -> `RepositoryName`. Pure; refuses whatever is not plainly a repository.

Accepted: `owner/name`, `https://HOST/owner/name[.git]`, `git@HOST:owner/name.git`, `ssh://git@HOST/owner/name`,
and Slack's `<url>` and `<url|label>` around any of these.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from slackbot.core.errors import UsageError

# https://docs.github.com/en/enterprise-cloud@latest/admin/managing-iam/iam-configuration-reference/username-considerations-for-external-authentication
_OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,37}[A-Za-z0-9_])?\Z")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}\Z")
_SLACK_LINK = re.compile(r"<([^<>|]+)(?:\|[^<>]*)?>\Z")
_HTTP = re.compile(r"https?://([^/?#]+)/([^?#]*)\Z", re.IGNORECASE)
_SCP = re.compile(r"git@([A-Za-z0-9.-]+):(?!/)(.+)\Z")
_SSH = re.compile(r"ssh://git@([A-Za-z0-9.:-]+)/(.+)\Z", re.IGNORECASE)


@dataclass(frozen=True, order=True)
class RepositoryName:
    """An owner and a name, each checked: safe in a URL path and as an argument."""

    owner: str
    name: str

    def __post_init__(self) -> None:
        if not _OWNER.match(self.owner) or not _is_name(self.name):
            raise _not_a_repository(f"{self.owner}/{self.name}")

    @property
    def full_name(self) -> str:
        """`owner/name`, as GitHub's API calls it."""
        return f"{self.owner}/{self.name}"

    def __str__(self) -> str:
        return self.full_name


def parse_repository_name(text: str, hosts: frozenset[str] = frozenset({"github.com"})) -> RepositoryName:
    """What a person typed -> `RepositoryName`.

    `hosts` are the host names (with port, where it is not the usual one) whose repositories DevFlow can reach;
    another host is a `UsageError`, as is anything with `..`, a leading `-`, user information or a query in it.
    """
    typed = text.strip()
    link = _SLACK_LINK.match(typed)
    if link:
        typed = link.group(1).strip()
    host, path = _split(typed)
    if host is not None:
        bare = host.lower().removeprefix("www.")
        if bare not in {known.lower() for known in hosts}:
            raise UsageError(
                f"`{_shown(host)}` is not a host DevFlow works with.",
                f"Name a repository on {' or '.join(sorted(hosts))}, as `owner/name`.",
            )
        path = path.removesuffix("/").removesuffix(".git")
    parts = path.split("/")
    if len(parts) != 2 or not _OWNER.match(parts[0]) or not _is_name(parts[1]):
        raise _not_a_repository(typed)
    return RepositoryName(parts[0], parts[1])


def looks_like_repository(word: str) -> bool:
    """Whether a word can only have been meant as a repository (`owner/name` or a link), right or wrong."""
    inner = word.strip()
    link = _SLACK_LINK.match(inner)
    if link:
        inner = link.group(1)
    if re.match(r"(https?://|ssh://|git@)", inner, re.IGNORECASE):
        return True
    return bool(re.match(r"[\w.-]+/[\w.-]+\Z", inner)) and not inner.startswith((".", "/"))


def _split(typed: str) -> tuple[str | None, str]:
    for pattern in (_HTTP, _SSH, _SCP):
        match = pattern.match(typed)
        if match:
            return match.group(1), match.group(2)
    return None, typed


def _is_name(name: str) -> bool:
    # GitHub itself reserves "." and ".."; a name ending in .git or beginning with "-" is never one.
    return (
        bool(_NAME.match(name)) and name not in {".", ".."} and not name.startswith("-") and not name.endswith(".git")
    )


def _shown(text: str) -> str:
    # Credentials in an address are not shown again, not even to who typed them.
    flat = re.sub(r"[`\s<>]+", " ", re.sub(r"[^\s/@]*:[^\s/@]*@", "", text)).strip()
    return flat if len(flat) <= 80 else flat[:79] + "…"


def _not_a_repository(typed: str) -> UsageError:
    return UsageError(
        f"`{_shown(typed)}` is not a repository name.", "Write it as `owner/name`, for example `acme/shop`."
    )
