"""Commands that the shell agent asks leave for before it runs them: those that destroy, publish or take over. Pure.

A courtesy, no fence: a shell has a thousand ways round it, and the isolation is the task's.
"""

from __future__ import annotations

import re

_BEGIN = r"(?:^|[;&|(\n`]|\b(?:then|do|else|xargs|time|nohup|env|command|exec)\b)\s*(?:\w+=\S*\s+)*"
_DANGERS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(_BEGIN + pattern, re.MULTILINE))
    for name, pattern in (
        ("delete", r"rm\s+(?:\S+\s+)*?(?:-[a-zA-Z]*[rRf]\S*|--recursive|--force)"),
        ("delete", r"find\b[^\n;|&]*\s-delete\b"),
        ("delete", r"(?:shred|mkfs\S*|wipefs)\b"),
        ("delete", r"dd\b[^\n;|&]*\bof="),
        ("git", r"git\s+(?:-\S+\s+(?:\S+\s+)?)*push\b"),
        ("git", r"git\s+(?:-\S+\s+(?:\S+\s+)?)*(?:reset\s+(?:\S+\s+)*--hard|clean\s+-\S*f|filter-branch)\b"),
        ("git", r"git\s+(?:-\S+\s+(?:\S+\s+)?)*(?:branch\s+-D|checkout\s+(?:--\s+)?\.(?:\s|$))"),
        ("system", r"(?:sudo|su|doas|shutdown|reboot|halt|poweroff|mount|umount)\b"),
        ("system", r"(?:chmod|chown|chgrp)\s+(?:\S+\s+)*?(?:-[a-zA-Z]*R|--recursive)"),
        ("system", r"(?:kill|pkill|killall)\s+(?:\S+\s+)*?(?:-9|-KILL|-1)\b"),
        ("download", r"(?:curl|wget)\b[^\n;]*\|\s*(?:sudo\s+)?(?:ba|z|da)?sh\b"),
    )
)


def danger_of(command: str) -> str | None:
    """The kind of danger the command looks like (`delete`, `git`, `system`, `download`), or None."""
    return next((name for name, pattern in _DANGERS if pattern.search(command)), None)
