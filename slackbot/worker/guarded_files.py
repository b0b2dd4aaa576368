"""Files that decide what runs elsewhere, or who must be asked: pushed only after a person's yes. Pure.

A workflow runs on GitHub's machines with the repository's secrets as soon as it is pushed.
https://docs.github.com/en/actions/security-for-github-actions/security-guides/security-hardening-for-github-actions
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_FOLDERS = (".github/workflows/", ".github/actions/")
_FILES = frozenset(
    {
        "codeowners",
        ".github/codeowners",
        "docs/codeowners",
        ".devflow.yml",
        ".devflow.yaml",
        "action.yml",
        "action.yaml",
    }
)


def guarded(names: Iterable[str]) -> list[str]:
    """Those of the files (paths from the top, as git tells them) that need a yes; letter case does not count."""
    return [name for name in names if name.lower() in _FILES or name.lower().startswith(_FOLDERS)]


def named(names: Sequence[str]) -> str:
    """Up to five of them in words."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
