"""Takes secrets out of text on its way to people and logs. Pure. A seat belt, not a boundary.

Known values come first, also as base64 and URL-encoded; then the shapes of tokens in use today.
GitHub's: https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github
Slack's: https://docs.slack.dev/authentication/tokens
"""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Iterable
from urllib.parse import quote

MASK = "[redacted]"

_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        # Since 2026 an installation token may be ghs_<app id>_<JWT>, some 520 characters with dots and dashes.
        r"\bgh[opsur]_[A-Za-z0-9._-]{16,}",
        r"\bgithub_pat_\w{20,}",
        r"(?<=x-access-token:)[^@\s/]+(?=@)",
        r"\bxox[abeoprs](?:\.xox[a-z])?-[A-Za-z0-9-]{8,}",
        r"\bxapp-[A-Za-z0-9-]{8,}",
        r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
        r"\bsk-[A-Za-z0-9_-]{20,}",
        r"\bAIza[A-Za-z0-9_-]{30,}",
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
        r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)",
        r"(?i)(?<=bearer )[A-Za-z0-9._~+/=-]{16,}",
    )
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without the given values (those of 8 characters and more), their encodings, and known token shapes."""
    for value in _known(tuple(secrets)):
        text = text.replace(value, MASK)
    for pattern in _PATTERNS:
        text = pattern.sub(MASK, text)
    return text


@functools.lru_cache(maxsize=32)
def _known(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Every form of these, longest first. Kept: a process asks about the same few for every line of its log."""
    return tuple(sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True))


def _forms(secret: str) -> set[str]:
    if len(secret) < 8:
        return set()
    raw = secret.encode()
    encoded = base64.b64encode(raw).decode()
    urlsafe = base64.urlsafe_b64encode(raw).decode()
    return {secret, encoded, encoded.rstrip("="), urlsafe, urlsafe.rstrip("="), quote(secret, safe="")}
