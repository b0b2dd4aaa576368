"""What `git diff-tree` prints -> changed files with their counts and patches. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

_STATUS = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "C": "copied", "T": "changed"}


@dataclass(frozen=True)
class ChangedFile:
    """One file of a difference, in GitHub's words. `patch` is None for binary files and beyond the limit."""

    filename: str
    status: str
    sha: str
    previous_filename: str | None = None
    additions: int = 0
    deletions: int = 0
    binary: bool = False
    patch: str | None = None


def parse_changes(listed: bytes) -> list[ChangedFile]:
    """The output of `diff-tree -r -M -z --no-abbrev --raw --numstat`."""
    tokens = listed.decode(errors="replace").split("\0")
    files: dict[str, ChangedFile] = {}
    position = 0
    while position < len(tokens) and tokens[position].startswith(":"):
        _, _, old_sha, new_sha, status = tokens[position].split(" ")
        word = _STATUS.get(status[:1], "changed")
        moved = status[:1] in {"R", "C"}
        name = tokens[position + (2 if moved else 1)]
        files[name] = ChangedFile(
            filename=name,
            status=word,
            sha=old_sha if word == "removed" else new_sha,
            previous_filename=tokens[position + 1] if moved else None,
        )
        position += 3 if moved else 2
    while position < len(tokens) and tokens[position]:
        added, deleted, name = tokens[position].split("\t", 2)
        position += 1
        if not name:  # a rename: both names follow
            name = tokens[position + 1]
            position += 2
        binary = added == "-"
        files[name] = replace(
            files[name],
            additions=0 if binary else int(added),
            deletions=0 if binary else int(deleted),
            binary=binary,
        )
    return list(files.values())


def split_patches(files: list[ChangedFile], text: str, *, cut: bool) -> list[ChangedFile]:
    """Gives each file its part of `diff-tree -p`, which lists them in the same order.

    A line of content begins with a space, a sign or a backslash, so "diff --git" begins a header only.
    """
    parts: list[list[str]] = []
    for line in text.split("\n"):
        if line.startswith("diff --git "):
            parts.append([])
        elif parts:
            parts[-1].append(line)
    if cut and parts:
        parts.pop()
    patched = []
    for index, file in enumerate(files):
        lines = parts[index] if index < len(parts) else []
        start = next((number for number, line in enumerate(lines) if line.startswith("@@")), None)
        patch = None if start is None else "\n".join(lines[start:]).rstrip("\n")
        patched.append(replace(file, patch=patch))
    return patched
