"""Where browsers and GitHub reach the gateway: DEVFLOW_PUBLIC_URL, and what follows from it. Pure.

The URL may hold `{session}` in its host; then each session has an origin of its own, and browsers keep cookies, storage
and scripts of one session's editor away from the others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

PLACEHOLDER = "{session}"
_HOST = re.compile(r"(\[[0-9a-fA-F:]+\]|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(:\d{1,5})?")


@dataclass(frozen=True)
class PublicAddress:
    """`scheme` is http or https; `host` is in lower case, with the port where the URL names one."""

    scheme: str
    host: str

    @property
    def is_secure(self) -> bool:
        return self.scheme == "https"

    @property
    def has_session_hosts(self) -> bool:
        """Whether each session has an origin of its own."""
        return PLACEHOLDER in self.host

    def host_of(self, session_id: str) -> str:
        return self.host.replace(PLACEHOLDER, session_id)

    def origin_of(self, session_id: str) -> str:
        """`scheme://host[:port]` of the session's pages, as browsers send it in `Origin`."""
        return f"{self.scheme}://{self.host_of(session_id)}"

    def editor_url(self, session_id: str) -> str:
        """The stable address of the session's web editor; of no use without the cookie."""
        return f"{self.origin_of(session_id)}{editor_path(session_id)}"

    def entrance_url(self, session_id: str, link: str) -> str:
        """The page with the button that redeems `link`."""
        return f"{self.origin_of(session_id)}/open/{session_id}?link={link}"


def editor_path(session_id: str) -> str:
    return f"/s/{session_id}/"


def parse_public_url(url: str) -> PublicAddress:
    """The address in `url`; `ValueError` with a sentence when it is none."""
    try:
        parts = urlsplit(url.strip())
    except ValueError as error:
        raise ValueError(f"{url} is not an http or https address") from error
    host = parts.netloc.lower()
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host.replace(PLACEHOLDER, "s")):
        raise ValueError(f"{url} is not an http or https address")
    if host.count(PLACEHOLDER) > 1:
        raise ValueError(f"{url} holds {PLACEHOLDER} more than once")
    if PLACEHOLDER in host and not re.match(r"[a-z0-9-]*\{session\}[a-z0-9-]*\.", host):
        raise ValueError(
            f"{url} must hold {PLACEHOLDER} in the first part of its host, as in https://{{session}}.example.com"
        )
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"{url} must end after the host: editors and webhooks have paths of their own")
    default = ":443" if parts.scheme == "https" else ":80"
    return PublicAddress(parts.scheme, host.removesuffix(default))
