"""Files that people attach to a prompt: which of them reach the agent, under which names. Pure.

Facts about a file come from Slack's file object: https://docs.slack.dev/reference/objects/file-object
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MAX_FILES = 10
"""Files of one prompt."""
MAX_FILE_BYTES = 20 * 1024 * 1024
MAX_TOTAL_BYTES = 50 * 1024 * 1024

FILES_ALONE = "Look at the attached files."
"""The prompt of a message that says nothing and has files."""

_TEXTUAL = frozenset(
    "application/json application/xml application/yaml application/x-yaml application/toml application/javascript "
    "application/x-javascript application/typescript application/x-sh application/sql application/x-ndjson "
    "application/x-patch application/csv application/pdf application/rtf application/x-ipynb+json".split()
)
_ARCHIVES = frozenset(
    "application/zip application/x-zip-compressed application/gzip application/x-gzip application/x-tar "
    "application/x-gtar application/x-compressed-tar application/x-bzip2 application/x-xz application/zstd "
    "application/x-7z-compressed application/vnd.rar application/x-rar-compressed".split()
)
_EXTENSIONS = frozenset(
    "7z bz2 c cc cfg conf cpp cs css csv diff env go gz h hpp html ini ipynb java js json jsonl jsx kt log lua md "
    "patch pdf php pl properties proto py r rar rb rs rst scala sh sql svg swift tar tex tgz toml ts tsv tsx txt vue "
    "xml xz yaml yml zip zst".split()
)
_SLACKS_OWN = ("external", "post", "space", "canvas", "list", "email")
"""`mode`s (and `filetype`s) of what is no file of bytes, or is kept elsewhere."""


@dataclass(frozen=True)
class Attached:
    """A file as the message event shows it; nothing of it is believed but by Slack's own word."""

    file_id: str
    name: str
    size_bytes: int
    mimetype: str = ""
    mode: str = "hosted"

    def entry(self) -> dict[str, str | int]:
        """What the session keeps of it."""
        return {"file_id": self.file_id, "name": safe_name(self.name), "size_bytes": self.size_bytes}


@dataclass(frozen=True)
class LeftOut:
    """A file that does not reach the agent; `why` is `kind`, `size`, `total` or `number`."""

    name: str
    why: str


def attached_of(files: object) -> tuple[Attached, ...]:
    """The files of a message event; entries that lack what is needed are passed over."""
    found = []
    for entry in files if isinstance(files, Sequence) and not isinstance(files, str) else ():
        if not isinstance(entry, Mapping):
            continue
        file_id, size = entry.get("id"), entry.get("size")
        name = entry.get("name") or entry.get("title")
        if isinstance(file_id, str) and re.fullmatch(r"[A-Z0-9]{2,40}", file_id):
            found.append(
                Attached(
                    file_id=file_id,
                    name=name if isinstance(name, str) else "file",
                    size_bytes=size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else 0,
                    mimetype=str(entry.get("mimetype") or ""),
                    mode=str(entry.get("mode") or "hosted"),
                )
            )
    return tuple(found)


def choose(files: Sequence[Attached]) -> tuple[tuple[Attached, ...], tuple[LeftOut, ...]]:
    """Which files reach the agent, and which are left out, in the order in which they were attached."""
    taken: list[Attached] = []
    left_out: list[LeftOut] = []
    total_bytes = 0
    for file in files:
        why = _fault(file)
        if why is None and len(taken) >= MAX_FILES:
            why = "number"
        if why is None and total_bytes + file.size_bytes > MAX_TOTAL_BYTES:
            why = "total"
        if why is None:
            taken.append(file)
            total_bytes += file.size_bytes
        else:
            left_out.append(LeftOut(safe_name(file.name), why))
    return tuple(taken), tuple(left_out)


def with_earlier(
    own: Sequence[Mapping[str, str | int]], earlier: Sequence[Mapping[str, str | int]]
) -> tuple[Mapping[str, str | int], ...]:
    """A prompt's own files, then those of the talk before it, the newest first to be kept, as far as one prompt may
    have them. Both are `Attached.entry()`."""
    kept = list(own)
    total_bytes = sum(_size(file) for file in kept)
    along: list[Mapping[str, str | int]] = []
    for file in reversed(earlier):
        known = {each.get("file_id") for each in (*kept, *along)}
        if file.get("file_id") in known or total_bytes + _size(file) > MAX_TOTAL_BYTES:
            continue
        if len(kept) + len(along) >= MAX_FILES:
            break
        along.append(file)
        total_bytes += _size(file)
    return (*kept, *reversed(along))


def names_of(files: Sequence[Mapping[str, str | int]]) -> str:
    """Their names as one line."""
    return ", ".join(str(file.get("name") or "file") for file in files)


def _size(file: Mapping[str, str | int]) -> int:
    size = file.get("size_bytes", 0)
    return size if isinstance(size, int) else 0


def _fault(file: Attached) -> str | None:
    if file.mode in _SLACKS_OWN or file.mode in ("tombstone", "hidden_by_limit", "file_access"):
        return "kind"
    extension = file.name.rpartition(".")[2].lower()
    mimetype = file.mimetype.partition(";")[0].strip().lower()
    is_known = mimetype.startswith(("image/", "text/")) or mimetype in _TEXTUAL | _ARCHIVES
    if not is_known and extension not in _EXTENSIONS:
        return "kind"
    return "size" if file.size_bytes > MAX_FILE_BYTES else None


def safe_name(name: str) -> str:
    """The name as a file may have in a directory: its last part, printable, no hidden file, 120 characters at most."""
    last = re.split(r"[/\\]", name)[-1]
    plain = "".join(character if character.isprintable() else "_" for character in last).strip(" .")
    stem, dot, extension = plain.rpartition(".")
    if dot and len(plain) > 120:
        return f"{stem[: 119 - len(extension[:20])]}.{extension[:20]}"
    return plain[:120] or "file"
